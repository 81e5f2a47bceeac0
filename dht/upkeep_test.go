package dht_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// nearestFirst sorts members by their distance from a key.
func nearestFirst(m []*member, key record.Key) []*member {
	m = slices.Clone(m)
	slices.SortFunc(m, func(a, b *member) int { return kad.CompareDistance(kad.ID(key), a.ID(), b.ID()) })
	return m
}

// TestNewcomerReceivesItsRecords hands records over to a node that is nearer to their keys than their holders.
func TestNewcomerReceivesItsRecords(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 2
	m := swarm(t, 4, cfg)
	settle(t, m)
	ctx := testContext(t)
	expiration := in(time.Minute)
	var reqs []dht.StoreRequest
	for i := range 60 {
		key := record.KeyOfText(fmt.Sprint("key", i))
		reqs = append(reqs, dht.StoreRequest{Key: key, Value: i, Expiration: expiration}, dht.StoreRequest{Key: record.KeyOfText(fmt.Sprint("dict", i)), Subkey: i, Value: i, Expiration: expiration})
	}
	for _, res := range m[0].StoreMany(ctx, reqs) {
		if res.Accepted != 2 {
			t.Fatalf("%+v", res)
		}
	}
	late := launch(t, withBootstrap(cfg, m[0]))
	waitReady(t, late)
	all := append(slices.Clone(m), late)
	settle(t, all)
	due := 0
	for _, req := range reqs {
		if order := nearestFirst(all, req.Key); order[0] == late || order[1] == late {
			due++
		}
	}
	if due == 0 {
		t.Skip("the newcomer's ID is near no key")
	}
	eventually(t, "the newcomer has its records", func() bool { return late.Stats().Records >= due })
	for _, req := range reqs {
		if order := nearestFirst(all, req.Key); order[0] == late && !new(stranger).peek(late, req.Key) {
			t.Errorf("%v was not handed over", req.Key)
		}
	}
}

