package dht_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Each test of this file shows that a known attack or fault of DHTs of this kind has no effect here.

var poison = []byte{0xc1, 0xff} // a value that no reader can decode

// held returns what a member itself holds for a key.
func held(m *member, key string) *dht.Value {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v, _ := m.Get(ctx, record.KeyOfText(key))
	return v
}

func pack(v any) []byte { return must(msgpack.Marshal(v)) }

// TestPoisonValueIsRefused: a value that cannot be decoded is neither stored nor believed, signed or not.
func TestPoisonValueIsRefused(t *testing.T) {
	s := newStranger(t)
	signer := record.NewSignature(s.Host.Libp2p().Peerstore().PrivKey(s.Host.ID()), record.SignatureConfig{})
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	m := swarm(t, 3, cfg)
	plain := regular("key", poison, in(time.Minute))
	signed := sub("key", []byte("me"+signer.Marker()), poison, in(time.Minute))
	signed.Value = must(signer.Sign(signed))
	good := sub("key", []byte("ok"+signer.Marker()), pack(1), in(time.Minute))
	good.Value = must(signer.Sign(good))
	codes := s.store(m[0], false, plain, signed, good)
	if want := []wire.Code{wire.CodeMalformed, wire.CodeMalformed, wire.CodeStored}; cmp.Diff(want, codes) != "" {
		t.Errorf("codes %v, want %v", codes, want)
	}
	// And served by a liar.
	s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
		for i := range req.Keys {
			resp.Results[i] = wire.FindResult{Type: wire.FoundRegular, Value: poison, Expiration: float64(record.ExpirationAt(in(time.Hour)))}
		}
	})
	s.befriend(m[1])
	ctx := testContext(t)
	v, err := m[1].Get(ctx, record.KeyOfText("key"), dht.Latest())
	if err != nil || len(v.Entries) != 1 || must(v.Entries[0].Decode()) != int64(1) {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := m[1].Get(ctx, record.KeyOfText("other"), dht.Latest()); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("poison was believed: %v", err)
	}
	if m[1].Stats().AnswersInvalid == 0 {
		t.Error("the liar was not counted")
	}
}

// TestRefusedStoreChangesNothing: an older version, replayed, neither replaces nor shortens the newer one.
func TestRefusedStoreChangesNothing(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	old, now := in(time.Second), in(time.Minute)
	older := sub("heartbeat", "victim", pack("old"), old)
	newer := sub("heartbeat", "victim", pack("new"), now)
	if codes := s.store(m, false, newer); codes[0] != wire.CodeStored {
		t.Fatal(codes)
	}
	before := held(m, "heartbeat")
	for range 3 {
		if codes := s.store(m, false, older); codes[0] != wire.CodeOlder {
			t.Errorf("replay: %v", codes)
		}
	}
	bad := sub("heartbeat", "victim", poison, in(2*time.Minute))
	if codes := s.store(m, false, bad); codes[0] != wire.CodeMalformed {
		t.Errorf("bad record: %v", codes)
	}
	eventually(t, "the old version would have expired", func() bool { return time.Now().After(old) })
	if d := cmp.Diff(before, held(m, "heartbeat")); d != "" {
		t.Errorf("a refused store changed something:\n%s", d)
	}
}

// TestReplayCostsTheVictimNoQuota: what is not stored is not charged, and a replay is charged to nobody.
func TestReplayCostsTheVictimNoQuota(t *testing.T) {
	victim := newStranger(t)
	signer := record.NewSignature(victim.Host.Libp2p().Peerstore().PrivKey(victim.Host.ID()), record.SignatureConfig{})
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}), record.NewPhases(record.PhasesConfig{}))
	cfg.Phase = func() record.Phase { return record.PhaseAt(7, 10, 100) }
	m := launch(t, cfg)
	beat := func(n int) record.Record {
		r := record.Record{Key: record.HeartbeatKey(), Subkey: must(record.SubkeyOf([]byte(victim.Host.ID().String() + signer.Marker()))),
			Value: pack(msgpack.Tuple{int64(2), "validator", float64(n), map[string]any{}}), Expiration: record.ExpirationAt(in(time.Minute + time.Duration(n)*time.Second))}
		r.Value = must(signer.Sign(r))
		return r
	}
	first := beat(0)
	if codes := victim.store(m, false, first); codes[0] != wire.CodeStored {
		t.Fatalf("heartbeat: %v %+v", codes, m.Stats())
	}
	attacker := newStranger(t)
	for range 150 {
		if codes := attacker.store(m, false, first); codes[0] != wire.CodeHeld {
			t.Fatalf("replay: %v", codes)
		}
	}
	if codes := victim.store(m, false, beat(1)); codes[0] != wire.CodeStored {
		t.Errorf("the victim's next heartbeat: %v", codes)
	}
}

