package dht_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestProtocol walks through the three messages between two nodes, one of them a client too.
func TestProtocol(t *testing.T) {
	server := launch(t, quiet())
	waitReady(t, server)
	full := launch(t, withBootstrap(quiet(), server))
	waitReady(t, full)
	client := launch(t, withBootstrap(clientMode(quiet()), server))
	waitReady(t, client)
	ctx := testContext(t)
	for _, tc := range []struct {
		name string
		m    *member
	}{{"full", full}, {"client", client}} {
		t.Run(tc.name, func(t *testing.T) {
			res, err := tc.m.Ping(ctx, server.Host.ID(), false)
			if err != nil || kad.ID(res.ID) != server.ID() {
				t.Fatalf("ping: %+v, %v", res, err)
			}
			if _, err := tc.m.Ping(ctx, newKeyPeer(t), false); err == nil {
				t.Error("a peer that does not exist answered a ping")
			}
			name := "plain " + tc.name
			expiration := in(time.Minute)
			if _, err := tc.m.Store(ctx, dht.StoreRequest{Key: record.KeyOfText(name), Value: []any{int64(1), "two"}, Expiration: expiration}); err != nil {
				t.Fatal(err)
			}
			v, err := server.Get(ctx, record.KeyOfText(name))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]any{int64(1), "two"}, must(v.Decode())); d != "" || v.Expiration != record.ExpirationAt(expiration) {
				t.Errorf("value: %s, expires %v", d, v.Expiration)
			}

			name = "dictionary " + tc.name
			want := map[any]time.Time{"a": in(time.Minute), int64(2): in(2 * time.Minute), true: in(3 * time.Minute)}
			for k, e := range want {
				if _, err := tc.m.Store(ctx, dht.StoreRequest{Key: record.KeyOfText(name), Subkey: k, Value: fmt.Sprint(k), Expiration: e}); err != nil {
					t.Fatal(err)
				}
			}
			v, err = tc.m.Get(ctx, record.KeyOfText(name), dht.Latest())
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Entries) != len(want) || v.Expiration != record.ExpirationAt(want[true]) {
				t.Errorf("%d entries, expires %v", len(v.Entries), v.Expiration)
			}
			for k, e := range want {
				entry, ok := v.Entry(k)
				if !ok || entry.Expiration != record.ExpirationAt(e) || must(entry.Decode()) != fmt.Sprint(k) {
					t.Errorf("subkey %v: %+v", k, entry)
				}
			}
		})
	}
	if full.knows(client.Host.ID()) || server.knows(client.Host.ID()) {
		t.Error("a client entered a routing table")
	}
	// An unknown key still names neighbours.
	s := newStranger(t)
	unknown := record.KeyOfText("unknown")
	resp := s.find(server, wire.FindRequest{Keys: [][]byte{unknown[:]}})
	if r := resp.Results[0]; r.Type != wire.NotFound || len(r.NearestIDs) != 1 || kad.ID(r.NearestIDs[0]) != full.ID() {
		t.Errorf("unknown key: %+v", r)
	}
	if got := kad.ID(resp.Peer.ID); got != server.ID() {
		t.Errorf("the answer names %v", got)
	}
}

func withBootstrap(cfg dht.Config, at ...*member) dht.Config {
	for _, m := range at {
		cfg.Bootstrap = append(cfg.Bootstrap, m.info())
	}
	return cfg
}

func clientMode(cfg dht.Config) dht.Config {
	cfg.ClientMode = true
	return cfg
}

// newKeyPeer returns the ID of a peer that does not exist.
func newKeyPeer(t testing.TB) peer.ID {
	t.Helper()
	s := newStranger(t)
	return s.Host.ID()
}

