package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/transport/quicreuse.(*reuse).gc"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// runner runs one node of a test.
type runner struct {
	*Node
	t    *testing.T
	stop context.CancelFunc
	done chan error
}

func runNode(t *testing.T, cfg Config, app App) *runner {
	t.Helper()
	n, err := New(cfg, app)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{Node: n, t: t, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- n.Run(ctx) }()
	t.Cleanup(func() { r.end() })
	return r
}

func (r *runner) end() {
	r.stop()
	if r.done == nil {
		return
	}
	if err := <-r.done; err != nil {
		r.t.Errorf("%v: %v", r.PeerID(), err)
	}
	r.done = nil
}

func (r *runner) await(p Phase) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if err := r.Await(ctx, p); err != nil {
		r.t.Fatalf("%v is %+v: %v", r.PeerID(), r.Status(), err)
	}
}

// eventually polls a condition that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func loopbackAddr() []multiaddr.Multiaddr {
	return []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0")}
}

// swarm is a bootnode and n nodes on a toy chain.
type swarm struct {
	chain *toyChain
	boot  *runner
	nodes []*runner
	keys  []crypto.PrivKey
	dirs  []string
	app   func() App
}

func newSwarm(t *testing.T, n int, app func() App) *swarm {
	t.Helper()
	s := &swarm{chain: newToyChain(), app: app}
	key, id := newKey(t)
	s.chain.boots = []chain.PeerAddr{{PeerID: id}}
	for i := range n {
		k, id := newKey(t)
		s.keys = append(s.keys, k)
		s.dirs = append(s.dirs, t.TempDir())
		s.chain.nodes = append(s.chain.nodes, chain.Node{Subnet: toySubnet, ID: chain.NodeID(i + 1), Peer: chain.PeerAddr{PeerID: id}, Class: chain.ClassValidator})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.chain.run(ctx, 100*time.Millisecond) }()
	t.Cleanup(func() { cancel(); <-done })
	s.boot = runNode(t, Config{Key: key, Subnet: toySubnet, Bootnode: true, Chain: s.chain, Listen: loopbackAddr(), NewSwarm: true}, nil)
	s.boot.await(PhaseOnline)
	s.chain.set(func() { s.chain.boots[0].Multiaddr = s.boot.Host().Addrs()[0].Bytes() })
	for i := range n {
		s.nodes = append(s.nodes, s.start(t, i))
	}
	for _, r := range s.nodes {
		r.await(PhaseOnline)
	}
	return s
}

func (s *swarm) start(t *testing.T, i int) *runner {
	t.Helper()
	var app App
	if s.app != nil {
		app = s.app()
	}
	return runNode(t, Config{
		Key: s.keys[i], Subnet: toySubnet, Chain: s.chain, Writer: s.chain, Listen: loopbackAddr(), DataDir: s.dirs[i], Status: "127.0.0.1:0",
	}, app)
}

// settled counts the epochs from e on that have n attestations.
func (s *swarm) settled(e chain.Epoch, n int) int {
	s.chain.mu.Lock()
	defer s.chain.mu.Unlock()
	count := 0
	for epoch, sub := range s.chain.subs {
		if epoch >= e && len(sub.Attests) >= n {
			count++
		}
	}
	return count
}

func (s *swarm) now() chain.Epoch {
	s.chain.mu.Lock()
	defer s.chain.mu.Unlock()
	return s.chain.epoch()
}

// TestSubnetLives runs a subnet in one process: it reaches consensus, survives the death of a node and silence of the chain.
func TestSubnetLives(t *testing.T) {
	s := newSwarm(t, 4, nil)
	first := s.now() + 1
	eventually(t, "an epoch in consensus of all", func() bool { return s.settled(first, 4) >= 1 })
	var st Status
	eventually(t, "the first node sees all others", func() bool {
		st = s.nodes[0].Status()
		return st.Peers == 4 && st.Alive == 4
	})
	if st.Phase != PhaseOnline || st.NodeID != 1 || st.Members != 5 {
		t.Errorf("status %+v", st)
	}
	served := readServedStatus(t, s.dirs[0])
	if served.PeerID != st.PeerID {
		t.Errorf("served status is of %s", served.PeerID)
	}

	s.nodes[3].end() // leaves in order: says OFFLINE
	eventually(t, "the others notice", func() bool { return s.nodes[0].Status().Alive == 3 })
	next := s.now() + 1
	eventually(t, "consensus of the rest, without the one that left", func() bool {
		s.chain.mu.Lock()
		defer s.chain.mu.Unlock()
		for e, sub := range s.chain.subs {
			if e >= next && len(sub.Attests) == 3 && len(sub.Scores) == 3 {
				return true
			}
		}
		return false
	})

	s.nodes[3] = s.start(t, 3)
	s.nodes[3].await(PhaseOnline)
	next = s.now() + 1
	eventually(t, "consensus of all after its return", func() bool { return s.settled(next, 4) >= 1 })

	for _, r := range s.nodes {
		eventually(t, "all are connected", func() bool { return r.Status().Peers >= 4 })
	}
	s.chain.set(func() { s.chain.silent = true })
	eventually(t, "the silence is noticed", func() bool { return s.nodes[0].Status().ChainSilent })
	for _, r := range s.nodes {
		if got := r.Status().Peers; got < 4 {
			t.Errorf("%d peers while the chain is silent", got)
		}
	}
	s.chain.set(func() { s.chain.silent = false })
	next = s.now() + 1
	eventually(t, "consensus after the silence", func() bool { return s.settled(next, 4) >= 1 })
}

