package rpc

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Method names a remote procedure, "Service.method"; it is the name of the Python handler too.
type Method string

// Request is what a handler is given. Data belongs to the handler.
type Request struct {
	Method Method
	Peer   peer.ID // the authenticated remote
	Native bool    // the call came in the native form, or from the node itself
	Data   []byte  // nil for streaming methods
}

// UnaryHandler serves one call. The returned bytes must not be changed afterwards. An *Error reaches the
// caller with its code and text; any other error reaches it as Internal without text.
type UnaryHandler func(ctx context.Context, req *Request) ([]byte, error)

// UnaryCall performs one call. The returned bytes belong to the caller.
type UnaryCall func(ctx context.Context, to peer.ID, m Method, data []byte) ([]byte, error)

// StreamHandler serves one streaming call; returning ends the stream.
type StreamHandler func(ctx context.Context, req *Request, stream *ServerStream) error

// Interceptor wraps unary calls on both sides.
type Interceptor interface {
	Client(next UnaryCall) UnaryCall
	Server(next UnaryHandler) UnaryHandler
}

// Opener opens one streaming call.
type Opener func(ctx context.Context, to peer.ID, m Method) (*ClientStream, error)

// StreamInterceptor is an Interceptor that guards streaming calls as well. A node with an interceptor that
// is no StreamInterceptor refuses streaming calls.
type StreamInterceptor interface {
	Interceptor
	ClientStream(next Opener) Opener
	ServerStream(next StreamHandler) StreamHandler
}

// Binder is an Interceptor that wants to know its node, for Node.Native. NewNode calls Bind once, before any
// call.
type Binder interface {
	Bind(n *Node)
}
