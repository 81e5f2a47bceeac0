package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/sim"
)

func runChurn(t *testing.T, cfg sim.ChurnConfig) sim.ChurnReport {
	t.Helper()
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	r, err := sim.RunChurn(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	return r
}

// Steady churn with a median session of 1.4 minutes (Rhea et al. 2004): 99 % of gets, 900
// bytes of upkeep per second and host.
func TestChurnSteady(t *testing.T) {
	cfg := sim.ChurnConfig{Duration: 10 * time.Minute}
	if testing.Short() {
		cfg.Duration = 2 * time.Minute
	}
	r := runChurn(t, cfg)
	if r.Success < 0.99 || r.ExpiredServed > 0 || r.UpkeepBytes > 900 || r.StoresFailed > 0 {
		t.Errorf("seed %d: %.2f %% of gets, %.0f B/s of upkeep, %d expired values served, %d stores failed",
			r.Seed, 100*r.Success, r.UpkeepBytes, r.ExpiredServed, r.StoresFailed)
	}
}

// A calm swarm costs less: the checks slow down by themselves.
func TestUpkeepInCalm(t *testing.T) {
	r := runChurn(t, sim.ChurnConfig{Hosts: 100, Duration: 5 * time.Minute, MedianSession: -1})
	if r.Success != 1 || r.CheckBytes > 200 || r.Left != 0 || r.DeadShare != 0 {
		t.Errorf("%+v", r)
	}
}

// Ten minutes of partition, both sides write: two refresh periods after the healing every
// read finds the freshest value, and nothing that expired comes back.
func TestPartitionHeal(t *testing.T) {
	for _, session := range []time.Duration{-1, 20 * time.Minute} {
		cfg := sim.ChurnConfig{
			Hosts: 100, Duration: 25 * time.Minute, MedianSession: session, GetsPerSecond: 4, StoresPerSecond: 0.5,
			PartitionAt: 3 * time.Minute, PartitionFor: 10 * time.Minute, Expiry: 12 * time.Minute,
		}
		r := runChurn(t, cfg)
		if r.Diverged < 50 {
			t.Error("the partition left no trace: the test proves nothing")
		}
		if r.FreshReads < 1_000 || r.StaleAfter > 0 || r.ExpiredServed > 0 || r.Success < 0.99 {
			t.Errorf("seed %d, session %v: %d of %d reads were stale, %d expired values served, %.2f %% found",
				r.Seed, session, r.StaleAfter, r.FreshReads, r.ExpiredServed, 100*r.Success)
		}
	}
}

func TestChurnSameSeedSameEvents(t *testing.T) {
	cfg := sim.ChurnConfig{Hosts: 40, Duration: time.Minute, Seed: 9}
	a, b := runChurn(t, cfg), runChurn(t, cfg)
	if a != b {
		t.Errorf("two runs of one seed differ:\n%+v\n%+v", a, b)
	}
	cfg.Seed = 10
	if c := runChurn(t, cfg); c.EventsHash == a.EventsHash {
		t.Error("another seed gave the same events")
	}
}

func TestChurnConfigErrors(t *testing.T) {
	for _, cfg := range []sim.ChurnConfig{
		{Hosts: 3}, {Duration: -1}, {Replicas: 500}, {MedianSession: time.Millisecond}, {PartitionAt: time.Hour, PartitionFor: time.Hour},
	} {
		if _, err := sim.RunChurn(context.Background(), cfg); !errors.Is(err, sim.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := sim.RunChurn(ctx, sim.ChurnConfig{Hosts: 10}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled run: %v", err)
	}
}
