//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/subnet"
)

const asProgram = "ORACLE_TEST_AS_PROGRAM"

// TestMain makes the test binary be the program when asked: `up` starts its own binary again for each node.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(subnet.Run(context.Background(), "oracle", &oracle{}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestSubnet runs the example as its own processes on the embedded chain until three epochs are in consensus, of which the later ones
// are scored by the answers of the earlier, and asks the DHT what was found meanwhile.
func TestSubnet(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, os.Args[0], "up", "--nodes", "3", "--epochs", "3", "--block-time", "200ms", "--data-dir", dir, "--json",
		"--log-level", "debug")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	found := false
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			running = false
		case <-look.C:
			found = found || askDHT(t, dir+"/node-1")
		}
	}
	if !found {
		t.Error("no finding of all three nodes in the DHT")
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	var r struct {
		Epochs []struct {
			Attests, Validators int
			Consensus           bool
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil || len(r.Epochs) < 3 {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	whole := 0 // two of three are a consensus too
	for _, e := range r.Epochs {
		if e.Consensus && e.Attests == 3 {
			whole++
		}
	}
	if whole == 0 {
		t.Errorf("never did all three attest: %+v", r.Epochs)
	}
	logs := ""
	for _, name := range []string{"node-1.log", "node-2.log", "node-3.log"} {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		logs += string(b)
	}
	if n := strings.Count(logs, "proposing scores of 3 nodes"); n < 2 {
		t.Errorf("%d proposals scored all three nodes", n)
	}
	if n := strings.Count(logs, `msg="the oracle has spoken"`); n < 6 {
		t.Errorf("the nodes found %d medians", n)
	}
}

// askDHT reports whether the DHT holds findings of three nodes that agree on the number of answers.
func askDHT(t *testing.T, folder string) bool {
	t.Helper()
	var out, errs bytes.Buffer
	if subnet.Run(t.Context(), "oracle", &oracle{}, []string{"dht", "get", findings, "--data-dir", folder, "--json"}, strings.NewReader(""), &out, &errs) != 0 {
		return false // not there yet
	}
	return strings.Count(out.String(), `"answers":3`) >= 3
}
