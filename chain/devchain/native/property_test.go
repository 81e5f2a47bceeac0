package native_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// totals are the sums over accounts and what the chain believes them to be.
func (c *testChain) totals() (issued, believed u128.U128) {
	for _, v := range under(c.st, itemKey("System", "Account")) {
		issued = issued.SatAdd(u128.FromLE(v[16:])).SatAdd(u128.FromLE(v[32:]))
	}
	return issued, u128.FromLE(c.st.Get(itemKey("Balances", "TotalIssuance")))
}

// Whatever happens, the issuance is the sum of all balances, the stake totals
// are the sums of the stakes, reputations stay within one whole, and delegate
// shares never lose value but by rounding.
func TestInvariants(t *testing.T) {
	engine := native.New(native.Config{EpochLength: 5, Seed: [32]byte{1}})
	rapid.Check(t, func(rt *rapid.T) {
		c := startTestChain(t, engine)
		cold, hot := testKeys()
		var coldkeys []chain.AccountID
		for _, i := range []int{1, 3, 2, 0} {
			coldkeys = append(coldkeys, cold[i].ID())
		}
		c.begin()
		c.must(c.signed(cold[0], registerSubnet(coldkeys, peers()[0], "\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03")))
		for i, p := range peers() {
			c.must(c.signed(cold[i], registerNode(hot[i].ID(), p, tensor(100))))
		}
		c.must(c.signed(cold[0], delegate(tensor(10))))
		c.must(c.signed(cold[0], subnetCall(1)))
		price := c.sharePrice()
		for range rapid.IntRange(5, 25).Draw(rt, "blocks") {
			for range rapid.IntRange(0, 2).Draw(rt, "transactions") {
				who := rapid.IntRange(0, 3).Draw(rt, "who")
				amount := u128.From64(rapid.Uint64Range(1, 1e19).Draw(rt, "amount"))
				switch rapid.IntRange(0, 8).Draw(rt, "what") {
				case 0:
					c.apply(c.signed(cold[who], delegate(amount)))
				case 1:
					c.apply(c.signed(cold[who], networkCall(53, func(e *scale.Encoder) { e.U32(testSubnet); e.U128(amount) })))
				case 2:
					c.apply(c.signed(cold[who], networkCall(49, func(*scale.Encoder) {})))
				case 3, 4:
					c.apply(c.signed(hot[who], propose(1, 2, 3, 4)))
				case 5:
					c.apply(c.signed(hot[who], propose(1)))
				case 6, 7:
					c.apply(c.signed(hot[who], attest()))
				case 8:
					id := hot[who].ID()
					c.apply(c.signed(cold[who], networkCall(48, func(e *scale.Encoder) { e.U32(testSubnet); e.Raw(id[:]); e.U128(amount) })))
				}
			}
			c.end()
			c.begin()
			if err := c.check(); err != nil {
				rt.Fatal(err)
			}
			next := c.sharePrice()
			if next.SatAdd(u128.From64(2)).Less(price) {
				rt.Fatalf("share price fell from %s to %s", price, next)
			}
			price = next
		}
	})
}

// sharePrice is the balance of 1e18 delegate shares.
func (c *testChain) sharePrice() u128.U128 {
	pool := u128.FromLE(c.st.Get(append(itemKey("Network", "TotalSubnetDelegateStakeBalance"), le32(testSubnet)...)))
	shares := u128.FromLE(c.st.Get(append(itemKey("Network", "TotalSubnetDelegateStakeShares"), le32(testSubnet)...)))
	return u128.From64(1e18).MulDiv(pool.SatAdd(u128.From64(1)), shares.SatAdd(u128.From64(10)))
}

