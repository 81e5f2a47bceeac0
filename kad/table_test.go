package kad_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// freeContact returns contact number i with an ID that is not bound to its peer.
func freeContact(id kad.ID, i int) kad.Contact {
	return kad.Contact{ID: id, Peer: peer.ID(fmt.Sprintf("\x00\x11free-peer-%07d", i))}
}

// unlimited keeps every spare contact, as the original does.
func unlimited(cfg kad.TableConfig) kad.TableConfig {
	cfg.Replacements = 1 << 20
	return cfg
}

// bruteNearest is the oracle of Nearest.
func bruteNearest(contacts []kad.Contact, target kad.ID, k int, exclude kad.ID) []kad.Contact {
	list := slices.DeleteFunc(slices.Clone(contacts), func(c kad.Contact) bool { return c.ID == exclude })
	slices.SortFunc(list, func(a, b kad.Contact) int { return a.ID.Xor(target).Cmp(b.ID.Xor(target)) })
	return list[:min(k, len(list))]
}

// healthy returns the live contacts that answered the last question.
func healthy(t *kad.Table) []kad.Contact {
	var list []kad.Contact
	for _, b := range t.Buckets() {
		for _, e := range b.Live {
			if e.Verified && e.Failures == 0 {
				list = append(list, e.Contact)
			}
		}
	}
	return list
}

// The rows of the original's acceptance list: 100 nodes are all found, both ways, the
// buckets are contiguous and cover the space, nobody waits as a spare.
func TestTableBasic(t *testing.T) {
	table := filledTable(t, 100, kad.TableConfig{Self: kad.IDFromPeer("self")})
	if table.Len() != 100 {
		t.Fatalf("%d live contacts of 100", table.Len())
	}
	for i := range 100 {
		c := testContact(i)
		if got, live, ok := table.Find(c.Peer); !ok || !live || got != c {
			t.Errorf("Find(%s) = %v, %v, %v", c.Peer, got, live, ok)
		}
		if got, live, ok := table.Holder(c.ID); !ok || !live || got != c {
			t.Errorf("Holder(%s) = %v, %v, %v", c.ID, got, live, ok)
		}
	}
	buckets := table.Buckets()
	if len(buckets) < 3 || len(buckets) > 10 {
		t.Errorf("%d buckets, want 3..10", len(buckets))
	}
	checkBuckets(t, table)
	for _, b := range buckets {
		if len(b.Spare) > 0 {
			t.Errorf("bucket %s/%d has spares", b.Prefix.Short(), b.Depth)
		}
	}
}

// checkBuckets fails unless the buckets cover the space without gap or overlap and hold
// only contacts of their range, each once, as many as fit.
func checkBuckets(tb interface{ Fatalf(string, ...any) }, table *kad.Table) {
	var covered float64
	seen := make(map[peer.ID]bool)
	ids := make(map[kad.ID]bool)
	live := 0
	var last kad.ID
	for i, b := range table.Buckets() {
		width := 1.0
		for range b.Depth {
			width /= 2
		}
		if got := b.Prefix.Fraction(); got != covered {
			tb.Fatalf("bucket %d starts at %v, want %v", i, got, covered)
		}
		if i > 0 && b.Prefix.Cmp(last) <= 0 {
			tb.Fatalf("bucket %d is out of order", i)
		}
		last = b.Prefix
		covered += width
		live += len(b.Live)
		for _, e := range slices.Concat(b.Live, b.Spare) {
			if e.Contact.ID.CommonPrefixLen(b.Prefix) < b.Depth {
				tb.Fatalf("%s is in bucket %s/%d", e.Contact.ID, b.Prefix.Short(), b.Depth)
			}
			// Only the owner of a bound ID may wait for its verification beside a squatter.
			if seen[e.Contact.Peer] || ids[e.Contact.ID] && e.Verified {
				tb.Fatalf("%s or its ID is in the table twice", e.Contact.Peer)
			}
			seen[e.Contact.Peer], ids[e.Contact.ID] = true, e.Verified
			if e.Contact.ID == table.Self() {
				tb.Fatalf("the owner is in its own table")
			}
		}
	}
	if covered != 1 {
		tb.Fatalf("the buckets cover %v of the space", covered)
	}
	if live != table.Len() {
		tb.Fatalf("%d live contacts in buckets, Len is %d", live, table.Len())
	}
}

