package record

import (
	"bytes"
	"iter"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/tidwall/btree"
)

// StorageConfig bounds a Storage. The zero value of a field is its default.
type StorageConfig struct {
	// MaxBytes is the memory for all records, an allowance of 384 bytes for each included. Default 128 MiB.
	MaxBytes int64
	// MaxEntries is the number of records, each subkey counted. Default 262,144.
	MaxEntries int
	// MaxAuthorBytes and MaxAuthorEntries are what one author may take of that. Default a quarter each.
	MaxAuthorBytes   int64
	MaxAuthorEntries int
	// MaxKeyBytes is the memory for one key with all its subkeys, which travel together in one message and
	// must fit into it. Default 2 MiB.
	MaxKeyBytes int64
	// MaxSubkeys is the number of subkeys of one key, MaxAuthorSubkeys how many of them one author may
	// write. Default 16,384 and 1,024.
	MaxSubkeys       int
	MaxAuthorSubkeys int
	// Evict makes room for a newcomer by dropping what expires first, if that expires before the newcomer.
	// Without it a full store refuses newcomers and keeps what it has acknowledged. Use it for caches.
	Evict bool
	// RefuseTies refuses a record that expires exactly when the stored one does, as Python nodes do. Without
	// it the larger value wins, so that nodes agree whatever the order of arrival. Set it in swarms with
	// Python nodes: there agreement is between nodes of both kinds.
	RefuseTies bool
}

const (
	defaultMaxBytes         = 128 << 20
	defaultMaxEntries       = 1 << 18
	defaultShare            = 4 // authors that fill a store together
	defaultMaxKeyBytes      = 2 << 20
	defaultMaxSubkeys       = 1 << 14
	defaultMaxAuthorSubkeys = 1 << 10
	entryOverhead           = 384 // structs, tree and heap slots of one record, measured by BenchmarkStorageMemory
)

func (c StorageConfig) withDefaults() StorageConfig {
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.MaxEntries <= 0 {
		c.MaxEntries = defaultMaxEntries
	}
	if c.MaxAuthorBytes <= 0 {
		c.MaxAuthorBytes = max(c.MaxBytes/defaultShare, 1)
	}
	if c.MaxAuthorEntries <= 0 {
		c.MaxAuthorEntries = max(c.MaxEntries/defaultShare, 1)
	}
	if c.MaxKeyBytes <= 0 {
		c.MaxKeyBytes = defaultMaxKeyBytes
	}
	if c.MaxSubkeys <= 0 {
		c.MaxSubkeys = defaultMaxSubkeys
	}
	if c.MaxAuthorSubkeys <= 0 {
		c.MaxAuthorSubkeys = defaultMaxAuthorSubkeys
	}
	return c
}

// Storage keeps records until they expire. Under each key is either one regular value or a dictionary of
// subkeys; of the two forms the one that expires later displaces the other, but a regular value never displaces
// subkeys that belong to owners.
//
// Of two versions of a record the one that expires later wins; see StorageConfig.RefuseTies for those that expire
// together. A refused record changes nothing. The store copies what it keeps and never changes it in place.
//
// A Storage reads no clock: every method takes the time, and what has expired by then is gone, whatever the
// order of times. It is not safe for concurrent use.
type Storage struct {
	config   StorageConfig
	items    *btree.BTreeG[*item]
	probe    item // for lookups in items without allocating
	byExpiry expiryHeap
	authors  map[peer.ID]*account
	bytes    int64
	stats    StorageStats
}

// StorageStats counts what a store has done since it was made, and what it holds.
type StorageStats struct {
	Keys, Entries, Authors int
	Bytes                  int64
	Stored, Refused        uint64
	Expired, Evicted       uint64
	Displaced              uint64 // dropped because the other form of the key is fresher
}

// item is everything under one key: a regular entry, or subkeys.
type item struct {
	key       Key
	regular   *entry
	subkeys   []*entry // ordered by packed subkey
	latest    Expiration
	bytes     int64
	perAuthor map[peer.ID]int // subkeys by author
}

// entry is one record in the store; its subkey and value are never modified.
type entry struct {
	item       *item
	subkey     []byte
	value      []byte
	expiration Expiration
	author     *account
	size       int64
	pos        [heapSlots]int
}

func (e *entry) record() Record {
	return Record{Key: e.item.key, Subkey: e.subkey, Value: e.value, Expiration: e.expiration}
}

// account is what one author has in the store.
type account struct {
	id       peer.ID
	bytes    int64
	byExpiry expiryHeap
}

// NewStorage returns an empty store.
func NewStorage(config StorageConfig) *Storage {
	return &Storage{
		config:   config.withDefaults(),
		items:    btree.NewBTreeGOptions(lessItem, btree.Options{NoLocks: true}),
		byExpiry: expiryHeap{slot: slotAll},
		authors:  make(map[peer.ID]*account),
	}
}

