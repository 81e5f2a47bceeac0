package kad

import (
	"encoding/binary"
	"slices"
)

// States of a candidate.
const (
	stateFresh    uint8 = iota
	stateFlying         // asked, no answer yet
	stateStalled        // asked, overdue
	stateAnswered       // usable
	stateFailed         // not usable, or excluded
)

const (
	maxSources    = 4 // of one contact that are remembered; more vouchers change nothing
	probeNearest  = 3 // nearest contacts that must have answered before a beam is judged
	poolBeams     = 4 // seeds kept per target, in beams
	pathListBeams = 8 // contacts kept per path, in beams
	noNode        = int32(-1)
)

// cand is a contact in the search for one target.
type cand struct {
	head    uint64 // leading bits of the distance
	contact int32
	sources []int32 // nodes that named it; empty for a seed
	state   uint8
	hop     uint16
	fails   uint16 // of the contacts that only this one named
	late    uint16 // likewise, overdue
	oks     uint16
	seed    bool
	own     bool // the asker knew it itself
	liar    bool // its list was judged implausible
	// crowd is set for contacts that lie too near to each other and to the target to have
	// got there by chance: Sybils or inventions.
	crowd bool
}

// path is one of the disjoint paths of a search.
type path struct {
	list     []int32 // nodes known to the path, nearest first
	active   int     // questions in flight, overdue ones not counted
	fails    int     // questions that failed
	late     int     // that were overdue
	restarts int
	judged   int // answers in the path when its beam was last judged
	answers  int
}

// search is the state of one target.
type search struct {
	target   ID
	head     uint64
	reason   StopReason
	nodes    []cand
	at       []int32 // by contact: the node + 1, 0 when not met
	pathOf   []int8  // by node: the path that asked it, -1 before
	pool     []int32 // seeds, nearest first, not yet drawn by any path
	paths    []path
	active   int // questions in flight, overdue ones not counted
	flying   int // all questions in flight
	asked    int
	answers  int
	failures int
	hops     int
	steps    []Step
}

func newSearch(l *Lookup, target ID, seeds []int32) *search {
	s := &search{target: target, head: binary.BigEndian.Uint64(target[:]), paths: make([]path, l.cfg.Paths)}
	s.at = make([]int32, len(l.contacts), len(l.contacts)+4*l.cfg.Beam)
	s.nodes = make([]cand, 0, len(seeds)+2*l.cfg.Beam)
	for _, c := range seeds {
		n := s.add(l, c)
		s.nodes[n].seed, s.nodes[n].own, s.nodes[n].hop = true, true, 1
		s.pool = append(s.pool, n)
	}
	slices.SortFunc(s.pool, func(a, b int32) int { return s.compare(l, a, b) })
	s.pool = s.pool[:min(len(s.pool), poolBeams*l.cfg.Beam)]
	return s
}

// add returns the node of a contact, new or not.
func (s *search) add(l *Lookup, c int32) int32 {
	for int(c) >= len(s.at) {
		s.at = append(s.at, 0)
	}
	if n := s.at[c]; n > 0 {
		return n - 1
	}
	id := &l.contacts[c].ID
	s.nodes = append(s.nodes, cand{contact: c, head: binary.BigEndian.Uint64(id[:]) ^ s.head})
	s.pathOf = append(s.pathOf, -1)
	s.at[c] = int32(len(s.nodes)) // bounded like the contacts
	return s.at[c] - 1
}

func (s *search) compare(l *Lookup, a, b int32) int {
	x, y := &s.nodes[a], &s.nodes[b]
	switch {
	case x.head < y.head:
		return -1
	case x.head > y.head:
		return 1
	}
	return CompareDistance(s.target, l.contacts[x.contact].ID, l.contacts[y.contact].ID)
}

// askable reports whether a fresh candidate may be asked, and retires it if not.
func (s *search) askable(l *Lookup, n *cand) bool {
	c := &l.contacts[n.contact]
	if l.cfg.Exclude != nil && l.cfg.Exclude(c.Peer) {
		n.state = stateFailed
		return false
	}
	if l.byPeer == nil || c.bound {
		return true
	}
	// A peer that goes by several free IDs is asked once per target, and under its bound one in
	// any case: the others may be inventions.
	for i := l.byPeer[c.Peer]; i >= 0; i = l.contacts[i].samePeer {
		if i != n.contact && int(i) < len(s.at) && s.at[i] > 0 && s.pathOf[s.at[i]-1] >= 0 {
			n.state = stateFailed
			return false
		}
	}
	return true
}

