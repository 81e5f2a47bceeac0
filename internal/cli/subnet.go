package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

func (e *env) subnetCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "subnet",
		Short: "Register, run and look at subnets",
		Long: `Register, run and look at subnets. A subnet is registered, gathers at least three nodes, and is activated by its owner; from the next
epoch on it elects, settles and earns. SUBNET is an ID, a friendly ID or a name.`,
	}
	owner := func(use, short string, call func(chain.SubnetID) substrate.Call, prove func(chain.SubnetID) proof) *cobra.Command {
		var f signFlags
		c := &cobra.Command{Use: use + " SUBNET", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			var id chain.SubnetID
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				var err error
				id, err = resolveSubnet(ctx, c, chain.Hash{}, args[0])
				return call(id), err
			}, func(ctx context.Context, c *substrate.Client, at chain.Hash, events []substrate.Event) (any, string, error) {
				return prove(id)(ctx, c, at, events)
			})
		}}
		f.register(c.Flags())
		return c
	}
	c.AddCommand(
		e.subnetRegisterCmd(),
		owner("activate", "Activate a registered subnet", substrate.ActivateSubnet, proveActivated),
		owner("pause", "Stop a subnet", substrate.PauseSubnet, proveState(chain.SubnetPaused)),
		owner("unpause", "Let a paused subnet go on from the next epoch", substrate.UnpauseSubnet, proveState(chain.SubnetActive)),
		owner("deactivate", "Remove a subnet for good", substrate.DeactivateSubnet, func(chain.SubnetID) proof {
			return expect("Network", "SubnetDeactivated", func(ev substrate.Event) string { return fmt.Sprintf("subnet %v is removed", ev.Field("subnet_id", 0)) })
		}),
		e.subnetUpdateCmd(), e.subnetBootnodesCmd(), e.subnetInfoCmd(), e.subnetListCmd(),
	)
	return c
}

// proveActivated tells an activation from a removal, which the chain answers with success as well.
func proveActivated(id chain.SubnetID) proof {
	return func(_ context.Context, _ *substrate.Client, _ chain.Hash, events []substrate.Event) (any, string, error) {
		for _, ev := range events {
			switch {
			case ev.Pallet != "Network":
			case ev.Name == "SubnetActivated":
				return ev.Fields, fmt.Sprintf("subnet %d is active from the next epoch on", id), nil
			case ev.Name == "SubnetDeactivated":
				reason, err := json.Marshal(ev.Field("reason", 1))
				if err != nil {
					return nil, "", err
				}
				return nil, "", failf("register a new one, and activate it before its registration period ends",
					"subnet %d was not ready at the end of its registration and is removed by the chain: reason %s", id, reason)
			}
		}
		return nil, "", failf("look at its events with --json", "the chain did not report an activation")
	}
}

// proveState reads the subnet at the block of the transaction.
func proveState(want chain.SubnetState) func(chain.SubnetID) proof {
	return func(id chain.SubnetID) proof {
		return func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
			s, err := c.Subnet(ctx, at, id)
			if err != nil {
				return nil, "", err
			}
			if s.State != want {
				return nil, "", failf("look at `mesh subnet info`", "the call succeeded, but subnet %d is %s", id, s.State)
			}
			return showSubnet(s), fmt.Sprintf("subnet %d is %s", id, s.State), nil
		}
	}
}

// bootnodeMap turns multiaddrs with /p2p into what the chain wants.
func bootnodeMap(texts []string) (map[string][]byte, error) {
	out := make(map[string][]byte, len(texts))
	for _, t := range texts {
		m, err := multiaddr.NewMultiaddr(t)
		if err != nil {
			return nil, usagef("bootnode %q: %w", t, err)
		}
		infos, err := p2p.ParsePeers([]string{t})
		if err != nil {
			return nil, usagef("bootnode %q: %w", t, err)
		}
		out[infos[0].ID.String()] = m.Bytes()
	}
	return out, nil
}

