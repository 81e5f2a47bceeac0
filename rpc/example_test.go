package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

func Example() {
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		log.Fatal(err)
	}
	start := func() (*p2p.Host, *rpc.Node) {
		key, err := identity.Generate(identity.Ed25519)
		if err != nil {
			log.Fatal(err)
		}
		h, err := p2p.New(p2p.Config{Key: key, Listen: listen})
		if err != nil {
			log.Fatal(err)
		}
		return h, rpc.NewNode(h, rpc.Config{Namespace: "/mesh/example"})
	}
	serverHost, server := start()
	clientHost, client := start()

	server.Handle("Greeter.greet", func(_ context.Context, r *rpc.Request) ([]byte, error) {
		if len(r.Data) == 0 {
			return nil, rpc.Errorf(rpc.InvalidArgument, "whom shall I greet?")
		}
		return fmt.Appendf(nil, "hello %s", r.Data), nil
	})

	ctx := context.Background()
	if err := clientHost.Connect(ctx, serverHost.AddrInfo()); err != nil {
		log.Fatal(err)
	}
	answer, err := client.Call(ctx, server.ID(), "Greeter.greet", []byte("world"))
	fmt.Printf("%s %v\n", answer, err)
	_, err = client.Call(ctx, server.ID(), "Greeter.greet", nil)
	fmt.Println(rpc.CodeOf(err), rpc.IsRemote(err), err)

	if err := errors.Join(client.Close(), server.Close(), clientHost.Close(), serverHost.Close()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello world <nil>
	// InvalidArgument true rpc: Greeter.greet: remote: InvalidArgument: whom shall I greet?
}
