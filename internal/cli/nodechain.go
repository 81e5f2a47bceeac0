package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// parsePeer reads a peer as people give it: a multiaddr with /p2p, a peer ID, or a peer key file.
func parsePeer(text string) (chain.PeerAddr, error) {
	if strings.HasPrefix(text, "/") {
		if m, err := multiaddr.NewMultiaddr(text); err == nil {
			info, err := peer.AddrInfoFromP2pAddr(m)
			if err != nil {
				return chain.PeerAddr{}, usagef("peer %q: %w", text, err)
			}
			return chain.PeerAddr{PeerID: info.ID.String(), Multiaddr: m.Bytes()}, nil
		}
	}
	if id, err := peer.Decode(text); err == nil {
		return chain.PeerAddr{PeerID: id.String()}, nil
	}
	key, err := identity.Load(text)
	if err != nil {
		return chain.PeerAddr{}, usagef("peer %q is no multiaddr with /p2p/.., no peer ID, and no peer key file", text)
	}
	id, err := identity.PeerID(key)
	return chain.PeerAddr{PeerID: id.String()}, err
}

func optionalPeer(text string) (*chain.PeerAddr, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no such peer
	}
	p, err := parsePeer(text)
	return &p, err
}

// nodeForm is what `node register` needs to know.
type nodeForm struct {
	subnet, hotkey                            string
	peer, bootnode, client, unique, nonUnique string
	stake, maxBurn                            amountFlag
	rewardRate                                shareFlag
}

// registration reads the form. The subnet is still to be filled in.
func (n *nodeForm) registration() (r substrate.NodeRegistration, err error) {
	switch {
	case n.peer == "":
		return r, usagef("--peer is missing: by which peer does the node take part?")
	case n.hotkey == "":
		return r, usagef("--hotkey is missing: which account signs for the node?")
	case !n.stake.set:
		return r, usagef("--stake is missing: how much TENSOR does the node put in?")
	}
	if r.Hotkey, err = resolveAccount(n.hotkey); err != nil {
		return r, err
	}
	if r.Peer, err = parsePeer(n.peer); err != nil {
		return r, err
	}
	if r.Bootnode, err = optionalPeer(n.bootnode); err != nil {
		return r, err
	}
	if r.Client, err = optionalPeer(n.client); err != nil {
		return r, err
	}
	r.Stake, r.MaxBurn, r.DelegateRewardRate = n.stake.value, n.maxBurn.value, n.rewardRate.value
	if n.unique != "" {
		r.Unique = []byte(n.unique)
	}
	if n.nonUnique != "" {
		r.NonUnique = []byte(n.nonUnique)
	}
	return r, nil
}

// checkPeers refuses what the chain would refuse for a fee: G1 wants three peers of every node, and no two of them the same.
func (n *nodeForm) checkPeers(g substrate.Generation) error {
	if g == substrate.G1 && (n.bootnode == "" || n.client == "") {
		return usagef("this chain, of generation G1, wants three different peers of a node: give --bootnode-peer and --client-peer as well")
	}
	return nil
}

// registerNode submits a registration and proves it by the node that the chain then has.
func (e *env) registerNode(cmd *cobra.Command, f *signFlags, n *nodeForm) error {
	r, err := n.registration()
	if err != nil {
		return err
	}
	return e.submit(cmd, f, func(ctx context.Context, c *substrate.Client, from *account.Account) (substrate.Call, error) {
		id, err := resolveSubnet(ctx, c, chain.Hash{}, n.subnet)
		if err != nil {
			return substrate.Call{}, err
		}
		r.Subnet = id
		if from.ID() == r.Hotkey {
			return substrate.Call{}, usagef("--hotkey and --key are the same account: the chain wants a coldkey that owns and a hotkey that signs")
		}
		if err := n.checkPeers(c.Generation()); err != nil {
			return substrate.Call{}, err
		}
		return substrate.RegisterSubnetNode(r), nil
	}, func(ctx context.Context, c *substrate.Client, at chain.Hash, _ []substrate.Event) (any, string, error) {
		id, err := c.NodeByPeer(ctx, at, r.Subnet, r.Peer.PeerID)
		if err != nil {
			return nil, "", fmt.Errorf("the call succeeded, but the chain does not know the node: %w", err)
		}
		nodes, err := c.Nodes(ctx, at, r.Subnet)
		if err != nil {
			return nil, "", err
		}
		for _, node := range nodes {
			if node.ID == id {
				v := showNode(node)
				text := fmt.Sprintf("registered node %d of subnet %d as %s with %s", id, r.Subnet, v.Class, chain.FormatTensor(node.Stake))
				if node.Class == chain.ClassRegistered {
					text += "; it is in the queue"
				}
				return v, text, nil
			}
		}
		return nil, "", fmt.Errorf("the chain knows peer %s as node %d, but has no such node", r.Peer.PeerID, id)
	})
}

