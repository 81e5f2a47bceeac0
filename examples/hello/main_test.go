//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/examples/internal/uptest"
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
	cmd := uptest.Command(ctx, asProgram, dir, "--epochs", "4")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	uptest.CheckEpochs(t, stdout.String(), 2)
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
