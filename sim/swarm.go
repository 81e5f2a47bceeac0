package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// kind is what a node does with questions.
type kind uint8

const (
	honest kind = iota
	dead
	silent
	forging
	colluding
	flooding
)

// floodLength is the number of contacts that a flooding node sends, each twice.
const floodLength = 300

// start is the beginning of virtual time.
var start = time.Unix(1_700_000_000, 0).UTC()

// swarm is the population of a static experiment. Nodes are numbered in the order of their
// IDs, so that a subtree of the space is a range of numbers.
type swarm struct {
	cfg      Config
	nodes    []kad.Contact
	kinds    []kind
	tables   []*kad.Table // built when first asked
	byPeer   map[peer.ID]int32
	liars    []kad.Contact // the colluders, in the order of IDs
	invented []kad.Contact // the identities that an attacker can use, likewise
	owned    map[peer.ID]bool
	built    int
	contacts int
}

// newContacts returns n contacts with bound IDs in the order of their IDs.
func newContacts(rng *rand.Rand, n int, tag byte) []kad.Contact {
	list := make([]kad.Contact, n)
	for i := range list {
		b := make([]byte, 17)
		b[0] = tag
		binary.BigEndian.PutUint64(b[1:], rng.Uint64())
		binary.BigEndian.PutUint64(b[9:], rng.Uint64())
		list[i].Peer = peer.ID(b)
		list[i].ID = kad.IDFromPeer(list[i].Peer)
	}
	sortContacts(list)
	return list
}

func sortContacts(list []kad.Contact) {
	slices.SortFunc(list, func(a, b kad.Contact) int { return a.ID.Cmp(b.ID) })
}

// newSwarm draws the population. All nodes are alive: kill comes later.
func newSwarm(cfg Config, rng *rand.Rand, keys []kad.ID) *swarm {
	s := &swarm{cfg: cfg, nodes: newContacts(rng, cfg.Nodes, 'n')}
	if cfg.Forging+cfg.Flooding > 0 || cfg.Sybils > 0 {
		s.invented = newContacts(rng, int(cfg.ForgedDensity*float64(cfg.Nodes)), 'x')
	}
	sybils := make(map[peer.ID]bool)
	if cfg.Sybils > 0 {
		for _, key := range keys {
			for _, c := range nearestOf(nil, s.invented, key, cfg.Sybils) {
				if !sybils[c.Peer] {
					sybils[c.Peer] = true
					s.nodes = append(s.nodes, c)
				}
			}
		}
		sortContacts(s.nodes)
	}
	n := len(s.nodes)
	s.kinds = make([]kind, n)
	s.tables = make([]*kad.Table, n)
	s.byPeer = make(map[peer.ID]int32, n)
	for i, c := range s.nodes {
		s.byPeer[c.Peer] = int32(i) // at most a million
		if sybils[c.Peer] {
			s.kinds[i] = colluding
		}
	}
	if cfg.ForgedAnswer {
		s.owned = make(map[peer.ID]bool, len(s.invented))
		for _, c := range s.invented {
			s.owned[c.Peer] = true
		}
	}
	return s
}

// draw makes the dead and the liars: the dead first, the liars from the living. The dead
// still live until kill is called.
func (s *swarm) draw(rng *rand.Rand) (doomed []int32, liars int) {
	var ordinary []int32
	for i, k := range s.kinds {
		if k == honest {
			ordinary = append(ordinary, int32(i)) // at most a million
		}
	}
	rng.Shuffle(len(ordinary), func(i, j int) { ordinary[i], ordinary[j] = ordinary[j], ordinary[i] })
	count := func(share float64, of int) int { return int(share*float64(of) + 0.5) }
	n := count(s.cfg.Dead, len(ordinary))
	doomed, living := ordinary[:n], ordinary[n:]
	rest := living
	for _, k := range []struct {
		share float64
		kind  kind
	}{{s.cfg.Silent, silent}, {s.cfg.Forging, forging}, {s.cfg.Colluding, colluding}, {s.cfg.Flooding, flooding}} {
		n := min(count(k.share, len(living)), len(rest))
		for _, i := range rest[:n] {
			s.kinds[i] = k.kind
		}
		liars += n
		rest = rest[n:]
	}
	for i, k := range s.kinds {
		if k == colluding {
			s.liars = append(s.liars, s.nodes[i])
		}
	}
	return doomed, liars
}

func (s *swarm) kill(doomed []int32) {
	for _, i := range doomed {
		s.kinds[i] = dead
	}
}

