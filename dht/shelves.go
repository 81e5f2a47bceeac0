package dht

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/record"
)

// shelves hold the records of the node: those it keeps for the swarm, which it has acknowledged, and copies, which may be
// dropped at any time. One mutex guards both; what they give out shares no memory with them.
type shelves struct {
	mu      sync.Mutex
	storage *record.Storage
	cache   *record.Storage
	strict  bool // of two versions that expire together the first stays
	disk    *keeper
}

// attach makes what is stored from now on go to disk, unless something does already.
func (s *shelves) attach(k *keeper) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disk != nil {
		return false
	}
	s.disk = k
	return true
}

func (s *shelves) init(cfg Config) {
	s.strict = cfg.Python
	limits := record.StorageConfig{
		MaxBytes: int64(cfg.StorageBytes), MaxSubkeys: cfg.MaxSubkeys, RefuseTies: cfg.Python,
		MaxKeyBytes: int64(min(cfg.MaxAnswer, maxKeyBytes)),
	}
	s.storage = record.NewStorage(limits)
	limits.MaxBytes = int64(cfg.CacheBytes)
	s.cache = record.NewCache(limits)
}

const maxKeyBytes = 2 << 20 // one key's records travel in one message; half the frame limit

// put keeps a record on one of the shelves.
func (s *shelves) put(r record.Record, author peer.ID, inCache bool, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inCache {
		return s.cache.Store(r, author, now)
	}
	return s.storage.Store(r, author, now)
}

// keep is put for a record that validators have admitted: whatever they count is checked again and charged under the same
// lock, so that records that arrive at once do not take one free place twice.
func (s *shelves) keep(r record.Record, inCache bool, v record.Chain, q record.Request) error {
	author := v.Author(r, q.Sender)
	s.mu.Lock()
	defer s.mu.Unlock()
	shelf := s.storage
	if inCache {
		shelf = s.cache
	}
	if err := v.Admits(r, q); err != nil {
		return err
	}
	if err := shelf.Store(r, author, q.Now); err != nil {
		return err
	}
	v.Accepted(r, q)
	if s.disk != nil && !inCache {
		if own, ok := s.storage.Lookup(r.Key, r.Subkey, q.Now); ok {
			s.disk.add(record.Held{Record: own, Author: author})
		}
	}
	return nil
}

// get returns what the fresher of the shelves holds for a key; of two dictionaries, their union.
func (s *shelves) get(key record.Key, withCache bool, now time.Time) (f *finding, fromCache bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := toFinding(s.storage.Get(key, now))
	if !withCache {
		return stored, false
	}
	cached := toFinding(s.cache.Get(key, now))
	if cached == nil || (stored != nil && stored.expiration >= cached.expiration && (stored.dict == nil) == (cached.dict == nil) && stored.dict == nil) {
		return stored, false
	}
	return merge(stored, cached), stored == nil || cached.expiration > stored.expiration
}

// lookup returns the newest version of one subkey on the shelves.
func (s *shelves) lookup(key record.Key, subkey []byte, now time.Time) (record.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, ok := s.storage.Lookup(key, subkey, now)
	if cached, also := s.cache.Lookup(key, subkey, now); also && (!ok || cached.Expiration > stored.Expiration) {
		return cached, true
	}
	return stored, ok
}

func toFinding(found record.Found, ok bool) *finding {
	if !ok {
		return nil
	}
	return &finding{expiration: found.Expiration, value: found.Value, dict: found.Dictionary}
}

// expirations returns how fresh the shelves are for a key: zero where there is nothing.
func (s *shelves) expirations(key record.Key, now time.Time) (stored, cached record.Expiration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, _ = s.storage.Expiration(key, now)
	cached, _ = s.cache.Expiration(key, now)
	return stored, cached
}

// outdated tells CodeHeld if a shelf has this very record, CodeOlder if it has a newer version, else CodeNone.
func (s *shelves) outdated(r record.Record, inCache bool, now time.Time) wire.Code {
	s.mu.Lock()
	defer s.mu.Unlock()
	shelf := s.storage
	if inCache {
		shelf = s.cache
	}
	have, ok := shelf.Lookup(r.Key, r.Subkey, now)
	switch {
	case !ok || have.Expiration < r.Expiration:
		return wire.CodeNone
	case have.Expiration > r.Expiration:
		return wire.CodeOlder
	case bytes.Equal(have.Value, r.Value):
		return wire.CodeHeld
	case s.strict:
		return wire.CodeOlder
	}
	return wire.CodeNone
}