// TestSpoofedPingEvictsNobody: a ping in somebody else's name, with or without a call back, leaves the table as it is.
func TestSpoofedPingEvictsNobody(t *testing.T) {
	m := swarm(t, 3, quiet())
	settle(t, m)
	s := newStranger(t)
	victim := m[1].ID()
	for range 5 {
		for _, validate := range []bool{true, false} {
			if resp := s.ping(m[0], victim[:], validate); resp.Available {
				t.Error("the spoofer is said to be the victim")
			}
		}
	}
	if !m[0].knows(m[1].Host.ID()) {
		t.Error("the victim lost its place")
	}
	if m[0].knows(s.Host.ID()) {
		t.Error("the spoofer got a place")
	}
}

// TestNodeIDIsNotForTheTaking: whatever a peer claims and however it answers, an ID stays with the peer it belongs to.
func TestNodeIDIsNotForTheTaking(t *testing.T) {
	for _, python := range []bool{false, true} {
		t.Run(fmt.Sprintf("python %v", python), func(t *testing.T) {
			cfg := quiet()
			cfg.Python = python
			m := swarm(t, 3, cfg)
			settle(t, m)
			victim := m[1].ID()
			s := newStranger(t)
			s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
				return (&wire.PingResponse{Peer: wire.NodeInfo{ID: victim[:]}}).Append(nil), nil // consistent lies
			})
			for range 5 {
				s.ping(m[0], victim[:], true)
			}
			ctx := testContext(t)
			if _, err := m[0].Ping(ctx, s.Host.ID(), false); err != nil {
				t.Fatal(err)
			}
			for _, c := range m[0].Contacts() {
				if c.ID == victim && c.Peer != m[1].Host.ID() {
					t.Errorf("the ID went to %v", c.Peer)
				}
			}
			if !m[0].knows(m[1].Host.ID()) {
				t.Error("the victim lost its place")
			}
		})
	}
}

// TestGetsDoNotTouchTheStorage: what peers answer is merged for the reader, never into what this node keeps.
func TestGetsDoNotTouchTheStorage(t *testing.T) {
	m := swarm(t, 2, quiet())
	s := newStranger(t)
	mine := sub("key", "mine", pack("mine"), in(time.Minute))
	theirs := sub("key", "theirs", pack("theirs"), in(2*time.Minute))
	changed := sub("key", "mine", pack("other"), in(3*time.Minute))
	s.store(m[0], false, mine)
	s.store(m[1], false, theirs, changed)
	before := held(m[0], "key")
	v, err := m[0].Get(testContext(t), record.KeyOfText("key"), dht.Latest())
	if err != nil || len(v.Entries) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	if e, _ := v.Entry("mine"); must(e.Decode()) != "other" {
		t.Errorf("the newer entry did not win")
	}
	if d := cmp.Diff(before, held(m[0], "key")); d != "" {
		t.Errorf("the storage changed:\n%s", d)
	}
	// Readers cannot reach it either.
	for i := range before.Entries[0].Raw {
		before.Entries[0].Raw[i] ^= 0xff
	}
	if got := held(m[0], "key"); must(got.Entries[0].Decode()) != "mine" {
		t.Error("a reader changed the storage")
	}
}

// TestSubkeysOfAllTypesLiveTogether: subkeys of different types with one expiration do not disturb each other.
func TestSubkeysOfAllTypesLiveTogether(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	e := in(time.Minute)
	subkeys := []any{int64(1), "1", []byte("1"), 1.5, true, msgpack.Tuple{int64(1)}, int64(-1), uint64(1 << 63)}
	for _, k := range subkeys {
		if codes := s.store(m, false, sub("key", k, pack(fmt.Sprint(k)), e)); codes[0] != wire.CodeStored {
			t.Errorf("%v: %v", k, codes)
		}
	}
	if v := held(m, "key"); len(v.Entries) != len(subkeys) {
		t.Errorf("%d entries, want %d", len(v.Entries), len(subkeys))
	}
}

