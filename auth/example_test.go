package auth_test

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Interceptors are given to rpc.Config in the order in which a call meets them. Here one is asked directly.
func Example() {
	ban := auth.NewBan(auth.BanConfig{})
	stake := auth.NewStake(p2p.GateFunc(func(p peer.ID) p2p.Decision {
		return p2p.Decision{OK: p == "member", Reason: "no stake"}
	}))
	serve := func(_ context.Context, r *rpc.Request) ([]byte, error) { return r.Data, nil }
	guarded := ban.Server(stake.Server(serve))

	ask := func(p peer.ID) {
		_, err := guarded(context.Background(), &rpc.Request{Peer: p, Method: "Test.echo"})
		fmt.Println(string(p)+":", rpc.CodeOf(err))
	}
	ask("member")
	ask("stranger")
	ban.Until("member", time.Now().Add(time.Minute))
	ask("member")
	// Output:
	// member: OK
	// stranger: PermissionDenied
	// member: PermissionDenied
}
