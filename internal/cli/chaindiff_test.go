package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/diff"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
)

// forgetful loses the account of an event's block: it drops one storage value at the end of block 20.
type forgetful struct{ *native.Engine }

func (f forgetful) FinalizeBlock(st devchain.State) (devchain.Header, error) {
	h, err := f.Engine.FinalizeBlock(st)
	if v := st.Get(diff.StorageKey("System", "Number")); len(v) == 4 && v[0] == 20 {
		st.Delete(diff.StorageKey("Network", "TotalSubnetUids"))
		st.Delete(diff.StorageKey("Balances", "TotalIssuance"))
	}
	return h, err
}

// compared runs `chain diff` over a reference that is no runtime.
func compared(t *testing.T, reference devchain.Engine, asJSON bool, sequences int) (string, string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	e := &env{stdout: &out, stderr: &errs}
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	err := e.compareEngines(cmd, reference, "twin", diff.Config{Blocks: 40, PerBlock: 2, Seed: 5}, sequences, asJSON, nil)
	return out.String(), errs.String(), err
}

func TestDiffOfEquals(t *testing.T) {
	out, errs, err := compared(t, native.New(native.Config{}), true, 2)
	if err != nil {
		t.Fatal(err, errs)
	}
	var got diffOutcome
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Equal || len(got.Sequences) != 2 || got.Total.Blocks != 80 || got.Sequences[1].Seed != 6 || got.Total.Pairs < 10_000 || got.Total.Answers < 80 || got.Total.Events < 80 {
		t.Errorf("outcome = %+v", got)
	}
	if !strings.Contains(errs, "sequence 2 of 2, seed 6: 40 blocks") {
		t.Errorf("no progress: %s", errs)
	}
}

func TestDiffShowsWhatDiffers(t *testing.T) {
	out, _, err := compared(t, forgetful{native.New(native.Config{})}, false, 1)
	var silent silentError
	if !errors.As(err, &silent) {
		t.Fatalf("engines that differ pass: %v\n%s", err, out)
	}
	for _, text := range []string{"seed 5, block 20, storage at the end: Balances.TotalIssuance", "runtime  nothing", `native   "`, "key      0x", "differences"} {
		if !strings.Contains(out, text) {
			t.Errorf("output lacks %q:\n%s", text, out)
		}
	}
}

// specFiles are files that are no usable chain specifications.
func specFiles(t *testing.T) func(name, content string) string {
	dir := t.TempDir()
	return func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

func TestBadSpecifications(t *testing.T) {
	t.Setenv("MESH_CHAIN_SPEC", "of another command") // restored at the end
	file := specFiles(t)
	none := filepath.Join(t.TempDir(), "none.json")
	empty := `{"genesis":{"raw":{"top":{"0x3a636f6465":"0x0061736d01000000"}}}}`
	for _, x := range []struct {
		name   string
		status int
		texts  []string
		args   []string
	}{
		{"no such file", 1, []string{"does not exist", "check --chain-spec"}, []string{"--chain-spec", none}},
		{"neither JSON nor wasm", 1, []string{"neither a runtime nor JSON", "build-spec --raw"}, []string{"--chain-spec", file("text", "hello")}},
		{"other JSON", 1, []string{"no runtime under the key"}, []string{"--chain-spec", file("other.json", `{"a":1}`)}},
		{"not raw", 1, []string{"it is not raw", "build-spec --raw"}, []string{"--chain-spec", file("plain.json", `{"genesis":{"runtimeGenesis":{}}}`)}},
		{"runtime that is none", 1, []string{"the runtime is no wasm"}, []string{"--chain-spec", file("code.json", `{"genesis":{"raw":{"top":{"0x3a636f6465":"0x1234"}}}}`)}},
		{"wasm of something else", 1, []string{"compiling the runtime", "Core_version"}, []string{"--chain-spec", file("empty.json", empty), "--runtime-cache", "none"}},
		{"no Aura", 1, []string{"host functions that are missing: ext_unheard_of_version_9", "does not author with Aura"}, []string{"--chain-spec", "testdata/no-aura.wasm", "--runtime-cache", "none"}},
		{"unknown engine", 2, []string{`--engine "evm": want native or wasm`}, []string{"--engine", "evm"}},
		{"wasm without a runtime", 2, []string{"--chain-spec"}, []string{"--engine", "wasm"}},
		{"native with a runtime", 2, []string{"the native engine brings its own chain"}, []string{"--engine", "native", "--chain-spec", none}},
		{"epoch length of a runtime", 2, []string{"--epoch-length", "fixes it"}, []string{"--chain-spec", none, "--epoch-length", "5"}},
		{"seed of a runtime", 2, []string{"--seed", "randomness of its own"}, []string{"--chain-spec", none, "--seed", "5"}},
		{"cache of the native engine", 2, []string{"--runtime-cache is for --engine wasm"}, []string{"--runtime-cache", "none"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			cmdline{t: t}.fails(x.status, x.texts, append([]string{"chain", "dev", "--listen", "127.0.0.1:0"}, x.args...)...)
		})
	}
	c := cmdline{t: t}
	if err := os.Unsetenv("MESH_CHAIN_SPEC"); err != nil {
		t.Fatal(err)
	}
	c.fails(2, []string{"--chain-spec is missing"}, "chain", "diff")
	c.fails(2, []string{"--sequences 0"}, "chain", "diff", "--chain-spec", none, "--sequences", "0")
	c.fails(2, []string{"--blocks -1"}, "chain", "diff", "--chain-spec", none, "--blocks", "-1")
	c.fails(1, []string{"does not exist"}, "chain", "diff", "--chain-spec", none)
}

// TestDiffOfGenerations compares the real runtimes that the environment names.
func TestDiffOfGenerations(t *testing.T) {
	c := cmdline{t: t}
	t.Run("G2", func(t *testing.T) {
		path := os.Getenv("MESH_CHAIN_SPEC")
		if path == "" {
			t.Skip("MESH_CHAIN_SPEC names no raw chain specification")
		}
		code, out, errs := c.run("", "chain", "diff", "--chain-spec", path, "--sequences", "1", "--blocks", "60")
		if code != 0 || !strings.Contains(out, "no differences") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
	})
	t.Run("G1", func(t *testing.T) {
		path := os.Getenv("MESH_CHAIN_SPEC_G1")
		if path == "" {
			t.Skip("MESH_CHAIN_SPEC_G1 names no raw chain specification")
		}
		c.fails(1, []string{"different chains", "generation G2"}, "chain", "diff", "--chain-spec", path, "--sequences", "1")
		c.fails(2, []string{"--epoch-length"}, "chain", "dev", "--chain-spec", path, "--epoch-length", "50")
	})
}
