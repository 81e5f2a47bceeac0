// Command hello is a whole subnet: its nodes greet each other, and whoever answers is worth something.
//
//	go run ./examples/hello
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/subnet"
)

const greet rpc.Method = "Hello.greet"

type hello struct{ node *mesh.Node }

// Start serves the subnet's one method.
func (h *hello) Start(_ context.Context, n *mesh.Node) error {
	h.node = n
	n.Handle(greet, func(_ context.Context, r *rpc.Request) ([]byte, error) {
		return fmt.Appendf(nil, "hello, %s", r.Data), nil
	})
	return nil
}

// Score gives every node that greets back the score 1.
func (h *hello) Score(ctx context.Context, r mesh.Round) (mesh.Opinion, error) {
	name := fmt.Sprintf("node %d", h.node.ID())
	return r.ScoreEach(ctx, func(ctx context.Context, p mesh.Peer) (chain.Score, error) {
		answer, err := h.node.Call(ctx, p.PeerID, greet, []byte(name))
		if err != nil {
			return chain.Score{}, err
		}
		if !strings.HasSuffix(string(answer), name) {
			return chain.Score{}, errors.New("it greets somebody else")
		}
		return chain.OneTensor(), nil
	})
}

func main() { subnet.Main("hello", &hello{}) }
