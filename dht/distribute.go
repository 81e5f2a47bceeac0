package dht

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

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