// TestOneBadSubkeyCostsTheOthersNothing: a dictionary is stored entry by entry, good ones after bad and stale ones too.
func TestOneBadSubkeyCostsTheOthersNothing(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	s.store(m, false, sub("key", "stale", pack("newer"), in(2*time.Minute)))
	d := record.Dictionary{}
	for _, r := range []record.Record{
		sub("key", "stale", pack("older"), in(time.Minute)), sub("key", "bad", poison, in(time.Minute)),
		sub("key", "good", pack(1), in(time.Minute)), sub("key", "expired", pack(1), in(-time.Minute)), sub("key", "late", pack(2), in(time.Minute)),
	} {
		d.Entries = append(d.Entries, record.Entry{Subkey: r.Subkey, Value: r.Value, Expiration: r.Expiration})
	}
	whole := record.Record{Key: record.KeyOfText("key"), Subkey: []byte(record.DictionaryTag), Value: d.Append(nil), Expiration: record.ExpirationAt(in(time.Minute))}
	good := regular("neighbour", pack("untouched"), in(time.Minute))
	codes := s.store(m, false, whole, good)
	if codes[0] != wire.CodePartial || codes[1] != wire.CodeStored {
		t.Errorf("codes %v", codes)
	}
	v := held(m, "key")
	if len(v.Entries) != 3 {
		t.Errorf("%d entries, want stale, good, late", len(v.Entries))
	}
	if e, _ := v.Entry("stale"); must(e.Decode()) != "newer" {
		t.Error("the stale entry won")
	}
	if codes := s.store(m, false, record.Record{Key: whole.Key, Subkey: []byte{}, Value: []byte("no dictionary"), Expiration: whole.Expiration}); codes[0] != wire.CodeMalformed {
		t.Errorf("no dictionary: %v", codes)
	}
}

// TestLargeDictionaryDegradesGracefully: what does not fit into one answer comes in pages to nodes that can ask for them,
// as its first entries to others, and nobody is blamed.
func TestLargeDictionaryDegradesGracefully(t *testing.T) {
	cfg := quiet()
	cfg.MaxAnswer, cfg.MaxValue = 64<<10, 8<<10
	m := swarm(t, 2, cfg)
	s := newStranger(t)
	big := make([]byte, 4<<10)
	for i := range 10 { // 40 KiB under each key, two keys in one question: 80 KiB
		for _, key := range []string{"a", "b"} {
			if codes := s.store(m[0], false, sub(key, i, pack(big), in(time.Minute))); codes[0] != wire.CodeStored {
				t.Fatalf("%s %d: %v", key, i, codes)
			}
		}
	}
	a, b := record.KeyOfText("a"), record.KeyOfText("b")
	resp := s.find(m[0], wire.FindRequest{Keys: [][]byte{a[:], b[:]}}) // as a Python node asks
	for i, r := range resp.Results {
		d, skipped, err := record.ParseDictionary(r.Value, record.DictionaryLimits{})
		if err != nil || len(skipped) != 0 || len(d.Entries) == 0 || len(d.Entries) > 10 || len(r.Cursor) != 0 {
			t.Errorf("result %d: %d entries, %v, %v", i, len(d.Entries), skipped, err)
		}
	}
	if resp.Size() > 64<<10+4096 {
		t.Errorf("answer of %d bytes, limit %d", resp.Size(), 64<<10)
	}
	reader := launch(t, clientMode(withBootstrap(cfg, m[1])))
	waitReady(t, reader)
	for _, res := range reader.GetMany(testContext(t), []record.Key{a, b}, dht.Latest()) {
		if res.Err != nil || len(res.Value.Entries) != 10 {
			t.Errorf("%v: %v", res.Key, res.Err)
		}
	}
	st := reader.Stats()
	if st.PagesRead == 0 || st.Bans != 0 || st.FindsFailed != 0 {
		t.Errorf("%d pages, %d bans, %d failures", st.PagesRead, st.Bans, st.FindsFailed)
	}
}

