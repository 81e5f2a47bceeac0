package kad_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// world is a swarm of nodes with full tables, for lookups without a network.
type world struct {
	contacts []kad.Contact
	tables   map[peer.ID]*kad.Table
	dead     map[peer.ID]bool
}

func newWorld(n int) *world {
	w := &world{tables: make(map[peer.ID]*kad.Table), dead: make(map[peer.ID]bool)}
	for i := range n {
		w.contacts = append(w.contacts, testContact(i))
	}
	for i, c := range w.contacts {
		t := kad.NewTable(kad.TableConfig{Self: c.ID, DepthModulo: 1, Seed: uint64(i)})
		for j := range w.contacts {
			t.Add(w.contacts[(i+j)%n], epoch)
		}
		w.tables[c.Peer] = t
	}
	return w
}

// nearest returns the k living contacts nearest to target.
func (w *world) nearest(target kad.ID, k int) []kad.Contact {
	var out []kad.Contact
	for _, c := range w.contacts {
		if !w.dead[c.Peer] {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b kad.Contact) int { return kad.CompareDistance(target, a.ID, b.ID) })
	return out[:min(k, len(out))]
}

// run drives a lookup to its end and checks that no peer is asked twice for one target.
func (w *world) run(tb testing.TB, l *kad.Lookup) (asks int) {
	tb.Helper()
	type question struct {
		p peer.ID
		t kad.ID
	}
	asked := make(map[question]bool)
	now := epoch
	var queue []kad.Ask
	for !l.Done() {
		for _, ask := range l.Next(now) {
			asks++
			for _, t := range ask.Targets {
				q := question{ask.Contact.Peer, t}
				if asked[q] {
					tb.Fatalf("%s asked twice for %s", ask.Contact.Peer, t)
				}
				asked[q] = true
			}
			queue = append(queue, ask)
		}
		if len(queue) == 0 {
			if !l.Done() {
				tb.Fatal("lookup neither asks nor waits nor ends")
			}
			break
		}
		ask := queue[0]
		queue = queue[1:]
		now = now.Add(time.Millisecond)
		if w.dead[ask.Contact.Peer] {
			l.Failed(now, ask, kad.FailTimeout)
			continue
		}
		lists := make([][]kad.Contact, len(ask.Targets))
		for i, t := range ask.Targets {
			lists[i] = w.tables[ask.Contact.Peer].Nearest(nil, t, 20, kad.ID{})
		}
		l.Answer(now, ask, lists)
	}
	return asks
}

func TestLookupFindsNearest(t *testing.T) {
	w := newWorld(400)
	rng := rand.New(rand.NewPCG(7, 7))
	for _, paths := range []int{1, 2, 4, 8} {
		for _, dead := range []int{0, 80} {
			t.Run(fmt.Sprintf("paths=%d/dead=%d", paths, dead), func(t *testing.T) {
				clear(w.dead)
				for _, i := range rng.Perm(len(w.contacts))[:dead] {
					w.dead[w.contacts[i].Peer] = true
				}
				total := 0
				for range 30 {
					target := kad.RandomID(rng)
					self := w.nearest(kad.RandomID(rng), 1)[0]
					l := kad.NewLookup(kad.LookupConfig{
						Self: self.ID, Targets: []kad.ID{target}, Paths: paths, NetworkSize: 400,
					}, w.tables[self.Peer].Nearest(nil, target, 60, kad.ID{}))
					total += w.run(t, l)
					want := w.nearest(target, 21)
					k := 20
					if dead > 0 {
						k = 8 // the living name the dead too, so the rim of the beam is thin
					}
					want = slices.DeleteFunc(want, func(c kad.Contact) bool { return c == self })[:k]
					if diff := cmp.Diff(want, l.Nearest(nil, target, k), cmp.Comparer(func(a, b kad.Contact) bool { return a == b })); diff != "" {
						t.Fatalf("nearest of %s (-want +got):\n%s\n%+v", target, diff, l.Stats(target))
					}
					if l.Reason(target) != kad.StopConverged {
						t.Errorf("stopped: %s", l.Reason(target))
					}
				}
				t.Logf("asks per lookup: %.1f", float64(total)/30)
			})
		}
	}
}

func TestLookupManyTargets(t *testing.T) {
	w := newWorld(400)
	rng := rand.New(rand.NewPCG(8, 8))
	targets := make([]kad.ID, 64)
	var seeds []kad.Contact
	self := w.contacts[3]
	for i := range targets {
		targets[i] = kad.RandomID(rng)
		seeds = w.tables[self.Peer].Nearest(seeds, targets[i], 20, kad.ID{})
	}
	l := kad.NewLookup(kad.LookupConfig{Self: self.ID, Targets: targets}, seeds)
	asks := w.run(t, l)
	for _, target := range targets {
		want := slices.DeleteFunc(w.nearest(target, 21), func(c kad.Contact) bool { return c == self })[:20]
		if got := l.Nearest(nil, target, 20); !slices.Equal(got, want) {
			t.Errorf("nearest of %s:\n got %v\nwant %v", target, got, want)
		}
	}
	if finished := l.Finished(nil); len(finished) != len(targets) || len(l.Finished(nil)) != 0 {
		t.Errorf("%d targets finished, want each once", len(finished))
	}
	t.Logf("%d asks for 64 targets", asks)
	if asks > 64*20/3 {
		t.Errorf("%d asks: targets are not packed", asks)
	}
}

// Every node finds every other by its ID.
func TestLookupFindsEveryNode(t *testing.T) {
	w := newWorld(300)
	for i, c := range w.contacts {
		self := w.contacts[(i+150)%len(w.contacts)]
		l := kad.NewLookup(kad.LookupConfig{Self: self.ID, Targets: []kad.ID{c.ID}, Want: 3}, w.tables[self.Peer].Nearest(nil, c.ID, 20, kad.ID{}))
		w.run(t, l)
		if got := l.Nearest(nil, c.ID, 1); len(got) != 1 || got[0] != c {
			t.Fatalf("%s does not find %s: %v", self.ID.Short(), c.ID.Short(), got)
		}
	}
}
