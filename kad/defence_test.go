package kad_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// scene is a world with liars: what some peers answer, and who does not answer at all.
type scene struct {
	*world
	lies   map[peer.ID]func(target kad.ID) []kad.Contact
	more   []kad.Contact // whom honest nodes know besides their tables
	silent map[peer.ID]bool
	heard  kad.Heard
}

func newScene(w *world) *scene {
	return &scene{world: w, lies: make(map[peer.ID]func(kad.ID) []kad.Contact), silent: make(map[peer.ID]bool)}
}

// look makes one look of a node.
func (s *scene) look(tb testing.TB, d kad.Defence, self kad.Contact, look kad.Look) *kad.Lookup {
	tb.Helper()
	if look.Depth == kad.LookFirst {
		s.heard = kad.Heard{} // a new operation
	}
	cfg := d.Config(look, &s.heard)
	cfg.Self = self.ID
	var seeds []kad.Contact
	for _, t := range look.Targets {
		seeds = s.tables[self.Peer].Nearest(seeds, t, 3*d.Beam, kad.ID{})
	}
	l := kad.NewLookup(cfg, seeds)
	var queue []kad.Ask
	for now := epoch; !l.Done(); now = now.Add(time.Millisecond) {
		queue = append(queue, l.Next(now)...)
		if len(queue) == 0 {
			break
		}
		ask := queue[0]
		queue = queue[1:]
		table, lie := s.tables[ask.Contact.Peer], s.lies[ask.Contact.Peer]
		if s.silent[ask.Contact.Peer] || table == nil && lie == nil {
			l.Failed(now, ask, kad.FailTimeout)
			continue
		}
		lists := make([][]kad.Contact, len(ask.Targets))
		for i, t := range ask.Targets {
			if lie != nil {
				lists[i] = lie(t)
			} else {
				list := kad.SortNearest(append(table.Nearest(nil, t, 20, kad.ID{}), s.more...), t)
				lists[i] = list[:min(len(list), 20)]
			}
		}
		l.Answer(now, ask, lists)
	}
	return l
}

// nearestAmong returns a lie: the k nearest of some contacts and no others.
func nearestAmong(list []kad.Contact, k int) func(kad.ID) []kad.Contact {
	list = slices.Clone(list)
	return func(target kad.ID) []kad.Contact {
		slices.SortFunc(list, func(a, b kad.Contact) int { return kad.CompareDistance(target, a.ID, b.ID) })
		return slices.Clone(list[:min(k, len(list))])
	}
}

var defence = kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: 400, Sure: true}

// Among honest nodes the first look shows nothing odd, but for one place in ten, and a store
// makes no other, whether the size of the swarm is known well, or roughly and the asker knows
// those around the key itself. A get that finds nothing asks on more paths, and stops there.
func TestHonestNodesAreBelieved(t *testing.T) {
	s := newScene(newWorld(400))
	rng := rand.New(rand.NewPCG(11, 1))
	for _, c := range []struct {
		name  string
		d     kad.Defence
		write bool
		most  int // of 300 that are odd
	}{
		{"read", defence, false, 45},
		{"write", defence, true, 45},
		{"size off by a fifth", kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: 320, Sure: true}, true, 75},
	} {
		odd, wide := 0, 0
		for range 300 {
			key, self := kad.RandomID(rng), s.contacts[rng.IntN(len(s.contacts))]
			for depth, doubt := kad.LookFirst, kad.DoubtNone; ; depth++ {
				look := c.d.Look(key, depth, c.write, doubt)
				doubt = c.d.Judge(s.look(t, c.d, self, look), key, look, kad.DoubtNone)
				if depth == kad.LookFirst && doubt > kad.DoubtUnsure {
					odd++
				}
				if c.write == (doubt == kad.DoubtUnsure) && depth == kad.LookFirst && doubt < kad.DoubtSilence {
					t.Fatalf("%s: doubt %s", c.name, doubt)
				}
				if depth == kad.LookRegion {
					wide++
				}
				if !c.d.Deeper(look, doubt) {
					break
				}
			}
		}
		if odd > c.most || wide > 15 {
			t.Errorf("%s: %d of 300 places are odd, %d after the second look too", c.name, odd, wide)
		}
	}
	small := newScene(newWorld(40)) // a table knows all of 40
	for _, size := range []float64{0, 32, 50} {
		d := kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: size}
		odd := 0
		for range 300 {
			key, self := kad.RandomID(rng), small.contacts[rng.IntN(40)]
			look := d.Look(key, kad.LookFirst, true, kad.DoubtNone)
			if d.Judge(small.look(t, d, self, look), key, look, kad.DoubtNone) != kad.DoubtNone {
				odd++
			}
		}
		if odd > 60 {
			t.Errorf("a swarm of 40, taken for %v: %d of 300 places are odd", size, odd)
		}
	}
}

