package python_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

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
	stream = rpc.Method("SignedStreams.rpc_down")
)

// stack is what a Python peer is made of: the package's name.
type stack string

const (
	hivemind stack = "hivemind"
	mesh     stack = "subnet" // the Python mesh
)

// onEachStack runs a test with peers of either kind.
func onEachStack(t *testing.T, test func(t *testing.T, s stack)) {
	t.Helper()
	t.Run("hivemind", func(t *testing.T) { test(t, hivemind) })
	t.Run("mesh", func(t *testing.T) {
		if os.Getenv("MESH_PYTHON_MESH") == "" {
			t.Skip("MESH_PYTHON_MESH names no checkout of the Python mesh")
		}
		test(t, mesh)
	})
}

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

// start starts a Python peer; it ends with the test.
func (s stack) start(t *testing.T, args ...string) *pyPeer {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), interpreter(t), append([]string{"peer.py"}, args...)...)
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "PEER_PACKAGE="+string(s))
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
