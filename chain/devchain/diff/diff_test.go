package diff_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/diff"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/wasm"
)

// TestNativeAgainstItself must find nothing, and shows that the calls do
// something.
func TestNativeAgainstItself(t *testing.T) {
	r, err := diff.Native(t.Context(), diff.Config{Blocks: 120, Seed: 1}, native.New(native.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	show(t, r)
	if !r.Equal() || r.Blocks != 120 {
		t.Error("an engine differs from itself")
	}
	if r.Succeeded < 50 || len(r.Calls) < 60 || r.Calls["Network.attest"] < 10 {
		t.Errorf("%d succeeded, %d calls, %d attestations: too little happens", r.Succeeded, len(r.Calls), r.Calls["Network.attest"])
	}
}

// liar is a native engine that loses one storage value at block 30.
type liar struct{ *native.Engine }

func (l liar) FinalizeBlock(st devchain.State) (devchain.Header, error) {
	h, err := l.Engine.FinalizeBlock(st)
	prefix := storagePrefix("Network")
	if k := st.Next(prefix); h.Number == 30 || strings.HasSuffix(string(st.Get(storagePrefix("System", "Number"))), "\x1e\x00\x00\x00") {
		st.Delete(k)
	}
	return h, err
}

func storagePrefix(names ...string) []byte { return diff.StorageKey(names...) }

func TestFindsALie(t *testing.T) {
	r, err := diff.Run(t.Context(), diff.Config{Blocks: 60}, native.New(native.Config{}), liar{native.New(native.Config{})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Equal() || r.Differences[0].Block != 30 || r.Blocks != 30 || !strings.HasPrefix(r.Differences[0].What, "Network.") {
		show(t, r)
		t.Error("the lost value was not found")
	}
	if d := r.Differences[0]; len(d.Key) < 32 || d.SubjectText != "nothing" || d.ReferenceText == "" {
		t.Errorf("the difference does not say what it is: %s", d)
	}
}

// TestNativeAgainstRealRuntime needs a raw chain specification of generation G2
// in MESH_CHAIN_SPEC. MESH_DIFF_SEEDS is how many runs there are, default 3.
func TestNativeAgainstRealRuntime(t *testing.T) {
	path := os.Getenv("MESH_CHAIN_SPEC")
	if path == "" {
		t.Skip("MESH_CHAIN_SPEC names no raw chain specification")
	}
	seeds := uint64(3)
	if text := os.Getenv("MESH_DIFF_SEEDS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		seeds = n
	}
	spec, err := wasm.LoadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := wasm.New(t.Context(), wasm.Config{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	for seed := range seeds {
		cfg := diff.Config{Seed: seed, Blocks: 300}
		if os.Getenv("MESH_DIFF_RECORD") != "" {
			cfg.Record = &diff.Recording{}
		}
		r, err := diff.Native(t.Context(), cfg, e)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		show(t, r)
		switch {
		case !r.Equal():
			t.Errorf("seed %d differs", seed)
		case cfg.Record != nil:
			save(t, cfg.Record, filepath.Join(os.Getenv("MESH_DIFF_RECORD"), fmt.Sprintf("g2-seed-%d.json.gz", seed)))
		}
	}
}

func save(t *testing.T, r *diff.Recording, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestRecordings repeats runs in which the native engine was equal to the real
// runtime. MESH_CHAIN_SPEC=... MESH_DIFF_RECORD=DIR go test -run RealRuntime
// makes them. They hold parts of that chain's genesis, which is not ours to
// publish, so they stay out of the repository.
func TestRecordings(t *testing.T) {
	dir := os.Getenv("MESH_DIFF_RECORD")
	if dir == "" {
		t.Skip("MESH_DIFF_RECORD names no folder with recordings")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := load(t, path)
			if err := r.Replay(t.Context()); err != nil {
				t.Error(err)
			}
			last := len(r.Blocks) - 1
			r.Blocks[last].State[0]++
			if err := r.Replay(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprint("block ", last+1)) {
				t.Errorf("a recording with another state passes: %v", err)
			}
		})
	}
}

func load(t *testing.T, path string) *diff.Recording {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := diff.ReadRecording(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecordingOfItself repeats a run that was just made, and one in which an
// answer was changed.
func TestRecordingOfItself(t *testing.T) {
	rec := &diff.Recording{}
	if _, err := diff.Native(t.Context(), diff.Config{Blocks: 60, Record: rec}, native.New(native.Config{})); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := rec.Write(&b); err != nil {
		t.Fatal(err)
	}
	again, err := diff.ReadRecording(&b)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Replay(t.Context()); err != nil {
		t.Error(err)
	}
	for i, block := range again.Blocks {
		for j, x := range block.Transactions {
			if x.Result != nil {
				again.Blocks[i].Transactions[j].Result = []byte{0, 1, 9}
				if err := again.Replay(t.Context()); err == nil || !strings.Contains(err.Error(), x.Name) {
					t.Errorf("a recording with another result passes: %v", err)
				}
				return
			}
		}
	}
	t.Error("nothing was recorded")
}

func show(t *testing.T, r *diff.Report) {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Log(b.String())
}
