package cli

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

func (e *env) overwatchCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "overwatch",
		Short: "Judge subnets: register an overwatch node, commit and reveal weights",
		Long: `Judge subnets from outside. In the first part of an overwatch epoch a node commits sealed weights, in the rest it reveals them. The seal
is a random salt, which "commit" keeps in a file until "reveal" needs it; without that file the weights cannot be revealed.`,
	}
	c.AddCommand(e.overwatchRegisterCmd(), e.overwatchCommitCmd(), e.overwatchRevealCmd(), e.overwatchInfoCmd())
	return c
}

func (e *env) overwatchRegisterCmd() *cobra.Command {
	var f signFlags
	var hotkey string
	var stake amountFlag
	c := &cobra.Command{
		Use:     "register",
		Short:   "Register an overwatch node, with stake; the coldkey signs and must be on the chain's list",
		Example: "  mesh overwatch register --key coldkey.json --hotkey hotkey.json --stake 100",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if hotkey == "" || !stake.set {
				return usagef("--hotkey and --stake are required")
			}
			h, err := resolveAccount(hotkey)
			if err != nil {
				return err
			}
			return e.submit(cmd, &f, fixed(substrate.RegisterOverwatchNode(h, stake.value)),
				func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
					id, err := overwatchOf(ctx, c, at, h)
					return map[string]any{"overwatch_node_id": id}, fmt.Sprintf("registered overwatch node %d", id), err
				})
		},
	}
	f.register(c.Flags())
	c.Flags().StringVar(&hotkey, "hotkey", "", "`account` that commits and reveals: address or key file (required)")
	c.Flags().Var(&stake, "stake", "what the node puts in (required)")
	return c
}

// overwatchOf finds the overwatch node that signs with a hotkey.
func overwatchOf(ctx context.Context, c *substrate.Client, at chain.Hash, hotkey chain.AccountID) (substrate.OverwatchID, error) {
	id, err := substrate.Get[uint32](ctx, c, at, "Network", "HotkeyOverwatchNodeId", hotkey)
	if errors.Is(err, chain.ErrNotFound) {
		return 0, failf("register it with `mesh overwatch register`", "no overwatch node signs with %s", hotkey)
	}
	if errors.Is(err, metadata.ErrUnknown) {
		return 0, failf("give --id", "%w: overwatch nodes are not found by hotkey", chain.ErrNotOnThisChain)
	}
	return substrate.OverwatchID(id), err
}

// sealed is the file between commit and reveal.
type sealed struct {
	Genesis chain.Hash            `json:"genesis"`
	ID      substrate.OverwatchID `json:"overwatch_node_id"`
	Weights []sealedWeight        `json:"weights"`
}

type sealedWeight struct {
	Subnet chain.SubnetID `json:"subnet_id"`
	Weight chain.Score    `json:"weight"`
	Salt   []byte         `json:"salt"`
}

func (e *env) overwatchCommitCmd() *cobra.Command {
	var f signFlags
	var id uint32
	var file string
	c := &cobra.Command{
		Use:     "commit SUBNET=WEIGHT...",
		Short:   "Commit sealed weights of subnets; the hotkey signs",
		Long:    "Commit sealed weights of subnets, each 0% to 100%; the hotkey signs. The salts are written to --file before anything is submitted.",
		Example: "  mesh overwatch commit echo=80% 128002=0.5 --key hotkey.json --file weights.sealed",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, from *account.Account) (substrate.Call, error) {
				s := sealed{Genesis: c.Genesis(), ID: substrate.OverwatchID(id)}
				if s.ID == 0 {
					var err error
					if s.ID, err = overwatchOf(ctx, c, chain.Hash{}, from.ID()); err != nil {
						return substrate.Call{}, err
					}
				}
				commits := make([]substrate.OverwatchCommit, 0, len(args))
				for _, arg := range args {
					name, text, ok := strings.Cut(arg, "=")
					var w shareFlag
					if !ok || w.Set(text) != nil {
						return substrate.Call{}, usagef("%q: want SUBNET=WEIGHT, such as echo=80%%", arg)
					}
					subnet, err := resolveSubnet(ctx, c, chain.Hash{}, name)
					if err != nil {
						return substrate.Call{}, err
					}
					salt := make([]byte, 32)
					if _, err := rand.Read(salt); err != nil {
						return substrate.Call{}, err
					}
					s.Weights = append(s.Weights, sealedWeight{subnet, w.value, salt})
					commits = append(commits, substrate.OverwatchCommit{SubnetID: subnet, Weight: substrate.CommitHash(w.value, salt)})
				}
				if !f.dryRun {
					b, err := json.MarshalIndent(s, "", "  ")
					if err != nil {
						return substrate.Call{}, err
					}
					if err := writeNewSecret(file, string(b)+"\n", false); err != nil {
						return substrate.Call{}, err
					}
				}
				return substrate.CommitWeights(s.ID, commits), nil
			}, func(context.Context, *substrate.Client, chain.Hash, []substrate.Event) (any, string, error) {
				return map[string]any{"file": file}, "committed; reveal with `mesh overwatch reveal --file " + file + "` in the last part of the epoch", nil
			})
		},
	}
	f.register(c.Flags())
	c.Flags().Uint32Var(&id, "id", 0, "`ID` of the overwatch node; default: found by the hotkey")
	c.Flags().StringVar(&file, "file", "weights.sealed", "`file` that keeps weights and salts until they are revealed; must not exist")
	return c
}