// NewCache returns a store that makes room by dropping what expires first.
func NewCache(config StorageConfig) *Storage {
	config.Evict = true
	return NewStorage(config)
}

func lessItem(a, b *item) bool { return bytes.Compare(a.key[:], b.key[:]) < 0 }

// Store keeps r on behalf of author, or returns a *Fault and changes nothing. The author is who is answerable for
// the record (Chain.Author); "" is ourselves and has no share to exceed.
func (s *Storage) Store(r Record, author peer.ID, now time.Time) error {
	s.Expire(now)
	if err := s.store(r, author, now); err != nil {
		s.stats.Refused++
		return err
	}
	s.stats.Stored++
	return nil
}

func (s *Storage) store(r Record, author peer.ID, now time.Time) error {
	if err := checkShape(r); err != nil {
		return err
	}
	if r.Expiration.Expired(now) {
		return fault(SideSender, CodeExpired, "expired at %s", r.Expiration.Time().UTC())
	}
	it := s.item(r.Key)
	old, displaced, err := s.plan(it, r)
	if err != nil {
		return err
	}
	size := int64(len(r.Subkey)+len(r.Value)) + entryOverhead
	leaving := displaced
	if old != nil {
		leaving = append(leaving, old)
	}
	if err := s.checkKey(it, r, author, size, leaving); err != nil {
		return err
	}
	victims, err := s.makeRoom(r, author, size, leaving)
	if err != nil {
		return err
	}
	for _, e := range victims {
		s.remove(e)
		s.stats.Evicted++
	}
	for _, e := range displaced {
		s.remove(e)
		s.stats.Displaced++
	}
	if old != nil {
		s.remove(old)
	}
	s.insert(r, author, size)
	return nil
}

// plan decides whether r is fresher than what it would replace: old is its previous version, displaced are the
// entries of the other form.
func (s *Storage) plan(it *item, r Record) (old *entry, displaced []*entry, err error) {
	switch {
	case it == nil:
		return nil, nil, nil
	case r.Regular() && it.regular == nil: // over a dictionary
		if r.Expiration <= it.latest {
			return nil, nil, fault(SideSender, CodeStale, "a dictionary that expires at %v is stored", float64(it.latest))
		}
		for _, e := range it.subkeys {
			if bytes.Contains(e.subkey, []byte(ownerOpen)) {
				return nil, nil, fault(SideSender, CodeConflict, "a regular value cannot displace subkeys that have owners")
			}
		}
		return nil, slices.Clone(it.subkeys), nil
	case !r.Regular() && it.regular != nil: // over a regular value
		if r.Expiration <= it.regular.expiration {
			return nil, nil, fault(SideSender, CodeStale, "a value that expires at %v is stored", float64(it.regular.expiration))
		}
		return nil, []*entry{it.regular}, nil
	case r.Regular():
		old = it.regular
	default:
		at, found := it.search(r.Subkey)
		if !found {
			return nil, nil, nil
		}
		old = it.subkeys[at]
	}
	return old, nil, s.compare(r, old)
}

func (s *Storage) compare(r Record, old *entry) error {
	switch c := compareVersions(r.Expiration, r.Value, old.expiration, old.value); {
	case c == 0:
		return fault(SideSender, CodeDuplicate, "already stored")
	case c < 0, r.Expiration == old.expiration && s.config.RefuseTies:
		return fault(SideSender, CodeStale, "a version that expires at %v is stored", float64(old.expiration))
	}
	return nil
}

// checkKey enforces the bounds of one key.
func (s *Storage) checkKey(it *item, r Record, author peer.ID, size int64, leaving []*entry) error {
	total, count, mine := size, 1, 1
	if it != nil {
		total += it.bytes
		count += len(it.subkeys)
		mine += it.perAuthor[author]
	}
	for _, e := range leaving {
		total -= e.size
		count--
		if e.author.id == author {
			mine--
		}
	}
	switch {
	case total > s.config.MaxKeyBytes:
		return fault(SideOurs, CodeFull, "the key would take %d bytes, limit %d", total, s.config.MaxKeyBytes)
	case r.Regular():
		return nil
	case count > s.config.MaxSubkeys:
		return fault(SideOurs, CodeFull, "the key has %d subkeys", s.config.MaxSubkeys)
	case author != "" && mine > s.config.MaxAuthorSubkeys:
		return fault(SideAuthor, CodeFull, "the author has %d subkeys of the key", s.config.MaxAuthorSubkeys)
	}
	return nil
}

