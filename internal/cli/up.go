package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/substrate"
)

const (
	minUpNodes   = 3                // the chain's least for an active subnet
	maxUpNodes   = 64               // that a machine may be asked for
	patience     = 3                // epochs without consensus before `up` gives up
	setupTimeout = 2 * time.Minute  // for registration and activation, plus blocks
	stopGrace    = 10 * time.Second // for a child to stop
)

type upFlags struct {
	nodes, epochs int
	blockTime     time.Duration
	epochLength   uint32
	dataDir       string
	json          bool
	given         func(flag string) bool // whether a flag was given, by whatever means
}

func (e *env) upCmd() *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up",
		Short: "Run a whole subnet on this machine: chain, bootnode, nodes",
		Long: `Run a whole subnet on this machine, as processes: the embedded chain, a bootnode and the nodes. Keys are made in the data folder; funding,
registration, stake and activation go through the chain's RPC as signed extrinsics. In a terminal a table shows what happens, Ctrl-C
stops everything.

With --epochs the command ends by itself, with status 0 when that many epochs were settled in consensus. When three epochs in a row end
without consensus it ends with status 1 and says why. With --json the last line is a JSON object with the epochs and the stake of each
node in planck before and after.

A process that dies is reported with the command line that starts it again by hand. With --data-dir a later run goes on where this one
ended; without it, the folder is a temporary one. Each process reports to a file of its own in that folder; with --log-file all of them,
and the command itself, report to that one.`,
		Example: "  " + e.program.Name + " up\n  " + e.program.Name + " up --nodes 8 --epochs 3 --block-time 200ms --data-dir ./up --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed
			return e.runUp(cmd.Context(), f)
		},
	}
	fl := c.Flags()
	fl.IntVar(&f.nodes, "nodes", 4, fmt.Sprintf("nodes of the subnet, %d to %d", minUpNodes, maxUpNodes))
	fl.IntVar(&f.epochs, "epochs", 0, "end after so many settled epochs in consensus; 0: run until Ctrl-C")
	fl.DurationVar(&f.blockTime, "block-time", 300*time.Millisecond, "time between blocks; an epoch has --epoch-length of them")
	fl.Uint32Var(&f.epochLength, "epoch-length", 20, "blocks of an epoch, from 8")
	fl.StringVar(&f.dataDir, "data-dir", "", "`folder` for keys, chain and logs; empty: a temporary one")
	fl.BoolVar(&f.json, "json", false, "report to stderr, and print one JSON object at the end")
	return c
}

func (f upFlags) validate() error {
	switch {
	case f.nodes < minUpNodes:
		return usagef("--nodes %d: want %d to %d; the chain activates no subnet with fewer", f.nodes, minUpNodes, maxUpNodes)
	case f.nodes > maxUpNodes:
		return usagef("--nodes %d: want %d to %d on one machine", f.nodes, minUpNodes, maxUpNodes)
	case f.epochs < 0:
		return usagef("--epochs %d is negative", f.epochs)
	case f.blockTime < 50*time.Millisecond:
		return usagef("--block-time %v: at least 50ms, or there is no time to compare", f.blockTime)
	case f.epochLength < 8:
		return usagef("--epoch-length %d: at least 8 blocks, to propose and to attest in", f.epochLength)
	}
	return nil
}

// up is a running subnet.
type up struct {
	env   *env
	flags upFlags
	plan  *plan
	view  view
	began time.Time

	chain    *child
	children []*child // bootnode and nodes
	died     map[*child]bool
	client   *substrate.Client

	ids     map[string]chain.NodeID // peer ID to node
	before  map[chain.NodeID]chain.Balance
	latest  round
	results []epochResult
	good    int           // epochs in consensus
	bad     []epochResult // the last ones in a row without
	ready   chain.Epoch   // first epoch that began with all nodes online; 0 before
	status  map[int]mesh.Status
	first   time.Duration // until the first attested proposal
}