// honestNode returns a random honest living node.
func (s *swarm) honestNode(rng *rand.Rand) int32 {
	for {
		if i := rng.Int32N(int32(len(s.nodes))); s.kinds[i] == honest { // at most a million
			return i
		}
	}
}

// table returns the stabilised table of a node: each bucket holds as many contacts as fit,
// drawn at random from its range.
func (s *swarm) table(i int32) *kad.Table {
	if t := s.tables[i]; t != nil {
		return t
	}
	self := s.nodes[i].ID
	seed := s.cfg.Seed ^ binary.BigEndian.Uint64(self[8:])
	rng := rand.New(rand.NewPCG(seed, 0x7ab1e)) // repeatable on purpose
	t := kad.NewTable(kad.TableConfig{
		Self: self, BucketSize: s.cfg.BucketSize, DepthModulo: s.cfg.DepthModulo, Seed: seed,
	})
	s.fill(t, rng, self, 0, len(s.nodes), 0, true)
	s.tables[i] = t
	s.built++
	s.contacts += t.Len()
	return t
}

// fill adds contacts of the nodes low..high, which share depth bits, as a table that knows
// them all would hold.
func (s *swarm) fill(t *kad.Table, rng *rand.Rand, self kad.ID, low, high, depth int, own bool) {
	k := s.cfg.BucketSize
	size := high - low
	if own {
		size-- // the node itself
	}
	if size > k && (own || depth%s.cfg.DepthModulo != 0) {
		middle := low
		for step := high - low; step > 0; step /= 2 { // the first node whose next bit is set
			for middle+step <= high && s.nodes[middle+step-1].ID.Bit(depth) == 0 {
				middle += step
			}
		}
		right := self.Bit(depth) == 1
		s.fill(t, rng, self, low, middle, depth+1, own && !right)
		s.fill(t, rng, self, middle, high, depth+1, own && right)
		return
	}
	add := func(i int) {
		if s.nodes[i].ID != self {
			t.Add(s.nodes[i], start)
		}
	}
	if size <= k {
		for i := low; i < high; i++ {
			add(i)
		}
		return
	}
	for chosen := make(map[int]bool, k); len(chosen) < k; {
		if i := low + rng.IntN(high-low); !chosen[i] {
			chosen[i] = true
			add(i)
		}
	}
}

// answer returns the contacts that a node names for a target, and false when it does not
// answer at all.
func (s *swarm) answer(to kad.Contact, target kad.ID, dst []kad.Contact) ([]kad.Contact, bool) {
	i, ok := s.byPeer[to.Peer]
	if !ok {
		if s.owned[to.Peer] {
			return nearestOf(dst, s.invented, target, s.cfg.BucketSize), true
		}
		return nil, false
	}
	switch s.kinds[i] {
	case dead, silent:
		return nil, false
	case forging:
		return nearestOf(dst, s.invented, target, s.cfg.BucketSize), true
	case colluding:
		return nearestOf(dst, s.liars, target, s.cfg.BucketSize), true
	case flooding:
		dst = nearestOf(dst, s.invented, target, floodLength)
		return append(dst, dst...), true
	case honest:
	}
	return s.table(i).Nearest(dst, target, s.cfg.BucketSize, kad.ID{}), true
}

// nearestOf appends the k nearest of a list that is in the order of IDs, nearest first.
func nearestOf(dst, sorted []kad.Contact, target kad.ID, k int) []kad.Contact {
	from := len(dst)
	dst = nearestIn(dst, sorted, target, k, 0)
	slices.SortFunc(dst[from:], func(a, b kad.Contact) int { return kad.CompareDistance(target, a.ID, b.ID) })
	return dst[:min(len(dst), from+k)]
}

// nearestIn appends the smallest subtrees around target that hold k contacts.
func nearestIn(dst, sorted []kad.Contact, target kad.ID, k, depth int) []kad.Contact {
	if len(sorted) <= k || depth == kad.IDBits {
		return append(dst, sorted...)
	}
	middle, _ := slices.BinarySearchFunc(sorted, 1, func(c kad.Contact, bit int) int { return c.ID.Bit(depth) - bit })
	near, far := sorted[:middle], sorted[middle:]
	if target.Bit(depth) == 1 {
		near, far = far, near
	}
	before := len(dst)
	dst = nearestIn(dst, near, target, k, depth+1)
	if got := len(dst) - before; got < k {
		dst = nearestIn(dst, far, target, k-got, depth+1)
	}
	return dst
}
