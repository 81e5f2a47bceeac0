package kad

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// LookupConfig is the configuration of a Lookup. The zero value of each field means its
// default.
type LookupConfig struct {
	// Self is the asker: it is never asked and its ID is dropped from answers. SelfPeer
	// likewise.
	Self     ID
	SelfPeer peer.ID
	// Targets are the points to search. Duplicates count once. Required.
	Targets []ID
	// Beam is how many of the nearest known contacts each path keeps in view. Default 20.
	Beam int
	// MaxAnswer is the most contacts looked at in one answer per target; what lies beyond is
	// dropped and reported. Default twice Beam.
	MaxAnswer int
	// Want is how many of the nearest contacts must have answered before a path ends.
	// Default Beam. A store that needs 8 replicas may want 8.
	Want int
	// Paths is the number of disjoint paths per target. Default 1. A peer is never asked by
	// two paths of one target, and what one path learns stays on it.
	Paths int
	// Alpha is the number of questions in flight per path. Default 3 with one path, else 1.
	Alpha int
	// Hurry is how far Alpha grows: by one with each question of a path that failed, or each
	// two that are overdue, because where one is gone or lies the next may be too. Default
	// Alpha.
	Hurry int
	// StopOnLies ends the search for a target with StopLies as soon as somebody is caught
	// naming contacts that do not answer, or a list that cannot be true: the caller goes on
	// with more paths instead of following the one that was led astray.
	StopOnLies bool
	// Parallel bounds the questions in flight of the whole lookup. Default 32.
	Parallel int
	// TargetsPerCall bounds the targets packed in one question. Default 16.
	TargetsPerCall int
	// MaxAsks bounds the questions asked for one target. Default 60 per path up to 240.
	MaxAsks int
	// AllowFree takes contacts with unbound IDs from answers. Off by default.
	AllowFree bool
	// Exclude, when set, names peers that must not be asked (banned, blacklisted). It is
	// asked when an answer arrives and again before a question. It MUST be pure and quick.
	Exclude func(peer.ID) bool
	// NetworkSize is the estimated number of nodes, 0 when unknown. With it a path that
	// converges on contacts too sparse to be the truth (colluders that name only each
	// other) or too dense (Sybils and inventions) puts them aside and goes on with what else
	// it knows.
	NetworkSize float64
	// SizeMargin is the factor by which NetworkSize may be wrong either way. Default 1.
	SizeMargin float64
	// Heard, when set, keeps the answers, and brings those of earlier lookups.
	Heard *Heard
	// SoftTimeout, when set, is how long to wait for a contact before another one is asked
	// as well; a later answer still counts. Unset: a question holds its slot until it is
	// answered or failed.
	SoftTimeout func(Contact) time.Duration
}

// Lookup searches the contacts nearest to one or many targets. It is a step machine: Next
// says whom to ask, Answer and Failed report, until Done. Not safe for concurrent use.
type Lookup struct {
	cfg      LookupConfig
	searches []*search
	byTarget map[ID]*search
	contacts []known
	byID     map[ID]int32      // first contact with an ID; others follow by known.sameID
	byPeer   map[peer.ID]int32 // with AllowFree: likewise by known.samePeer
	flights  []flight          // in the order of Seq
	seq      uint32
	running  int
	out      []Ask
	finished []ID
	ids      []int32 // scratch
	spread   uint32  // where the next round of picking starts
}

// known is a contact met in a lookup.
type known struct {
	Contact
	bound            bool
	sameID, samePeer int32 // next contact with the same ID or peer, -1 at the end
}

// flight is a question in flight.
type flight struct {
	seq     uint32
	contact int32
	parts   []part
	asked   time.Time
	overdue time.Time // soft time-out, zero without one
	stalled bool
}

// part is the share of one target in a question.
type part struct {
	s    *search
	node int32
	step int32
}

func (c LookupConfig) withDefaults() LookupConfig {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&c.Beam, 20) // Kademlia's k
	set(&c.MaxAnswer, 2*c.Beam)
	set(&c.Want, c.Beam)
	set(&c.Paths, 1)
	c.Paths = min(c.Paths, maxPaths)
	if c.Paths == 1 {
		set(&c.Alpha, 3) // Kademlia's alpha
	}
	set(&c.Alpha, 1)
	set(&c.Hurry, c.Alpha)
	if c.SizeMargin < 1 {
		c.SizeMargin = 1
	}
	set(&c.Parallel, 32)
	set(&c.TargetsPerCall, 16) // the original's chunk size
	set(&c.MaxAsks, min(60*c.Paths, 240))
	return c
}

const maxPaths = 32 // more paths than contacts of a beam make no sense

