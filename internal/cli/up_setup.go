package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

const subnetName = "mesh-up"

// What the accounts of `up` are given, and put up. The minimum of the chain for a node is 100 TENSOR; without delegated stake it
// pays no emissions.
func nodeStake() chain.Balance     { return chain.Tensor(100) }
func delegateStake() chain.Balance { return chain.Tensor(1000) }
func ownerFunds() chain.Balance    { return chain.Tensor(1200) }
func coldkeyFunds() chain.Balance  { return chain.Tensor(101) }
func hotkeyFunds() chain.Balance   { return chain.Tensor(1) }

// setup registers and activates the subnet of a plan by signed extrinsics, as any owner would. What is done already is left as it
// is, so that an interrupted setup goes on.
type setup struct {
	plan *plan
	c    *substrate.Client
	say  func(format string, args ...any)

	owner    *account.Account
	coldkeys []*account.Account
	hotkeys  []*account.Account
	peers    []chain.PeerAddr
	boot     chain.PeerAddr
}

func (s *setup) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{s.keys, s.fund, s.register, s.stake, s.activate} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keys reads or makes all keys.
func (s *setup) keys(context.Context) error {
	var err error
	if s.owner, err = s.plan.account("owner"); err != nil {
		return err
	}
	key, err := s.plan.peerKey(s.plan.bootDir())
	if err != nil {
		return err
	}
	if s.boot, err = publicAddr(key, s.plan.BootPort); err != nil {
		return err
	}
	for i := range s.plan.Nodes {
		cold, err := s.plan.account(fmt.Sprintf("coldkey-%d", i+1))
		if err != nil {
			return err
		}
		hot, err := s.plan.account(fmt.Sprintf("hotkey-%d", i+1))
		if err != nil {
			return err
		}
		key, err := s.plan.peerKey(s.plan.nodeDir(i))
		if err != nil {
			return err
		}
		addr, err := publicAddr(key, s.plan.NodePorts[i])
		if err != nil {
			return err
		}
		s.coldkeys, s.hotkeys, s.peers = append(s.coldkeys, cold), append(s.hotkeys, hot), append(s.peers, addr)
	}
	return nil
}

// fund sends every account what it lacks, from Alith, who is rich on every development chain.
func (s *setup) fund(ctx context.Context) error {
	if s.plan.Subnet != 0 {
		return nil
	}
	alith, err := account.Dev("alith")
	if err != nil {
		return err
	}
	type want struct {
		to     *account.Account
		amount chain.Balance
	}
	wants := []want{{s.owner, ownerFunds()}}
	for i := range s.coldkeys {
		wants = append(wants, want{s.coldkeys[i], coldkeyFunds()}, want{s.hotkeys[i], hotkeyFunds()})
	}
	ids := make([]chain.AccountID, len(wants))
	for i, w := range wants {
		ids[i] = w.to.ID()
	}
	have, err := s.c.Accounts(ctx, chain.Hash{}, ids)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	sent := 0
	for i, w := range wants {
		if have[i].Nonce > 0 || !have[i].Free.Less(w.amount) {
			continue // it was funded, and spent some since
		}
		sent++
		g.Go(func() error {
			_, err := s.c.Submit(ctx, alith, substrate.Transfer(w.to.ID(), w.amount))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("fund the accounts: %w", err)
	}
	if sent > 0 {
		s.say("funded %d accounts", sent)
	}
	return nil
}

func (s *setup) register(ctx context.Context) error {
	id, err := s.c.SubnetByName(ctx, chain.Hash{}, subnetName)
	if errors.Is(err, chain.ErrNotFound) {
		coldkeys := make(map[chain.AccountID]uint32, len(s.coldkeys))
		for _, k := range s.coldkeys {
			coldkeys[k.ID()] = 1
		}
		if _, err = s.c.Submit(ctx, s.owner, substrate.RegisterSubnet(chain.Tensor(100), substrate.SubnetRegistration{
			Name: subnetName, Repo: "https://example.org/" + subnetName, Description: "a subnet on one machine",
			MinStake: nodeStake(), MaxStake: chain.Tensor(1000), DelegateStakePercentage: chain.OneTensor().Div(u128.From64(10)),
			InitialColdkeys: coldkeys, Bootnodes: map[string][]byte{s.boot.PeerID: s.boot.Multiaddr},
		})); err != nil {
			return fmt.Errorf("register the subnet: %w", err)
		}
		if id, err = s.c.SubnetByName(ctx, chain.Hash{}, subnetName); err == nil {
			s.say("registered subnet %d", id)
		}
	}
	if err != nil {
		return fmt.Errorf("find the subnet: %w", err)
	}
	s.plan.Subnet = id
	return s.plan.save()
}

// stake registers the nodes with their stake, and delegates the owner's.
func (s *setup) stake(ctx context.Context) error {
	sub, err := s.c.Subnet(ctx, chain.Hash{}, s.plan.Subnet)
	if err != nil || sub.State != chain.SubnetRegistered {
		return err
	}
	nodes, err := s.c.Nodes(ctx, chain.Hash{}, s.plan.Subnet)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		known[n.Peer.PeerID] = true
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, peer := range s.peers {
		if known[peer.PeerID] {
			continue
		}
		pooled := make(chan struct{}) // the next one follows when this one is in the pool: IDs are given in that order
		once := sync.OnceFunc(func() { close(pooled) })
		g.Go(func() error {
			defer once()
			_, err := s.c.Submit(gctx, s.coldkeys[i], substrate.RegisterSubnetNode(substrate.NodeRegistration{
				Subnet: s.plan.Subnet, Hotkey: s.hotkeys[i].ID(), Peer: peer, Stake: nodeStake(), MaxBurn: chain.OneTensor(),
			}), substrate.WithProgress(func(p substrate.Progress) {
				if p.Stage >= substrate.Ready {
					once()
				}
			}))
			if err != nil {
				return fmt.Errorf("register node %d: %w", i+1, err)
			}
			return nil
		})
		<-pooled
	}
	delegated, err := substrate.Get[chain.Balance](ctx, s.c, chain.Hash{}, "Network", "TotalSubnetDelegateStakeBalance", s.plan.Subnet)
	if err != nil && !errors.Is(err, chain.ErrNotFound) {
		return err
	}
	if delegated.IsZero() {
		g.Go(func() error {
			if _, err := s.c.Submit(gctx, s.owner, substrate.AddDelegateStake(s.plan.Subnet, delegateStake())); err != nil {
				return fmt.Errorf("delegate stake: %w", err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.say("registered %d nodes with %s at stake each; %s delegated", len(s.peers), chain.FormatTensor(nodeStake()), chain.FormatTensor(delegateStake()))
	return nil
}

func (s *setup) activate(ctx context.Context) error {
	sub, err := s.c.Subnet(ctx, chain.Hash{}, s.plan.Subnet)
	if err != nil || sub.State != chain.SubnetRegistered {
		return err
	}
	if _, err := s.c.Submit(ctx, s.owner, substrate.ActivateSubnet(s.plan.Subnet)); err != nil {
		return fmt.Errorf("activate the subnet: %w", err)
	}
	if sub, err = s.c.Subnet(ctx, chain.Hash{}, s.plan.Subnet); err != nil {
		return fmt.Errorf("activate the subnet: %w", err)
	}
	s.say("activated subnet %d, its first epoch is %d", s.plan.Subnet, sub.StartEpoch)
	return nil
}