// TestEmptyTable calls a node that knows nobody.
func TestEmptyTable(t *testing.T) {
	lonely := launch(t, quiet())
	waitReady(t, lonely)
	s := newStranger(t)
	key := record.KeyOfText("key")
	if resp := s.find(lonely, wire.FindRequest{Keys: [][]byte{key[:]}}); resp.Results[0].Type != wire.NotFound || len(resp.Results[0].NearestIDs) != 0 {
		t.Errorf("find: %+v", resp.Results[0])
	}
	value := must(msgpack.Marshal("v"))
	if codes := s.store(lonely, false, regular("key", value, in(time.Minute))); codes[0] != wire.CodeStored {
		t.Errorf("store: %v", codes)
	}
	if resp := s.find(lonely, wire.FindRequest{Keys: [][]byte{key[:]}}); resp.Results[0].Type != wire.FoundRegular || string(resp.Results[0].Value) != string(value) {
		t.Errorf("find: %+v", resp.Results[0])
	}
	ctx := testContext(t)
	if _, err := lonely.Ping(ctx, newKeyPeer(t), false); err == nil {
		t.Error("a fake peer answered")
	}
	if near, err := lonely.FindNearest(ctx, lonely.ID(), 5); err != nil || len(near) != 0 {
		t.Errorf("a detached node found %v, %v", near, err)
	}
	res, err := lonely.Store(ctx, dht.StoreRequest{Key: record.KeyOfText("own"), Value: 1, Expiration: in(time.Minute)})
	if err != nil || res.Accepted != 1 || res.Answers[0].Peer != lonely.Host.ID() {
		t.Errorf("store: %+v, %v", res, err)
	}
	if v, err := lonely.Get(ctx, record.KeyOfText("own")); err != nil || must(v.Decode()) != int64(1) {
		t.Errorf("get: %v, %v", v, err)
	}
}

// TestSearchAccuracy compares what a swarm of 20 finds with the truth.
func TestSearchAccuracy(t *testing.T) {
	cfg := quiet()
	cfg.BucketSize, cfg.Replicas = 5, 3 // tables that do not hold everybody
	m := swarm(t, 20, cfg)
	ctx := testContext(t)
	truth := func(target kad.ID, k int, without kad.ID) []kad.ID {
		var ids []kad.ID
		for _, x := range m {
			if x.ID() != without {
				ids = append(ids, x.ID())
			}
		}
		slices.SortFunc(ids, func(a, b kad.ID) int { return kad.CompareDistance(target, a, b) })
		return ids[:min(k, len(ids))]
	}
	for i := range m { // everybody finds everybody
		other := m[(i*7+3)%len(m)]
		if other == m[i] {
			continue
		}
		eventually(t, "every node finds every other", func() bool { // newcomers are verified a moment after they joined
			near, err := m[i].FindNearest(ctx, other.ID(), 1)
			return err == nil && len(near) == 1 && near[0].Peer == other.Host.ID()
		})
	}
	top, jaccard, queries := 0.0, 0.0, 0
	for i := range 40 {
		from, target := m[i%len(m)], kad.ID(randomKey())
		near, err := from.FindNearest(ctx, target, 5)
		if err != nil || len(near) == 0 {
			t.Fatal(err)
		}
		want := truth(target, 5, from.ID())
		common := 0
		for _, c := range near {
			if slices.Contains(want, c.ID) {
				common++
			}
		}
		if near[0].ID == want[0] {
			top++
		}
		jaccard += float64(common) / float64(len(near)+len(want)-common)
		queries++
	}
	if top /= float64(queries); top < 0.8 {
		t.Errorf("the nearest node was found in %.0f %% of searches, want 80", 100*top)
	}
	if jaccard /= float64(queries); jaccard < 0.9 {
		t.Errorf("overlap with the true nearest is %.2f, want 0.9", jaccard)
	}
}

