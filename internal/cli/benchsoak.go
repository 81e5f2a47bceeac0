package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/dht/dhtbench"
)

func (e *env) benchSoakCmd() *cobra.Command {
	var cfg dhtbench.SoakConfig
	b := &swarmBench{swarm: &cfg.SwarmConfig, expiration: &cfg.Expiration}
	c := &cobra.Command{
		Use:   "soak",
		Short: "Let a swarm work for an hour and watch its memory",
		Long: `Start a swarm that stores and reads at a steady rate while nodes are replaced and records expire, and print the memory after a garbage
collection now and then. At the end the last quarter is compared with the second: 1.00 is flat.`,
		Example: "  mesh bench soak --duration 1h\n  mesh bench soak --duration 10m --peers 32 --rate 100 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(); err != nil {
				return err
			}
			switch {
			case cfg.Duration < time.Second || cfg.Expiration < 2*time.Second || cfg.Sample < 0:
				return usagef("--duration is at least 1s, --expiration 2s, --sample is not negative")
			case cfg.Rate < 1 || cfg.Rate > 10000:
				return usagef("--rate %d: want 1 to 10000", cfg.Rate)
			case cfg.ValueBytes < 16 || cfg.ValueBytes > 60<<10:
				return usagef("--value %d: want 16 to %d bytes", cfg.ValueBytes, 60<<10)
			}
			if cfg.Churn == 0 {
				cfg.Churn = -1 // none; zero would be the default
			}
			cfg.Progress = func(s dhtbench.SoakSample) {
				fmt.Fprintf(e.stderr, "%6.0f s  heap %.1f MiB  %d goroutines  %d records  stored %d  got %d  missed %d  stale %d\n",
					s.Seconds, s.HeapMiB, s.Goroutines, s.Records, s.Stored, s.Got, s.Missed, s.Stale)
			}
			r, err := dhtbench.Soak(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return e.show(b.json, r, func() string {
				return fmt.Sprintf("heap x %.3f, goroutines x %.3f from the second quarter to the last; %.3f %% of the gets found what was stored, %d something expired; %d nodes replaced\n",
					r.HeapGrowth, r.GoroutineGrowth, 100*r.GetSuccess, r.Stale, r.Replaced)
			})
		},
	}
	b.register(c)
	f := c.Flags()
	f.DurationVar(&cfg.Duration, "duration", time.Hour, "how long")
	f.IntVar(&cfg.Rate, "rate", 40, "stores a second, and as many gets")
	f.IntVar(&cfg.ValueBytes, "value", 256, "bytes of a value")
	f.DurationVar(&cfg.Churn, "churn", 10*time.Second, "between two replacements of a node; 0: none")
	f.DurationVar(&cfg.Sample, "sample", 0, "between two looks at the memory; default a sixtieth of the duration")
	return c
}
