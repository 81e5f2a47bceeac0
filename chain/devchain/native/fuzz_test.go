package native_test

import (
	"bytes"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// FuzzExtrinsic feeds foreign bytes to the pool's validation and to a block.
// Whatever they are, the engine answers, leaves no layer open, and refuses
// without a trace.
func FuzzExtrinsic(f *testing.F) {
	cold, hot := testKeys()
	for _, call := range [][]byte{
		remark(3), transfer(cold[1].ID(), 5), subnetCall(1), propose(1, 2), attest(),
		registerNode(hot[0].ID(), "12D3KooWMwW1VqH7uWtUc5UGoyMJp1dG26Nkosc6RkRJ7RNiW6Cb", tensor(100)),
		append([]byte{15, 0, 8}, append(remark(1), remark(2)...)...), append([]byte{6, 0}, remark(1)...),
	} {
		c := newTestChain(f, native.Config{})
		f.Add(c.sign(cold[0], 0, call))
	}
	f.Add([]byte{0x14, 5, 1, 0, 0xc1, 0x5d})
	f.Add(bytes.Repeat([]byte{15, 0, 4}, 100))
	engine := native.New(native.Config{})
	f.Fuzz(func(t *testing.T, xt []byte) {
		c := startTestChain(t, engine)
		c.begin()
		before := c.snapshot()
		_ = c.validity(xt)
		if r := c.apply(xt); r[:2] != "00" {
			if after := c.snapshot(); after != before {
				t.Errorf("the refusal %s changed the state", r)
			}
		}
		c.end()
	})
}

// FuzzCall feeds foreign arguments to the runtime API.
func FuzzCall(f *testing.F) {
	methods := []string{
		"NetworkRuntimeApi_get_subnet_info", "NetworkRuntimeApi_proof_of_stake", "NetworkRuntimeApi_get_bootnodes",
		"NetworkRuntimeApi_get_coldkey_stakes", "TransactionPaymentApi_query_info", "TransactionPaymentApi_query_fee_details",
		"AccountNonceApi_account_nonce", "Metadata_metadata_at_version", "BlockBuilder_inherent_extrinsics",
		"TaggedTransactionQueue_validate_transaction", "Core_initialize_block", "BlockBuilder_apply_extrinsic",
	}
	for i := range methods {
		f.Add(uint8(i), le32(testSubnet))
	}
	engine := native.New(native.Config{})
	f.Fuzz(func(t *testing.T, method uint8, args []byte) {
		c := startTestChain(t, engine)
		c.begin()
		c.st.Begin()
		_, _ = engine.Call(c.st, methods[int(method)%len(methods)], args)
		c.st.Rollback()
		c.end()
	})
}

// snapshot is the whole state as one string.
func (c *testChain) snapshot() string {
	var e scale.Encoder
	for k := c.st.Next(nil); k != nil; k = c.st.Next(k) {
		e.Bytes(k)
		e.Bytes(c.st.Get(k))
	}
	return string(e.Buf)
}