func (s *Storage) insert(r Record, author peer.ID, size int64) {
	it := s.item(r.Key)
	if it == nil {
		it = &item{key: r.Key}
		s.items.Set(it)
	}
	buf := make([]byte, 0, len(r.Subkey)+len(r.Value))
	buf = append(append(buf, r.Subkey...), r.Value...)
	e := &entry{
		item: it, subkey: buf[:len(r.Subkey):len(r.Subkey)], value: buf[len(r.Subkey):],
		expiration: r.Expiration, author: s.account(author), size: size,
	}
	if r.Regular() {
		it.regular = e
		it.latest = r.Expiration
	} else {
		at, _ := it.search(e.subkey)
		it.subkeys = slices.Insert(it.subkeys, at, e)
		it.latest = max(it.latest, r.Expiration)
		if it.perAuthor == nil {
			it.perAuthor = make(map[peer.ID]int)
		}
		it.perAuthor[author]++
	}
	it.bytes += size
	s.bytes += size
	s.byExpiry.push(e)
	e.author.bytes += size
	e.author.byExpiry.push(e)
}

// remove takes an entry out of every structure, and its item if that is empty then.
func (s *Storage) remove(e *entry) {
	it, acc := e.item, e.author
	s.byExpiry.remove(e)
	acc.byExpiry.remove(e)
	acc.bytes -= e.size
	if acc.byExpiry.len() == 0 {
		delete(s.authors, acc.id)
	}
	s.bytes -= e.size
	it.bytes -= e.size
	if it.regular == e {
		it.regular = nil
	} else {
		at, _ := it.search(e.subkey)
		it.subkeys = slices.Delete(it.subkeys, at, at+1)
		if it.perAuthor[acc.id]--; it.perAuthor[acc.id] == 0 {
			delete(it.perAuthor, acc.id)
		}
	}
	switch {
	case it.regular == nil && len(it.subkeys) == 0:
		s.items.Delete(it)
	case e.expiration == it.latest:
		it.latest = it.newest(it.latest)
	}
}

// newest returns the latest expiration of the subkeys, which is at most limit.
func (it *item) newest(limit Expiration) Expiration {
	var latest Expiration
	for _, e := range it.subkeys {
		if latest = max(latest, e.expiration); latest == limit {
			break
		}
	}
	return latest
}

func (it *item) search(subkey []byte) (int, bool) {
	return slices.BinarySearchFunc(it.subkeys, subkey, func(e *entry, s []byte) int { return bytes.Compare(e.subkey, s) })
}

func (s *Storage) item(key Key) *item {
	s.probe.key = key
	it, _ := s.items.Get(&s.probe)
	return it
}

func (s *Storage) account(id peer.ID) *account {
	acc, ok := s.authors[id]
	if !ok {
		acc = &account{id: id, byExpiry: expiryHeap{slot: slotAuthor}}
		s.authors[id] = acc
	}
	return acc
}

// Expire drops what has expired by now and returns how many records that were.
func (s *Storage) Expire(now time.Time) int {
	n := 0
	for e := s.byExpiry.top(); e != nil && e.expiration.Expired(now); e = s.byExpiry.top() {
		s.remove(e)
		n++
	}
	s.stats.Expired += uint64(n) //nolint:gosec // a count
	return n
}

// Remove drops a key with everything under it and reports whether there was something.
func (s *Storage) Remove(key Key) bool {
	it := s.item(key)
	if it == nil {
		return false
	}
	if it.regular != nil {
		s.remove(it.regular)
	}
	for len(it.subkeys) > 0 {
		s.remove(it.subkeys[len(it.subkeys)-1])
	}
	return true
}

// Len returns the number of records, each subkey counted, expired ones included until the next call with a time.
func (s *Storage) Len() int { return s.byExpiry.len() }

// NextExpiration returns when the next record expires.
func (s *Storage) NextExpiration() (Expiration, bool) {
	if e := s.byExpiry.top(); e != nil {
		return e.expiration, true
	}
	return 0, false
}

// Stats returns the counters.
func (s *Storage) Stats() StorageStats {
	st := s.stats
	st.Keys, st.Entries, st.Authors, st.Bytes = s.items.Len(), s.byExpiry.len(), len(s.authors), s.bytes
	return st
}

// AuthorBytes returns what an author takes of the store.
func (s *Storage) AuthorBytes(author peer.ID) int64 {
	if acc, ok := s.authors[author]; ok {
		return acc.bytes
	}
	return 0
}

// Held is a stored record and its author.
type Held struct {
	Record
	Author peer.ID
}

// All iterates over the live records, ordered by key and packed subkey. The records are views: read-only, valid
// for good. The store must not be changed during the iteration.
func (s *Storage) All(now time.Time) iter.Seq[Held] {
	return func(yield func(Held) bool) {
		s.Expire(now)
		s.items.Scan(func(it *item) bool {
			if it.regular != nil {
				return yield(Held{Record: it.regular.record(), Author: it.regular.author.id})
			}
			for _, e := range it.subkeys {
				if !yield(Held{Record: e.record(), Author: e.author.id}) {
					return false
				}
			}
			return true
		})
	}
}

// Snapshot returns the live records ordered by key and packed subkey: the same for the same content, whatever
// the history. The records are views: read-only, valid for good.
func (s *Storage) Snapshot(now time.Time) []Held {
	return slices.AppendSeq(make([]Held, 0, s.Len()), s.All(now))
}
