package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/p2p"
)

// Config describes a Node. The zero value is usable.
type Config struct {
	Namespace       string        // native protocol prefix, "/mesh/<genesis hex 8>/<subnet>"
	Python          bool          // also serve and speak the bare protocol IDs of Python daemons
	Interceptors    []Interceptor // outermost first, on both sides
	MaxMessage      int           // bytes of one message; 0: 4 MiB
	Deadline        time.Duration // for calls whose context has none; 0: 10 s
	MaxInFlight     int           // calls served at once; 0: 1024
	MaxInFlightPeer int           // calls served at once for one peer; 0: 64
	MaxOutgoing     int           // calls made at once; 0: 4096
	MaxOutgoingPeer int           // calls made at once to one peer; 0: 64
	Logger          *slog.Logger  // nil: silent
}

// Node makes and serves calls on one host.
type Node struct{ h *p2p.Host }

// NewNode serves on h.
func NewNode(h *p2p.Host, cfg Config) *Node { return &Node{h: h} }

// Host returns the host that the node runs on.
func (n *Node) Host() *p2p.Host { return n.h }

// HandlerOption changes how one method is served.
type HandlerOption func(*handlerOptions)

type handlerOptions struct{}

// Handle serves a unary method.
func (n *Node) Handle(m Method, h UnaryHandler, opts ...HandlerOption) {}

// HandleStream serves a streaming method.
func (n *Node) HandleStream(m Method, h StreamHandler, opts ...HandlerOption) {}

// Remove stops serving a method.
func (n *Node) Remove(m Method) {}

// Call performs a unary call.
func (n *Node) Call(ctx context.Context, to peer.ID, m Method, data []byte) ([]byte, error) {
	return nil, errors.New("rpc: not built yet")
}

// Stream opens a streaming call.
func (n *Node) Stream(ctx context.Context, to peer.ID, m Method) (*ClientStream, error) {
	return nil, errors.New("rpc: not built yet")
}

// Close ends all calls.
func (n *Node) Close() error { return nil }
