package mesh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/consensus"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/stake"
)

const (
	firstFriendly   = 128000 // subnet IDs are above, friendly IDs below
	feeReserve      = 200e6  // planck: a call costs 1.1e8 before it is given back, and an account keeps 500
	minUpdatePeriod = 500 * time.Millisecond
	maxUpdatePeriod = time.Minute
	beatsPerEpoch   = 8               // a dead node is noticed within a quarter of an epoch
	maxChainBackoff = 2 * time.Second // an epoch may be a few seconds long: a chain that is back must be noticed soon
)

// Run starts the node, blocks until ctx ends, and stops it in order. It returns nil after a clean stop, a [StartError] when the node
// could not start, and otherwise what ended it. It is called once.
func (n *Node) Run(ctx context.Context) (err error) {
	n.mu.Lock()
	again := n.ran
	n.ran, n.started = true, time.Now()
	n.mu.Unlock()
	if again {
		return errors.New("mesh: Run is called once")
	}
	defer n.enter(PhaseStopped, "")
	if n.cfg.DataDir != "" {
		unlock, err := LockFolder(n.cfg.DataDir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	status, err := n.serveStatus(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, status.Close()) }()

	n.enter(PhaseConnecting, "")
	closeChain, err := n.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeChain()) }()

	// Parts that must outlive ctx for an orderly stop end with life.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer end(nil)
	start := func(name string, run func(context.Context) error) {
		parts.Go(func() {
			if err := run(life); err != nil && life.Err() == nil {
				end(fmt.Errorf("mesh: %s: %w", name, err))
			}
		})
	}
	start("chain", func(ctx context.Context) error { return n.chain.run(ctx, n.log) })
	if err := n.prepareMembers(ctx); err != nil {
		return err
	}
	start("membership", n.members.Run)
	if !n.cfg.Bootnode {
		if err := n.awaitDuty(ctx); err != nil || ctx.Err() != nil {
			return err
		}
	}
	n.enter(PhaseJoining, "")
	closeNet, err := n.openNetwork(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeNet()) }()
	if err := n.app.Start(life, n); err != nil {
		return fmt.Errorf("mesh: the App does not start: %w", err)
	}
	start("host", n.host.Load().Run)
	inSwarm, leaveSwarm := context.WithCancel(life)
	defer leaveSwarm()
	swarm := make(chan struct{})
	start("dht", func(context.Context) error {
		defer close(swarm)
		return n.dht.Load().Run(inSwarm)
	})
	err = n.serve(ctx, life, start)
	leaveSwarm()
	<-swarm
	return err
}

// serve takes part until ctx or life ends, then stops what it started.
func (n *Node) serve(ctx, life context.Context, start func(string, func(context.Context) error)) error {
	over := func() error { return context.Cause(life) }
	select {
	case <-n.dht.Load().Ready():
	case <-ctx.Done():
		n.enter(PhaseStopping, "")
		return nil
	case <-life.Done():
		return over()
	}
	if n.cfg.Bootnode {
		n.enter(PhaseOnline, "")
		n.log.Info("bootnode is up", "addrs", n.host.Load().Addrs())
		select {
		case <-ctx.Done():
			n.enter(PhaseStopping, "")
			return nil
		case <-life.Done():
			return over()
		}
	}
	beating, stopBeats := context.WithCancel(life)
	defer stopBeats()
	rounds, stopRounds := context.WithCancel(life)
	defer stopRounds()
	var voting, heart sync.WaitGroup
	heart.Go(func() { n.beats.run(beating) })
	defer heart.Wait()
	defer stopBeats()
	if err := n.openConsensus(rounds, &voting, start); err != nil {
		return err
	}
	n.beats.beat(life) // JOINING, before ONLINE: whoever looks sees where the node comes from
	n.beats.set(heartbeat.Online)
	n.enter(PhaseOnline, "")
	n.log.Info("online", "node", uint32(n.ID()), "addrs", n.host.Load().Addrs())
	var err error
	select {
	case <-ctx.Done():
	case <-life.Done():
		err = over()
	}
	n.enter(PhaseStopping, "")
	n.log.Info("stopping")
	step := func(what string, f func(context.Context) error) {
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.StopTimeout)
		defer cancel()
		if err := f(c); err != nil {
			n.log.Warn("stopping", "step", what, "err", err)
		}
	}
	if s, ok := n.app.(Stopper); ok {
		step("app", s.Stop)
	}
	stopBeats()
	heart.Wait()
	step("offline", n.beats.leave)
	stopRounds()
	voting.Wait()
	return err
}