// Bucket counts of the original with 10,000 nodes.
func TestTableParameters(t *testing.T) {
	for _, c := range []struct{ size, modulo, low, high int }{
		{20, 5, 45, 65}, {50, 5, 35, 45}, {20, 10, 650, 800}, {20, 1, 7, 15},
	} {
		t.Run(fmt.Sprintf("k=%d,b=%d", c.size, c.modulo), func(t *testing.T) {
			table := filledTable(t, 10_000, kad.TableConfig{Self: kad.IDFromPeer("self"), BucketSize: c.size, DepthModulo: c.modulo})
			checkBuckets(t, table)
			if n := len(table.Buckets()); n < c.low || n > c.high {
				t.Errorf("%d buckets, want %d..%d", n, c.low, c.high)
			}
		})
	}
}

// The nearest contacts equal those of a brute force search, with and without an excluded
// one; every contact is live or spare.
func TestTableSearch(t *testing.T) {
	for _, c := range []struct{ nodes, low, high int }{{10, 10, 10}, {10_000, 800, 1_100}} {
		t.Run(fmt.Sprint(c.nodes), func(t *testing.T) {
			table := filledTable(t, c.nodes, unlimited(kad.TableConfig{Self: kad.IDFromPeer("self")}))
			if n := table.Len(); n < c.low || n > c.high {
				t.Errorf("%d live contacts, want %d..%d", n, c.low, c.high)
			}
			if s := table.Stats(); s.Live+s.Spare != c.nodes {
				t.Errorf("%d live and %d spare contacts of %d", s.Live, s.Spare, c.nodes)
			}
			all := table.Contacts(nil)
			rng := rand.New(rand.NewPCG(1, 9))
			for i := range 2_000 {
				target, exclude, k := kad.RandomID(rng), kad.ID{}, 1+rng.IntN(100)
				if i%2 == 0 {
					exclude = all[rng.IntN(len(all))].ID
				}
				if i%10 == 0 {
					target = exclude // its own place
				}
				want := bruteNearest(all, target, k, exclude)
				if got := table.Nearest(nil, target, k, exclude); !slices.Equal(got, want) {
					t.Fatalf("%d nearest of %s without %s:\n got %v\nwant %v", k, target, exclude, got, want)
				}
			}
		})
	}
}

// In the original a node whose ID equals the midpoint of a split bucket goes to the left
// half, although the right one covers it, and is never found again (mesh.md 10.4.2).
func TestSplitMidpointGoesRight(t *testing.T) {
	var self, midpoint kad.ID
	midpoint[0] = 0x80
	table := kad.NewTable(kad.TableConfig{Self: self, BucketSize: 2, AllowFree: true})
	table.Add(freeContact(midpoint, 0), epoch)
	for i := 1; i < 8; i++ {
		id := kad.ID{byte(i * 37)}
		table.Add(freeContact(id, i), epoch)
	}
	checkBuckets(t, table)
	c, live, ok := table.Holder(midpoint)
	if !ok || !live || c.ID != midpoint {
		t.Fatalf("the node at the midpoint is lost: %v %v %v", c, live, ok)
	}
	if got := table.Nearest(nil, midpoint, 1, kad.ID{1}); len(got) != 1 || got[0].ID != midpoint {
		t.Errorf("nearest of the midpoint: %v", got)
	}
}

// A claim that somebody else's peer has an ID, or that somebody has another's ID, changes
// nothing for those that are there: the eviction by a spoofed ping of mesh.md 10.3.5.
func TestSpoofedPingDoesNotEvict(t *testing.T) {
	for _, allowFree := range []bool{false, true} {
		table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self"), AllowFree: allowFree, MaxFailures: 1})
		victim, attacker := testContact(1), testContact(2)
		if r := table.Add(victim, epoch); r.Status != kad.Added {
			t.Fatalf("victim: %s", r.Status)
		}
		spoof := kad.Contact{ID: victim.ID, Peer: attacker.Peer}
		r := table.Offer(spoof, epoch)
		if !r.Status.Refused() || r.HasCheck {
			t.Errorf("spoofed claim: %s, check %v", r.Status, r.HasCheck)
		}
		// The shell asked the attacker back and got no or a different answer.
		for range 10 {
			table.Failed(spoof, epoch)
		}
		if c, live, ok := table.Find(victim.Peer); !ok || !live || c != victim {
			t.Errorf("allowFree %v: the victim lost its place: %v %v %v", allowFree, c, live, ok)
		}
	}
}

