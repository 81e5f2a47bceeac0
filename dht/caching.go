package dht

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

const (
	maxRefreshes = 1 << 14 // keys waiting to be fetched anew
	maxPushes    = 16      // copies on their way to nearest nodes at once
)

// keepFound applies the caching policies to what a search found: a copy for ourselves, and copies for the nearest nodes
// that answered without it.
func (n *Node) keepFound(key record.Key, f *finding, nearest []kad.Contact, holders []peer.ID, o getOptions) {
	now := n.now()
	stored, cached := n.shelves.expirations(key, now)
	if f.expiration <= stored || f.expiration <= cached {
		return
	}
	recs := f.records(key)
	if (!n.cfg.NoCacheLocally && !o.noCache) || o.refresh {
		for _, r := range recs {
			if err := n.shelves.put(r, n.rules().Author(r, ""), true, now); err != nil {
				break // the cache is full of what lives longer
			}
		}
		if o.refresh {
			n.scheduleRefresh(key, now)
		}
	}
	left := n.cfg.CacheNearest
	for _, c := range nearest {
		if left <= 0 {
			return
		}
		if c.Peer == n.me || slices.Contains(holders, c.Peer) {
			continue
		}
		left--
		n.push(c, recs)
	}
}

// push sends copies to a contact in the background. Too many at once are forgotten: they only save others some time.
func (n *Node) push(c kad.Contact, recs []record.Record) {
	if n.pushes.Add(1) > maxPushes {
		n.pushes.Add(-1)
		return
	}
	started := n.group.start(func() {
		defer n.pushes.Add(-1)
		n.count.cachePushes.Add(1)
		n.sendRecords(n.life, c, recs, true)
	})
	if !started {
		n.pushes.Add(-1)
	}
}

// refreshes is when to fetch which cached key anew: a heap by time. One mutex guards it.
type refreshes struct {
	mu    sync.Mutex
	queue refreshHeap
	known map[record.Key]struct{}
	wake  chan struct{} // has room for one: the earliest time changed
}

type refresh struct {
	at  time.Time
	key record.Key
}

type refreshHeap []refresh

// Len, Less, Swap, Push and Pop make it a heap.
func (h refreshHeap) Len() int           { return len(h) }
func (h refreshHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h refreshHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *refreshHeap) Push(x any)        { *h = append(*h, x.(refresh)) }
func (h *refreshHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (r *refreshes) init() {
	r.known = make(map[record.Key]struct{})
	r.wake = make(chan struct{}, 1)
}

func (r *refreshes) add(key record.Key, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[key]; ok || len(r.queue) >= maxRefreshes {
		return
	}
	r.known[key] = struct{}{}
	heap.Push(&r.queue, refresh{at, key})
	if r.queue[0].key == key {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// take returns up to limit keys that are due, or when the next one is.
func (r *refreshes) take(now time.Time, limit int) (keys []record.Key, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && len(keys) < limit {
		if r.queue[0].at.After(now) {
			break
		}
		e := heap.Pop(&r.queue).(refresh)
		delete(r.known, e.key)
		keys = append(keys, e.key)
	}
	if len(r.queue) > 0 {
		next = r.queue[0].at
	}
	return keys, next
}

func (r *refreshes) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// scheduleRefresh plans to fetch a cached key anew before it expires: somebody reads it.
func (n *Node) scheduleRefresh(key record.Key, now time.Time) {
	if n.cfg.CacheRefresh < 0 {
		return
	}
	if _, cached := n.shelves.expirations(key, now); cached > 0 {
		n.due.add(key, cached.Time().Add(-n.cfg.CacheRefresh))
	}
}

// refreshCache fetches cached keys anew when they are due, until ctx ends.
func (n *Node) refreshCache(ctx context.Context) {
	for ctx.Err() == nil {
		keys, next := n.due.take(n.now(), n.cfg.KeysPerCall)
		if len(keys) > 0 {
			n.count.cacheRefreshes.Add(uint64(len(keys)))
			latest := record.Expiration(0)
			for _, k := range keys {
				stored, cached := n.shelves.expirations(k, n.now())
				latest = max(latest, stored, cached)
			}
			o := getOptions{refresh: true}
			o.sufficient = latest + record.Expiration((n.cfg.CacheRefresh + time.Second).Seconds())
			n.getEach(ctx, keys, o, func(int, GetResult) {})
			continue
		}
		n.sleep(ctx, next, n.due.wake)
	}
}

// sleep waits until a time (for ever if it is zero), a signal, or the end of ctx.
func (n *Node) sleep(ctx context.Context, until time.Time, signal <-chan struct{}) {
	var after <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(max(until.Sub(n.now()), 0))
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-after:
	case <-signal:
	case <-ctx.Done():
	}
}