// TestStoreAndGet stores from anywhere and reads from anywhere, one by one and in bulk, with and without subkeys.
func TestStoreAndGet(t *testing.T) {
	m := swarm(t, 12, quiet())
	settle(t, m)
	ctx := testContext(t)
	one, expiration := record.KeyOfText("one"), in(time.Minute)
	if _, err := m[3].Store(ctx, dht.StoreRequest{Key: one, Value: 1.5, Expiration: expiration}); err != nil {
		t.Fatal(err)
	}
	for i, x := range m {
		v, err := x.Get(ctx, one)
		if err != nil || must(v.Decode()) != 1.5 || v.Expiration != record.ExpirationAt(expiration) {
			t.Errorf("node %d: %+v, %v", i, v, err)
		}
	}

	// Bulk.
	var reqs []dht.StoreRequest
	var keys []record.Key
	for i := range 150 {
		keys = append(keys, record.KeyOfText(fmt.Sprint("bulk", i)))
		reqs = append(reqs, dht.StoreRequest{Key: keys[i], Value: i, Expiration: expiration})
	}
	for i, res := range m[5].StoreMany(ctx, reqs) {
		if !res.OK() || res.Accepted < 8 { // more where chance crowds nodes around a key
			t.Fatalf("record %d: accepted by %d of %d, %v: %+v", i, res.Accepted, res.Wanted, res.Failure(), res.Answers)
		}
	}
	for i, res := range m[9].GetMany(ctx, append(keys, record.KeyOfText("nothing"))) {
		switch {
		case i == len(keys):
			if !errors.Is(res.Err, dht.ErrNotFound) {
				t.Errorf("unknown key: %+v", res)
			}
		case res.Err != nil:
			t.Errorf("key %d: %v", i, res.Err)
		case must(res.Value.Decode()) != int64(i):
			t.Errorf("key %d: %+v", i, res.Value)
		}
	}
	got := 0
	for res := range m[2].GetEach(ctx, keys) {
		if res.Err == nil {
			got++
		}
	}
	if got != len(keys) {
		t.Errorf("GetEach brought %d of %d", got, len(keys))
	}

	// Subkeys: each has its own expiration; stale refused, newer accepted, the latest sees all.
	dict := record.KeyOfText("dictionary")
	put := func(x *member, subkey any, value any, e time.Time) (dht.StoreResult, error) {
		return x.Store(ctx, dht.StoreRequest{Key: dict, Subkey: subkey, Value: value, Expiration: e})
	}
	for i := range 6 {
		if _, err := put(m[i], fmt.Sprint("s", i), i, in(time.Minute+time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if res, err := put(m[7], "s5", "stale", in(30*time.Second)); !errors.Is(err, dht.ErrRefused) || res.Answers[0].Code != wire.CodeOlder {
		t.Errorf("stale subkey: %+v, %v", res, err)
	}
	newer := in(5 * time.Minute)
	if _, err := put(m[8], "s0", "newer", newer); err != nil {
		t.Errorf("newer subkey: %v", err)
	}
	v, err := m[11].Get(ctx, dict, dht.Latest())
	if err != nil || len(v.Entries) != 6 || v.Expiration != record.ExpirationAt(newer) {
		t.Fatalf("%+v, %v", v, err)
	}
	if e, _ := v.Entry("s0"); must(e.Decode()) != "newer" {
		t.Errorf("s0: %v", must(e.Decode()))
	}
	if e, _ := v.Entry("s5"); must(e.Decode()) != int64(5) {
		t.Errorf("s5: %v", must(e.Decode()))
	}
}

// copies counts the nodes that keep a key for the swarm.
func copies(m []*member, key record.Key) (n int) {
	for _, x := range m {
		resp := new(stranger).peek(x, key)
		if resp {
			n++
		}
	}
	return n
}

// peek asks a member's own shelves, without the network.
func (*stranger) peek(m *member, key record.Key) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is not here is not searched for
	_, err := m.Get(ctx, key, dht.NoCache())
	return err == nil
}

// TestReplicas stores at exactly as many nodes as configured, and updating does not spread the record further.
func TestReplicas(t *testing.T) {
	for _, replicas := range []int{1, 2, 5, 10} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			cfg := quiet()
			cfg.Replicas, cfg.Paths, cfg.NoRegion = replicas, 1, true        // more get it where something is odd
			cfg.CallTimeout, cfg.CheckInterval = 20*time.Second, time.Minute // who is slow is not replaced
			m := swarm(t, 12, cfg)
			settle(t, m)
			ctx := testContext(t)
			for i := range 5 {
				key := record.KeyOfText(fmt.Sprint("key", i))
				for version := range 3 {
					from := m[(i*5+version*3)%len(m)]
					e := in(time.Minute + time.Duration(version)*time.Second)
					res, err := from.Store(ctx, dht.StoreRequest{Key: key, Value: version, Expiration: e})
					if err != nil || res.Accepted != replicas || res.Wanted != replicas {
						t.Fatalf("version %d: accepted by %d of %d, %v", version, res.Accepted, res.Wanted, err)
					}
					for _, a := range res.Answers {
						if !a.OK {
							t.Logf("key %d, version %d: %+v", i, version, a)
						}
					}
				}
				if got := copies(m, key); got != replicas {
					t.Errorf("key %d has %d copies, want %d", i, got, replicas)
				}
			}
		})
	}
}