// TestSizesAreBounded: too large keys, values, subkeys and lists get a code, and the node goes on.
func TestSizesAreBounded(t *testing.T) {
	cfg := quiet()
	cfg.MaxValue, cfg.MaxSubkey, cfg.MaxSubkeys = 1000, 100, 20
	m := launch(t, cfg)
	s := newStranger(t)
	e := in(time.Minute)
	codes := s.store(m, false,
		regular("value", pack(make([]byte, 1001)), e),
		sub("subkey", "short", pack(make([]byte, 1001)), e),
		regular("ok", pack(1), e),
		regular("far", pack(1), in(48*time.Hour)),
		regular("expired", pack(1), in(-time.Second)),
	)
	want := []wire.Code{wire.CodeTooBig, wire.CodeTooBig, wire.CodeStored, wire.CodeInvalid, wire.CodeExpired}
	if d := cmp.Diff(want, codes); d != "" {
		t.Errorf("codes: %s", d)
	}
	for i := range 25 {
		code := s.store(m, false, sub("flood", i, pack(1), e))[0]
		if (i < 20) != (code == wire.CodeStored) {
			t.Errorf("subkey %d: %v", i, code)
		}
	}
	long := sub("long", string(make([]byte, 200)), pack(1), e)
	req := wire.StoreRequest{Keys: [][]byte{long.Key[:]}, Subkeys: [][]byte{long.Subkey}, Values: [][]byte{long.Value}, Expiration: []float64{float64(e.Unix())}, InCache: []bool{false}}
	if _, err := s.call(m, dht.MethodStore, req.Append(nil)); rpc.CodeOf(err) != rpc.InvalidArgument {
		t.Errorf("long subkey: %v", err)
	}
	for range 2000 {
		req.Keys = append(req.Keys, long.Key[:])
	}
	if _, err := s.call(m, dht.MethodStore, req.Append(nil)); rpc.CodeOf(err) != rpc.InvalidArgument {
		t.Errorf("too many records: %v", err)
	}
	if _, err := s.call(m, dht.MethodFind, (&wire.FindRequest{Keys: req.Keys}).Append(nil)); rpc.CodeOf(err) != rpc.InvalidArgument {
		t.Errorf("too many keys: %v", err)
	}
	for _, method := range []rpc.Method{dht.MethodPing, dht.MethodStore, dht.MethodFind} {
		if _, err := s.call(m, method, []byte{0xff, 0xff}); rpc.CodeOf(err) != rpc.InvalidArgument {
			t.Errorf("%s: junk: %v", method, err)
		}
	}
	if st := m.Stats(); st.Keys != 2 || st.Panics != 0 || st.MalformedRequests != 6 {
		t.Errorf("%d keys, %d panics, %d malformed", st.Keys, st.Panics, st.MalformedRequests)
	}
}

// TestCacheFloodIsBounded: in_cache is validated like everything else, and fills no more than the cache.
func TestCacheFloodIsBounded(t *testing.T) {
	cfg := quiet()
	cfg.CacheBytes = 64 << 10
	m := launch(t, cfg)
	s := newStranger(t)
	if codes := s.store(m, false, regular("kept", pack("kept"), in(time.Minute))); codes[0] != wire.CodeStored {
		t.Fatal(codes)
	}
	for i := range 200 {
		s.store(m, true, regular(fmt.Sprint("flood", i), pack(make([]byte, 4000)), in(time.Minute)))
	}
	s.store(m, true, regular("bad", poison, in(time.Minute)))
	st := m.Stats()
	if st.CacheBytes > 64<<10 || st.Keys != 1 || held(m, "bad") != nil {
		t.Errorf("cache %d bytes, %d keys", st.CacheBytes, st.Keys)
	}
	if held(m, "kept") == nil {
		t.Error("a flood of copies displaced an acknowledged record")
	}
}

// TestStrangersFillNoTable: callers are added only after they answered a question of ours, and a flood of claims costs
// nothing but a bounded queue.
func TestStrangersFillNoTable(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	for range 200 {
		fake := kad.ID(randomKey())
		s.find(m, wire.FindRequest{Keys: [][]byte{fake[:]}, Peer: wire.NodeInfo{ID: fake[:]}})
	}
	own := s.id()
	s.ping(m, own[:], false) // its true ID, but it serves nothing
	if n := len(m.Contacts()); n != 0 {
		t.Errorf("%d contacts", n)
	}
	eventually(t, "the claim was checked", func() bool { return m.Stats().PingsFailed > 0 })
	if n := len(m.Contacts()); n != 0 {
		t.Errorf("%d contacts", n)
	}
}

