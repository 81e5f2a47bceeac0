package stake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// person makes a peer ID of a number.
func person(n int) peer.ID {
	// an identity multihash of an Ed25519 public key
	return peer.ID(fmt.Sprintf("\x00\x24\x08\x01\x12\x20%032d", n))
}

func addr(n int) chain.PeerAddr { return chain.PeerAddr{PeerID: person(n).String()} }

func node(n int, c chain.Class) chain.Node {
	return chain.Node{ID: chain.NodeID(n), Peer: addr(n), Class: c, Stake: chain.Tensor(100)}
}

// chainTwin is a chain that a test scripts.
type chainTwin struct {
	heads chan chain.Head

	mu    sync.Mutex // guards the fields below
	sub   chain.Subnet
	nodes []chain.Node
	err   error
	hang  bool
}

func newTwin(nodes ...chain.Node) *chainTwin {
	return &chainTwin{
		heads: make(chan chain.Head, 1), nodes: nodes,
		sub: chain.Subnet{ID: 7, Slot: 3, State: chain.SubnetActive, MinStake: chain.Tensor(100), Bootnodes: []chain.PeerAddr{addr(900), {PeerID: "12D3KooWnonsense"}}},
	}
}

func (c *chainTwin) SubscribeHeads(ctx context.Context) (<-chan chain.Head, error) {
	return c.heads, nil
}

func (c *chainTwin) Params(context.Context) (chain.Params, error) {
	return chain.Params{EpochLength: 20}, nil
}

func (c *chainTwin) Subnet(ctx context.Context, _ chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	c.mu.Lock()
	hang, sub, err := c.hang, c.sub, c.err
	c.mu.Unlock()
	if hang {
		<-ctx.Done()
		return chain.Subnet{}, ctx.Err()
	}
	if id != sub.ID {
		return chain.Subnet{}, chain.ErrNotFound
	}
	return sub, err
}

func (c *chainTwin) Nodes(context.Context, chain.Hash, chain.SubnetID) ([]chain.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes, c.err
}

