//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/subnet"
)

const asProgram = "HELLO_TEST_AS_PROGRAM"

// TestMain makes the test binary be the program when asked: `up` starts its own binary again for each node.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(subnet.Run(context.Background(), "hello", &hello{}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestSubnet runs the example as its own processes on the embedded chain, until four epochs are in consensus.
func TestSubnet(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, os.Args[0], "up", "--nodes", "3", "--epochs", "4", "--block-time", "200ms", "--data-dir", dir, "--json")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	var r struct {
		Epochs []struct {
			Attests, Validators int
			Consensus           bool
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil || len(r.Epochs) < 2 {
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
	if scored := grep(t, dir+"/node-1.log", `proposing scores of 3 nodes`) + grep(t, dir+"/node-2.log", `proposing scores of 3 nodes`) +
		grep(t, dir+"/node-3.log", `proposing scores of 3 nodes`); scored < 2 {
		t.Errorf("%d proposals scored all three nodes", scored)
	}
}

func grep(t *testing.T, path, pattern string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	re := regexp.MustCompile(pattern)
	for s := bufio.NewScanner(f); s.Scan(); {
		if re.MatchString(s.Text()) {
			n++
		}
	}
	return n
}

// TestShort keeps the promise that a subnet takes less than 60 lines.
func TestShort(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n >= 60 {
		t.Errorf("main.go has %d lines", n)
	}
}
