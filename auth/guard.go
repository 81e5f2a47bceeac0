package auth

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Checker answers whether a peer holds the stake that is asked for. Package stake implements it.
type Checker interface {
	// Admit MUST answer from memory and MUST be safe for concurrent use.
	Admit(p peer.ID) p2p.Decision
}

// guard is an interceptor that asks one question about the peer, before serving and, if both is set, before
// calling it. Calls to oneself pass.
type guard struct {
	self  peer.ID
	serve func(p peer.ID, m rpc.Method) error
	both  bool
}

func (g *guard) bind(n *rpc.Node) { g.self = n.ID() }

func (g *guard) ask(p peer.ID, m rpc.Method) error {
	if p == g.self {
		return nil
	}
	return g.serve(p, m)
}

// Client implements rpc.Interceptor.
func (g *guard) Client(next rpc.UnaryCall) rpc.UnaryCall {
	if !g.both {
		return next
	}
	return func(ctx context.Context, to peer.ID, m rpc.Method, data []byte) ([]byte, error) {
		if err := g.ask(to, m); err != nil {
			return nil, err
		}
		return next(ctx, to, m, data)
	}
}

// Server implements rpc.Interceptor.
func (g *guard) Server(next rpc.UnaryHandler) rpc.UnaryHandler {
	return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		if err := g.ask(req.Peer, req.Method); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// ClientStream implements rpc.StreamInterceptor.
func (g *guard) ClientStream(next rpc.Opener) rpc.Opener {
	if !g.both {
		return next
	}
	return func(ctx context.Context, to peer.ID, m rpc.Method) (*rpc.ClientStream, error) {
		if err := g.ask(to, m); err != nil {
			return nil, err
		}
		return next(ctx, to, m)
	}
}

// ServerStream implements rpc.StreamInterceptor.
func (g *guard) ServerStream(next rpc.StreamHandler) rpc.StreamHandler {
	return func(ctx context.Context, req *rpc.Request, stream *rpc.ServerStream) error {
		if err := g.ask(req.Peer, req.Method); err != nil {
			return err
		}
		return next(ctx, req, stream)
	}
}

// Stake serves and calls only peers that a Checker admits. Since the channel proves who the peer is, that
// covers requests and responses alike. Peers that lose their stake in the middle of a stream are the
// business of the host's gate, which closes the connection.
type Stake struct {
	tally
	guard
}

var (
	_ rpc.StreamInterceptor = (*Stake)(nil)
	_ rpc.Binder            = (*Stake)(nil)
)

// NewStake asks the checker about every peer.
func NewStake(c Checker) *Stake {
	s := &Stake{}
	s.guard = guard{both: true, serve: func(p peer.ID, _ rpc.Method) error {
		if d := c.Admit(p); !d.OK {
			return s.reject(NotStaked, d.Reason)
		}
		return nil
	}}
	return s
}

// Bind implements rpc.Binder.
func (s *Stake) Bind(n *rpc.Node) { s.bind(n) }
