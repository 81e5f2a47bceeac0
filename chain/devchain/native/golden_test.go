package native_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// The vectors in testdata were produced by the chain's own runtime, driven by
// the script below. scripted.json has the pool's and the block's answer to each
// transaction, costs and stakes; settled.json has storage and runtime API
// results of a second run, in which the proposal of epoch 3 found no consensus
// and nobody proposed in epoch 4.

// scripted is scripted.json.
type scripted struct {
	Transactions []struct {
		Block            uint32
		Validity, Result string
		What             string
		Length           int
		Cost             string
	}
	Epochs []struct {
		Block, Elected uint32
		Stakes         [4]string
		Pool           string
	}
	Values map[string]string
}

func load(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scripter runs the script.
type scripter struct {
	*testChain
	want    *scripted // nil: do not compare
	at      int
	elected [8]uint32
	badVote bool // the second run
}

func peers() [4]string {
	return [4]string{
		"12D3KooWMwW1VqH7uWtUc5UGoyMJp1dG26Nkosc6RkRJ7RNiW6Cb", "12D3KooWM5J4zS17XR2LHGZgRpmzbeqg4Eibyq8sbRLwRuWxJqsV",
		"12D3KooWKxAhu5U8SreDZpokVkN6ciTBbsHxteo3Vmq6Cpuf8KEt", "12D3KooWD1BgwEJGUXz3DsKVXGFq3VcmHRjeX56NKpyEa1QAP6uV",
	}
}

// step applies a transaction and compares what the pool and the block say.
func (s *scripter) step(block uint32, xt []byte) {
	s.t.Helper()
	s.runTo(block)
	before := s.free(signerOf(xt))
	validity := s.validity(xt)
	result := s.apply(xt)
	if s.want == nil {
		return
	}
	w := s.want.Transactions[s.at]
	s.at++
	if w.Block != block || w.Validity != validity || w.Result != result {
		s.t.Errorf("block %d, transaction %d (%s):\nvalidity %s\n    want %s\nresult %s\n  want %s (block %d)",
			block, s.at, w.What, validity, w.Validity, result, w.Result, w.Block)
	}
	if w.What == "" {
		return
	}
	if len(xt) != w.Length {
		s.t.Errorf("%s: %d bytes, want %d", w.What, len(xt), w.Length)
	}
	if cost := before.SatSub(s.free(signerOf(xt))); cost.String() != w.Cost {
		s.t.Errorf("%s: cost %s, want %s", w.What, cost, w.Cost)
	}
}

func signerOf(xt []byte) (id chain.AccountID) {
	d := scale.NewDecoder(xt)
	d.Compact()
	d.U8()
	d.Raw(id[:])
	return id
}

func (s *scripter) run() {
	cold, hot := testKeys()
	var coldkeys []chain.AccountID
	for _, i := range []int{1, 3, 2, 0} { // in order of their bytes
		coldkeys = append(coldkeys, cold[i].ID())
	}
	s.step(2, s.signedAt(2, func() []byte {
		return s.signed(cold[0], registerSubnet(coldkeys,
			"12D3KooWLGmub3LXuKQixBD5XwNW4PtSfnrysYzqs1oj19HxMUCF", string(unhex(s.t, "047f000001069830a50303010203"))))
	}))
	if s.want != nil {
		s.equalItems()
	}
	for i, peer := range peers() {
		s.step(3, s.signedAt(3, func() []byte { return s.signed(cold[i], registerNode(hot[i].ID(), peer, tensor(100))) }))
	}
	s.step(3, s.signed(cold[0], delegate(tensor(1000))))
	s.step(4, s.signedAt(4, func() []byte { return s.signed(cold[0], subnetCall(1)) }))
	s.afterActivation()
	s.step(5, s.signedAt(5, func() []byte { return s.signed(cold[0], subnetCall(1)) }))
	s.step(6, s.signedAt(6, func() []byte { return s.signed(cold[1], subnetCall(1)) }))
	s.step(7, s.signedAt(7, func() []byte { return s.signed(hot[0], propose()) }))
	s.step(8, s.signedAt(8, func() []byte {
		return s.signed(cold[0], registerNode(chain.AccountID{1}, "bad", tensor(100)))
	}))
	s.step(9, s.signedAt(9, func() []byte { return s.signed(cold[1], delegate(tensor(5))) }))
	s.step(10, s.signedAt(10, func() []byte { return s.signed(cold[0], transfer(cold[1].ID(), 12345)) }))
	s.queryInfo()
	s.step(11, s.signedAt(11, func() []byte { return s.sign(cold[0], 0, remark(2)) }))
	s.step(12, s.signedAt(12, func() []byte { return s.sign(cold[2], 9, remark(2)) }))
	s.step(13, s.signedAt(13, func() []byte {
		xt := s.signed(cold[3], remark(2))
		xt[40] ^= 1
		return xt
	}))
	for epoch := uint32(1); epoch <= 7; epoch++ {
		s.epoch(epoch)
	}
}

// queryInfo compares the fee of a remark of two bytes, asked for a length of 150.
func (s *scripter) queryInfo() {
	if s.want == nil {
		return
	}
	cold, _ := testKeys()
	xt := s.signed(cold[0], append([]byte{0, 7}, remark(2)[2:]...))
	s.equal("query_info", s.call("TransactionPaymentApi_query_info", append(xt, le32(150)...)))
}

// signedAt opens a block before the transaction is made.
func (s *scripter) signedAt(block uint32, tx func() []byte) []byte {
	s.runTo(block)
	return tx()
}

// epoch lets the elected node propose and the others attest.
func (s *scripter) epoch(epoch uint32) {
	first := epoch*20 + 3
	s.runTo(first)
	s.checkEpoch(epoch)
	if epoch == 7 {
		return
	}
	_, hot := testKeys()
	winner := s.elected[epoch] - 1
	if s.badVote && epoch == 4 {
		return
	}
	s.step(first+2, s.signedAt(first+2, func() []byte { return s.signed(hot[winner], propose(1, 2, 3, 4)) }))
	if s.badVote && epoch == 3 {
		return
	}
	for i := range hot {
		if uint32(i) != winner {
			s.step(first+4, s.signedAt(first+4, func() []byte { return s.signed(hot[i], attest()) }))
		}
	}
	if epoch == 2 {
		s.step(first+7, s.signedAt(first+7, func() []byte { return s.signed(hot[winner], attest()) }))
	}
	if s.want != nil && epoch <= 2 {
		s.equal(fmt.Sprintf("SubnetConsensusSubmission(%d)", epoch), s.st.Get(key2("SubnetConsensusSubmission", testSubnet, epoch)))
	}
}

func le32(n uint32) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} }

