package dht

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

const (
	maxCallsPerPeer   = 32 // finds and pings of ours at one peer at once; nodes serve 64 calls of one peer, of all services
	couriersPerPeer   = 4  // store requests of ours at one peer at once
	maxCourierRecords = 256
)

// turnstiles bound the calls under way to each peer. Who comes too much waits; nobody is refused. One mutex guards it.
type turnstiles struct {
	mu   sync.Mutex
	busy map[peer.ID]*turnstile
}

type turnstile struct {
	calls int
	queue []chan struct{} // closed in turn when a call ends: the place is handed on
}

func (t *turnstiles) init() { t.busy = make(map[peer.ID]*turnstile) }

// enter waits for a place. A nil error obliges the caller to call leave.
func (t *turnstiles) enter(ctx context.Context, p peer.ID) error {
	t.mu.Lock()
	s := t.busy[p]
	if s == nil {
		s = &turnstile{}
		t.busy[p] = s
	}
	if s.calls < maxCallsPerPeer {
		s.calls++
		t.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.queue = append(s.queue, turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	for i, q := range s.queue {
		if q == turn {
			s.queue = append(s.queue[:i], s.queue[i+1:]...)
			t.mu.Unlock()
			return ctx.Err()
		}
	}
	t.mu.Unlock()
	t.leave(p) // the place was handed to us just now
	return ctx.Err()
}

func (t *turnstiles) leave(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.busy[p]
	if len(s.queue) > 0 {
		close(s.queue[0])
		s.queue = s.queue[1:]
		return
	}
	if s.calls--; s.calls == 0 {
		delete(t.busy, p)
	}
}

// couriers carry records to peers. Records for one peer that come together travel together: while requests to it are under
// way, what is added waits and then goes as one request. One mutex guards it.
type couriers struct {
	mu     sync.Mutex
	queues map[peer.ID]*courierQueue
}

type courierQueue struct {
	to      kad.Contact
	waiting []parcelFor
	active  int
}

// parcelFor is some records for one peer, and where to report. The channel has room for the report.
type parcelFor struct {
	recs []record.Record
	done chan<- []Answer
}

func (c *couriers) init() { c.queues = make(map[peer.ID]*courierQueue) }

// deliverRecords stores records at a contact together with whatever else is on its way there. It returns when the contact
// answered or ctx ended.
func (n *Node) deliverRecords(ctx context.Context, to kad.Contact, recs []record.Record) []Answer {
	done := make(chan []Answer, 1)
	c := &n.couriers
	c.mu.Lock()
	q := c.queues[to.Peer]
	if q == nil {
		q = &courierQueue{to: to}
		c.queues[to.Peer] = q
	}
	q.waiting = append(q.waiting, parcelFor{recs, done})
	start := q.active < couriersPerPeer
	if start {
		q.active++
	}
	c.mu.Unlock()
	if start && !n.group.start(func() { n.carry(q) }) {
		n.carry(q) // the node is closed: all calls fail at once
	}
	select {
	case answers := <-done:
		return answers
	case <-ctx.Done():
		answers := make([]Answer, len(recs))
		for i := range answers {
			answers[i] = Answer{Peer: to.Peer, Err: ctx.Err()}
		}
		return answers
	}
}

// carry sends what waits for a peer until nothing does.
func (n *Node) carry(q *courierQueue) {
	for n.carryOnce(q) {
		continue
	}
}

// carryOnce sends some of what waits for a peer and reports whether more does. If not, it has given up its place.
func (n *Node) carryOnce(q *courierQueue) (more bool) {
	c := &n.couriers
	c.mu.Lock()
	load, count := q.next()
	c.mu.Unlock()
	if len(load) > 0 {
		recs := load[0].recs
		if len(load) > 1 {
			recs = make([]record.Record, 0, count)
			for _, p := range load {
				recs = append(recs, p.recs...)
			}
		}
		answers := n.sendRecords(n.life, q.to, recs, false)
		for _, p := range load {
			p.done <- answers[:len(p.recs):len(p.recs)]
			answers = answers[len(p.recs):]
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(q.waiting) > 0 {
		return true
	}
	if q.active--; q.active == 0 {
		delete(c.queues, q.to.Peer)
	}
	return false
}

// next takes the parcels for one request out of the queue.
func (q *courierQueue) next() (load []parcelFor, records int) {
	n := 0
	for n < len(q.waiting) && (n == 0 || records+len(q.waiting[n].recs) <= maxCourierRecords) {
		records += len(q.waiting[n].recs)
		n++
	}
	load = q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return load, records
}
