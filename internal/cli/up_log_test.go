//go:build unix

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpReportsToOneFile wants all processes in the file of --log-file, each by its name, and nothing of that elsewhere.
func TestUpReportsToOneFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "all.log") // in the folder, which must hold nothing else when it is new
	p := start(t, "up", "--nodes", "3", "--epochs", "1", "--block-time", "200ms", "--data-dir", dir, "--json",
		"--log-file", file, "--log-format", "json", "--log-level", "debug")
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.errors())
	}
	if p.errors() != "" {
		t.Errorf("stderr: %s", p.errors())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	records, debug := make(map[string]int), 0
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var r struct{ Level, Msg, Process, Text string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q is no record: %v", line, err)
		}
		records[r.Process]++
		if r.Level == "DEBUG" {
			debug++
		}
		if r.Process == "up" && strings.Contains(r.Text, "started bootnode") && !strings.Contains(r.Text, file) {
			t.Errorf("%q does not say where the logs are", r.Text)
		}
	}
	for _, process := range []string{"up", "chain", "bootnode", "node 1", "node 2", "node 3"} {
		if records[process] == 0 {
			t.Errorf("nothing of %s among %v", process, records)
		}
	}
	if len(records) != 6 || debug == 0 {
		t.Errorf("%v, %d of them for debugging", records, debug)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "node-1.log")); err != nil || strings.Contains(string(b), `"msg"`) {
		t.Errorf("node 1 reported to a file of its own: %v %s", err, b)
	}

	none := start(t, "up", "--data-dir", t.TempDir(), "--log-file", dir)
	if code := none.end(); code != 1 || !strings.Contains(none.errors(), "--log-file") {
		t.Errorf("a folder as log file: exit code %d, %s", code, none.errors())
	}
}
