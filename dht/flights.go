package dht

import (
	"sync"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

// flights are the gets under way. A get joins a flight that will satisfy it instead of searching by itself, and a flight
// that lands with something fresh enough lands its slower siblings too. One mutex guards all flights.
type flights struct {
	mu    sync.Mutex
	byKey map[record.Key][]*flight
}

// flight is one search for one key and everybody who waits for it. Guarded by flights.mu.
type flight struct {
	key        record.Key
	sufficient record.Expiration // a value that expires then or later ends the search
	caution    int               // of the search; see getOptions.caution
	noCache    bool
	private    bool // not to be joined
	best       *finding
	local      *finding // what the search began with; best when nothing newer came
	over       bool
	waiters    []waiter
	cancel     chan kad.ID // tells the search that nobody waits; has room for every target of the search
}

// waiter wants one arrival. Its channel has room for all that its owner waits for, so sending never blocks.
type waiter struct {
	ch    chan arrival
	index int
}

type arrival struct {
	index int
	best  *finding
	err   error
}

func (t *flights) init() { t.byKey = make(map[record.Key][]*flight) }

// join adds a waiter to a flight that will satisfy it, or to a new one.
func (t *flights) join(key record.Key, o getOptions, reuse bool, local *finding, w waiter) (f *flight, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if reuse {
		for _, f := range t.byKey[key] {
			if !f.private && f.sufficient >= o.sufficient && f.caution >= o.caution() && (f.noCache || !o.noCache) {
				f.waiters = append(f.waiters, w)
				return f, false
			}
		}
	}
	f = &flight{key: key, sufficient: o.sufficient, caution: o.caution(), noCache: o.noCache, private: !reuse,
		best: local, local: local, waiters: []waiter{w}}
	t.byKey[key] = append(t.byKey[key], f)
	return f, true
}

// offer merges an answer into a flight and reports whether it needs no more.
func (t *flights) offer(f *flight, found *finding) (enough bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.over {
		return true
	}
	f.best = merge(f.best, found)
	return f.best != nil && f.best.expiration >= f.sufficient
}

// wanting reports whether somebody waits for a flight that has not found enough.
func (t *flights) wanting(f *flight) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !f.over && (f.best == nil || f.best.expiration < f.sufficient)
}

// land ends a flight: everybody who waits gets the best that was found, and so do those who wait for less elsewhere. It
// returns the result and whether it is news, that is more than the flight began with.
func (t *flights) land(f *flight, err error) (best *finding, news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.over {
		return nil, false
	}
	t.finish(f, err)
	best, news = f.best, f.best != nil && f.best != f.local
	if best == nil {
		return nil, false
	}
	for _, other := range append([]*flight(nil), t.byKey[f.key]...) {
		served := err == nil && other.sufficient <= f.sufficient && other.caution <= f.caution
		if !other.private && (served || other.sufficient <= best.expiration) {
			other.best = merge(other.best, best)
			t.finish(other, nil)
			other.stop()
		}
	}
	return best, news
}

// finish takes a flight out and notifies its waiters.
func (t *flights) finish(f *flight, err error) {
	f.over = true
	t.drop(f)
	for _, w := range f.waiters {
		w.ch <- arrival{w.index, f.best, err}
	}
	f.waiters = nil
}

func (t *flights) drop(f *flight) {
	list := t.byKey[f.key]
	for i := range list {
		if list[i] == f {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(t.byKey, f.key)
	} else {
		t.byKey[f.key] = list
	}
}

// leave takes a waiter out; the last one to leave ends the search.
func (t *flights) leave(f *flight, ch chan arrival) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.over {
		return
	}
	for i := 0; i < len(f.waiters); {
		if f.waiters[i].ch == ch {
			f.waiters = append(f.waiters[:i], f.waiters[i+1:]...)
			continue
		}
		i++
	}
	if len(f.waiters) == 0 {
		f.over = true
		t.drop(f)
		f.stop()
	}
}

// stop tells the search of a flight to forget it.
func (f *flight) stop() {
	select {
	case f.cancel <- kad.ID(f.key):
	default: // a flight without a search yet, or one that is over
	}
}

// pending returns how many keys are searched and how many gets wait for them.
func (t *flights) pending() (keys, waiters int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.byKey {
		for _, f := range list {
			waiters += len(f.waiters)
		}
	}
	return len(t.byKey), waiters
}
