package substrate

import (
	"os"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// realRuntime loads the runtime whose metadata an environment variable names, or skips the test.
func realRuntime(t testing.TB, variable string) *runtime {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s names no metadata file; the test runs with one", variable)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := newRuntime(chain.Hash{1}, RuntimeVersion{SpecVersion: 1, TransactionVersion: 1}, b)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// TestRealExtrinsicLengths compares with the lengths of a scripted run of the real runtime; the fee is exact only if they are.
func TestRealExtrinsicLengths(t *testing.T) {
	rt := realRuntime(t, "MESH_G2_METADATA")
	if rt.generation != G2 || rt.params.EpochLength != 20 || rt.extErr != nil {
		t.Fatalf("generation %s, epoch length %d, %v", rt.generation, rt.params.EpochLength, rt.extErr)
	}
	alith, err := account.Dev("Alith")
	if err != nil {
		t.Fatal(err)
	}
	x := txContext{eraLen: 1} // the run used immortal transactions
	for _, c := range []struct {
		call Call
		want int
	}{
		{ActivateSubnet(128001), 97},
		{AddDelegateStake(128001, chain.Tensor(5)), 113},
		{Transfer(alith.ID(), u128.From64(12345)), 115},
		{Attest(128001, 1, nil), 98},
		{Propose(128001, 1, nil), 102},
	} {
		body, err := rt.encodeCall(c.call)
		if err != nil {
			t.Errorf("%s: %v", c.call, err)
			continue
		}
		b, err := rt.sign(alith, body, &x)
		if err != nil || len(b) != c.want {
			t.Errorf("%s takes %d bytes, want %d: %v", c.call, len(b), c.want, err)
		}
	}
}

// TestRealCalls encodes every call that this package offers on the generations whose metadata is at hand.
func TestRealCalls(t *testing.T) {
	for variable, generation := range map[string]Generation{"MESH_G1_METADATA": G1, "MESH_G2_METADATA": G2, "MESH_G2_METADATA_V15": G2} {
		t.Run(variable, func(t *testing.T) {
			rt := realRuntime(t, variable)
			if rt.generation != generation {
				t.Fatalf("recognised as %s", rt.generation)
			}
			if rt.codecs.account == nil || rt.codecs.subnet == nil || rt.codecs.node == nil || rt.codecs.consensus == nil {
				t.Errorf("some codec does not fit: %+v", rt.codecs)
			}
			if generation == G2 && rt.codecs.infos == nil {
				t.Error(rt.codecs.infosError)
			}
			for _, s := range sampleCalls() {
				_, err := rt.encodeCall(s.call)
				if has := s.has(generation); has != (err == nil) {
					t.Errorf("%s: %v; want it to be there: %v", s.call, err, has)
				}
			}
		})
	}
}
