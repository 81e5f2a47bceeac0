package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// secretive is an App that commits and reveals in one epoch after the other. A liar reveals something else, and finds out that nobody
// takes it.
type secretive struct {
	Liveness
	node *Node
	lies bool

	mu     sync.Mutex      // guards the fields below
	epoch  uint32          // of reveal
	reveal dht.StoreResult // the last one
	events []string
}

func (s *secretive) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, text)
}

func (s *secretive) Start(_ context.Context, n *Node) error {
	s.node = n
	return nil
}

func (*secretive) PhaseRules() record.PhasesConfig {
	return record.PhasesConfig{Binding: &record.Binding{}, RevealUntil: 900}
}

func (s *secretive) Run(ctx context.Context) error {
	rules, last := s.PhaseRules(), uint32(0)
	for {
		p, err := s.node.AwaitEpoch(ctx, func(p record.Phase) bool { return p.Epoch > last && p.Progress >= 100 && rules.CommitsAt(p) })
		if err != nil {
			s.note("run ended")
			return err
		}
		last = p.Epoch
		salt, body := record.Salt{byte(last), byte(s.node.ID())}, fmt.Appendf(nil, "answer of %d", s.node.ID())
		commit := record.Commit(last, s.node.PeerID(), salt, body)
		if res := s.store(ctx, record.CommitKey(last), commit.Value()); !res.OK() {
			continue
		}
		if _, err := s.node.AwaitEpoch(ctx, func(p record.Phase) bool { return p.Progress >= 600 || p.Epoch != last }); err != nil {
			continue
		}
		if s.lies {
			body = []byte("what the others said")
		}
		res := s.store(ctx, record.RevealKey(last), record.RevealValue(salt, body))
		s.mu.Lock()
		s.epoch, s.reveal = last, res
		s.mu.Unlock()
	}
}

func (s *secretive) Stop(context.Context) error {
	s.note("stop")
	return nil
}

func (s *secretive) store(ctx context.Context, k record.Key, value []byte) dht.StoreResult {
	res, _ := s.node.DHT().Store(ctx, dht.StoreRequest{
		Key: k, Subkey: s.node.OwnSubkey(), Value: msgpack.Raw(value), Expiration: time.Now().Add(2 * s.node.EpochTime()),
	})
	return res
}

