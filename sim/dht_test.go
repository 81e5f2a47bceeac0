package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hypertensor-blockchain/mesh/sim"
)

// run runs an experiment with the seed of the tests and returns the configuration that was
// used; a failure names the command that repeats it.
func run(t *testing.T, cfg sim.Config) (sim.Report, sim.Config) {
	t.Helper()
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	if cfg.Lookups == 0 {
		cfg.Lookups = 400
		if testing.Short() {
			cfg.Lookups, cfg.Nodes = 200, min(max(cfg.Nodes, 1_000), 2_000)
		}
	}
	r, err := sim.RunDHT(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s\nsuccess %.2f %%, hops %.2f, questions %.1f, unanswered %.1f, questions of a store %.1f",
		cfg.Command(), 100*r.Success, r.MeanHops, r.RPCs, r.Timeouts, r.StoreRPCs)
	return r, cfg
}

func TestLookupHops(t *testing.T) {
	for _, c := range []struct {
		nodes      int
		hops, rpcs float64
	}{{1_000, 1.8, 3}, {10_000, 2.5, 4}} {
		t.Run(fmt.Sprint(c.nodes), func(t *testing.T) {
			r, cfg := run(t, sim.Config{Nodes: c.nodes, Paths: 1})
			if r.Success != 1 || r.MeanHops > c.hops || r.RPCs > c.rpcs {
				t.Errorf("success %v, hops %.2f (want <= %v), questions %.2f (want <= %v); repeat with: %s", r.Success, r.MeanHops, c.hops, r.RPCs, c.rpcs, cfg.Command())
			}
		})
	}
}

// The rows that the project promises run with 10,000 nodes, the others with fewer. A run of
// some hundred lookups cannot tell 99.9 % from 99.8 %: the bounds hold for the seed of the
// tests, and longer runs with other seeds are one command away.
func TestResilience(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  sim.Config
		want float64 // per cent
	}{
		{"30 % die at once", sim.Config{Dead: 0.3}, 99.9},
		{"50 % die at once", sim.Config{Dead: 0.5}, 99},
		{"20 % forge, 8 paths", sim.Config{Forging: 0.2, Paths: 8}, 99.5},
		{"30 % forge, 8 paths", sim.Config{Forging: 0.3, Paths: 8}, 99},
		{"50 % forge, 8 paths", sim.Config{Forging: 0.5, Paths: 8}, 85},
		{"20 % forge, 4 paths", sim.Config{Forging: 0.2, Paths: 4}, 97},
		{"20 % collude near the key", sim.Config{Colluding: 0.2}, 99},
		{"20 % forge, 30 % of the rest dead", sim.Config{Forging: 0.25, Dead: 0.24, Paths: 8}, 99},
		{"20 % forge and own what they invent", sim.Config{Forging: 0.2, Paths: 8, ForgedAnswer: true}, 99},
		{"45 Sybils at the key", sim.Config{Sybils: 45}, 99},
		{"8 Sybils at the key", sim.Config{Sybils: 8, Nodes: 3_000}, 99},
		{"20 % flood", sim.Config{Flooding: 0.2, Nodes: 3_000}, 99},
		{"40 % silent", sim.Config{Silent: 0.4, Nodes: 3_000}, 99},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cfg.Nodes == 0 {
				c.cfg.Nodes = 10_000
			}
			if testing.Short() {
				c.want = min(c.want, 96) // 2,000 nodes and 200 lookups: a smoke test
			}
			r, cfg := run(t, c.cfg)
			if 100*r.Success < c.want {
				t.Errorf("%.2f %% of values found, want %.2f %%; repeat with: %s", 100*r.Success, c.want, cfg.Command())
			}
		})
	}
}

// TestSybilsHideNothing shows what each defence is for: Sybils fewer than a beam, nearest to
// the key, own all replicas of a store at the nearest nodes that believes its first look. The
// region alone brings the value to honest nodes, and second looks find it.
func TestSybilsHideNothing(t *testing.T) {
	cfg := sim.Config{Nodes: 2_000, Lookups: 200, Sybils: 12}
	both, _ := run(t, cfg)
	cfg.Paths = 1
	region, _ := run(t, cfg)
	cfg.NoRegion = true
	neither, _ := run(t, cfg)
	if both.Success < 0.99 || region.Success < 0.4 || neither.Success > 0.2 {
		t.Errorf("with all defences %.3f, with the region alone %.3f, with none %.3f", both.Success, region.Success, neither.Success)
	}
}

// TestCaution: where nothing is wrong, a first look of one path is all that is taken; on
// request all paths are, which costs three times as much.
func TestCaution(t *testing.T) {
	cfg := sim.Config{Nodes: 2_000, Lookups: 200}
	calm, _ := run(t, cfg)
	cfg.Cautious = true
	cautious, _ := run(t, cfg)
	if calm.Success != 1 || cautious.Success != 1 || calm.RPCs > 3 || cautious.RPCs < 2*calm.RPCs || cautious.StoreRPCs < calm.StoreRPCs {
		t.Errorf("calm %+v, cautious %+v", calm, cautious)
	}
}

func TestSameSeedSameEvents(t *testing.T) {
	cfg := sim.Config{Nodes: 500, Lookups: 50, Seed: 7, Forging: 0.1, Dead: 0.1, Colluding: 0.1, Flooding: 0.05, Paths: 3}
	a, _ := run(t, cfg)
	b, _ := run(t, cfg)
	if a != b {
		t.Errorf("two runs of one seed differ:\n%+v\n%+v", a, b)
	}
	cfg.Seed = 8
	if c, _ := run(t, cfg); c.EventsHash == a.EventsHash {
		t.Error("another seed gave the same events")
	}
}

func TestConfigErrors(t *testing.T) {
	for _, cfg := range []sim.Config{
		{Nodes: 5}, {Dead: -0.1}, {Dead: 1}, {Forging: 0.7, Colluding: 0.4}, {Paths: 100}, {Lookups: -1}, {ForgedDensity: -1},
	} {
		if _, err := sim.RunDHT(context.Background(), cfg); !errors.Is(err, sim.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := sim.RunDHT(ctx, sim.Config{Nodes: 100}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled run: %v", err)
	}
}