// Each kind of liar is noticed at the first look, and the disjoint paths of the second one,
// or the region after it, lead past it to honest nodes near the key.
func TestLiarsAreDoubted(t *testing.T) {
	w := newWorld(400)
	invented := contactsFrom(1_000_000, 8_000)
	rng := rand.New(rand.NewPCG(12, 1))
	for _, c := range []struct {
		name  string
		build func(s *scene, key kad.ID)
		want  []kad.Doubt
	}{
		{"the seeds name only each other", func(s *scene, key kad.ID) {
			gang := nearestAmong(contactsFrom(0, 400)[300:360], 20)
			for i := range 60 {
				s.lies[testContact(300+i).Peer] = gang
			}
			for _, seed := range s.tables[testPeer(0)].Nearest(nil, key, 3, kad.ID{}) { // and whom the asker knows
				s.lies[seed.Peer] = gang
			}
		}, []kad.Doubt{kad.DoubtGap, kad.DoubtLies, kad.DoubtCrowd, kad.DoubtNone}}, // the second path may have begun with an honest node
		{"one names inventions", func(s *scene, key kad.ID) {
			s.lies[s.tables[testPeer(0)].Nearest(nil, key, 1, kad.ID{})[0].Peer] = nearestAmong(invented, 20)
		}, []kad.Doubt{kad.DoubtLies, kad.DoubtCrowd}},
		{"Sybils stand around the key", func(s *scene, key kad.ID) {
			sybils := nearestAmong(invented, 12)(key)
			for _, c := range sybils {
				s.lies[c.Peer] = nearestAmong(sybils, 12)
			}
			s.more = sybils
		}, []kad.Doubt{kad.DoubtCrowd, kad.DoubtLies, kad.DoubtGap}},
		{"the nearest say nothing", func(s *scene, key kad.ID) {
			for _, c := range w.nearest(key, 30) {
				s.silent[c.Peer] = true
			}
		}, []kad.Doubt{kad.DoubtSilence, kad.DoubtGap, kad.DoubtLies}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 20 {
				s := newScene(w)
				key := kad.RandomID(rng)
				c.build(s, key)
				var places kad.Places
				doubt := kad.DoubtNone
				for depth := kad.LookFirst; ; depth++ {
					look := defence.Look(key, depth, true, doubt)
					l := s.look(t, defence, testContact(0), look)
					places.Add(defence, l, key, look)
					doubt = defence.Judge(l, key, look, kad.DoubtNone)
					if depth == kad.LookFirst && !slices.Contains(c.want, doubt) {
						t.Errorf("key %s: doubt %s, want one of %v: %+v", key.Short(), doubt, c.want, l.Stats(key))
					}
					if !defence.Deeper(look, doubt) {
						break
					}
				}
				holders, _ := places.Holders(key, kad.ReplicaPolicy{Replicas: 8, Region: places.Region})
				near := slices.DeleteFunc(w.nearest(key, 400), func(c kad.Contact) bool { return s.silent[c.Peer] || s.lies[c.Peer] != nil })
				honest := 0
				for _, h := range holders {
					if slices.Contains(near[:20], h) {
						honest++
					}
				}
				if honest < 4 {
					t.Errorf("key %s: %d honest holders of %d near the key; doubt %s", key.Short(), honest, len(holders), doubt)
				}
			}
		})
	}
}

