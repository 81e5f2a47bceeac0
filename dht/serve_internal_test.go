package dht

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// still returns a node that serves but does not run: what it is told to do later stays in its queues.
func still(t testing.TB, cfg Config) *Node {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := p2p.New(p2p.Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	calls := rpc.NewNode(host, rpc.Config{})
	n, err := New(calls, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = n.Close()
		_ = calls.Close()
		_ = host.Close()
	})
	return n
}

// FuzzServe feeds the handlers with arbitrary requests. They answer or refuse, never panic, and an answer is no larger
// than allowed.
func FuzzServe(f *testing.F) {
	cfg := Config{MaxAnswer: 1 << 16, MaxValue: 1 << 10, CallTimeout: time.Millisecond, Validators: record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))}
	n := still(f, cfg)
	key := record.KeyOfText("key")
	value, err := msgpack.Marshal("value")
	if err != nil {
		f.Fatal(err)
	}
	expiration := float64(time.Now().Add(time.Hour).Unix())
	store := wire.StoreRequest{Keys: [][]byte{key[:]}, Subkeys: [][]byte{[]byte(record.RegularTag)}, Values: [][]byte{value}, Expiration: []float64{expiration}, InCache: []bool{false}}
	f.Add(uint8(1), store.Append(nil))
	store.Subkeys[0] = []byte{7}
	f.Add(uint8(1), store.Append(nil))
	store.Subkeys[0] = nil
	store.Values[0] = record.Dictionary{Entries: []record.Entry{{Subkey: []byte{7}, Value: value, Expiration: record.Expiration(expiration)}}}.Append(nil)
	f.Add(uint8(1), store.Append(nil))
	f.Add(uint8(2), (&wire.FindRequest{Keys: [][]byte{key[:]}, Want: 3}).Append(nil))
	f.Add(uint8(2), (&wire.FindRequest{Keys: [][]byte{key[:], key[:]}, Want: 3, After: [][]byte{{1}, {}}}).Append(nil))
	f.Add(uint8(0), (&wire.PingRequest{Peer: wire.NodeInfo{ID: key[:]}, Validate: true}).Append(nil))
	sender := peer.ID("\x00\x01s")
	f.Fuzz(func(t *testing.T, method uint8, data []byte) {
		handlers := []rpc.UnaryHandler{n.servePing, n.serveStore, n.serveFind}
		answer, err := handlers[int(method)%len(handlers)](t.Context(), &rpc.Request{Peer: sender, Data: data})
		if err != nil {
			if rpc.CodeOf(err) != rpc.InvalidArgument {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if len(answer) > cfg.MaxAnswer+4096+64*1024 {
			t.Fatalf("%d bytes of answer to %d bytes of request", len(answer), len(data))
		}
	})
}

// FuzzAnswer feeds the reading of answers with arbitrary bytes: nothing that is not valid comes out.
func FuzzAnswer(f *testing.F) {
	n := still(f, Config{CallTimeout: time.Millisecond})
	key := kad.ID(record.KeyOfText("key"))
	value, err := msgpack.Marshal("value")
	if err != nil {
		f.Fatal(err)
	}
	expiration := float64(time.Now().Add(time.Hour).Unix())
	good := wire.FindResponse{Peer: wire.NodeInfo{ID: key[:]}, Results: []wire.FindResult{{Type: wire.FoundRegular, Value: value, Expiration: expiration,
		NearestIDs: [][]byte{key[:]}, NearestPeers: [][]byte{{0, 1, 7}}, NearestAddrs: [][]byte{{4, 1, 2, 3, 4}}}}}
	f.Add(good.Append(nil))
	good.Results[0].Type = wire.FoundDictionary
	good.Results[0].Value = record.Dictionary{Entries: []record.Entry{{Subkey: []byte{7}, Value: value, Expiration: record.Expiration(expiration)}}}.Append(nil)
	good.Results[0].Cursor = []byte{7}
	f.Add(good.Append(nil))
	from := kad.Contact{ID: key, Peer: "\x00\x01s"}
	f.Fuzz(func(t *testing.T, data []byte) {
		var resp wire.FindResponse
		if err := resp.Decode(data, n.limits); err != nil || len(resp.Results) != 1 {
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // no further pages
		a, err := n.read(ctx, from, []kad.ID{key}, &resp, false)
		if err != nil || a.found[0] == nil {
			return
		}
		for _, r := range a.found[0].records(record.Key(key)) {
			if _, err := msgpack.Unmarshal(r.Value); err != nil {
				t.Fatalf("a value that cannot be decoded was believed: %x", r.Value)
			}
			if r.Expiration.Expired(time.Now().Add(-time.Minute)) {
				t.Fatalf("an expired value was believed")
			}
		}
		for _, c := range a.nearest[0] {
			n.learnAddrs(c.Peer, a.addrsOf(c.Peer))
		}
	})
}

// TestForgeriesAreNotVerifiedForEver: what comes before too many wrong signatures is judged as ever, what comes after is not looked at.
func TestForgeriesAreNotVerifiedForEver(t *testing.T) {
	n := still(t, Config{Validators: record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))})
	owner, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := record.NewSignature(owner, record.SignatureConfig{})
	subkey, err := msgpack.Marshal(signer.Marker())
	if err != nil {
		t.Fatal(err)
	}
	value, err := msgpack.Marshal("value")
	if err != nil {
		t.Fatal(err)
	}
	m := wire.StoreRequest{WantCodes: true}
	add := func(i int, forged bool) {
		r := record.Record{Key: record.KeyOf(i), Subkey: subkey, Value: value, Expiration: record.ExpirationAt(time.Now().Add(time.Hour))}
		if r.Value, err = signer.Sign(r); err != nil {
			t.Fatal(err)
		}
		if forged {
			r.Key = record.KeyOf(-1 - i)
		}
		m.Keys, m.Subkeys, m.Values = append(m.Keys, r.Key[:]), append(m.Subkeys, r.Subkey), append(m.Values, r.Value)
		m.Expiration, m.InCache = append(m.Expiration, float64(r.Expiration)), append(m.InCache, false)
	}
	const good = 5
	for i := range good {
		add(i, false)
	}
	for i := range maxForgeries - 1 {
		add(good+i, true)
	}
	add(1000, false) // one is still allowed
	add(1001, true)
	add(1002, false)
	add(1003, true)
	answer, err := n.serveStore(t.Context(), &rpc.Request{Peer: "\x00\x01s", Data: m.Append(nil)})
	if err != nil {
		t.Fatal(err)
	}
	var resp wire.StoreResponse
	if err := resp.Decode(answer, n.limits); err != nil {
		t.Fatal(err)
	}
	for i, got := range resp.Codes {
		want := wire.CodeInvalid
		switch {
		case i < good || i == good+maxForgeries-1:
			want = wire.CodeStored
		case i > good+maxForgeries:
			want = wire.CodeBusy
		}
		if got != want {
			t.Errorf("record %d: %v, want %v", i, got, want)
		}
	}
	if !n.contacts.isBanned("\x00\x01s", time.Now()) {
		t.Error("the sender is asked as before")
	}
}