// TestReuseGets lets many gets of one key share one search.
func TestReuseGets(t *testing.T) {
	m := swarm(t, 6, quiet())
	ctx := testContext(t)
	key := record.KeyOfText("key")
	if _, err := m[0].Store(ctx, dht.StoreRequest{Key: key, Value: "v", Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	cfg := quiet()
	cfg.Neighbours = 2 // a node that knows fewer than it wants makes searches of its own
	reader := launch(t, clientMode(withBootstrap(cfg, m[1])))
	waitReady(t, reader)
	before := reader.Stats()
	keys := slices.Repeat([]record.Key{key}, 50)
	for i, res := range reader.GetMany(ctx, keys, dht.Latest()) {
		if res.Err != nil {
			t.Fatalf("get %d: %v", i, res.Err)
		}
	}
	after := reader.Stats()
	if got := after.Lookups - before.Lookups; got != 1 {
		t.Errorf("%d searches for one key", got)
	}
	if got := after.GetsShared - before.GetsShared; got != 49 {
		t.Errorf("%d gets joined, want 49", got)
	}
	// From many goroutines, of which half give up: the rest still get the value.
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			if i%2 == 0 {
				cancel()
			}
			_, err := reader.Get(ctx, key, dht.Latest())
			if i%2 == 1 && err != nil {
				t.Errorf("get %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	eventually(t, "all searches end", func() bool { return reader.Stats().Searches == 0 })
}

// TestBackoff leaves peers that do not answer out of searches, and nobody else.
func TestBackoff(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 3
	cfg.CallTimeout, cfg.CheckInterval = 2*time.Second, 100*time.Millisecond
	m := swarm(t, 8, cfg)
	ctx := testContext(t)
	for _, dead := range m[5:] {
		dead.end()
	}
	for range 6 {
		_, _ = m[0].Get(ctx, randomKey(), dht.Latest())
	}
	s := m[0].Stats()
	if s.Bans == 0 || s.Banned == 0 || s.Banned > 3 {
		t.Errorf("%d in back-off after %d bans, want 1 to 3", s.Banned, s.Bans)
	}
	for _, alive := range m[1:5] {
		if !m[0].knows(alive.Host.ID()) {
			t.Errorf("a live peer lost its place")
		}
	}
	eventually(t, "the dead lose their places", func() bool {
		for _, dead := range m[5:] {
			if m[0].knows(dead.Host.ID()) {
				return false
			}
		}
		return true
	})
}

// TestOddKeysAndValues stores and reads back keys, subkeys and values of every kind.
func TestOddKeysAndValues(t *testing.T) {
	m := swarm(t, 4, quiet())
	ctx := testContext(t)
	odd := []any{int64(0), "", false, true, "abyrvalg", int64(4555), msgpack.Tuple{}, []byte{}, 3.5, int64(-1)}
	values := append(slices.Clone(odd), nil, []any{})
	expiration := in(time.Minute)
	var reqs []dht.StoreRequest
	for _, k := range odd {
		for _, s := range odd {
			key := record.KeyOf(msgpack.Tuple{"subkeys", k})
			reqs = append(reqs, dht.StoreRequest{Key: key, Subkey: s, Value: s, Expiration: expiration})
		}
		reqs = append(reqs, dht.StoreRequest{Key: record.KeyOf(k), Value: k, Expiration: expiration})
	}
	for i, v := range values {
		reqs = append(reqs, dht.StoreRequest{Key: record.KeyOfText(fmt.Sprint("value", i)), Value: v, Expiration: expiration})
	}
	for i, res := range m[1].StoreMany(ctx, reqs) {
		if !res.OK() {
			t.Fatalf("%v %v: %v", reqs[i].Subkey, reqs[i].Value, res.Failure())
		}
	}
	for _, req := range reqs {
		v, err := m[2].Get(ctx, req.Key, dht.Latest())
		if err != nil {
			t.Errorf("%v: %v", req.Value, err)
			continue
		}
		var got any
		if req.Subkey != nil {
			e, ok := v.Entry(req.Subkey)
			if !ok {
				t.Errorf("subkey %v is lost", req.Subkey)
				continue
			}
			if d := cmp.Diff(req.Subkey, must(e.DecodeSubkey())); d != "" {
				t.Errorf("subkey: %s", d)
			}
			got = must(e.Decode())
		} else {
			got = must(v.Decode())
		}
		if d := cmp.Diff(req.Value, got); d != "" {
			t.Errorf("value: %s", d)
		}
	}
}

// TestCaching follows copies through their life: found values are kept, read ones are fetched anew before they expire, and
// nothing expired is served.
func TestCaching(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 2
	m := swarm(t, 5, cfg)
	reading := dht.Config{CacheNearest: -1, CacheRefresh: 3 * time.Second, ClientMode: true, LeaveTimeout: -1}
	reader := launch(t, withBootstrap(reading, m[0]))
	waitReady(t, reader)
	ctx := testContext(t)
	key := record.KeyOfText("key")
	first := in(6 * time.Second)
	if _, err := m[1].Store(ctx, dht.StoreRequest{Key: key, Value: "v1", Expiration: first}); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Get(ctx, key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the value is kept", func() bool { return reader.Stats().CachedKeys == 1 })
	if s := reader.Stats(); s.RefreshQueue != 0 {
		t.Fatalf("after the first get: %d to refresh", s.RefreshQueue)
	}
	sent := reader.Stats().FindsSent
	for range 5 {
		if _, err := reader.Get(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	s := reader.Stats()
	if s.FindsSent != sent || s.GetsCached != 5 || s.RefreshQueue != 1 {
		t.Errorf("cached gets: %d finds, %d from the cache, %d to refresh", s.FindsSent-sent, s.GetsCached, s.RefreshQueue)
	}
	// A newer version appears; the reader has it before the old one expires, without asking for it.
	second := in(time.Minute)
	if _, err := m[2].Store(ctx, dht.StoreRequest{Key: key, Value: "v2", Expiration: second}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the copy is fetched anew", func() bool { return reader.Stats().CacheRefreshes > 0 })
	eventually(t, "the new version is in the cache", func() bool {
		v, err := reader.Get(ctx, key)
		return err == nil && v.Expiration == record.ExpirationAt(second)
	})
	if now := time.Now(); now.After(first) {
		t.Errorf("fetched %v after the old one expired", now.Sub(first))
	}
	// Writers keep a copy of what they stored elsewhere.
	if _, err := reader.Store(ctx, dht.StoreRequest{Key: record.KeyOfText("own"), Value: "mine", Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	sent = reader.Stats().FindsSent
	if _, err := reader.Get(ctx, record.KeyOfText("own")); err != nil || reader.Stats().FindsSent != sent {
		t.Errorf("own record: %v, %d finds", err, reader.Stats().FindsSent-sent)
	}
	// Nothing expired is served.
	short := record.KeyOfText("short")
	gone := in(2 * time.Second)
	if _, err := m[3].Store(ctx, dht.StoreRequest{Key: short, Value: 1, Expiration: gone}); err != nil {
		t.Fatal(err)
	}
	_, _ = reader.Get(ctx, short)
	eventually(t, "the short one ends", func() bool { return time.Now().After(gone) })
	for i, x := range append(slices.Clone(m), reader) {
		if _, err := x.Get(ctx, short, dht.Latest()); !errors.Is(err, dht.ErrNotFound) {
			t.Errorf("node %d serves an expired value: %v", i, err)
		}
	}
}

// TestCacheNearest gives a copy to the nearest node that answered without the value.
func TestCacheNearest(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 1
	m := swarm(t, 8, cfg)
	settle(t, m) // no hand-overs on the way
	ctx := testContext(t)
	key := record.KeyOfText("key")
	slices.SortFunc(m, func(a, b *member) int { return kad.CompareDistance(kad.ID(key), a.ID(), b.ID()) })
	// Only the third nearest has it.
	s := newStranger(t)
	s.store(m[2], false, regular("key", must(msgpack.Marshal("v")), in(time.Minute)))
	pushing := quiet()
	pushing.CacheNearest, pushing.ClientMode, pushing.Parallel = 1, true, 1
	reader := launch(t, withBootstrap(pushing, m[7]))
	waitReady(t, reader)
	if _, err := reader.Get(ctx, key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the nearest node has a copy", func() bool { return m[0].Stats().CachedKeys == 1 })
	if m[1].Stats().CachedKeys != 0 {
		t.Error("more copies than asked for")
	}
}

// TestNoReuse: without reuse each get searches by itself, two for one key in one call too.
func TestNoReuse(t *testing.T) {
	cfg := quiet()
	cfg.NoReuse, cfg.NoCacheOnStore, cfg.NoCacheLocally, cfg.Replicas = true, true, true, 2
	m := swarm(t, 8, cfg)
	key := record.KeyOfText("twice")
	near := nearestFirst(m, key)
	far := near[len(near)-1]
	ctx := testContext(t)
	if _, err := far.Store(ctx, dht.StoreRequest{Key: key, Value: "here", Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	before := far.Stats().Lookups
	for i, r := range far.GetMany(ctx, []record.Key{key, key, randomKey()}) {
		if want := i < 2; (r.Err == nil) != want {
			t.Errorf("get %d: %v", i, r.Err)
		}
	}
	if n := far.Stats().Lookups - before; n < 3 {
		t.Errorf("%d searches", n)
	}
}

// TestUnaskedPeerIsNotBanned pings a peer before anybody knows where it is. Nothing was asked of it, so the first search
// after it joins must meet it; with a back-off it would be left out for seconds.
func TestUnaskedPeerIsNotBanned(t *testing.T) {
	m := swarm(t, 2, quiet())
	ctx := testContext(t)
	late := launch(t, quiet()) // nobody told it of the others
	_, err := m[1].Ping(ctx, late.Host.ID(), false)
	if !errors.Is(err, p2p.ErrNoAddress) {
		t.Fatalf("ping of a peer without address: %v", err)
	}
	if s := m[1].Stats(); s.Bans != 0 {
		t.Errorf("%d bans", s.Bans)
	}
	if err := late.Host.Connect(ctx, m[0].info()); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Ping(ctx, m[0].Host.ID(), false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first node knows it", func() bool { return len(m[0].Contacts()) == 2 })
	near, err := m[1].FindNearest(ctx, late.ID(), 1)
	if err != nil || len(near) != 1 || near[0].Peer != late.Host.ID() {
		t.Errorf("nearest: %v, %v", near, err)
	}
}