func (c *testChain) check() error {
	if issued, believed := c.totals(); issued != believed {
		return fmt.Errorf("balances sum to %s, the issuance is %s", issued, believed)
	}
	sum := func(item string) (total u128.U128) {
		for _, v := range under(c.st, itemKey("Network", item)) {
			total = total.SatAdd(u128.FromLE(v))
		}
		return total
	}
	for total, part := range map[string]string{
		"TotalStake": "AccountSubnetStake", "TotalDelegateStake": "TotalSubnetDelegateStakeBalance",
		"TotalAccountDelegateStake": "AccountDelegateStake",
	} {
		want := u128.U128{}
		if b := c.st.Get(itemKey("Network", total)); b != nil {
			want = u128.FromLE(b)
		}
		if got := sum(part); got != want {
			return fmt.Errorf("%s is %s, the sum of %s is %s", total, want, part, got)
		}
	}
	one := u128.From64(1e18)
	for _, item := range []string{"SubnetReputation", "SubnetNodeReputation", "OverwatchSubnetWeights"} {
		for k, v := range under(c.st, itemKey("Network", item)) {
			if one.Less(u128.FromLE(v)) {
				return fmt.Errorf("%s %x is above one", item, k)
			}
		}
	}
	for k, v := range under(c.st, itemKey("Network", "FinalSubnetEmissionWeights")) {
		d := scale.NewDecoder(v)
		d.U128()
		total := u128.U128{}
		for range d.Len(20) {
			d.U32()
			total = total.SatAdd(d.U128())
		}
		if one.Less(total) || d.Finish() != nil {
			return fmt.Errorf("emission weights %x sum to %s", k, total)
		}
	}
	return nil
}

// The default election is a function of the seed, and fair enough.
func TestElection(t *testing.T) {
	winners := func(seed byte) (list []uint32) {
		c := newTestChain(t, native.Config{EpochLength: 5, Seed: [32]byte{seed}})
		c.subnet()
		for epoch := uint32(1); epoch < 200; epoch++ {
			c.runTo(epoch*5 + 3)
			if b := c.st.Get(key2("SubnetElectedValidator", testSubnet, epoch)); b != nil {
				list = append(list, leU32(b))
			}
			if epoch%4 == 0 { // or the subnet loses its reputation
				c.st.Delete(append(itemKey("Network", "SubnetReputation"), le32(testSubnet)...))
			}
		}
		return list
	}
	a, b := winners(1), winners(1)
	if len(a) < 150 || !slices.Equal(a, b) {
		t.Fatalf("%d and %d elections, or different ones, from one seed", len(a), len(b))
	}
	if slices.Equal(a, winners(2)) {
		t.Error("another seed elects the same validators")
	}
	count := map[uint32]int{}
	for _, w := range a {
		count[w]++
	}
	for w := uint32(1); w <= 4; w++ {
		if n := count[w]; n < len(a)/8 || n > len(a)/2 {
			t.Errorf("node %d won %d of %d elections", w, n, len(a))
		}
	}
}

// subnet registers and activates a subnet of four nodes in block 1.
func (c *testChain) subnet() {
	c.t.Helper()
	cold, hot := testKeys()
	var coldkeys []chain.AccountID
	for _, i := range []int{1, 3, 2, 0} {
		coldkeys = append(coldkeys, cold[i].ID())
	}
	c.runTo(1)
	c.must(c.signed(cold[0], registerSubnet(coldkeys, peers()[0], "\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03")))
	for i, p := range peers() {
		c.must(c.signed(cold[i], registerNode(hot[i].ID(), p, tensor(100))))
	}
	c.must(c.signed(cold[0], delegate(tensor(10))))
	c.must(c.signed(cold[0], subnetCall(1)))
}