// An ID never changes its peer while the holder is in good standing, whatever somebody
// says or even proves to say: the takeover of mesh.md 10.3.6.
func TestTakeoverOfID(t *testing.T) {
	table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self"), AllowFree: true})
	bound := testContact(1)
	free := freeContact(kad.ID{1, 2, 3}, 1)
	for _, victim := range []kad.Contact{bound, free} {
		table.Add(victim, epoch)
		thief := kad.Contact{ID: victim.ID, Peer: "thief"}
		for _, r := range []kad.AddResult{table.Offer(thief, epoch), table.Add(thief, epoch)} {
			if r.Status != kad.RefusedRemap {
				t.Errorf("takeover: %s", r.Status)
			}
		}
		if c, live, _ := table.Holder(victim.ID); !live || c.Peer != victim.Peer {
			t.Errorf("%s was taken over by %s", victim.ID, c.Peer)
		}
	}
	// Hearsay cannot move a peer to another ID either; the peer itself can, with a free one.
	moved := kad.Contact{ID: kad.ID{9}, Peer: free.Peer}
	if r := table.Offer(moved, epoch); r.Status != kad.RefusedMoved {
		t.Errorf("hearsay moved a peer: %s", r.Status)
	}
	if r := table.Add(moved, epoch); r.Status != kad.Added {
		t.Errorf("a peer that moved: %s", r.Status)
	}
	if _, _, ok := table.Holder(free.ID); ok {
		t.Error("the old ID of a peer that moved is still there")
	}
}

// The owner of a bound ID gets it even when a free node sat on it first.
func TestBoundOwnerReclaimsID(t *testing.T) {
	table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self"), AllowFree: true})
	owner := testContact(1)
	squatter := freeContact(owner.ID, 1)
	table.Add(squatter, epoch)
	if r := table.Add(owner, epoch); r.Status != kad.Added {
		t.Fatalf("owner: %s", r.Status)
	}
	if c, live, _ := table.Holder(owner.ID); !live || c != owner {
		t.Errorf("the ID is held by %v", c)
	}
}

func TestFreeIDs(t *testing.T) {
	self := kad.IDFromPeer("self")
	strict := kad.NewTable(kad.TableConfig{Self: self})
	if r := strict.Add(freeContact(kad.ID{1}, 1), epoch); r.Status != kad.RefusedFree {
		t.Errorf("free ID in a strict table: %s", r.Status)
	}
	if r := strict.Offer(freeContact(kad.ID{1}, 1), epoch); r.Status != kad.RefusedFree {
		t.Errorf("free ID offered to a strict table: %s", r.Status)
	}
	// A bucket full of free contacts gives way to bound ones, never the other way round.
	table := kad.NewTable(kad.TableConfig{Self: kad.ID{0xff}, BucketSize: 4, DepthModulo: 1, AllowFree: true})
	far := func(i int) kad.Contact { // bound contacts in the half away from the owner
		for n := i * 1000; ; n++ {
			if c := testContact(n); c.ID.Bit(0) == 0 {
				return c
			}
		}
	}
	for i := range 8 {
		table.Add(freeContact(kad.ID{byte(i)}, i), epoch)
	}
	table.Add(testContact(3), epoch) // either half
	for i := range 4 {
		if r := table.Add(far(i+1), epoch); r.Status != kad.Added {
			t.Errorf("bound contact %d: %s", i, r.Status)
		}
	}
	if r := table.Add(freeContact(kad.ID{100}, 100), epoch); r.Status == kad.Added {
		t.Error("a free contact displaced a bound one")
	}
	checkBuckets(t, table)
	for _, b := range table.Buckets() {
		if b.Prefix.Bit(0) == 1 {
			continue
		}
		for _, e := range b.Live {
			if !e.Bound {
				t.Errorf("%s is live though bound contacts fill the bucket", e.Contact.Peer)
			}
		}
	}
}