// TestCommitsAndReveals: an App of three nodes commits and reveals, all of them read the same, and the one that belies its commit is
// refused: by those that know the commit, and by those that read.
func TestCommitsAndReveals(t *testing.T) {
	var apps []*secretive
	s := newSwarm(t, 3, func() App {
		apps = append(apps, &secretive{lies: len(apps) == 2})
		return apps[len(apps)-1]
	})
	liar := apps[2]
	var epoch chain.Epoch
	eventually(t, "a lie is refused by all that know the App's rules, the liar's own node among them, and kept by the bootnode", func() bool {
		liar.mu.Lock()
		defer liar.mu.Unlock()
		epoch = chain.Epoch(liar.epoch)
		refused, kept := 0, false
		for _, a := range liar.reveal.Answers {
			kept = kept || a.OK && a.Peer == s.boot.PeerID()
			if a.Code == wire.CodeInvalid && a.Peer != s.boot.PeerID() {
				refused++
			}
		}
		return refused == 3 && kept
	})
	for name, reader := range map[string]*runner{"a node": s.nodes[0], "the bootnode": s.boot} { // which has only its reader's care
		var seen map[peer.ID][]byte
		eventually(t, "the others revealed in one epoch", func() bool {
			liar.mu.Lock()
			epoch = chain.Epoch(liar.epoch) // reveals do not live long
			liar.mu.Unlock()
			var err error
			if seen, err = reader.Revealed(t.Context(), epoch); err != nil {
				t.Fatal(err)
			}
			return len(seen) >= 2
		})
		for i, r := range s.nodes[:2] {
			if got := string(seen[r.PeerID()]); got != fmt.Sprintf("answer of %d", i+1) {
				t.Errorf("%s read that node %d revealed %q", name, i+1, got)
			}
		}
		if got, ok := seen[liar.node.PeerID()]; ok {
			t.Errorf("%s read that the liar revealed %q", name, got)
		}
	}
	before := s.nodes[1].Epoch()
	after, err := s.nodes[1].AwaitEpoch(t.Context(), func(p record.Phase) bool { return p.Epoch > before.Epoch })
	if err != nil || after.Epoch != before.Epoch+1 || after.Progress > 900 {
		t.Errorf("%v: %v after %v", err, after, before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := s.nodes[1].AwaitEpoch(ctx, func(record.Phase) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v after the end", p, err)
	}
	if d := s.nodes[1].EpochTime(); d < time.Second || d > 10*time.Second {
		t.Errorf("an epoch of %d blocks, one each 100 ms, takes %v", toyLength, d)
	}
	s.chain.set(func() { s.chain.nodes = slices.Delete(s.chain.nodes, 1, 2) })
	eventually(t, "the second node is no member any more", func() bool { return !slices.Contains(s.nodes[0].Members().Peers(), s.nodes[1].PeerID()) })
	if seen, err := s.nodes[0].Revealed(t.Context(), epoch); err != nil || seen[s.nodes[1].PeerID()] != nil {
		t.Errorf("what a stranger revealed is shown: %q, %v", seen, err)
	}
	s.nodes[0].end()
	if got := strings.Join(apps[0].events, ", "); got != "run ended, stop" {
		t.Errorf("the App saw %q", got)
	}
}

// failing is an App whose Run fails.
type failing struct{ Liveness }

var errFailing = errors.New("out of darts")

func (failing) Run(context.Context) error { return errFailing }

func TestFailingAppStopsTheNode(t *testing.T) {
	c := newToyChain()
	key, id := newKey(t)
	c.nodes = []chain.Node{{Subnet: toySubnet, ID: 1, Peer: chain.PeerAddr{PeerID: id}}}
	n, err := New(Config{Key: key, Subnet: toySubnet, Chain: c, Listen: loopbackAddr(), NewSwarm: true}, failing{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.Run(ctx); !errors.Is(err, errFailing) {
		t.Errorf("got %v", err)
	}
}

func TestBeforeStart(t *testing.T) {
	key, id := newKey(t)
	n, err := New(Config{Key: key, Subnet: toySubnet, Chain: newToyChain()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := n.Epoch(); p.Known || n.EpochTime() != 0 {
		t.Errorf("%v before it is started", p)
	}
	if _, err := n.AwaitEpoch(t.Context(), func(record.Phase) bool { return true }); err == nil {
		t.Error("an epoch before it is started")
	}
	if _, err := n.Revealed(t.Context(), 1); err == nil {
		t.Error("records before it is started")
	}
	packed, err := record.SubkeyOf(n.OwnSubkey())
	if err != nil {
		t.Fatal(err)
	}
	if owner, _, err := heartbeat.ParseSubkey(packed); err != nil || owner.String() != id {
		t.Errorf("the own subkey is of %v: %v", owner, err)
	}
}

// shelf is an App with a key of its own that only members write.
type shelf struct {
	Liveness
	err error
}

func (shelf) AllowKey(k record.Key) bool { return k == record.KeyOfText("shelf") }

func (s shelf) Validators(n *Node) ([]record.Validator, error) {
	return []record.Validator{n.MembersOnly(record.KeyOfText("shelf"))}, s.err
}

// TestRulesOfTheApp hold on bootnodes as on nodes.
func TestRulesOfTheApp(t *testing.T) {
	c := newToyChain()
	own, _ := newKey(t)
	member, id := newKey(t)
	stranger, _ := newKey(t)
	c.nodes = []chain.Node{{Subnet: toySubnet, ID: 1, Peer: chain.PeerAddr{PeerID: id}, Class: chain.ClassValidator}}
	rules := func(bootnode bool, app App) (record.Chain, error) {
		n, err := New(Config{Key: own, Subnet: toySubnet, Chain: c, Bootnode: bootnode}, app)
		if err != nil {
			t.Fatal(err)
		}
		n.chain = newChainView(c, c.params())
		n.subnet.Store(uint32(toySubnet))
		if err := n.prepareMembers(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n.validators()
	}
	q := record.Request{Kind: record.Post, Now: time.Now(), Phase: record.PhaseAt(3, 1, toyLength)}
	put := func(subkey any) record.Record {
		r := record.Record{Key: record.KeyOfText("shelf"), Value: []byte{1}, Expiration: record.ExpirationAt(q.Now.Add(time.Minute))}
		var err error
		if r.Subkey, err = record.SubkeyOf(subkey); err != nil {
			t.Fatal(err)
		}
		for _, key := range []*record.Signature{record.NewSignature(member, record.SignatureConfig{}), record.NewSignature(stranger, record.SignatureConfig{})} {
			if v, err := record.NewChain(key).Sign(r); err == nil && !bytes.Equal(v, r.Value) {
				r.Value = v
				break
			}
		}
		return r
	}
	for _, bootnode := range []bool{false, true} {
		with, err := rules(bootnode, shelf{})
		if err != nil {
			t.Fatal(err)
		}
		without, err := rules(bootnode, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			r  record.Record
			ok bool
		}{
			"a member's":   {put("a book" + record.OwnerMarker(member.GetPublic())), true},
			"a stranger's": {put("a book" + record.OwnerMarker(stranger.GetPublic())), false},
			"nobody's":     {put("a book"), false},
			"no subkey":    {put(nil), false},
		} {
			if err := with.Validate(tt.r, q); (err == nil) != tt.ok {
				t.Errorf("bootnode %v, %s record: %v", bootnode, name, err)
			}
			if err := without.Validate(tt.r, q); err == nil {
				t.Errorf("bootnode %v, %s record is taken without the App", bootnode, name)
			}
		}
		broken := errors.New("a shape that is none")
		if _, err := rules(bootnode, shelf{err: broken}); !errors.Is(err, broken) {
			t.Errorf("rules that cannot be made: %v", err)
		}
	}
}
