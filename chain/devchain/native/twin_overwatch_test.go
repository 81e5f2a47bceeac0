package native_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// TestTwinsOverwatch lets three overwatch nodes of different stakes commit,
// reveal and be paid, in both engines.
func TestTwinsOverwatch(t *testing.T) {
	w := newTwins(t)
	cold, hot := testKeys()
	var coldkeys []chain.AccountID
	for _, i := range []int{1, 3, 2, 0} {
		coldkeys = append(coldkeys, cold[i].ID())
	}
	w.runTo(2)
	w.ok(cold[0], registerSubnet(coldkeys, peers()[0], "\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03"))
	for i, p := range peers() {
		w.ok(cold[i], registerNode(hot[i].ID(), p, tensor(100)))
	}
	w.ok(cold[0], delegate(tensor(1000)))
	w.ok(cold[0], subnetCall(1))
	watchers := overwatchNodes(w)
	salt := "a pinch"
	opinions := []uint64{1e18, 5e17, 123456789012345678}
	seal := func(weight uint64) [32]byte {
		var e scale.Encoder
		e.U128(u128.From64(weight))
		e.Text(salt)
		return blake2b.Sum256(e.Buf)
	}
	for epoch := uint32(2); epoch <= 5; epoch++ {
		w.runTo(epoch*20 + 4)
		for i, hotkey := range watchers {
			hash := seal(opinions[i] / uint64(epoch-1))
			call := networkCall(73, func(e *scale.Encoder) {
				e.U32(uint32(i + 1))
				e.Len(1)
				e.U32(testSubnet)
				e.Raw(hash[:])
			})
			w.ok(hotkey, call)
			if r := w.send(hotkey, call); r != "0001031791000000" {
				t.Fatalf("a second commitment: %s, want AlreadyCommitted", r)
			}
		}
		winner := leU32(w.st.Get(key2("SubnetElectedValidator", testSubnet, epoch)))
		w.ok(hot[winner-1], propose(1, 2, 3, 4))
		for i := range hot {
			if uint32(i+1) != winner {
				w.ok(hot[i], attest())
			}
		}
		w.runTo(epoch*20 + 17)
		for i, hotkey := range watchers {
			w.ok(hotkey, networkCall(74, func(e *scale.Encoder) {
				e.U32(uint32(i + 1))
				e.Len(1)
				e.U32(testSubnet)
				e.U128(u128.From64(opinions[i] / uint64(epoch-1)))
				e.Text(salt)
			}))
		}
	}
	w.runTo(145)
	if n := len(under(w.twin.st, itemKey("Network", "OverwatchNodeWeights"))); n != 12 {
		t.Errorf("%d overwatch payments, want 12", n)
	}
	for i, hotkey := range watchers { // and away with them
		w.ok(cold[i], networkCall(70, func(e *scale.Encoder) { e.U32(uint32(i + 1)) }))
		id := hotkey.ID()
		stake := u128.FromLE(w.st.Get(metadata.Blake2_128Concat.Append(itemKey("Network", "AccountOverwatchStake"), id[:])))
		w.ok(cold[i], networkCall(76, func(e *scale.Encoder) { e.Raw(id[:]); e.U128(stake) }))
	}
	w.runTo(170)
	w.ok(cold[0], networkCall(49, func(*scale.Encoder) {}))
	w.close()
	t.Logf("%d pairs compared", w.compared)
}

// overwatchNodes registers three nodes in the second epoch and returns their
// hotkeys.
func overwatchNodes(w *twins) []*account.Account {
	w.t.Helper()
	cold, _ := testKeys()
	w.runTo(24)
	var out []*account.Account
	for i, stake := range []u128.U128{tensor(100), tensor(1000), tensor(70_000)} {
		hotkey, err := account.FromPrivateKey(bytes.Repeat([]byte{byte(i + 1), 9}, 16))
		if err != nil {
			w.t.Fatal(err)
		}
		id := hotkey.ID()
		w.ok(cold[i], transfer(id, 1e18))
		w.ok(cold[i], networkCall(69, func(e *scale.Encoder) { e.Raw(id[:]); e.U128(stake) }))
		w.ok(cold[i], networkCall(72, func(e *scale.Encoder) {
			e.U32(testSubnet)
			e.U32(uint32(i + 1))
			e.Text("12D3KooW" + strings.Repeat(string(rune('a'+i)), 44))
		}))
		w.ok(cold[i], networkCall(75, func(e *scale.Encoder) {
			e.U32(uint32(i + 1))
			e.Raw(id[:])
			e.U128(tensor(5))
		}))
		out = append(out, hotkey)
	}
	return out
}