func (e *env) nodeRegisterCmd() *cobra.Command {
	var f signFlags
	n := &nodeForm{}
	c := &cobra.Command{
		Use:   "register SUBNET",
		Short: "Register a node in a subnet, with stake",
		Long: `Register a node in a subnet, with stake; the coldkey signs (--key). While the subnet is registered the node is a validator at once;
in a running subnet it waits in the queue, and is promoted epoch by epoch. There is no separate activation.

A peer is given as multiaddr with /p2p/.., as peer ID, or by its key file.`,
		Example: "  mesh node register echo --key coldkey.json --hotkey hotkey.json --peer node.key --stake 100",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.subnet = args[0]
			return e.registerNode(cmd, &f, n)
		},
	}
	f.register(c.Flags())
	n.register(c)
	return c
}

func (n *nodeForm) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&n.hotkey, "hotkey", "", "`account` that proposes and attests: address or key file (required)")
	fl.StringVar(&n.peer, "peer", "", "`peer` of the node (required)")
	fl.StringVar(&n.bootnode, "bootnode-peer", "", "`peer` of the operator's bootnode")
	fl.StringVar(&n.client, "client-peer", "", "`peer` of the operator's client")
	fl.Var(&n.stake, "stake", "what the node puts in (required)")
	if err := n.maxBurn.Set("1"); err != nil {
		panic(err) // a constant
	}
	fl.Var(&n.maxBurn, "max-burn", "the most that the registration may burn")
	fl.Var(&n.rewardRate, "delegate-reward-rate", "share of the rewards for those who delegate to the node")
	fl.StringVar(&n.unique, "unique", "", "parameter that no other node of the subnet may have")
	fl.StringVar(&n.nonUnique, "non-unique", "", "any parameter")
}

// nodeArgs resolves SUBNET NODE at the best block.
func nodeArgs(ctx context.Context, c *substrate.Client, subnet, node string) (chain.Node, error) {
	id, err := resolveSubnet(ctx, c, chain.Hash{}, subnet)
	if err != nil {
		return chain.Node{}, err
	}
	return findNode(ctx, c, chain.Hash{}, id, node)
}

// findNode finds a node of a subnet by its ID or its peer ID.
func findNode(ctx context.Context, c *substrate.Client, at chain.Hash, id chain.SubnetID, node string) (chain.Node, error) {
	nodes, err := c.Nodes(ctx, at, id)
	if err != nil {
		return chain.Node{}, err
	}
	n, numeric := strconv.ParseUint(node, 10, 32)
	for _, x := range nodes {
		if numeric == nil && x.ID == chain.NodeID(n) || x.Peer.PeerID == node {
			return x, nil
		}
	}
	return chain.Node{}, failf(fmt.Sprintf("`mesh node list %d` shows those that exist", id), "no node %q in subnet %d", node, id)
}

