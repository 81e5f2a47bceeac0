//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/examples/internal/uptest"
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
	cmd := uptest.Command(ctx, asProgram, dir, "--epochs", "3", "--log-level", "debug")
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
	uptest.CheckEpochs(t, stdout.String(), 3)
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
