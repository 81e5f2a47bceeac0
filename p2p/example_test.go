package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

func Example() {
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		log.Fatal(err)
	}
	start := func(gate p2p.Gate) *p2p.Host {
		key, err := identity.Generate(identity.Ed25519)
		if err != nil {
			log.Fatal(err)
		}
		h, err := p2p.New(p2p.Config{Key: key, Listen: listen, Gate: gate})
		if err != nil {
			log.Fatal(err)
		}
		return h
	}
	member := start(nil)
	stranger := start(nil)
	picky := start(p2p.GateFunc(func(p peer.ID) p2p.Decision {
		return p2p.Decision{OK: p == member.ID(), Reason: "not a member"}
	}))

	ctx := context.Background()
	fmt.Println("member:", picky.Connect(ctx, member.AddrInfo()))
	fmt.Println("stranger refused:", picky.Connect(ctx, stranger.AddrInfo()) != nil)
	fmt.Println(picky.RefusalCounts())
	if err := errors.Join(member.Close(), stranger.Close(), picky.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// member: <nil>
	// stranger refused: true
	// map[not a member:1]
}