func (e *env) subnetRegisterCmd() *cobra.Command {
	var f signFlags
	var r substrate.SubnetRegistration
	var maxCost, minStake, maxStake amountFlag
	var share shareFlag
	var coldkeys, bootnodes []string
	for flag, text := range map[*amountFlag]string{&maxCost: "100", &minStake: "100", &maxStake: "1000"} {
		if err := flag.Set(text); err != nil {
			panic(err) // constants
		}
	}
	if err := share.Set("10%"); err != nil {
		panic(err) // a constant
	}
	c := &cobra.Command{
		Use:   "register",
		Short: "Register a subnet",
		Long: `Register a subnet. Until it is activated only the accounts given by --initial-coldkey may register nodes in it, each as many as it says.
The price rises with each registration and falls with time; --max-cost is the most that you are ready to pay.`,
		Example: `  mesh subnet register --key owner.json --name echo --repo https://example.org/echo --bootnodes /ip4/203.0.113.5/tcp/31330/p2p/12D3KooW... \
    --initial-coldkey 0xf24ff3a9cf04c71dbc94d0b566f7a27b94566cac=2 --initial-coldkey 0x3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0=1 ...`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if r.Name == "" {
				return usagef("--name is missing: what is the subnet called?")
			}
			if r.Bootnodes, err = bootnodeMap(bootnodes); err != nil {
				return err
			}
			if len(r.Bootnodes) == 0 {
				return usagef("--bootnodes is missing: by which peer do nodes join?")
			}
			if r.InitialColdkeys, err = coldkeyCounts(coldkeys); err != nil {
				return err
			}
			r.MinStake, r.MaxStake, r.DelegateStakePercentage = minStake.value, maxStake.value, share.value
			return e.submit(cmd, &f, fixed(substrate.RegisterSubnet(maxCost.value, r)), proveRegistered)
		},
	}
	f.register(c.Flags())
	fl := c.Flags()
	fl.StringVar(&r.Name, "name", "", "name, unique on the chain (required)")
	fl.StringVar(&r.Repo, "repo", "", "`URL` of the code, unique on the chain")
	fl.StringVar(&r.Description, "description", "", "what it is for")
	fl.StringVar(&r.Misc, "misc", "", "anything else")
	fl.Var(&maxCost, "max-cost", "the most to pay")
	fl.Var(&minStake, "min-stake", "the least stake of a node")
	fl.Var(&maxStake, "max-stake", "the most stake of a node")
	fl.Var(&share, "delegate-stake-percentage", "share of the rewards for those who delegate, 5% to 95%")
	fl.StringSliceVar(&coldkeys, "initial-coldkey", nil, "`ACCOUNT=COUNT` that may register so many nodes before activation; at least three accounts")
	fl.StringSliceVar(&bootnodes, "bootnodes", nil, "`multiaddr` with /p2p/.. of an entry point; may be repeated (required)")
	return c
}

// proveRegistered names the new subnet.
func proveRegistered(ctx context.Context, c *substrate.Client, at chain.Hash, events []substrate.Event) (any, string, error) {
	return expect("Network", "SubnetRegistered", func(ev substrate.Event) string {
		return fmt.Sprintf("registered subnet %v", ev.Field("subnet_id", 2))
	})(ctx, c, at, events)
}

// coldkeyCounts reads ACCOUNT=COUNT.
func coldkeyCounts(texts []string) (map[chain.AccountID]uint32, error) {
	out := make(map[chain.AccountID]uint32, len(texts))
	for _, text := range texts {
		who, count, counted := strings.Cut(text, "=")
		n := uint64(1)
		if counted {
			var err error
			if n, err = strconv.ParseUint(count, 10, 32); err != nil || n == 0 {
				return nil, usagef("--initial-coldkey %q: want ACCOUNT=COUNT", text)
			}
		}
		id, err := resolveAccount(who)
		if err != nil {
			return nil, err
		}
		out[id] += uint32(n)
	}
	return out, nil
}

