package record

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	ledgerPeriods = 3       // periods remembered: now, the one before, and one for an epoch that went back
	ledgerAuthors = 1 << 14 // authors counted per period, at least; a flood of more loses the oldest counts
)

// ledger counts accepted records per author and period. What was counted once, or is older than what was counted, is
// never counted again, so a replay costs its author nothing.
type ledger struct {
	mu      sync.Mutex
	periods []*ledgerPeriod // most recently used first
}

type ledgerPeriod struct {
	number  uint64
	tallies generations[tallyKey, *tally]
}

type tallyKey struct {
	class  class
	author peer.ID
}

// tally is what one author was charged for in one period.
type tally struct {
	n      int
	newest map[subject]version
}

// subject is the place of a record, version what is in it.
type (
	subject [16]byte
	version struct {
		expiration Expiration
		digest     [16]byte
	}
)

func subjectOf(r Record) subject {
	sum := digest(Record{Key: r.Key, Subkey: r.Subkey})
	return subject(sum[:16])
}

func versionOf(r Record) version {
	sum := digest(r)
	return version{expiration: r.Expiration, digest: [16]byte(sum[:16])}
}

// covers reports whether charging for v again would charge twice for one record or for an older one.
func (have version) covers(v version) bool {
	return v.expiration < have.expiration || v == have
}

// admits reports whether the author has room for r under the limit, or needs none since r was charged before.
func (l *ledger) admits(period uint64, c class, author peer.ID, r Record, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.period(period).tallies.get(tallyKey{c, author})
	return !ok || t.n < limit || l.charged(tallyKey{c, author}, r)
}

// charge counts r unless it was charged before.
func (l *ledger) charge(period uint64, c class, author peer.ID, r Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := tallyKey{c, author}
	if l.charged(key, r) {
		return
	}
	p := l.period(period)
	t, ok := p.tallies.get(key)
	if !ok {
		t = &tally{newest: make(map[subject]version, 1)}
		p.tallies.put(key, t)
	}
	t.n++
	t.newest[subjectOf(r)] = versionOf(r)
}

// charged reports whether r was charged in any period still remembered.
func (l *ledger) charged(key tallyKey, r Record) bool {
	at, v := subjectOf(r), versionOf(r)
	for _, p := range l.periods {
		if t, ok := p.tallies.get(key); ok {
			if have, ok := t.newest[at]; ok && have.covers(v) {
				return true
			}
		}
	}
	return false
}

// used returns how many records an author was charged for.
func (l *ledger) used(period uint64, c class, author peer.ID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.period(period).tallies.get(tallyKey{c, author}); ok {
		return t.n
	}
	return 0
}

func (l *ledger) period(number uint64) *ledgerPeriod {
	for i, p := range l.periods {
		if p.number == number {
			copy(l.periods[1:i+1], l.periods[:i])
			l.periods[0] = p
			return p
		}
	}
	p := &ledgerPeriod{number: number, tallies: generations[tallyKey, *tally]{size: ledgerAuthors}}
	l.periods = append([]*ledgerPeriod{p}, l.periods[:min(len(l.periods), ledgerPeriods-1)]...)
	return p
}
