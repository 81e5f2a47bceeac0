package native_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// BenchmarkBlocks makes blocks of a chain with one subnet of 64 nodes that
// propose and attest in every epoch. One operation is 1,000 blocks.
func BenchmarkBlocks(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c := newTestChain(b, native.Config{})
		hot := c.bigSubnet(64)
		for c.number < 1000 {
			c.runTo(c.number + 1)
			if c.number%20 != 5 || c.number < 25 {
				continue
			}
			winner := leU32(c.st.Get(key2("SubnetElectedValidator", testSubnet, (c.number-3)/20)))
			var all []uint32
			for i := range hot {
				all = append(all, uint32(i+1))
			}
			c.must(c.signed(hot[winner-1], propose(all...)))
			for i := range hot {
				if uint32(i+1) != winner {
					c.must(c.signed(hot[i], attest()))
				}
			}
		}
		c.end()
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "blocks/s")
}

// bigSubnet activates a subnet of n nodes and returns their hotkeys.
func (c *testChain) bigSubnet(n int) []*account.Account {
	c.t.Helper()
	cold, _ := testKeys()
	hot := make([]*account.Account, n)
	var coldkeys []chain.AccountID
	for _, i := range []int{1, 3, 2, 0} {
		coldkeys = append(coldkeys, cold[i].ID())
	}
	call := registerSubnet(coldkeys, peers()[0], "\x04\x7f\x00\x00\x01\x06\x98\x30\xa5\x03\x03\x01\x02\x03")
	call = bytes.ReplaceAll(call, append(coldkeys[0][:], 1, 0, 0, 0), append(coldkeys[0][:], byte(n), 0, 0, 0))
	c.runTo(1)
	c.must(c.signed(cold[0], call))
	for i := range hot {
		a, err := account.FromPrivateKey(bytes.Repeat([]byte{byte(i + 1), 7}, 16))
		if err != nil {
			c.t.Fatal(err)
		}
		hot[i] = a
		fund := scale.Encoder{Buf: []byte{4, 0}}
		id := a.ID()
		fund.Raw(id[:])
		fund.CompactU128(tensor(1))
		c.must(c.signed(cold[0], fund.Buf))
		c.must(c.signed(cold[1], registerNode(id, fmt.Sprintf("12D3KooW%044d", i), tensor(100))))
	}
	c.must(c.signed(cold[0], delegate(tensor(1000))))
	c.must(c.signed(cold[0], subnetCall(1)))
	return hot
}

// BenchmarkGenesis is the time to a fresh chain.
func BenchmarkGenesis(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newTestChain(b, native.Config{})
	}
}
