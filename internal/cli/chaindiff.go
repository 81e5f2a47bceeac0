package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/diff"
)

// errDiffers ends `chain diff` when the engines are not equal.
var errDiffers = errors.New("the engines differ")

// diffSequence is one run of `chain diff` as --json shows it.
type diffSequence struct {
	Seed         uint64           `json:"seed"`
	Blocks       int              `json:"blocks"`
	Transactions int              `json:"transactions"`
	Succeeded    int              `json:"succeeded"`
	Refused      int              `json:"refused"`
	Answers      int              `json:"answers_compared"`
	Events       int              `json:"events_compared"`
	Pairs        int              `json:"pairs_compared"`
	Calls        map[string]int   `json:"calls,omitempty"`
	Results      map[string]int   `json:"results,omitempty"`
	Ignored      map[string]int   `json:"ignored,omitempty"`
	LeftOut      map[string]int   `json:"left_out,omitempty"`
	Differences  []diffDifference `json:"differences"`
}

type diffDifference struct {
	Block     chain.BlockNumber `json:"block"`
	When      string            `json:"when"`
	What      string            `json:"what"`
	Key       string            `json:"key,omitempty"`
	Reference string            `json:"runtime"`
	Subject   string            `json:"native"`
}

// diffOutcome is all of `chain diff`.
type diffOutcome struct {
	Spec      string         `json:"chain_spec"`
	Equal     bool           `json:"equal"`
	Total     diffSequence   `json:"total"`
	Sequences []diffSequence `json:"sequences"`
}

