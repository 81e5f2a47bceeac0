package python_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/pb/dhtpb"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// TestSignedCalls: requests and responses signed with RSA keys pass the other side's authorizer.
func TestSignedCalls(t *testing.T) { onEachStack(t, testSignedCalls) }

func testSignedCalls(t *testing.T, s stack) {
	t.Helper()
	for _, kind := range []identity.KeyType{identity.RSA, identity.Ed25519} {
		t.Run(kind.String(), func(t *testing.T) { testSignedBy(t, s, kind) })
	}
}

func testSignedBy(t *testing.T, s stack, kind identity.KeyType) {
	t.Helper()
	ctx := testContext(t)
	path := filepath.Join(t.TempDir(), "peer.id")
	key, err := identity.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Save(path, key, false); err != nil {
		t.Fatal(err)
	}
	var guard *auth.Signature
	n := goNode(t, kind, func(s *auth.Signature) []rpc.Interceptor {
		guard = s
		return []rpc.Interceptor{s}
	})
	serve(n, make(chan struct{}))
	py := s.start(t, append([]string{"--identity", path, "--initial_peers"}, addrTexts(n)...)...)
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
	if s == mesh { // hivemind signs no streams
		testSignedStreams(ctx, t, n, py)
	}
	if got := py.do(t, "unary", n.ID(), map[string]any{"hex": "00"}); !strings.Contains(got.Error, "Unauthenticated('message is not signed')") {
		t.Errorf("unsigned call: %+v", got)
	}
	if got := guard.Rejections(); len(got) != 1 || got[auth.Unsigned] != 1 {
		t.Errorf("rejections: %v", got)
	}
}

// testSignedStreams: each item of a stream is signed, and the other side accepts it.
func testSignedStreams(ctx context.Context, t *testing.T, n *rpc.Node, py *pyPeer) {
	t.Helper()
	const items = 7
	if got := py.do(t, "stream", n.ID(), map[string]any{"count": items}); got.Items != items {
		t.Errorf("Python to Go: %+v", got)
	}
	out, err := n.Stream(ctx, py.info.ID, stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rpc.SendProto(out, request([]byte{items})), out.CloseSend()); err != nil {
		t.Fatal(err)
	}
	got := 0
	for err == nil {
		var item *dhtpb.PingResponse
		if item, err = rpc.RecvProto[dhtpb.PingResponse](out); err == nil {
			if !bytes.Equal(item.GetPeer().GetNodeId(), []byte{byte(got)}) {
				t.Errorf("item %d: %v", got, item)
			}
			got++
		}
	}
	if !errors.Is(err, io.EOF) || got != items {
		t.Errorf("Go to Python: %d items, %v", got, err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
}
