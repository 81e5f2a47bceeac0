package dht

import (
	"context"
	"math/rand/v2"
	"slices"
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
