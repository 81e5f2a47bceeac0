package kad_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/kad"
)

func drawID(t *rapid.T, label string) kad.ID {
	return kad.ID(rapid.SliceOfN(rapid.Byte(), kad.IDLen, kad.IDLen).Draw(t, label))
}

func bigOf(id kad.ID) *big.Int { return new(big.Int).SetBytes(id[:]) }

// The metric against big integers: the original's IDs are unsigned 160-bit integers.
func TestMetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, target := drawID(t, "a"), drawID(t, "b"), drawID(t, "target")
		if n := rapid.IntRange(0, kad.IDBits).Draw(t, "shared"); n > 0 {
			b = kad.RandomIDWithPrefix(rand.New(rand.NewPCG(1, uint64(n))), a, n)
			if got := a.CommonPrefixLen(b); got < n {
				t.Fatalf("%d common bits, want %d at least", got, n)
			}
		}
		x := new(big.Int).Xor(bigOf(a), bigOf(b))
		if bigOf(a.Xor(b)).Cmp(x) != 0 {
			t.Fatalf("%s ^ %s = %s", a, b, a.Xor(b))
		}
		if got, want := a.CommonPrefixLen(b), kad.IDBits-x.BitLen(); got != want {
			t.Fatalf("common prefix %d, want %d", got, want)
		}
		da, db := new(big.Int).Xor(bigOf(a), bigOf(target)), new(big.Int).Xor(bigOf(b), bigOf(target))
		if got, want := kad.CompareDistance(target, a, b), da.Cmp(db); got != want {
			t.Fatalf("compare: %d, want %d", got, want)
		}
		if kad.Nearer(target, a, b) != (da.Cmp(db) < 0) || a.Cmp(b) != bigOf(a).Cmp(bigOf(b)) {
			t.Fatal("order")
		}
		if !a.Xor(a).IsZero() || a.CommonPrefixLen(a) != kad.IDBits {
			t.Fatal("self distance")
		}
		share, _ := new(big.Rat).SetFrac(bigOf(a), new(big.Int).Lsh(big.NewInt(1), kad.IDBits)).Float64()
		if f := a.Fraction(); math.Abs(f-share) > 1e-15 {
			t.Fatalf("fraction %v, want %v", f, share)
		}
	})
}

