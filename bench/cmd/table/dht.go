package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// compareKadDHT runs this module's own program once a round: both swarms are made anew each time.
func compareKadDHT(ctx context.Context, s *session) ([]row, error) {
	type figures struct {
		Name       string  `json:"name"`
		Start      float64 `json:"start_s"`
		Store      span    `json:"store_p50_ms"`
		Get        span    `json:"get_p50_ms"`
		Nearest    span    `json:"nearest20_p50_ms"`
		Lookups    span    `json:"lookups_per_s_12_callers"`
		HeapKiB    float64 `json:"heap_kib_per_node"`
		Goroutines float64 `json:"goroutines_per_node"`
		Success    float64 `json:"success"`
	}
	nodes := s.size(96, 8)
	args := []string{"--nodes", strconv.Itoa(nodes), "--ops", strconv.Itoa(s.size(100, 10)), "--warmup", strconv.Itoa(s.size(5, 1)), "--rounds", "1", "--json"}
	var sides [2][]figures
	for round := range s.rounds {
		s.note("kad-dht round %d of %d", round+1, s.rounds)
		out, err := s.output(ctx, "bench", nil, s.bench, append(args, "--seed", strconv.Itoa(round+1))...)
		if err != nil {
			return nil, err
		}
		var r struct{ Reports []figures }
		if err := json.Unmarshal(out, &r); err != nil || len(r.Reports) != 2 {
			return nil, fmt.Errorf("unexpected answer: %s: %w", out, err)
		}
		for i := range sides {
			sides[i] = append(sides[i], r.Reports[i])
		}
	}
	command := "cd bench && go run . " + strings.Join(args, " ")
	one := func(what string, higher bool, pick func(figures) float64) row {
		return compare(fmt.Sprintf("DHT of %d nodes: %s", nodes, what), "go-libp2p-kad-dht "+s.kadDHT, command, higher, each(sides[0], pick), each(sides[1], pick))
	}
	return []row{
		one("store 256 B on 20 nodes, p50 ms", false, func(f figures) float64 { return f.Store.Median }),
		one("get the first, p50 ms", false, func(f figures) float64 { return f.Get.Median }),
		one("find the 20 nearest, p50 ms", false, func(f figures) float64 { return f.Nearest.Median }),
		one("lookups/s of 12 callers", true, func(f figures) float64 { return f.Lookups.Median }),
		one("start of all, s", false, func(f figures) float64 { return f.Start }),
		one("heap of a node, KiB", false, func(f figures) float64 { return f.HeapKiB }),
		one("goroutines of a node", false, func(f figures) float64 { return f.Goroutines }),
		one("share of successful operations", true, func(f figures) float64 { return f.Success }),
	}, nil
}

func each[T any](rounds []T, pick func(T) float64) []float64 {
	xs := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		xs = append(xs, pick(r))
	}
	return xs
}

// setupTime is enough to download torch on a slow line.
const setupTime = 15 * time.Minute

// compareHivemind runs hivemind.sh, which takes turns between both sides.
func compareHivemind(ctx context.Context, s *session) ([]row, error) {
	python := os.Getenv("MESH_HIVEMIND_PYTHON")
	if python == "" {
		if _, err := exec.LookPath("python3"); err != nil {
			return nil, skip("no python3 here")
		}
		setup, cancel := context.WithTimeout(ctx, setupTime)
		defer cancel()
		out, err := s.output(setup, "", nil, "sh", "interop/python/setup.sh")
		if err != nil {
			return nil, skip("hivemind cannot be installed: %v", err)
		}
		lines := strings.Fields(string(out))
		if len(lines) == 0 {
			return nil, skip("interop/python/setup.sh named no Python")
		}
		python = lines[len(lines)-1]
	}
	peers, keys := s.size(16, 3), s.size(1024, 64)
	params := fmt.Sprintf("--peers %d --keys %d", peers, keys)
	file := filepath.Join(s.work, "hivemind.json")
	env := []string{"MESH_HIVEMIND_PYTHON=" + python, "OUT=" + file, "ROUNDS=" + strconv.Itoa(s.rounds)}
	if _, err := s.output(ctx, "", env, "bash", append([]string{"bench/hivemind.sh", s.mesh}, strings.Fields(params)...)...); err != nil {
		return nil, err
	}
	var r struct{ Mesh, Hivemind []map[string]any }
	if err := readJSON(file, &r); err != nil {
		return nil, err
	}
	version, err := s.output(ctx, "", nil, python, "-c", "import hivemind; print(hivemind.__version__)")
	if err != nil {
		return nil, err
	}
	opponent := "hivemind " + strings.TrimSpace(string(version))
	one := func(what string, higher bool, name string) row {
		pick := func(m map[string]any) float64 { x, _ := m[name].(float64); return x }
		return compare(fmt.Sprintf("hivemind's benchmark, %d peers, %d keys: %s", peers, keys, what), opponent,
			fmt.Sprintf("ROUNDS=%d bash bench/hivemind.sh bin/mesh %s", s.rounds, params), higher, each(r.Mesh, pick), each(r.Hivemind, pick))
	}
	return []row{
		one("start of all, s", false, "start_s"),
		one("store a key, ms", false, "store_ms"),
		one("get a key, ms", false, "get_ms"),
		one("share stored", true, "store_success"),
		one("share found unaltered", true, "get_success"),
		one("memory of all processes, MiB", false, "memory_mib"),
	}, nil
}

func readJSON(file string, into any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
