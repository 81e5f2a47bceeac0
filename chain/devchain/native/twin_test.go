package native_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/wasm"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// twins run the same blocks through the native engine and through the real
// runtime, and compare what both leave behind. They need a raw chain
// specification of generation G2 in MESH_CHAIN_SPEC.
type twins struct {
	*testChain                // the real runtime
	twin       *testChain     // the native engine
	compared   int            // storage pairs
	known      map[string]int // differences that are by design, by item
	what       string         // the last transaction
}

// pallets whose storage must be equal.
func comparedPallets() []string {
	return []string{
		"System", "Timestamp", "Balances", "TransactionPayment", "Sudo", "Treasury", "Network", "Aura",
		"InsecureRandomnessCollectiveFlip",
	}
}

// byDesign are items that differ: the header lacks the log of the EVM, of which
// there is none.
func byDesign() map[string]bool {
	return map[string]bool{"System.Digest": true}
}

func newTwins(t *testing.T) *twins {
	t.Helper()
	path := os.Getenv("MESH_CHAIN_SPEC")
	if path == "" {
		t.Skip("MESH_CHAIN_SPEC names no raw chain specification")
	}
	spec, err := wasm.LoadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	original, err := wasm.New(t.Context(), wasm.Config{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := original.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &twins{known: map[string]int{}}
	c, err := devchain.New(devchain.Config{Seal: devchain.SealManual}, original)
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.StateAt(chain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.testChain = &testChain{t: t, engine: original, st: st}
	w.twin = &testChain{t: t, st: newMemState()}
	cfg := native.Config{Elect: func(e native.Election) int {
		b := w.st.Get(key2("SubnetElectedValidator", uint32(e.Subnet), uint32(e.Epoch)))
		if b == nil {
			return -1
		}
		return slices.Index(e.Candidates, chain.NodeID(leU32(b)))
	}}
	keys := w.st.Get(itemKey("Aura", "Authorities"))
	for _, k := range chunks(keys[1:], 32) {
		cfg.Authorities = append(cfg.Authorities, [32]byte(k))
	}
	w.twin.engine = native.New(cfg)
	g := devchain.Genesis{Accounts: map[chain.AccountID]chain.Balance{}, Sudo: chain.AccountID(w.st.Get(itemKey("Sudo", "Key")))}
	for k, v := range under(w.st, itemKey("System", "Account")) {
		g.Accounts[chain.AccountID([]byte(k[48:]))] = u128.FromLE(v[16:32])
	}
	if err := w.twin.engine.Genesis(w.twin.st, g); err != nil {
		t.Fatal(err)
	}
	for k, v := range under(w.st, itemKey("System", "Account")) {
		w.twin.st.Set([]byte(k), v) // one of them is a contract
	}
	w.genesis = chain.Hash{0x45}
	w.head, w.twin.head, w.twin.genesis = w.genesis, w.genesis, w.genesis
	w.compare("genesis")
	return w
}

func leU32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func chunks(b []byte, n int) [][]byte { return slices.Collect(slices.Chunk(b, n)) }

// runTo closes blocks in both until block n is open.
func (w *twins) runTo(n uint32) {
	w.t.Helper()
	for w.number < n {
		if w.number > 0 {
			w.close()
		}
		w.begin()
		w.twin.begin()
		w.compare(fmt.Sprintf("start of block %d", w.number))
	}
}

func (w *twins) close() {
	w.t.Helper()
	w.end()
	w.twin.end()
	w.twin.head = w.head
	w.compare(fmt.Sprintf("end of block %d", w.number))
}

// do applies an extrinsic to both.
func (w *twins) do(xt []byte) string {
	w.t.Helper()
	if a, b := w.validity(xt), w.twin.validity(xt); a != b {
		w.t.Fatalf("block %d: validity\n  real %s\nnative %s", w.number, a, b)
	}
	a, b := w.apply(xt), w.twin.apply(xt)
	if a != b {
		w.t.Errorf("block %d: result\n  real %s\nnative %s", w.number, a, b)
	}
	w.compare(fmt.Sprintf("block %d after a transaction with the result %s", w.number, a))
	if w.t.Failed() {
		w.t.FailNow()
	}
	return a
}

// send signs a call and applies it to both.
func (w *twins) send(who *account.Account, call []byte) string {
	w.t.Helper()
	return w.do(w.signed(who, call))
}

// ok is send of a call that must succeed.
func (w *twins) ok(who *account.Account, call []byte) {
	w.t.Helper()
	if r := w.send(who, call); r != "0000" {
		w.t.Fatalf("block %d: %s", w.number, r)
	}
}

func (w *twins) compare(when string) {
	w.t.Helper()
	names := map[string]string{}
	m, err := w.twin.engine.Metadata(15)
	if err != nil {
		w.t.Fatal(err)
	}
	decoded, err := metadata.Decode(m)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range decoded.Pallets {
		if p.Storage == nil {
			continue
		}
		for _, e := range p.Storage.Entries {
			names[string(itemKey(p.Storage.Prefix, e.Name))] = p.Name + "." + e.Name
		}
	}
	nameOf := func(k string) string {
		if n := names[k[:32]]; n != "" {
			return n
		}
		return hex.EncodeToString([]byte(k[:32]))
	}
	differ := 0
	report := func(k string, a, b []byte) {
		name := nameOf(k)
		if byDesign()[name] {
			w.known[name]++
			return
		}
		if differ++; differ <= 12 {
			w.t.Errorf("%s: %s %x\n  real %x\nnative %x", when, name, k[32:], a, b)
		}
	}
	for _, pallet := range comparedPallets() {
		prefix := metadata.Twox128.Append(nil, []byte(pallet))
		have := under(w.twin.st, prefix)
		for k, v := range under(w.st, prefix) {
			w.compared++
			if b, ok := have[k]; !ok || !bytes.Equal(v, b) {
				report(k, v, b)
			}
			delete(have, k)
		}
		for k, v := range have {
			report(k, nil, v)
		}
	}
	if differ > 0 {
		w.t.Fatalf("%s: %d differences after %s", when, differ, w.what)
	}
}

// TestTwinsScript runs the recorded script through both engines.
func TestTwinsScript(t *testing.T) {
	w := newTwins(t)
	cold, hot := testKeys()
	var coldkeys []chain.AccountID
	for _, i := range []int{1, 3, 2, 0} {
		coldkeys = append(coldkeys, cold[i].ID())
	}
	w.runTo(2)
	w.ok(cold[0], registerSubnet(coldkeys, "12D3KooWLGmub3LXuKQixBD5XwNW4PtSfnrysYzqs1oj19HxMUCF", "\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03"))
	w.runTo(3)
	for i, p := range peers() {
		w.ok(cold[i], registerNode(hot[i].ID(), p, tensor(100)))
	}
	w.ok(cold[0], delegate(tensor(1000)))
	w.runTo(4)
	w.ok(cold[0], subnetCall(1))
	for epoch := uint32(1); epoch <= 7; epoch++ {
		w.runTo(epoch*20 + 5)
		winner := int(leU32(w.st.Get(key2("SubnetElectedValidator", testSubnet, epoch)))) - 1
		if epoch == 4 {
			continue
		}
		w.ok(hot[winner], propose(1, 2, 3, 4))
		if epoch == 3 {
			continue
		}
		w.runTo(epoch*20 + 7)
		for i := range hot {
			if i != winner {
				w.ok(hot[i], attest())
			}
		}
	}
	w.runTo(170)
	w.close()
	t.Logf("%d pairs compared, by design different: %v", w.compared, w.known)
}