func (e *env) subnetUpdateCmd() *cobra.Command {
	var f signFlags
	texts := map[string]substrate.SubnetText{
		"name": substrate.SubnetName, "repo": substrate.SubnetRepo, "description": substrate.SubnetDescription, "misc": substrate.SubnetMisc,
	}
	numbers := map[string]substrate.SubnetNumber{
		"churn-limit": substrate.ChurnLimit, "churn-limit-multiplier": substrate.ChurnLimitMultiplier,
		"queue-epochs": substrate.RegistrationQueueEpochs, "idle-epochs": substrate.IdleClassificationEpochs,
		"included-epochs": substrate.IncludedClassificationEpochs, "max-registered-nodes": substrate.MaxRegisteredNodes,
		"target-registrations": substrate.TargetNodeRegistrations, "queue-immunity-epochs": substrate.QueueImmunityEpochs,
	}
	shares := map[string]substrate.SubnetShare{
		"delegate-stake-percentage": substrate.DelegateStakePercentage, "burn-rate-alpha": substrate.NodeBurnRateAlpha,
		"min-node-reputation": substrate.MinNodeReputation, "min-weight-threshold": substrate.MinWeightThreshold,
		"absent-decrease": substrate.AbsentDecrease, "included-increase": substrate.IncludedIncrease,
		"below-min-weight-decrease": substrate.BelowMinWeightDecrease, "non-attestor-decrease": substrate.NonAttestorDecrease,
		"non-consensus-attestor-decrease": substrate.NonConsensusAttestorDecrease, "validator-absent-decrease": substrate.ValidatorAbsentDecrease,
		"validator-non-consensus-decrease": substrate.ValidatorNonConsensusDecrease,
	}
	all := slices.Sorted(maps.Keys(texts))
	all = append(all, slices.Sorted(maps.Keys(numbers))...)
	all = append(all, slices.Sorted(maps.Keys(shares))...)
	build := func(id chain.SubnetID, what, value string) (substrate.Call, error) {
		if t, ok := texts[what]; ok {
			return substrate.UpdateSubnetText(id, t, value), nil
		}
		if n, ok := numbers[what]; ok {
			v, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return substrate.Call{}, usagef("%s %q: want a whole number", what, value)
			}
			return substrate.UpdateSubnetNumber(id, n, uint32(v)), nil
		}
		if s, ok := shares[what]; ok {
			var v shareFlag
			if err := v.Set(value); err != nil {
				return substrate.Call{}, usageError{err}
			}
			return substrate.UpdateSubnetShare(id, s, v.value), nil
		}
		switch what {
		case "stake-range":
			least, most, _ := strings.Cut(value, "..")
			low, err := chain.ParseTensor(least)
			if err != nil {
				return substrate.Call{}, usagef("stake-range %q: want LEAST..MOST, such as 100..1000", value)
			}
			high, err := chain.ParseTensor(most)
			if err != nil {
				return substrate.Call{}, usagef("stake-range %q: want LEAST..MOST, such as 100..1000", value)
			}
			return substrate.UpdateStakeRange(id, low, high), nil
		case "owner":
			to, err := resolveAccount(value)
			return substrate.TransferSubnetOwnership(id, to), err
		case "accept-owner":
			return substrate.AcceptSubnetOwnership(id), nil
		}
		return substrate.Call{}, usagef("unknown setting %q: want one of %s, stake-range, owner, accept-owner", what, strings.Join(all, ", "))
	}
	c := &cobra.Command{
		Use:   "update SUBNET SETTING VALUE",
		Short: "Change a setting of a subnet",
		Long: "Change a setting of a subnet; the owner signs. Settings:\n\n  " + strings.Join(all, "\n  ") +
			"\n  stake-range (LEAST..MOST TENSOR)\n  owner (offer the subnet to an account)\n  accept-owner (VALUE is yes; signed by that account)",
		Example:   "  mesh subnet update echo delegate-stake-percentage 12% --key owner.json",
		Args:      cobra.ExactArgs(3),
		ValidArgs: all,
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				id, err := resolveSubnet(ctx, c, chain.Hash{}, args[0])
				if err != nil {
					return substrate.Call{}, err
				}
				return build(id, args[1], args[2])
			}, nil)
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) subnetBootnodesCmd() *cobra.Command {
	var f signFlags
	var add, remove []string
	c := &cobra.Command{
		Use:     "bootnodes SUBNET",
		Short:   "Show or change the official entry points of a subnet",
		Example: "  mesh subnet bootnodes echo\n  mesh subnet bootnodes echo --add /ip4/203.0.113.5/tcp/31330/p2p/12D3KooW... --key owner.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(add)+len(remove) > 0 {
				adding, err := bootnodeMap(add)
				if err != nil {
					return err
				}
				return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
					id, err := resolveSubnet(ctx, c, chain.Hash{}, args[0])
					return substrate.UpdateBootnodes(id, adding, remove), err
				}, nil)
			}
			return f.withSubnet(cmd, args[0], func(ctx context.Context, c *substrate.Client, at chain.Hash, id chain.SubnetID) error {
				s, err := c.Subnet(ctx, at, id)
				if err != nil {
					return err
				}
				out := showSubnet(s).Bootnodes
				return e.show(f.json, out, func() string { return strings.Join(out, "\n") })
			})
		},
	}
	f.register(c.Flags())
	c.Flags().StringSliceVar(&add, "add", nil, "`multiaddr` with /p2p/.. to add; may be repeated")
	c.Flags().StringSliceVar(&remove, "remove", nil, "`peer ID` to remove; may be repeated")
	return c
}

