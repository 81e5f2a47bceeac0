package python_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// TestGoCallsPython calls all kinds of methods of a Python peer.
func TestGoCallsPython(t *testing.T) { onEachStack(t, testGoCallsPython) }

func testGoCallsPython(t *testing.T, s stack) {
	t.Helper()
	py := s.start(t)
	n := goNode(t, identity.Ed25519, nil)
	ctx := testContext(t)
	if err := n.Host().Connect(ctx, py.info); err != nil {
		t.Fatal(err)
	}
	to := py.info.ID

	for _, size := range []int{0, 20, 1000, 1 << 20, 3 << 20} {
		payload := bytes.Repeat([]byte{7}, size)
		resp, err := rpc.CallProto[dhtpb.PingResponse](ctx, n, to, unary, request(payload))
		if err != nil || !bytes.Equal(resp.GetPeer().GetNodeId(), payload) || !resp.GetAvailable() {
			t.Fatalf("unary of %d bytes: %v", size, err)
		}
	}
	_, err := rpc.CallProto[dhtpb.PingResponse](ctx, n, to, fail, request(nil))
	if rpc.CodeOf(err) != rpc.Internal || !rpc.IsRemote(err) || !strings.Contains(err.Error(), "it's broken") {
		t.Errorf("exception: %v", err)
	}
	_, err = rpc.CallProto[dhtpb.PingResponse](ctx, n, to, "Interop.rpc_none", request(nil))
	if rpc.CodeOf(err) != rpc.Unimplemented {
		t.Errorf("unknown method: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err = rpc.CallProto[dhtpb.PingResponse](short, n, to, wait, request(nil))
	if rpc.CodeOf(err) != rpc.DeadlineExceeded {
		t.Errorf("deadline: %v", err)
	}
	pollCancelled(t, py)

	testStreamsTo(ctx, t, n, to)
}

// pollCancelled asks until the Python handler has been cancelled.
func pollCancelled(t *testing.T, py *pyPeer) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for py.do(t, "cancelled", py.info.ID, nil).Count != 1 {
		if time.Now().After(deadline) {
			t.Fatal("the Python handler was not cancelled")
		}
	}
}

func testStreamsTo(ctx context.Context, t *testing.T, n *rpc.Node, to peer.ID) {
	t.Helper()
	for _, tt := range []struct {
		method rpc.Method
		send   int
		want   int
	}{{up, 50, 1}, {down, 1, 60}, {both, 40, 40}} {
		s, err := n.Stream(ctx, to, tt.method)
		if err != nil {
			t.Fatal(err)
		}
		for i := range tt.send {
			payload := bytes.Repeat([]byte{byte(i)}, i)
			if tt.method == down {
				payload = []byte{byte(tt.want)}
			}
			if err := rpc.SendProto(s, request(payload)); err != nil {
				t.Fatalf("%s: %v", tt.method, err)
			}
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		got := 0
		for {
			if _, err = rpc.RecvProto[dhtpb.PingResponse](s); err != nil {
				break
			}
			got++
		}
		if !errors.Is(err, io.EOF) || got != tt.want {
			t.Errorf("%s: %d items, %v", tt.method, got, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPythonCallsGo lets a Python peer call all kinds of methods of a Go node.
func TestPythonCallsGo(t *testing.T) { onEachStack(t, testPythonCallsGo) }

func testPythonCallsGo(t *testing.T, s stack) {
	t.Helper()
	n := goNode(t, identity.Ed25519, nil)
	cancelled := make(chan struct{})
	serve(n, cancelled)
	py := s.start(t, append([]string{"--initial_peers"}, addrTexts(n)...)...)

	for _, size := range []int{0, 20, 1000, 1 << 20} {
		payload := strings.Repeat("ab", size)
		if got := py.do(t, "unary", n.ID(), map[string]any{"hex": payload}); got.Hex != payload || got.Error != "" {
			t.Errorf("unary of %d bytes: %d characters, %s", size, len(got.Hex), got.Error)
		}
	}
	if got := py.do(t, "fail", n.ID(), nil); !strings.Contains(got.Error, "NotFound('no such thing')") {
		t.Errorf("error: %q", got.Error)
	}
	if got := py.do(t, "cancel", n.ID(), nil); got.Error != "" {
		t.Errorf("cancel: %s", got.Error)
	}
	<-cancelled
	if got := py.do(t, "up", n.ID(), map[string]any{"count": 30}); got.Error != "" || len(got.Hex) != 30*29 {
		t.Errorf("up: %+v", got)
	}
	if got := py.do(t, "down", n.ID(), map[string]any{"count": 60}); got.Error != "" || got.Items != 60 {
		t.Errorf("down: %+v", got)
	}
	if got := py.do(t, "both", n.ID(), map[string]any{"count": 40}); got.Error != "" || got.Items != 40 {
		t.Errorf("both: %+v", got)
	}
}

// serve gives a Go node the methods of the Python peer.
func serve(n *rpc.Node, cancelled chan<- struct{}) {
	echo := func(_ context.Context, _ peer.ID, req *dhtpb.PingRequest) (*dhtpb.PingResponse, error) {
		return &dhtpb.PingResponse{Peer: req.GetPeer(), Available: true}, nil
	}
	rpc.HandleProto(n, unary, echo)
	rpc.HandleProto(n, signed, echo)
	rpc.HandleProto(n, fail, func(context.Context, peer.ID, *dhtpb.PingRequest) (*dhtpb.PingResponse, error) {
		return nil, rpc.Errorf(rpc.NotFound, "no such thing")
	})
	rpc.HandleProto(n, wait, func(ctx context.Context, _ peer.ID, _ *dhtpb.PingRequest) (*dhtpb.PingResponse, error) {
		<-ctx.Done()
		close(cancelled)
		return nil, ctx.Err()
	})
	n.HandleStream(up, func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		var all []byte
		for {
			req, err := rpc.RecvProto[dhtpb.PingRequest](s)
			if errors.Is(err, io.EOF) {
				return rpc.SendProto(s, &dhtpb.PingResponse{Peer: &dhtpb.NodeInfo{NodeId: all}})
			}
			if err != nil {
				return err
			}
			all = append(all, req.GetPeer().GetNodeId()...)
		}
	})
	n.HandleStream(stream, func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		req, err := rpc.RecvProto[dhtpb.PingRequest](s)
		for i := range int(req.GetPeer().GetNodeId()[0]) {
			if err == nil {
				err = rpc.SendProto(s, &dhtpb.PingResponse{Peer: &dhtpb.NodeInfo{NodeId: []byte{byte(i)}}})
			}
		}
		return err
	})
	n.HandleStream(down, func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		req, err := rpc.RecvProto[dhtpb.PingRequest](s)
		if err != nil {
			return err
		}
		for i := range int(req.GetPeer().GetNodeId()[0]) {
			if err := rpc.SendProto(s, &dhtpb.PingResponse{Peer: &dhtpb.NodeInfo{NodeId: make([]byte, i*1000)}}); err != nil {
				return err
			}
		}
		return nil
	})
	n.HandleStream(both, func(_ context.Context, _ *rpc.Request, s *rpc.ServerStream) error {
		for {
			req, err := rpc.RecvProto[dhtpb.PingRequest](s)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = rpc.SendProto(s, &dhtpb.PingResponse{Peer: req.GetPeer()})
			}
			if err != nil {
				return err
			}
		}
	})
}

// TestPeerRouting: peers that know only each other's IDs find each other through a third one, whichever kind
// it is.
func TestPeerRouting(t *testing.T) { onEachStack(t, testPeerRouting) }

func testPeerRouting(t *testing.T, s stack) {
	t.Helper()
	ctx := testContext(t)
	t.Run("through a Go node", func(t *testing.T) {
		boot, target := goNode(t, identity.Ed25519, nil), goNode(t, identity.RSA, nil)
		serve(target, make(chan struct{}))
		if err := target.Host().Connect(ctx, boot.Host().AddrInfo()); err != nil {
			t.Fatal(err)
		}
		first := s.start(t, append([]string{"--initial_peers"}, addrTexts(boot)...)...)
		second := s.start(t, append([]string{"--initial_peers"}, addrTexts(boot)...)...)
		if got := first.do(t, "unary", target.ID(), map[string]any{"hex": "01"}); got.Hex != "01" {
			t.Errorf("Python to Go: %+v", got)
		}
		if got := first.do(t, "unary", second.info.ID, map[string]any{"hex": "02"}); got.Hex != "02" {
			t.Errorf("Python to Python: %+v", got)
		}
		if _, err := rpc.CallProto[dhtpb.PingResponse](ctx, target, second.info.ID, unary, request(nil)); err != nil {
			t.Errorf("Go to Python: %v", err)
		}
	})
	t.Run("through a Python node", func(t *testing.T) {
		boot := s.start(t)
		a, b := goNode(t, identity.Ed25519, nil), goNode(t, identity.Ed25519, nil)
		serve(b, make(chan struct{}))
		for _, n := range []*rpc.Node{a, b} {
			if err := n.Host().Connect(ctx, boot.info); err != nil {
				t.Fatal(err)
			}
		}
		other := s.start(t, append([]string{"--initial_peers"}, multiaddrTexts(boot.info)...)...)
		if _, err := rpc.CallProto[dhtpb.PingResponse](ctx, a, other.info.ID, unary, request(nil)); err != nil {
			t.Errorf("Go to Python: %v", err)
		}
		if _, err := rpc.CallProto[dhtpb.PingResponse](ctx, a, b.ID(), unary, request(nil)); err != nil {
			t.Errorf("Go to Go: %v", err)
		}
		if got := other.do(t, "unary", b.ID(), map[string]any{"hex": "03"}); got.Hex != "03" {
			t.Errorf("Python to Go: %+v", got)
		}
	})
}

func multiaddrTexts(info peer.AddrInfo) []string {
	addrs, err := peer.AddrInfoToP2pAddrs(&info)
	if err != nil {
		return nil
	}
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, multiaddr.StringCast(a.String()).String())
	}
	return texts
}
