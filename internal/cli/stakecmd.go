package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

func (e *env) stakeCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "stake",
		Short: "Put stake in, take it out, and delegate",
		Long: `Put stake in, take it out, and delegate. What is taken out is locked for a cooldown and then claimed. Delegators own shares of a
subnet's pool: its rewards raise what a share is worth.`,
	}
	c.AddCommand(e.stakeAddCmd(), e.stakeRemoveCmd(), e.stakeClaimCmd(), e.stakeDelegateCmd(), e.stakeUndelegateCmd(), e.stakeInfoCmd())
	return c
}

// stakeOf reads the stake of a node at a block, where the chain still lists the node.
func stakeOf(ctx context.Context, c *substrate.Client, at chain.Hash, n chain.Node) (chain.Balance, error) {
	nodes, err := c.Nodes(ctx, at, n.Subnet)
	if err != nil {
		return chain.Balance{}, err
	}
	for _, x := range nodes {
		if x.ID == n.ID {
			return x.Stake, nil
		}
	}
	return chain.Balance{}, chain.ErrNotFound
}

func (e *env) stakeAddCmd() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:     "add SUBNET NODE AMOUNT",
		Short:   "Add to the stake of a node; the coldkey signs",
		Example: "  mesh stake add echo 3 50 --key coldkey.json",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			amount, err := chain.ParseTensor(args[2])
			if err != nil {
				return usageError{err}
			}
			var n chain.Node
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				var err error
				n, err = nodeArgs(ctx, c, args[0], args[1])
				return substrate.AddStake(n.Subnet, n.ID, n.Hotkey, amount), err
			}, func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
				after, err := stakeOf(ctx, c, at, n)
				return map[string]any{"stake_before": n.Stake, "stake_after": after}, fmt.Sprintf("node %d has %s", n.ID, chain.FormatTensor(after)), err
			})
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) stakeRemoveCmd() *cobra.Command {
	var f signFlags
	var hotkey string
	c := &cobra.Command{
		Use:   "remove SUBNET NODE AMOUNT",
		Short: "Take stake out of a node; claim it after the cooldown",
		Long: `Take stake out of a node; claim it after the cooldown. An active node keeps at least the subnet's minimum. For a node that was removed
from the chain give the hotkey it had with --hotkey.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			amount, err := chain.ParseTensor(args[2])
			if err != nil {
				return usageError{err}
			}
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				if hotkey != "" {
					h, err := resolveAccount(hotkey)
					if err != nil {
						return substrate.Call{}, err
					}
					id, err := resolveSubnet(ctx, c, chain.Hash{}, args[0])
					if err != nil {
						return substrate.Call{}, err
					}
					var node uint32
					if _, err := fmt.Sscan(args[1], &node); err != nil {
						return substrate.Call{}, usagef("NODE %q: want the ID that the node had", args[1])
					}
					return substrate.RemoveStake(id, chain.NodeID(node), h, amount), nil
				}
				n, err := nodeArgs(ctx, c, args[0], args[1])
				return substrate.RemoveStake(n.Subnet, n.ID, n.Hotkey, amount), err
			}, e.proveUnbonding(&f))
		},
	}
	f.register(c.Flags())
	c.Flags().StringVar(&hotkey, "hotkey", "", "`account` that the removed node signed with")
	return c
}

// unbonding is an amount that waits to be claimed.
type unbonding struct {
	Block  uint32        `json:"claim_block"`
	Amount chain.Balance `json:"amount"`
}

func unbondings(ctx context.Context, c *substrate.Client, at chain.Hash, who chain.AccountID) ([]unbonding, error) {
	ledger, err := substrate.Get[map[uint32]u128.U128](ctx, c, at, "Network", "StakeUnbondingLedger", who)
	if err != nil && !errors.Is(err, chain.ErrNotFound) {
		return nil, err
	}
	out := make([]unbonding, 0, len(ledger))
	for block, amount := range ledger {
		out = append(out, unbonding{block, amount})
	}
	slices.SortFunc(out, func(a, b unbonding) int { return int(int64(a.Block) - int64(b.Block)) })
	return out, nil
}

func (e *env) proveUnbonding(f *signFlags) proof {
	return func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
		signer, err := f.signer(e)
		if err != nil {
			return nil, "", err
		}
		ledger, err := unbondings(ctx, c, at, signer.ID())
		if err != nil || len(ledger) == 0 {
			return nil, "", errors.Join(err, errors.New("the chain has nothing to claim for this account"))
		}
		last := ledger[len(ledger)-1]
		return map[string]any{"unbonding": ledger}, fmt.Sprintf("%s can be claimed from block %d on, with `mesh stake claim`", chain.FormatTensor(last.Amount), last.Block), nil
	}
}

func (e *env) stakeClaimCmd() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:   "claim",
		Short: "Claim everything whose cooldown is over",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var before []unbonding
			var who chain.AccountID
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, from *account.Account) (substrate.Call, error) {
				var err error
				who = from.ID()
				before, err = unbondings(ctx, c, chain.Hash{}, who)
				return substrate.ClaimUnbondings(), err
			}, func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
				after, err := unbondings(ctx, c, at, who)
				if err != nil {
					return nil, "", err
				}
				sum := func(l []unbonding) (s chain.Balance) {
					for _, u := range l {
						s = s.SatAdd(u.Amount)
					}
					return s
				}
				claimed := sum(before).SatSub(sum(after))
				return map[string]any{"claimed": claimed, "unbonding": after}, "claimed " + chain.FormatTensor(claimed), nil
			})
		},
	}
	f.register(c.Flags())
	return c
}

// shares reads what an account has of a subnet's pool.
func shares(ctx context.Context, c *substrate.Client, at chain.Hash, who chain.AccountID, id chain.SubnetID) (own, worth chain.Balance, err error) {
	if own, err = substrate.Get[u128.U128](ctx, c, at, "Network", "AccountSubnetDelegateStakeShares", who, id); err != nil {
		return own, worth, err
	}
	total, err := substrate.Get[u128.U128](ctx, c, at, "Network", "TotalSubnetDelegateStakeShares", id)
	if err != nil {
		return own, worth, err
	}
	pool, err := substrate.Get[u128.U128](ctx, c, at, "Network", "TotalSubnetDelegateStakeBalance", id)
	if err != nil {
		return own, worth, err
	}
	if total.IsZero() {
		return own, own, nil
	}
	// The chain prices a share with one planck and ten shares added, so that nobody can distort an empty pool.
	return own, own.MulDiv(pool.SatAdd(u128.From64(1)), total.SatAdd(u128.From64(10))), nil
}

func proveShares(id *chain.SubnetID, who *chain.AccountID) proof {
	return func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
		own, worth, err := shares(ctx, c, at, *who, *id)
		return map[string]any{"shares": own, "balance": worth}, fmt.Sprintf("%s shares of subnet %d's pool, worth %s", own, *id, chain.FormatTensor(worth)), err
	}
}

func (e *env) stakeDelegateCmd() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:     "delegate SUBNET AMOUNT",
		Short:   "Give TENSOR to a subnet's pool in exchange for shares",
		Example: "  mesh stake delegate echo 1000 --key owner.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			amount, err := chain.ParseTensor(args[1])
			if err != nil {
				return usageError{err}
			}
			var id chain.SubnetID
			var who chain.AccountID
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, from *account.Account) (substrate.Call, error) {
				var err error
				who = from.ID()
				id, err = resolveSubnet(ctx, c, chain.Hash{}, args[0])
				return substrate.AddDelegateStake(id, amount), err
			}, proveShares(&id, &who))
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) stakeUndelegateCmd() *cobra.Command {
	var f signFlags
	var rawShares string
	c := &cobra.Command{
		Use:   "undelegate SUBNET [AMOUNT]",
		Short: "Take TENSOR back out of a subnet's pool; claim it after the cooldown",
		Long: `Take TENSOR back out of a subnet's pool; claim it after the cooldown. AMOUNT is in TENSOR, or all. The shares that are worth it now are
given back; --shares names a number of shares instead, as "mesh stake info" shows it.`,
		Example: "  mesh stake undelegate echo 250 --key owner.json\n  mesh stake undelegate echo all --key owner.json",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 2) == (rawShares != "") {
				return usagef("how much? Give either AMOUNT in TENSOR, or all, or --shares")
			}
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, from *account.Account) (substrate.Call, error) {
				id, err := resolveSubnet(ctx, c, chain.Hash{}, args[0])
				if err != nil {
					return substrate.Call{}, err
				}
				own, worth, err := shares(ctx, c, chain.Hash{}, from.ID(), id)
				if err != nil {
					return substrate.Call{}, err
				}
				back, err := sharesToGive(rawShares, args[1:], own, worth)
				if err != nil {
					return substrate.Call{}, err
				}
				if own.Less(back) || back.IsZero() {
					return substrate.Call{}, failf("`mesh stake info "+from.ID().String()+"` shows it", "account %s has %s shares of subnet %d, worth %s", from.ID(), own, id, chain.FormatTensor(worth))
				}
				return substrate.RemoveDelegateStake(id, back), nil
			}, e.proveUnbonding(&f))
		},
	}
	f.register(c.Flags())
	c.Flags().StringVar(&rawShares, "shares", "", "`number` of shares to give back, instead of an amount")
	return c
}

// sharesToGive is the number of shares that a person means: a number of them, all, or those that an amount is worth.
func sharesToGive(number string, amount []string, own, worth chain.Balance) (chain.Balance, error) {
	if number != "" {
		n, err := u128.Parse(number)
		if err != nil {
			return n, usagef("--shares %q: want a whole number", number)
		}
		return n, nil
	}
	if amount[0] == "all" {
		return own, nil
	}
	want, err := chain.ParseTensor(amount[0])
	if err != nil {
		return want, usagef("AMOUNT %q: want TENSOR, such as 2.5, or all", amount[0])
	}
	if worth.Less(want) {
		return want, failf("give all to take everything out", "the shares are worth %s, less than %s", chain.FormatTensor(worth), chain.FormatTensor(want))
	}
	return want.MulDiv(own, worth), nil
}

func (e *env) stakeInfoCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "info ACCOUNT",
		Short: "Show what an account has at stake: its nodes, shares, and what it can claim",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			who, err := resolveAccount(args[0])
			if err != nil {
				return err
			}
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				v, err := stakeInfo(ctx, c, who)
				if err != nil {
					return err
				}
				return e.show(f.json, v, v.text)
			})
		},
	}
	f.register(c.Flags())
	return c
}

// stakeView is what an account has at stake.
type stakeView struct {
	Account   chain.AccountID `json:"account"`
	Free      chain.Balance   `json:"free"`
	Nodes     []nodeView      `json:"nodes"`
	Delegated []delegation    `json:"delegated"`
	Unbonding []unbonding     `json:"unbonding"`
	Head      uint32          `json:"block"`
}

type delegation struct {
	Subnet  chain.SubnetID `json:"subnet_id"`
	Shares  chain.Balance  `json:"shares"`
	Balance chain.Balance  `json:"balance"`
}

func stakeInfo(ctx context.Context, c *substrate.Client, who chain.AccountID) (*stakeView, error) {
	head, err := c.Head(ctx, chain.Hash{})
	if err != nil {
		return nil, err
	}
	at := head.Hash
	info, err := c.AccountInfo(ctx, at, who)
	if err != nil {
		return nil, err
	}
	v := &stakeView{Account: who, Free: info.Free, Nodes: []nodeView{}, Delegated: []delegation{}, Head: uint32(head.Number)}
	ids, err := c.Subnets(ctx, at)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		nodes, err := c.Nodes(ctx, at, id)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			if n.Coldkey == who || n.Hotkey == who {
				v.Nodes = append(v.Nodes, showNode(n))
			}
		}
		own, worth, err := shares(ctx, c, at, who, id)
		if err != nil {
			return nil, err
		}
		if !own.IsZero() {
			v.Delegated = append(v.Delegated, delegation{id, own, worth})
		}
	}
	v.Unbonding, err = unbondings(ctx, c, at, who)
	return v, err
}

func (v *stakeView) text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "account\t%s\n", v.Account)
	fmt.Fprintf(w, "free\t%s\n", chain.FormatTensor(v.Free))
	for _, n := range v.Nodes {
		fmt.Fprintf(w, "node %d of subnet %d\t%s, %s\n", n.ID, n.Subnet, chain.FormatTensor(n.Stake), n.Class)
	}
	for _, d := range v.Delegated {
		fmt.Fprintf(w, "pool of subnet %d\t%s shares, worth %s\n", d.Subnet, d.Shares, chain.FormatTensor(d.Balance))
	}
	for _, u := range v.Unbonding {
		when := fmt.Sprintf("from block %d on (now %d)", u.Block, v.Head)
		if u.Block <= v.Head {
			when = "now, with `mesh stake claim`"
		}
		fmt.Fprintf(w, "to be claimed\t%s, %s\n", chain.FormatTensor(u.Amount), when)
	}
	flush(w)
	return b.String()
}