func TestGroupRefusesAfterClose(t *testing.T) {
	var g group
	ran := make(chan struct{})
	if !g.start(func() { close(ran) }) {
		t.Fatal("refused")
	}
	g.close()
	<-ran
	if g.start(func() { t.Error("ran after close") }) {
		t.Error("started after close")
	}
}

func TestTurnstiles(t *testing.T) {
	var g turnstiles
	g.init()
	const p = peer.ID("peer")
	for range maxCallsPerPeer {
		if err := g.enter(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	entered := make(chan error, 2)
	go func() { entered <- g.enter(ctx, p) }()
	cancel()
	if err := <-entered; err == nil {
		t.Error("entered a full gate")
	}
	go func() { entered <- g.enter(t.Context(), p) }()
	g.leave(p)
	if err := <-entered; err != nil {
		t.Error(err)
	}
	for range maxCallsPerPeer {
		g.leave(p)
	}
	if len(g.busy) != 0 {
		t.Errorf("%d peers left behind", len(g.busy))
	}
}

func TestBackoffDoubles(t *testing.T) {
	var c contacts
	c.init(Config{BackoffBase: 5 * time.Second, BackoffMax: time.Minute, BucketSize: 20, DepthModulo: 5}, kad.ID{1})
	now := time.Unix(1_700_000_000, 0)
	for i, seconds := range []int{5, 10, 20, 40, 60, 60} {
		want := time.Duration(seconds) * time.Second
		if got := c.ban("p", now); got != want {
			t.Errorf("failure %d: %v, want %v", i+1, got, want)
		}
		if got := c.ban("p", now); got != 0 {
			t.Errorf("failure %d counted twice", i+1)
		}
		if !c.isBanned("p", now.Add(want-1)) || c.isBanned("p", now.Add(want)) {
			t.Errorf("failure %d: ban is not %v", i+1, want)
		}
		now = now.Add(want)
	}
	c.pardon("p")
	if got := c.ban("p", now); got != 5*time.Second {
		t.Errorf("after an answer: %v", got)
	}
	for i := range 3 * maxBanned {
		c.ban(peer.ID(rune(i)), now)
	}
	if len(c.banned) > maxBanned {
		t.Errorf("%d bans", len(c.banned))
	}
}

func TestMergeNeverWrites(t *testing.T) {
	entry := func(k byte, v string, e record.Expiration) record.Entry {
		return record.Entry{Subkey: []byte{k}, Value: []byte(v), Expiration: e}
	}
	a := dictionaryFinding(record.Dictionary{Latest: 20, Entries: []record.Entry{entry(1, "a", 10), entry(2, "a", 20)}})
	b := dictionaryFinding(record.Dictionary{Latest: 30, Entries: []record.Entry{entry(2, "b", 15), entry(3, "b", 30)}})
	r := &finding{expiration: 25, value: []byte("r")}
	m := merge(a, b)
	if len(m.dict.Entries) != 3 || m.expiration != 30 || len(a.dict.Entries) != 2 || len(b.dict.Entries) != 2 {
		t.Errorf("%+v", m.dict)
	}
	for i, tc := range []struct{ x, y, want *finding }{
		{nil, nil, nil}, {a, nil, a}, {nil, a, a}, {a, r, r}, {r, a, r}, {b, r, b}, {r, b, b},
		{r, &finding{expiration: 25, value: []byte("s")}, &finding{expiration: 25, value: []byte("s")}},
	} {
		got := merge(tc.x, tc.y)
		if (got == nil) != (tc.want == nil) || got != nil && (got.expiration != tc.want.expiration || string(got.value) != string(tc.want.value)) {
			t.Errorf("case %d: %+v", i, got)
		}
	}
}

func TestClockMedian(t *testing.T) {
	var c clockSkew
	now := time.Unix(1_700_000_000, 0)
	for i := range 200 {
		c.observe(peer.ID(rune('a'+i)), time.Second, now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(c.samples) != maxClockSamples {
		t.Errorf("%d samples", len(c.samples))
	}
	for range 1000 { // one liar has one vote
		c.observe("liar", time.Hour, now.Add(time.Second))
	}
	if off, n := c.median(now.Add(time.Second)); off != time.Second || n != maxClockSamples {
		t.Errorf("%v over %d", off, n)
	}
	if _, n := c.median(now.Add(2 * clockSampleAge)); n != 0 || len(c.samples) != 0 {
		t.Errorf("%d stale samples", n)
	}
}

// TestAddressesKnownLater: of a peer that has just connected the addresses are not known yet. That is not remembered.
func TestAddressesKnownLater(t *testing.T) {
	n, other, now := still(t, Config{}), still(t, Config{}), time.Now()
	list := []wire.Neighbour{{Peer: string(other.me)}}
	if n.addrsOf(list, now); len(list[0].Addrs) != 0 {
		t.Fatalf("addresses of a peer that nobody knows: %x", list[0].Addrs)
	}
	n.calls.Host().Libp2p().Peerstore().AddAddr(other.me, multiaddr.StringCast("/ip4/127.0.0.1/tcp/9"), time.Hour)
	if n.addrsOf(list, now); len(list[0].Addrs) == 0 {
		t.Error("its address is not told")
	}
}
