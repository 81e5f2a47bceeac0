package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newKey(t testing.TB, kind identity.KeyType) crypto.PrivKey {
	t.Helper()
	key, err := identity.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func idOf(t testing.TB, key crypto.PrivKey) peer.ID {
	t.Helper()
	id, err := identity.PeerID(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newSignature(t testing.TB, key crypto.PrivKey, cfg auth.SignatureConfig) *auth.Signature {
	t.Helper()
	s, err := auth.NewSignature(key, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newNode makes a node whose native protocols nobody else has, so that calls take the Python form.
func newNode(t testing.TB, key crypto.PrivKey, cfg rpc.Config) *rpc.Node {
	t.Helper()
	a, err := multiaddr.NewMultiaddr("/ip4/127.0.0.1/tcp/0")
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.New(p2p.Config{Key: key, Listen: []multiaddr.Multiaddr{a}})
	if err != nil {
		t.Fatal(err)
	}
	n := rpc.NewNode(h, cfg)
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), h.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func connect(t testing.TB, from, to *rpc.Node) {
	t.Helper()
	if err := from.Host().Connect(testContext(t), to.Host().AddrInfo()); err != nil {
		t.Fatal(err)
	}
}

func ping(t testing.TB) []byte {
	t.Helper()
	b, err := proto.Marshal(&dhtpb.PingRequest{Peer: &dhtpb.NodeInfo{NodeId: make([]byte, 20)}, Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAuthMatrix: whatever is wrong with a request's token, in all kinds of calls, the code is the same and
// no handler sees the request.
func TestAuthMatrix(t *testing.T) {
	clientKey, serverKey, otherKey := newKey(t, identity.Ed25519), newKey(t, identity.Ed25519), newKey(t, identity.Ed25519)
	guard := newSignature(t, serverKey, auth.SignatureConfig{})
	server := newNode(t, serverKey, rpc.Config{Namespace: "/s", Python: true, Interceptors: []rpc.Interceptor{guard}})
	client := newNode(t, clientKey, rpc.Config{Namespace: "/c", Python: true})
	connect(t, client, server)

	var handled atomic.Int64
	for _, m := range []rpc.Method{"T.unary", "T.other"} {
		server.Handle(m, func(_ context.Context, r *rpc.Request) ([]byte, error) {
			handled.Add(1)
			return nil, nil
		})
	}
	up := func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		for {
			_, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			handled.Add(1)
			if err := s.Send(nil); err != nil {
				return err
			}
		}
	}
	for _, m := range []rpc.Method{"T.up", "T.down", "T.both"} {
		server.HandleStream(m, up)
	}

	sign := func(key crypto.PrivKey, at time.Duration, to peer.ID) []byte {
		s := newSignature(t, key, auth.SignatureConfig{Now: func() time.Time { return time.Now().Add(at) }})
		signed, _, err := s.SignRequest(to, ping(t))
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	replayed := sign(clientKey, 0, server.ID())
	if _, err := client.Call(testContext(t), server.ID(), "T.unary", replayed); err != nil {
		t.Fatalf("good request: %v", err)
	}
	good := handled.Load()
	flipped := sign(clientKey, 0, server.ID())
	flipped[len(flipped)-1] ^= 1 // the message's last field

	tokens := map[string]struct {
		msg    []byte
		reason auth.Reason
	}{
		"no":                {ping(t), auth.Unsigned},
		"wrong":             {flipped, auth.WrongSignature},
		"expired":           {sign(clientKey, -61*time.Second, server.ID()), auth.WrongTime},
		"future":            {sign(clientKey, 10*time.Minute, server.ID()), auth.WrongTime},
		"replayed":          {replayed, auth.Replayed},
		"other peer":        {sign(otherKey, 0, server.ID()), auth.WrongPeer},
		"other method":      {replayed, auth.Replayed}, // spent on T.unary, tried on the others
		"for somebody else": {sign(clientKey, 0, idOf(t, otherKey)), auth.WrongRecipient},
		"truncated":         {sign(clientKey, 0, server.ID())[:100], auth.Malformed},
		"empty":             {nil, auth.Unsigned},
		"NaN time":          {withTime(t, clientKey, math.NaN()), auth.WrongTime},
	}
	for name, tt := range tokens {
		for _, m := range []rpc.Method{"T.unary", "T.other", "T.up", "T.down", "T.both"} {
			t.Run(fmt.Sprintf("%s/%s", name, m), func(t *testing.T) {
				before := guard.Rejections()[tt.reason]
				err := callAny(t, client, server.ID(), m, tt.msg)
				if rpc.CodeOf(err) != rpc.Unauthenticated || !rpc.IsRemote(err) {
					t.Errorf("caller got %v", err)
				}
				if got := guard.Rejections()[tt.reason]; got != before+1 {
					t.Errorf("%q counted %d times; all: %v", tt.reason, got-before, guard.Rejections())
				}
			})
		}
	}
	if got := handled.Load(); got != good {
		t.Errorf("handlers saw %d refused requests", got-good)
	}
}

// withTime signs a request whose time is nonsense.
func withTime(t *testing.T, key crypto.PrivKey, seconds float64) []byte {
	t.Helper()
	s := newSignature(t, key, auth.SignatureConfig{})
	signed, _, err := s.SignRequest(idOf(t, key), ping(t))
	if err != nil {
		t.Fatal(err)
	}
	var msg dhtpb.PingRequest
	if err := proto.Unmarshal(signed, &msg); err != nil {
		t.Fatal(err)
	}
	msg.Auth.Time, msg.Auth.ServicePublicKey, msg.Auth.Signature = seconds, nil, nil
	unsigned, err := proto.Marshal(&msg)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := identity.SignText(key, unsigned)
	if err != nil {
		t.Fatal(err)
	}
	msg.Auth.Signature = []byte(sig)
	signed, err = proto.Marshal(&msg)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func callAny(t *testing.T, n *rpc.Node, to peer.ID, m rpc.Method, msg []byte) error {
	t.Helper()
	ctx := testContext(t)
	if m == "T.unary" || m == "T.other" {
		_, err := n.Call(ctx, to, m, msg)
		return err
	}
	s, err := n.Stream(ctx, to, m)
	if err != nil {
		return err
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := errors.Join(s.Send(msg), s.CloseSend()); err != nil {
		return err
	}
	_, err = s.Recv()
	return err
}

// Two nodes with signatures on, of all kinds of keys, understand each other in all kinds of calls.
func TestSignedCalls(t *testing.T) {
	for _, clientKind := range []identity.KeyType{identity.Ed25519, identity.RSA} {
		for _, serverKind := range []identity.KeyType{identity.Ed25519, identity.RSA} {
			for _, namespace := range []string{"/s", "/c"} {
				t.Run(fmt.Sprintf("%s to %s on %s", clientKind, serverKind, namespace), func(t *testing.T) {
					clientKey, serverKey := newKey(t, clientKind), newKey(t, serverKind)
					cs, ss := newSignature(t, clientKey, auth.SignatureConfig{}), newSignature(t, serverKey, auth.SignatureConfig{})
					server := newNode(t, serverKey, rpc.Config{Namespace: namespace, Python: true, Interceptors: []rpc.Interceptor{ss}})
					client := newNode(t, clientKey, rpc.Config{Namespace: "/c", Python: true, Interceptors: []rpc.Interceptor{cs}})
					connect(t, client, server)
					awaitNative(t, client, server, namespace == "/c")
					testSignedCalls(t, client, server, namespace == "/c")
					if got := len(cs.Rejections()) + len(ss.Rejections()); got != 0 {
						t.Errorf("rejections: %v, %v", cs.Rejections(), ss.Rejections())
					}
				})
			}
		}
	}
}

// awaitNative waits until the client has heard which form the server speaks; until then it uses the Python
// form, which works as well.
func awaitNative(t *testing.T, client, server *rpc.Node, want bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx := testContext(t)
	for {
		if native, err := client.Native(ctx, server.ID()); err != nil || native == want {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		<-tick.C
	}
}

func testSignedCalls(t *testing.T, client, server *rpc.Node, native bool) {
	t.Helper()
	ctx := testContext(t)
	rpc.HandleProto(server, "DHTProtocol.rpc_ping",
		func(_ context.Context, _ peer.ID, req *dhtpb.PingRequest) (*dhtpb.PingResponse, error) {
			if (req.GetAuth() == nil) != native {
				return nil, rpc.Errorf(rpc.Internal, "auth part: %v", req.GetAuth())
			}
			return &dhtpb.PingResponse{Available: req.GetValidate()}, nil
		})
	req := &dhtpb.PingRequest{Validate: true}
	for range 3 {
		resp, err := rpc.CallProto[dhtpb.PingResponse](ctx, client, server.ID(), "DHTProtocol.rpc_ping", req)
		if err != nil || !resp.GetAvailable() {
			t.Fatalf("%v, %v", resp, err)
		}
		if (resp.GetAuth() == nil) != native {
			t.Errorf("auth part of the response: %v", resp.GetAuth())
		}
	}
	if diff := cmp.Diff(req.GetAuth(), (*dhtpb.PingRequest)(nil).GetAuth()); diff != "" {
		t.Errorf("the caller's message was changed: %s", diff)
	}
	server.HandleStream("T.repeat", func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		item, err := s.Recv()
		for range 3 {
			if err == nil {
				err = s.Send(item)
			}
		}
		return err
	})
	s, err := client.Stream(ctx, server.ID(), "T.repeat")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := errors.Join(s.Send(ping(t)), s.CloseSend()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		item, err := s.Recv()
		var msg dhtpb.PingRequest
		if err != nil || proto.Unmarshal(item, &msg) != nil || !msg.GetValidate() {
			t.Fatalf("item %x, %v", item, err)
		}
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

// A response must come from the peer that was called, answer this request, and be signed.
func TestResponses(t *testing.T) {
	clientKey, serverKey, otherKey := newKey(t, identity.Ed25519), newKey(t, identity.Ed25519), newKey(t, identity.Ed25519)
	client := newSignature(t, clientKey, auth.SignatureConfig{})
	server, other := newSignature(t, serverKey, auth.SignatureConfig{}), newSignature(t, otherKey, auth.SignatureConfig{})
	respond := func(s *auth.Signature, nonce string) []byte {
		b, err := s.SignResponse([]byte(nonce), []byte{0x28, 1})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	id := idOf(t, serverKey)
	if err := client.VerifyResponse(id, []byte("nonce"), respond(server, "nonce")); err != nil {
		t.Errorf("good response: %v", err)
	}
	broken := respond(server, "nonce")
	broken[len(broken)-1] ^= 1
	for name, tt := range map[string]struct {
		msg    []byte
		reason auth.Reason
	}{
		"unsigned":      {[]byte{0x28, 1}, auth.Unsigned},
		"other nonce":   {respond(server, "ecnon"), auth.WrongNonce},
		"other signer":  {respond(other, "nonce"), auth.WrongPeer},
		"changed":       {broken, auth.WrongSignature},
		"no message":    {[]byte{0xff}, auth.Malformed},
		"a request":     {mustRequest(t, server, id), auth.Malformed},
		"empty message": {nil, auth.Unsigned},
	} {
		err := client.VerifyResponse(id, []byte("nonce"), tt.msg)
		if reason, ok := auth.ReasonOf(err); !ok || reason != tt.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustRequest(t *testing.T, s *auth.Signature, to peer.ID) []byte {
	t.Helper()
	b, _, err := s.SignRequest(to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// As in Python, AnySigner lets a third party's request pass, once.
func TestAnySigner(t *testing.T) {
	clientKey, serverKey := newKey(t, identity.Ed25519), newKey(t, identity.Ed25519)
	client, server := newSignature(t, clientKey, auth.SignatureConfig{}), newSignature(t, serverKey, auth.SignatureConfig{AnySigner: true})
	msg, _, err := client.SignRequest(idOf(t, serverKey), ping(t))
	if err != nil {
		t.Fatal(err)
	}
	stranger := idOf(t, newKey(t, identity.Ed25519))
	if _, err := server.VerifyRequest(stranger, msg); err != nil {
		t.Errorf("forwarded request: %v", err)
	}
	if _, err := server.VerifyRequest(stranger, msg); err == nil {
		t.Error("accepted twice")
	}
}

func TestStake(t *testing.T) {
	clientKey, serverKey := newKey(t, identity.Ed25519), newKey(t, identity.Ed25519)
	var staked atomic.Bool
	stake := auth.NewStake(p2p.GateFunc(func(peer.ID) p2p.Decision {
		return p2p.Decision{OK: staked.Load(), Reason: "no stake on the chain"}
	}))
	server := newNode(t, serverKey, rpc.Config{Interceptors: []rpc.Interceptor{stake}})
	client := newNode(t, clientKey, rpc.Config{})
	connect(t, client, server)
	echo := func(_ context.Context, r *rpc.Request) ([]byte, error) { return r.Data, nil }
	server.Handle("T.unary", echo)
	server.Handle("T.open", echo, rpc.WithoutInterceptors())
	client.Handle("T.unary", echo)
	server.HandleStream("T.up", func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error { return s.Send(nil) })

	for _, want := range []rpc.Code{rpc.PermissionDenied, rpc.OK} {
		for _, m := range []rpc.Method{"T.unary", "T.up"} {
			if err := callAny(t, client, server.ID(), m, nil); rpc.CodeOf(err) != want {
				t.Errorf("%s: %v, want %v", m, err, want)
			}
		}
		if err := callAny(t, server, client.ID(), "T.unary", nil); rpc.CodeOf(err) != want || rpc.IsRemote(err) {
			t.Errorf("calling the peer: %v, want %v", err, want)
		}
		if err := callAny(t, server, server.ID(), "T.unary", nil); err != nil {
			t.Errorf("calling oneself: %v", err)
		}
		if _, err := client.Call(testContext(t), server.ID(), "T.open", nil); err != nil {
			t.Errorf("unprotected method: %v", err)
		}
		staked.Store(true)
	}
	if got := stake.Rejections()[auth.NotStaked]; got != 3 {
		t.Errorf("counted %d rejections, want 3", got)
	}
}

func TestRateLimitAndBan(t *testing.T) {
	now := time.Unix(0, 0)
	clock := func() time.Time { return now }
	ban := auth.NewBan(auth.BanConfig{Now: clock})
	limit, err := auth.NewRateLimit(auth.RateConfig{
		Peer: auth.Rate{PerSecond: 10, Burst: 20}, Methods: map[rpc.Method]auth.Rate{"slow": {PerSecond: 1, Burst: 2}},
		Ban: ban, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	serve := limit.Server(func(context.Context, *rpc.Request) ([]byte, error) { served++; return nil, nil })
	try := func(p peer.ID, m rpc.Method, n int) int {
		served = 0
		for range n {
			if _, err := serve(context.Background(), &rpc.Request{Peer: p, Method: m}); err != nil {
				if rpc.CodeOf(err) != rpc.ResourceExhausted {
					t.Errorf("refused with %v", err)
				}
			}
		}
		return served
	}
	if got := try("a", "fast", 30); got != 20 {
		t.Errorf("burst: %d", got)
	}
	if got := try("b", "slow", 10); got != 2 {
		t.Errorf("slow burst: %d", got)
	}
	now = now.Add(time.Second)
	if got := try("a", "fast", 30); got != 10 {
		t.Errorf("a second later: %d", got)
	}
	if got := try("b", "slow", 10); got != 1 {
		t.Errorf("slow, a second later: %d", got)
	}
	if got := len(ban.List()); got != 0 {
		t.Fatalf("banned: %v", ban.List())
	}
	try("a", "fast", 100)
	if until := ban.List()["a"]; !until.Equal(now.Add(5*time.Minute)) || ban.Admit("a").OK || !ban.Admit("b").OK {
		t.Errorf("bans: %v", ban.List())
	}
	if until := ban.Strike("a"); !until.Equal(now.Add(time.Hour)) {
		t.Errorf("second strike until %v", until)
	}
	if until := ban.Strike("a"); !until.Equal(now.Add(24 * time.Hour)) {
		t.Errorf("third strike until %v", until)
	}
	gate := ban.Gate(p2p.GateFunc(func(p peer.ID) p2p.Decision { return p2p.Decision{OK: p != "c"} }))
	if gate.Admit("a").OK || !gate.Admit("b").OK || gate.Admit("c").OK {
		t.Error("gate does not join both answers")
	}
	now = now.Add(24 * time.Hour)
	if !ban.Admit("a").OK {
		t.Error("ban does not end")
	}
	if until := ban.Strike("a"); !until.Equal(now.Add(24 * time.Hour)) {
		t.Errorf("strike within a day until %v", until)
	}
	ban.Lift("a")
	if !ban.Admit("a").OK {
		t.Error("lifted ban holds")
	}
	for _, bad := range []auth.RateConfig{{Peer: auth.Rate{PerSecond: -1, Burst: 1}}, {Methods: map[rpc.Method]auth.Rate{"m": {}}}} {
		if _, err := auth.NewRateLimit(bad); err == nil {
			t.Errorf("%+v accepted", bad)
		}
	}
}
