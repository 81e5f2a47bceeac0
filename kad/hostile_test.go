package kad_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// contactsFrom returns n bound contacts.
func contactsFrom(first, n int) []kad.Contact {
	list := make([]kad.Contact, n)
	for i := range list {
		list[i] = testContact(first + i)
	}
	return list
}

func one(tb testing.TB, l *kad.Lookup, now time.Time) kad.Ask {
	tb.Helper()
	asks := l.Next(now)
	if len(asks) == 0 {
		tb.Fatal("nobody to ask")
	}
	return asks[0]
}

// Whatever a list holds, only new, askable contacts of bounded number are taken from it.
func TestHostileAnswer(t *testing.T) {
	self := testContact(0)
	banned := testContact(50)
	target := kad.IDFromPeer("target")
	l := kad.NewLookup(kad.LookupConfig{
		Self: self.ID, SelfPeer: self.Peer, Targets: []kad.ID{target}, Beam: 5, MaxAnswer: 16, Alpha: 1,
		Exclude: func(p peer.ID) bool { return p == banned.Peer },
	}, contactsFrom(1, 1))
	if (kad.AnswerReport{TooMany: 1}).Hostile() {
		t.Error("a longer list than this node would send is hostile")
	}
	ask := one(t, l, epoch)
	list := []kad.Contact{
		self,                                     // ourselves
		{ID: testContact(9).ID, Peer: self.Peer}, // ourselves under another ID
		banned,                                   // excluded
		{ID: target, Peer: testPeer(51)},         // not bound: sits on the target
		{ID: testContact(52).ID, Peer: "mallory"}, // somebody else's ID
		testContact(1), // the one that answers
		testContact(53), testContact(53), testContact(53),
	}
	list = append(list, contactsFrom(100, 10_000)...)
	r := l.Answer(epoch, ask, [][]kad.Contact{list, list, list}) // and lists nobody asked for
	want := kad.AnswerReport{Taken: 8, TooMany: len(list) - 16, Duplicate: 2, Self: 2, Excluded: 1, Free: 2}
	if r != want || !r.Hostile() {
		t.Errorf("report %+v, want %+v", r, want)
	}
	if again := l.Answer(epoch, ask, nil); !again.Unexpected {
		t.Error("an answer was taken twice")
	}
	if forged := l.Answer(epoch, kad.Ask{Seq: 77}, [][]kad.Contact{list}); !forged.Unexpected {
		t.Error("an answer to no question was taken")
	}
	l.Failed(epoch, ask, kad.FailTimeout) // too late, ignored
	for !l.Done() {
		ask := one(t, l, epoch)
		if ask.Contact.Peer == banned.Peer || ask.Contact.Peer == self.Peer || !ask.Contact.Bound() {
			t.Fatalf("asked %v", ask.Contact)
		}
		l.Failed(epoch, ask, kad.FailTimeout)
	}
	if got := l.Nearest(nil, target, 20); len(got) != 1 || got[0] != testContact(1) {
		t.Errorf("nearest: %v", got)
	}
	if l.Reason(target) != kad.StopExhausted {
		t.Errorf("stopped: %s", l.Reason(target))
	}
}

// A peer banned while it waits is not asked.
func TestBannedMeanwhile(t *testing.T) {
	banned := make(map[peer.ID]bool)
	target := kad.IDFromPeer("target")
	l := kad.NewLookup(kad.LookupConfig{
		Targets: []kad.ID{target}, Alpha: 1, Exclude: func(p peer.ID) bool { return banned[p] },
	}, contactsFrom(1, 5))
	first := one(t, l, epoch)
	for _, c := range contactsFrom(1, 5) {
		banned[c.Peer] = true
	}
	l.Failed(epoch, first, kad.FailRefused)
	if asks := l.Next(epoch); len(asks) != 0 || !l.Done() {
		t.Errorf("asks %v, done %v", asks, l.Done())
	}
}

func TestStopAndFinished(t *testing.T) {
	a, b := kad.IDFromPeer("a"), kad.IDFromPeer("b")
	l := kad.NewLookup(kad.LookupConfig{Targets: []kad.ID{a, b, a}, Alpha: 1, TargetsPerCall: 4}, contactsFrom(1, 3))
	ask := one(t, l, epoch)
	if len(ask.Targets) != 2 {
		t.Fatalf("%d targets packed, want 2", len(ask.Targets))
	}
	l.Stop(a, kad.StopFound)
	l.Stop(a, kad.StopCanceled) // the first reason stays
	l.Stop(kad.ID{1}, kad.StopFound)
	if l.Done() || l.Reason(a) != kad.StopFound || l.Reason(b) != kad.StopNone {
		t.Errorf("a %s, b %s", l.Reason(a), l.Reason(b))
	}
	l.Answer(epoch, ask, [][]kad.Contact{contactsFrom(10, 3), contactsFrom(20, 3)})
	for !l.Done() {
		for _, ask := range l.Next(epoch) {
			if slices.Contains(ask.Targets, a) {
				t.Error("a stopped target is asked for")
			}
			l.Answer(epoch, ask, nil)
		}
	}
	if got := l.Finished(nil); len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("finished %v", got)
	}
	if l.InFlight() != 0 {
		t.Errorf("%d in flight", l.InFlight())
	}
	if st := l.Stats(b); st.Asked != 6 || st.Answered != 6 || st.Reason != kad.StopExhausted {
		t.Errorf("%+v", st)
	}
}