func (e *env) runUp(ctx context.Context, f upFlags) (err error) {
	if err := f.validate(); err != nil {
		return err
	}
	temporary := f.dataDir == ""
	if temporary {
		if f.dataDir, err = os.MkdirTemp("", "mesh-up-"); err != nil {
			return err
		}
	}
	if f.dataDir, err = filepath.Abs(f.dataDir); err != nil {
		return err
	}
	unlock, err := mesh.LockFolder(f.dataDir)
	if errors.As(err, new(*fs.PathError)) {
		return failf("give a folder that can be made and written with --data-dir", "%w", err)
	}
	if err != nil {
		return err
	}
	u := &up{
		env: e, flags: f, began: time.Now(), died: make(map[*child]bool), status: make(map[int]mesh.Status),
		ids: make(map[string]chain.NodeID), before: make(map[chain.NodeID]chain.Balance),
	}
	u.view = e.newView(f.json)
	defer func() {
		err = errors.Join(err, unlock())
		if temporary && err == nil {
			err = os.RemoveAll(f.dataDir)
		}
	}()
	if u.plan, err = openPlan(f.dataDir, f.nodes, f.epochLength); err != nil {
		return err
	}
	closeLog, err := u.log()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	u.view.say("data folder %s", f.dataDir)
	err = u.run(ctx)
	if err == nil && u.good < f.epochs {
		err = failf("run it again in that folder to go on", "interrupted with %d of %d epochs in consensus", u.good, f.epochs)
	}
	u.view.close()
	stopped := u.stop()
	if err == nil {
		err = stopped
	}
	if f.json && (err == nil || u.plan.Subnet != 0) {
		sum := u.summary()
		if temporary && err == nil {
			sum.Dir = "" // it is about to be removed
		}
		err = errors.Join(err, json.NewEncoder(e.stdout).Encode(sum))
	}
	return err
}

// run starts everything and watches it until it is done.
func (u *up) run(ctx context.Context) error {
	if err := u.startChain(ctx); err != nil {
		return ended(ctx, err)
	}
	setupCtx, cancel := context.WithTimeout(ctx, setupTimeout+20*u.flags.blockTime)
	defer cancel()
	if err := (&setup{plan: u.plan, c: u.client, say: u.view.say}).run(setupCtx); err != nil {
		return ended(ctx, err)
	}
	nodes, err := u.client.Nodes(setupCtx, chain.Hash{}, u.plan.Subnet)
	if err != nil {
		return ended(ctx, err)
	}
	for _, n := range nodes {
		u.ids[n.Peer.PeerID], u.before[n.ID] = n.ID, n.Stake
	}
	if err := u.startNodes(); err != nil {
		return err
	}
	return u.watch(ctx)
}

// ended turns an error that comes of Ctrl-C into a clean end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func (u *up) startChain(ctx context.Context) error {
	p := u.plan
	addr := filepath.Join(p.chainDir(), rpcFile)
	if err := os.Remove(addr); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var err error
	u.chain, err = u.startChild("chain", p.path("chain.log"), "chain", "dev", "--data-dir", p.chainDir(),
		"--listen", fmt.Sprintf("127.0.0.1:%d", p.ChainPort), "--block-time", u.flags.blockTime.String(),
		"--epoch-length", strconv.FormatUint(uint64(u.flags.epochLength), 10))
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := awaitFile(wait, u.chain, addr); err != nil {
		return err
	}
	u.client, err = substrate.Dial(wait, substrate.Config{Endpoints: []string{p.rpcURL()}, MaxBackoff: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return failf("its log is "+u.logOf(u.chain), "the chain does not answer at %s: %w", p.rpcURL(), err)
	}
	u.view.say("chain at %s (pid %d), a block every %v, epochs of %d", p.rpcURL(), u.chain.cmd.Process.Pid, u.flags.blockTime, u.flags.epochLength)
	return nil
}

func (u *up) startNodes() error {
	p := u.plan
	common := func(dir string, port int) []string {
		return []string{"--data-dir", dir, "--rpc", p.rpcURL(), "--subnet-id", fmt.Sprint(p.Subnet), "--host-maddrs", p.listen(port)}
	}
	boot, err := u.startChild("bootnode", p.path("bootnode.log"), append([]string{"bootnode"}, common(p.bootDir(), p.BootPort)...)...)
	if err != nil {
		return err
	}
	u.children = append(u.children, boot)
	for i := range p.Nodes {
		args := append([]string{"node", "run"}, common(p.nodeDir(i), p.NodePorts[i])...)
		args = append(args, "--hotkey", p.accountFile(fmt.Sprintf("hotkey-%d", i+1)))
		c, err := u.startChild(fmt.Sprintf("node %d", i+1), p.path(fmt.Sprintf("node-%d.log", i+1)), args...)
		if err != nil {
			return err
		}
		u.children = append(u.children, c)
	}
	u.view.say("started bootnode and %d nodes; logs in %s", p.Nodes, u.logs())
	return nil
}