func (e *env) nodeRemoveCmd() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:   "remove SUBNET NODE",
		Short: "Remove a node from its subnet; its stake stays and can be taken out",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				n, err := nodeArgs(ctx, c, args[0], args[1])
				return substrate.RemoveSubnetNode(n.Subnet, n.ID), err
			}, expect("Network", "SubnetNodeRemoved", func(ev substrate.Event) string {
				return fmt.Sprintf("node %v is removed; take its stake out with `mesh stake remove`", ev.Field("subnet_node_id", 1))
			}))
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) nodeUpdateCmd() *cobra.Command {
	var f signFlags
	var peerText, bootnode, client, unique, nonUnique, hotkey, delegate string
	var rate, delegateRate shareFlag
	c := &cobra.Command{
		Use:     "update SUBNET NODE",
		Short:   "Change a node: peer, hotkey, parameters, reward rate",
		Long:    `Change a node; the coldkey signs. Several changes are made in one transaction, all or none. The value "none" removes what is optional.`,
		Example: "  mesh node update echo 3 --peer /ip4/203.0.113.9/tcp/31330/p2p/12D3KooW... --key coldkey.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.submit(cmd, &f, func(ctx context.Context, c *substrate.Client, _ *account.Account) (substrate.Call, error) {
				n, err := nodeArgs(ctx, c, args[0], args[1])
				if err != nil {
					return substrate.Call{}, err
				}
				var calls []substrate.Call
				given := cmd.Flags().Changed
				if given("peer") {
					p, err := parsePeer(peerText)
					if err != nil {
						return substrate.Call{}, err
					}
					calls = append(calls, substrate.UpdateNodePeer(n.Subnet, n.ID, p))
				}
				for _, x := range []struct {
					flag, text string
					call       func(chain.SubnetID, chain.NodeID, *chain.PeerAddr) substrate.Call
				}{{"bootnode-peer", bootnode, substrate.UpdateNodeBootnode}, {"client-peer", client, substrate.UpdateNodeClient}} {
					if given(x.flag) {
						p, err := optionalPeer(strings.TrimPrefix(x.text, "none"))
						if err != nil {
							return substrate.Call{}, err
						}
						calls = append(calls, x.call(n.Subnet, n.ID, p))
					}
				}
				for _, x := range []struct {
					flag, text string
					call       func(chain.SubnetID, chain.NodeID, []byte) substrate.Call
				}{{"unique", unique, substrate.UpdateNodeUnique}, {"non-unique", nonUnique, substrate.UpdateNodeNonUnique}} {
					if given(x.flag) {
						var value []byte
						if x.text != "none" {
							value = []byte(x.text)
						}
						calls = append(calls, x.call(n.Subnet, n.ID, value))
					}
				}
				if given("hotkey") {
					h, err := resolveAccount(hotkey)
					if err != nil {
						return substrate.Call{}, err
					}
					call := substrate.UpdateHotkey(n.Hotkey, h)
					if c.Supports(call) != nil {
						call = substrate.UpdateNodeHotkey(n.Subnet, n.ID, &h)
					}
					calls = append(calls, call)
				}
				if given("delegate-reward-rate") {
					calls = append(calls, substrate.UpdateNodeRewardRate(n.Subnet, n.ID, rate.value))
				}
				if given("delegate-account") || given("delegate-account-rate") {
					var who *chain.AccountID
					var share *chain.Balance
					if given("delegate-account") {
						a, err := resolveAccount(delegate)
						if err != nil {
							return substrate.Call{}, err
						}
						who = &a
					}
					if given("delegate-account-rate") {
						share = &delegateRate.value
					}
					calls = append(calls, substrate.UpdateDelegateAccount(n.Subnet, n.ID, who, share))
				}
				switch len(calls) {
				case 0:
					return substrate.Call{}, usagef("nothing to change: give --peer, --hotkey, --unique or another of the flags")
				case 1:
					return calls[0], nil
				}
				return substrate.BatchAll(calls...), nil
			}, nil)
		},
	}
	f.register(c.Flags())
	fl := c.Flags()
	fl.StringVar(&peerText, "peer", "", "new `peer` of the node")
	fl.StringVar(&bootnode, "bootnode-peer", "", "new `peer` of the operator's bootnode, or none")
	fl.StringVar(&client, "client-peer", "", "new `peer` of the operator's client, or none")
	fl.StringVar(&unique, "unique", "", "parameter that no other node of the subnet may have, or none")
	fl.StringVar(&nonUnique, "non-unique", "", "any parameter, or none")
	fl.StringVar(&hotkey, "hotkey", "", "new `account` that proposes and attests")
	fl.Var(&rate, "delegate-reward-rate", "share of the rewards for those who delegate to the node")
	fl.StringVar(&delegate, "delegate-account", "", "`account` that receives a share of the rewards")
	fl.Var(&delegateRate, "delegate-account-rate", "that share")
	return c
}

