package substrate

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// TestMultiSignature signs for a chain whose addresses and signatures are enums: the cases are found by name.
func TestMultiSignature(t *testing.T) {
	m, err := metadata.Decode(fakeMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	add := func(x metadata.Type) metadata.TypeID {
		m.Types = append(m.Types, x)
		return metadata.TypeID(len(m.Types) - 1)
	}
	address := add(metadata.Type{Path: []string{"sp_runtime", "MultiAddress"}, Kind: metadata.KindVariant, Variants: []metadata.Variant{{Name: "Index", Index: 1}, {Name: "Id", Index: 0}}})
	signature := add(metadata.Type{Path: []string{"sp_runtime", "MultiSignature"}, Kind: metadata.KindVariant, Variants: []metadata.Variant{
		{Name: "Ed25519", Index: 0}, {Name: "Sr25519", Index: 1}, {Name: "Ecdsa", Index: 2},
	}})
	m.Extrinsic.Type = add(metadata.Type{Kind: metadata.KindComposite, Params: []metadata.Param{{Name: "Address", Type: address}, {Name: "Signature", Type: signature}}})
	b, err := m.EncodeV14()
	if err != nil {
		t.Fatal(err)
	}
	rt, err := newRuntime(chain.Hash{}, RuntimeVersion{}, b)
	if err != nil {
		t.Fatal(err)
	}
	a, err := account.FromEd25519Seed(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte{23, 1, 1, 0, 0, 0}
	xt, err := rt.sign(a, body, &txContext{})
	if err != nil {
		t.Fatal(err)
	}
	xt = xt[2:] // the length
	if xt[0] != 0x84 || xt[1] != 0 || !bytes.Equal(xt[2:34], a.Address()) || xt[34] != 0 || !bytes.HasSuffix(xt, body) {
		t.Errorf("transaction %x", xt)
	}
	if !ed25519.Verify(a.Address(), body, xt[35:99]) {
		t.Error("the signature does not hold")
	}
	if _, err := rt.sign(dev(t, "Alith"), body, &txContext{}); err == nil {
		t.Error("signed in a scheme that the chain lacks")
	}
	if got := rt.accountParam(a.Address()); got != account.SS58(42, a.Address()) {
		t.Errorf("account parameter %s", got)
	}
}

// TestStalledEndpoint leaves an endpoint that brings no heads, if there is another.
func TestStalledEndpoint(t *testing.T) {
	stale, fresh := newFakeNode(t), newFakeNode(t)
	for _, f := range []*fakeNode{stale, fresh} {
		f.handle("chain_subscribeNewHeads", func(c *fakeConn, _ []json.RawMessage) (any, error) {
			c.notify("chain_newHead", "h", fakeHeader(5))
			return "h", nil
		})
	}
	c, err := Dial(t.Context(), Config{Endpoints: []string{stale.url, fresh.url}, StallAfter: 30 * time.Millisecond, MinBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	eventually(t, "the change of endpoints", func() bool { return c.Health()[1].Active })
}
