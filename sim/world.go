package sim

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// Sizes of messages on the wire, channel and framing included.
const (
	pingBytes    = 90  // either way
	askBytes     = 100 // and keyBytes for each target beyond the first
	keyBytes     = 22
	contactBytes = 64 // ID, peer ID, tags
	storeBytes   = 160
	ackBytes     = 60
)

// purpose is what traffic is for.
type purpose uint8

const (
	forUser purpose = iota
	forChecks
	forJoin
	forRefresh
	forRepair
	purposes
)

// event is something that happens at a point of virtual time.
type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].seq < h[j].seq
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *events) Push(v any) { *h = append(*h, v.(event)) }

// Pop implements heap.Interface.
func (h *events) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return v
}

// value is a record as a host holds it: the later expiration is the newer version.
type value struct {
	expires time.Time
	held    map[peer.ID]bool // others known to hold this version
}

// host is one node of the dynamic experiment.
type host struct {
	c     kad.Contact
	table *kad.Table
	size  kad.SizeEstimator
	store map[kad.ID]*value
	keys  []kad.ID // of store, in the order of arrival
	side  int      // of a partition
	slot  int
	ready bool // it found its neighbourhood
	gone  bool
}

// world is the network of the dynamic experiment: who is there, what is in flight.
type world struct {
	cfg    ChurnConfig
	rng    *rand.Rand
	now    time.Time
	queue  events
	seq    uint64
	slots  []*host // one living host each, nil before it joined
	peers  map[peer.ID]*host
	split  bool
	joined uint64
	bytes  [purposes]float64
}

// at schedules something.
func (w *world) at(t time.Time, do func()) {
	w.seq++
	heap.Push(&w.queue, event{t, w.seq, do})
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now.Add(d), do) }

// every repeats something for as long as a host lives, at a jittered pace.
func (w *world) every(h *host, d time.Duration, do func()) {
	pause := time.Duration(float64(d) * (0.5 + w.rng.Float64()))
	w.after(pause, func() {
		if !h.gone {
			do()
			w.every(h, d, do)
		}
	})
}