// NewLookup starts a lookup. Seeds are the contacts that we know ourselves (usually the
// union of Table.Nearest of each target; two or three beams of them make disjoint paths
// robust). They are shared among the paths so that none starts where another did.
func NewLookup(cfg LookupConfig, seeds []Contact) *Lookup {
	l := &Lookup{cfg: cfg.withDefaults(), byID: make(map[ID]int32, 2*len(seeds))}
	if cfg.AllowFree {
		l.byPeer = make(map[peer.ID]int32)
	}
	l.byTarget = make(map[ID]*search, len(cfg.Targets))
	var report AnswerReport
	ids := make([]int32, 0, len(seeds))
	for _, c := range seeds {
		if i := l.intern(c, &report); i >= 0 {
			ids = append(ids, i)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, target := range cfg.Targets {
		if l.byTarget[target] != nil {
			continue
		}
		s := newSearch(l, target, ids)
		l.byTarget[target] = s
		l.searches = append(l.searches, s)
	}
	l.running = len(l.searches)
	for _, s := range l.searches {
		s.settle(l)
	}
	return l
}

// intern returns the index of a contact, adding it when it is new, or -1 when it may not
// be used.
func (l *Lookup) intern(c Contact, report *AnswerReport) int32 {
	if c.ID == l.cfg.Self || c.Peer == l.cfg.SelfPeer && c.Peer != "" {
		report.Self++
		return -1
	}
	head, met := l.byID[c.ID]
	if met {
		for i := head; i >= 0; i = l.contacts[i].sameID {
			if l.contacts[i].Peer == c.Peer {
				return i
			}
		}
	}
	bound := c.Bound()
	switch {
	case !bound && !l.cfg.AllowFree:
		report.Free++
		return -1
	case l.cfg.Exclude != nil && l.cfg.Exclude(c.Peer):
		report.Excluded++
		return -1
	}
	i := int32(len(l.contacts)) // far below 2^31: bounded by MaxAsks and MaxAnswer
	k := known{Contact: c, bound: bound, sameID: -1, samePeer: -1}
	if met {
		k.sameID = l.contacts[head].sameID
		l.contacts[head].sameID = i
	} else {
		l.byID[c.ID] = i
	}
	if l.byPeer != nil {
		if first, ok := l.byPeer[c.Peer]; ok {
			k.samePeer = l.contacts[first].samePeer
			l.contacts[first].samePeer = i
		} else {
			l.byPeer[c.Peer] = i
		}
	}
	l.contacts = append(l.contacts, k)
	return i
}

// Next returns the questions to send now; nil when all slots are taken, when everything
// waits for answers, or when the lookup is done. The slice is valid until the next call.
func (l *Lookup) Next(now time.Time) []Ask {
	l.out = l.out[:0]
	l.stall(now)
	for len(l.flights) < l.cfg.Parallel && l.running > 0 {
		s, path, node := l.pick()
		if s == nil {
			break
		}
		if !l.recall(s, path, node, now) {
			l.ask(s, path, node, now)
		}
	}
	return l.out
}

// recall answers a question from what was heard before, if it was.
func (l *Lookup) recall(s *search, path int, node int32, now time.Time) bool {
	c := s.nodes[node].contact
	list, ok := l.cfg.Heard.get(&l.contacts[c].Contact, s.target)
	if !ok {
		return false
	}
	pt := part{s, node, s.begin(l, path, node, 0, now)}
	s.asked-- // nobody was
	var report AnswerReport
	s.answered(l, pt, false, l.clean(list, &report), now)
	s.settle(l)
	return true
}

// clean returns the contacts of a list that may be used.
func (l *Lookup) clean(list []Contact, report *AnswerReport) []int32 {
	if len(list) > l.cfg.MaxAnswer {
		report.TooMany += len(list) - l.cfg.MaxAnswer
		list = list[:l.cfg.MaxAnswer]
	}
	ids := l.ids[:0]
	for _, c := range list {
		id := l.intern(c, report)
		switch {
		case id < 0:
		case slices.Contains(ids, id):
			report.Duplicate++
		default:
			ids = append(ids, id)
		}
	}
	l.ids = ids
	return ids
}

// pick chooses the next question: of the searches with the fewest questions in flight the
// one whose candidate is nearest, as the original does; among equals they take turns.
func (l *Lookup) pick() (best *search, path int, node int32) {
	l.spread++
	for i := range l.searches {
		s := l.searches[(i+int(l.spread))%len(l.searches)]
		if s.reason != StopNone || best != nil && s.active > best.active {
			continue
		}
		p, n := s.candidate(l)
		if n < 0 {
			s.settle(l)
			continue
		}
		if best == nil || s.active < best.active || s.nodes[n].head < best.nodes[node].head {
			best, path, node = s, p, n
		}
	}
	return best, path, node
}

// ask starts a question and packs further targets that would ask the same contact.
func (l *Lookup) ask(s *search, path int, node int32, now time.Time) {
	l.seq++
	c := s.nodes[node].contact
	f := flight{seq: l.seq, contact: c, asked: now, parts: make([]part, 0, 1)}
	if l.cfg.SoftTimeout != nil {
		if d := l.cfg.SoftTimeout(l.contacts[c].Contact); d > 0 {
			f.overdue = now.Add(d)
		}
	}
	ask := Ask{Seq: l.seq, Contact: l.contacts[c].Contact, Path: path, Hop: int(s.nodes[node].hop)}
	ask.Targets = make([]ID, 0, 1)
	join := func(s *search, path int, node int32) {
		step := s.begin(l, path, node, l.seq, now)
		f.parts = append(f.parts, part{s, node, step})
		ask.Targets = append(ask.Targets, s.target)
	}
	join(s, path, node)
	if len(l.searches) > 1 && l.cfg.TargetsPerCall > 1 {
		l.pack(s, c, s.nodes[node].hop, join, &f)
	}
	l.flights = append(l.flights, f)
	l.out = append(l.out, ask)
}

// pack joins the other running searches for which the contact is worth asking, those
// nearest to it first.
func (l *Lookup) pack(first *search, c int32, hop uint16, join func(*search, int, int32), f *flight) {
	type option struct {
		s    *search
		path int
		node int32
		head uint64
	}
	var options []option
	for _, s := range l.searches {
		if s == first || s.reason != StopNone {
			continue
		}
		if p, n := s.wants(l, c, hop); n >= 0 {
			options = append(options, option{s, p, n, s.nodes[n].head})
		}
	}
	slices.SortStableFunc(options, func(a, b option) int {
		if a.head < b.head {
			return -1
		} else if a.head > b.head {
			return 1
		}
		return 0
	})
	for _, o := range options {
		if len(f.parts) >= l.cfg.TargetsPerCall {
			break
		}
		join(o.s, o.path, o.node)
	}
}

// stall takes overdue questions off their paths, so that others are asked meanwhile.
func (l *Lookup) stall(now time.Time) {
	for i := range l.flights {
		f := &l.flights[i]
		if f.stalled || f.overdue.IsZero() || now.Before(f.overdue) {
			continue
		}
		f.stalled = true
		for _, p := range f.parts {
			p.s.stalled(l, p.node)
		}
	}
}

// Wake returns when Next should be called again even if nothing was answered, because a
// question passes its soft time-out; false when there is no such time.
func (l *Lookup) Wake() (time.Time, bool) {
	var at time.Time
	for i := range l.flights {
		f := &l.flights[i]
		if f.stalled || f.overdue.IsZero() {
			continue
		}
		if at.IsZero() || f.overdue.Before(at) {
			at = f.overdue
		}
	}
	return at, !at.IsZero()
}

// land removes a question from those in flight.
func (l *Lookup) land(ask Ask) (flight, bool) {
	for i := range l.flights {
		if l.flights[i].seq == ask.Seq {
			f := l.flights[i]
			l.flights = slices.Delete(l.flights, i, i+1)
			return f, true
		}
	}
	return flight{}, false
}

// Answer reports the contacts that an Ask brought: nearest[i] belongs to ask.Targets[i],
// in any order; missing lists are empty. A hostile list is cut and cleaned, never fatal.
func (l *Lookup) Answer(now time.Time, ask Ask, nearest [][]Contact) AnswerReport {
	var report AnswerReport
	f, ok := l.land(ask)
	if !ok {
		report.Unexpected = true
		return report
	}
	for i, p := range f.parts {
		var list []Contact
		if i < len(nearest) {
			list = nearest[i]
		}
		l.cfg.Heard.put(&l.contacts[f.contact].Contact, p.s.target, list[:min(len(list), l.cfg.MaxAnswer)])
		if p.s.reason != StopNone {
			p.s.land(p, f.stalled)
			p.s.steps[p.step].Ended, p.s.steps[p.step].Answered = now, true
			continue
		}
		report.Taken += p.s.answered(l, p, f.stalled, l.clean(list, &report), now)
		p.s.settle(l)
	}
	return report
}

// Failed reports that an Ask got no usable answer.
func (l *Lookup) Failed(now time.Time, ask Ask, why FailReason) {
	f, ok := l.land(ask)
	if !ok {
		return
	}
	for _, p := range f.parts {
		p.s.failed(l, p, f.stalled, why, now)
		p.s.settle(l)
	}
}

// Stop ends the search for one target. Answers still in flight are ignored for it.
func (l *Lookup) Stop(target ID, why StopReason) {
	if s := l.byTarget[target]; s != nil {
		s.stop(l, why)
	}
}

// StopAll ends the search for all targets that still run.
func (l *Lookup) StopAll(why StopReason) {
	for _, s := range l.searches {
		s.stop(l, why)
	}
}

// Done reports whether no target is searched any more. Questions may still be in flight;
// the caller cancels them or reports them, both are fine.
func (l *Lookup) Done() bool { return l.running == 0 }

// Finished appends the targets that ended since the last call, each exactly once.
func (l *Lookup) Finished(dst []ID) []ID {
	dst = append(dst, l.finished...)
	l.finished = l.finished[:0]
	return dst
}

// Reason returns why the search for a target ended, StopNone while it runs and for a point
// that is no target.
func (l *Lookup) Reason(target ID) StopReason {
	if s := l.byTarget[target]; s != nil {
		return s.reason
	}
	return StopNone
}

// InFlight returns the number of questions that wait for their outcome.
func (l *Lookup) InFlight() int { return len(l.flights) }
