package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
)

func (e *env) benchAccountsCmd() *cobra.Command {
	var f chainFlags
	var file string
	var rounds int
	var lines bool
	c := &cobra.Command{
		Use:   "accounts",
		Short: "Read many accounts of a chain, again and again",
		Long: `Read the accounts in a file, or all accounts of the chain, at the best block, again and again, and show how long a round takes: asking,
the chain's answer and decoding. bench/accounts/run.sh compares with @polkadot/api.`,
		Example: "  mesh bench accounts --accounts accounts.txt --rounds 50",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 {
				return usagef("--rounds %d: want 1 or more", rounds)
			}
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				ids, err := accountList(ctx, c, file)
				if err != nil {
					return err
				}
				times, sum, err := readAccounts(ctx, c, ids, rounds)
				if err != nil {
					return err
				}
				if lines {
					for _, d := range times {
						fmt.Fprintf(e.stdout, "mesh %.3f %s\n", millis(d), sum)
					}
					return nil
				}
				slices.Sort(times)
				out := struct {
					Accounts int           `json:"accounts"`
					Rounds   int           `json:"rounds"`
					Median   float64       `json:"median_ms"`
					Min      float64       `json:"min_ms"`
					Max      float64       `json:"max_ms"`
					Sum      chain.Balance `json:"free"`
				}{len(ids), rounds, millis(times[len(times)/2]), millis(times[0]), millis(times[len(times)-1]), sum}
				return e.show(f.json, out, func() string {
					return fmt.Sprintf("%d accounts with %s in %.2f ms (median of %d rounds; %.2f to %.2f)",
						out.Accounts, chain.FormatTensor(sum), out.Median, rounds, out.Min, out.Max)
				})
			})
		},
	}
	f.register(c.Flags())
	c.Flags().StringVar(&file, "accounts", "", "`file` with an account on each line; default all accounts of the chain")
	c.Flags().IntVar(&rounds, "rounds", 20, "how often all are read")
	c.Flags().BoolVar(&lines, "lines", false, "print a line for each round: name, milliseconds, sum of the free balances")
	return c
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// accountList reads the file, or asks the chain for all accounts.
func accountList(ctx context.Context, c *substrate.Client, file string) ([]chain.AccountID, error) {
	var ids []chain.AccountID
	if file == "" {
		entries, err := c.Map(ctx, chain.Hash{}, "System", "Account")
		if err != nil {
			return nil, err
		}
		for _, x := range entries {
			if len(x.Parts) != 1 || len(x.Parts[0]) != len(chain.AccountID{}) {
				return nil, failf("this benchmark is for chains whose accounts are those of Ethereum", "accounts of this chain have not 20 bytes")
			}
			ids = append(ids, chain.AccountID(x.Parts[0]))
		}
		return ids, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, failf("check --accounts", "accounts: %w", err)
	}
	for _, text := range strings.Fields(string(b)) {
		id, err := chain.ParseAccountID(text)
		if err != nil {
			return nil, failf("it has an address on each line", "%s: %w", file, err)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, failf("it has an address on each line", "%s names no account", file)
	}
	return ids, nil
}

// readAccounts times rounds after one that does not count, and sums up the free balances.
func readAccounts(ctx context.Context, c *substrate.Client, ids []chain.AccountID, rounds int) (times []time.Duration, sum chain.Balance, err error) {
	for i := range rounds + 1 {
		began := time.Now()
		list, err := c.Accounts(ctx, chain.Hash{}, ids)
		if err != nil {
			return nil, sum, err
		}
		if i > 0 {
			times = append(times, time.Since(began))
		}
		sum = chain.Balance{}
		for _, a := range list {
			sum = sum.SatAdd(a.Free)
		}
	}
	return times, sum, nil
}
