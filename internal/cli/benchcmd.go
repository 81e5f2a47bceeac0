package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/dht/dhtbench"
)

func (e *env) benchCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the DHT and the chain client on this machine",
		Long:  "Measure swarms of real hosts with real connections, in this process, on loopback, and how fast a chain is read.",
	}
	c.AddCommand(e.benchDHTCmd(), e.benchRoundsCmd(), e.benchAccountsCmd())
	return c
}

// swarmFlags describe the swarm that is measured.
func swarmFlags(c *cobra.Command, s *dhtbench.SwarmConfig, asJSON *bool) {
	f := c.Flags()
	f.IntVar(&s.Peers, "peers", 16, "nodes of the swarm")
	f.IntVar(&s.InitialPeers, "initial-peers", 3, "earlier nodes that each joins by")
	f.IntVar(&s.Replicas, "replicas", 5, "nodes that keep a value")
	f.IntVar(&s.Paths, "paths", 1, "disjoint paths of a search")
	f.IntVar(&s.Wave, "wave", 4, "nodes that start at once")
	f.DurationVar(&s.WaitTimeout, "wait-timeout", 5*time.Second, "how long one call may take")
	f.StringVar(&s.Transport, "transport", "", "tcp or quic; default tcp up to 192 nodes")
	f.Uint64Var(&s.Seed, "seed", 1, "of the choice of nodes")
	f.BoolVar(asJSON, "json", false, "print one line of JSON")
}

func checkSwarm(s *dhtbench.SwarmConfig) error {
	switch {
	case s.Peers < 1 || s.Peers > 4096:
		return usagef("--peers %d: want 1 to 4096", s.Peers)
	case s.InitialPeers < 1 || s.Replicas < 1 || s.Paths < 1 || s.Wave < 1 || s.WaitTimeout <= 0:
		return usagef("--initial-peers, --replicas, --paths, --wave and --wait-timeout are more than nothing")
	case s.Transport != "" && s.Transport != "tcp" && s.Transport != "quic":
		return usagef("--transport %q: want tcp or quic", s.Transport)
	}
	return nil
}

func (e *env) benchDHTCmd() *cobra.Command {
	var cfg dhtbench.BulkConfig
	var asJSON, noCache bool
	c := &cobra.Command{
		Use:   "dht",
		Short: "Store and get many keys in batches",
		Long: `Start a swarm and measure as hivemind's benchmark does: random nodes store all keys in batches, then random nodes get them in batches.
Times are per key. The nodes cache as they do in service, unless --no-cache is given. The memory is that of the whole process with all
hosts. bench/hivemind.sh compares with hivemind itself.`,
		Example: "  mesh bench dht --peers 16 --keys 1024\n  mesh bench dht --peers 32 --keys 4096 --batch 256 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSwarm(&cfg.SwarmConfig); err != nil {
				return err
			}
			switch {
			case cfg.Keys < 1 || cfg.Batch < 1:
				return usagef("--keys and --batch are at least 1")
			case cfg.ValueBytes < 1 || cfg.ValueBytes > 60<<10:
				return usagef("--value %d: want 1 to %d bytes", cfg.ValueBytes, 60<<10)
			case cfg.Expiration <= 0 || cfg.Expiration > 24*time.Hour || cfg.Latency < 0:
				return usagef("--expiration is more than nothing and at most 24h, --latency is not negative")
			}
			cfg.Cache = !noCache
			if !asJSON {
				fmt.Fprintf(e.stderr, "starting %d nodes\n", cfg.Peers)
			}
			r, err := dhtbench.Bulk(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return e.show(asJSON, r, func() string {
				var b strings.Builder
				w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "start\t%.2f s for %d nodes\n", r.StartSeconds, r.Peers)
				fmt.Fprintf(w, "store\t%.3f ms a key (batches p50 %.3f, p99 %.3f), %.2f %% of %d stored\n", r.StoreMillis, r.StoreP50, r.StoreP99, 100*r.StoreSuccess, r.Keys)
				fmt.Fprintf(w, "get\t%.3f ms a key (batches p50 %.3f, p99 %.3f), %.2f %% found unaltered\n", r.GetMillis, r.GetP50, r.GetP99, 100*r.GetSuccess)
				fmt.Fprintf(w, "memory\t%.1f MiB; %.0f KiB of heap and %.0f goroutines a node\n", r.MemoryMiB, r.Finished.HeapKiB, r.Finished.Goroutines)
				flush(w)
				return b.String()
			})
		},
	}
	swarmFlags(c, &cfg.SwarmConfig, &asJSON)
	f := c.Flags()
	f.IntVar(&cfg.Keys, "keys", 1024, "keys to store and to get")
	f.IntVar(&cfg.Batch, "batch", 64, "keys in one operation")
	f.IntVar(&cfg.ValueBytes, "value", 16, "bytes of a value")
	f.DurationVar(&cfg.Expiration, "expiration", 300*time.Second, "how long the values live")
	f.DurationVar(&cfg.Latency, "latency", 0, "pause between storing and getting")
	f.BoolVar(&cfg.Latest, "latest", false, "get the newest value of all holders, instead of the first that is found")
	f.BoolVar(&noCache, "no-cache", false, "switch the nodes' caches off")
	return c
}

