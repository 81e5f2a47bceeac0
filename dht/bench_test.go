//go:build unix

package dht_test

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

func randomKey() (k record.Key) {
	_, _ = rand.Read(k[:])
	return k
}

// percentiles adds the median and the 99th percentile to a benchmark's figures.
func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkSwarm measures the rows of 96 nodes on one machine: a store of 256 bytes at 20 nodes, the first get of a key,
// and a search of the 20 nearest.
func BenchmarkSwarm(b *testing.B) {
	const nodes = 96
	cfg := quiet()
	cfg.Replicas = 20
	before := memory()
	m := swarm(b, nodes, cfg)
	after := memory()
	b.Logf("per node: %d KiB heap, %d goroutines", (after.heap-before.heap)/nodes/1024, (after.goroutines-before.goroutines)/nodes)
	ctx := b.Context()
	for range 3 { // everybody has met everybody: the figures are of calls, not of handshakes
		for _, x := range m {
			if _, err := x.FindNearest(ctx, kad.ID(randomKey()), 20); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, x := range m {
		for _, y := range m {
			if x != y {
				if err := x.Host.Connect(ctx, y.info()); err != nil {
					b.Fatal(err)
				}
				if _, err := x.Ping(ctx, y.Host.ID(), false); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	warm := memory()
	b.Logf("all connected, per node: %d KiB heap, %d goroutines", (warm.heap-before.heap)/nodes/1024, (warm.goroutines-before.goroutines)/nodes)
	value := make([]byte, 256)
	_, _ = rand.Read(value)
	var keys []record.Key
	next := 0
	pick := func() *member { next++; return m[next*37%nodes] }
	measure := func(name string, f func(i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var took []time.Duration
			used := processor()
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				if err := f(i); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			percentiles(b, took)
			b.ReportMetric(float64((processor()-used).Microseconds())/float64(len(took)), "cpu-µs")
		})
	}
	measure("StoreTo20", func(int) error {
		key := randomKey()
		keys = append(keys, key)
		res, err := pick().Store(ctx, dht.StoreRequest{Key: key, Value: msgpack.Raw(msgpack.AppendBytes(nil, value)), Expiration: time.Now().Add(time.Hour)})
		if err == nil && res.Accepted < 20 {
			return fmt.Errorf("accepted by %d: %+v", res.Accepted, res.Answers)
		}
		return err
	})
	measure("GetFirst", func(i int) error {
		_, err := pick().Get(ctx, keys[i*7919%len(keys)], dht.NoCache())
		return err
	})
	measure("Nearest20", func(int) error {
		near, err := pick().FindNearest(ctx, kad.ID(randomKey()), 20)
		if err == nil && len(near) < 20 {
			return fmt.Errorf("only %d", len(near))
		}
		return err
	})
	b.Run("Nearest20Parallel12", func(b *testing.B) {
		used := processor()
		b.SetParallelism(6) // times 2 cores
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				key := randomKey()
				if _, err := m[int(key[0])%nodes].FindNearest(ctx, kad.ID(key), 20); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
		b.ReportMetric(float64((processor()-used).Microseconds())/float64(b.N), "cpu-µs")
	})
}

type footprint struct{ heap, goroutines int }

func memory() footprint {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return footprint{int(s.HeapAlloc), runtime.NumGoroutine()}
}

// processor returns the processor time of this process: it says more than the clock on a machine with other work.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
