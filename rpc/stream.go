package rpc

import (
	"context"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

var _ = io.EOF
var _ context.Context

type pyItems struct{}

func (n *Node) serveStream(s network.Stream, h *handler, f pyItems) { n.reset(s) }
func (n *Node) serveNativeStream(s network.Stream)                  { n.reset(s) }
func (n *Node) openStream(ctx context.Context, to peer.ID, m Method) (*ClientStream, error) {
	return nil, unknownMethod
}

type ClientStream struct{}
type ServerStream struct{}

// Send sends one item.
func (s *ClientStream) Send(item []byte) error { return unknownMethod }

// CloseSend tells the server that no more items follow.
func (s *ClientStream) CloseSend() error { return nil }

// Recv returns the next item, or io.EOF after the last.
func (s *ClientStream) Recv() ([]byte, error) { return nil, unknownMethod }

// Close ends the call; the server's context is cancelled if it still runs.
func (s *ClientStream) Close() error { return nil }

// Send sends one item.
func (s *ServerStream) Send(item []byte) error { return unknownMethod }

// Recv returns the next item, or io.EOF after the last.
func (s *ServerStream) Recv() ([]byte, error) { return nil, unknownMethod }

// Stream opens a streaming call.
func (n *Node) Stream(ctx context.Context, to peer.ID, m Method) (*ClientStream, error) {
	return nil, unknownMethod
}
