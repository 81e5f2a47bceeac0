package wasm

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// specEngine makes an engine from the chain specification that MESH_CHAIN_SPEC
// points to; the test is skipped without one.
func specEngine(tb testing.TB) *Engine {
	tb.Helper()
	path := os.Getenv("MESH_CHAIN_SPEC")
	if path == "" {
		tb.Skip("MESH_CHAIN_SPEC names no raw chain specification")
	}
	spec, err := LoadSpec(path)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := New(tb.Context(), Config{Spec: spec})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func specChain(tb testing.TB, e *Engine, cfg devchain.Config) *devchain.Chain {
	tb.Helper()
	cfg.Seal = devchain.SealManual
	c, err := devchain.New(cfg, e)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func TestRealRuntime(t *testing.T) {
	e := specEngine(t)
	for _, name := range e.Missing() {
		t.Log("missing host function:", name)
		if !strings.HasSuffix(name, "_generate_version_1") { // need a keystore, which there is not
			t.Errorf("the runtime imports %s", name)
		}
	}
	for _, v := range []uint32{14, 15} {
		b, err := e.Metadata(v)
		if err != nil {
			t.Fatal(err)
		}
		m, err := metadata.Decode(b)
		if err != nil || m.Version != uint8(v) || len(m.Pallets) == 0 {
			t.Fatalf("metadata %d: %v", v, err)
		}
	}
	if _, err := e.Metadata(99); !errors.Is(err, devchain.ErrNoMetadata) {
		t.Error(err)
	}
	dir := t.TempDir()
	start := time.Now()
	c := specChain(t, e, devchain.Config{DataDir: dir})
	b, err := c.Mine(50)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("50 blocks in", time.Since(start))
	st, err := c.StateAt(chain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if n := st.Get(key("System", "Number")); !bytes.Equal(n, []byte{50, 0, 0, 0}) {
		t.Errorf("System.Number is %x", n)
	}
	if b.Timestamp/e.SlotDuration() != b.Slot {
		t.Errorf("timestamp %d, slot %d", b.Timestamp, b.Slot)
	}
	if _, err := c.Call(chain.Hash{}, "No_such_method", nil); !errors.Is(err, devchain.ErrUnknownMethod) {
		t.Error(err)
	}
	if _, err := c.Call(chain.Hash{}, "AccountNonceApi_account_nonce", nil); !errors.Is(err, errTrap) {
		t.Error(err)
	}
	var tx *devchain.TxError
	if _, err := c.Submit([]byte{4, 4}); !errors.As(err, &tx) || tx.Kind != devchain.TxUndecodable {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := specChain(t, e, devchain.Config{DataDir: dir})
	if again.Head().Hash != b.Hash {
		t.Error("the folder has another head")
	}
	if _, err := again.Mine(1); err != nil {
		t.Error(err)
	}
}

func BenchmarkBlock(b *testing.B) {
	e := specEngine(b)
	c := specChain(b, e, devchain.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Mine(1); err != nil {
			b.Fatal(err)
		}
	}
}