// openConsensus starts the engine, if there is something to sign with.
func (n *Node) openConsensus(rounds context.Context, voting *sync.WaitGroup, start func(string, func(context.Context) error)) error {
	if n.writer == nil {
		n.log.Info("no hotkey: this node does not take part in consensus")
		return nil
	}
	p, err := n.chain.Params(rounds)
	if err != nil {
		return err
	}
	j, err := consensus.OpenJournal(filepath.Join(n.cfg.DataDir, consensus.JournalName(p.Genesis, n.subnet, n.ID())))
	if err != nil {
		return &StartError{Kind: consensus.ErrJournalDamaged, What: "cannot read the consensus journal", Err: err,
			Next: "wait until the current epoch is over, then move the file away and start again"}
	}
	limit := min(time.Minute, max(3*time.Second, 5*p.BlockTime)) // a quarter of the usual epoch: then the chain is looked at
	e, err := consensus.New(consensus.Config{
		MachineConfig: consensus.MachineConfig{Subnet: n.subnet, Node: n.ID(), Reevaluate: n.cfg.Reevaluate},
		ReadTimeout:   min(limit, 10*time.Second), ScoreTimeout: limit, SubmitTimeout: limit, FlushTimeout: n.cfg.StopTimeout,
		Logger: n.log.With("part", "consensus"),
	}, n.chain, n.writer, scorer{n}, j)
	if err != nil {
		return errors.Join(err, j.Close())
	}
	n.engine.Store(e)
	done := make(chan struct{})
	voting.Go(func() { <-done })
	start("consensus", func(context.Context) error {
		defer close(done)
		return errors.Join(e.Run(rounds), j.Close())
	})
	return nil
}

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
	n.subnet, n.chain.subnet = id, id
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
		Subnet: n.subnet, Rule: stake.Rule{MinClass: n.cfg.MinClass}, Logger: n.log.With("part", "stake"),
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
		cfg.File = filepath.Join(n.cfg.DataDir, fmt.Sprintf("members-%x-%d.json", p.Genesis[:4], n.subnet))
	}
	var err error
	if n.members, err = stake.New(cfg, n.chain); err != nil {
		return err
	}
	first, cancel := context.WithCancel(ctx)
	defer cancel()
	heads, err := n.chain.SubscribeHeads(first)
	if err != nil {
		return fmt.Errorf("mesh: follow heads: %w", err)
	}
	for h := range heads {
		if err := n.members.Refresh(first, h); err == nil || n.members.Snapshot() != nil {
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
		s, err := n.chain.Subnet(ctx, h.Hash, n.subnet)
		if err != nil {
			continue // the chain is silent: the next head comes when it is not
		}
		nodes, err := n.chain.Nodes(ctx, h.Hash, n.subnet)
		if err != nil {
			continue
		}
		own, ok := n.find(nodes)
		if !ok {
			say(PhaseRegistration, "%s is not registered in subnet %d; keep this running, it joins by itself", n.who(), n.subnet)
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

// openNetwork starts host, calls and DHT; the returned function closes them in reverse.
func (n *Node) openNetwork(ctx context.Context) (func() error, error) {
	p, err := n.chain.Params(ctx)
	if err != nil {
		return nil, err
	}
	namespace := fmt.Sprintf("/mesh/%x/%d", p.Genesis[:4], n.subnet)
	bootstrap := n.bootstrapPeers(ctx)
	allow := make([]peer.ID, 0, len(n.cfg.Bootstrap))
	for _, b := range n.cfg.Bootstrap {
		allow = append(allow, b.ID)
	}
	guards, err := n.interceptors(allow)
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	host, err := p2p.New(p2p.Config{
		Key: n.cfg.Key, Listen: n.cfg.Listen, Announce: n.cfg.Announce, Gate: n.bans.Gate(n.members), Allow: allow,
		Namespace: namespace, PythonCompat: n.cfg.Python, DisableRelay: n.cfg.DisableRelay, RelayService: n.cfg.RelayService,
		HolePunching: n.cfg.HolePunching, AutoNAT: n.cfg.AutoNAT, NATPortMap: n.cfg.NATPortMap, StaticRelays: n.cfg.StaticRelays,
		Limits: n.cfg.Limits, AddressBook: n.file("peers.json"), UserAgent: n.cfg.Version, Logger: n.log.With("part", "p2p"),
	})
	var taken *p2p.AddrInUseError
	if errors.As(err, &taken) {
		return nil, &StartError{Kind: ErrAddressInUse, What: "cannot listen", Err: err, Next: "stop the other program, or listen elsewhere with --host-maddrs"}
	}
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	n.host.Store(host)
	n.calls = rpc.NewNode(host, rpc.Config{
		Namespace: namespace, Python: n.cfg.Python, Interceptors: guards, Logger: n.log.With("part", "rpc"),
	})
	d, err := dht.New(n.calls, dht.Config{
		Validators: n.validators(), Phase: n.chain.phase, Bootstrap: bootstrap, Python: n.cfg.Python, Logger: n.log.With("part", "dht"),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mesh: %w", err), n.calls.Close(), host.Close())
	}
	n.dht.Store(d)
	n.persist(d, fmt.Sprintf("records-%x-%d.journal", p.Genesis[:4], n.subnet))
	closeAll := func() error { return errors.Join(d.Close(), n.calls.Close(), host.Close()) }
	if n.cfg.Bootnode {
		return closeAll, nil
	}
	n.beats, err = newBeats(d, n.cfg.Key, n.id, heartbeat.Info{
		State: heartbeat.Joining, Role: heartbeat.RoleValidator, Throughput: 1, PublicName: n.cfg.PublicName, Version: n.cfg.Version,
	}, n.log.With("part", "heartbeat"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mesh: %w", err), closeAll())
	}
	n.beats.period = n.cfg.UpdatePeriod
	if n.beats.period == 0 {
		n.beats.period = min(max(n.chain.epochTime()/beatsPerEpoch, minUpdatePeriod), maxUpdatePeriod)
	}
	n.beats.look = max(n.beats.period/2, minUpdatePeriod/2)
	n.beats.members = func() []peer.ID { return n.Members().Peers() }
	n.beats.epoch = func() (uint32, bool) {
		e, ok := n.chain.epoch()
		return uint32(e), ok
	}
	return closeAll, nil
}

func (n *Node) file(name string) string {
	if n.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(n.cfg.DataDir, name)
}

// interceptors guard every call: the gate already keeps strangers away, and here it is asked again, because a connection may
// outlive a membership.
func (n *Node) interceptors(allow []peer.ID) ([]rpc.Interceptor, error) {
	limit, err := auth.NewRateLimit(auth.RateConfig{Peer: n.cfg.Rate, Ban: n.bans})
	if err != nil {
		return nil, err
	}
	out := []rpc.Interceptor{n.bans, auth.NewStake(allowing{n.members, allow}), limit}
	if n.cfg.Python {
		sign, err := auth.NewSignature(n.cfg.Key, auth.SignatureConfig{})
		if err != nil {
			return nil, err
		}
		out = append(out, sign)
	}
	return out, nil
}

// allowing admits some peers whatever the membership says.
type allowing struct {
	set   *stake.Set
	peers []peer.ID
}

// Admit asks the membership for all but the allowed peers.
func (a allowing) Admit(id peer.ID) p2p.Decision {
	for _, p := range a.peers {
		if p == id {
			return p2p.Decision{OK: true}
		}
	}
	return a.set.Admit(id)
}

// validators are the rules for records in this subnet.
func (n *Node) validators() record.Chain {
	cfg := record.PhasesConfig{Heartbeat: heartbeat.Check}
	var more []record.Validator
	if rules, ok := n.app.(RecordRules); ok {
		cfg.Allow = rules.AllowKey
		more = rules.Validators()
	}
	all := append([]record.Validator{
		record.NewBounds(record.BoundsConfig{}),
		record.NewSignature(n.cfg.Key, record.SignatureConfig{Python: n.cfg.Python}),
		record.NewPhases(cfg),
		record.NewPredicate("member", n.byMember(cfg.Allow)),
	}, more...)
	return record.NewChain(all...)
}

// byMember refuses to keep records of the network's own keys whose owner is no member: keys are free, so one member that signs with
// many could fill the heartbeats' place and leave none for the others. Keys that the App admits are the App's business.
func (n *Node) byMember(allow func(record.Key) bool) record.Check {
	return func(r record.Record, q record.Request) error {
		if q.Kind != record.Post || allow != nil && allow(r.Key) {
			return nil
		}
		owner, err := q.Owner(r)
		if err != nil || owner == nil || owner.Peer == n.id {
			return err
		}
		if d := n.members.Admit(owner.Peer); !d.OK {
			return fmt.Errorf("the owner is %s", d.Reason)
		}
		return nil
	}
}

// bootstrapPeers are those that were given, or those that the chain knows: official bootnodes, then bootnodes of nodes, then nodes.
func (n *Node) bootstrapPeers(ctx context.Context) []peer.AddrInfo {
	if n.cfg.NewSwarm || len(n.cfg.Bootstrap) > 0 {
		return n.cfg.Bootstrap
	}
	head, _, _, _ := n.chain.newest()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := n.chain.Subnet(ctx, head.Hash, n.subnet)
	if err != nil {
		n.log.Warn("the chain's bootnodes are not known", "err", err)
	}
	nodes, err := n.chain.Nodes(ctx, head.Hash, n.subnet)
	if err != nil {
		n.log.Warn("the chain's nodes are not known", "err", err)
	}
	return BootstrapPeers(s, nodes, n.id)
}

// LockFolder makes a folder if need be and takes it for this process; the returned function gives it back. A folder that another
// process has is a [StartError] with [ErrFolderInUse].
func LockFolder(dir string) (func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mesh: data folder: %w", err)
	}
	f, err := lockFile(filepath.Join(dir, "LOCK"))
	if errors.Is(err, errLocked) {
		return nil, &StartError{Kind: ErrFolderInUse, What: fmt.Sprintf("data folder %s is in use by another process", dir),
			Next: "stop that process, or give another folder with --data-dir"}
	}
	if err != nil {
		return nil, fmt.Errorf("mesh: data folder: %w", err)
	}
	return f.Close, nil
}
