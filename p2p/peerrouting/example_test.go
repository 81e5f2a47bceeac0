package peerrouting_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/hypertensor-blockchain/mesh/p2p/peerrouting"
)

func Example() {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics())
	if err != nil {
		log.Fatal(err)
	}
	r := peerrouting.New(h, peerrouting.Config{Protocols: []protocol.ID{"/mesh/example/peers/1"}})

	wanted, err := peer.Decode("12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB")
	if err != nil {
		log.Fatal(err)
	}
	_, err = r.FindPeer(context.Background(), wanted)
	fmt.Println("nobody to ask:", errors.Is(err, peerrouting.ErrNotFound))

	r.Close()
	if err := h.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: nobody to ask: true
}