// Hearsay is not knowledge: an offered contact is asked before anybody hears of it.
func TestOfferIsVerifiedFirst(t *testing.T) {
	table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self")})
	c := testContact(1)
	r := table.Offer(c, epoch)
	if r.Status != kad.Spare || !r.HasCheck || r.Check != c {
		t.Fatalf("offer: %+v", r)
	}
	if got := table.Nearest(nil, c.ID, 5, kad.ID{}); len(got) != 0 || table.Len() != 0 {
		t.Fatalf("an unverified contact is passed on: %v", got)
	}
	if r := table.Add(c, epoch.Add(time.Second)); r.Status != kad.Added {
		t.Fatalf("answer: %s", r.Status)
	}
	if got := table.Nearest(nil, c.ID, 5, kad.ID{}); len(got) != 1 {
		t.Error("a verified contact is not passed on")
	}
	if r := table.Offer(c, epoch); r.Status != kad.Known {
		t.Errorf("second offer: %s", r.Status)
	}
	// One that never answers is forgotten at once.
	d := testContact(2)
	table.Offer(d, epoch)
	table.Failed(d, epoch)
	if _, _, ok := table.Find(d.Peer); ok {
		t.Error("a contact that never answered is kept")
	}
}

func TestEvictionAfterFailures(t *testing.T) {
	table := kad.NewTable(kad.TableConfig{Self: kad.ID{0xff}, BucketSize: 2, DepthModulo: 1, AllowFree: true})
	a, b, spare := freeContact(kad.ID{1}, 1), freeContact(kad.ID{2}, 2), freeContact(kad.ID{3}, 3)
	table.Add(a, epoch)
	table.Add(b, epoch)
	table.Add(freeContact(kad.ID{0xf0}, 4), epoch) // splits around the owner
	r := table.Add(spare, epoch.Add(time.Second))
	if r.Status != kad.Spare || !r.HasCheck || r.Check != a {
		t.Fatalf("full bucket: %+v, want a check of the least recently seen", r)
	}
	now := epoch.Add(time.Minute)
	for i := range 2 {
		if table.Failed(a, now) {
			t.Fatalf("evicted after %d failures", i+1)
		}
	}
	table.Add(a, now) // an answer clears the count
	for range 2 {
		table.Failed(a, now)
	}
	if !table.Failed(a, now) {
		t.Fatal("not evicted after 3 failures in a row")
	}
	if _, live, ok := table.Find(a.Peer); live || !ok {
		t.Error("an evicted contact should wait as lost")
	}
	if _, live, _ := table.Find(spare.Peer); !live {
		t.Error("the spare was not promoted")
	}
	// It comes back by itself when it answers again, if there is room.
	table.Remove(b.Peer, now)
	if r := table.Add(a, now.Add(time.Hour)); r.Status != kad.Added {
		t.Errorf("returned: %s", r.Status)
	}
}

// One /24 with 10,000 IDs gets 2 places of a bucket and 10 of the table, spares included;
// two addresses never more than 4 of a bucket (Marcus, Heilman, Goldberg 2018).
func TestTableEclipse(t *testing.T) {
	for _, c := range []struct {
		name   string
		addr   func(i int) netip.Addr
		groups int
	}{
		{"one /24", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }, 1},
		{"one /24 mapped to IPv6", func(i int) netip.Addr {
			return netip.AddrFrom16(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).As16())
		}, 1},
		{"two addresses", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(i % 2), 7}) }, 2},
		{"one /48", func(i int) netip.Addr {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: 1})
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self")})
			honest := 0
			for i := range 30 { // every bucket has room for more
				h := testContact(1_000_000 + i)
				h.Addr = netip.AddrFrom4([4]byte{8, byte(i), 1, 1})
				if table.Add(h, epoch).Status == kad.Added {
					honest++
				}
			}
			for i := range 10_000 {
				contact := testContact(i)
				contact.Addr = c.addr(i)
				if i%2 == 0 {
					table.Offer(contact, epoch)
				}
				table.Add(contact, epoch.Add(time.Duration(i)*time.Second))
			}
			total := 0
			for _, b := range table.Buckets() {
				in := 0
				for _, e := range slices.Concat(b.Live, b.Spare) {
					if e.Contact.Addr.Unmap().As16()[12] != 8 || e.Contact.Addr.Is6() && !e.Contact.Addr.Is4In6() {
						in++
					}
				}
				if in > 2*c.groups {
					t.Errorf("%d of bucket %s/%d", in, b.Prefix.Short(), b.Depth)
				}
				total += in
			}
			if total > 10*c.groups || total == 0 {
				t.Errorf("%d places of the table", total)
			}
			for i := range 30 {
				if _, live, _ := table.Find(testContact(1_000_000 + i).Peer); live {
					honest--
				}
			}
			if honest != 0 {
				t.Errorf("%d honest contacts lost their places", honest)
			}
		})
	}
}

