package dht

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
)

const maxLedger = 1 << 17 // records whose arrival is noted, some 5 MB; what is not is republished more often than it need be

// ledger notes when the records kept for the swarm last came here: from whoever wrote them, or from another holder who
// republished them. Both bring a record to all its holders, so none of these need do it again so soon. One mutex guards it.
type ledger struct {
	off    bool // nothing is ever republished
	seed   maphash.Seed
	mu     sync.Mutex
	latest map[uint64]time.Time // by a hash of key and subkey: who shares it waits for a period in vain
}

func (l *ledger) init(cfg Config) {
	l.off = cfg.RepublishInterval < 0
	l.seed = maphash.MakeSeed()
	l.latest = make(map[uint64]time.Time)
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
	if _, ok := l.latest[id]; ok || len(l.latest) < maxLedger {
		l.latest[id] = now
	}
}

// since reports whether a record came after a time.
func (l *ledger) since(r record.Record, t time.Time) bool {
	id := l.hash(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest[id].After(t)
}

// forget drops what came before a time.
func (l *ledger) forget(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, at := range l.latest {
		if at.Before(before) {
			delete(l.latest, id)
		}
	}
}
