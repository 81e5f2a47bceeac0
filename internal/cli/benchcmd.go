package cli

import (
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/dhtbench"
)

func (e *env) benchCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the DHT and the chain client on this machine",
		Long:  "Measure swarms of real hosts with real connections, in this process, on loopback, and how fast a chain is read.",
	}
	c.AddCommand(e.benchDHTCmd(), e.benchRoundsCmd(), e.benchSoakCmd(), e.benchAccountsCmd())
	return c
}

// swarmBench is what the benchmarks of a swarm have in common: flags, checks, and how the outcome is printed.
type swarmBench struct {
	swarm         *dhtbench.SwarmConfig
	expiration    *time.Duration
	latency       *time.Duration // nil: of no use here
	json, noCache bool
	profile       string // file for a profile of the processor time; empty: none
}

func (b *swarmBench) register(c *cobra.Command) {
	f, s := c.Flags(), b.swarm
	f.IntVar(&s.Peers, "peers", 16, "nodes of the swarm")
	f.IntVar(&s.InitialPeers, "initial-peers", 3, "earlier nodes that each joins by")
	f.IntVar(&s.Replicas, "replicas", 5, "nodes that keep a value")
	f.IntVar(&s.Paths, "paths", dht.Defaults().Paths, "disjoint paths of a search that is in doubt; 1: believe the first look")
	f.IntVar(&s.Wave, "wave", 4, "nodes that start at once")
	f.DurationVar(&s.WaitTimeout, "wait-timeout", 5*time.Second, "how long one call may take")
	f.IntVar(&s.Conns, "conns", 0, "connections that each node keeps; 0: 96, over tcp what there are descriptors for")
	f.StringVar(&s.Transport, "transport", "", "tcp or quic; default tcp, with so many nodes that descriptors run short quic")
	f.Uint64Var(&s.Seed, "seed", 1, "of the choice of nodes")
	f.DurationVar(b.expiration, "expiration", 300*time.Second, "how long the values live")
	if b.latency != nil {
		f.DurationVar(b.latency, "latency", 0, "pause between storing and getting")
	}
	f.BoolVar(&b.noCache, "no-cache", false, "switch the nodes' caches off")
	f.StringVar(&b.profile, "cpu-profile", "", "write where the processor time goes to this file, for go tool pprof")
	f.BoolVar(&b.json, "json", false, "print one line of JSON")
}

func (b *swarmBench) check() error {
	s := b.swarm
	switch {
	case s.Peers < 1 || s.Peers > 4096:
		return usagef("--peers %d: want 1 to 4096", s.Peers)
	case s.InitialPeers < 1 || s.Replicas < 1 || s.Paths < 1 || s.Wave < 1 || s.WaitTimeout <= 0:
		return usagef("--initial-peers, --replicas, --paths, --wave and --wait-timeout are more than nothing")
	case s.Conns < 0:
		return usagef("--conns is not negative")
	case s.Transport != "" && s.Transport != "tcp" && s.Transport != "quic":
		return usagef("--transport %q: want tcp or quic", s.Transport)
	case *b.expiration <= 0 || *b.expiration > 24*time.Hour:
		return usagef("--expiration is more than nothing and at most 24h")
	case b.latency != nil && *b.latency < 0:
		return usagef("--latency is not negative")
	}
	s.Cache = !b.noCache
	return nil
}

// run measures, and prints the outcome as JSON or as text.
func (b *swarmBench) run(e *env, measure func() (any, benchText, error)) error {
	b.swarm.Advance = e.progress()
	if b.profile != "" {
		f, err := os.Create(b.profile)
		if err != nil {
			return err
		}
		defer f.Close() // a profile that is cut off is no reason to lose the outcome
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r, text, err := measure()
	if err != nil {
		return err
	}
	return e.show(b.json, r, text.String)
}

const progressPause = 5 * time.Second

// progress returns a function that tells on stderr how far a stage of long work is, now and then.
func (e *env) progress() func(stage string, done, of int) {
	var mu sync.Mutex
	last := time.Now()
	return func(stage string, done, of int) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= progressPause {
			last = now
			fmt.Fprintf(e.stderr, "%s: %d of %d\n", stage, done, of)
		}
	}
}

// benchText is the outcome of a benchmark of a swarm for people.
type benchText struct {
	peers      int
	start      float64 // seconds
	left       float64 // share of the nodes that still ran at the end
	store, get benchOperation
	memory     float64            // MiB of the whole process; 0: not measured
	perPeer    dhtbench.Footprint // at the end
}

// benchOperation is one kind of operation: how long it took, of what, how that varied, and how many of all tried worked.
type benchOperation struct {
	millis     float64
	of, varied string
	share      float64
	tried      int
	worked     string // "stored"
}

// String is a table of four lines.
func (t benchText) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "start\t%.2f s for %d nodes", t.start, t.peers)
	if t.left < 1 {
		fmt.Fprintf(w, ", %.0f %% of which were left at the end", 100*t.left)
	}
	fmt.Fprintln(w)
	for _, o := range []struct {
		name string
		benchOperation
	}{{"store", t.store}, {"get", t.get}} {
		fmt.Fprintf(w, "%s\t%.3f ms %s (%s), %.2f %% of %d %s\n", o.name, o.millis, o.of, o.varied, 100*o.share, o.tried, o.worked)
	}
	fmt.Fprint(w, "memory\t")
	if t.memory > 0 {
		fmt.Fprintf(w, "%.1f MiB; ", t.memory)
	}
	fmt.Fprintf(w, "%.0f KiB of heap and %.0f goroutines a node\n", t.perPeer.HeapKiB, t.perPeer.Goroutines)
	flush(w)
	return b.String()
}

