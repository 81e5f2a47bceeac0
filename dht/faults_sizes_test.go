package dht_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// TestFaultLargeAnswerCostsThePeerItsPlace: a dictionary that had grown beyond one message could not be read any more, and each attempt
// cost the innocent holder its place in the table. Here it comes in pages to nodes that can ask for them, as its first entries to others,
// and nobody is blamed.
func TestFaultLargeAnswerCostsThePeerItsPlace(t *testing.T) {
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

// TestFaultUnboundedSizes: nothing bounded the size of values and subkeys, their number, or how long they live. Here what is too much
// gets a code, and the node goes on.
func TestFaultUnboundedSizes(t *testing.T) {
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

// TestFaultCacheFlood: whoever set in_cache filled other nodes' memory without bound. Here copies are validated like everything else,
// fill no more than the cache, and displace nothing that was acknowledged.
func TestFaultCacheFlood(t *testing.T) {
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

// TestFaultAmplification: a small question for many keys brought a huge answer. Here it costs no more memory than one answer may take.
func TestFaultAmplification(t *testing.T) {
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

// TestFaultEndlessPages: a reader that follows pages can be kept reading for ever. Here a dictionary whose pages never end is given up
// after what an honest node could have.
func TestFaultEndlessPages(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	var asked, entry atomic.Int64
	s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
		if req.Want&wire.WantNearest == 0 { // not upkeep
			asked.Add(1)
		}
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

// TestFaultLeakPerKeyAskedFor: every key that was ever asked for left an entry behind in the table of pending gets. Here nothing is left.
func TestFaultLeakPerKeyAskedFor(t *testing.T) {
	m := swarm(t, 2, quiet())
	ctx := testContext(t)
	for range 300 {
		_, _ = m[0].Get(ctx, randomKey())
	}
	eventually(t, "the last search to end", func() bool { return m[0].Stats().Searches == 0 }) // just after its get
	s := m[0].Stats()
	if s.CachedKeys != 0 || s.RefreshQueue != 0 {
		t.Errorf("%+v", s)
	}
	if keys, waiters := m[0].Pending(); keys != 0 || waiters != 0 {
		t.Errorf("%d keys and %d gets are still pending", keys, waiters)
	}
}
