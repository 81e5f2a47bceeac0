package mesh

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/stake"
)

// connect dials the chain and reads what never changes.
func (n *Node) connect(ctx context.Context) (func() error, error) {
	c, writer, stop := n.cfg.Chain, n.cfg.Writer, func() error { return nil }
	if c == nil {
		client, err := substrate.Dial(ctx, substrate.Config{
			Endpoints: n.cfg.Endpoints, Genesis: n.cfg.Genesis, MaxBackoff: maxChainBackoff, Logger: n.log.With("part", "chain"),
		})
		if err != nil {
			return nil, &StartError{Kind: ErrChainUnreachable, What: fmt.Sprintf("cannot reach the chain at %v", n.cfg.Endpoints), Err: err,
				Next: "check that it runs and that --rpc names its WebSocket address; `mesh chain dev` starts one here"}
		}
		c, stop = client, client.Close
		if n.cfg.Hotkey != nil && writer == nil && !n.cfg.Bootnode {
			writer = client.Writer(n.cfg.Hotkey)
			if err := checkFunds(ctx, client, n.cfg.Hotkey.AccountID()); err != nil {
				return nil, errors.Join(err, stop())
			}
		}
	}
	p, err := c.Params(ctx)
	if err != nil {
		return nil, errors.Join(&StartError{Kind: ErrChainUnreachable, What: "cannot read the chain's constants", Err: err, Next: "try again"}, stop())
	}
	n.chain, n.writer = newChainView(c, p), writer
	id, err := n.resolveSubnet(ctx)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	n.chain.subnet = id
	n.subnet.Store(uint32(id))
	n.log.Info("connected to the chain", "generation", p.Generation, "genesis", p.Genesis.String(), "epoch_length", p.EpochLength, "subnet", uint32(id))
	return stop, nil
}

// checkFunds makes sure that the hotkey can pay a fee.
func checkFunds(ctx context.Context, c *substrate.Client, id chain.AccountID) error {
	info, err := c.AccountInfo(ctx, chain.Hash{}, id)
	if err != nil {
		return &StartError{Kind: ErrChainUnreachable, What: "cannot read the hotkey's balance", Err: err, Next: "try again"}
	}
	if info.Free.Less(u128.From64(feeReserve)) {
		return &StartError{
			Kind: ErrHotkeyUnfunded, What: fmt.Sprintf("hotkey %v has %s, too little to pay a fee", id, chain.FormatTensor(info.Free)),
			Next: "send it 0.001 TENSOR: fees are taken first and given back when a proposal or attestation succeeds",
		}
	}
	return nil
}

// friendly finds a subnet by its short ID.
type friendly interface {
	SubnetByFriendlyID(ctx context.Context, at chain.Hash, id uint32) (chain.SubnetID, error)
}

func (n *Node) resolveSubnet(ctx context.Context) (chain.SubnetID, error) {
	id := n.cfg.Subnet
	_, err := n.chain.Chain.Subnet(ctx, chain.Hash{}, id)
	if f, ok := n.chain.Chain.(friendly); ok && errors.Is(err, chain.ErrNotFound) && id < firstFriendly {
		if full, ferr := f.SubnetByFriendlyID(ctx, chain.Hash{}, uint32(id)); ferr == nil {
			return full, nil
		}
	}
	if errors.Is(err, chain.ErrNotFound) {
		return 0, &StartError{Kind: ErrSubnetUnknown, What: fmt.Sprintf("subnet %d is not on this chain", id),
			Next: "check --subnet-id, and that --rpc is the chain that you mean"}
	}
	if err != nil {
		return 0, &StartError{Kind: ErrChainUnreachable, What: fmt.Sprintf("cannot read subnet %d", id), Err: err, Next: "try again"}
	}
	return id, nil
}