// Where all that anybody knows have answered, there is nobody to ask anything else.
func TestNobodyLeftToAsk(t *testing.T) {
	s := newScene(newWorld(3))
	key := kad.IDFromPeer("key")
	for _, size := range []float64{0, 3, 1_000} {
		d := kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: size, Sure: size > 0}
		look := d.Look(key, kad.LookFirst, false, kad.DoubtNone)
		if doubt := d.Judge(s.look(t, d, s.contacts[0], look), key, look, kad.DoubtNone); doubt != kad.DoubtNone {
			t.Errorf("size %v: doubt %s", size, doubt)
		}
	}
	s.silent[s.contacts[1].Peer] = true
	d := kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: 1_000, Sure: true}
	look := d.Look(key, kad.LookFirst, false, kad.DoubtNone)
	if doubt := d.Judge(s.look(t, d, s.contacts[0], look), key, look, kad.DoubtNone); doubt != kad.DoubtGap {
		t.Errorf("one of two does not answer: doubt %s", doubt)
	}
}

// A size that is far too small makes the true neighbours look like a crowd. They get the
// record all the same.
func TestWrongSizeLosesNobody(t *testing.T) {
	s := newScene(newWorld(400))
	rng := rand.New(rand.NewPCG(13, 1))
	for _, size := range []float64{10, 40, 1_000} {
		for _, sure := range []bool{false, true} {
			if sure && size > 800 {
				continue // the table disagrees by more than a factor of two: that is not sure
			}
			d := kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: size, Sure: sure}
			for range 20 {
				key, self := kad.RandomID(rng), s.contacts[rng.IntN(400)]
				var places kad.Places
				for depth, doubt := kad.LookFirst, kad.DoubtNone; ; depth++ {
					look := d.Look(key, depth, true, doubt)
					l := s.look(t, d, self, look)
					places.Add(d, l, key, look)
					if doubt = d.Judge(l, key, look, kad.DoubtNone); !d.Deeper(look, doubt) {
						break
					}
				}
				holders, spare := places.Holders(key, kad.ReplicaPolicy{Replicas: 8, Region: places.Region})
				for _, c := range s.nearest(key, 8) {
					if c != self && !slices.Contains(holders, c) {
						t.Fatalf("size %v, sure %v: %s of the nearest is no holder of %s", size, sure, c.ID.Short(), key.Short())
					}
				}
				for _, c := range spare {
					if slices.Contains(holders, c) {
						t.Fatalf("%s is a holder and a spare", c.ID.Short())
					}
				}
			}
		}
	}
}