func (e *env) benchDHTCmd() *cobra.Command {
	var cfg dhtbench.BulkConfig
	b := &swarmBench{swarm: &cfg.SwarmConfig, expiration: &cfg.Expiration, latency: &cfg.Latency}
	c := &cobra.Command{
		Use:   "dht",
		Short: "Store and get many keys in batches",
		Long: `Start a swarm and measure as hivemind's benchmark does: random nodes store all keys in batches, then random nodes get them in batches.
Times are per key. The nodes cache as they do in service, unless --no-cache is given. The memory is that of the whole process with all
hosts. bench/hivemind.sh compares with hivemind itself.`,
		Example: "  mesh bench dht --peers 16 --keys 1024\n  mesh bench dht --peers 32 --keys 4096 --batch 256 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cfg.Keys < 1 || cfg.Batch < 1:
				return usagef("--keys and --batch are at least 1")
			case cfg.ValueBytes < 1 || cfg.ValueBytes > 60<<10:
				return usagef("--value %d: want 1 to %d bytes", cfg.ValueBytes, 60<<10)
			}
			if err := b.check(); err != nil {
				return err
			}
			return b.run(e, func() (any, benchText, error) {
				r, err := dhtbench.Bulk(cmd.Context(), cfg)
				operation := func(millis, p50, p99, share float64, worked string) benchOperation {
					return benchOperation{millis, "a key", fmt.Sprintf("batches p50 %.3f, p99 %.3f", p50, p99), share, r.Keys, worked}
				}
				return r, benchText{
					peers: r.Peers, start: r.StartSeconds, left: 1, memory: r.MemoryMiB, perPeer: r.Finished,
					store: operation(r.StoreMillis, r.StoreP50, r.StoreP99, r.StoreSuccess, "stored"),
					get:   operation(r.GetMillis, r.GetP50, r.GetP99, r.GetSuccess, "found unaltered"),
				}, err
			})
		},
	}
	b.register(c)
	f := c.Flags()
	f.IntVar(&cfg.Keys, "keys", 1024, "keys to store and to get")
	f.IntVar(&cfg.Batch, "batch", 64, "keys in one operation")
	f.IntVar(&cfg.ValueBytes, "value", 16, "bytes of a value")
	f.BoolVar(&cfg.Latest, "latest", false, "get the newest value of all holders, instead of the first that is found")
	return c
}

func (e *env) benchRoundsCmd() *cobra.Command {
	var cfg dhtbench.RoundsConfig
	b := &swarmBench{swarm: &cfg.SwarmConfig, expiration: &cfg.Expiration, latency: &cfg.Delay}
	c := &cobra.Command{
		Use:   "rounds",
		Short: "Write and read dictionaries while nodes are switched off",
		Long: `Start a swarm and measure as the Python mesh's benchmark does: in each round some nodes store one subkey each under a new key, then others
read them; several workers do rounds at once, and meanwhile some nodes are switched off. Times are per operation.`,
		Example: "  mesh bench rounds --peers 32 --workers 10 --failure-rate 0.1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cfg.Workers < 1 || cfg.Rounds < 0 || cfg.StorePeers < 1 || cfg.GetPeers < 1:
				return usagef("--workers, --store-peers and --get-peers are at least 1, --rounds is not negative")
			case cfg.Wait < 0:
				return usagef("--wait is not negative")
			case cfg.FailureRate < 0 || cfg.FailureRate >= 1:
				return usagef("--failure-rate %v: want a share such as 0.1", cfg.FailureRate)
			}
			if err := b.check(); err != nil {
				return err
			}
			if cfg.FailureRate == 0 {
				cfg.FailureRate = -1 // none; zero would be the default
			}
			return b.run(e, func() (any, benchText, error) {
				r, err := dhtbench.Rounds(cmd.Context(), cfg)
				operation := func(mean, deviation, most, share float64, tried int, worked string) benchOperation {
					return benchOperation{1000 * mean, "an operation", fmt.Sprintf("deviation %.3f, most %.3f", 1000*deviation, 1000*most), share, tried, worked}
				}
				return r, benchText{
					peers: r.Peers, start: r.StartSeconds, left: r.Survivors, perPeer: r.PerPeer,
					store: operation(r.StoreMean, r.StoreDev, r.StoreMax, r.StoreSuccess, r.StoreAttempts, "stored"),
					get:   operation(r.GetMean, r.GetDev, r.GetMax, r.GetSuccess, r.GetAttempts, "found"),
				}, err
			})
		},
	}
	b.register(c)
	f := c.Flags()
	f.IntVar(&cfg.Workers, "workers", 10, "workers that do rounds at once")
	f.IntVar(&cfg.Rounds, "rounds", 0, "rounds in all; 0: 16 for each worker")
	f.IntVar(&cfg.StorePeers, "store-peers", 8, "nodes that each store one subkey in a round")
	f.IntVar(&cfg.GetPeers, "get-peers", 8, "nodes that each read in a round")
	f.DurationVar(&cfg.Wait, "wait", 0, "pause after a round")
	f.Float64Var(&cfg.FailureRate, "failure-rate", 0.1, "share of the nodes that are switched off on the way")
	f.BoolVar(&cfg.FirstGet, "first", false, "get the first value that is found, instead of the newest")
	return c
}
