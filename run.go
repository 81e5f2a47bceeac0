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

	"github.com/hypertensor-blockchain/mesh/consensus"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
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
		unlock, lockErr := LockFolder(n.cfg.DataDir)
		if lockErr != nil {
			return lockErr
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
	start("membership", n.members.Load().Run)
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
	running, stopRunning := context.WithCancel(life)
	defer stopRunning()
	appRan := n.runApp(running, start)
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
	stopRunning()
	step("app runs", appRan)
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

// runApp starts what the App does by itself; the returned function waits for its end.
func (n *Node) runApp(running context.Context, start func(string, func(context.Context) error)) func(context.Context) error {
	r, ok := n.app.(Runner)
	if !ok {
		return func(context.Context) error { return nil }
	}
	ran := make(chan struct{})
	start("app", func(context.Context) error {
		defer close(ran)
		err := r.Run(running)
		if running.Err() != nil {
			return nil // whatever it says of being stopped
		}
		return err
	})
	return func(ctx context.Context) error {
		select {
		case <-ran:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
	j, err := consensus.OpenJournal(filepath.Join(n.cfg.DataDir, consensus.JournalName(p.Genesis, n.Subnet(), n.ID())))
	if err != nil {
		return &StartError{Kind: consensus.ErrJournalDamaged, What: "cannot read the consensus journal", Err: err,
			Next: "wait until the current epoch is over, then move the file away and start again"}
	}
	limit := min(time.Minute, max(3*time.Second, 5*p.BlockTime)) // a quarter of the usual epoch: then the chain is looked at
	e, err := consensus.New(consensus.Config{
		MachineConfig: consensus.MachineConfig{Subnet: n.Subnet(), Node: n.ID(), Reevaluate: n.cfg.Reevaluate},
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

// bootstrapPeers are those that were given, or those that the chain knows: official bootnodes, then bootnodes of nodes, then nodes.
func (n *Node) bootstrapPeers(ctx context.Context) []peer.AddrInfo {
	if n.cfg.NewSwarm || len(n.cfg.Bootstrap) > 0 {
		return n.cfg.Bootstrap
	}
	head, _, _, _ := n.chain.newest()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := n.chain.Subnet(ctx, head.Hash, n.Subnet())
	if err != nil {
		n.log.Warn("the chain's bootnodes are not known", "err", err)
	}
	nodes, err := n.chain.Nodes(ctx, head.Hash, n.Subnet())
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