// A flood for a day, then a restart: the honest contacts that were there first still are,
// and they are the anchors to dial.
func TestFloodThenRestart(t *testing.T) {
	cfg := kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 5}
	table := kad.NewTable(cfg)
	for i := range 60 {
		h := testContact(i)
		h.Addr = netip.AddrFrom4([4]byte{8, byte(i), 1, 1})
		table.Add(h, epoch)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	now := epoch
	for i := range 24 * 60 {
		now = epoch.Add(time.Duration(i+1) * time.Minute)
		for j := range 20 {
			bad := testContact(1_000_000 + 20*i + j)
			bad.Addr = netip.AddrFrom4([4]byte{byte(9 + rng.IntN(100)), byte(rng.IntN(256)), byte(rng.IntN(256)), 1})
			table.Offer(bad, now)
			if rng.IntN(3) == 0 {
				table.Add(bad, now)
			}
		}
		for _, check := range table.Due(nil, now) {
			table.Add(check.Contact, now) // all answer
		}
	}
	blob, err := table.Snapshot(now).Encode()
	if err != nil {
		t.Fatal(err)
	}
	s, err := kad.DecodeSnapshot(blob)
	if err != nil {
		t.Fatal(err)
	}
	again := kad.NewTable(cfg)
	anchors := again.Restore(s, now.Add(time.Hour))
	if len(anchors) < 60 {
		t.Fatalf("%d anchors", len(anchors))
	}
	for i, c := range anchors[:60] {
		if c.Addr.As4()[0] != 8 {
			t.Errorf("anchor %d is one of the flood", i)
		}
	}
	// Newcomers cannot take the restored places before these had their chance.
	for i := range 5_000 {
		again.Add(testContact(2_000_000+i), now.Add(time.Hour))
	}
	for i := range 60 {
		if r := again.Add(withAddr(testContact(i), netip.AddrFrom4([4]byte{8, byte(i), 1, 1})), now.Add(2*time.Hour)); r.Status != kad.Updated {
			t.Errorf("honest contact %d after the restart: %s", i, r.Status)
		}
	}
}

func withAddr(c kad.Contact, a netip.Addr) kad.Contact {
	c.Addr = a
	return c
}

func TestRestoreIsNotTrusted(t *testing.T) {
	table := filledTable(t, 50, kad.TableConfig{Self: kad.IDFromPeer("self")})
	s := table.Snapshot(epoch)
	s.Contacts = append(s.Contacts, kad.SnapshotEntry{Contact: freeContact(kad.ID{7}, 7)}, s.Contacts[0])
	s.Contacts[1].FirstSeen = epoch.Add(24 * time.Hour)
	again := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self")})
	if got := again.Restore(s, epoch); len(got) != 50 {
		t.Errorf("%d contacts restored, want 50", len(got))
	}
	if got := again.Nearest(nil, kad.ID{}, 20, kad.ID{}); len(got) != 0 {
		t.Error("restored contacts are passed on before they answered")
	}
	due := again.Due(nil, epoch.Add(time.Hour))
	due = again.Due(due, epoch.Add(2*time.Hour))
	if len(due) == 0 {
		t.Error("restored contacts are not checked")
	}
	for _, b := range again.Buckets() {
		for _, e := range b.Live {
			if e.FirstSeen.After(epoch) {
				t.Errorf("%s was first seen in the future", e.Contact.Peer)
			}
		}
	}
	checkBuckets(t, again)
}

