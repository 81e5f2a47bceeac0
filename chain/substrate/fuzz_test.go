package substrate

import (
	"encoding/json"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// fuzzRuntime is the tiny runtime of the fake node.
func fuzzRuntime(f *testing.F) *runtime {
	f.Helper()
	rt, err := newRuntime(chain.Hash{}, RuntimeVersion{}, fakeMetadata(f))
	if err != nil {
		f.Fatal(err)
	}
	return rt
}

// FuzzFrame feeds frames to a connection with a request and a subscription open: no panic, and whatever is no JSON-RPC ends it.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"result":"0x00"}`, `{"jsonrpc":"2.0","id":2,"result":"sub"}`, `[{"id":1,"result":1},{"id":2,"error":{"code":1,"message":"m","data":[1]}}]`,
		`{"method":"x","params":{"subscription":"sub","result":{"number":"0x1"}}}`, `[]`, `null`, `{"id":null,"error":{"code":-32700}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &conn{done: make(chan struct{}), pending: map[uint64]*request{}, subs: map[string]*subscription{}}
		one := &request{method: "a", answer: make(chan answer, 1)}
		two := &request{method: "b", answer: make(chan answer, 1), sub: &subscription{updates: make(chan json.RawMessage, 1)}}
		if _, err := c.register(one, two); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if c.receive(b) != nil {
				return
			}
		}
		select {
		case a := <-one.answer:
			if _, err := optionalBytes(a.result); err == nil {
				_, _ = bytesAnswer(a.result)
			}
			if h, err := decodeHead(a.result); err == nil && h.Hash.IsZero() {
				t.Error("a head without a hash")
			}
		default:
		}
	})
}

// FuzzExtrinsic decodes arbitrary extrinsics.
func FuzzExtrinsic(f *testing.F) {
	rt := fuzzRuntime(f)
	f.Add([]byte{0x1c, 4, 23, 1, 1, 0, 0, 0})
	f.Add([]byte{0x04, 0x84})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := rt.decodeExtrinsic(b)
		if err == nil && x.Call.Name == "" {
			t.Error("an extrinsic without a call")
		}
	})
}

// FuzzReport feeds reports on a transaction: only blocks decide, so nothing is decided here.
func FuzzReport(f *testing.F) {
	for _, s := range []string{`"ready"`, `"invalid"`, `{"usurped":"0x00"}`, `{"broadcast":[]}`, `{"retracted":"0x0000000000000000000000000000000000000000000000000000000000000000"}`, `5`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in struct{ InBlock, Finalized json.RawMessage }
		if json.Unmarshal(b, &in) == nil && (in.InBlock != nil || in.Finalized != nil) {
			t.Skip("asks the node")
		}
		c := &Client{}
		if _, v, err := c.report(t.Context(), &tx{opts: &options{}}, b); v == decided || err != nil {
			t.Errorf("%s decides: %v, %v", b, v, err)
		}
	})
}