func key2(item string, a, b uint32) []byte {
	return append(append(itemKey("Network", item), le32(a)...), le32(b)...)
}

func (s *scripter) equal(name string, got []byte) {
	s.t.Helper()
	if want := s.want.Values[name]; hex.EncodeToString(got) != want {
		s.t.Errorf("%s:\n got %x\nwant %s", name, got, want)
	}
}

// equalItems compares what the log says of the new subnet.
func (s *scripter) equalItems() {
	for item, want := range map[string]uint32{"SubnetSlot": 3, "SubnetIdFriendlyUid": 1, "SubnetRegistrationEpoch": 0} {
		got := s.st.Get(append(itemKey("Network", item), le32(testSubnet)...))
		if string(got) != string(le32(want)) {
			s.t.Errorf("%s is %x, want %d", item, got, want)
		}
	}
}

func (s *scripter) call(method string, args []byte) []byte {
	s.t.Helper()
	b, err := s.engine.Call(s.st, method, args)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// afterActivation compares the runtime API in block 4.
func (s *scripter) afterActivation() {
	if s.want == nil {
		return
	}
	unwrap := func(b []byte) []byte { return scale.NewDecoder(b).Bytes() }
	s.equal("get_subnet_info", unwrap(s.call("NetworkRuntimeApi_get_subnet_info", le32(testSubnet))))
	s.equal("get_subnet_node_info",
		unwrap(s.call("NetworkRuntimeApi_get_subnet_node_info", append(le32(testSubnet), le32(1)...))))
	for class, want := range []byte{1, 1, 1, 1, 0} {
		var e scale.Encoder
		e.U32(testSubnet)
		e.Text(peers()[0])
		e.U8(uint8(class))
		e.None()
		if got := s.call("NetworkRuntimeApi_proof_of_stake", e.Buf); len(got) != 1 || got[0] != want {
			s.t.Errorf("proof of stake for class %d is %x, want %d", class, got, want)
		}
	}
}

// checkEpoch compares stakes and pool at the first block of an epoch.
func (s *scripter) checkEpoch(epoch uint32) {
	if s.want == nil {
		return
	}
	w := s.want.Epochs[epoch-1]
	if w.Block != s.number {
		s.t.Fatalf("block %d, want %d", s.number, w.Block)
	}
	if got := s.st.Get(key2("SubnetElectedValidator", testSubnet, epoch)); string(got) != string(le32(w.Elected)) {
		s.t.Errorf("epoch %d: elected %x, want %d", epoch, got, w.Elected)
	}
	_, hot := testKeys()
	for i := range hot {
		id := hot[i].ID()
		key := metadata.Blake2_128Concat.Append(itemKey("Network", "AccountSubnetStake"), id[:])
		if got := u128.FromLE(s.st.Get(append(key, le32(testSubnet)...))).String(); got != w.Stakes[i] {
			s.t.Errorf("block %d: stake of node %d is %s, want %s", w.Block, i+1, got, w.Stakes[i])
		}
	}
	pool := s.st.Get(append(itemKey("Network", "TotalSubnetDelegateStakeBalance"), le32(testSubnet)...))
	if got := u128.FromLE(pool).String(); got != w.Pool {
		s.t.Errorf("block %d: delegated stake is %s, want %s", w.Block, got, w.Pool)
	}
}

// elections makes the engine elect the validators of a recorded run.
func elections(winners [8]uint32) func(native.Election) int {
	return func(e native.Election) int { return int(winners[e.Epoch]) - 1 }
}

// TestScript compares the answers to every transaction and the stakes of every
// epoch with those of the chain's own runtime.
func TestScript(t *testing.T) {
	var want scripted
	load(t, "scripted.json", &want)
	s := &scripter{want: &want}
	for i, e := range want.Epochs {
		s.elected[i+1] = e.Elected
	}
	s.testChain = newTestChain(t, native.Config{Elect: elections(s.elected)})
	s.run()
	if s.at != len(want.Transactions) {
		t.Errorf("compared %d of %d transactions", s.at, len(want.Transactions))
	}
}

// TestSettled compares storage and runtime API after seven epochs, one of them
// without consensus and one without proposal.
func TestSettled(t *testing.T) {
	var want struct{ Storage, APIs map[string]string }
	load(t, "settled.json", &want)
	s := &scripter{elected: [8]uint32{0, 1, 3, 1, 2, 3, 4, 2}, badVote: true}
	s.testChain = newTestChain(t, native.Config{Elect: elections(s.elected)})
	s.run()
	s.runTo(144)
	s.end()
	got := under(s.st, metadata.Twox128.Append(nil, []byte("Network")))
	same := 0
	for k, v := range want.Storage {
		switch have, ok := got[string(unhex(t, k))]; {
		case !ok:
			t.Errorf("missing %s\n   want %s", k, v)
		case hex.EncodeToString(have) != v:
			t.Errorf("%s\n got %x\nwant %s", k, have, v)
		default:
			same++
		}
		delete(got, string(unhex(t, k)))
	}
	for k, v := range got {
		t.Errorf("too much: %x = %x", k, v)
	}
	t.Logf("%d of %d storage pairs equal", same, len(want.Storage))
	same = 0
	for k, v := range want.APIs {
		method, args, _ := strings.Cut(strings.TrimSuffix(k, ")"), "(")
		if have := s.call(method, unhex(t, args)); hex.EncodeToString(have) != v {
			t.Errorf("%s\n got %x\nwant %s", k, have, v)
			continue
		}
		same++
	}
	t.Logf("%d of %d runtime API results equal", same, len(want.APIs))
}
