package chain

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

func TestParseTensor(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1000000000000000000", "0.5": "500000000000000000", "100 TENSOR": "100000000000000000000",
		" 1.25TENSOR ": "1250000000000000000", "0": "0", "0.0": "0", "000": "0",
		"0.000000000000000001": "1", "340282366920938463463.374607431768211455": "340282366920938463463374607431768211455",
	} {
		got, err := ParseTensor(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseTensor(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", ".", "1.", ".5", "-1", "1e3", "1,5", "0.0000000000000000001", "340282366920938463463.374607431768211456", "TENSOR", "1.5 USD"} {
		if got, err := ParseTensor(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseTensor(%q) = %v, %v; want ErrSyntax", in, got, err)
		}
	}
}

func FuzzParseTensor(f *testing.F) {
	f.Add("1.5")
	f.Add("0.000000000000000001 TENSOR")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseTensor(s)
		if err != nil {
			return
		}
		if back, err := ParseTensor(FormatTensor(b)); err != nil || back != b {
			t.Fatalf("%q -> %v -> %q -> %v, %v", s, b, FormatTensor(b), back, err)
		}
	})
}

// TestEpochArithmetic walks 100,000 blocks and compares with counting.
func TestEpochArithmetic(t *testing.T) {
	for _, p := range []Params{{EpochLength: 20}, {EpochLength: 100}, {EpochLength: 1}, {EpochLength: 7}} {
		for _, slot := range []Slot{3, 19} {
			epoch, offset := Epoch(0), uint32(0)
			for b := BlockNumber(0); b < 100_000; b++ {
				if uint32(b) > uint32(slot) {
					if offset++; offset == p.EpochLength {
						epoch, offset = epoch+1, 0
					}
				}
				if got := p.EpochAt(b, slot); got != epoch {
					t.Fatalf("length %d slot %d: EpochAt(%d) = %d, want %d", p.EpochLength, slot, b, got, epoch)
				}
				if got := p.Offset(b, slot); got != offset {
					t.Fatalf("length %d slot %d: Offset(%d) = %d, want %d", p.EpochLength, slot, b, got, offset)
				}
				if offset == 0 && uint32(b) >= uint32(slot) && p.FirstBlock(epoch, slot) != b {
					t.Fatalf("FirstBlock(%d, %d) = %d, want %d", epoch, slot, p.FirstBlock(epoch, slot), b)
				}
			}
		}
	}
	if got := (Params{EpochLength: 20}).EpochAt(50, 0); got != 0 {
		t.Errorf("a subnet without a slot is in epoch %d, want 0", got)
	}
	if got := (Params{}).Permille(50, 3); got != 0 {
		t.Errorf("Permille without an epoch length = %d", got)
	}
}

func TestAccountIDText(t *testing.T) {
	a, err := ParseAccountID("0xf24FF3a9CF04c71Dbc94D0b566f7A27B94566cac")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(a)
	if err != nil || string(b) != `"0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac"` {
		t.Errorf("json = %s, %v", b, err)
	}
	for _, bad := range []string{"", "0x", "0xf24f", "0xg24FF3a9CF04c71Dbc94D0b566f7A27B94566cac", "f24FF3a9CF04c71Dbc94D0b566f7A27B94566cac00"} {
		if _, err := ParseAccountID(bad); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseAccountID(%q): %v, want ErrSyntax", bad, err)
		}
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	for want, err := range map[string]error{
		"Network.InvalidSubnetId":               &DispatchError{Pallet: "Network", Name: "InvalidSubnetId"},
		"BadOrigin":                             &DispatchError{Name: "BadOrigin"},
		"Network.Paused: The network is paused": &DispatchError{Pallet: "Network", Name: "Paused", Docs: "The network is paused"},
		"invalid transaction: Transaction has a bad signature (BadProof)": &InvalidTxError{Kind: "BadProof", Text: "Transaction has a bad signature"},
		"invalid transaction: Stale":                                      &InvalidTxError{Kind: "Stale"},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func ExampleFormatTensor() {
	amount, _ := ParseTensor("101.052017254498691117")
	fmt.Println(amount, "planck are", FormatTensor(amount))
	// Output: 101052017254498691117 planck are 101.052017254498691117 TENSOR
}

func ExampleParams_EpochAt() {
	p := Params{EpochLength: 20}
	fmt.Println(p.EpochAt(42, 3), p.EpochAt(43, 3), p.FirstBlock(2, 3))
	// Output: 1 2 43
}
