package substrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNode is a real WebSocket server that speaks JSON-RPC as far as a test teaches it.
type fakeNode struct {
	t    testing.TB
	url  string
	srv  *http.Server
	done chan struct{}

	mu       sync.Mutex
	handlers map[string]func(*fakeConn, []json.RawMessage) (any, error)
	conns    map[*fakeConn]bool
	calls    map[string]int
}

// fakeConn is one client of a fakeNode.
type fakeConn struct {
	ws *websocket.Conn
	mu sync.Mutex
}

// errSilence makes a handler not answer at all.
var errSilence = errors.New("no answer")

// newFakeNode starts a node with a genesis and metadata.
func newFakeNode(t testing.TB) *fakeNode {
	t.Helper()
	f := &fakeNode{t: t, done: make(chan struct{}), handlers: map[string]func(*fakeConn, []json.RawMessage) (any, error){}, conns: map[*fakeConn]bool{}, calls: map[string]int{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "ws://" + ln.Addr().String()
	f.srv = &http.Server{Handler: http.HandlerFunc(f.serve), ReadHeaderTimeout: time.Second}
	go func() {
		defer close(f.done)
		_ = f.srv.Serve(ln)
	}()
	t.Cleanup(f.stop)
	f.answer("chain_getBlockHash", chain.Hash{7})
	f.answer("state_getRuntimeVersion", RuntimeVersion{SpecName: "fake", SpecVersion: 1, TransactionVersion: 1})
	f.answer("state_getMetadata", hexBytes(fakeMetadata(t)))
	f.handle("state_subscribeRuntimeVersion", func(*fakeConn, []json.RawMessage) (any, error) { return "rv", nil })
	return f
}

func (f *fakeNode) stop() {
	f.dropAll()
	_ = f.srv.Close()
	<-f.done
}

// handle teaches a method.
func (f *fakeNode) handle(method string, h func(*fakeConn, []json.RawMessage) (any, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[method] = h
}

// answer teaches a method that always answers the same.
func (f *fakeNode) answer(method string, v any) {
	f.handle(method, func(*fakeConn, []json.RawMessage) (any, error) { return v, nil })
}

func (f *fakeNode) called(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// dropAll cuts all connections.
func (f *fakeNode) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.ws.CloseNow()
	}
}

func (f *fakeNode) serve(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	ws.SetReadLimit(64 << 20)
	c := &fakeConn{ws: ws}
	f.mu.Lock()
	f.conns[c] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
		_ = ws.CloseNow()
	}()
	for {
		_, b, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		f.frame(c, b)
	}
}

type fakeRequest struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

func (f *fakeNode) frame(c *fakeConn, b []byte) {
	var batch []fakeRequest
	if b[0] != '[' {
		batch = make([]fakeRequest, 1)
		if json.Unmarshal(b, &batch[0]) != nil {
			return
		}
		if out := f.reply(c, batch[0]); out != nil {
			c.send(out)
		}
		return
	}
	if json.Unmarshal(b, &batch) != nil {
		return
	}
	var all []json.RawMessage
	for _, r := range batch {
		if out := f.reply(c, r); out != nil {
			all = append(all, out)
		}
	}
	if out, err := json.Marshal(all); err == nil && all != nil {
		c.send(out)
	}
}

func (f *fakeNode) reply(c *fakeConn, r fakeRequest) json.RawMessage {
	f.mu.Lock()
	h := f.handlers[r.Method]
	f.calls[r.Method]++
	f.mu.Unlock()
	answer := map[string]any{"jsonrpc": "2.0", "id": r.ID}
	if h == nil {
		answer["error"] = map[string]any{"code": codeMethodNotFound, "message": "Method not found"}
	} else {
		v, err := h(c, r.Params)
		var rpc *RPCError
		switch {
		case errors.Is(err, errSilence):
			return nil
		case errors.As(err, &rpc):
			answer["error"] = map[string]any{"code": rpc.Code, "message": rpc.Message, "data": rpc.Data}
		case err != nil:
			answer["error"] = map[string]any{"code": -32000, "message": err.Error()}
		default:
			answer["result"] = v
		}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return nil
	}
	return b
}

func (c *fakeConn) send(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.ws.Write(context.Background(), websocket.MessageText, b)
}

// notify sends a notification of a subscription.
func (c *fakeConn) notify(method, sub string, v any) {
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": map[string]any{"subscription": sub, "result": v}})
	if err == nil {
		c.send(b)
	}
}

// fakeMetadata describes a tiny chain of generation G2: enough to be recognised and to read accounts.
func fakeMetadata(t testing.TB) []byte {
	t.Helper()
	r, err := metadata.NewRegistry(&metadata.Metadata{},
		metadata.Definition{Name: "AccountId20", Expr: "[u8;20]"},
		metadata.Definition{Name: "PeerInfo", Expr: "{peer_id: Vec<u8>, multiaddr: Option<Vec<u8>>}"},
		metadata.Definition{Name: "AccountInfo", Expr: "{nonce: u32, consumers: u32, providers: u32, sufficients: u32, data: {free: u128, reserved: u128, frozen: u128, flags: u128}}"},
		metadata.Definition{Name: "U32", Expr: "u32"},
		metadata.Definition{Name: "Empty", Expr: "()"},
	)
	if err != nil {
		t.Fatal(err)
	}
	m := *r.Metadata()
	id := func(name string) metadata.TypeID {
		id, ok := r.TypeByName(name)
		if !ok {
			t.Fatalf("no type %s", name)
		}
		return id
	}
	calls := metadata.TypeID(len(m.Types))
	m.Types = append(m.Types, metadata.Type{Path: []string{"pallet_network", "pallet", "Call"}, Kind: metadata.KindVariant, Variants: []metadata.Variant{
		{Name: "register_subnet_node", Index: 38}, {Name: "activate_subnet", Index: 1, Fields: []metadata.Field{{Name: "subnet_id", Type: id("U32")}}},
	}})
	m.Pallets = []metadata.Pallet{
		{Name: "System", Calls: metadata.NoType, Event: metadata.NoType, Error: metadata.NoType, Storage: &metadata.Storage{Prefix: "System", Entries: []metadata.StorageEntry{
			{Name: "Account", Modifier: metadata.ModifierDefault, Hashers: []metadata.Hasher{metadata.Blake2_128Concat}, Key: id("AccountId20"), Value: id("AccountInfo"), Default: make([]byte, 80)},
		}}},
		{Name: "Network", Index: 23, Calls: calls, Event: metadata.NoType, Error: metadata.NoType, Constants: []metadata.Constant{
			{Name: "EpochLength", Type: id("U32"), Value: []byte{20, 0, 0, 0}},
		}},
	}
	m.Extrinsic = metadata.Extrinsic{Version: 4, Type: id("Empty"), SignedExtensions: []metadata.SignedExtension{
		{Identifier: "CheckNonZeroSender", Type: id("Empty"), Additional: id("Empty")},
	}}
	m.Runtime = id("Empty")
	b, err := m.EncodeV14()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dialFake connects a client that gives up quickly.
func dialFake(t testing.TB, nodes ...*fakeNode) *Client {
	t.Helper()
	cfg := Config{CallTimeout: 2 * time.Second, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, MaxMessage: 1 << 20}
	for _, n := range nodes {
		cfg.Endpoints = append(cfg.Endpoints, n.url)
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// eventually polls until ok reports true, for at most five seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s did not happen within 5 s", what)
		}
	}
}

func fakeHeader(n int) map[string]any {
	return map[string]any{
		"number": fmt.Sprintf("0x%x", n), "parentHash": chain.Hash{1}, "stateRoot": chain.Hash{2}, "extrinsicsRoot": chain.Hash{3},
		"digest": map[string]any{"logs": []string{}},
	}
}