// watch follows the chain, the nodes' status and the processes until the wanted epochs are there, patience ends, or ctx does.
func (u *up) watch(ctx context.Context) error {
	heads, err := u.client.SubscribeHeads(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	r := &rounds{chain: u.client, subnet: u.plan.Subnet}
	if h, err := u.client.Head(ctx, chain.Hash{}); err == nil {
		if s, err := u.client.Subnet(ctx, h.Hash, u.plan.Subnet); err == nil {
			if p, err := u.client.Params(ctx); err == nil {
				r.next = p.EpochAt(h.Number, s.Slot) // earlier ones were reported by an earlier run
			}
		}
	}
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	silent := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case h, ok := <-heads:
			if !ok {
				return nil
			}
			silent = time.Now()
			done, err := u.onHead(ctx, r, h)
			if done || err != nil {
				return ended(ctx, err)
			}
		case <-look.C:
			u.checkChildren()
			u.poll(ctx)
			u.view.show(u.frame(time.Since(silent)))
		}
	}
}

// onHead takes in a new head; done is true when the wanted epochs are there.
func (u *up) onHead(ctx context.Context, r *rounds, h chain.Head) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now, settled, err := r.look(ctx, h)
	var gone *failure
	if errors.As(err, &gone) {
		return false, err
	}
	if err != nil {
		return false, nil // the chain is silent or behind; the next head tells
	}
	if s := now.Submission; u.first == 0 && s != nil && len(s.Attests) > 1 {
		u.first = time.Since(u.began)
		u.view.say("first attested proposal after %.1fs", u.first.Seconds())
	}
	u.latest = now
	if u.ready == 0 && u.allOnline() {
		u.ready = now.Epoch + 1
	}
	for _, x := range settled {
		u.results = append(u.results, x)
		if x.Consensus {
			u.good++
			u.bad = nil
			u.view.say("epoch %d: in consensus, node %d proposed, %d of %d attested", x.Epoch, x.Elected, x.Attests, x.Validators)
		} else {
			u.view.say("no consensus, %s", x.why())
			if u.ready != 0 && x.Epoch >= u.ready || time.Since(u.began) > setupTimeout {
				u.bad = append(u.bad, x)
			}
		}
		if u.flags.epochs > 0 && u.good >= u.flags.epochs {
			return true, nil
		}
		if len(u.bad) >= patience {
			var why []string
			for _, b := range u.bad {
				why = append(why, b.why())
			}
			return false, failf("the logs are in "+u.logs(), "no consensus in %d epochs in a row: %s", patience, strings.Join(why, "; "))
		}
	}
	return false, nil
}

// checkChildren reports processes that have died, once each.
func (u *up) checkChildren() {
	for _, c := range append([]*child{u.chain}, u.children...) {
		if !c.ended() || u.died[c] {
			continue
		}
		u.died[c] = true
		how := "ended"
		if c.err != nil {
			how = "died: " + c.err.Error()
		}
		u.view.say("%s (pid %d) %s; start it again with\n  %s", c.name, c.cmd.Process.Pid, how, c.commandLine())
		if w := c.lastWords(); w != "" && c.cmd.ProcessState.ExitCode() > 0 {
			u.view.say("%s said: %s", c.name, w)
		}
	}
}

func (u *up) allOnline() bool {
	if len(u.status) < u.plan.Nodes {
		return false
	}
	for _, s := range u.status {
		if s.Phase != mesh.PhaseOnline {
			return false
		}
	}
	return true
}

// stop ends all processes: nodes first, so that they can say so, then the bootnode, then the chain.
func (u *up) stop() error {
	results := make(chan error, len(u.children))
	for _, c := range u.children {
		go func() { results <- c.stop(stopGrace) }()
	}
	var errs []error
	for range u.children {
		errs = append(errs, <-results)
	}
	if u.client != nil {
		errs = append(errs, u.client.Close())
	}
	if u.chain != nil {
		errs = append(errs, u.chain.stop(stopGrace))
	}
	return errors.Join(errs...)
}

// summary is the JSON of --json.
type summary struct {
	Subnet chain.SubnetID `json:"subnet_id"`
	Epochs []epochResult  `json:"epochs"`
	Nodes  []nodeSummary  `json:"nodes"`
	First  float64        `json:"seconds_to_first_attested_epoch"`
	Dir    string         `json:"data_dir,omitempty"`
}

type nodeSummary struct {
	ID     chain.NodeID  `json:"node_id"`
	Peer   string        `json:"peer_id"`
	Before chain.Balance `json:"stake_before"`
	After  chain.Balance `json:"stake_after"`
}

func (u *up) summary() summary {
	s := summary{Subnet: u.plan.Subnet, Epochs: u.results, First: u.first.Seconds(), Dir: u.plan.dir, Nodes: []nodeSummary{}}
	if s.Epochs == nil {
		s.Epochs = []epochResult{}
	}
	for _, n := range u.latest.Nodes {
		s.Nodes = append(s.Nodes, nodeSummary{ID: n.ID, Peer: n.Peer.PeerID, Before: u.before[n.ID], After: n.Stake})
	}
	return s
}
