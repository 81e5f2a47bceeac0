package dht

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

const (
	targetsPerSearch = 64 // keys searched together: more make each step dearer and save nothing
	searchesAtOnce   = 4  // of one bulk operation
)

// Get returns the value of a key: by default the first valid one that is found. It fails with ErrNotFound.
func (n *Node) Get(ctx context.Context, key record.Key, opts ...GetOption) (*Value, error) {
	var res GetResult
	n.getEach(ctx, []record.Key{key}, n.getOptions(opts), func(_ int, r GetResult) { res = r })
	return res.Value, res.Err
}

// Held returns the value of one packed subkey, without what validators added, if this node keeps or has cached it. It asks nobody and
// costs the same however many subkeys there are, so that a validator may call it.
func (n *Node) Held(key record.Key, subkey []byte) ([]byte, bool) {
	r, ok := n.shelves.lookup(key, subkey, n.now())
	if !ok {
		return nil, false
	}
	return n.rules().Strip(r), true
}

// GetMany gets many keys with as few searches as possible and returns one result per key, in order.
func (n *Node) GetMany(ctx context.Context, keys []record.Key, opts ...GetOption) []GetResult {
	results := make([]GetResult, len(keys))
	n.getEach(ctx, keys, n.getOptions(opts), func(i int, r GetResult) { results[i] = r })
	return results
}

// GetEach is GetMany that sends each result as soon as it is known, in any order. The channel has room for all of them
// and is closed after the last.
func (n *Node) GetEach(ctx context.Context, keys []record.Key, opts ...GetOption) <-chan GetResult {
	results := make(chan GetResult, len(keys))
	work := func() {
		defer close(results)
		n.getEach(ctx, keys, n.getOptions(opts), func(_ int, r GetResult) { results <- r })
	}
	if !n.group.start(work) {
		for _, k := range keys {
			results <- GetResult{Key: k, Err: ErrClosed}
		}
		close(results)
	}
	return results
}

func (n *Node) getOptions(opts []GetOption) getOptions {
	o := getOptions{paths: n.cfg.Paths, sufficient: record.ExpirationAt(n.now())}
	for _, opt := range opts {
		opt(&o)
	}
	o.paths = max(o.paths, 1)
	return o
}

// getEach gets keys and calls yield with each result, in the caller's goroutine.
func (n *Node) getEach(ctx context.Context, keys []record.Key, o getOptions, yield func(i int, r GetResult)) {
	n.count.gets.Add(uint64(len(keys)))
	now := n.now()
	arrivals := make(chan arrival, len(keys))
	joined := make(map[int]*flight)
	var fresh []*flight
	for i, key := range keys {
		local, fromCache := n.shelves.get(key, !o.noCache && !o.refresh, now)
		if local != nil && local.expiration >= o.sufficient {
			if fromCache {
				n.count.getsCached.Add(1)
			} else {
				n.count.getsLocal.Add(1)
			}
			n.scheduleRefresh(key, now)
			n.count.getsFound.Add(1)
			yield(i, GetResult{Key: key, Value: n.open(key, local)})
			continue
		}
		if err := ctx.Err(); err != nil { // what is here costs nothing; a search would be for nobody
			yield(i, GetResult{Key: key, Err: err})
			continue
		}
		f, isFresh := n.flights.join(key, o, !n.cfg.NoReuse && !o.refresh, local, waiter{arrivals, i})
		joined[i] = f
		if isFresh {
			fresh = append(fresh, f)
		} else {
			n.count.getsShared.Add(1)
		}
	}
	if len(fresh) > 0 {
		n.searchAll(fresh, o) //nolint:contextcheck // others may join these searches: they outlive this caller
	}
	for len(joined) > 0 {
		select {
		case a := <-arrivals:
			delete(joined, a.index)
			r := GetResult{Key: keys[a.index], Err: a.err}
			switch {
			case a.best != nil: // also when the search was cut short: what was found is valid
				r.Value, r.Err = n.open(r.Key, a.best), nil
				n.count.getsFound.Add(1)
			case a.err == nil:
				r.Err = ErrNotFound
			}
			yield(a.index, r)
		case <-ctx.Done():
			for i, f := range joined {
				n.flights.leave(f, arrivals)
				yield(i, GetResult{Key: keys[i], Err: ctx.Err()})
			}
			return
		}
	}
}

// searchAll starts searches for flights, each for several keys, some at once.
func (n *Node) searchAll(fresh []*flight, o getOptions) {
	var batches [][]*flight
	for len(fresh) > 0 {
		k := min(targetsPerSearch, len(fresh))
		batches = append(batches, fresh[:k:k])
		fresh = fresh[k:]
	}
	for i, b := range batches { // before anything runs: a waiter may leave at once
		cancel := make(chan kad.ID, len(b))
		n.flights.mu.Lock()
		for _, f := range batches[i] {
			f.cancel = cancel
		}
		n.flights.mu.Unlock()
	}
	workers := min(len(batches), searchesAtOnce)
	for w := range workers {
		started := n.group.start(func() {
			for i := w; i < len(batches); i += workers {
				n.searchBatch(batches[i], o)
			}
		})
		if !started {
			for i := w; i < len(batches); i += workers {
				for _, f := range batches[i] {
					n.flights.land(f, ErrClosed)
				}
			}
		}
	}
}

// searchBatch searches the keys of some flights together. It owns the search; the flights are shared.
func (n *Node) searchBatch(batch []*flight, o getOptions) {
	ctx, stop := context.WithTimeout(n.life, n.cfg.SearchTimeout)
	defer stop()
	byID := make(map[kad.ID]*flight, len(batch))
	holders := make(map[kad.ID][]peer.ID, len(batch))
	s := &search{n: n, targets: make([]kad.ID, 0, len(batch)), paths: o.paths, cancelled: batch[0].cancel, thorough: o.sufficient == forever()}
	for _, f := range batch {
		id := kad.ID(f.key)
		if byID[id] != nil { // only with NoReuse: two gets of one key in one call
			defer n.searchBatch([]*flight{f}, o)
			continue
		}
		byID[id] = f
		s.targets = append(s.targets, id)
	}
	var enough []kad.ID
	s.answered = func(from kad.Contact, keys []kad.ID, a *answer) []kad.ID {
		enough = enough[:0]
		for i, key := range keys {
			if a.found[i] == nil {
				continue
			}
			holders[key] = append(holders[key], from.Peer)
			if n.flights.offer(byID[key], a.found[i]) {
				enough = append(enough, key)
			}
		}
		return enough
	}
	s.finished = func(l *kad.Lookup, target kad.ID) {
		f := byID[target]
		var err error
		if ctx.Err() != nil {
			err = n.ended(ctx)
		}
		best, news := n.flights.land(f, err)
		if l.Reason(target) == kad.StopExhausted {
			n.count.lookupsUnconverged.Add(1)
		}
		if news {
			n.keepFound(f.key, best, l.Nearest(nil, target, n.cfg.BucketSize), holders[target], o)
		}
	}
	s.run(ctx)
	for _, f := range batch { // all are over by now; if not, it is a fault of ours and nobody must wait for ever
		n.flights.land(f, n.ended(ctx))
	}
}

// Pending returns how many keys are searched for by gets, and how many gets wait for them.
func (n *Node) Pending() (keys, gets int) { return n.flights.pending() }
