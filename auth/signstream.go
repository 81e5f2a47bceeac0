package auth

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/rpc"
)

// ClientStream implements rpc.StreamInterceptor: every item sent is a signed request, every item received
// must answer one of them.
func (s *Signature) ClientStream(next rpc.Opener) rpc.Opener {
	return func(ctx context.Context, to peer.ID, m rpc.Method) (*rpc.ClientStream, error) {
		free, err := s.free(ctx, to)
		if err != nil {
			return nil, err
		}
		if free {
			return next(ctx, to, m)
		}
		stream, err := next(s.pinned(ctx), to, m)
		if err != nil {
			return nil, err
		}
		nonces := &streamNonces{}
		stream.Wrap(func(item []byte) ([]byte, error) {
			signed, nonce, err := s.SignRequest(to, item)
			if err == nil {
				nonces.note(nonce)
			}
			return signed, err
		}, func(item []byte) ([]byte, error) {
			return item, s.VerifyResponse(to, nonces.first(), item)
		})
		return stream, nil
	}
}

// ServerStream implements rpc.StreamInterceptor.
func (s *Signature) ServerStream(next rpc.StreamHandler) rpc.StreamHandler {
	return func(ctx context.Context, req *rpc.Request, stream *rpc.ServerStream) error {
		if req.Native && !s.cfg.Strict {
			return next(ctx, req, stream)
		}
		nonces := &streamNonces{}
		stream.Wrap(func(item []byte) ([]byte, error) {
			nonce := nonces.first()
			if nonce == nil { // nothing received yet, so there is nobody to answer
				return nil, s.reject(Unsigned, "answer before the first request")
			}
			return s.SignResponse(nonce, item)
		}, func(item []byte) ([]byte, error) {
			nonce, err := s.VerifyRequest(req.Peer, item)
			if err != nil {
				return nil, err
			}
			nonces.note(nonce)
			return item, nil
		})
		return next(ctx, req, stream)
	}
}

// streamNonces holds the nonce of a stream's first request, which all answers carry.
type streamNonces struct {
	mu    sync.Mutex // guards nonce
	nonce []byte
}

func (n *streamNonces) note(nonce []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nonce == nil {
		n.nonce = nonce
	}
}

func (n *streamNonces) first() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nonce
}