func (e *env) benchRoundsCmd() *cobra.Command {
	var cfg dhtbench.RoundsConfig
	var asJSON, noCache bool
	c := &cobra.Command{
		Use:   "rounds",
		Short: "Write and read dictionaries while nodes are switched off",
		Long: `Start a swarm and measure as the Python mesh's benchmark does: in each round some nodes store one subkey each under a new key, then others
read them; several workers do rounds at once, and meanwhile some nodes are switched off.`,
		Example: "  mesh bench rounds --peers 32 --workers 10 --failure-rate 0.1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSwarm(&cfg.SwarmConfig); err != nil {
				return err
			}
			switch {
			case cfg.Workers < 1 || cfg.Rounds < 0 || cfg.StorePeers < 1 || cfg.GetPeers < 1:
				return usagef("--workers, --store-peers and --get-peers are at least 1, --rounds is not negative")
			case cfg.Expiration <= 0 || cfg.Wait < 0 || cfg.Delay < 0:
				return usagef("--expiration is more than nothing, --wait and --latency are not negative")
			case cfg.FailureRate < 0 || cfg.FailureRate >= 1:
				return usagef("--failure-rate %v: want a share such as 0.1", cfg.FailureRate)
			}
			if cfg.FailureRate == 0 {
				cfg.FailureRate = -1 // none; zero would be the default
			}
			cfg.Cache = !noCache
			if !asJSON {
				fmt.Fprintf(e.stderr, "starting %d nodes\n", cfg.Peers)
			}
			r, err := dhtbench.Rounds(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return e.show(asJSON, r, func() string {
				var b strings.Builder
				w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "start\t%.2f s for %d nodes, %.0f %% of which were left at the end\n", r.StartSeconds, r.Peers, 100*r.Survivors)
				fmt.Fprintf(w, "store\tmean %.4f s, deviation %.4f, most %.4f; %.2f %% of %d stored\n", r.StoreMean, r.StoreDev, r.StoreMax, 100*r.StoreSuccess, r.StoreAttempts)
				fmt.Fprintf(w, "get\tmean %.4f s, deviation %.4f, most %.4f; %.2f %% of %d found\n", r.GetMean, r.GetDev, r.GetMax, 100*r.GetSuccess, r.GetAttempts)
				fmt.Fprintf(w, "memory\t%.0f KiB of heap and %.0f goroutines a node\n", r.PerPeer.HeapKiB, r.PerPeer.Goroutines)
				flush(w)
				return b.String()
			})
		},
	}
	swarmFlags(c, &cfg.SwarmConfig, &asJSON)
	f := c.Flags()
	f.IntVar(&cfg.Workers, "workers", 10, "workers that do rounds at once")
	f.IntVar(&cfg.Rounds, "rounds", 0, "rounds in all; 0: 16 for each worker")
	f.IntVar(&cfg.StorePeers, "store-peers", 8, "nodes that each store one subkey in a round")
	f.IntVar(&cfg.GetPeers, "get-peers", 8, "nodes that each read in a round")
	f.DurationVar(&cfg.Expiration, "expiration", 300*time.Second, "how long the values live")
	f.DurationVar(&cfg.Wait, "wait", 0, "pause after a round")
	f.DurationVar(&cfg.Delay, "latency", 0, "pause between storing and getting")
	f.Float64Var(&cfg.FailureRate, "failure-rate", 0.1, "share of the nodes that are switched off on the way")
	f.BoolVar(&cfg.FirstGet, "first", false, "get the first value that is found, instead of the newest")
	f.BoolVar(&noCache, "no-cache", false, "switch the nodes' caches off")
	return c
}
