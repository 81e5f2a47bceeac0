package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/sim"
)

func (e *env) simCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "sim",
		Short: "Run the DHT's own code on a virtual network, under churn and attack",
		Long: `Run the DHT's own code, routing table and lookup, on a virtual network: thousands of nodes in one process and in virtual time. The same
flags give the same result, down to the hash over all events, on every machine.`,
	}
	c.AddCommand(e.simDHTCmd(), e.simChurnCmd())
	return c
}

func (e *env) simDHTCmd() *cobra.Command {
	var cfg sim.Config
	var asJSON bool
	c := &cobra.Command{
		Use:   "dht",
		Short: "Store, let nodes die and lie, search: how many values are found, at what cost",
		Long: `Store values, let nodes die at once, and search for each value from another node; nothing is repaired in between. Shares are fractions
such as 0.2. The dead are drawn first, the liars from the living. Silent nodes never answer; forging ones invent contacts nearer than any
real one; colluding ones name only each other; flooding ones send huge lists.`,
		Example: "  mesh sim dht --nodes 10000 --lookups 1000 --forging 0.2 --dead 0.3 --paths 8 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, n := range map[string]int{"nodes": cfg.Nodes, "lookups": cfg.Lookups, "paths": cfg.Paths, "replicas": cfg.Replicas, "attempts": cfg.Attempts} {
				if n < 1 {
					return usagef("--%s %d: want at least 1", flag, n)
				}
			}
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			began := time.Now()
			if !asJSON {
				fmt.Fprintf(e.stderr, "simulating %d nodes, seed %d\n", cfg.Nodes, cfg.Seed)
			}
			r, err := sim.RunDHT(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return e.show(asJSON, r, func() string {
				var b strings.Builder
				w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "found\t%.2f %% of %d values\n", 100*r.Success, r.Lookups)
				fmt.Fprintf(w, "hops\t%.2f mean\n", r.MeanHops)
				fmt.Fprintf(w, "questions\t%.1f a search, %.1f of them without an answer\n", r.RPCs, r.Timeouts)
				fmt.Fprintf(w, "store\t%.1f questions, %.1f holders\n", r.StoreRPCs, r.Holders)
				fmt.Fprintf(w, "time\tp50 %.0f ms, p99 %.0f ms (virtual)\n", r.P50Millis, r.P99Millis)
				fmt.Fprintf(w, "swarm\t%d nodes, %d dead, %d liars, %.0f contacts a table\n", r.Nodes, r.Dead, r.Liars, r.TableMean)
				fmt.Fprintf(w, "events\t%s (seed %d), in %s\n", r.EventsHash, r.Seed, time.Since(began).Round(100*time.Millisecond))
				flush(w)
				return b.String()
			})
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Nodes, "nodes", 10_000, "nodes, the dead included; some 50 KiB of memory each")
	f.IntVar(&cfg.Lookups, "lookups", 1000, "values stored and searched for")
	f.Uint64Var(&cfg.Seed, "seed", 1, "makes everything")
	f.Float64Var(&cfg.Dead, "dead", 0, "share of the nodes that die after all values are stored")
	f.Float64Var(&cfg.Silent, "silent", 0, "share of the living that never answer")
	f.Float64Var(&cfg.Forging, "forging", 0, "share of the living that invent contacts")
	f.Float64Var(&cfg.Colluding, "colluding", 0, "share of the living that name only each other")
	f.Float64Var(&cfg.Flooding, "flooding", 0, "share of the living that send huge lists")
	f.BoolVar(&cfg.ForgedAnswer, "forged-answer", false, "the invented contacts answer, with more of their kind")
	f.IntVar(&cfg.Sybils, "sybils", 0, "colluding identities placed nearest to each key")
	f.IntVar(&cfg.Paths, "paths", 4, "disjoint paths of a search that is in doubt; 1: believe the first look")
	f.BoolVar(&cfg.Cautious, "cautious", false, "take all paths from the first look on, not only in doubt")
	f.IntVar(&cfg.Replicas, "replicas", 8, "nodes that a value is stored at")
	f.IntVar(&cfg.Attempts, "attempts", 3, "looks that a store or get may take")
	f.BoolVar(&cfg.NoRegion, "no-region", false, "store at the nearest nodes only, not in their whole region")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return c
}

func (e *env) simChurnCmd() *cobra.Command {
	var cfg sim.ChurnConfig
	var asJSON bool
	c := &cobra.Command{
		Use:     "churn",
		Short:   "Let hosts come and go, split the swarm and heal it",
		Example: "  mesh sim churn --hosts 200 --median-session 84s\n  mesh sim churn --hosts 200 --partition-at 5m --partition-for 10m --duration 30m",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Validate(); err != nil {
				return usageError{err}
			}
			r, err := sim.RunChurn(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return e.show(asJSON, r, func() string {
				var b strings.Builder
				w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "found\t%.2f %% of %d gets; %d served after they had expired\n", 100*r.Success, r.Gets, r.ExpiredServed)
				fmt.Fprintf(w, "upkeep\t%.0f B/s a host (checks %.0f, joins %.0f, refresh %.0f, repair %.0f)\n", r.UpkeepBytes, r.CheckBytes, r.JoinBytes, r.RefreshBytes, r.RepairBytes)
				fmt.Fprintf(w, "time\tp50 %.0f ms, p99 %.0f ms (virtual)\n", r.P50Millis, r.P99Millis)
				fmt.Fprintf(w, "hosts\t%d went; %.0f contacts a table, %.1f %% of them gone\n", r.Left, r.TableMean, 100*r.DeadShare)
				if r.FreshReads > 0 {
					fmt.Fprintf(w, "after healing\t%d of %d reads stale; %d keys had diverged\n", r.StaleAfter, r.FreshReads, r.Diverged)
				}
				fmt.Fprintf(w, "events\t%s (seed %d)\n", r.EventsHash, r.Seed)
				flush(w)
				return b.String()
			})
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Hosts, "hosts", 200, "size of the swarm, kept constant")
	f.Uint64Var(&cfg.Seed, "seed", 1, "makes everything")
	f.DurationVar(&cfg.MedianSession, "median-session", 84*time.Second, "median time that a host stays; negative: nobody leaves")
	f.DurationVar(&cfg.Duration, "duration", 30*time.Minute, "virtual time that is measured")
	f.DurationVar(&cfg.PartitionAt, "partition-at", 0, "when the swarm is split")
	f.DurationVar(&cfg.PartitionFor, "partition-for", 0, "for how long; 0: never")
	f.IntVar(&cfg.Replicas, "replicas", 8, "nodes that a value is stored at")
	f.IntVar(&cfg.Paths, "paths", 4, "disjoint paths of a search that is in doubt")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return c
}