func (e *env) chainDiffCmd() *cobra.Command {
	var spec, cache string
	var cfg diff.Config
	var sequences int
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff",
		Short: "Run the same transactions through a chain's own runtime and the native engine, and compare everything",
		Long: `Run the same transactions through the runtime in a chain specification and through the native engine: the scripted life of a subnet and
its nodes, with random calls in between, good ones and bad ones. What the pool says, what each call returns, every event and every storage
pair under System, Balances, Network and what they touch must be equal after each of them. The runtime's random election is handed to the
native engine.

A sequence stops at the first block that differs and shows its keys and values decoded. The same seed gives the same sequence. The exit
status is 1 when anything differs.`,
		Example: "  mesh chain diff --chain-spec spec-raw.json\n  mesh chain diff --chain-spec spec-raw.json --sequences 20 --seed 100 --blocks 1000 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case spec == "":
				return usagef("--chain-spec is missing: which file has the runtime that the native engine is to equal?")
			case sequences < 1:
				return usagef("--sequences %d: want 1 or more", sequences)
			case cfg.Blocks < 1:
				return usagef("--blocks %d: want 1 or more", cfg.Blocks)
			case cfg.PerBlock < 0 || cfg.PerBlock > 100:
				return usagef("--per-block %d: want 0 to 100", cfg.PerBlock)
			case cfg.PerBlock == 0:
				cfg.PerBlock = -1 // its zero is the default
			}
			return e.runChainDiff(cmd, spec, cache, cfg, sequences, asJSON)
		},
	}
	fl := c.Flags()
	fl.StringVar(&spec, "chain-spec", "", "raw chain specification or runtime `file` of generation G2 (required)")
	fl.StringVar(&cache, "runtime-cache", "", "`folder` that keeps compiled runtimes; default in the user's cache folder, none: compile each time")
	fl.IntVar(&sequences, "sequences", 3, "how many sequences; each takes the next seed")
	fl.Uint64Var(&cfg.Seed, "seed", 0, "seed of the first one")
	fl.IntVar(&cfg.Blocks, "blocks", 300, "blocks of each")
	fl.IntVar(&cfg.PerBlock, "per-block", 3, "the most random calls in a block; 0 leaves the script alone")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (e *env) runChainDiff(cmd *cobra.Command, spec, cache string, cfg diff.Config, sequences int, asJSON bool) (err error) {
	log, closeLog, err := e.log.logger(e.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	engine, err := e.compileSpec(cmd.Context(), spec, cache, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return e.compareEngines(cmd, engine, spec, cfg, sequences, asJSON, log)
}

// compareEngines runs the sequences against a reference.
func (e *env) compareEngines(cmd *cobra.Command, reference devchain.Engine, spec string, cfg diff.Config, sequences int, asJSON bool, log *slog.Logger) error {
	cfg.Logger = log
	out := diffOutcome{Spec: spec, Equal: true}
	out.Total = diffSequence{Seed: cfg.Seed, Calls: map[string]int{}, Results: map[string]int{}, Ignored: map[string]int{}, LeftOut: map[string]int{}, Differences: []diffDifference{}}
	for i := range sequences {
		began := time.Now()
		cfg.Progress = func(r *diff.Report) {
			if r.Blocks%100 == 0 && r.Blocks < cfg.Blocks {
				fmt.Fprintf(e.stderr, "sequence %d of %d, seed %d: block %d, %d transactions, %d storage pairs\n", i+1, sequences, cfg.Seed, r.Blocks, r.Transactions, r.Pairs)
			}
		}
		r, err := diff.Native(cmd.Context(), cfg, reference)
		switch {
		case errors.Is(err, diff.ErrOtherChain):
			return failf("the native engine is of generation G2: give a specification of that generation", "%s: %w", spec, err)
		case err != nil:
			return fmt.Errorf("seed %d: %w", cfg.Seed, err)
		}
		s := showSequence(cfg.Seed, r)
		fmt.Fprintf(e.stderr, "sequence %d of %d, seed %d: %d blocks in %s, %d differences\n", i+1, sequences, s.Seed, s.Blocks, time.Since(began).Round(10*time.Millisecond), len(s.Differences))
		out.add(s)
		cfg.Seed++
	}
	if err := e.show(asJSON, out, out.text); err != nil {
		return err
	}
	if !out.Equal {
		return silentError{errDiffers}
	}
	return nil
}

func showSequence(seed uint64, r *diff.Report) diffSequence {
	s := diffSequence{
		Seed: seed, Blocks: r.Blocks, Transactions: r.Transactions, Succeeded: r.Succeeded, Refused: r.Refused,
		Answers: r.Answers, Events: r.Events, Pairs: r.Pairs, Calls: r.Calls, Results: r.Results, Ignored: r.Ignored,
		LeftOut: map[string]int{}, Differences: []diffDifference{},
	}
	for _, m := range []map[string]int{r.Unmetered, r.Unsupported} {
		for name, n := range m {
			s.LeftOut[name] += n
		}
	}
	for _, name := range r.Left {
		s.LeftOut[name] += 0
	}
	for _, d := range r.Differences {
		shown := diffDifference{Block: d.Block, When: d.When, What: d.What, Reference: d.ReferenceText, Subject: d.SubjectText}
		if d.Key != nil {
			shown.Key = fmt.Sprintf("0x%x", d.Key)
		}
		s.Differences = append(s.Differences, shown)
	}
	return s
}

func (o *diffOutcome) add(s diffSequence) {
	o.Sequences = append(o.Sequences, s)
	t := &o.Total
	t.Blocks += s.Blocks
	t.Transactions += s.Transactions
	t.Succeeded += s.Succeeded
	t.Refused += s.Refused
	t.Answers += s.Answers
	t.Events += s.Events
	t.Pairs += s.Pairs
	for _, x := range []struct{ sum, add map[string]int }{{t.Calls, s.Calls}, {t.Results, s.Results}, {t.Ignored, s.Ignored}, {t.LeftOut, s.LeftOut}} {
		for name, n := range x.add {
			x.sum[name] += n
		}
	}
	t.Differences = append(t.Differences, s.Differences...)
	o.Equal = o.Equal && len(s.Differences) == 0
}

// text is the outcome for people.
func (o *diffOutcome) text() string {
	var b strings.Builder
	t := o.Total
	fmt.Fprintf(&b, "%d sequences, %d blocks, %d transactions of %d calls: %d succeeded, %d failed alike in %d ways, %d refused by both pools\n",
		len(o.Sequences), t.Blocks, t.Transactions, len(t.Calls), t.Succeeded, t.Transactions-t.Succeeded, len(t.Results)-1, t.Refused)
	fmt.Fprintf(&b, "compared: %d answers, %d events, %d storage pairs\n", t.Answers, t.Events, t.Pairs)
	list := func(what string, m map[string]int) {
		if len(m) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", what, strings.Join(slices.Sorted(maps.Keys(m)), ", "))
		}
	}
	list("not compared", t.Ignored)
	list("left out", t.LeftOut)
	for _, s := range o.Sequences {
		for _, d := range s.Differences {
			writeDifference(&b, s.Seed, d)
		}
	}
	if o.Equal {
		fmt.Fprintln(&b, "no differences")
	} else {
		fmt.Fprintf(&b, "%d differences\n", len(t.Differences))
	}
	return b.String()
}

func writeDifference(w io.Writer, seed uint64, d diffDifference) {
	fmt.Fprintf(w, "seed %d, block %d, %s: %s\n", seed, d.Block, d.When, d.What)
	if d.Key != "" {
		fmt.Fprintf(w, "  key      %s\n", d.Key)
	}
	fmt.Fprintf(w, "  runtime  %s\n  native   %s\n", d.Reference, d.Subject)
}
