package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	defaultWindow    = 60 * time.Second // what Python nodes accept
	defaultNonces    = 1 << 18          // about 12 MiB
	defaultPerSigner = 1 << 15          // 180 requests per second without end
	tokenLife        = time.Minute      // what Python nodes write; nobody checks it
	keyCache         = 4096             // parsed keys kept
	nonceSize        = 8                // what Python nodes send
)

// SignatureConfig describes a Signature. Every zero value is a usable default.
type SignatureConfig struct {
	// Window is how far a request's time may lie from ours, either way. Default 60 s; a larger one needs more
	// memory against replay, a smaller one refuses nodes whose clocks differ.
	Window time.Duration

	// MaxNonces bounds the requests remembered, MaxNoncesPerSigner those of one signer. Beyond them, requests
	// are refused until old ones are forgotten. Defaults 262,144 and 32,768.
	MaxNonces          int
	MaxNoncesPerSigner int

	// AnySigner accepts messages signed by others than the peer at the other end of the channel, as Python
	// nodes do. It lets whoever receives a request pass it on in the signer's name. Default: off.
	AnySigner bool

	// Strict demands signatures on native calls as well, whose channel already proves the peer. For tests.
	Strict bool

	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Signature signs requests and responses the way Python nodes do, and checks theirs: who signed, for whom,
// when, and whether it was seen before. Calls in the native form need no signatures; the channel proves the
// peer. A Signature belongs to one node.
type Signature struct {
	tally
	cfg   SignatureConfig
	key   crypto.PrivKey
	text  string // OpenSSH text of key
	self  peer.ID
	seen  *nonces
	keys  *lru.Cache[string, signer]
	texts *lru.Cache[peer.ID, string] // OpenSSH texts of recipients
	node  *rpc.Node                   // nil until Bind

	mu      sync.Mutex // guards the fields below
	token   []byte     // encoded
	renewal time.Time
}

var (
	_ rpc.StreamInterceptor = (*Signature)(nil)
	_ rpc.Binder            = (*Signature)(nil)
)

// signer is a parsed key.
type signer struct {
	key crypto.PubKey
	id  peer.ID
}

// NewSignature signs with key, which should be the host's own.
func NewSignature(key crypto.PrivKey, cfg SignatureConfig) (*Signature, error) {
	self, err := identity.PeerID(key)
	if err != nil {
		return nil, fmt.Errorf("auth: signature: %w", err)
	}
	if cfg.Window <= 0 {
		cfg.Window = defaultWindow
	}
	if cfg.MaxNonces <= 0 {
		cfg.MaxNonces = defaultNonces
	}
	if cfg.MaxNoncesPerSigner <= 0 {
		cfg.MaxNoncesPerSigner = defaultPerSigner
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	keys, err := lru.New[string, signer](keyCache)
	if err != nil {
		return nil, fmt.Errorf("auth: signature: %w", err)
	}
	texts, err := lru.New[peer.ID, string](keyCache)
	if err != nil {
		return nil, fmt.Errorf("auth: signature: %w", err)
	}
	return &Signature{
		texts: texts, cfg: cfg, key: key, text: identity.OpenSSH(key.GetPublic()), self: self, keys: keys,
		seen: newNonces(cfg.Window, cfg.MaxNonces, cfg.MaxNoncesPerSigner),
	}, nil
}

// Bind implements rpc.Binder.
func (s *Signature) Bind(n *rpc.Node) { s.node = n }

// free tells whether calls to a peer need no signature.
func (s *Signature) free(ctx context.Context, to peer.ID) (bool, error) {
	if s.cfg.Strict || s.node == nil {
		return false, nil
	}
	return s.node.Native(ctx, to)
}

// pinned keeps a signed call in the form that signatures are for.
func (s *Signature) pinned(ctx context.Context) context.Context {
	if s.cfg.Strict {
		return ctx
	}
	return rpc.InPythonForm(ctx)
}

// Client implements rpc.Interceptor.
func (s *Signature) Client(next rpc.UnaryCall) rpc.UnaryCall {
	return func(ctx context.Context, to peer.ID, m rpc.Method, data []byte) ([]byte, error) {
		free, err := s.free(ctx, to)
		if err != nil {
			return nil, err
		}
		if free {
			return next(ctx, to, m, data)
		}
		signed, nonce, err := s.SignRequest(to, data)
		if err != nil {
			return nil, err
		}
		out, err := next(s.pinned(ctx), to, m, signed)
		if err != nil {
			return nil, err
		}
		if err := s.VerifyResponse(to, nonce, out); err != nil {
			return nil, err
		}
		return out, nil
	}
}

// Server implements rpc.Interceptor.
func (s *Signature) Server(next rpc.UnaryHandler) rpc.UnaryHandler {
	return func(ctx context.Context, req *rpc.Request) ([]byte, error) {
		if req.Native && !s.cfg.Strict {
			return next(ctx, req)
		}
		nonce, err := s.VerifyRequest(req.Peer, req.Data)
		if err != nil {
			return nil, err
		}
		out, err := next(ctx, req)
		if err != nil {
			return nil, err
		}
		return s.SignResponse(nonce, out)
	}
}

// SignRequest returns the message with an authentication part for the recipient, and the part's nonce. The
// message given is not changed; a part that it holds already is replaced.
func (s *Signature) SignRequest(to peer.ID, msg []byte) (signed, nonce []byte, err error) {
	_, rest, ok := split(msg)
	if !ok {
		return nil, nil, errNotMessage
	}
	nonce = make([]byte, nonceSize)
	if _, err := rand.Read(nonce); err != nil {
		return nil, nil, fmt.Errorf("auth: nonce: %w", err)
	}
	now := s.cfg.Now()
	token, err := s.freshToken(now)
	if err != nil {
		return nil, nil, err
	}
	part := requestPart(token, s.recipient(to), float64(now.UnixNano())/1e9, nonce)
	sig, err := identity.SignText(s.key, join(part, rest))
	if err != nil {
		return nil, nil, fmt.Errorf("auth: %w", err)
	}
	return join(appendBytes(part, requestSignature, sig), rest), nonce, nil
}

// errNotMessage reports a message of ours that cannot carry an authentication part.
var errNotMessage = errors.New("auth: not a protobuf message with an authentication part in field 1")

// recipient is the key text of a peer: from its ID, which holds short keys, or from the channel to it. Peers
// that are neither stay unnamed, as in Python.
func (s *Signature) recipient(to peer.ID) string {
	if text, ok := s.texts.Get(to); ok {
		return text
	}
	key, err := to.ExtractPublicKey()
	if err != nil && s.node != nil {
		key = s.node.Host().Libp2p().Peerstore().PubKey(to)
	}
	if key == nil {
		return ""
	}
	text := identity.OpenSSH(key)
	s.texts.Add(to, text)
	return text
}

// SignResponse returns the message with an authentication part that answers a request's nonce.
func (s *Signature) SignResponse(nonce, msg []byte) ([]byte, error) {
	_, rest, ok := split(msg)
	if !ok {
		return nil, errNotMessage
	}
	token, err := s.freshToken(s.cfg.Now())
	if err != nil {
		return nil, err
	}
	part := responsePart(token, nonce)
	sig, err := identity.SignText(s.key, join(part, rest))
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return join(appendBytes(part, responseSignature, sig), rest), nil
}

// VerifyRequest checks a request that came from a peer and returns its nonce. Errors wrap a *Rejection.
func (s *Signature) VerifyRequest(from peer.ID, msg []byte) (nonce []byte, err error) {
	p, by, err := s.open(from, msg, requestFields)
	if err != nil {
		return nil, err
	}
	if p.recipient != "" && p.recipient != s.text {
		return nil, s.reject(WrongRecipient, "")
	}
	now := s.cfg.Now()
	skew := p.time - float64(now.UnixNano())/1e9
	if math.IsNaN(skew) || math.Abs(skew) > s.cfg.Window.Seconds() {
		return nil, s.reject(WrongTime, fmt.Sprintf("%.1f s apart", skew))
	}
	if err := identity.VerifyTextLenient(by.key, p.unsigned, p.signature); err != nil {
		return nil, s.reject(WrongSignature, "")
	}
	switch s.seen.add(now, by.id, p.nonce) {
	case nonceSeen:
		return nil, s.reject(Replayed, "")
	case nonceFull:
		return nil, s.reject(MemoryFull, "")
	case nonceNew:
	}
	return p.nonce, nil
}

// VerifyResponse checks a peer's answer to the request with the given nonce. Errors wrap a *Rejection.
func (s *Signature) VerifyResponse(from peer.ID, nonce, msg []byte) error {
	p, by, err := s.open(from, msg, responseFields)
	if err != nil {
		return err
	}
	if string(p.nonce) != string(nonce) {
		return s.reject(WrongNonce, "")
	}
	if err := identity.VerifyTextLenient(by.key, p.unsigned, p.signature); err != nil {
		return s.reject(WrongSignature, "")
	}
	return nil
}

// open reads the part of a message and who claims to have signed it.
func (s *Signature) open(from peer.ID, msg []byte, f fieldNumbers) (part, signer, error) {
	auth, rest, ok := split(msg)
	switch {
	case !ok:
		return part{}, signer{}, s.reject(Malformed, "")
	case len(auth) == 0:
		return part{}, signer{}, s.reject(Unsigned, "")
	}
	p, ok := parse(auth, rest, f)
	if !ok {
		return part{}, signer{}, s.reject(Malformed, "")
	}
	by, ok := s.keys.Get(p.key)
	if !ok {
		key, err := identity.ParseOpenSSH(p.key)
		if err != nil {
			return part{}, signer{}, s.reject(WrongKey, err.Error())
		}
		id, err := identity.PublicPeerID(key)
		if err != nil {
			return part{}, signer{}, s.reject(WrongKey, err.Error())
		}
		by = signer{key, id}
		if by.id == from { // strangers' keys must not push out those that are needed
			s.keys.Add(p.key, by)
		}
	}
	if by.id != from && !s.cfg.AnySigner {
		return part{}, signer{}, s.reject(WrongPeer, "")
	}
	return p, by, nil
}

// freshToken returns the encoded access token. It is renewed before it expires, so that most messages cost
// one signature.
func (s *Signature) freshToken(now time.Time) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == nil || !now.Before(s.renewal) || now.Before(s.renewal.Add(-tokenLife)) {
		token, err := encodeToken(s.key, s.text, now.Add(tokenLife))
		if err != nil {
			return nil, err
		}
		s.token, s.renewal = token, now.Add(tokenLife/2)
	}
	return s.token, nil
}

// encodeToken makes a token without user name.
func encodeToken(key crypto.PrivKey, text string, expires time.Time) ([]byte, error) {
	until := pythonTime(expires)
	sig, err := identity.SignText(key, []byte(" b'"+text+"' "+until)) // as Python prints name, key and time
	if err != nil {
		return nil, fmt.Errorf("auth: token: %w", err)
	}
	b := appendBytes(nil, tokenKey, text)
	b = appendBytes(b, tokenExpires, until)
	return appendBytes(b, tokenSignature, sig), nil
}

// pythonTime prints a UTC time as Python's str(datetime) does.
func pythonTime(t time.Time) string {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02 15:04:05-07:00")
	}
	return t.Format("2006-01-02 15:04:05.000000-07:00")
}