// The pace of checks does not depend on the size of the table or on what others send.
func TestRevalidationPace(t *testing.T) {
	for _, n := range []int{10, 1_000} {
		table := filledTable(t, n, kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 3})
		checked := make(map[peer.ID]int)
		var total, fast int
		now := epoch
		for now.Before(epoch.Add(time.Hour)) {
			next, ok := table.NextDue()
			if !ok || next.Before(now) {
				next = now
			}
			now = next.Add(time.Millisecond)
			for _, c := range table.Due(nil, now) {
				total++
				if c.Reason == kad.CheckFast {
					fast++
				}
				checked[c.Contact.Peer]++
				table.Add(c.Contact, now)
			}
		}
		if total < 350 || total > 3_000 {
			t.Errorf("%d contacts: %d checks in an hour, %d of them fast", n, total, fast)
		}
		if len(checked) != table.Len() {
			t.Errorf("%d of %d contacts were checked", len(checked), table.Len())
		}
	}
}

// In a swarm that falls apart the checks speed up, within a bound, and calm down again.
func TestPaceFollowsChurn(t *testing.T) {
	table := filledTable(t, 400, kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 3})
	now := epoch
	count := func(span time.Duration, answer func(i int) bool) (checks int) {
		for end := now.Add(span); now.Before(end); now = now.Add(100 * time.Millisecond) {
			for _, c := range table.Due(nil, now) {
				if checks++; answer(checks) {
					table.Add(c.Contact, now)
				} else {
					table.Failed(c.Contact, now)
				}
			}
		}
		return checks
	}
	calm := count(10*time.Minute, func(int) bool { return true })
	storm := count(10*time.Minute, func(i int) bool { return i%3 > 0 })
	if pace := table.Stats().Pace; storm < 2*calm || storm > 6*calm || pace < 3.5 || pace > 4 {
		t.Errorf("%d checks in calm, %d in a storm, pace %v", calm, storm, pace)
	}
	count(10*time.Minute, func(int) bool { return true })
	if pace := table.Stats().Pace; pace != 1 {
		t.Errorf("pace %v after the storm", pace)
	}
}

// A contact that left a question unanswered is not named to others while there are enough.
func TestDoubtfulAreNotNamed(t *testing.T) {
	table := filledTable(t, 30, kad.TableConfig{Self: kad.IDFromPeer("self")})
	c := testContact(7)
	table.Failed(c, epoch)
	if got := table.Nearest(nil, c.ID, 20, kad.ID{}); slices.Contains(got, c) || len(got) != 20 {
		t.Errorf("%d contacts, the doubtful one among them: %v", len(got), slices.Contains(got, c))
	}
	if got := table.Nearest(nil, c.ID, 30, kad.ID{}); len(got) != 30 || got[0] != c {
		t.Errorf("%d contacts when all are needed", len(got))
	}
}

func TestLostContactsAreAskedAgain(t *testing.T) {
	table := filledTable(t, 30, kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 4})
	c := testContact(3)
	for range 3 {
		table.Failed(c, epoch)
	}
	asked := 0
	back := epoch.Add(20 * time.Minute)
	for now := epoch; now.Before(epoch.Add(30 * time.Minute)); now = now.Add(time.Second) {
		for _, check := range table.Due(nil, now) {
			switch {
			case check.Contact != c:
				table.Add(check.Contact, now)
			case now.Before(back):
				asked++
				table.Failed(c, now)
			default:
				table.Add(c, now)
			}
		}
	}
	if _, live, _ := table.Find(c.Peer); !live {
		t.Error("a contact that came back was not noticed")
	}
	if asked < 5 || asked > 20 {
		t.Errorf("a lost contact was asked %d times in 20 minutes", asked)
	}
	// One that stays away is forgotten.
	for range 3 {
		table.Failed(c, back)
	}
	for now := back; now.Before(back.Add(3 * time.Hour)); now = now.Add(10 * time.Second) {
		for _, check := range table.Due(nil, now) {
			if check.Contact == c {
				table.Failed(c, now)
			} else {
				table.Add(check.Contact, now)
			}
		}
	}
	if _, _, ok := table.Find(c.Peer); ok {
		t.Error("a contact that stays away is kept for ever")
	}
}