// run lets time pass until the given moment.
func (w *world) run(until time.Time) {
	for len(w.queue) > 0 && !w.queue[0].at.After(until) {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = until
}

// call sends a message from one host to a contact. handle runs at the receiver and returns
// the size of its answer; done runs at the sender, with false after a time-out.
func (w *world) call(from *host, to kad.Contact, why purpose, size int, handle func(*host) int, done func(ok bool)) {
	w.bytes[why] += float64(size)
	latency := minLatency + time.Duration(w.rng.Int64N(int64(maxLatency-minLatency)))
	reach := func() *host {
		h := w.peers[to.Peer]
		if h == nil || h.gone || w.split && h.side != from.side {
			return nil
		}
		return h
	}
	lost := func() {
		w.at(w.now.Add(callTimeout), func() {
			if !from.gone {
				done(false)
			}
		})
	}
	if reach() == nil {
		lost()
		return
	}
	w.after(latency/2, func() {
		h := reach()
		if h == nil {
			lost()
			return
		}
		answer := handle(h)
		w.bytes[why] += float64(answer)
		w.heard(h, from.c)
		w.after(latency/2, func() {
			if from.gone {
				return
			}
			if w.split && h.side != from.side {
				lost()
				return
			}
			from.table.ObserveRTT(to.Peer, latency)
			w.added(from, from.table.Add(to, w.now))
			done(true)
		})
	})
}

// heard is what a host does with the sender of a question.
func (w *world) heard(h *host, c kad.Contact) { w.added(h, h.table.Offer(c, w.now)) }

// added does the check that a table asks for.
func (w *world) added(h *host, r kad.AddResult) {
	if r.HasCheck {
		w.ping(h, r.Check)
	}
}

func (w *world) ping(h *host, c kad.Contact) {
	w.call(h, c, forChecks, pingBytes, func(*host) int { return pingBytes }, func(ok bool) {
		if !ok {
			h.table.Failed(c, w.now)
		}
	})
}

// upkeep runs the checks of a table when they are due.
func (w *world) upkeep(h *host) {
	if h.gone {
		return
	}
	for _, check := range h.table.Due(nil, w.now) {
		w.ping(h, check.Contact)
	}
	next, ok := h.table.NextDue()
	if !ok || next.Before(w.now.Add(100*time.Millisecond)) {
		next = w.now.Add(time.Second)
	}
	w.at(next, func() { w.upkeep(h) })
}

// search runs a lookup of a host. found, when set, is called with each host that answers
// and returns true when that is enough.
type search struct {
	h     *host
	l     *kad.Lookup
	why   purpose
	found func(*host) bool
	done  func(*kad.Lookup)
	ended bool
}

// defence is what a host decides by.
func (w *world) defence(h *host) kad.Defence {
	h.size.Anchor(h.table.SizeEstimate())
	d := kad.Defence{Paths: w.cfg.Paths, Replicas: w.cfg.Replicas, Beam: w.cfg.BucketSize}
	d.Size, d.Sure = h.size.Size()
	return d
}

func (w *world) lookup(s *search, cfg kad.LookupConfig) {
	var seeds []kad.Contact
	for _, t := range cfg.Targets {
		seeds = s.h.table.Nearest(seeds, t, w.cfg.BucketSize*min(cfg.Paths+1, 3), kad.ID{})
	}
	cfg.Self, cfg.SelfPeer, cfg.Beam, cfg.Parallel = s.h.c.ID, s.h.c.Peer, w.cfg.BucketSize, 8
	cfg.SoftTimeout = func(c kad.Contact) time.Duration { return s.h.table.Timeout(c.Peer, callTimeout) }
	s.l = kad.NewLookup(cfg, seeds)
	w.drive(s)
}

// looks makes the looks of a store or get one after the other, until one is beyond doubt or
// enough. see is called with each, end after the last.
func (w *world) looks(h *host, key kad.ID, write bool, found func(*host) bool, see func(kad.Defence, *kad.Lookup, kad.Look) (enough bool), end func()) {
	var heard kad.Heard
	var next func(depth int, last kad.Doubt)
	next = func(depth int, last kad.Doubt) {
		d := w.defence(h)
		look := d.Look(key, depth, write, last)
		done := func(l *kad.Lookup) {
			if len(look.Targets) == 1 {
				w.observe(h, l, key)
			}
			enough := see(d, l, look)
			if doubt := d.Judge(l, key, look, kad.DoubtNone); !enough && d.Deeper(look, doubt) {
				next(depth+1, doubt)
				return
			}
			end()
		}
		w.lookup(&search{h: h, why: forUser, found: found, done: done}, d.Config(look, &heard))
	}
	next(kad.LookFirst, kad.DoubtNone)
}

// drive sends the next questions of a lookup.
func (w *world) drive(s *search) {
	if s.ended || s.h.gone {
		return
	}
	for _, ask := range s.l.Next(w.now) {
		size := askBytes + keyBytes*(len(ask.Targets)-1)
		var lists [][]kad.Contact
		enough := false
		w.call(s.h, ask.Contact, s.why, size, func(h *host) int {
			answer := ackBytes
			for _, t := range ask.Targets {
				list := h.table.Nearest(nil, t, w.cfg.BucketSize, s.h.c.ID)
				lists = append(lists, list)
				answer += contactBytes * len(list)
			}
			if s.found != nil && s.found(h) {
				enough = true
				answer += w.cfg.ValueBytes
			}
			return answer
		}, func(ok bool) {
			switch {
			case !ok:
				s.h.table.Failed(ask.Contact, w.now)
				s.l.Failed(w.now, ask, kad.FailTimeout)
			default:
				if enough {
					s.l.StopAll(kad.StopFound)
				}
				s.l.Answer(w.now, ask, lists)
			}
			w.drive(s)
		})
	}
	if s.l.Done() {
		s.ended = true
		s.done(s.l)
		return
	}
	if wake, ok := s.l.Wake(); ok {
		w.at(wake, func() { w.drive(s) })
	}
}

// join puts a new host into a slot.
func (w *world) join(slot int) {
	w.joined++
	b := make([]byte, 9)
	b[0] = 'h'
	binary.BigEndian.PutUint64(b[1:], w.joined<<20|w.cfg.Seed&0xfffff)
	c := kad.BoundContact(peer.ID(b), netip.Addr{})
	h := &host{c: c, store: make(map[kad.ID]*value), slot: slot, side: slot % 2}
	h.table = kad.NewTable(kad.TableConfig{
		Self: c.ID, BucketSize: w.cfg.BucketSize, DepthModulo: w.cfg.DepthModulo, Seed: w.rng.Uint64(),
	})
	boot := w.bootnodes(h)
	w.slots[slot] = h
	w.peers[c.Peer] = h
	if w.cfg.MedianSession > 0 {
		session := time.Duration(w.rng.ExpFloat64() * float64(w.cfg.MedianSession) / math.Ln2)
		w.after(session, func() { w.leave(h) })
	}
	waiting := len(boot)
	for _, b := range boot {
		w.call(h, b, forJoin, pingBytes, func(*host) int { return pingBytes }, func(bool) {
			if waiting--; waiting == 0 {
				w.settle(h)
			}
		})
	}
	if waiting == 0 {
		w.settle(h)
	}
}

// bootnodes returns three living hosts of the side of a newcomer.
func (w *world) bootnodes(h *host) []kad.Contact {
	var boot []kad.Contact
	for range 50 {
		if o := w.slots[w.rng.IntN(len(w.slots))]; o != nil && (!w.split || o.side == h.side) && len(boot) < 3 {
			boot = append(boot, o.c)
		}
	}
	return boot
}

// settle finds the neighbourhood of a newcomer and starts its upkeep.
func (w *world) settle(h *host) {
	w.neighbourhood(h)
	w.upkeep(h)
	w.every(h, w.cfg.Refresh/2, func() { w.refresh(h) })
	w.every(h, w.cfg.Repair, func() { w.repair(h) })
}

// neighbourhood searches the hosts around a newcomer, again and again until there are some.
func (w *world) neighbourhood(h *host) {
	done := func(*kad.Lookup) {
		if h.table.Len() > 0 {
			h.ready = true
			return
		}
		w.after(time.Second, func() {
			for _, b := range w.bootnodes(h) {
				w.ping(h, b)
			}
			w.after(time.Second, func() {
				if !h.gone {
					w.neighbourhood(h)
				}
			})
		})
	}
	w.lookup(&search{h: h, why: forJoin, done: done}, kad.LookupConfig{Targets: []kad.ID{h.c.ID}, Want: w.cfg.Replicas})
}

// observe feeds the size estimate of a host.
func (w *world) observe(h *host, l *kad.Lookup, target kad.ID) {
	if l.Reason(target) == kad.StopConverged && l.Stats(target).Restarts == 0 {
		h.size.Observe(target, l.Confirmed(nil, target, w.cfg.BucketSize))
	}
}

// refresh searches in buckets that were quiet; a host without contacts joins anew.
func (w *world) refresh(h *host) {
	if h.table.Len() == 0 {
		for _, b := range w.bootnodes(h) {
			w.ping(h, b)
		}
	}
	stale := h.table.Stale(nil, w.now, w.cfg.Refresh)
	if len(stale) == 0 {
		return
	}
	w.lookup(&search{h: h, why: forRefresh, done: func(*kad.Lookup) {}}, kad.LookupConfig{Targets: stale, Want: 3})
}

// leave takes a host away without a word and brings a new one.
func (w *world) leave(h *host) {
	h.gone = true
	delete(w.peers, h.c.Peer)
	w.slots[h.slot] = nil
	w.join(h.slot)
}
