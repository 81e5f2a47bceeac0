package devchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// rig is a served toy chain.
type rig struct {
	t   *testing.T
	c   *Chain
	s   *Server
	url string
}

func newRig(t *testing.T, cfg Config, sc ServerConfig) *rig {
	t.Helper()
	c := newTestChain(t, cfg)
	s := NewServer(c, sc)
	hs := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.closeConns()
		hs.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return &rig{t, c, s, hs.URL}
}

func (r *rig) post(body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(out)
}

// call returns the result, or the error as JSON.
func (r *rig) call(name string, params ...any) string {
	r.t.Helper()
	if params == nil {
		params = []any{}
	}
	_, out := r.post(string(mustJSON(map[string]any{"jsonrpc": "2.0", "id": 7, "method": name, "params": params})))
	var a struct {
		ID     int             `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.ID != 7 {
		r.t.Fatalf("%s: %s: %v", name, out, err)
	}
	if a.Error != nil {
		return string(a.Error)
	}
	return string(a.Result)
}

func (r *rig) want(want, name string, params ...any) {
	r.t.Helper()
	if got := r.call(name, params...); got != want {
		r.t.Errorf("%s %v:\n got %s\nwant %s", name, params, got, want)
	}
}

// socket is a WebSocket client.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
	id int
}

func (r *rig) dial() *socket {
	r.t.Helper()
	ws, res, err := websocket.Dial(r.t.Context(), r.url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.Body != nil {
		if err := res.Body.Close(); err != nil {
			r.t.Fatal(err)
		}
	}
	ws.SetReadLimit(32 << 20)
	r.t.Cleanup(func() {
		if err := ws.CloseNow(); err != nil {
			r.t.Log(err)
		}
	})
	return &socket{t: r.t, ws: ws}
}

func (k *socket) send(text string) {
	k.t.Helper()
	if err := k.ws.Write(k.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *socket) read() string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 10*time.Second)
	defer cancel()
	_, msg, err := k.ws.Read(ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(msg)
}

// subscribe returns the id of a new subscription.
func (k *socket) subscribe(name string, params ...any) string {
	k.t.Helper()
	if params == nil {
		params = []any{}
	}
	k.id++
	k.send(string(mustJSON(map[string]any{"jsonrpc": "2.0", "id": k.id, "method": name, "params": params})))
	var a struct {
		ID     int    `json:"id"`
		Result string `json:"result"`
	}
	if msg := k.read(); json.Unmarshal([]byte(msg), &a) != nil || a.ID != k.id || a.Result == "" {
		k.t.Fatalf("%s: %s", name, msg)
	}
	return a.Result
}

// notice reads a notification of a subscription and returns its result.
func (k *socket) notice(name, id string) string {
	k.t.Helper()
	var n struct {
		Method string `json:"method"`
		Params struct {
			Subscription string          `json:"subscription"`
			Result       json.RawMessage `json:"result"`
		} `json:"params"`
	}
	msg := k.read()
	if json.Unmarshal([]byte(msg), &n) != nil || n.Method != name || n.Params.Subscription != id {
		k.t.Fatalf("want a %s of %s, got %s", name, id, msg)
	}
	return string(n.Params.Result)
}

func hexOf(b []byte) string { return "0x" + fmt.Sprintf("%x", b) }

func TestRPCFraming(t *testing.T) {
	r := newRig(t, Config{}, ServerConfig{MaxMessage: 4 << 10, MaxBatch: 3})
	const missing = `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`
	for _, x := range []struct{ in, want string }{
		{`{`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{``, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		{`[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}`},
		{`7`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}`},
		{`{"id":1,"method":"x"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid request"}}`},
		{`{"jsonrpc":"2.0","id":[1],"method":"x"}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}`},
		{`{"jsonrpc":"2.0","id":"a","method":"x","params":[]}`, fmt.Sprintf(missing, `"a"`)},
		{`{"jsonrpc":"2.0","id":null,"method":"x"}`, fmt.Sprintf(missing, `null`)},
		{`{"jsonrpc":"2.0","method":"system_name"}`, ``},
		{`{"jsonrpc":"2.0","id":3,"method":"system_name"}`, `{"jsonrpc":"2.0","id":3,"result":"mesh"}`},
		{`{"jsonrpc":"2.0","id":3,"method":"system_name","params":{"a":1}}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"Invalid params","data":"want an array of at most 64"}}`},
		{`[{"jsonrpc":"2.0","id":1,"method":"system_name"},{"jsonrpc":"2.0","method":"system_name"},5]`,
			`[{"jsonrpc":"2.0","id":1,"result":"mesh"},{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}]`},
		{`[{"jsonrpc":"2.0","method":"system_name"}]`, ``},
		{`[1,2,3,4]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"The batch request was too large","data":"Exceeded max limit of 3"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"chain_subscribeNewHeads"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error","data":"subscriptions need a WebSocket"}}`},
	} {
		if code, out := r.post(x.in); code != 200 || out != x.want {
			t.Errorf("%s\n got %d %s\nwant %s", x.in, code, out, x.want)
		}
	}
	if code, out := r.post(`"` + strings.Repeat("x", 5000) + `"`); code != 413 || !strings.Contains(out, "-32007") {
		t.Errorf("too big: %d %s", code, out)
	}
	k := r.dial()
	k.send(`{"jsonrpc":"2.0","id":9,"method":"system_name","params":[]}`)
	if got := k.read(); got != `{"jsonrpc":"2.0","id":9,"result":"mesh"}` {
		t.Error(got)
	}
	k.send(`"` + strings.Repeat("x", 5000) + `"`)
	if got := k.read(); !strings.Contains(got, "-32007") {
		t.Error(got)
	}
	if _, _, err := k.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("after a message that is too big: %v", err)
	}
}

