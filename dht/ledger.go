package dht

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
)

const maxLedger = 1 << 17 // records whose delivery is noted, some 5 MB; what is not is republished more often than it need be

// ledger notes when the records kept for the swarm last came here: from whoever wrote them, or from another holder who
// republished them. Both bring a record to all its holders, so none of these need do it again so soon. One mutex guards it.
type ledger struct {
	off    bool // nothing is ever republished
	seed   maphash.Seed
	mu     sync.Mutex
	latest map[uint64]delivery // by a hash of key and subkey: who shares it waits for a period in vain
}

type delivery struct {
	at   time.Time
	used bool // a republication was left out for it
}

func (l *ledger) init(cfg Config) {
	l.off = cfg.RepublishInterval < 0
	l.seed = maphash.MakeSeed()
	l.latest = make(map[uint64]delivery)
}

func (l *ledger) hash(r record.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.Write(r.Key[:]) // never fails
	_, _ = h.Write(r.Subkey)
	return h.Sum64()
}

// brought notes that a record came.
func (l *ledger) brought(r record.Record, now time.Time) {
	if l.off {
		return
	}
	id := l.hash(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.latest[id]; ok || len(l.latest) < maxLedger {
		l.latest[id] = delivery{at: now, used: a.used}
	}
}

// spare reports whether a record need not be republished, because it came after a time. It never does so twice in a row:
// whoever brought it to us may have brought it to nobody else, to have it forgotten.
func (l *ledger) spare(r record.Record, t time.Time) bool {
	id := l.hash(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.latest[id]
	if !ok || a.used || !a.at.After(t) {
		delete(l.latest, id)
		return false
	}
	a.used = true
	l.latest[id] = a
	return true
}

// when returns when a record last came, if that is known.
func (l *ledger) when(r record.Record) (time.Time, bool) {
	id := l.hash(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.latest[id]
	return a.at, ok
}

// keep drops all records but these.
func (l *ledger) keep(recs []record.Record) {
	ids := make(map[uint64]struct{}, len(recs))
	for _, r := range recs {
		ids[l.hash(r)] = struct{}{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.latest {
		if _, ok := ids[id]; !ok {
			delete(l.latest, id)
		}
	}
}