func (c *chainTwin) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func newSet(t *testing.T, cfg Config, c Reader) *Set {
	t.Helper()
	cfg.Subnet = 7
	s, err := New(cfg, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func refresh(t *testing.T, s *Set, block int) {
	t.Helper()
	if err := s.Refresh(t.Context(), chain.Head{Number: chain.BlockNumber(block)}); err != nil {
		t.Fatal(err)
	}
}

func TestAdmitByStake(t *testing.T) {
	poor, early, idle, three := node(2, 3), node(3, 3), node(4, 0), node(5, 3)
	poor.Stake = chain.Tensor(99)
	early.StartEpoch = 2
	boot, client := addr(51), addr(52)
	three.Bootnode, three.Client = &boot, &client
	broken := node(6, 3)
	broken.Peer.PeerID = strings.Repeat("1", 129)
	s := newSet(t, Config{Rule: Rule{MinClass: chain.ClassIdle}}, newTwin(node(1, 3), poor, early, idle, three, broken))
	if d := s.Admit(person(1)); d.OK || d.Reason != ReasonUnknown {
		t.Errorf("before the first block: %+v", d)
	}
	refresh(t, s, 23)
	for who, want := range map[int]string{
		1: "", 5: "", 51: "", 52: "", 900: "", 2: ReasonStake, 3: ReasonEarly, 4: ReasonClass, 6: ReasonStranger, 1000: ReasonStranger,
	} {
		d := s.Admit(person(who))
		if d.OK != (want == "") || d.Reason != want {
			t.Errorf("peer %d: %+v, want reason %q", who, d, want)
		}
		if m, ok := s.Snapshot().Member(person(who)); ok != d.OK {
			t.Errorf("peer %d: member %+v %v", who, m, ok)
		}
	}
	for who, want := range map[int]string{
		1: "node 1 of subnet 7, validator", 51: "bootnode of node 5 of subnet 7, validator", 52: "client of node 5 of subnet 7, validator",
		900: "official bootnode of subnet 7", 2: "node 2 has 99 TENSOR at stake, 100 TENSOR is wanted", 3: "node 3 starts in epoch 2, now is 1",
		4: "node 4 is registered, idle is wanted", 1000: "not registered in this subnet 7, block 23",
	} {
		if got := s.Snapshot().Explain(person(who)); got != want {
			t.Errorf("peer %d: %q, want %q", who, got, want)
		}
	}
	if n := s.Snapshot().Len(); n != 5 || len(s.Snapshot().Peers()) != n {
		t.Errorf("%d members", n)
	}
	refresh(t, s, 43)
	if !s.Admit(person(3)).OK {
		t.Error("node 3 is refused in its start epoch")
	}
}

// TestChainSilent: members stay, strangers are refused, for half an hour of errors and of hanging reads.
func TestChainSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nodes []chain.Node
		for i := range 20 {
			nodes = append(nodes, node(i+1, 3))
		}
		c := newTwin(nodes...)
		s := newSet(t, Config{}, c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		c.heads <- chain.Head{Number: 23}
		synctest.Wait()
		for minute := range 30 {
			c.set(func() {
				c.hang = minute%2 == 0
				c.err = errors.Join(chain.ErrUnavailable)
			})
			c.heads <- chain.Head{Number: chain.BlockNumber(24 + minute)}
			time.Sleep(time.Minute)
			synctest.Wait()
			for i := range 20 {
				if !s.Admit(person(i + 1)).OK {
					t.Fatalf("minute %d: member %d is refused", minute, i+1)
				}
			}
			if s.Admit(person(30)).OK {
				t.Fatalf("minute %d: a stranger is admitted", minute)
			}
		}
		if h := s.Health(); h.Err == nil || h.Block != 23 {
			t.Errorf("health %+v", h)
		}
		c.set(func() { c.err, c.hang, c.nodes = nil, false, append(nodes[2:19:19], node(30, 3)) })
		c.heads <- chain.Head{Number: 60}
		synctest.Wait()
		if s.Admit(person(2)).OK || !s.Admit(person(30)).OK {
			t.Error("the first block after the silence was not believed")
		}
		if h := s.Health(); h.Err != nil || h.Block != 60 {
			t.Errorf("health %+v", h)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRemovedNodeIsRefusedAtOnce(t *testing.T) {
	c := newTwin(node(1, 3), node(2, 3), node(3, 3))
	var changes []int
	s := newSet(t, Config{OnChange: func(before, now *Snapshot) { changes = append(changes, before.Len(), now.Len()) }}, c)
	refresh(t, s, 23)
	c.nodes = c.nodes[:2]
	refresh(t, s, 24)
	if d := s.Admit(person(3)); d.OK {
		t.Error("still admitted")
	}
	refresh(t, s, 25)
	if fmt.Sprint(changes) != "[0 4 4 3]" {
		t.Errorf("changes %v", changes)
	}
}

// TestLyingChain: an endpoint that shows an empty subnet, or none, or only strangers, is not believed at once.
func TestLyingChain(t *testing.T) {
	for name, lie := range map[string]func(*chainTwin){
		"empty": func(c *chainTwin) { c.nodes, c.sub.Bootnodes = nil, nil },
		"gone":  func(c *chainTwin) { c.sub.ID = 8 },
		"strangers": func(c *chainTwin) {
			c.nodes, c.sub.Bootnodes = []chain.Node{node(11, 3), node(12, 3), node(13, 3)}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTwin(node(1, 3), node(2, 3), node(3, 3))
			s := newSet(t, Config{ConfirmHeads: 5}, c)
			refresh(t, s, 23)
			nodes, sub := c.nodes, c.sub
			lie(c)
			for i := range 5 {
				refresh(t, s, 24+i)
			}
			if !s.Admit(person(1)).OK || s.Admit(person(11)).OK || s.Health().Doubted != 5 {
				t.Errorf("the lie was believed: %+v", s.Health())
			}
			c.nodes, c.sub = nodes, sub
			refresh(t, s, 29)
			if s.Health().Doubted != 0 {
				t.Error("doubts outlive the lie")
			}
			lie(c)
			for i := range 6 {
				refresh(t, s, 30+i)
			}
			if s.Admit(person(1)).OK {
				t.Error("not believed although confirmed")
			}
		})
	}
}

func TestFileSurvivesRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "members.json")
	c := newTwin(node(1, 3), node(2, 3))
	refresh(t, newSet(t, Config{File: path}, c), 23)
	s := newSet(t, Config{File: path}, c) // the chain is down: nothing is refreshed
	if !s.Admit(person(1)).OK || s.Admit(person(3)).OK || s.Snapshot().At.Number != 23 {
		t.Errorf("after a restart: %v", s.Snapshot().Peers())
	}
	if other, err := New(Config{Subnet: 8, File: path}, c); err != nil || other.Snapshot() != nil {
		t.Errorf("another subnet's file was used: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"subnet":7,"members":{"x":{}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Subnet: 7, File: path}, c); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	for name, c := range map[string]Config{
		"subnet": {}, "class": {Subnet: 1, Rule: Rule{MinClass: 4}}, "heads": {Subnet: 1, ConfirmHeads: -1}, "timeout": {Subnet: 1, ReadTimeout: -1},
	} {
		if _, err := New(c, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func manyMembers(tb testing.TB) *Set {
	tb.Helper()
	var nodes []chain.Node
	for i := range 512 {
		nodes = append(nodes, node(i, 3))
	}
	s, err := New(Config{Subnet: 7}, newTwin(nodes...))
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Refresh(tb.Context(), chain.Head{Number: 23}); err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestAdmitDoesNotAllocate(t *testing.T) {
	s := manyMembers(t)
	member, stranger := person(5), person(5000)
	if n := testing.AllocsPerRun(1000, func() { s.Admit(member); s.Admit(stranger) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	s := manyMembers(b)
	member, stranger := person(5), person(5000)
	b.ReportAllocs()
	for b.Loop() {
		s.Admit(member)
		s.Admit(stranger)
	}
}

func FuzzDecodeFile(f *testing.F) {
	f.Add([]byte(`{"subnet":7,"members":{"12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB":{"node":1,"kind":0,"class":3}}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if m, err := decodeFile(b); err == nil {
			m.Peers()
			m.Admit("x")
		}
	})
}

func ExampleSet() {
	s, err := New(Config{Subnet: 7}, newTwin(node(1, chain.ClassValidator)))
	if err != nil {
		panic(err)
	}
	if err := s.Refresh(context.Background(), chain.Head{Number: 23}); err != nil {
		panic(err)
	}
	fmt.Println(s.Admit(person(1)).OK, s.Admit(person(2)).Reason)
	// Output: true not registered in this subnet
}

// TestLowerHeads: a short step back brings no removed node back; a chain that was rolled back is followed after a few heads.
func TestLowerHeads(t *testing.T) {
	c := newTwin(node(1, 3), node(2, 3), node(3, 3))
	s := newSet(t, Config{}, c)
	refresh(t, s, 100)
	c.set(func() { c.nodes = c.nodes[:2] })
	refresh(t, s, 101)
	c.set(func() { c.nodes = c.nodes[:3] })
	for range 5 { // two endpoints, of which one lags
		for block := range rollbackHeads {
			refresh(t, s, 90+block)
		}
		if s.Admit(person(3)).OK || s.Health().Doubted != rollbackHeads {
			t.Fatal("a block from before brought a removed node back")
		}
		c.set(func() { c.nodes = c.nodes[:2] })
		refresh(t, s, 101) // the same height, perhaps another block
		c.set(func() { c.nodes = c.nodes[:3] })
	}
	for block := range rollbackHeads + 1 {
		refresh(t, s, 5+block)
	}
	if got := s.Snapshot().At.Number; !s.Admit(person(3)).OK || got != 5+rollbackHeads {
		t.Errorf("the chain that was rolled back is not followed: in force is block %d", got)
	}
}