func TestHTTPRules(t *testing.T) {
	r := newRig(t, Config{}, ServerConfig{AllowOrigins: []string{"https://polkadot.js.org"}})
	for _, x := range []struct {
		method, path, kind, origin string
		code                       int
	}{
		{"POST", "/", "text/plain", "", 415},
		{"POST", "/", "application/json; charset=utf-8", "", 200},
		{"POST", "/", "application/json", "https://polkadot.js.org", 200},
		{"POST", "/", "application/json", "https://evil.example", 403},
		{"PUT", "/", "application/json", "", 405},
		{"OPTIONS", "/", "", "https://polkadot.js.org", 204},
		{"GET", "/health", "", "", 200},
		{"GET", "/", "", "", 405},
	} {
		req, err := http.NewRequestWithContext(t.Context(), x.method, r.url+x.path, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"system_name"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", x.kind)
		if x.origin != "" {
			req.Header.Set("Origin", x.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != x.code {
			t.Errorf("%v: %d", x, res.StatusCode)
		}
		if x.origin != "" && x.code < 300 && res.Header.Get("Access-Control-Allow-Origin") != x.origin {
			t.Errorf("%v: no CORS header", x)
		}
	}
}

func TestStateMethods(t *testing.T) {
	r := newRig(t, Config{History: 3}, ServerConfig{})
	mustSubmit(t, r.c, toyTx(1, 0, 0, opSet, 'k', 'v', 'w'))
	first := mustMine(t, r.c, 1)
	mustSubmit(t, r.c, toyTx(1, 1, 0, opSet, 'k', 'x'))
	mustSubmit(t, r.c, toyTx(1, 2, 0, opSet, 'l'))
	second := mustMine(t, r.c, 1)
	key, empty := hexOf([]byte("user:k")), hexOf([]byte("user:l"))

	r.want(`"0x78"`, "state_getStorage", key)
	r.want(`"0x7677"`, "state_getStorage", key, first.Hash)
	r.want(`"0x"`, "state_getStorageAt", empty)
	r.want(`null`, "state_getStorage", "0x00")
	r.want(`2`, "state_getStorageSize", key, first.Hash)
	r.want(`"`+ExtrinsicHash([]byte("x")).String()+`"`, "state_getStorageHash", key)
	r.want(`["`+key+`","`+empty+`"]`, "state_getKeysPaged", hexOf([]byte("user:")), 2)
	r.want(`["`+empty+`"]`, "state_getKeysPaged", hexOf([]byte("user:")), 1, key)
	r.want(`[]`, "state_getKeysPaged", hexOf([]byte("user:")), 1, hexOf([]byte("user:z")))
	r.want(`{"code":4002,"message":"count exceeds maximum value. value: 1001, max: 1000"}`, "state_getKeysPaged", "0x", 1001)
	r.want(`["`+key+`"]`, "state_getKeys", key)
	r.want(`[["`+key+`","0x78"]]`, "state_getPairs", key)
	r.want(fmt.Sprintf(`[{"block":"%s","changes":[["%s","0x7677"],["%s",null]]}]`, first.Hash, key, empty), "state_queryStorageAt", []string{key, empty}, first.Hash)
	r.want(fmt.Sprintf(`[{"block":"%s","changes":[["%s","0x7677"],["%s",null]]},{"block":"%s","changes":[["%s","0x78"],["%s","0x"]]}]`,
		first.Hash, key, empty, second.Hash, key, empty), "state_queryStorage", []string{key, empty}, first.Hash)
	r.want(`"0x6d6574610e746f79"`, "state_getMetadata")
	r.want(`{"specName":"toy","implName":"toy","authoringVersion":0,"specVersion":1,"implVersion":0,"apis":[["0x0100000000000000",2]],"transactionVersion":1,"systemVersion":0,"stateVersion":0}`, "state_getRuntimeVersion")
	r.want(`"0x03000000"`, "state_call", "AccountNonceApi_account_nonce", "0x01")
	r.want(`"0x01000000"`, "state_call", "AccountNonceApi_account_nonce", "0x01", first.Hash)
	r.want(`{"code":4003,"message":"Client error: Execution failed: Other: Exported method Nope_nope is not found"}`, "state_call", "Nope_nope", "0x")
	unknown := chain.Hash{9}
	r.want(`{"code":4003,"message":"Client error: UnknownBlock: Header was not found in the database: `+unknown.String()+`"}`, "state_getStorage", key, unknown)
	r.want(`{"code":4003,"message":"Client error: Api called for an unknown Block: Header was not found in the database: `+unknown.String()+`"}`, "state_call", "x", "0x", unknown)
	mustMine(t, r.c, 3)
	r.want(`{"code":4003,"message":"Client error: UnknownBlock: State already discarded for `+first.Hash.String()+`"}`, "state_getStorage", key, first.Hash)
	r.want(`{"code":-32602,"message":"Invalid params","data":"parameter 1 (key): want a hex string that starts with 0x"}`, "state_getStorage", "zz")
	r.want(`{"code":-32602,"message":"Invalid params","data":"parameter 1 (key) is missing"}`, "state_getStorage")
}

func TestChainAndSystemMethods(t *testing.T) {
	r := newRig(t, Config{FinalityLag: 1}, ServerConfig{})
	xt := toyTx(1, 0, 0, opSet, 'k', 'v')
	mustSubmit(t, r.c, xt)
	b := mustMine(t, r.c, 2)
	one, _ := r.c.BlockHash(1)
	genesis := r.c.Genesis().Hash
	r.want(`"`+b.Hash.String()+`"`, "chain_getBlockHash")
	r.want(`"`+genesis.String()+`"`, "chain_getBlockHash", 0)
	r.want(`"`+one.String()+`"`, "chain_getBlockHash", "0x1")
	r.want(`["`+one.String()+`",null]`, "chain_getBlockHash", []any{1, 99})
	r.want(`null`, "chain_getBlockHash", 99)
	r.want(`"`+one.String()+`"`, "chain_getFinalizedHead")
	r.want(`"`+one.String()+`"`, "chain_getFinalisedHead")
	r.want(`null`, "chain_getHeader", chain.Hash{1})
	r.want(`null`, "chain_getBlock", chain.Hash{1})
	var block struct {
		Block struct {
			Header struct {
				Number, ParentHash, StateRoot, ExtrinsicsRoot string
				Digest                                        struct{ Logs []string }
			}
			Extrinsics []string
		}
		Justifications any
	}
	if err := json.Unmarshal([]byte(r.call("chain_getBlock", one)), &block); err != nil {
		t.Fatal(err)
	}
	h := block.Block.Header
	if h.Number != "0x1" || h.ParentHash != genesis.String() || len(h.Digest.Logs) != 1 || !strings.HasPrefix(h.Digest.Logs[0], "0x066175726120") {
		t.Errorf("%+v", h)
	}
	if len(block.Block.Extrinsics) != 2 || block.Block.Extrinsics[1] != hexOf(xt) {
		t.Errorf("%v", block.Block.Extrinsics)
	}
	r.want(`"Hypertensor Development"`, "system_chain")
	r.want(`"Development"`, "system_chainType")
	r.want(`{"isEthereum":true,"ss58Format":42,"tokenDecimals":18,"tokenSymbol":"TENSOR"}`, "system_properties")
	r.want(`{"peers":0,"isSyncing":false,"shouldHavePeers":false}`, "system_health")
	r.want(`1`, "system_accountNextIndex", "0x0000000000000000000000000000000000000001")
	mustSubmit(t, r.c, toyTx(1, 1, 0, opSet, 'k', 'v'))
	mustSubmit(t, r.c, toyTx(1, 2, 0, opSet, 'k', 'v'))
	r.want(`3`, "system_accountNextIndex", "0x0000000000000000000000000000000000000001")
	r.want(`{"class":"normal","partialFee":"14","weight":{"proof_size":6,"ref_time":5}}`, "payment_queryInfo", hexOf(xt))
	r.want(`"0x0000"`, "system_dryRun", hexOf(toyTx(1, 1, 0, opSet, 'k')))
	r.want(`"0x010003"`, "system_dryRun", hexOf(toyTx(1, 0, 0, opSet, 'k')))
	r.want(`[1,0,0,0]`, "network_getSubnetInfo", 1)
	r.want(`true`, "network_proofOfStake", 1, []int{'p', 'e', 'e', 'r'}, 0, nil)
	r.want(`false`, "network_proofOfStake", 1, []int{'p'}, 0, 1000000000000000000)
	r.want(`{"code":1,"message":"Unable to get bootnodes.","data":"Execution failed: Other: Exported method NetworkRuntimeApi_get_bootnodes is not found"}`, "network_getBootnodes", 1)
	if !strings.Contains(r.call("rpc_methods"), `"author_submitAndWatchExtrinsic"`) {
		t.Error("rpc_methods")
	}
}

func TestAuthorErrors(t *testing.T) {
	r := newRig(t, Config{}, ServerConfig{})
	submit := func(xt []byte) string { return r.call("author_submitExtrinsic", hexOf(xt)) }
	xt := toyTx(1, 0, 5, opSet, 'k', 'v')
	if got := submit(xt); got != `"`+ExtrinsicHash(xt).String()+`"` {
		t.Error(got)
	}
	for _, x := range []struct {
		xt   []byte
		want string
	}{
		{xt, `{"code":1013,"message":"Transaction Already Imported"}`},
		{toyTx(1, 0, 4, opSet, 'k'), `{"code":1014,"message":"Priority is too low: (5 vs 4)","data":"The transaction has too low priority to replace another transaction already in the pool."}`},
		{[]byte{4, 1}, `{"code":1002,"message":"Verification Error: Runtime error: Execution failed: Could not decode the extrinsic","data":"Could not decode the extrinsic"}`},
		{[]byte{4}, `{"code":1001,"message":"Extrinsic has invalid format: extrinsic has an invalid length prefix"}`},
	} {
		if got := submit(x.xt); got != x.want {
			t.Errorf("%x:\n got %s\nwant %s", x.xt, got, x.want)
		}
	}
	r.want(`["`+hexOf(xt)+`"]`, "author_pendingExtrinsics")
	mustMine(t, r.c, 1)
	if got := submit(xt); got != `{"code":1012,"message":"Transaction is temporarily banned"}` {
		t.Error(got)
	}
	if got := submit(toyTx(1, 0, 7, opSet, 'z')); got != `{"code":1010,"message":"Invalid Transaction","data":"Transaction is outdated"}` {
		t.Error(got)
	}
}

func TestSubscriptions(t *testing.T) {
	r := newRig(t, Config{FinalityLag: 1}, ServerConfig{MaxSubscriptions: 6})
	k := r.dial()
	heads := k.subscribe("chain_subscribeNewHeads")
	if got := k.notice("chain_newHead", heads); !strings.Contains(got, `"number":"0x0"`) {
		t.Error(got)
	}
	final := k.subscribe("chain_subscribeFinalizedHeads")
	k.notice("chain_finalizedHead", final)
	key := hexOf([]byte("user:k"))
	storage := k.subscribe("state_subscribeStorage", []string{key})
	if got := k.notice("state_storage", storage); !strings.Contains(got, `"changes":[["`+key+`",null]]`) {
		t.Error(got)
	}
	version := k.subscribe("state_subscribeRuntimeVersion")
	k.notice("state_runtimeVersion", version)
	xt := toyTx(1, 0, 0, opSet, 'k', 'v')
	watch := k.subscribe("author_submitAndWatchExtrinsic", hexOf(xt))
	if got := k.notice("author_extrinsicUpdate", watch); got != `"ready"` {
		t.Error(got)
	}
	b := mustMine(t, r.c, 2)
	one, _ := r.c.BlockHash(1)
	var got []string
	for range 6 {
		var n struct {
			Method string
			Params struct{ Result json.RawMessage }
		}
		if err := json.Unmarshal([]byte(k.read()), &n); err != nil {
			t.Fatal(err)
		}
		text := string(n.Params.Result)
		if strings.Contains(text, "parentHash") {
			text = n.Method + text[len(`{"parentHash":"`)+66+len(`","number":"`):][:3]
		}
		got = append(got, text)
	}
	// every subscription has its own order; all together need none
	want := []string{"chain_newHead0x1", "chain_newHead0x2", "chain_finalizedHead0x1", `{"inBlock":"` + one.String() + `"}`, `{"finalized":"` + one.String() + `"}`, fmt.Sprintf(`{"block":"%s","changes":[["%s","0x76"]]}`, one, key)}
	count := map[string]int{}
	for i := range got {
		count[got[i]]++
		count[want[i]]--
	}
	for text, n := range count {
		if n != 0 {
			t.Errorf("%+d times %s", n, text)
		}
	}
	k.send(`{"jsonrpc":"2.0","id":50,"method":"chain_unsubscribeNewHeads","params":["` + heads + `"]}`)
	if got := k.read(); got != `{"jsonrpc":"2.0","id":50,"result":true}` {
		t.Error(got)
	}
	k.send(`{"jsonrpc":"2.0","id":51,"method":"chain_unsubscribeNewHeads","params":["` + heads + `"]}`)
	if got := k.read(); got != `{"jsonrpc":"2.0","id":51,"result":false}` {
		t.Error(got)
	}
	all := k.subscribe("chain_subscribeAllHeads")
	k.notice("chain_allHead", all)
	for range 2 {
		k.subscribe("state_subscribeStorage") // everything; nothing at first
	}
	k.send(`{"jsonrpc":"2.0","id":52,"method":"state_subscribeStorage","params":[]}`)
	if got := k.read(); got != `{"jsonrpc":"2.0","id":52,"error":{"code":-32006,"message":"Too many subscriptions on the connection"}}` {
		t.Error(got)
	}
	_ = b
}

func TestSlowClientIsDropped(t *testing.T) {
	r := newRig(t, Config{History: 10, KeepBlocks: 10}, ServerConfig{SendQueue: 2, SendBytes: 4096, WriteTimeout: time.Second})
	k := r.dial()
	for range 20 {
		k.subscribe("chain_subscribeNewHeads")
		k.read()
	}
	gone := false
	for range 200 { // the client reads nothing while blocks come
		mustMine(t, r.c, 100)
		r.c.mu.RLock()
		gone = len(r.c.subs) == 0
		r.c.mu.RUnlock()
		if gone {
			break
		}
	}
	if !gone {
		t.Fatal("a client that reads nothing keeps its subscriptions")
	}
}

func TestTooManyConnections(t *testing.T) {
	r := newRig(t, Config{}, ServerConfig{MaxConnections: 1})
	r.dial()
	_, res, err := websocket.Dial(t.Context(), r.url, nil) //nolint:bodyclose // Dial closes it when it fails
	if err == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%v %v", res, err)
	}
}

func TestFaults(t *testing.T) {
	r := newRig(t, Config{Now: time.Now, Seal: SealManual}, ServerConfig{CallTimeout: 300 * time.Millisecond})
	mustMine(t, r.c, 1)
	inject := func(fault string) {
		t.Helper()
		if got := r.call("dev_injectFault", json.RawMessage(fault)); strings.Contains(got, "code") {
			t.Fatal(got)
		}
	}
	inject(`{"kind":"error","methods":"chain_*","count":2}`)
	const injected = `{"code":-32603,"message":"Internal error","data":"injected fault: error"}`
	r.want(injected, "chain_getHeader")
	r.want(`"mesh"`, "system_name")
	r.want(injected, "chain_getBlock")
	r.want(`null`, "chain_getHeader", chain.Hash{1})

	inject(`{"kind":"delay","count":1,"delayMs":30}`)
	start := time.Now()
	r.want(`"mesh"`, "system_name")
	if time.Since(start) < 30*time.Millisecond {
		t.Error("no delay")
	}
	inject(`{"kind":"hang","count":1}`)
	r.want(`{"code":-32603,"message":"Internal error","data":"injected fault: hang"}`, "system_name")

	inject(`{"kind":"garbage","count":1}`)
	if _, out := r.post(`{"jsonrpc":"2.0","id":1,"method":"system_name"}`); json.Valid([]byte(out)) {
		t.Error(out)
	}
	inject(`{"kind":"drop","methods":"system_*","count":2}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, bytes.NewReader([]byte(`[{"jsonrpc":"2.0","id":1,"method":"system_name"}]`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if res, err := http.DefaultClient.Do(req); err == nil {
		t.Error("answered", res.Status, res.Body.Close())
	}
	k := r.dial()
	k.send(`{"jsonrpc":"2.0","id":1,"method":"system_name"}`)
	if _, _, err := k.ws.Read(t.Context()); err == nil {
		t.Error("answered")
	}

	inject(`{"kind":"rejectNonce","count":1}`)
	xt := hexOf(toyTx(1, 0, 0, opSet, 'k'))
	r.want(`{"code":1010,"message":"Invalid Transaction","data":"Transaction is outdated"}`, "author_submitExtrinsic", xt)

	inject(`{"kind":"staleHead","count":2}`)
	hash := r.call("chain_getBlockHash")
	mustMine(t, r.c, 2)
	r.want(hash, "chain_getBlockHash")
	r.want(hash, "chain_getFinalizedHead")
	mustMine(t, r.c, 1)
	if r.call("chain_getBlockHash") == hash {
		t.Error("still stale")
	}
	for fault, want := range map[string]string{
		`{"kind":"error"}`:                `{"code":7000,"message":"fault \"error\" needs a count or a duration, so that it ends"}`,
		`{"kind":"nope","count":1}`:       `{"code":7000,"message":"unknown fault \"nope\""}`,
		`{"kind":"error","duration":1}`:   `{"code":-32602,"message":"Invalid params","data":"fault: json: unknown field \"duration\""}`,
		`{"kind":"error","methods":"[x"}`: `{"code":7000,"message":"fault \"error\" needs a count or a duration, so that it ends"}`,
	} {
		r.want(want, "dev_injectFault", json.RawMessage(fault))
	}
	inject(`{"kind":"error","durationMs":60000}`)
	if !strings.Contains(r.call("dev_faults"), `"kind":"error"`) {
		t.Error("not listed")
	}
	r.want(`1`, "dev_clearFaults")
}

func TestDevMethods(t *testing.T) {
	r := newRig(t, Config{}, ServerConfig{})
	r.want(`{"code":-32602,"message":"Invalid params","data":"want 1 to 100000 blocks"}`, "dev_mineBlocks", 0)
	r.call("dev_mineBlocks", 3, 6000)
	one, _ := r.c.Block(chain.Hash{})
	r.want(`1`, "dev_snapshot")
	r.want(`true`, "dev_setStorage", [][]any{{hexOf([]byte("a")), "0x62"}, {hexOf([]byte("seed")), nil}})
	r.call("dev_mineBlocks")
	r.want(`"0x62"`, "state_getStorage", hexOf([]byte("a")))
	r.want(`null`, "state_getStorage", hexOf([]byte("seed")))
	r.want(`"`+one.Hash.String()+`"`, "dev_revert", 1)
	r.want(`null`, "state_getStorage", hexOf([]byte("a")))
	r.want(`{"code":7000,"message":"no such snapshot: 9"}`, "dev_revert", 9)
	r.want(`true`, "dev_setFinalityLag", 5)
	r.call("dev_mineBlocks", 3)
	head := r.c.Head().Hash
	if got := r.call("dev_reorg", 2); got == `"`+head.String()+`"` || strings.Contains(got, "code") {
		t.Error(got)
	}
	if got := r.call("dev_reorg", 50); !strings.Contains(got, `"code":7000`) {
		t.Error(got)
	}
	r.want(`true`, "dev_setTime", time.Now().Add(time.Hour).UnixMilli())
	if got := r.call("engine_createBlock", true, true); !strings.Contains(got, `"hash"`) {
		t.Error(got)
	}
	account := hexOf(make([]byte, 20))
	r.want(`"`+hexOf(ImpersonatedSignature())+`"`, "dev_impersonate", account)
	r.call("dev_mineBlocks")
	r.want(`"0x01"`, "state_getStorage", hexOf(ImpersonateKey(make([]byte, 20))))
	plain := newRig(t, Config{}, ServerConfig{NoDev: true})
	plain.want(`{"code":-32601,"message":"Method not found"}`, "dev_mineBlocks")
}

func TestServe(t *testing.T) {
	c := newTestChain(t, Config{})
	s := NewServer(c, ServerConfig{Listen: "127.0.0.1:0"})
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	r := &rig{t, c, s, "http://" + addr.String()}
	k := r.dial()
	id := k.subscribe("chain_subscribeNewHeads")
	k.notice("chain_newHead", id)
	taken := NewServer(c, ServerConfig{Listen: addr.String()})
	if err := taken.Serve(ctx); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, _, err := k.ws.Read(t.Context()); err == nil {
		t.Error("the connection is still open")
	}
}

func TestJSONDepth(t *testing.T) {
	for text, want := range map[string]bool{
		`[[["["]]]`: true, `[[[[1]]]]`: false, `"[[[[["`: true, `["\"[[[["]`: true, `[{"a":[1]}]`: true,
	} {
		if got := jsonDepth([]byte(text), 3); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestHeaderCodec(t *testing.T) {
	h := Header{Parent: chain.Hash{1}, Number: 70_000, StateRoot: chain.Hash{2}, Digest: BlockHeader{Slot: 5}.Digest()}
	h.Digest = append(h.Digest, []byte{8}, []byte{0, 8, 1, 2}, []byte{5, 'a', 'u', 'r', 'a', 4, 9})
	got, err := DecodeHeader(h.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, got); diff != "" {
		t.Fatal(diff)
	}
	for i := range h.Encode() {
		if _, err := DecodeHeader(h.Encode()[:i]); err == nil {
			t.Fatalf("%d bytes are a header", i)
		}
	}
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(Header{Number: 1, Digest: BlockHeader{Slot: 9}.Digest()}.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHeader(b)
		if err != nil {
			return
		}
		again, err := DecodeHeader(h.Encode())
		if err != nil || !cmp.Equal(h, again) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add(encodeBlock(&Block{Header: Header{Number: 1}, Extrinsics: [][]byte{{1}, {}}}))
	f.Add(encodeChanges([]Change{{Key: []byte("k"), prev: []byte("v")}, {Key: []byte{}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if blk, err := decodeBlock(b); err == nil {
			if _, err := decodeBlock(encodeBlock(blk)); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := decodeChanges(b); err == nil {
			if _, err := decodeChanges(encodeChanges(list)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzRPC(f *testing.F) {
	c, err := New(Config{Seal: SealManual}, &toyEngine{})
	if err != nil {
		f.Fatal(err)
	}
	s := NewServer(c, ServerConfig{})
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"state_getKeysPaged","params":["0x",10,null]}`))
	f.Add([]byte(`[{"jsonrpc":"2.0","id":1,"method":"chain_getBlockHash","params":[[0,"0x1"]]},1]`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"x","method":"network_proofOfStake","params":[1,[1,2],0,"0xff"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte("dev_")) || bytes.Contains(b, []byte("engine_")) {
			return
		}
		if out, _ := s.handle(t.Context(), nil, b); out != nil && !json.Valid(out) {
			t.Fatalf("%s", out)
		}
	})
}