func readServedStatus(t *testing.T, dir string) Status {
	t.Helper()
	addr, err := os.ReadFile(filepath.Join(dir, StatusFile))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+string(addr)+"/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// echo is an App with a method; it scores whoever echoes.
type echo struct {
	node *Node
	deaf bool
}

func (a *echo) Start(_ context.Context, n *Node) error {
	a.node = n
	n.Handle("Echo.say", func(_ context.Context, r *rpc.Request) ([]byte, error) {
		if a.deaf {
			return nil, rpc.Errorf(rpc.Unavailable, "no")
		}
		return append([]byte(r.Peer.String()+" "), r.Data...), nil
	})
	return nil
}

func (a *echo) Score(ctx context.Context, r Round) (Opinion, error) {
	return r.ScoreEach(ctx, func(ctx context.Context, p Peer) (chain.Score, error) {
		b, err := a.node.Call(ctx, p.PeerID, "Echo.say", []byte("hi"))
		if err != nil || string(b) != a.node.PeerID().String()+" hi" {
			return chain.Score{}, fmt.Errorf("said %q: %w", b, err)
		}
		return chain.Tensor(uint64(p.ID)), nil
	})
}

// TestAppScores runs an App on three nodes, one of which does not answer.
func TestAppScores(t *testing.T) {
	apps := 0
	s := newSwarm(t, 3, func() App { apps++; return &echo{deaf: apps == 3} })
	first := s.now() + 1
	eventually(t, "an epoch in consensus of all", func() bool { return s.settled(first, 3) >= 1 })
	s.chain.mu.Lock()
	defer s.chain.mu.Unlock()
	for e, sub := range s.chain.subs {
		if e < first || len(sub.Attests) < 3 {
			continue
		}
		if len(sub.Scores) != 2 || sub.Scores[0].Score != chain.Tensor(1) || sub.Scores[1].Score != chain.Tensor(2) {
			t.Errorf("epoch %d: scores %v", e, sub.Scores)
		}
	}
}

// TestRemovedNodeLosesItsPeers: what the chain no longer lists is refused with the next block.
func TestRemovedNodeLosesItsPeers(t *testing.T) {
	s := newSwarm(t, 4, nil)
	eventually(t, "everybody is connected", func() bool { return s.nodes[0].Status().Peers == 4 })
	gone := s.nodes[3].PeerID()
	s.chain.set(func() { s.chain.nodes = s.chain.nodes[:3] })
	eventually(t, "it is disconnected", func() bool {
		return !s.nodes[0].Host().Connected(gone) && !s.nodes[1].Host().Connected(gone) && !s.boot.Host().Connected(gone)
	})
	stranger, err := p2p.New(p2p.Config{Key: s.keys[3], Listen: loopbackAddr()})
	if err == nil {
		defer stranger.Close()
		target := s.nodes[0].Host().AddrInfo()
		if err := stranger.Connect(t.Context(), peer.AddrInfo{ID: target.ID, Addrs: target.Addrs}); err == nil {
			eventually(t, "the stranger is dropped", func() bool { return !stranger.Connected(target.ID) })
		}
	}
	eventually(t, "the refusal is explained", func() bool {
		for _, r := range s.nodes[0].Status().Refusals {
			if strings.HasPrefix(r.Reason, "not registered") && strings.Contains(r.Detail, "128001") {
				return true
			}
		}
		return false
	})
}

func TestWaitsForRegistrationAndStartEpoch(t *testing.T) {
	s := newSwarm(t, 3, nil)
	key, id := newKey(t)
	late := runNode(t, Config{Key: key, Subnet: toySubnet, Chain: s.chain, Listen: loopbackAddr()}, nil)
	late.await(PhaseRegistration)
	if d := s.nodes[0].Members().Admit(late.PeerID()); d.OK {
		t.Error("admitted before it is registered")
	}
	start := s.now() + 2 // the next one may begin at once
	s.chain.set(func() {
		s.chain.nodes = append(s.chain.nodes, chain.Node{Subnet: toySubnet, ID: 4, Peer: chain.PeerAddr{PeerID: id}, StartEpoch: start})
	})
	late.await(PhaseStart)
	late.await(PhaseOnline)
	if e := s.now(); e < start {
		t.Errorf("online in epoch %d, before %d", e, start)
	}
	if late.ID() != 4 {
		t.Errorf("node ID %d", late.ID())
	}
}

func TestStartErrors(t *testing.T) {
	key, id := newKey(t)
	c := newToyChain()
	c.nodes = []chain.Node{{Subnet: toySubnet, ID: 1, Peer: chain.PeerAddr{PeerID: id}}}
	taken := runNode(t, Config{Key: key, Subnet: toySubnet, Chain: c, Listen: loopbackAddr(), Bootnode: true, NewSwarm: true}, nil)
	taken.await(PhaseOnline)
	port := taken.Host().Addrs()[0]
	addr, _ := peer.SplitAddr(port)
	dir := t.TempDir()
	unlock, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unlock(); err != nil {
			t.Error(err)
		}
	}()
	for name, x := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"unknown subnet":   {func(c *Config) { c.Subnet = 9 }, ErrSubnetUnknown},
		"folder in use":    {func(c *Config) { c.DataDir = dir }, ErrFolderInUse},
		"address in use":   {func(c *Config) { c.Listen = []multiaddr.Multiaddr{addr} }, ErrAddressInUse},
		"no chain":         {func(c *Config) { c.Chain, c.Endpoints = nil, []string{"ws://127.0.0.1:1"} }, ErrChainUnreachable},
		"status in use":    {func(c *Config) { c.Status, c.DataDir = statusInUse(t), t.TempDir() }, ErrAddressInUse},
		"wrong hotkey":     {func(c *Config) { c.Hotkey, c.DataDir = wrongHotkey{}, t.TempDir() }, ErrHotkeyMismatch},
		"journal is wrong": {func(c *Config) { c.Writer = c.Chain.(*toyChain); c.DataDir = brokenJournal(t) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Key: key, Subnet: toySubnet, Chain: c, Listen: loopbackAddr(), NewSwarm: true}
			x.change(&cfg)
			n, err := New(cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err = n.Run(ctx)
			var start *StartError
			if !errors.As(err, &start) || x.want != nil && !errors.Is(err, x.want) {
				t.Fatalf("got %v", err)
			}
			if start.Next == "" || strings.Contains(start.Error(), "\n") {
				t.Errorf("not what, why and what next: %+v", start)
			}
		})
	}
}