func TestNoSeedsNoTargets(t *testing.T) {
	target := kad.IDFromPeer("target")
	l := kad.NewLookup(kad.LookupConfig{Targets: []kad.ID{target}}, nil)
	if !l.Done() || l.Reason(target) != kad.StopExhausted {
		t.Errorf("without seeds: done %v, %s", l.Done(), l.Reason(target))
	}
	if !kad.NewLookup(kad.LookupConfig{}, contactsFrom(1, 3)).Done() {
		t.Error("without targets: not done")
	}
}

// A question beyond its soft time-out makes room for another one; its answer still counts.
func TestSoftTimeout(t *testing.T) {
	target := kad.IDFromPeer("target")
	l := kad.NewLookup(kad.LookupConfig{
		Targets: []kad.ID{target}, Alpha: 1, SoftTimeout: func(kad.Contact) time.Duration { return time.Second },
	}, contactsFrom(1, 3))
	slow := one(t, l, epoch)
	if asks := l.Next(epoch.Add(999 * time.Millisecond)); len(asks) != 0 {
		t.Fatal("asked too early")
	}
	at, ok := l.Wake()
	if !ok || !at.Equal(epoch.Add(time.Second)) {
		t.Fatalf("wake %v %v", at, ok)
	}
	next := one(t, l, at)
	l.Answer(at, next, nil)
	third := one(t, l, at)
	l.Failed(at, third, kad.FailUnreachable)
	if l.Done() {
		t.Fatal("done while an answer may come")
	}
	l.Answer(at, slow, nil)
	if !l.Done() || len(l.Nearest(nil, target, 5)) != 2 {
		t.Errorf("done %v, nearest %v", l.Done(), l.Nearest(nil, target, 5))
	}
	steps := l.Steps(target)
	if len(steps) != 3 || !steps[0].Answered || steps[2].Failure != kad.FailUnreachable || steps[0].Hop != 1 || steps[0].Ended != at {
		t.Errorf("steps %+v", steps)
	}
}

func TestMaxAsks(t *testing.T) {
	target := kad.IDFromPeer("target")
	l := kad.NewLookup(kad.LookupConfig{Targets: []kad.ID{target}, MaxAsks: 7}, contactsFrom(1, 40))
	asked := 0
	for !l.Done() {
		for _, ask := range l.Next(epoch) {
			asked++
			l.Failed(epoch, ask, kad.FailTimeout)
		}
	}
	if asked != 7 || l.Reason(target) != kad.StopMaxAsks {
		t.Errorf("%d asked, %s", asked, l.Reason(target))
	}
}

// The inventions of one liar cost three questions, then its list is put aside.
func TestInventionsAreDropped(t *testing.T) {
	w := newWorld(200)
	rng := rand.New(rand.NewPCG(5, 5))
	target := kad.RandomID(rng)
	self := w.contacts[0]
	invented := contactsFrom(1_000_000, 20_000)
	slices.SortFunc(invented, func(a, b kad.Contact) int { return kad.CompareDistance(target, a.ID, b.ID) })
	l := kad.NewLookup(kad.LookupConfig{Self: self.ID, Targets: []kad.ID{target}, Alpha: 1}, w.tables[self.Peer].Nearest(nil, target, 20, kad.ID{}))
	wasted, first := 0, true
	for !l.Done() {
		for _, ask := range l.Next(epoch) {
			switch table := w.tables[ask.Contact.Peer]; {
			case table == nil:
				wasted++
				l.Failed(epoch, ask, kad.FailUnreachable)
			case first:
				first = false
				l.Answer(epoch, ask, [][]kad.Contact{invented[:20]})
			default:
				l.Answer(epoch, ask, [][]kad.Contact{table.Nearest(nil, target, 20, kad.ID{})})
			}
		}
	}
	if wasted != 3 {
		t.Errorf("%d questions wasted on inventions, want 3", wasted)
	}
	want := slices.DeleteFunc(w.nearest(target, 21), func(c kad.Contact) bool { return c == self })[:20]
	if got := l.Nearest(nil, target, 20); !slices.Equal(got, want) {
		t.Errorf("nearest:\n got %v\nwant %v", got, want)
	}
}