func (e *env) overwatchRevealCmd() *cobra.Command {
	var f signFlags
	var file string
	c := &cobra.Command{
		Use:     "reveal",
		Short:   "Reveal committed weights in the last part of the same overwatch epoch; the hotkey signs",
		Example: "  mesh overwatch reveal --key hotkey.json --file weights.sealed",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				return failf("give the file that `mesh overwatch commit` wrote with --file", "file %s does not exist", file)
			}
			var s sealed
			if err == nil {
				err = json.Unmarshal(b, &s)
			}
			if err != nil {
				return failf("it must be a file that `mesh overwatch commit` wrote", "file %s: %w", file, err)
			}
			reveals := make([]substrate.OverwatchReveal, 0, len(s.Weights))
			for _, w := range s.Weights {
				reveals = append(reveals, substrate.OverwatchReveal{SubnetID: w.Subnet, Weight: w.Weight, Salt: w.Salt})
			}
			return e.submit(cmd, &f, func(_ context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				if c.Genesis() != s.Genesis {
					return substrate.Call{}, failf("give the chain that was committed to with --rpc", "file %s is of the chain with genesis %s", file, s.Genesis)
				}
				return substrate.RevealWeights(s.ID, reveals), nil
			}, func(context.Context, *substrate.Client, chain.Hash, []substrate.Event) (any, string, error) {
				return map[string]any{"revealed": len(reveals)}, fmt.Sprintf("revealed the weights of %d subnets", len(reveals)), nil
			})
		},
	}
	f.register(c.Flags())
	c.Flags().StringVar(&file, "file", "weights.sealed", "`file` that \"mesh overwatch commit\" wrote")
	return c
}

// overwatchView is the state of the overwatch epoch.
type overwatchView struct {
	Block       uint32          `json:"block"`
	Epoch       uint32          `json:"overwatch_epoch"`
	Length      uint32          `json:"epoch_blocks"`
	Phase       string          `json:"phase"`
	PhaseEnds   uint32          `json:"phase_ends_at_block"`
	Nodes       []overwatchNode `json:"nodes"`
	Commitments int             `json:"commits_this_epoch"`
}

type overwatchNode struct {
	ID      uint32          `json:"overwatch_node_id"`
	Hotkey  chain.AccountID `json:"hotkey"`
	Stake   chain.Balance   `json:"stake"`
	Commits int             `json:"commits"`
}

func (e *env) overwatchInfoCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "info",
		Short: "Show the overwatch epoch and its nodes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				v, err := overwatchInfo(ctx, c)
				if err != nil {
					return err
				}
				return e.show(f.json, v, func() string {
					var b strings.Builder
					fmt.Fprintf(&b, "overwatch epoch %d of %d blocks, block %d: %s phase, ends at block %d\n", v.Epoch, v.Length, v.Block, v.Phase, v.PhaseEnds)
					w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
					for _, n := range v.Nodes {
						fmt.Fprintf(w, "node %d\t%s\t%s\t%d commits\n", n.ID, n.Hotkey, chain.FormatTensor(n.Stake), n.Commits)
					}
					flush(w)
					if len(v.Nodes) == 0 {
						b.WriteString("no overwatch nodes\n")
					}
					return b.String()
				})
			})
		},
	}
	f.register(c.Flags())
	return c
}

func overwatchInfo(ctx context.Context, c *substrate.Client) (*overwatchView, error) {
	head, err := c.Head(ctx, chain.Hash{})
	if err != nil {
		return nil, err
	}
	params, err := c.Params(ctx)
	if err != nil {
		return nil, err
	}
	multiplier, err := substrate.Get[uint32](ctx, c, head.Hash, "Network", "OverwatchEpochLengthMultiplier")
	if err != nil {
		return nil, err
	}
	cutoff, err := substrate.Get[chain.Balance](ctx, c, head.Hash, "Network", "OverwatchCommitCutoffPercent")
	if err != nil {
		return nil, err
	}
	v := &overwatchView{Block: uint32(head.Number), Length: max(1, multiplier*params.EpochLength), Nodes: []overwatchNode{}}
	v.Epoch = v.Block / v.Length
	first := v.Epoch * v.Length
	commitEnd := first + uint32(chain.Balance{Lo: uint64(v.Length)}.MulDiv(cutoff, chain.OneTensor()).Lo)
	v.Phase, v.PhaseEnds = "commit", commitEnd
	if v.Block >= commitEnd {
		v.Phase, v.PhaseEnds = "reveal", first+v.Length
	}
	entries, err := c.Map(ctx, head.Hash, "Network", "OverwatchNodeIdHotkey")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if len(entry.Parts) != 1 || len(entry.Parts[0]) != 4 || len(entry.Value) != 20 {
			return nil, fmt.Errorf("the chain keeps overwatch nodes in another form: %w", chain.ErrNotOnThisChain)
		}
		id := binary.LittleEndian.Uint32(entry.Parts[0])
		n := overwatchNode{ID: id, Hotkey: chain.AccountID(entry.Value)}
		if n.Stake, err = substrate.Get[chain.Balance](ctx, c, head.Hash, "Network", "AccountOverwatchStake", n.Hotkey); err != nil {
			return nil, err
		}
		commits, err := c.Map(ctx, head.Hash, "Network", "OverwatchCommits", v.Epoch, n.ID)
		if err != nil {
			return nil, err
		}
		n.Commits = len(commits)
		v.Commitments += n.Commits
		v.Nodes = append(v.Nodes, n)
	}
	return v, nil
}