func TestIDText(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		id := kad.RandomID(rng)
		got, err := kad.ParseID(id.String())
		if err != nil || got != id {
			t.Fatalf("%s: %v %v", id, got, err)
		}
		raw, err := kad.FromBytes(id[:])
		if err != nil || raw != id {
			t.Fatalf("bytes of %s: %v", id, err)
		}
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 39), strings.Repeat("0", 41)} {
		if _, err := kad.ParseID(bad); !errors.Is(err, kad.ErrIDLength) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := kad.ParseID(strings.Repeat("g", 40)); err == nil {
		t.Error("no hexadecimal digits")
	}
	for _, n := range []int{0, 19, 21} {
		if _, err := kad.FromBytes(make([]byte, n)); !errors.Is(err, kad.ErrIDLength) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// SHA-1 of "abc" (FIPS 180): an ID is the hash of the bytes of the peer ID.
func TestIDFromPeer(t *testing.T) {
	if got := kad.IDFromPeer("abc").String(); got != "a9993e364706816aba3e25717850c26c9cd0d89d" {
		t.Errorf("ID of abc: %s", got)
	}
	if n := testing.AllocsPerRun(10, func() { kad.IDFromPeer("0123456789012345678901234567890123456789") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	long := kad.IDFromPeer(peer.ID(strings.Repeat("x", 200)))
	if long.IsZero() {
		t.Error("long peer ID")
	}
}

func TestFractionID(t *testing.T) {
	for _, f := range []float64{0, 0.5, 0.25, 1.0 / 3, 1e-9, 0.999999} {
		if got := kad.FractionID(f).Fraction(); math.Abs(got-f) > 1e-15 {
			t.Errorf("%v became %v", f, got)
		}
	}
	if kad.FractionID(math.NaN()) != (kad.ID{}) || kad.FractionID(-1) != (kad.ID{}) || kad.FractionID(2)[0] != 0xff {
		t.Error("saturation")
	}
}

func TestGroupOf(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.7": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.0/24", "2001:db8:1:2::3": "2001:db8:1::/48",
		"127.0.0.1": "invalid Prefix", "10.1.2.3": "invalid Prefix", "::1": "invalid Prefix", "fe80::1": "invalid Prefix", "0.0.0.0": "invalid Prefix",
	} {
		if got := kad.GroupOf(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestRTT(t *testing.T) {
	var r kad.RTT
	if got := r.Timeout(time.Millisecond, time.Second); got != time.Second {
		t.Errorf("without observations: %v", got)
	}
	for i := range 100 {
		r.Observe(time.Duration(90+i%21) * time.Millisecond) // 100 ms, deviation some 5 ms
	}
	d := r.Timeout(time.Millisecond, time.Second)
	if d < 105*time.Millisecond || d > 150*time.Millisecond {
		t.Errorf("time-out %v for 100 ± 10 ms", d)
	}
	if m := r.Mean(); m < 95*time.Millisecond || m > 105*time.Millisecond {
		t.Errorf("mean %v", m)
	}
	r.Expired()
	if got := r.Timeout(time.Millisecond, time.Second); got < 2*d-time.Millisecond {
		t.Errorf("after a time-out %v", got)
	}
	for range 1000 {
		r.Expired()
	}
	if got := r.Timeout(time.Millisecond, time.Second); got != time.Second {
		t.Errorf("after many time-outs %v", got)
	}
	r.Observe(-time.Hour)
	if got := r.Timeout(time.Millisecond, time.Second); got <= 0 {
		t.Errorf("after a negative round trip %v", got)
	}
}

// The estimate of the size is within a tenth for swarms of any size, and Sybils around a
// few keys do not move it.
func TestSizeEstimator(t *testing.T) {
	for _, n := range []int{30, 300, 3_000} {
		w := &world{}
		for i := range n {
			w.contacts = append(w.contacts, testContact(i))
		}
		rng := rand.New(rand.NewPCG(2, 2))
		var e kad.SizeEstimator
		if size, sure := e.Size(); size != 0 || sure {
			t.Error("an estimate from nothing")
		}
		for i := range 33 {
			target := kad.RandomID(rng)
			near := w.nearest(target, 20)
			if i%5 == 0 { // an attacked key
				for j := range near {
					near[j].ID = kad.RandomIDWithPrefix(rng, target, 30)
				}
				slices.SortFunc(near, func(a, b kad.Contact) int { return kad.CompareDistance(target, a.ID, b.ID) })
			}
			e.Observe(target, near)
		}
		size, sure := e.Size()
		if !sure || math.Abs(size/float64(n)-1) > 0.25 {
			t.Errorf("%d nodes: estimate %.0f, %v", n, size, sure)
		}
		e.Anchor(float64(n) / 10)
		if drifted, sure := e.Size(); sure || drifted > float64(n)/5+1 {
			t.Errorf("anchored at a tenth: %.0f, %v", drifted, sure)
		}
		table := filledTable(t, n, kad.TableConfig{Self: kad.IDFromPeer("self")})
		if got := table.SizeEstimate(); math.Abs(got/float64(n)-1) > 0.6 {
			t.Errorf("%d nodes: the table says %.0f", n, got)
		}
		target := kad.RandomID(rng)
		if c := kad.Crowding(target, w.nearest(target, 20), float64(n)); c < 0.4 || c > 2 {
			t.Errorf("crowding %v of a normal place", c)
		}
	}
}

func TestRegion(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	key := kad.RandomID(rng)
	w := &world{}
	for i := range 2_000 {
		w.contacts = append(w.contacts, testContact(i))
	}
	r := kad.RegionOf(key, 2_000, 40)
	inside := 0
	for _, c := range w.contacts {
		if r.Contains(c.ID) {
			inside++
			if key.CommonPrefixLen(c.ID) < r.Depth() {
				t.Errorf("%s is in the region but shares less than %d bits", c.ID, r.Depth())
			}
		}
	}
	if inside < 20 || inside > 60 {
		t.Errorf("%d nodes in a region of 40", inside)
	}
	// The nearest 20 of each target together are all nodes of the region.
	found := make(map[peer.ID]bool)
	for _, target := range r.Targets(8) {
		for _, c := range w.nearest(target, 20) {
			found[c.Peer] = true
		}
	}
	for _, c := range w.contacts {
		if r.Contains(c.ID) && !found[c.Peer] {
			t.Errorf("%s of the region is not covered", c.ID)
		}
	}
	if kad.RegionOf(key, 0, 40).Contains(w.contacts[0].ID) || !kad.RegionOf(key, 10, 40).Contains(w.contacts[0].ID) {
		t.Error("a region of an unknown or tiny swarm")
	}
	if n := len(kad.Region{Center: key}.Targets(1)); n != 1 {
		t.Errorf("%d targets", n)
	}
}

// A swarm that grows, a key that is searched again and again, and a table that disagrees.
func TestSizeIsTrustedWithReason(t *testing.T) {
	w := &world{}
	for i := range 2_000 {
		w.contacts = append(w.contacts, testContact(i))
	}
	rng := rand.New(rand.NewPCG(6, 6))
	var e kad.SizeEstimator
	hot := kad.RandomID(rng)
	for range 50 {
		e.Observe(hot, w.nearest(hot, 20))
	}
	if _, sure := e.Size(); sure {
		t.Error("one key makes sure")
	}
	small := &world{contacts: w.contacts[:200]}
	for range 33 {
		target := kad.RandomID(rng)
		e.Observe(target, small.nearest(target, 20))
	}
	if size, sure := e.Size(); !sure || math.Abs(size/200-1) > 0.25 {
		t.Errorf("200 nodes: %.0f, %v", size, sure)
	}
	e.Anchor(2_000) // the table met the newcomers first
	if size, sure := e.Size(); sure || size != 2_000 {
		t.Errorf("the swarm grew: %.0f, %v", size, sure)
	}
	e.Anchor(0)
	for range 9 {
		target := kad.RandomID(rng)
		e.Observe(target, w.nearest(target, 20))
	}
	if size, sure := e.Size(); sure || math.Abs(size/2_000-1) > 0.5 {
		t.Errorf("the latest lookups see a larger swarm: %.0f, %v", size, sure)
	}
	for range 24 {
		target := kad.RandomID(rng)
		e.Observe(target, w.nearest(target, 20))
	}
	if size, sure := e.Size(); !sure || math.Abs(size/2_000-1) > 0.25 {
		t.Errorf("all lookups see it: %.0f, %v", size, sure)
	}
}

func TestSelectReplicas(t *testing.T) {
	key := kad.ID{}
	var list []kad.Contact
	for i := range 40 {
		list = append(list, withAddr(testContact(i), netip.AddrFrom4([4]byte{9, 9, byte(i), 1})))
	}
	slices.SortFunc(list, func(a, b kad.Contact) int { return kad.CompareDistance(key, a.ID, b.ID) })
	if got := kad.SelectReplicas(nil, list, kad.ReplicaPolicy{}); !slices.Equal(got, list[:8]) {
		t.Errorf("plain: %v", got)
	}
	// Twelve Sybils of one /24 in front get two places.
	crowd := slices.Clone(list)
	for i := range 12 {
		crowd[i].Addr = netip.MustParseAddr("203.0.113.1")
	}
	got := kad.SelectReplicas(nil, crowd, kad.ReplicaPolicy{})
	if len(got) != 8 || got[1] != crowd[1] || got[2] != crowd[12] {
		t.Errorf("one group: %v", got)
	}
	// Free IDs get half of the places, and all of them when there is nobody else.
	free := slices.Clone(list)
	for i := range 20 {
		free[i].Peer = testPeer(100 + i)
	}
	got = kad.SelectReplicas(nil, free, kad.ReplicaPolicy{})
	if len(got) != 8 || got[3] != free[3] || got[4] != free[20] {
		t.Errorf("free: %v", got)
	}
	if got = kad.SelectReplicas(nil, free[:10], kad.ReplicaPolicy{}); len(got) != 8 {
		t.Errorf("only free: %v", got)
	}
	// The region adds its rim first, within the maximum.
	region := kad.Region{Center: key, Radius: list[19].ID}
	got = kad.SelectReplicas(nil, list, kad.ReplicaPolicy{Region: region, Max: 10})
	if want := append(slices.Clone(list[:8]), list[18:20]...); !slices.Equal(got, want) {
		t.Errorf("region: %v", got)
	}
	if got = kad.SelectReplicas(nil, list, kad.ReplicaPolicy{Region: region}); !slices.Equal(got, list[:20]) {
		t.Errorf("whole region: %v", got)
	}
	if got = kad.SelectReplicas(nil, nil, kad.ReplicaPolicy{}); len(got) != 0 {
		t.Errorf("nobody: %v", got)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add([]byte("a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		var id kad.ID
		if err := id.UnmarshalText(b); err == nil && !strings.EqualFold(id.String(), string(b)) {
			t.Errorf("%q became %s", b, id)
		}
		if id, err := kad.FromBytes(b); err == nil && !slices.Equal(id[:], b) {
			t.Errorf("%x became %s", b, id)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	table := filledTable(f, 5, kad.TableConfig{Self: kad.IDFromPeer("self")})
	blob, err := table.Snapshot(epoch).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add([]byte(`{"self":"00","contacts":[{}]}`))
	f.Add([]byte(`{"contacts":[{"contact":{"id":"a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5","peer":"1","addr":"::%x"},"first_seen":"9999-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := kad.DecodeSnapshot(b)
		if err != nil {
			return
		}
		again := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self"), AllowFree: true})
		again.Restore(s, epoch)
		checkBuckets(t, again)
		again.Due(nil, epoch.Add(time.Hour))
		if _, err := again.Snapshot(epoch).Encode(); err != nil {
			t.Error(err)
		}
	})
}