// nodeView is a node as it is shown.
type nodeView struct {
	Subnet     chain.SubnetID  `json:"subnet_id"`
	ID         chain.NodeID    `json:"node_id"`
	Class      string          `json:"class"`
	Queued     bool            `json:"queued"`
	StartEpoch chain.Epoch     `json:"start_epoch"`
	PeerID     string          `json:"peer_id"`
	Multiaddr  string          `json:"multiaddr,omitempty"`
	Bootnode   string          `json:"bootnode_peer,omitempty"`
	Client     string          `json:"client_peer,omitempty"`
	Coldkey    chain.AccountID `json:"coldkey"`
	Hotkey     chain.AccountID `json:"hotkey"`
	Stake      chain.Balance   `json:"stake"`
	Reputation chain.Balance   `json:"reputation"`
}

func showNode(n chain.Node) nodeView {
	v := nodeView{
		Subnet: n.Subnet, ID: n.ID, Class: n.Class.String(), Queued: n.Class == chain.ClassRegistered, StartEpoch: n.StartEpoch, PeerID: n.Peer.PeerID,
		Coldkey: n.Coldkey, Hotkey: n.Hotkey, Stake: n.Stake, Reputation: n.Reputation,
	}
	if len(n.Peer.Multiaddr) > 0 {
		v.Multiaddr = showPeer(n.Peer)
	}
	if n.Bootnode != nil {
		v.Bootnode = showPeer(*n.Bootnode)
	}
	if n.Client != nil {
		v.Client = showPeer(*n.Client)
	}
	return v
}

func (e *env) nodeInfoCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "info SUBNET NODE",
		Short: "Show a node as the chain has it; NODE is an ID or a peer ID",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withSubnet(cmd, args[0], func(ctx context.Context, c *substrate.Client, at chain.Hash, id chain.SubnetID) error {
				n, err := findNode(ctx, c, at, id, args[1])
				if err != nil {
					return err
				}
				staked, err := c.ProofOfStake(ctx, at, n.Subnet, n.Peer.PeerID, chain.ClassRegistered)
				if err != nil && !errors.Is(err, chain.ErrNotOnThisChain) {
					return err
				}
				v := struct {
					nodeView
					Admitted bool `json:"proof_of_stake"`
				}{showNode(n), staked}
				return e.show(f.json, v, func() string {
					var b strings.Builder
					w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
					row := func(name string, value any) {
						if value != "" {
							fmt.Fprintf(w, "%s\t%v\n", name, value)
						}
					}
					row("node", fmt.Sprintf("%d of subnet %d", v.ID, v.Subnet))
					class := fmt.Sprintf("%s since subnet epoch %d", v.Class, v.StartEpoch)
					if v.Queued {
						class = "queued, earliest in subnet epoch " + strconv.Itoa(int(v.StartEpoch))
					}
					row("class", class)
					row("stake", chain.FormatTensor(v.Stake))
					row("reputation", percent(v.Reputation))
					row("admitted by stake", map[bool]string{true: "yes", false: "no"}[v.Admitted])
					row("peer", v.PeerID)
					row("address", v.Multiaddr)
					row("bootnode", v.Bootnode)
					row("client", v.Client)
					row("coldkey", v.Coldkey)
					row("hotkey", v.Hotkey)
					flush(w)
					return b.String()
				})
			})
		},
	}
	f.register(c.Flags())
	return c
}

func (e *env) nodeListCmd() *cobra.Command {
	var f chainFlags
	c := &cobra.Command{
		Use:   "list SUBNET",
		Short: "List the nodes of a subnet, active and queued",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withSubnet(cmd, args[0], func(ctx context.Context, c *substrate.Client, at chain.Hash, id chain.SubnetID) error {
				nodes, err := c.Nodes(ctx, at, id)
				if err != nil {
					return err
				}
				views := make([]nodeView, 0, len(nodes))
				for _, n := range nodes {
					views = append(views, showNode(n))
				}
				return e.show(f.json, views, func() string {
					if len(views) == 0 {
						return "no nodes"
					}
					var b strings.Builder
					w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
					fmt.Fprintln(w, "NODE\tCLASS\tSINCE\tSTAKE\tREPUTATION\tPEER")
					for _, v := range views {
						fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\n", v.ID, v.Class, v.StartEpoch, chain.FormatTensor(v.Stake), percent(v.Reputation), v.PeerID)
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