// TestLeavingHandsOver gives the records of a node that leaves in order to those that take its place.
func TestLeavingHandsOver(t *testing.T) {
	cfg := quiet()
	cfg.Replicas, cfg.LeaveTimeout = 1, 5*time.Second // one copy: whoever leaves without a word loses it
	m := swarm(t, 5, cfg)
	settle(t, m)
	ctx := testContext(t)
	var keys []record.Key
	for i := range 50 {
		key := record.KeyOfText(fmt.Sprint("key", i))
		keys = append(keys, key)
		if _, err := m[i%5].Store(ctx, dht.StoreRequest{Key: key, Value: i, Expiration: in(time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	m[3].end()
	m[4].end()
	for i, key := range keys {
		if v, err := m[i%3].Get(ctx, key, dht.Latest()); err != nil || must(v.Decode()) != int64(i) {
			t.Errorf("key %d: %v", i, err)
		}
	}
}

// TestRepublishing restores the number of copies after holders died without a word.
func TestRepublishing(t *testing.T) {
	cfg := quiet()
	cfg.Replicas, cfg.RepublishInterval = 3, 400*time.Millisecond
	cfg.CheckInterval, cfg.CallTimeout = 50*time.Millisecond, 2*time.Second
	m := swarm(t, 7, cfg)
	settle(t, m)
	ctx := testContext(t)
	key := record.KeyOfText("key")
	if _, err := m[0].Store(ctx, dht.StoreRequest{Key: key, Value: 1, Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	order := nearestFirst(m, key)
	order[1].end()
	order[2].end()
	rest := []*member{order[0], order[3], order[4], order[5], order[6]}
	eventually(t, "three copies again", func() bool { return copies(rest, key) >= 3 })
}

// TestJoinIsRetried starts a node before its bootstrap peer exists.
func TestJoinIsRetried(t *testing.T) {
	place := newStranger(t) // an address where nobody serves the DHT yet
	info := place.info()
	cfg := quiet()
	cfg.CallTimeout = 300 * time.Millisecond
	cfg.Bootstrap = []peer.AddrInfo{info}
	early := launch(t, cfg)
	eventually(t, "a first attempt fails", func() bool { return early.Stats().BootstrapsFailed > 0 })
	if err := early.Bootstrap(testContext(t)); !errors.Is(err, dht.ErrBootstrap) {
		t.Errorf("bootstrap: %v", err)
	}
	select {
	case <-early.Ready():
		t.Fatal("ready without anybody")
	default:
	}
	node, err := dht.New(place.Calls, quiet()) // now somebody does
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	waitReady(t, early)
	if !early.knows(info.ID) {
		t.Error("ready without its bootstrap peer in the table")
	}
}

// wall lets tests cut a swarm into parts that do not reach each other.
type wall struct {
	mu   sync.Mutex
	side map[peer.ID]int // peers without an entry are on every side
}

func (w *wall) gate(self *peer.ID) p2p.Gate {
	return p2p.GateFunc(func(p peer.ID) p2p.Decision {
		w.mu.Lock()
		defer w.mu.Unlock()
		a, ok := w.side[*self]
		b, other := w.side[p]
		if ok && other && a != b {
			return p2p.Decision{Reason: "behind the wall"}
		}
		return p2p.Decision{OK: true}
	})
}

func (w *wall) set(m []*member, side func(i int) int) {
	w.mu.Lock()
	clear(w.side)
	for i, x := range m {
		if s := side(i); s >= 0 {
			w.side[x.Host.ID()] = s
		}
	}
	w.mu.Unlock()
	for _, x := range m {
		x.Host.EnforceGate()
	}
}

// TestPartitionHeals cuts a swarm in half while both halves write, and joins it again: the freshest value is everywhere,
// and nothing that expired meanwhile comes back.
func TestPartitionHeals(t *testing.T) {
	w := &wall{side: map[peer.ID]int{}}
	cfg := quiet()
	cfg.CallTimeout, cfg.CheckInterval = 2*time.Second, 50*time.Millisecond
	cfg.MergeInterval, cfg.RepublishInterval, cfg.RefreshInterval = 200*time.Millisecond, 500*time.Millisecond, time.Second
	cfg.BackoffBase, cfg.BackoffMax, cfg.Replicas = 100*time.Millisecond, 500*time.Millisecond, 4
	m := make([]*member, 0, 8)
	for i := range 8 {
		c := cfg
		if i > 0 {
			c = withBootstrap(c, m[0])
		}
		var self peer.ID
		x := launch(t, c, func(pc *p2p.Config, _ *rpc.Config) {
			self, _ = peer.IDFromPrivateKey(pc.Key)
			pc.Gate = w.gate(&self)
		})
		waitReady(t, x)
		m = append(m, x)
	}
	settle(t, m)
	ctx := testContext(t)
	put := func(x *member, name string, value string, e time.Time) {
		t.Helper()
		if _, err := x.Store(ctx, dht.StoreRequest{Key: record.KeyOfText(name), Value: value, Expiration: e}); err != nil {
			t.Fatal(err)
		}
	}
	short := in(4 * time.Second)
	put(m[0], "short", "short", short)
	put(m[0], "common", "before", in(time.Minute))

	w.set(m, func(i int) int { return i % 2 })
	eventually(t, "the halves lose each other", func() bool {
		for i, x := range m {
			for j, y := range m {
				if i%2 != j%2 && x.knows(y.Host.ID()) {
					return false
				}
			}
		}
		return true
	})
	put(m[2], "common", "left", in(2*time.Minute))
	put(m[3], "common", "right", in(3*time.Minute))
	put(m[2], "only left", "left", in(time.Minute))
	put(m[3], "only right", "right", in(time.Minute))
	if v, err := m[0].Get(ctx, record.KeyOfText("common"), dht.Latest()); err != nil || must(v.Decode()) != "left" {
		t.Fatalf("left of the wall: %v", err)
	}

	w.set(m, func(int) int { return -1 })
	settle(t, m)
	want := map[string]string{"common": "right", "only left": "left", "only right": "right"}
	for i, x := range m {
		for name, value := range want {
			eventually(t, fmt.Sprintf("node %d reads %q for %q", i, value, name), func() bool {
				v, err := x.Get(ctx, record.KeyOfText(name), dht.Latest())
				return err == nil && must(v.Decode()) == value
			})
		}
	}
	eventually(t, "the short one expires", func() bool { return time.Now().After(short) })
	for i, x := range m {
		if _, err := x.Get(ctx, record.KeyOfText("short"), dht.Latest()); !errors.Is(err, dht.ErrNotFound) {
			t.Errorf("node %d: an expired value came back: %v", i, err)
		}
	}
}

// TestChurn replaces node after node, half of them without a word, while others write and read: nothing acknowledged is
// lost.
func TestChurn(t *testing.T) {
	cfg := quiet()
	cfg.CallTimeout, cfg.CheckInterval = 2*time.Second, 100*time.Millisecond
	cfg.RepublishInterval, cfg.Replicas, cfg.LeaveTimeout = 700*time.Millisecond, 6, time.Second
	m := swarm(t, 12, cfg)
	settle(t, m)
	ctx := testContext(t)
	var keys []record.Key
	lost, reads := 0, 0
	rounds := 14
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		for i := range 5 {
			key := record.KeyOfText(fmt.Sprint(round, " ", i))
			keys = append(keys, key)
			if _, err := m[1+(round+i)%11].Store(ctx, dht.StoreRequest{Key: key, Value: len(keys), Expiration: in(time.Minute)}); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
		victim := 1 + round%11
		if round%2 == 0 {
			_ = m[victim].Host.Close() // no goodbye
		}
		m[victim].end()
		m[victim] = launch(t, withBootstrap(cfg, m[0]))
		waitReady(t, m[victim])
		for i, key := range keys {
			reads++
			if v, err := m[(round+i)%12].Get(ctx, key, dht.Latest()); err != nil || must(v.Decode()) != int64(i+1) {
				lost++
				t.Logf("round %d, key %d: %v", round, i, err)
			}
		}
	}
	if lost*100 > reads {
		t.Errorf("%d of %d reads failed, want at most 1 %%", lost, reads)
	}
}

// TestMetamorphic performs the same operations under every combination of transport, paths and cache: the answers are the
// same.
func TestMetamorphic(t *testing.T) {
	type outcome struct {
		Stored bool
		Value  any
		Subs   map[string]any
	}
	perform := func(t *testing.T, m []*member) []outcome {
		ctx := testContext(t)
		var got []outcome
		base := time.Now().Add(time.Minute).Truncate(time.Second)
		for step := range 120 {
			x := m[(step*5+step/7)%len(m)]
			key := record.KeyOfText(fmt.Sprint("key", step*7%13))
			var o outcome
			switch step % 4 {
			case 0: // newer and older versions in turn
				age := time.Duration(step*31%50) * time.Second
				res, _ := x.Store(ctx, dht.StoreRequest{Key: key, Value: step, Expiration: base.Add(age)})
				o.Stored = res.OK()
			case 1:
				res, _ := x.Store(ctx, dht.StoreRequest{Key: record.KeyOfText(fmt.Sprint("dict", step%5)), Subkey: fmt.Sprint(step % 6), Value: step, Expiration: base.Add(time.Duration(step*17%40) * time.Second)})
				o.Stored = res.OK()
			case 2:
				if v, err := x.Get(ctx, key, dht.Latest()); err == nil {
					o.Value = must(v.Decode())
				}
			case 3:
				if v, err := x.Get(ctx, record.KeyOfText(fmt.Sprint("dict", step%5)), dht.Latest()); err == nil {
					o.Subs = map[string]any{}
					for _, e := range v.Entries {
						o.Subs[must(e.DecodeSubkey()).(string)] = must(e.Decode())
					}
				}
			}
			got = append(got, o)
		}
		return got
	}
	var first []outcome
	for _, transport := range []string{loopback, "/ip4/127.0.0.1/udp/0/quic-v1"} {
		for _, paths := range []int{1, 4} {
			for _, cache := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s paths %d cache %v", transport[15:18], paths, cache), func(t *testing.T) {
					cfg := quiet()
					if cache {
						cfg = dht.Config{LeaveTimeout: -1}
					}
					cfg.Paths, cfg.Replicas = paths, 4
					m := swarm(t, 6, cfg, func(pc *p2p.Config, _ *rpc.Config) { pc.Listen = listen(t, transport) })
					settle(t, m)
					got := perform(t, m)
					if first == nil {
						first = got
					}
					if d := cmp.Diff(first, got); d != "" {
						t.Errorf("other answers than under the first configuration:\n%s", d)
					}
				})
			}
		}
	}
}

// TestTraceShowsEveryHop and how it ended.
func TestTraceShowsEveryHop(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 2
	m := swarm(t, 8, cfg)
	settle(t, m)
	ctx := testContext(t)
	key := record.KeyOfText("key")
	if _, err := m[0].Store(ctx, dht.StoreRequest{Key: key, Value: "v", Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	r, err := m[3].Trace(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if r.Value == nil || must(r.Value.Decode()) != "v" || (r.Stats.Reason != kad.StopConverged && r.Stats.Reason != kad.StopExhausted) || len(r.Steps) != 7 || r.Took <= 0 {
		t.Errorf("%+v", r)
	}
	found := 0
	for _, s := range r.Steps {
		if !s.Answered || s.Err != "" || s.Ended.Before(s.Asked) {
			t.Errorf("step %+v", s)
		}
		if s.Found {
			found++
		}
	}
	if found == 0 {
		t.Error("no step found the value")
	}
}

// TestCrawlSeesTheSwarm from any node, also through members that the crawler has never met.
func TestCrawlSeesTheSwarm(t *testing.T) {
	cfg := quiet()
	cfg.BucketSize, cfg.Replicas = 4, 2
	m := swarm(t, 16, cfg)
	ctx := testContext(t)
	client := launch(t, clientMode(withBootstrap(cfg, m[5])))
	waitReady(t, client)
	var g *dht.Graph
	eventually(t, "the crawl sees everybody", func() bool {
		var err error
		if g, err = client.Crawl(ctx, dht.CrawlOptions{}); err != nil {
			t.Fatal(err)
		}
		met := func(n dht.GraphNode) bool { return n.Err == "" && len(n.Addrs) > 0 && len(n.Peers) >= 4 } // of newcomers they come later
		return len(g.Nodes) == len(m) && !slices.ContainsFunc(g.Nodes, func(n dht.GraphNode) bool { return !met(n) })
	})
	for _, n := range g.Nodes {
		if n.Err != "" || n.RTT <= 0 || len(n.Peers) < 4 || len(n.Addrs) == 0 {
			t.Errorf("%+v", n)
		}
	}
	if g, err := client.Crawl(ctx, dht.CrawlOptions{MaxNodes: 5}); err != nil || !g.Cut || len(g.Nodes) > 6 {
		t.Errorf("bounded crawl: %d nodes, cut %v, %v", len(g.Nodes), g.Cut, err)
	}
}

// TestEventsAndStats tell what happens, and a slow reader loses events instead of slowing the node down.
func TestEventsAndStats(t *testing.T) {
	cfg := quiet()
	cfg.Events = 4
	m := launch(t, cfg)
	events, stop := m.Events()
	waitReady(t, m)
	s := newStranger(t)
	for i := range 20 {
		s.store(m, false, regular(fmt.Sprint(i), pack(i), in(time.Minute)))
	}
	if d := m.Stats().EventsDropped; d < 16 {
		t.Errorf("%d events dropped", d)
	}
	kinds := map[dht.EventKind]bool{}
	stop()
	for e := range events {
		kinds[e.Kind] = true
		if e.Time.IsZero() || e.Kind.String() == "unknown" {
			t.Errorf("%+v", e)
		}
	}
	if !kinds[dht.EventRecordStored] {
		t.Errorf("kinds %v", kinds)
	}
	stop() // twice is fine
	if st := m.Stats(); st.RecordsStored != 20 || st.StoresServed != 20 || st.Keys != 20 {
		t.Errorf("%+v", st)
	}
	snapshot := m.Snapshot()
	if snapshot.Self != m.ID() {
		t.Errorf("snapshot of %v", snapshot.Self)
	}
}

// TestRestoredPeersAreCalledFirst brings a node back into its swarm without any bootstrap peer.
func TestRestoredPeersAreCalledFirst(t *testing.T) {
	m := swarm(t, 4, quiet())
	settle(t, m)
	snapshot := m[3].Snapshot()
	addrs := map[peer.ID]peer.AddrInfo{}
	for _, x := range m[:3] {
		addrs[x.Host.ID()] = x.info()
	}
	key := m[3].Key
	m[3].end()
	cfg := quiet()
	cfg.Restore = &snapshot
	back := launch(t, cfg, func(pc *p2p.Config, _ *rpc.Config) { pc.Key = key })
	for _, a := range addrs { // the host's address book does this in real life
		back.Host.Libp2p().Peerstore().AddAddrs(a.ID, a.Addrs, time.Hour)
	}
	eventually(t, "the old friends are back", func() bool { return len(back.Contacts()) == 3 })
}

// TestClosedNodeRefuses everything, at once.
func TestClosedNodeRefuses(t *testing.T) {
	m := launch(t, quiet())
	waitReady(t, m)
	m.end()
	ctx := testContext(t)
	if _, err := m.Get(ctx, randomKey()); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("get: %v", err)
	}
	if _, err := m.Store(ctx, dht.StoreRequest{Key: randomKey(), Value: 1, Expiration: in(time.Minute)}); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("store: %v", err)
	}
	for r := range m.GetEach(ctx, []record.Key{randomKey()}) {
		if !errors.Is(r.Err, dht.ErrClosed) {
			t.Errorf("get each: %v", r.Err)
		}
	}
	if err := m.Run(ctx); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("run: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