// view is what a path sees of its nearest contacts.
type view struct {
	first   int32 // nearest fresh one among the wanted, or noNode
	last    int32 // farthest of the wanted, or noNode
	n       int   // usable contacts, at most the number wanted
	pending int   // of these, in flight
	probed  bool  // the nearest few have answered
}

// look walks the nearest usable contacts of a path. With doubted set it takes those that
// only doubted sources name as well, with boundOnly none that has a free ID.
func (s *search) look(l *Lookup, p *path, doubted, boundOnly bool) view {
	v := view{first: noNode, last: noNode}
	answered := 0
	for _, i := range p.list {
		n := &s.nodes[i]
		if n.state == stateFailed || n.state == stateStalled || boundOnly && !l.contacts[n.contact].bound {
			continue
		}
		if !doubted && s.suspect(n) || n.state == stateFresh && !s.askable(l, n) {
			continue
		}
		switch n.state {
		case stateFresh:
			if v.first == noNode {
				v.first = i
			}
		case stateFlying:
			v.pending++
		case stateAnswered:
			if answered == v.n {
				answered++ // without a gap from the nearest on
			}
		}
		v.n++
		v.last = i
		if v.n == l.cfg.Want || v.first != noNode && v.n > probeNearest {
			break
		}
	}
	v.probed = min(answered, p.answers) >= min(probeNearest, l.cfg.Want) // some of them on this path
	return v
}

// poolHead returns the nearest seed that no path has drawn.
func (s *search) poolHead(l *Lookup) int32 {
	for len(s.pool) > 0 {
		i := s.pool[0]
		if n := &s.nodes[i]; n.state == stateFresh && s.askable(l, n) {
			return i
		}
		s.pool = s.pool[1:]
	}
	return noNode
}

// start returns the seed that a path begins with. The first path begins nearest to the
// target, the others farther and farther away: who has put his nodes where all are nearest
// would otherwise be the beginning of every path.
func (s *search) start(l *Lookup, number int) int32 {
	if number > 0 && len(s.paths[number].list) == 0 {
		for _, i := range s.pool[number*len(s.pool)/len(s.paths):] {
			if n := &s.nodes[i]; n.state == stateFresh && s.askable(l, n) {
				return i
			}
		}
	}
	return s.poolHead(l)
}

// next returns the candidate of a path, or noNode with whether the path waits for an
// answer or has converged.
func (s *search) next(l *Lookup, number int) (node int32, waits, converged bool) {
	p := &s.paths[number]
	boundOnly := l.cfg.AllowFree && len(s.paths) > 1 && number%2 == 0
	v := s.look(l, p, false, boundOnly)
	if v.probed && s.judge(l, p) {
		v = s.look(l, p, false, boundOnly)
	}
	seed := s.start(l, number)
	switch {
	case v.first != noNode:
		if seed != noNode && s.compare(l, seed, v.first) < 0 {
			return seed, false, false
		}
		return v.first, false, false
	case seed != noNode && (v.n < l.cfg.Want || s.compare(l, seed, v.last) < 0):
		if len(s.paths) > 1 && p.active > 0 {
			return noNode, true, false // first see what the path itself brings
		}
		return seed, false, false
	case v.pending > 0:
		return noNode, true, false
	case v.n >= l.cfg.Want:
		return noNode, false, true
	}
	// Nothing else is left: free IDs first, then what doubted sources said.
	if boundOnly {
		if v = s.look(l, p, false, false); v.first != noNode || v.pending > 0 {
			return v.first, v.first == noNode, false
		}
	}
	v = s.look(l, p, true, false)
	return v.first, v.first == noNode && v.pending > 0, false
}

