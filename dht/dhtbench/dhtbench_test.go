package dhtbench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/dht/dhtbench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBulk(t *testing.T) {
	for _, transport := range []string{"tcp", "quic"} {
		r, err := dhtbench.Bulk(t.Context(), dhtbench.BulkConfig{SwarmConfig: dhtbench.SwarmConfig{Peers: 10, Transport: transport}, Keys: 150, Batch: 40})
		if err != nil {
			t.Fatal(err)
		}
		if r.StoreSuccess != 1 || r.GetSuccess != 1 || r.StoreMillis <= 0 || r.GetMillis <= 0 || r.StartSeconds <= 0 || r.Started.Goroutines <= 0 {
			t.Errorf("%+v", r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	}
}

func TestRounds(t *testing.T) {
	r, err := dhtbench.Rounds(t.Context(), dhtbench.RoundsConfig{SwarmConfig: dhtbench.SwarmConfig{Peers: 12}, Workers: 3, Rounds: 9, FailureRate: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	if r.StoreSuccess < 0.94 || r.GetSuccess < 0.94 || r.StoreAttempts != 72 || r.GetAttempts != 72 || r.Survivors > 0.9 {
		t.Errorf("%+v", r)
	}
}

// TestSoak runs for seconds, so that it tells nothing of the memory: it shows that peers come and go, that records expire
// and are not found any more, and that what lives is found.
func TestSoak(t *testing.T) {
	samples := 0
	r, err := dhtbench.Soak(t.Context(), dhtbench.SoakConfig{
		SwarmConfig: dhtbench.SwarmConfig{Peers: 8, Cache: true}, Duration: 6 * time.Second, Rate: 50, Expiration: 2 * time.Second,
		Churn: time.Second, Sample: time.Second / 2, Progress: func(dhtbench.SoakSample) { samples++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Samples[len(r.Samples)-1]
	if samples != len(r.Samples) || r.Replaced == 0 || r.GetSuccess < 0.95 || r.Stale != 0 || last.Stored < 20 || r.HeapGrowth <= 0 || r.GoroutineGrowth <= 0 {
		t.Errorf("%+v", r)
	}
	if last.Records >= 5*last.Stored {
		t.Errorf("%d records of %d stored at 5 peers each: none expired", last.Records, last.Stored)
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := dhtbench.Bulk(t.Context(), dhtbench.BulkConfig{SwarmConfig: dhtbench.SwarmConfig{Transport: "pigeon"}}); err == nil {
		t.Error("a transport that does not exist")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dhtbench.Rounds(ctx, dhtbench.RoundsConfig{SwarmConfig: dhtbench.SwarmConfig{Peers: 3}}); err == nil {
		t.Error("cancelled before it began")
	}
}

// BenchmarkBulk runs the bulk measurement once; MESH_BENCH_PEERS and MESH_BENCH_KEYS set its size.
func BenchmarkBulk(b *testing.B) {
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	cfg := dhtbench.BulkConfig{SwarmConfig: dhtbench.SwarmConfig{Peers: number("MESH_BENCH_PEERS", 96)}, Keys: number("MESH_BENCH_KEYS", 4096)}
	for b.Loop() {
		r, err := dhtbench.Bulk(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.StartSeconds, "start-s")
		b.ReportMetric(r.StoreMillis, "store-ms/key")
		b.ReportMetric(r.GetMillis, "get-ms/key")
		b.ReportMetric(100*r.StoreSuccess, "stored-%")
		b.ReportMetric(100*r.GetSuccess, "got-%")
		b.ReportMetric(r.Started.HeapKiB, "KiB/peer")
		b.ReportMetric(r.Started.Goroutines, "goroutines/peer")
	}
}

func Example() {
	r, err := dhtbench.Bulk(context.Background(), dhtbench.BulkConfig{SwarmConfig: dhtbench.SwarmConfig{Peers: 4}, Keys: 20, Batch: 10})
	if err != nil {
		panic(err)
	}
	fmt.Printf("stored %.0f %%, read %.0f %%\n", 100*r.StoreSuccess, 100*r.GetSuccess)
	// Output: stored 100 %, read 100 %
}
