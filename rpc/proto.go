package rpc

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// Message is a pointer to a generated protobuf message.
type Message[T any] interface {
	*T
	proto.Message
}

// HandleProto serves a unary method whose messages are protobuf.
func HandleProto[Req, Resp any, PReq Message[Req], PResp Message[Resp]](
	n *Node, m Method, h func(ctx context.Context, from peer.ID, req *Req) (*Resp, error), opts ...HandlerOption,
) {
	n.Handle(m, func(ctx context.Context, r *Request) ([]byte, error) {
		in := new(Req)
		if err := proto.Unmarshal(r.Data, PReq(in)); err != nil {
			return nil, &Error{Code: InvalidArgument, Msg: "malformed message", cause: err}
		}
		out, err := h(ctx, r.Peer, in)
		if err != nil {
			return nil, err
		}
		return marshal(PResp(out))
	}, opts...)
}

// CallProto performs a unary call whose messages are protobuf.
func CallProto[Resp any, PResp Message[Resp]](
	ctx context.Context, n *Node, to peer.ID, m Method, req proto.Message,
) (*Resp, error) {
	data, err := marshal(req)
	if err != nil {
		return nil, err
	}
	answer, err := n.Call(ctx, to, m, data)
	if err != nil {
		return nil, err
	}
	out := new(Resp)
	if err := proto.Unmarshal(answer, PResp(out)); err != nil {
		return nil, &Error{Code: Internal, Msg: "malformed answer", Remote: true, Peer: to, Method: m, cause: err}
	}
	return out, nil
}

func marshal(m proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, &Error{Code: Internal, Msg: "marshal", cause: err}
	}
	return data, nil
}

// ItemSender is the sending half of either end of a streaming call.
type ItemSender interface{ Send(item []byte) error }

// ItemReceiver is the receiving half of either end of a streaming call.
type ItemReceiver interface{ Recv() ([]byte, error) }

// SendProto sends a protobuf message as one item.
func SendProto(s ItemSender, m proto.Message) error {
	data, err := marshal(m)
	if err != nil {
		return err
	}
	return s.Send(data)
}

// RecvProto receives one item as a protobuf message; io.EOF ends the items.
func RecvProto[T any, PT Message[T]](s ItemReceiver) (*T, error) {
	data, err := s.Recv()
	if err != nil {
		return nil, err
	}
	m := new(T)
	if err := proto.Unmarshal(data, PT(m)); err != nil {
		return nil, &Error{Code: InvalidArgument, Msg: "malformed message", cause: err}
	}
	return m, nil
}
