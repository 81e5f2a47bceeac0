package dht

import (
	"bytes"
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

// keepRecords hands records over to newcomers that should hold them and republishes them, until ctx ends.
func (n *Node) keepRecords(ctx context.Context) {
	period := n.cfg.RepublishInterval
	var next time.Time
	if period > 0 {
		next = n.now().Add(jitter(period))
	}
	for ctx.Err() == nil {
		var after <-chan time.Time
		var timer *time.Timer
		if !next.IsZero() {
			timer = time.NewTimer(max(next.Sub(n.now()), 0))
			after = timer.C
		}
		select {
		case c := <-n.handover:
			n.handOver(ctx, c)
		case <-after:
			n.republish(ctx)
			next = n.now().Add(jitter(period))
		case <-ctx.Done():
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// jitter spreads a period over 0.75 to 1.25 of itself, so that nodes that started together do not act together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + 0.5*rand.Float64())) //nolint:gosec // not a secret
}

// handOver gives a node that is new in the table the records that it should hold. Of the nodes that hold a record only
// the nearest does so, unless the newcomer will believe none but several.
func (n *Node) handOver(ctx context.Context, c kad.Contact) {
	var recs []record.Record
	o := others{phase: n.phase(), but: c.ID}
	for _, r := range n.held() {
		n.consider(&o, r)
		if o.admit(n.self, c.ID, n.cfg.Replicas) && (o.nearer == 0 || o.vouched) {
			recs = append(recs, r)
		}
	}
	if len(recs) == 0 {
		return
	}
	n.sendRecords(ctx, c, recs, false)
	n.count.handedOver.Add(uint64(len(recs)))
	n.event(Event{Kind: EventHandOver, Peer: c.Peer, Count: len(recs)})
}

// others is who should hold a record besides this node. It is filled in for one record after the other, ordered by key.
type others struct {
	phase record.Phase
	but   kad.ID // is not among them

	key     record.Key
	near    []kad.Contact // the Replicas nearest, nearest first
	since   []time.Time   // that each is in the table
	vouched bool          // several must vouch for what is under the key
	nearer  int           // of near, how many are nearer than this node and have the record, as far as we know
}

// consider fills in who else should hold a record. Who came into the table after the record was last brought to its holders
// is not relied on: it has the record only if somebody gave it, and if many come at once, as when a split swarm grows
// together, each of the holders would leave that to a newcomer.
func (n *Node) consider(o *others, r record.Record) {
	if o.near == nil || o.key != r.Key {
		o.key = r.Key
		o.near, o.since = n.contacts.nearestSince(o.near[:0], o.since[:0], kad.ID(r.Key), n.cfg.Replicas, o.but)
		o.vouched = n.rules().NeedsVouchers(r.Key, o.phase)
	}
	brought, known := n.ledger.when(r)
	o.nearer = 0
	for i := 0; i < len(o.near) && kad.Nearer(kad.ID(r.Key), o.near[i].ID, n.self); i++ {
		if !known || !o.since[i].After(brought) {
			o.nearer++
		}
	}
}

// admit reports whether a newcomer is one of the nearest nodes that should hold the record.
func (o *others) admit(self, newcomer kad.ID, replicas int) bool {
	nearer := 0
	if kad.Nearer(kad.ID(o.key), self, newcomer) {
		nearer++
	}
	for _, c := range o.near {
		if kad.Nearer(kad.ID(o.key), c.ID, newcomer) {
			nearer++
		}
	}
	return nearer < replicas
}

// keepDuty is how many of the nodes that hold a record, the nearest of them, see to its copies, the first whose turn it is for all.
// The nearest alone may be dead without the others knowing: then nobody would.
const keepDuty = 3

// republish sends the records that this node is among the nearest to again to those that should hold them, except what
// somebody brought to all of them lately. What several must vouch for all its holders send, every time.
func (n *Node) republish(ctx context.Context) {
	now := n.now()
	lately := now.Add(-n.cfg.RepublishInterval * 3 / 4) // the earliest that its own turn comes again
	held := n.held()
	n.ledger.keep(held)
	var recs []record.Record
	o := others{phase: n.phase()}
	for _, r := range held {
		n.consider(&o, r)
		if o.vouched || o.nearer < keepDuty && !n.ledger.spare(r, lately) {
			recs = append(recs, r)
		}
	}
	count := n.distribute(ctx, recs, func(_ kad.ID, near []kad.Contact) []kad.Contact {
		return near[:min(len(near), n.cfg.Replicas-1)]
	})
	for _, r := range recs {
		n.ledger.brought(r, now)
	}
	if count > 0 {
		n.count.republished.Add(uint64(count)) //nolint:gosec // a count
		n.event(Event{Kind: EventRepublished, Count: count})
	}
}

// leave gives every record to the node that becomes its holder when this one is gone.
func (n *Node) leave() {
	if n.cfg.ClientMode || n.cfg.LeaveTimeout < 0 || n.life.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(n.life, n.cfg.LeaveTimeout)
	defer cancel()
	count := n.distribute(ctx, n.held(), func(_ kad.ID, near []kad.Contact) []kad.Contact {
		if len(near) == 0 {
			return nil
		}
		return near[len(near)-1:] // the others have it already
	})
	n.count.handedOver.Add(uint64(count)) //nolint:gosec // a count
}

// held returns the records kept for the swarm, ordered by key.
func (n *Node) held() []record.Record {
	var recs []record.Record
	for _, h := range n.shelves.all(n.now()) {
		recs = append(recs, h.Record)
	}
	return recs
}

// shouldHold reports whether a peer is one of those that should hold a key, as far as this node knows.
func (n *Node) shouldHold(p peer.ID, key record.Key) bool {
	near := n.contacts.nearest(nil, kad.ID(key), n.cfg.Replicas, kad.ID{})
	return slices.ContainsFunc(near, func(c kad.Contact) bool { return c.Peer == p })
}

// load is the records that go to one node.
type load struct {
	to   kad.Contact
	recs []record.Record
	lost bool // it did not answer
}

const distributeRounds = 3 // attempts to find somebody who answers

// distribute sends records, which are ordered by key, to the contacts that pick returns for their key, out of the Replicas
// nearest, a few contacts at once; where one does not answer, it picks again among the others, for that one's records. It
// returns the number of records that were sent at least once.
func (n *Node) distribute(ctx context.Context, recs []record.Record, pick func(key kad.ID, near []kad.Contact) []kad.Contact) int {
	dead := make(map[peer.ID]bool)
	tried := make(map[record.Key][]peer.ID) // of what somebody did not take: who was asked
	count := 0
	for range distributeRounds {
		loads, sent := n.sort(recs, dead, tried, pick)
		count = max(count, sent)
		if len(loads) == 0 || ctx.Err() != nil {
			return count
		}
		n.sendLoads(ctx, loads)
		recs = lostOf(loads, dead)
		for _, r := range recs {
			if tried[r.Key] == nil {
				tried[r.Key] = make([]peer.ID, 0, n.cfg.Replicas)
			}
		}
		for p, l := range loads {
			for _, r := range l.recs {
				if list := tried[r.Key]; list != nil && !slices.Contains(list, p) {
					tried[r.Key] = append(list, p)
				}
			}
		}
	}
	return count
}

// lostOf returns the records of loads that did not arrive, each once, in the order of their keys, and adds the peers to dead.
func lostOf(loads map[peer.ID]*load, dead map[peer.ID]bool) []record.Record {
	var recs []record.Record
	for p, l := range loads {
		if l.lost {
			dead[p] = true
			recs = append(recs, l.recs...)
		}
	}
	slices.SortFunc(recs, func(a, b record.Record) int {
		return cmp.Or(a.Key.Compare(b.Key), bytes.Compare(a.Subkey, b.Subkey))
	})
	return slices.CompactFunc(recs, func(a, b record.Record) bool { return a.Key == b.Key && bytes.Equal(a.Subkey, b.Subkey) })
}

// sort assigns records, which are ordered by key, to the nodes that they go to, but none that was tried already, and returns how
// many go anywhere.
func (n *Node) sort(recs []record.Record, dead map[peer.ID]bool, tried map[record.Key][]peer.ID, pick func(kad.ID, []kad.Contact) []kad.Contact) (map[peer.ID]*load, int) {
	loads := make(map[peer.ID]*load)
	count := 0
	now := n.now()
	var near, to []kad.Contact
	for i, r := range recs {
		if i == 0 || r.Key != recs[i-1].Key {
			near = n.contacts.nearest(near[:0], kad.ID(r.Key), 2*n.cfg.Replicas, kad.ID{})
			near = slices.DeleteFunc(near, func(c kad.Contact) bool { return dead[c.Peer] || n.contacts.isBanned(c.Peer, now) })
			to = pick(kad.ID(r.Key), near[:min(len(near), n.cfg.Replicas)])
			to = slices.DeleteFunc(to, func(c kad.Contact) bool { return slices.Contains(tried[r.Key], c.Peer) })
		}
		if len(to) > 0 {
			count++
		}
		for _, c := range to {
			l := loads[c.Peer]
			if l == nil {
				l = &load{to: c}
				loads[c.Peer] = l
			}
			l.recs = append(l.recs, r)
		}
	}
	return loads, count
}

// sendLoads sends to several nodes at once and notes who did not answer.
func (n *Node) sendLoads(ctx context.Context, loads map[peer.ID]*load) {
	slots := make(chan struct{}, n.cfg.Parallel)
	var wg sync.WaitGroup
	for _, l := range loads {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, a := range n.sendRecords(ctx, l.to, l.recs, false) {
				l.lost = l.lost || a.Err != nil
			}
		})
	}
	wg.Wait()
}
