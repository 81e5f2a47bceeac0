package dht_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Two nodes on one machine: what one stores, the other finds.
func Example() {
	start := func(bootstrap ...peer.AddrInfo) (*dht.Node, peer.AddrInfo, func()) {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			panic(err)
		}
		listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
		if err != nil {
			panic(err)
		}
		host, err := p2p.New(p2p.Config{Key: key, Listen: listen})
		if err != nil {
			panic(err)
		}
		calls := rpc.NewNode(host, rpc.Config{})
		node, err := dht.New(calls, dht.Config{Bootstrap: bootstrap})
		if err != nil {
			panic(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() { _ = node.Run(ctx); close(over) }()
		<-node.Ready()
		return node, peer.AddrInfo{ID: host.ID(), Addrs: host.Libp2p().Addrs()}, func() {
			cancel()
			<-over
			_ = node.Close()
			_ = calls.Close()
			_ = host.Close()
		}
	}
	alice, address, stopAlice := start()
	defer stopAlice()
	bob, _, stopBob := start(address)
	defer stopBob()

	ctx := context.Background()
	key := record.KeyOfText("weather")
	result, err := bob.Store(ctx, dht.StoreRequest{Key: key, Subkey: "Oslo", Value: "snow", Expiration: time.Now().Add(time.Hour)})
	if err != nil {
		panic(err)
	}
	fmt.Println("stored at", result.Accepted, "of", result.Wanted)

	value, err := alice.Get(ctx, key, dht.Latest())
	if err != nil {
		panic(err)
	}
	for _, e := range value.Entries {
		city, _ := e.DecodeSubkey()
		weather, _ := e.Decode()
		fmt.Println(city, weather)
	}
	// Output:
	// stored at 2 of 2
	// Oslo snow
}
