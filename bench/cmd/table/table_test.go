package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Medians, extremes, and a ratio that is above 1 where ours is better, whichever way the figure counts.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name         string
		higher       bool
		ours, theirs []float64
		want         row
	}{
		{"lower", false, []float64{3, 1, 2}, []float64{8, 9, 4}, row{Ours: span{2, 1, 3}, Theirs: span{8, 4, 9}, Ratio: 4}},
		{"higher", true, []float64{30, 10}, []float64{10}, row{Ours: span{20, 10, 30}, Theirs: span{10, 10, 10}, Ratio: 2, Higher: true}},
		{"zero", false, []float64{0}, []float64{5}, row{Theirs: span{5, 5, 5}}},
		{"nothing", true, nil, nil, row{Higher: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := compare("", "", "", c.higher, c.ours, c.theirs); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestReadBenchmarks(t *testing.T) {
	const out = `goos: linux
BenchmarkUnary/tcp/64B/mesh-2      	 100	 24250 ns/op	 41237 calls/s	 22.37 p50-µs	   5 allocs/op
BenchmarkUnary/tcp/64B/mesh-64-2   	 100	 12000 ns/op	 80000 calls/s
BenchmarkStream/tcp/raw-2          	 100	1215297 ns/op	 862.81 MB/s
PASS
`
	got := make(map[string][]float64)
	for range 2 {
		if err := readBenchmarks([]byte(out), got); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string][]float64{
		"Unary/tcp/64B/mesh p50-µs": {22.37, 22.37}, "Unary/tcp/64B/mesh-64 calls/s": {80000, 80000}, "Stream/tcp/raw MB/s": {862.81, 862.81},
	} {
		if !slices.Equal(got[key], want) {
			t.Errorf("%s: %v, want %v", key, got[key], want)
		}
	}
	if err := readBenchmarks([]byte("BenchmarkX-2 1 many ns/op\n"), got); err == nil {
		t.Error("a figure that is none was read")
	}
}

// Both files say the same, and what has no figures is named with its reason.
func TestSave(t *testing.T) {
	run := table{
		Date: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), Rounds: 5, Mesh: "v1", Go: "go1.26", Libp2p: "v0.51.0", Processor: "Abacus", CPUs: 2,
		Rows:    []row{compare("calls", "a stream per request", "go test -bench 'A|B'", true, []float64{60000, 50000, 70000}, []float64{20000})},
		Skipped: []absence{{"hivemind", "no python3 here"}}, Failed: []absence{{"polkadot", "it broke"}},
	}
	dir, out := t.TempDir(), new(bytes.Buffer)
	if err := run.save(dir, out, t.Logf); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "2026-03-04.md"))
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(text) {
		t.Errorf("printed %q, stored %q", out, text)
	}
	for _, want := range []string{
		"go1.26, go-libp2p v0.51.0; Abacus, 2 processors", "\n\n| what | ours | theirs | ratio | command |\n|---|---|---|---|---|\n",
		"| calls | 60000 (50000 to 70000) | a stream per request, 20000 | 3.00 | `go test -bench 'A\\|B'` |\n",
		"\nSkipped: hivemind: no python3 here\n", "\nFailed: polkadot: it broke\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "2026-03-04.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back table
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, run) {
		t.Errorf("%+v, want %+v", back, run)
	}
}

func TestChoose(t *testing.T) {
	got, err := choose("rpc,kad-dht")
	if err != nil || len(got) != 2 || got[0].name != "kad-dht" || got[1].name != "rpc" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose("rpc,chord"); err == nil {
		t.Error("an unknown comparison was taken")
	}
}