// candidate returns the nearest candidate of the paths that have a slot, with the path.
func (s *search) candidate(l *Lookup) (number int, node int32) {
	node = noNode
	if s.asked >= l.cfg.MaxAsks {
		return 0, noNode
	}
	for i := range s.paths {
		if p := &s.paths[i]; p.active >= l.cfg.Alpha && p.active >= min(l.cfg.Alpha+p.fails+p.late/2, l.cfg.Hurry) {
			continue
		}
		// The path with the fewest questions in flight goes first, then the one that was
		// answered least, then the nearest candidate.
		n, _, _ := s.next(l, i)
		if n == noNode {
			continue
		}
		if node == noNode || s.before(i, n, number, node) {
			number, node = i, n
		}
	}
	return number, node
}

// before reports whether one path with its candidate goes before another.
func (s *search) before(i int, n int32, number int, node int32) bool {
	p, q := &s.paths[i], &s.paths[number]
	switch {
	case p.active != q.active:
		return p.active < q.active
	case p.answers != q.answers:
		return p.answers < q.answers
	}
	return s.nodes[n].head < s.nodes[node].head
}

// wants returns the path and node when asking a contact helps this search too: it is fresh
// and among the wanted of a path. With a single path, a contact that another target led to
// is welcome as well when it is near enough.
func (s *search) wants(l *Lookup, c int32, hop uint16) (number int, node int32) {
	if s.asked >= l.cfg.MaxAsks {
		return 0, noNode
	}
	met := int(c) < len(s.at) && s.at[c] > 0
	if !met && len(s.paths) > 1 {
		return 0, noNode
	}
	if met {
		node = s.at[c] - 1
		n := &s.nodes[node]
		if n.state != stateFresh || s.suspect(n) || !s.askable(l, n) {
			return 0, noNode
		}
	}
	if _, ok := l.cfg.Heard.get(&l.contacts[c].Contact, s.target); ok {
		return 0, noNode // it has said what it knows
	}
	seed := met && slices.Contains(s.pool, node) // any path may begin with it
	for turn := range s.paths {
		i := (turn + int(c)) % len(s.paths)
		p := &s.paths[i]
		if met && !seed && len(s.paths) > 1 && !slices.Contains(p.list, node) {
			continue
		}
		far := s.wantedBound(l, p)
		if far != noNode {
			id := l.contacts[c].ID
			if CompareDistance(s.target, id, l.contacts[s.nodes[far].contact].ID) > 0 {
				continue
			}
		}
		if !met {
			node = s.add(l, c)
			n := &s.nodes[node]
			n.hop, n.seed = hop, true
			if !s.askable(l, n) {
				return 0, noNode
			}
		}
		return i, node
	}
	return 0, noNode
}

// wantedBound returns the farthest of the wanted contacts of a path, noNode while there
// are fewer.
func (s *search) wantedBound(l *Lookup, p *path) int32 {
	count := 0
	for _, i := range p.list {
		n := &s.nodes[i]
		if n.state == stateFailed || n.state == stateStalled || s.suspect(n) {
			continue
		}
		if count++; count == l.cfg.Want {
			return i
		}
	}
	return noNode
}

// learn adds a node to a path.
func (s *search) learn(l *Lookup, p *path, node int32) bool {
	i, found := slices.BinarySearchFunc(p.list, node, func(a, b int32) int { return s.compare(l, a, b) })
	for ; found && i < len(p.list) && s.compare(l, p.list[i], node) == 0; i++ {
		if p.list[i] == node {
			return false
		}
	}
	if limit := pathListBeams * l.cfg.Beam; len(p.list) >= limit {
		if i >= limit {
			return false
		}
		p.list = p.list[:limit-1]
	}
	p.list = slices.Insert(p.list, i, node)
	return true
}

// settle ends the search when no path has anybody to ask or to wait for.
func (s *search) settle(l *Lookup) {
	if s.reason != StopNone {
		return
	}
	if s.asked >= l.cfg.MaxAsks {
		if s.active == 0 {
			s.stop(l, StopMaxAsks)
		}
		return
	}
	converged := false
	for i := range s.paths {
		node, waits, ready := s.next(l, i)
		if node != noNode || waits {
			return
		}
		converged = converged || ready
	}
	switch {
	case converged:
		s.stop(l, StopConverged)
	case s.flying == 0:
		s.stop(l, StopExhausted)
	}
}

func (s *search) stop(l *Lookup, why StopReason) {
	if s.reason != StopNone || why == StopNone {
		return
	}
	s.reason = why
	l.running--
	l.finished = append(l.finished, s.target)
}
