package python_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	unary  = rpc.Method("Interop.rpc_unary")
	fail   = rpc.Method("Interop.rpc_fail")
	wait   = rpc.Method("Interop.rpc_wait")
	up     = rpc.Method("Interop.rpc_up")
	down   = rpc.Method("Interop.rpc_down")
	both   = rpc.Method("Interop.rpc_both")
	signed = rpc.Method("Signed.rpc_unary")
)

func interpreter(t *testing.T) string {
	t.Helper()
	python := os.Getenv("MESH_PYTHON")
	if python == "" {
		t.Skip("MESH_PYTHON is not set; run MESH_PYTHON=$(interop/python/setup.sh) go test ./interop/python")
	}
	return python
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// pyPeer is a running Python peer.
type pyPeer struct {
	info peer.AddrInfo
	in   io.WriteCloser
	out  *bufio.Reader
}

// answer is any answer of the Python peer.
type answer struct {
	PeerID string   `json:"peer_id"`
	Addrs  []string `json:"addrs"`
	Hex    string   `json:"hex"`
	Items  int      `json:"items"`
	Count  int      `json:"count"`
	Error  string   `json:"error"`
}

// startPython starts a Python peer; it ends with the test.
func startPython(t *testing.T, args ...string) *pyPeer {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), interpreter(t), append([]string{"peer.py"}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &pyPeer{in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Logf("python peer: %v\n%s", err, stderr.String())
		}
	})
	hello, err := p.read()
	if err != nil {
		t.Fatalf("python peer did not start: %v\n%s", err, stderr.String())
	}
	infos, err := p2p.ParsePeers(hello.Addrs)
	if err != nil || len(infos) != 1 {
		t.Fatalf("python peer at %v: %v", hello.Addrs, err)
	}
	p.info = infos[0]
	return p
}

func (p *pyPeer) read() (answer, error) {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal(line, &a)
}

// do performs a command and returns the answer; an error in it is the test's to judge.
func (p *pyPeer) do(t *testing.T, command string, to peer.ID, extra map[string]any) answer {
	t.Helper()
	fields := map[string]any{"do": command, "peer": to.String()}
	for k, v := range extra {
		fields[k] = v
	}
	line, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	a, err := p.read()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return a
}

// goNode is a Go node in compatibility mode.
func goNode(t *testing.T, kind identity.KeyType, interceptors func(s *auth.Signature) []rpc.Interceptor) *rpc.Node {
	t.Helper()
	key, err := identity.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.New(p2p.Config{Key: key, Listen: listen, PythonCompat: true, Namespace: "/mesh/test"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := rpc.Config{Python: true, Namespace: "/mesh/test"}
	if interceptors != nil {
		s, err := auth.NewSignature(key, auth.SignatureConfig{})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Interceptors = interceptors(s)
	}
	n := rpc.NewNode(h, cfg)
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), h.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func addrTexts(n *rpc.Node) []string {
	var texts []string
	for _, a := range n.Host().Addrs() {
		texts = append(texts, a.String())
	}
	return texts
}

func request(payload []byte) *dhtpb.PingRequest {
	return &dhtpb.PingRequest{Peer: &dhtpb.NodeInfo{NodeId: payload}, Validate: true}
}

// TestGoCallsPython calls all kinds of methods of a Python peer.
func TestGoCallsPython(t *testing.T) {
	py := startPython(t)
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
func TestPythonCallsGo(t *testing.T) {
	n := goNode(t, identity.Ed25519, nil)
	cancelled := make(chan struct{})
	serve(n, cancelled)
	py := startPython(t, append([]string{"--initial_peers"}, addrTexts(n)...)...)

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
func TestPeerRouting(t *testing.T) {
	ctx := testContext(t)
	t.Run("through a Go node", func(t *testing.T) {
		boot, target := goNode(t, identity.Ed25519, nil), goNode(t, identity.RSA, nil)
		serve(target, make(chan struct{}))
		if err := target.Host().Connect(ctx, boot.Host().AddrInfo()); err != nil {
			t.Fatal(err)
		}
		first := startPython(t, append([]string{"--initial_peers"}, addrTexts(boot)...)...)
		second := startPython(t, append([]string{"--initial_peers"}, addrTexts(boot)...)...)
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
		boot := startPython(t)
		a, b := goNode(t, identity.Ed25519, nil), goNode(t, identity.Ed25519, nil)
		serve(b, make(chan struct{}))
		for _, n := range []*rpc.Node{a, b} {
			if err := n.Host().Connect(ctx, boot.info); err != nil {
				t.Fatal(err)
			}
		}
		other := startPython(t, append([]string{"--initial_peers"}, multiaddrTexts(boot.info)...)...)
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

// TestSignedCalls: requests and responses signed with RSA keys pass the other side's authorizer.
func TestSignedCalls(t *testing.T) {
	ctx := testContext(t)
	path := filepath.Join(t.TempDir(), "peer.id")
	key, err := identity.Generate(identity.RSA)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Save(path, key, false); err != nil {
		t.Fatal(err)
	}
	var guard *auth.Signature
	n := goNode(t, identity.RSA, func(s *auth.Signature) []rpc.Interceptor {
		guard = s
		return []rpc.Interceptor{s}
	})
	serve(n, make(chan struct{}))
	py := startPython(t, append([]string{"--identity", path, "--initial_peers"}, addrTexts(n)...)...)
	if id, err := identity.PeerID(key); err != nil || id != py.info.ID {
		t.Errorf("Python takes our identity file for %s, we for %s (%v)", py.info.ID, id, err)
	}
	for i := range 3 {
		payload := []byte(fmt.Sprint("payload ", i))
		if got := py.do(t, "signed", n.ID(), map[string]any{"hex": hex.EncodeToString(payload)}); got.Hex != hex.EncodeToString(payload) {
			t.Errorf("Python to Go: %+v", got)
		}
		resp, err := rpc.CallProto[dhtpb.PingResponse](ctx, n, py.info.ID, signed, request(payload))
		if err != nil || !bytes.Equal(resp.GetPeer().GetNodeId(), payload) {
			t.Errorf("Go to Python: %v", err)
		}
	}
	if got := py.do(t, "unary", n.ID(), map[string]any{"hex": "00"}); !strings.Contains(got.Error, "Unauthenticated('message is not signed')") {
		t.Errorf("unsigned call: %+v", got)
	}
	if got := guard.Rejections(); len(got) != 1 || got[auth.Unsigned] != 1 {
		t.Errorf("rejections: %v", got)
	}
}