// The ladder of looks, and who climbs it.
func TestLooks(t *testing.T) {
	key := kad.IDFromPeer("key")
	type shape struct{ targets, paths, want int }
	for _, c := range []struct {
		depth int
		write bool
		last  kad.Doubt
		want  shape
	}{
		{kad.LookFirst, false, kad.DoubtNone, shape{1, 1, 20}},
		{kad.LookFirst, true, kad.DoubtNone, shape{1, 2, 4}},
		{kad.LookPaths, false, kad.DoubtLies, shape{1, 4, 20}},
		{kad.LookPaths, true, kad.DoubtLies, shape{1, 4, 8}},
		{kad.LookRegion, false, kad.DoubtGap, shape{6, 8, 8}},
		{kad.LookRegion, true, kad.DoubtCrowd, shape{6, 4, 20}},
		{kad.LookRegion, true, kad.DoubtGap, shape{1, 8, 8}},
	} {
		look := defence.Look(key, c.depth, c.write, c.last)
		cfg := defence.Config(look, nil)
		if got := (shape{len(cfg.Targets), cfg.Paths, cfg.Want}); got != c.want || cfg.Targets[0] != key {
			t.Errorf("depth %d, write %v, %s: %+v, want %+v", c.depth, c.write, c.last, got, c.want)
		}
		if cfg.StopOnLies != (c.depth == kad.LookFirst) || cfg.NetworkSize != 400 {
			t.Errorf("%+v", cfg)
		}
	}
	unsure := kad.Defence{Paths: 4, Replicas: 8, Beam: 20, Size: 400}
	if cfg := unsure.Config(unsure.Look(key, kad.LookPaths, false, kad.DoubtNone), nil); cfg.NetworkSize != 0 {
		t.Error("a read passes over contacts for a guess")
	}
	if cfg := unsure.Config(unsure.Look(key, kad.LookPaths, true, kad.DoubtNone), nil); cfg.NetworkSize != 400 || cfg.SizeMargin != 2 {
		t.Errorf("%+v", cfg)
	}
	if look := (kad.Defence{Paths: 4, Replicas: 8, Beam: 20}).Look(key, kad.LookRegion, false, kad.DoubtLies); len(look.Targets) != 1 {
		t.Error("a region of a swarm without a size")
	}
	at := func(depth int, write bool) kad.Look { return kad.Look{Depth: depth, Write: write} }
	one := kad.Defence{Paths: 1, Replicas: 8, Beam: 20, Size: 400, Sure: true}
	for d := kad.DoubtNone; d <= kad.DoubtCrowd; d++ {
		doubted := d != kad.DoubtNone
		for _, c := range []struct {
			got, want bool
		}{
			{one.Deeper(at(kad.LookFirst, false), d), false},
			{defence.Deeper(at(kad.LookFirst, false), d), doubted},
			{defence.Deeper(at(kad.LookFirst, true), d), doubted},
			{defence.Deeper(at(kad.LookPaths, false), d), d > kad.DoubtUnsure},
			{defence.Deeper(at(kad.LookPaths, true), d), d >= kad.DoubtGap},
			{defence.Deeper(at(kad.LookRegion, false), d), false},
			{defence.Deeper(at(kad.LookRegion, true), d), false},
		} {
			if c.got != c.want {
				t.Errorf("doubt %s: deeper %v, want %v", d, c.got, c.want)
			}
		}
	}
	if s := kad.Doubt(99).String(); s != "doubt-99" {
		t.Error(s)
	}
}

// With StopOnLies a path that a liar leads astray ends the search at once; without, it goes
// on. In trouble more questions are asked at once.
func TestStopOnLiesAndHurry(t *testing.T) {
	target := kad.IDFromPeer("target")
	invented := nearestAmong(contactsFrom(1_000_000, 4_000), 20)(target)
	for _, c := range []struct {
		stop, overdue bool
		hurry, atOnce int
	}{{true, false, 1, 1}, {true, true, 1, 1}, {false, false, 1, 1}, {false, false, 4, 4}, {false, true, 3, 3}} {
		l := kad.NewLookup(kad.LookupConfig{
			Targets: []kad.ID{target}, Alpha: 1, Hurry: c.hurry, StopOnLies: c.stop,
			SoftTimeout: func(kad.Contact) time.Duration { return time.Second },
		}, contactsFrom(1, 20))
		now := epoch
		l.Answer(now, one(t, l, now), [][]kad.Contact{invented})
		asked, most, overdue := 0, 0, 0
		for !l.Done() && asked < 25 {
			asks := l.Next(now)
			asked += len(asks)
			most = max(most, l.InFlight()-overdue)
			if c.overdue {
				overdue = l.InFlight()
				now = now.Add(2 * time.Second)
				continue
			}
			for _, ask := range slices.Clone(asks) {
				l.Failed(now, ask, kad.FailTimeout)
			}
		}
		lies := 3
		if c.overdue {
			lies = 6 // who is late may only be slow
		}
		if c.stop && (asked != lies || l.Reason(target) != kad.StopLies) {
			t.Errorf("%+v: %d questions, %s", c, asked, l.Reason(target))
		}
		if !c.stop && asked <= 3 {
			t.Errorf("%+v: ended after %d questions: %s", c, asked, l.Reason(target))
		}
		if most != c.atOnce {
			t.Errorf("%+v: %d at once", c, most)
		}
	}
}