// TestWrongClockIsNoticed: a peer whose clock is off fails the join, and one liar among many moves no median.
func TestWrongClockIsNoticed(t *testing.T) {
	ahead := quiet()
	ahead.Now = func() time.Time { return time.Now().Add(time.Minute) }
	wrong := launch(t, ahead)
	waitReady(t, wrong)
	n := launch(t, quiet())
	waitReady(t, n)
	late := launch(t, withBootstrap(clientMode(quiet()), wrong))
	if err := late.Bootstrap(testContext(t)); !errors.Is(err, dht.ErrClock) {
		t.Errorf("joined by a wrong clock: %v", err)
	}
	m := swarm(t, 5, quiet())
	settle(t, m)
	liar := newStranger(t)
	id := liar.id()
	liar.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
		return (&wire.PingResponse{Peer: wire.NodeInfo{ID: id[:]}, Time: 1e9}).Append(nil), nil
	})
	ctx := testContext(t)
	for _, x := range m[1:] {
		if _, err := m[0].Ping(ctx, x.Host.ID(), false); err != nil {
			t.Fatal(err)
		}
	}
	liar.ping(m[0], id[:], true)
	if off, peers := m[0].ClockOffset(); off.Abs() > time.Second || peers < 5 {
		t.Errorf("offset %v over %d peers", off, peers)
	}
}

// TestStoreResultNamesEveryReplica: the result counts acceptances, not the answer that came last.
func TestStoreResultNamesEveryReplica(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 4
	m := swarm(t, 5, cfg)
	settle(t, m)
	s := newStranger(t)
	key := record.KeyOfText("key")
	newer := regular("key", pack("newer"), in(5*time.Minute))
	for _, x := range m[:2] { // some replicas have a newer version already
		s.store(x, false, newer)
	}
	res, err := m[4].Store(testContext(t), dht.StoreRequest{Key: key, Value: "v", Expiration: in(time.Minute)})
	accepted, older := 0, 0
	for _, a := range res.Answers {
		switch {
		case a.OK && a.Code == wire.CodeStored:
			accepted++
		case a.Code == wire.CodeOlder && !a.OK:
			older++
		default:
			t.Errorf("answer %+v", a)
		}
	}
	if (err == nil) != (accepted > older) || accepted != res.Accepted || older != res.Older || accepted+older != 4 || older == 0 {
		t.Errorf("accepted %d, older %d: %+v, %v", accepted, older, res, err)
	}
}

// TestNothingGrowsWithKeysAskedFor: a million keys asked for leave nothing behind.
func TestNothingGrowsWithKeysAskedFor(t *testing.T) {
	m := swarm(t, 2, quiet())
	ctx := testContext(t)
	for range 300 {
		_, _ = m[0].Get(ctx, randomKey())
	}
	s := m[0].Stats()
	if s.Searches != 0 || s.CachedKeys != 0 || s.RefreshQueue != 0 {
		t.Errorf("%+v", s)
	}
	if keys, waiters := m[0].Pending(); keys != 0 || waiters != 0 {
		t.Errorf("%d keys and %d gets are still pending", keys, waiters)
	}
}

// TestHostileNearestLists: invented, repeated, too many and malformed neighbours are cut; the search ends and finds what
// honest nodes hold.
func TestHostileNearestLists(t *testing.T) {
	m := swarm(t, 4, quiet())
	ctx := testContext(t)
	if _, err := m[0].Store(ctx, dht.StoreRequest{Key: record.KeyOfText("key"), Value: "v", Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	fake := func() ([]byte, []byte) {
		id := randomKey()
		return id[:], append([]byte{0x12, 0x20}, make([]byte, 32)...)
	}
	lists := map[string]func(r *wire.FindResult){
		"invented": func(r *wire.FindResult) {
			for range 60 {
				id, p := fake()
				r.NearestIDs, r.NearestPeers = append(r.NearestIDs, id), append(r.NearestPeers, p)
			}
		},
		"repeated": func(r *wire.FindResult) {
			id, p := m[1].ID(), []byte(m[1].Host.ID())
			for range 60 {
				r.NearestIDs, r.NearestPeers = append(r.NearestIDs, id[:]), append(r.NearestPeers, p)
			}
		},
		"malformed": func(r *wire.FindResult) {
			id, _ := fake()
			r.NearestIDs, r.NearestPeers = append(r.NearestIDs, id), append(r.NearestPeers, []byte("no peer ID"))
		},
		"unequal": func(r *wire.FindResult) { id, _ := fake(); r.NearestIDs = append(r.NearestIDs, id) },
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			s := newStranger(t)
			s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
				for i := range resp.Results {
					list(&resp.Results[i])
				}
			})
			reader := launch(t, clientMode(withBootstrap(quiet(), m[2])))
			waitReady(t, reader)
			if err := reader.Host.Connect(ctx, s.info()); err != nil {
				t.Fatal(err)
			}
			if _, err := reader.Ping(ctx, s.Host.ID(), false); err != nil {
				t.Fatal(err)
			}
			v, err := reader.Get(ctx, record.KeyOfText("key"), dht.Latest())
			if err != nil || must(v.Decode()) != "v" {
				t.Errorf("got %+v, %v", v, err)
			}
			if reader.Stats().AnswersHostile == 0 {
				t.Error("not counted")
			}
		})
	}
}