// A mortal transaction lives as long as its era says.
func TestMortality(t *testing.T) {
	c := newTestChain(t, native.Config{})
	c.runTo(70)
	cold, _ := testKeys()
	mortal := func(period, birth uint64, hash chain.Hash) []byte {
		trailing := 0
		for p := period; p > 2; p >>= 1 {
			trailing++
		}
		code := uint16(trailing) | uint16(birth%period)<<4
		var extra scale.Encoder
		extra.U16(code)
		extra.Compact(uint64(c.nonce(cold[0].ID())))
		extra.Compact(0)
		payload := scale.Encoder{Buf: append([]byte(nil), remark(1)...)}
		payload.Raw(extra.Buf)
		payload.U32(1)
		payload.U32(1)
		payload.Raw(c.genesis[:])
		payload.Raw(hash[:])
		sig, err := cold[0].Sign(payload.Buf)
		if err != nil {
			t.Fatal(err)
		}
		id := cold[0].ID()
		body := scale.Encoder{Buf: []byte{0x84}}
		body.Raw(id[:])
		body.Raw(sig)
		body.Raw(extra.Buf)
		body.Raw(remark(1))
		var xt scale.Encoder
		xt.Bytes(body.Buf)
		return xt.Buf
	}
	hashOf := func(n uint32) chain.Hash {
		return chain.Hash(c.st.Get(metadata.Twox64Concat.Append(itemKey("System", "BlockHash"), le32(n))))
	}
	young := mortal(64, 66, hashOf(66))
	if v := c.validity(young); v[:2] != "00" {
		t.Errorf("a young transaction is refused: %s", v)
	}
	if v := c.validity(mortal(64, 66, hashOf(65))); v != "010004" {
		t.Errorf("a transaction born in another block: %s, want a bad proof", v)
	}
	c.runTo(66 + 64)
	if v := c.validity(young); v[:2] == "00" {
		t.Errorf("an old transaction is accepted: %s", v)
	}
}

// A failed call leaves nothing but the fee.
func TestRollback(t *testing.T) {
	c := newTestChain(t, native.Config{})
	c.begin()
	cold, _ := testKeys()
	before := under(c.st, metadata.Twox128.Append(nil, []byte("Network")))
	batch := append([]byte{15, 2, 8}, transfer(cold[1].ID(), 1e9)...) // batch_all
	batch = append(batch, subnetCall(1)...)
	free := c.free(cold[1].ID())
	if r := c.apply(c.signed(cold[0], batch)); r != "000103170d000000" {
		t.Fatalf("result %s, want NotSubnetOwner", r)
	}
	if got := c.free(cold[1].ID()); got != free {
		t.Errorf("the transfer of the failed batch stayed: %s, was %s", got, free)
	}
	after := under(c.st, metadata.Twox128.Append(nil, []byte("Network")))
	if len(before) != len(after) {
		t.Errorf("%d pairs under Network, before %d", len(after), len(before))
	}
}

// Sudo stands in for the chain's collective.
func TestSudo(t *testing.T) {
	c := newTestChain(t, native.Config{})
	c.begin()
	cold, _ := testKeys()
	pause := []byte{6, 0, palletNetwork, 77}
	if r := c.apply(c.signed(cold[1], pause)); r != "0001030600000000" {
		t.Fatalf("sudo by a stranger: %s", r)
	}
	c.must(c.signed(cold[0], pause))
	if r := c.apply(c.signed(cold[1], delegate(tensor(1)))); r != "000103178a000000" {
		t.Fatalf("a call while paused: %s, want Paused", r)
	}
	c.must(c.signed(cold[0], []byte{6, 0, palletNetwork, 78}))
	if r := c.apply(c.signed(cold[1], delegate(tensor(1)))); r != "000103171b000000" {
		t.Fatalf("after the pause: %s, want InvalidSubnetId", r)
	}
}

// What the engine cannot answer has a name.
func TestUnknown(t *testing.T) {
	e := native.New(native.Config{})
	if _, err := e.Metadata(13); !errors.Is(err, devchain.ErrNoMetadata) {
		t.Errorf("metadata 13: %v", err)
	}
	if _, err := e.Call(newMemState(), "EthereumRuntimeRPCApi_chain_id", nil); !errors.Is(err, devchain.ErrUnknownMethod) {
		t.Errorf("unknown method: %v", err)
	}
	if err := e.Genesis(newMemState(), devchain.Genesis{EpochLength: 7}); err == nil {
		t.Error("a genesis with another epoch length is accepted")
	}
}