// prepareMembers reads the first membership.
func (n *Node) prepareMembers(ctx context.Context) error {
	cfg := stake.Config{
		Subnet: n.Subnet(), Rule: stake.Rule{MinClass: n.cfg.MinClass}, Logger: n.log.With("part", "stake"),
		OnChange: func(old, next *stake.Snapshot) {
			host, table := n.host.Load(), n.dht.Load()
			if host == nil || table == nil {
				return
			}
			for _, id := range old.Peers() {
				if _, ok := next.Member(id); !ok {
					table.Remove(id)
				}
			}
			if gone := host.EnforceGate(); gone > 0 {
				n.log.Info("disconnected from peers that are no longer members", "peers", gone)
			}
		},
	}
	if n.cfg.DataDir != "" {
		p, err := n.chain.Params(ctx)
		if err != nil {
			return err
		}
		cfg.File = filepath.Join(n.cfg.DataDir, fmt.Sprintf("members-%x-%d.json", p.Genesis[:4], n.Subnet()))
	}
	members, err := stake.New(cfg, n.chain)
	if err != nil {
		return err
	}
	n.members.Store(members)
	first, cancel := context.WithCancel(ctx)
	defer cancel()
	heads, err := n.chain.SubscribeHeads(first)
	if err != nil {
		return fmt.Errorf("mesh: follow heads: %w", err)
	}
	for h := range heads {
		if err := members.Refresh(first, h); err == nil || members.Snapshot() != nil {
			return nil
		}
	}
	return nil // ctx has ended
}

// awaitDuty returns when this node is registered and its start epoch has come, or ctx has ended.
func (n *Node) awaitDuty(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heads, err := n.chain.SubscribeHeads(ctx)
	if err != nil {
		return fmt.Errorf("mesh: follow heads: %w", err)
	}
	said := ""
	say := func(p Phase, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		n.enter(p, text)
		if text != said {
			said = text
			n.log.Info("not yet", "phase", string(p), "why", text)
		}
	}
	n.enter(PhaseRegistration, "")
	for h := range heads {
		s, err := n.chain.Subnet(ctx, h.Hash, n.Subnet())
		if err != nil {
			continue // the chain is silent: the next head comes when it is not
		}
		nodes, err := n.chain.Nodes(ctx, h.Hash, n.Subnet())
		if err != nil {
			continue
		}
		own, ok := n.find(nodes)
		if !ok {
			say(PhaseRegistration, "%s is not registered in subnet %d; keep this running, it joins by itself", n.who(), n.Subnet())
			continue
		}
		n.own.Store(&own)
		if n.cfg.Hotkey != nil && own.Hotkey != n.cfg.Hotkey.AccountID() {
			return &StartError{Kind: ErrHotkeyMismatch,
				What: fmt.Sprintf("node %d has the hotkey %v on the chain, this one is %v", own.ID, own.Hotkey, n.cfg.Hotkey.AccountID()),
				Next: "give the file of that hotkey with --hotkey, or change the node's hotkey on the chain"}
		}
		p, err := n.chain.Params(ctx)
		if err != nil {
			continue
		}
		if e := p.EpochAt(h.Number, s.Slot); own.StartEpoch > e {
			blocks := uint32(p.FirstBlock(own.StartEpoch, s.Slot)) - uint32(h.Number)
			say(PhaseStart, "node %d starts in epoch %d, now is epoch %d", own.ID, own.StartEpoch, e)
			n.log.Debug("start epoch", "blocks_left", blocks, "time_left", time.Duration(blocks)*p.BlockTime)
			continue
		}
		n.log.Info("registered", "node", uint32(own.ID), "class", own.Class.String(), "stake", chain.FormatTensor(own.Stake), "subnet_state", s.State.String())
		return nil
	}
	return nil
}

func (n *Node) who() string {
	if n.cfg.Node != 0 {
		return fmt.Sprintf("node %d with peer ID %v", n.cfg.Node, n.id)
	}
	return fmt.Sprintf("peer ID %v", n.id)
}

// find looks for this node by its ID, or by any of its peer IDs.
func (n *Node) find(nodes []chain.Node) (chain.Node, bool) {
	text := n.id.String()
	for _, x := range nodes {
		if n.cfg.Node != 0 && x.ID == n.cfg.Node && x.Peer.PeerID == text || n.cfg.Node == 0 && x.Peer.PeerID == text {
			return x, true
		}
	}
	return chain.Node{}, false
}