func TestStale(t *testing.T) {
	table := filledTable(t, 2_000, kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 5})
	if got := table.Stale(nil, epoch.Add(time.Minute), time.Hour); len(got) != 0 {
		t.Errorf("%d fresh buckets are stale", len(got))
	}
	table.Add(testContact(1), epoch.Add(time.Hour))
	buckets := table.Buckets()
	got := table.Stale(nil, epoch.Add(time.Hour+time.Minute), time.Hour)
	if len(got) != len(buckets)-1 {
		t.Errorf("%d targets for %d buckets, one of them fresh", len(got), len(buckets))
	}
	for _, id := range got {
		ok := slices.ContainsFunc(buckets, func(b kad.BucketInfo) bool { return id.CommonPrefixLen(b.Prefix) >= b.Depth })
		if !ok {
			t.Errorf("%s is in no bucket", id)
		}
	}
	if again := table.Stale(nil, epoch.Add(time.Hour+2*time.Minute), time.Hour); len(again) != 0 {
		t.Errorf("%d buckets are refreshed twice", len(again))
	}
}

func TestRefusalsAreKept(t *testing.T) {
	table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self")})
	addr := netip.MustParseAddr("203.0.113.5")
	for i := range 30 {
		table.Add(withAddr(testContact(i), addr), epoch)
	}
	b := table.Buckets()[0]
	if len(b.Refused) != 8 || b.Refused[0].Reason != kad.RefusedBucketGroup {
		t.Errorf("refusals: %+v", b.Refused)
	}
	if n := table.Stats().ByStatus[kad.RefusedBucketGroup]; n != 28 {
		t.Errorf("%d refusals counted", n)
	}
	if r := table.Add(kad.Contact{ID: table.Self(), Peer: "x"}, epoch); r.Status != kad.RefusedSelf {
		t.Errorf("self: %s", r.Status)
	}
}

// Random operations against a model that knows only what was verified: nothing else is
// ever returned, the structure holds, and Nearest agrees with brute force.
func TestTableOracle(t *testing.T) {
	ops := 0
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		rng := rand.New(rand.NewPCG(seed, 1))
		cfg := kad.TableConfig{
			Self: kad.IDFromPeer("self"), BucketSize: 1 + rng.IntN(8), DepthModulo: 1 + rng.IntN(6),
			Replacements: 1 + rng.IntN(5), MaxFailures: 1 + rng.IntN(3), AllowFree: rng.IntN(2) == 0, Seed: seed,
		}
		table := kad.NewTable(cfg)
		verified := make(map[kad.Contact]bool)
		now := epoch
		pick := func() kad.Contact {
			c := testContact(rng.IntN(120))
			switch rng.IntN(10) {
			case 0:
				c.Peer = testContact(rng.IntN(120)).Peer // somebody else's ID
			case 1:
				c.ID = kad.RandomID(rng)
			case 2:
				c = freeContact(kad.ID{byte(rng.IntN(64) * 4)}, rng.IntN(30))
			case 3, 4:
				c.Addr = netip.AddrFrom4([4]byte{9, 9, byte(rng.IntN(4)), 9})
			}
			return c
		}
		plain := func(c kad.Contact) kad.Contact { return withAddr(c, netip.Addr{}) }
		for range 500 {
			ops++
			now = now.Add(time.Duration(rng.IntN(5000)) * time.Millisecond)
			c := pick()
			switch rng.IntN(8) {
			case 0, 1, 2:
				_, _, moved := table.Find(c.Peer)
				before := table.Len()
				r := table.Add(c, now)
				verified[plain(c)] = true
				if !c.Bound() && !cfg.AllowFree && !r.Status.Refused() {
					rt.Fatalf("free contact taken: %s", r.Status)
				}
				if r.Status.Refused() && !moved && !c.Bound() && table.Len() < before {
					rt.Fatalf("a refused contact displaced a live one")
				}
			case 3:
				all := table.Contacts(nil)
				table.Offer(c, now)
				if !slices.Equal(all, table.Contacts(nil)) {
					rt.Fatalf("hearsay changed the live contacts")
				}
			case 4:
				table.Failed(c, now)
			case 5:
				if rng.IntN(4) == 0 {
					table.Remove(c.Peer, now)
				}
			case 6:
				for _, check := range table.Due(nil, now) {
					if rng.IntN(2) == 0 {
						table.Add(check.Contact, now)
						verified[plain(check.Contact)] = true
					} else {
						table.Failed(check.Contact, now)
					}
				}
			case 7:
				table.Stale(nil, now, time.Minute)
			}
			if rng.IntN(7) != 0 {
				continue
			}
			checkBuckets(rt, table)
			all := table.Contacts(nil)
			for _, l := range all {
				if !verified[plain(l)] {
					rt.Fatalf("%v is live but never answered", l)
				}
			}
			target, k := kad.RandomID(rng), 1+rng.IntN(30)
			exclude := pick().ID
			want := bruteNearest(healthy(table), target, k, exclude)
			if len(want) < k {
				want = bruteNearest(all, target, k, exclude)
			}
			if got := table.Nearest(nil, target, k, exclude); !slices.Equal(got, want) {
				rt.Fatalf("nearest of %s:\n got %v\nwant %v", target, got, want)
			}
			for _, b := range table.Buckets() {
				if len(b.Live) > cfg.BucketSize || len(b.Spare) > cfg.Replacements+cfg.BucketSize {
					rt.Fatalf("bucket of %d and %d", len(b.Live), len(b.Spare))
				}
			}
		}
	})
	t.Logf("%d operations", ops)
}

