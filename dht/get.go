package dht

import (
	"context"
	"slices"

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
	o := getOptions{sufficient: record.ExpirationAt(n.now())}
	for _, opt := range opts {
		opt(&o)
	}
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

// quest is what a get knows of one key while it is searched for. Only the goroutine of the search touches it.
type quest struct {
	f       *flight
	key     kad.ID
	holders []peer.ID     // who had a valid value
	forged  bool          // somebody passed on what validators refuse
	open    int           // targets of the look that are still searched
	nearest []kad.Contact // that answered
	doubt   kad.Doubt     // about the last look
}

// searchBatch searches the keys of some flights together, and those again that this leaves in doubt; see kad.Defence. It
// owns the searches; the flights are shared.
func (n *Node) searchBatch(batch []*flight, o getOptions) {
	ctx, stop := context.WithTimeout(n.life, n.cfg.SearchTimeout)
	defer stop()
	d, depth := n.defence(n.pathsOr(o.paths)), firstLook(o.paths)
	if o.sufficient == forever() { // all of the nearest will be asked: that costs hardly more on several paths
		depth = kad.LookPaths
	}
	todo := make([]*quest, 0, len(batch))
	seen := make(map[record.Key]bool, len(batch))
	var twice []*flight // only with NoReuse: two gets of one key in one call
	for _, f := range batch {
		if seen[f.key] {
			twice = append(twice, f)
			continue
		}
		seen[f.key] = true
		todo = append(todo, &quest{f: f, key: kad.ID(f.key)})
	}
	var memory memory
	for ; len(todo) > 0; depth++ {
		todo = n.lookFor(ctx, d, depth, todo, o, &memory)
		todo = slices.DeleteFunc(todo, func(q *quest) bool { return n.settled(q, o) })
	}
	for _, f := range batch { // all are over by now; if not, it is a fault of ours and nobody must wait for ever
		if !slices.Contains(twice, f) {
			n.flights.land(f, n.ended(ctx))
		}
	}
	for _, f := range twice {
		n.searchBatch([]*flight{f}, o)
	}
}

// settled reports whether a get that is to look again need not: nobody waits for it any more, or an answer that came late
// satisfies it.
func (n *Node) settled(q *quest, o getOptions) bool {
	if n.flights.wanting(q.f) {
		return false
	}
	if best, news := n.flights.land(q.f, nil); news {
		n.keepFound(q.f.key, best, q.nearest, q.holders, o)
	}
	return true
}

// firstLook returns where an operation begins: with one path, or with all of them if the caller asked for several.
func firstLook(paths int) int {
	if paths > 1 {
		return kad.LookPaths
	}
	return kad.LookFirst
}

// pathsOr returns the number of paths that the caller of an operation asked for, or else the configured one.
func (n *Node) pathsOr(asked int) int {
	if asked > 0 {
		return asked
	}
	return n.cfg.Paths
}

// lookFor makes one look for some keys at once, lands the flights that it satisfies, and returns the quests that have to go on.
func (n *Node) lookFor(ctx context.Context, d kad.Defence, depth int, todo []*quest, o getOptions, m *memory) (again []*quest) {
	byKey := make(map[kad.ID]*quest, len(todo))
	var s *search
	var look kad.Look
	beside := make(map[kad.ID]kad.ID)
	for _, q := range todo {
		byKey[q.key] = q
		look = d.Look(q.key, depth, false, q.doubt)
		q.open = len(look.Targets)
		for _, t := range look.Targets {
			beside[t] = q.key
		}
		if s == nil {
			s = n.newSearch(d, look, m)
		} else {
			s.look.Targets = append(s.look.Targets, look.Targets...)
		}
	}
	if depth > kad.LookPaths {
		s.keys = beside
	}
	s.cancelled, s.thorough = todo[0].f.cancel, o.sufficient == forever()
	s.answered = func(from kad.Contact, keys []kad.ID, a *answer) []kad.ID { return n.heard(byKey, from, keys, a) }
	s.finished = func(l *kad.Lookup, target kad.ID) {
		q := byKey[beside[target]]
		if target == q.key {
			q.nearest = l.Nearest(q.nearest[:0], target, n.cfg.BucketSize)
		}
		if q.open--; q.open > 0 {
			return
		}
		if l.Reason(target) == kad.StopExhausted {
			n.count.lookupsUnconverged.Add(1)
		}
		if n.goOn(ctx, d, l, look, q) {
			n.doubted(q.key, q.doubt)
			again = append(again, q)
			return
		}
		var err error
		if ctx.Err() != nil {
			err = n.ended(ctx)
		}
		if best, news := n.flights.land(q.f, err); news {
			n.keepFound(q.f.key, best, q.nearest, q.holders, o)
		}
	}
	s.run(ctx)
	return again
}

// heard takes what an answer holds for the keys into the quests, and returns the keys that need no more.
func (n *Node) heard(byKey map[kad.ID]*quest, from kad.Contact, keys []kad.ID, a *answer) (enough []kad.ID) {
	for i, key := range keys {
		q := byKey[key]
		if q == nil {
			continue // a place beside a key
		}
		q.forged = q.forged || i < len(a.forged) && a.forged[i]
		f := a.found[i]
		if f == nil {
			continue
		}
		q.holders = append(q.holders, from.Peer)
		if n.flights.offer(q.f, f) {
			enough = append(enough, key)
		}
	}
	return enough
}

// goOn judges what a look for a key brought that did not bring enough, and reports whether to look again.
func (n *Node) goOn(ctx context.Context, d kad.Defence, l *kad.Lookup, look kad.Look, q *quest) bool {
	if why := l.Reason(q.key); why == kad.StopFound || why == kad.StopCanceled || why == kad.StopDeadline || ctx.Err() != nil {
		return false
	}
	own := kad.DoubtNone
	if q.forged {
		own = kad.DoubtLies
	}
	q.doubt = d.Judge(l, q.key, look, own)
	return d.Deeper(look, q.doubt)
}

// Pending returns how many keys are searched for by gets, and how many gets wait for them.
func (n *Node) Pending() (keys, gets int) { return n.flights.pending() }
