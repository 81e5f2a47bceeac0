// Package uptest runs the program of an example as a subnet of processes, for the example's own test.
package uptest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Command returns the command that makes the test binary be the program, which the variable asProgram tells its TestMain, and
// run `up` with three nodes in a folder. When ctx ends it is interrupted, as by Ctrl-C.
func Command(ctx context.Context, asProgram, dir string, flags ...string) *exec.Cmd {
	args := []string{"up", "--nodes", "3", "--block-time", "200ms", "--data-dir", dir, "--json"}
	cmd := exec.CommandContext(ctx, os.Args[0], append(args, flags...)...) //nolint:gosec // itself
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// CheckEpochs checks what `up --json` printed last: at least so many epochs, and one of them attested by all three nodes. Two
// are a consensus too.
func CheckEpochs(t *testing.T, stdout string, want int) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var r struct {
		Epochs []struct {
			Attests, Validators int
			Consensus           bool
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil || len(r.Epochs) < want {
		t.Fatalf("%v: %s", err, stdout)
	}
	for _, e := range r.Epochs {
		if e.Consensus && e.Attests == 3 {
			return
		}
	}
	t.Errorf("never did all three attest: %+v", r.Epochs)
}