// subnetView is a subnet as it is shown.
type subnetView struct {
	ID         chain.SubnetID  `json:"id"`
	FriendlyID uint32          `json:"friendly_id,omitempty"`
	Name       string          `json:"name"`
	State      string          `json:"state"`
	Slot       uint32          `json:"slot,omitempty"`
	StartEpoch *uint32         `json:"start_epoch,omitempty"` // general epoch; absent while not active
	Owner      chain.AccountID `json:"owner"`
	MinStake   chain.Balance   `json:"min_stake"`
	MaxStake   chain.Balance   `json:"max_stake"`
	Bootnodes  []string        `json:"bootnodes"`
	Nodes      *int            `json:"nodes,omitempty"`
}

func showSubnet(s chain.Subnet) subnetView {
	v := subnetView{
		ID: s.ID, FriendlyID: s.FriendlyID, Name: s.Name, State: s.State.String(), Slot: uint32(s.Slot), Owner: s.Owner,
		MinStake: s.MinStake, MaxStake: s.MaxStake, Bootnodes: make([]string, 0, len(s.Bootnodes)),
	}
	if s.State != chain.SubnetRegistered {
		start := uint32(s.StartEpoch)
		v.StartEpoch = &start
	}
	for _, b := range s.Bootnodes {
		v.Bootnodes = append(v.Bootnodes, showPeer(b))
	}
	return v
}

// showPeer is a peer's address, or its ID where the chain has none that can be read.
func showPeer(p chain.PeerAddr) string {
	if m, err := multiaddr.NewMultiaddrBytes(p.Multiaddr); err == nil && len(p.Multiaddr) > 0 {
		return m.String()
	}
	return p.PeerID
}

func (e *env) subnetInfoCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "info SUBNET",
		Short: "Show a subnet",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withSubnet(cmd, args[0], func(ctx context.Context, c *substrate.Client, at chain.Hash, id chain.SubnetID) error {
				s, err := c.Subnet(ctx, at, id)
				if err != nil {
					return err
				}
				nodes, err := c.Nodes(ctx, at, id)
				if err != nil {
					return err
				}
				v, n := showSubnet(s), len(nodes)
				v.Nodes = &n
				total := u128.Zero()
				for _, node := range nodes {
					total = total.SatAdd(node.Stake)
				}
				return e.show(f.json, v, func() string {
					var b strings.Builder
					w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
					fmt.Fprintf(w, "subnet\t%d %s\n", v.ID, v.Name)
					if v.FriendlyID != 0 {
						fmt.Fprintf(w, "friendly ID\t%d\n", v.FriendlyID)
					}
					fmt.Fprintf(w, "state\t%s\n", v.State)
					if v.StartEpoch != nil {
						fmt.Fprintf(w, "since epoch\t%d\n", *v.StartEpoch)
					}
					fmt.Fprintf(w, "slot\t%d\n", v.Slot)
					fmt.Fprintf(w, "owner\t%s\n", v.Owner)
					fmt.Fprintf(w, "stake of a node\t%s to %s\n", chain.FormatTensor(v.MinStake), chain.FormatTensor(v.MaxStake))
					fmt.Fprintf(w, "nodes\t%d with %s\n", n, chain.FormatTensor(total))
					for i, boot := range v.Bootnodes {
						fmt.Fprintf(w, "%s\t%s\n", map[bool]string{true: "bootnodes"}[i == 0], boot)
					}
					flush(w)
					return b.String()
				})
			})
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) subnetListCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List the subnets of the chain",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd, func(ctx context.Context, c *substrate.Client) error {
				at, err := c.At(ctx, chain.Hash{})
				if err != nil {
					return err
				}
				ids, err := c.Subnets(ctx, at)
				if err != nil {
					return err
				}
				views := make([]subnetView, 0, len(ids))
				for _, id := range ids {
					s, err := c.Subnet(ctx, at, id)
					if err != nil {
						return err
					}
					views = append(views, showSubnet(s))
				}
				return e.show(f.json, views, func() string {
					if len(views) == 0 {
						return "no subnets"
					}
					var b strings.Builder
					w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
					fmt.Fprintln(w, "ID\tFRIENDLY\tSLOT\tSTATE\tNAME\tOWNER")
					for _, v := range views {
						fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%s\n", v.ID, v.FriendlyID, v.Slot, v.State, v.Name, v.Owner)
					}
					flush(w)
					return b.String()
				})
			})
		},
	}
	f.register(c.Flags())
	return c
}

// flush ends a table that is written to memory, which cannot fail.
func flush(w *tabwriter.Writer) {
	if err := w.Flush(); err != nil {
		panic(err)
	}
}
