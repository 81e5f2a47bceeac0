package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// compareRPC runs package rpc's own benchmarks, which measure the same calls with bare libp2p beside them, once a round.
func compareRPC(ctx context.Context, s *session) ([]row, error) {
	test := filepath.Join(s.work, "rpc.test")
	if _, err := s.output(ctx, "", nil, "go", "test", "-c", "-o", test, "./rpc"); err != nil {
		return nil, err
	}
	benchtime := "2s"
	if s.quick {
		benchtime = "100x"
	}
	figures := make(map[string][]float64)
	for round := range s.rounds {
		s.note("rpc round %d of %d", round+1, s.rounds)
		out, err := s.output(ctx, "rpc", nil, test, "-test.run", "-", "-test.bench", "Unary|Stream", "-test.benchmem", "-test.benchtime", benchtime)
		if err != nil {
			return nil, err
		}
		if err := readBenchmarks(out, figures); err != nil {
			return nil, err
		}
	}
	command := "go test ./rpc -run - -bench 'Unary|Stream' -benchmem -benchtime " + benchtime
	var rows []row
	var missing error
	add := func(what, opponent string, higher bool, ours, theirs, unit string) {
		a, b := figures[ours+" "+unit], figures[theirs+" "+unit]
		if len(a) != s.rounds || len(b) != s.rounds {
			missing = fmt.Errorf("the benchmark printed no %s of %s and %s", unit, ours, theirs)
			return
		}
		rows = append(rows, compare(what, opponent, command, higher, a, b))
	}
	for _, wire := range []string{"tcp", "quic"} {
		for _, size := range []string{"64B", "1024B"} {
			name := fmt.Sprintf("Unary/%s/%s/", wire, size)
			call := fmt.Sprintf("rpc over %s, %s: ", strings.ToUpper(wire), strings.Replace(size, "B", " B", 1))
			add(call+"p50 µs", "a stream per request", false, name+"mesh", name+"stock", "p50-µs")
			add(call+"p99 µs", "a stream per request", false, name+"mesh", name+"stock", "p99-µs")
			add(call+"calls/s of 64 callers", "a stream per request", true, name+"mesh-64", name+"stock-64", "calls/s")
			add(call+"allocations of a call, both ends", "a stream per request", false, name+"mesh", name+"stock", "allocs/op")
		}
		add(fmt.Sprintf("rpc stream over %s, items of 1 MiB: MB/s", strings.ToUpper(wire)), "a bare stream", true,
			"Stream/"+wire+"/mesh", "Stream/"+wire+"/raw", "MB/s")
	}
	return rows, missing
}

// readBenchmarks adds the figures of a benchmark's output under "name unit", such as "Unary/tcp/64B/mesh p50-µs".
func readBenchmarks(out []byte, into map[string][]float64) error {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if at := strings.LastIndexByte(name, '-'); at > 0 { // the number of processors
			name = name[:at]
		}
		for i := 2; i+1 < len(fields); i += 2 {
			x, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("benchmark %s: %w", name, err)
			}
			key := name + " " + fields[i+1]
			into[key] = append(into[key], x)
		}
	}
	return nil
}