// Disjoint paths share no peer, and nothing that one path learns leads another.
func TestPathsAreDisjoint(t *testing.T) {
	w := newWorld(300)
	rng := rand.New(rand.NewPCG(6, 6))
	for range 20 {
		target := kad.RandomID(rng)
		self := w.contacts[rng.IntN(len(w.contacts))]
		l := kad.NewLookup(kad.LookupConfig{Self: self.ID, Targets: []kad.ID{target}, Paths: 4}, w.tables[self.Peer].Nearest(nil, target, 60, kad.ID{}))
		w.run(t, l) // checks that nobody is asked twice
		told := make(map[int]map[kad.ID]bool)
		for _, s := range l.Steps(target) {
			if told[s.Path] == nil {
				told[s.Path] = make(map[kad.ID]bool)
			}
			if s.Hop > 1 && !told[s.Path][s.Contact.ID] {
				t.Fatalf("path %d asked %s, which nobody on it named", s.Path, s.Contact.ID.Short())
			}
			for _, c := range w.tables[s.Contact.Peer].Nearest(nil, target, 20, kad.ID{}) {
				told[s.Path][c.ID] = true
			}
		}
		if len(told) != 4 {
			t.Errorf("%d paths were used", len(told))
		}
	}
}

// In compatibility mode one peer under many free IDs is asked once per target, and half of
// the paths prefer bound contacts.
func TestFreeContactsInLookups(t *testing.T) {
	target := kad.RandomID(rand.New(rand.NewPCG(9, 9)))
	var seeds []kad.Contact
	for i := range 5 {
		seeds = append(seeds, kad.Contact{ID: target.FlipBit(150 - i), Peer: testPeer(7)})
	}
	seeds = append(seeds, contactsFrom(100, 4)...)
	l := kad.NewLookup(kad.LookupConfig{Targets: []kad.ID{target}, AllowFree: true, Paths: 2}, seeds)
	asked := make(map[peer.ID]int)
	for !l.Done() {
		for _, ask := range l.Next(epoch) {
			asked[ask.Contact.Peer]++
			l.Answer(epoch, ask, nil)
		}
	}
	if asked[testPeer(7)] != 1 || len(asked) != 5 {
		t.Errorf("asked %v", asked)
	}
}

// Random answers, failures and stops: the machine ends, asks nobody twice for one target,
// keeps its bounds, and the same seed gives the same events.
func TestLookupOracle(t *testing.T) {
	episode := func(tb interface{ Fatalf(string, ...any) }, seed uint64) string {
		rng := rand.New(rand.NewPCG(seed, 2))
		pool := contactsFrom(0, 60)
		for i := range 10 {
			pool = append(pool, kad.Contact{ID: kad.RandomID(rng), Peer: testPeer(i)}, kad.Contact{ID: testContact(i).ID, Peer: testPeer(500 + i)})
		}
		cfg := kad.LookupConfig{
			Self: testContact(0).ID, SelfPeer: testPeer(0), Beam: 1 + rng.IntN(10), Want: rng.IntN(8), Paths: 1 + rng.IntN(5),
			Alpha: rng.IntN(4), Parallel: 1 + rng.IntN(10), TargetsPerCall: 1 + rng.IntN(5), MaxAsks: 1 + rng.IntN(60),
			AllowFree: rng.IntN(2) == 0, NetworkSize: float64(rng.IntN(3) * 50),
		}
		if rng.IntN(2) == 0 {
			cfg.SoftTimeout = func(kad.Contact) time.Duration { return time.Second }
		}
		cfg.Exclude = func(p peer.ID) bool { return p == testPeer(3) }
		for range 1 + rng.IntN(6) {
			cfg.Targets = append(cfg.Targets, kad.RandomID(rng))
		}
		l := kad.NewLookup(cfg, pool[:rng.IntN(20)])
		now := epoch
		var queue []kad.Ask
		var log strings.Builder
		asked := make(map[string]bool)
		perTarget := make(map[kad.ID]int)
		for step := 0; !l.Done(); step++ {
			if step > 5_000 {
				tb.Fatalf("seed %d: no end", seed)
			}
			asks := l.Next(now)
			for _, ask := range asks {
				fmt.Fprintf(&log, "%d %s %v\n", ask.Seq, ask.Contact.ID, ask.Targets)
				if ask.Contact.Peer == testPeer(0) || ask.Contact.Peer == testPeer(3) || len(ask.Targets) > cfg.TargetsPerCall {
					tb.Fatalf("seed %d: bad question %+v", seed, ask)
				}
				for _, target := range ask.Targets {
					key := fmt.Sprint(ask.Contact.Peer, target, ask.Contact.Bound()) // under its own ID, and once under others
					if perTarget[target]++; asked[key] || perTarget[target] > cfg.MaxAsks {
						tb.Fatalf("seed %d: %s asked again for %s, or too many", seed, ask.Contact.Peer, target)
					}
					asked[key] = true
				}
				queue = append(queue, ask)
			}
			if l.InFlight() != len(queue) || len(queue) > cfg.Parallel {
				tb.Fatalf("seed %d: %d in flight, %d known", seed, l.InFlight(), len(queue))
			}
			if len(queue) == 0 {
				if len(asks) == 0 && !l.Done() {
					tb.Fatalf("seed %d: stuck", seed)
				}
				continue
			}
			now = now.Add(time.Duration(rng.IntN(700)) * time.Millisecond)
			if rng.IntN(4) == 0 {
				continue // nothing arrives for a while
			}
			i := rng.IntN(len(queue))
			ask := queue[i]
			queue = slices.Delete(queue, i, i+1)
			switch rng.IntN(4) {
			case 0:
				l.Failed(now, ask, kad.FailReason(rng.IntN(5)))
			case 1:
				l.Stop(ask.Targets[0], kad.StopFound)
				fallthrough
			default:
				lists := make([][]kad.Contact, rng.IntN(len(ask.Targets)+2))
				for j := range lists {
					for range rng.IntN(25) {
						lists[j] = append(lists[j], pool[rng.IntN(len(pool))])
					}
				}
				fmt.Fprintf(&log, "%+v\n", l.Answer(now, ask, lists))
			}
		}
		for _, target := range cfg.Targets {
			near := l.Nearest(nil, target, 1_000)
			for _, c := range near {
				if !asked[fmt.Sprint(c.Peer, target, c.Bound())] {
					tb.Fatalf("seed %d: %s is in the result but was never asked", seed, c.Peer)
				}
			}
			fmt.Fprintf(&log, "%s %+v %v\n", l.Reason(target), l.Stats(target), near)
		}
		for _, ask := range queue { // late answers are harmless
			l.Answer(now, ask, [][]kad.Contact{pool})
		}
		if l.InFlight() != 0 || len(l.Finished(nil)) != len(cfg.Targets) {
			tb.Fatalf("seed %d: not all is finished", seed)
		}
		sum := sha256.Sum256([]byte(log.String()))
		return hex.EncodeToString(sum[:])
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			seed := rapid.Uint64().Draw(rt, "seed")
			if a, b := episode(rt, seed), episode(rt, seed); a != b {
				rt.Fatalf("seed %d: two runs differ", seed)
			}
		}
	})
}

