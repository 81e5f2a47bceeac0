// Command bench compares the DHT of mesh with go-libp2p-kad-dht on the same machine in one run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/resource-manager"
)

// swarm is one implementation under test.
type swarm interface {
	Name() string
	Len() int
	Store(ctx context.Context, node int, key string, value []byte) error
	Get(ctx context.Context, node int, key string) error
	Nearest(ctx context.Context, node int, key string) (int, error)
	Close()
}

func unlimited() network.ResourceManager {
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.InfiniteLimits))
	if err != nil {
		panic(err) // a constant limiter
	}
	return m
}

// span is a figure over the rounds of a run.
type span struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func spanOf(xs []float64) span {
	slices.Sort(xs)
	return span{xs[0], xs[len(xs)/2], xs[len(xs)-1]}
}

// report holds one implementation's figures.
type report struct {
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

type options struct {
	nodes, warmup, rounds, ops, valueBytes, callers int
	seed                                            uint64
	json                                            bool
}

func main() {
	var o options
	flag.IntVar(&o.nodes, "nodes", 96, "nodes of each swarm")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; figures are medians over them")
	flag.IntVar(&o.warmup, "warmup", 5, "rounds before those that do not count: connections are made then")
	flag.IntVar(&o.ops, "ops", 100, "operations in a round")
	flag.IntVar(&o.valueBytes, "value", 256, "bytes of a value")
	flag.IntVar(&o.callers, "callers", 12, "concurrent callers of the throughput row")
	flag.Uint64Var(&o.seed, "seed", 1, "of keys and choices")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	makers := []struct {
		name string
		make func(context.Context, int) (swarm, error)
	}{
		{"mesh", func(ctx context.Context, n int) (swarm, error) { return newMesh(ctx, n) }},
		{"kad-dht", func(ctx context.Context, n int) (swarm, error) { return newKadDHT(ctx, n) }},
	}
	var reports []report
	for _, m := range makers {
		r, err := measure(ctx, o, m.make)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		reports = append(reports, r)
	}
	if o.json {
		return json.NewEncoder(out).Encode(map[string]any{"options": fmt.Sprintf("%+v", o), "go": runtime.Version(), "cpus": runtime.NumCPU(), "reports": reports})
	}
	show(out, o, reports[0], reports[1])
	return nil
}

func usage() (heap float64, goroutines int) {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), runtime.NumGoroutine()
}

func measure(ctx context.Context, o options, build func(context.Context, int) (swarm, error)) (report, error) {
	heap0, routines0 := usage()
	began := time.Now()
	s, err := build(ctx, o.nodes)
	if err != nil {
		return report{}, err
	}
	defer s.Close()
	r := report{Name: s.Name(), Start: time.Since(began).Seconds()}
	heap1, routines1 := usage()
	r.HeapKiB = (heap1 - heap0) / 1024 / float64(o.nodes)
	r.Goroutines = float64(routines1-routines0) / float64(o.nodes)

	rng := rand.New(rand.NewPCG(o.seed, o.seed))
	value := make([]byte, o.valueBytes)
	var store, get, nearest, lookups []float64
	var tried, worked atomic.Int64
	count := func(err error) {
		tried.Add(1)
		if err == nil {
			worked.Add(1)
		}
	}
	timed := func(op func() error) float64 {
		at := time.Now()
		count(op())
		return float64(time.Since(at).Microseconds()) / 1000
	}
	for round := range o.warmup + o.rounds {
		var st, gt, nt []float64
		for i := range o.ops {
			key := fmt.Sprintf("%d-%d-%d", o.seed, round, i)
			st = append(st, timed(func() error { return s.Store(ctx, rng.IntN(s.Len()), key, value) }))
		}
		for i := range o.ops {
			key := fmt.Sprintf("%d-%d-%d", o.seed, round, i)
			gt = append(gt, timed(func() error { return s.Get(ctx, rng.IntN(s.Len()), key) }))
		}
		for i := range o.ops {
			key := fmt.Sprintf("nearest-%d-%d-%d", o.seed, round, i)
			nt = append(nt, timed(func() error {
				n, err := s.Nearest(ctx, rng.IntN(s.Len()), key)
				if err == nil && n < min(20, s.Len()-1) {
					return errors.New("too few")
				}
				return err
			}))
		}
		if round >= o.warmup {
			store, get, nearest = append(store, spanOf(st).Median), append(get, spanOf(gt).Median), append(nearest, spanOf(nt).Median)
		}

		var wg sync.WaitGroup
		var next atomic.Int64
		at := time.Now()
		for c := range o.callers {
			node := rng.IntN(s.Len())
			wg.Go(func() {
				for i := next.Add(1); i <= int64(4*o.ops); i = next.Add(1) {
					_, err := s.Nearest(ctx, node, fmt.Sprintf("through-%d-%d-%d-%d", o.seed, round, c, i))
					count(err)
				}
			})
		}
		wg.Wait()
		if round >= o.warmup {
			lookups = append(lookups, float64(4*o.ops)/time.Since(at).Seconds())
		}
	}
	r.Store, r.Get, r.Nearest, r.Lookups = spanOf(store), spanOf(get), spanOf(nearest), spanOf(lookups)
	r.Success = float64(worked.Load()) / float64(tried.Load())
	return r, nil
}

func show(out io.Writer, o options, ours, theirs report) {
	fmt.Fprintf(out, "%d nodes in one process, loopback TCP with Noise, values of %d B, %d rounds of %d operations; %s, %d CPUs\n\n",
		o.nodes, o.valueBytes, o.rounds, o.ops, runtime.Version(), runtime.NumCPU())
	w := tabwriter.NewWriter(out, 2, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t(min-max)\t%s\t(min-max)\tratio\t\n", ours.Name, theirs.Name)
	row := func(name string, a, b span, ratio float64) {
		fmt.Fprintf(w, "%s\t%.2f\t(%.2f-%.2f)\t%.2f\t(%.2f-%.2f)\t%.1fx\t\n", name, a.Median, a.Min, a.Max, b.Median, b.Min, b.Max, ratio)
	}
	one := func(name string, a, b, ratio float64) {
		fmt.Fprintf(w, "%s\t%.2f\t\t%.2f\t\t%.1fx\t\n", name, a, b, ratio)
	}
	row("store to 20, p50 ms", ours.Store, theirs.Store, theirs.Store.Median/ours.Store.Median)
	row("get first, p50 ms", ours.Get, theirs.Get, theirs.Get.Median/ours.Get.Median)
	row("20 nearest, p50 ms", ours.Nearest, theirs.Nearest, theirs.Nearest.Median/ours.Nearest.Median)
	row(fmt.Sprintf("lookups/s, %d callers", o.callers), ours.Lookups, theirs.Lookups, ours.Lookups.Median/theirs.Lookups.Median)
	one("start of the swarm, s", ours.Start, theirs.Start, theirs.Start/ours.Start)
	one("heap per node, KiB", ours.HeapKiB, theirs.HeapKiB, theirs.HeapKiB/ours.HeapKiB)
	one("goroutines per node", ours.Goroutines, theirs.Goroutines, theirs.Goroutines/ours.Goroutines)
	one("success", ours.Success, theirs.Success, ours.Success/theirs.Success)
	_ = w.Flush()
}