// TestBusyPeerIsNotBlamed: who says that it is overloaded keeps its place and is not left out.
func TestBusyPeerIsNotBlamed(t *testing.T) {
	m := swarm(t, 2, quiet())
	s := newStranger(t)
	s.serveFind(func(wire.FindRequest, *wire.FindResponse) {})
	s.befriend(m[0])
	s.Calls.Remove(dht.MethodFind)
	s.Calls.Handle(dht.MethodFind, func(context.Context, *rpc.Request) ([]byte, error) {
		return nil, rpc.Errorf(rpc.ResourceExhausted, "busy")
	})
	ctx := testContext(t)
	for range 10 {
		_, _ = m[0].Get(ctx, randomKey(), dht.Latest())
	}
	if st := m[0].Stats(); !m[0].knows(s.Host.ID()) || st.Bans != 0 || st.FindsFailed == 0 {
		t.Errorf("known %v, %d bans, %d failures", m[0].knows(s.Host.ID()), st.Bans, st.FindsFailed)
	}
}

// TestFreeIDsOnlyWhereAllowed: a node whose ID is not derived from its peer ID gets a place in a mixed swarm only.
func TestFreeIDsOnlyWhereAllowed(t *testing.T) {
	for _, python := range []bool{false, true} {
		t.Run(fmt.Sprintf("python %v", python), func(t *testing.T) {
			cfg := quiet()
			cfg.Python = python
			m := launch(t, cfg)
			s := newStranger(t)
			free := randomKey()
			s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
				return (&wire.PingResponse{Peer: wire.NodeInfo{ID: free[:]}}).Append(nil), nil
			})
			if resp := s.ping(m, free[:], true); resp.Available != python {
				t.Errorf("available: %v", resp.Available)
			}
			if m.knows(s.Host.ID()) != python {
				t.Errorf("in the table: %v", !python)
			}
		})
	}
}

// TestFloodOfKeysGetsOneAnswer: a question for many keys costs no more memory than one answer may take.
func TestFloodOfKeysGetsOneAnswer(t *testing.T) {
	cfg := quiet()
	cfg.MaxValue, cfg.MaxAnswer = 1<<10, 4<<10
	m := swarm(t, 3, cfg)[0]
	req := wire.FindRequest{Want: wire.WantAddrs}
	for range 1024 {
		key := randomKey()
		req.Keys = append(req.Keys, key[:])
	}
	b, err := newStranger(t).call(m, dht.MethodFind, req.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 2*cfg.MaxAnswer+4*len(req.Keys) {
		t.Errorf("an answer of %d bytes, limit %d", len(b), cfg.MaxAnswer)
	}
	var resp wire.FindResponse
	if err := resp.Decode(b, wire.Limits{}); err != nil || len(resp.Results) != 1024 || len(resp.Results[0].NearestIDs) == 0 {
		t.Errorf("%d results, %v", len(resp.Results), err)
	}
}

// TestEndlessPages: a dictionary whose pages never end is given up after what an honest node could have.
func TestEndlessPages(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	var asked, entry atomic.Int64
	s.serveFind(func(_ wire.FindRequest, resp *wire.FindResponse) {
		asked.Add(1)
		d := record.Dictionary{Latest: record.ExpirationAt(in(time.Hour))}
		for range 16 {
			d.Entries = append(d.Entries, record.Entry{Subkey: pack(entry.Add(1)), Value: pack(make([]byte, 60<<10)), Expiration: d.Latest})
		}
		for i := range resp.Results {
			resp.Results[i] = wire.FindResult{
				Type: wire.FoundDictionary, Value: d.Append(nil), Expiration: float64(d.Latest), Cursor: d.Entries[15].Subkey,
			}
		}
	})
	s.befriend(m)
	v, err := m.Get(testContext(t), record.KeyOfText("endless"), dht.Latest())
	if err != nil || len(v.Entries) == 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if n := asked.Load(); n > 6 {
		t.Errorf("%d pages of 1 MiB were read", n)
	}
}