// TestHeartbeatSaysRelayed shows the others, and frontends, that a node can be reached through a relay only.
func TestHeartbeatSaysRelayed(t *testing.T) {
	s := newSwarm(t, 2, nil)
	relayed := func(i int) (yes, found bool) {
		v, err := s.nodes[0].DHT().Get(t.Context(), heartbeat.Key(), dht.Latest(), dht.NoCache())
		if err != nil {
			return false, false
		}
		var d record.Dictionary
		for _, e := range v.Entries {
			d.Entries = append(d.Entries, record.Entry{Subkey: e.Subkey, Value: e.Raw, Expiration: e.Expiration})
		}
		list, _ := heartbeat.List(d)
		for _, at := range list {
			if at.Peer == s.nodes[i].PeerID() {
				return at.Info.UsingRelay, true
			}
		}
		return false, false
	}
	eventually(t, "a heartbeat of the first node", func() bool { yes, found := relayed(0); return found && !yes })
	s.nodes[1].end()
	s.nodes[1] = runNode(t, Config{
		Key: s.keys[1], Subnet: toySubnet, Chain: s.chain, Writer: s.chain, Listen: loopbackAddr(), DataDir: s.dirs[1], Reachability: p2p.ReachabilityPrivate,
	}, nil)
	eventually(t, "a heartbeat that says that its node is behind a relay", func() bool { yes, _ := relayed(1); return yes })
}