// What an unfinished look has confirmed ends where somebody has not answered yet.
func TestConfirmedHasNoGaps(t *testing.T) {
	target := kad.ID{}
	seeds := contactsFrom(1, 12)
	slices.SortFunc(seeds, func(a, b kad.Contact) int { return a.ID.Cmp(b.ID) })
	l := kad.NewLookup(kad.LookupConfig{Targets: []kad.ID{target}, Alpha: 6}, seeds)
	asks := slices.Clone(l.Next(epoch))
	for i, ask := range asks {
		switch i {
		case 2:
			l.Failed(epoch, ask, kad.FailTimeout)
		case 4: // still out
		default:
			l.Answer(epoch, ask, nil)
		}
	}
	if got := l.Confirmed(nil, target, 20); !slices.Equal(got, []kad.Contact{seeds[0], seeds[1], seeds[3]}) {
		t.Errorf("confirmed %v", got)
	}
	if got := l.Nearest(nil, target, 20); len(got) != 4 {
		t.Errorf("nearest %v", got)
	}
	if got := l.Confirmed(nil, target, 2); len(got) != 2 {
		t.Errorf("two confirmed: %v", got)
	}
	if l.Confirmed(nil, kad.ID{1}, 2) != nil {
		t.Error("confirmed for a point that is no target")
	}
}

// What somebody said for one ID is no answer of another ID that is invented for the same peer, and nobody is asked twice what he
// has said, in a question about other targets either.
func TestHeard(t *testing.T) {
	near, far := kad.IDFromPeer("near"), kad.IDFromPeer("far")
	known := contactsFrom(1, 3)
	var heard kad.Heard
	cfg := kad.LookupConfig{Targets: []kad.ID{near}, Alpha: 3, TargetsPerCall: 2, AllowFree: true, Heard: &heard}
	first := kad.NewLookup(cfg, known)
	for !first.Done() {
		for _, ask := range slices.Clone(first.Next(epoch)) {
			first.Answer(epoch, ask, [][]kad.Contact{known})
		}
	}
	cfg.Targets = []kad.ID{near, far}
	invented := kad.Contact{ID: near, Peer: known[0].Peer}
	second := kad.NewLookup(cfg, append(slices.Clone(known), invented))
	asked := map[kad.Contact]int{}
	for !second.Done() {
		for _, ask := range slices.Clone(second.Next(epoch)) {
			if slices.Contains(ask.Targets, near) {
				asked[ask.Contact]++
			}
			second.Failed(epoch, ask, kad.FailMismatch)
		}
	}
	if len(asked) != 1 || asked[invented] != 1 {
		t.Errorf("asked again: %v", asked)
	}
	if got := second.Nearest(nil, near, 5); len(got) != len(known) || slices.Contains(got, invented) {
		t.Errorf("found %v", got)
	}
}

// A contact that is known with and without the address it was seen at is one holder, and no replacement of itself.
func TestPlacesCountAContactOnce(t *testing.T) {
	key := kad.IDFromPeer("key")
	seen := contactsFrom(1, 4)
	p := kad.Places{Near: slices.Clone(kad.SortNearest(seen, key))}
	for _, c := range p.Near {
		c.Addr = netip.MustParseAddr("127.0.0.1")
		p.Core = append(p.Core, c)
	}
	holders, spare := p.Holders(key, kad.ReplicaPolicy{Replicas: 3})
	if len(holders) != 3 || len(spare) != 1 || spare[0].ID == holders[2].ID {
		t.Errorf("holders %v, spare %v", holders, spare)
	}
}
