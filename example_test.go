package mesh_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// oracle is a subnet whose nodes answer a question and are scored by being alive.
type oracle struct{ mesh.Liveness }

func (oracle) Start(_ context.Context, n *mesh.Node) error {
	n.Handle("Oracle.ask", func(_ context.Context, r *rpc.Request) ([]byte, error) {
		return []byte("42"), nil
	})
	return nil
}

func Example() {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		panic(err)
	}
	n, err := mesh.New(mesh.Config{
		Key: key, Subnet: 128001, Endpoints: []string{"ws://127.0.0.1:9944"}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}, oracle{})
	if err != nil {
		panic(err)
	}
	fmt.Println(n.Status().Phase) // now n.Run(ctx) would wait for registration, join, and block until ctx ends

	// Output: new
}
