package dht

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

// FindNearest returns the k nodes nearest to target, nearest first, this node not among them. The nearest of them answered
// just now; farther ones answered just now or are live in the routing table. Where the search gives a reason for doubt,
// all of them answered on disjoint paths; see Config.Paths.
func (n *Node) FindNearest(ctx context.Context, target kad.ID, k int) ([]kad.Contact, error) {
	k = min(max(k, 1), n.cfg.BucketSize)
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	var answered, known []kad.Contact
	var memory memory
	d := n.defence(n.cfg.Paths)
	for depth, again := kad.LookFirst, true; again; depth++ {
		look := d.Look(target, depth, true, kad.DoubtNone)
		if depth > kad.LookFirst {
			look.Want = max(look.Want, k)
		}
		s := n.newSearch(d, look, &memory)
		s.nearestOnly = true
		s.finished = func(l *kad.Lookup, target kad.ID) {
			answered = kad.SortNearest(l.Nearest(answered, target, 2*n.cfg.BucketSize), target) // the crowd, too: it is there
			known = answered
			if depth == kad.LookFirst {
				known = l.Known(nil, target, n.cfg.BucketSize)
			}
			doubt := d.Judge(l, target, look, kad.DoubtNone)
			again = depth == kad.LookFirst && d.Deeper(look, doubt) && ctx.Err() == nil
			switch {
			case again:
				n.doubted(target, doubt)
			case depth == kad.LookFirst && doubt == kad.DoubtNone && target != n.self:
				n.contacts.sample(target, known)
			}
		}
		s.run(ctx)
	}
	found := n.vouched(ctx, answered, known, k)
	if err := ctx.Err(); err != nil && len(found) == 0 {
		return nil, n.ended(ctx)
	}
	return found, nil
}

// vouched returns the first k known contacts that answered, that are live in the table, or that answer a ping now.
func (n *Node) vouched(ctx context.Context, answered, known []kad.Contact, k int) []kad.Contact {
	type place struct {
		id   kad.ID
		peer peer.ID
	}
	alive := make(map[place]bool, len(known))
	for _, c := range answered {
		alive[place{c.ID, c.Peer}] = true
	}
	var strangers []kad.Contact
	n.contacts.mu.Lock()
	for i, c := range known {
		if alive[place{c.ID, c.Peer}] {
			continue
		}
		if t, live, ok := n.contacts.table.Find(c.Peer); ok && live && t.ID == c.ID {
			alive[place{c.ID, c.Peer}] = true
		} else if i < k+len(strangers) {
			strangers = append(strangers, c)
		}
	}
	n.contacts.mu.Unlock()
	if len(strangers) > 0 {
		answers := make(chan kad.Contact, len(strangers))
		for _, c := range strangers {
			if !n.group.start(func() {
				if _, got, err := n.ping(ctx, c.Peer, false); err != nil || got.ID != c.ID {
					c = kad.Contact{}
				}
				answers <- c
			}) {
				answers <- kad.Contact{}
			}
		}
		for range strangers {
			c := <-answers
			alive[place{c.ID, c.Peer}] = true
		}
	}
	found := make([]kad.Contact, 0, k)
	for _, c := range known {
		if alive[place{c.ID, c.Peer}] && len(found) < k {
			found = append(found, c)
		}
	}
	return found
}