// The same calls and seed give the same table and schedule.
func TestTableDeterminism(t *testing.T) {
	trace := func() []string {
		table := kad.NewTable(kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 42, BucketSize: 4})
		rng := rand.New(rand.NewPCG(6, 6))
		var log []string
		for i := range 3_000 {
			now := epoch.Add(time.Duration(i) * time.Second)
			c := testContact(rng.IntN(300))
			switch rng.IntN(3) {
			case 0:
				log = append(log, fmt.Sprintf("%+v", table.Add(c, now)))
			case 1:
				log = append(log, fmt.Sprintf("%+v", table.Offer(c, now)))
			case 2:
				log = append(log, fmt.Sprint(table.Failed(c, now)))
			}
			log = append(log, fmt.Sprint(table.Due(nil, now), table.Stale(nil, now, time.Minute)))
		}
		return append(log, fmt.Sprintf("%+v", table.Buckets()))
	}
	if diff := cmp.Diff(trace(), trace()); diff != "" {
		t.Error(diff)
	}
}

func TestNearestDoesNotAllocate(t *testing.T) {
	table := filledTable(t, 200, kad.TableConfig{Self: kad.IDFromPeer("self")})
	dst := make([]kad.Contact, 0, 20)
	target := kad.IDFromPeer("target")
	if n := testing.AllocsPerRun(100, func() { dst = table.Nearest(dst[:0], target, 20, kad.ID{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTimeouts(t *testing.T) {
	table := filledTable(t, 3, kad.TableConfig{Self: kad.IDFromPeer("self")})
	near, far := testContact(0).Peer, testContact(1).Peer
	if got := table.Timeout(near, 3*time.Second); got != 3*time.Second {
		t.Errorf("nothing observed: %v", got)
	}
	for range 50 {
		table.ObserveRTT(near, 2*time.Millisecond)
		table.ObserveRTT(far, 400*time.Millisecond)
	}
	n, f, other := table.Timeout(near, 3*time.Second), table.Timeout(far, 3*time.Second), table.Timeout("stranger", 3*time.Second)
	if n > 100*time.Millisecond || f < 400*time.Millisecond || f > time.Second || other < 400*time.Millisecond || other > 3*time.Second {
		t.Errorf("near %v, far %v, stranger %v", n, f, other)
	}
	table.Failed(testContact(1), epoch)
	if got := table.Timeout(far, 3*time.Second); got <= f {
		t.Errorf("no back-off after a failure: %v", got)
	}
}

// Who lost its place and speaks again is asked at once, though not more often than the fast pace.
func TestLostContactSpeaks(t *testing.T) {
	table := filledTable(t, 30, kad.TableConfig{Self: kad.IDFromPeer("self"), Seed: 4})
	c := testContact(3)
	for range 3 {
		table.Failed(c, epoch)
	}
	now := epoch.Add(5 * time.Second)
	if r := table.Offer(c, now); !r.HasCheck || r.Check != c {
		t.Errorf("not asked when it speaks: %+v", r)
	}
	if r := table.Offer(c, now.Add(time.Second)); r.HasCheck {
		t.Error("asked again a second later")
	}
	if r := table.Offer(c, now.Add(4*time.Second)); !r.HasCheck {
		t.Error("never asked again")
	}
	if r := table.Add(c, now.Add(5*time.Second)); r.Status != kad.Added {
		t.Errorf("it answered, and the table says %v", r.Status)
	}
}
