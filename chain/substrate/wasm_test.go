package substrate

import (
	"os"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/wasm"
)

// TestWasmRuntimes plays the lifecycle on real runtimes, executed by the embedded chain. The variables name raw chain
// specifications whose development accounts hold money.
func TestWasmRuntimes(t *testing.T) {
	for variable, generation := range map[string]Generation{"MESH_G1_SPEC": G1, "MESH_G2_SPEC": G2} {
		t.Run(variable, func(t *testing.T) {
			path := os.Getenv(variable)
			if path == "" {
				t.Skipf("%s names no chain specification; the test runs with one", variable)
			}
			spec, err := wasm.LoadSpec(path)
			if err != nil {
				t.Fatal(err)
			}
			engine, err := wasm.New(t.Context(), wasm.Config{Spec: spec})
			if err != nil {
				t.Fatal(err)
			}
			c, err := devchain.New(devchain.Config{Seal: devchain.SealManual, FinalityLag: 2}, engine)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			url, stop := serveDev(t, c, "127.0.0.1:0")
			defer stop()
			client, err := Dial(t.Context(), Config{Endpoints: []string{url}, CallTimeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			if client.Generation() != generation {
				t.Fatalf("recognised as %s", client.Generation())
			}
			lifecycle(t, &rig{t, client, func(n int) {
				if _, err := c.Mine(n); err != nil {
					t.Error(err)
				}
			}})
		})
	}
}