// answer fills in the value of a find result, within budget bytes. For a dictionary that does not fit, or that is
// continued after a cursor, it takes a page: the entries in the order of their subkeys. It reports whether it had to cut.
func (s *shelves) answer(r *wire.FindResult, key record.Key, after []byte, pages bool, budget int, now time.Time) (cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shelf, both := s.shelfOf(key, now)
	if shelf == nil {
		return false
	}
	if !both && len(after) == 0 && shelf.WireSize(key) <= budget {
		value, form, expiration := shelf.AppendWire(make([]byte, 0, shelf.WireSize(key)+16), key, now)
		if len(value) <= budget {
			r.Value, r.Expiration = value, float64(expiration)
			r.Type = wire.FoundRegular
			if form == record.FormDictionary {
				r.Type = wire.FoundDictionary
			}
			return false
		}
	}
	entries, ok := shelf.Subkeys(key, after, now)
	if !ok {
		return true // a regular value that does not fit now: asked for alone, it will
	}
	if both {
		cached, _ := s.cache.Subkeys(key, after, now)
		entries = slices.Values(record.Dictionary{Entries: slices.Collect(entries)}.Merge(record.Dictionary{Entries: slices.Collect(cached)}).Entries)
	}
	return page(r, entries, pages, budget)
}

// shelfOf returns the shelf to answer from, nil if neither has the key: the one with the fresher value. If both have
// dictionaries, which only together are what this node knows, it is the storage, and both is true. A plain copy never
// hides subkeys that have owners.
func (s *shelves) shelfOf(key record.Key, now time.Time) (shelf *record.Storage, both bool) {
	stored, okStored := s.storage.Expiration(key, now)
	cached, okCached := s.cache.Expiration(key, now)
	switch {
	case !okStored && !okCached:
		return nil, false
	case !okCached:
		return s.storage, false
	case !okStored:
		return s.cache, false
	}
	ours, dictionary := s.storage.Subkeys(key, nil, now)
	_, copied := s.cache.Subkeys(key, nil, now)
	switch {
	case dictionary && copied:
		return s.storage, true
	case dictionary && (record.Dictionary{Entries: slices.Collect(ours)}).Owned():
		return s.storage, false
	case cached > stored:
		return s.cache, false
	}
	return s.storage, false
}

// page fills in as many entries as fit into budget bytes and reports whether it had to leave some out.
func page(r *wire.FindResult, entries iter.Seq[record.Entry], pages bool, budget int) (cut bool) {
	var d record.Dictionary
	size := 64
	for e := range entries {
		if size += len(e.Subkey) + len(e.Value) + 16; size > budget {
			cut = true
			break
		}
		d.Entries = append(d.Entries, e)
		d.Latest = max(d.Latest, e.Expiration)
	}
	if cut && len(d.Entries) == 0 {
		return true
	}
	if pages && cut {
		r.Cursor = d.Entries[len(d.Entries)-1].Subkey
	}
	r.Type, r.Value, r.Expiration = wire.FoundDictionary, d.Append(make([]byte, 0, size)), float64(d.Latest)
	return cut
}

// all returns the records kept for the swarm, ordered by key.
func (s *shelves) all(now time.Time) []record.Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storage.Snapshot(now)
}

func (s *shelves) stats() (storage, cache record.StorageStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storage.Stats(), s.cache.Stats()
}

// codeOf translates the reason for a refusal to what travels.
func codeOf(err error) wire.Code {
	if err == nil {
		return wire.CodeStored
	}
	var f *record.Fault
	if !errors.As(err, &f) {
		return wire.CodeInvalid
	}
	switch f.Code {
	case record.CodeDuplicate:
		return wire.CodeHeld
	case record.CodeStale:
		return wire.CodeOlder
	case record.CodeExpired:
		return wire.CodeExpired
	case record.CodeFull:
		return wire.CodeFull
	case record.CodeQuota: // not the same as full: farther nodes, which do not know, must not be asked in its place
		return wire.CodeQuota
	case record.CodeTooLarge:
		return wire.CodeTooBig
	case record.CodeMalformed:
		return wire.CodeMalformed
	default:
		return wire.CodeInvalid
	}
}