// FuzzLookup drives a lookup by bytes: nothing that peers send breaks it.
func FuzzLookup(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252})
	f.Add([]byte{255, 255, 0, 0, 9, 9, 9, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		take := func() int {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			return int(b)
		}
		cfg := kad.LookupConfig{
			Targets: []kad.ID{{byte(take())}, {byte(take())}}, Paths: 1 + take()%4, Beam: 1 + take()%8,
			AllowFree: take()%2 == 0, NetworkSize: float64(take()), MaxAsks: 40,
		}
		l := kad.NewLookup(cfg, contactsFrom(1, 1+take()%8))
		now := epoch
		for !l.Done() {
			for _, ask := range l.Next(now) {
				now = now.Add(time.Millisecond)
				op := take()
				if op%4 == 0 {
					l.Failed(now, ask, kad.FailTimeout)
					continue
				}
				var list []kad.Contact
				for range op % 32 {
					c := testContact(take() % 64)
					if op%3 == 0 {
						c.ID[take()%kad.IDLen] ^= byte(take())
					}
					list = append(list, c)
				}
				l.Answer(now, ask, [][]kad.Contact{list, list})
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	w := newWorld(96)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ targets, paths int }{{1, 1}, {1, 4}, {64, 1}} {
		b.Run(fmt.Sprintf("targets=%d/paths=%d", c.targets, c.paths), func(b *testing.B) {
			targets := make([]kad.ID, c.targets)
			for i := range targets {
				targets[i] = kad.RandomID(rng)
			}
			table := w.tables[w.contacts[0].Peer]
			var seeds []kad.Contact
			for _, t := range targets {
				seeds = table.Nearest(seeds, t, 20, kad.ID{})
			}
			asks := 0
			b.ReportAllocs()
			for b.Loop() {
				l := kad.NewLookup(kad.LookupConfig{Self: w.contacts[0].ID, Targets: targets, Paths: c.paths, NetworkSize: 96}, seeds)
				for !l.Done() {
					for _, ask := range l.Next(epoch) {
						asks++
						lists := make([][]kad.Contact, len(ask.Targets))
						for i, t := range ask.Targets {
							lists[i] = w.tables[ask.Contact.Peer].Nearest(nil, t, 20, kad.ID{})
						}
						l.Answer(epoch, ask, lists)
					}
				}
			}
			b.ReportMetric(float64(asks)/float64(b.N), "asks/op")
		})
	}
}
