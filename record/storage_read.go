package record

import (
	"bytes"
	"iter"
	"time"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Found is what is stored under a key: a regular value, or a dictionary.
type Found struct {
	Value      []byte      // of a regular record; nil for a dictionary
	Dictionary *Dictionary // nil for a regular record
	Expiration Expiration  // of a dictionary: of the subkey that expires last
}

// Get returns what is under a key. The result shares no memory with the store.
func (s *Storage) Get(key Key, now time.Time) (Found, bool) {
	s.Expire(now)
	it := s.item(key)
	if it == nil {
		return Found{}, false
	}
	if it.regular != nil {
		return Found{Value: bytes.Clone(it.regular.value), Expiration: it.latest}, true
	}
	d := &Dictionary{Latest: it.latest, Entries: make([]Entry, len(it.subkeys))}
	for i, e := range it.subkeys {
		d.Entries[i] = Entry{Subkey: bytes.Clone(e.subkey), Value: bytes.Clone(e.value), Expiration: e.expiration}
	}
	return Found{Dictionary: d, Expiration: it.latest}, true
}

// Subkeys iterates over the dictionary under a key, ordered by packed subkey, from the entry behind after on: it copies nothing, so a
// page of a large dictionary costs no more than the page. ok is false if there is no dictionary. The entries are views: read-only,
// valid for good. The store must not be changed during the iteration.
func (s *Storage) Subkeys(key Key, after []byte, now time.Time) (entries iter.Seq[Entry], ok bool) {
	s.Expire(now)
	it := s.item(key)
	if it == nil || it.regular != nil {
		return nil, false
	}
	from := 0
	if len(after) > 0 {
		at, found := it.search(after)
		if from = at; found {
			from++
		}
	}
	return func(yield func(Entry) bool) {
		for _, e := range it.subkeys[from:] {
			if !yield(Entry{Subkey: e.subkey, Value: e.value, Expiration: e.expiration}) {
				return
			}
		}
	}, true
}

// Lookup returns the record with a packed subkey, or with RegularTag. The result shares no memory with the store.
func (s *Storage) Lookup(key Key, subkey []byte, now time.Time) (Record, bool) {
	s.Expire(now)
	it := s.item(key)
	if it == nil {
		return Record{}, false
	}
	if string(subkey) == RegularTag {
		if it.regular == nil {
			return Record{}, false
		}
		return it.regular.record().Clone(), true
	}
	at, found := it.search(subkey)
	if !found {
		return Record{}, false
	}
	return it.subkeys[at].record().Clone(), true
}

// Expiration returns the expiration of what is under a key, which says how fresh it is, without copying it.
func (s *Storage) Expiration(key Key, now time.Time) (Expiration, bool) {
	s.Expire(now)
	if it := s.item(key); it != nil {
		return it.latest, true
	}
	return 0, false
}

// Form is how a key's content travels.
type Form uint8

// The forms.
const (
	FormNone       Form = iota // nothing is stored
	FormRegular                // one value
	FormDictionary             // a packed Dictionary
)

// AppendWire appends the content of a key as it travels in an answer: the value of a regular record, or the packed
// dictionary.
func (s *Storage) AppendWire(dst []byte, key Key, now time.Time) ([]byte, Form, Expiration) {
	s.Expire(now)
	it := s.item(key)
	if it == nil {
		return dst, FormNone, 0
	}
	if it.regular != nil {
		return append(dst, it.regular.value...), FormRegular, it.latest
	}
	start := len(dst)
	dst = appendDictionaryHeader(dst, 0, it.latest, len(it.subkeys))
	for _, e := range it.subkeys {
		dst = appendEntry(dst, Entry{Subkey: e.subkey, Value: e.value, Expiration: e.expiration})
	}
	return msgpack.WrapExt(dst, start, msgpack.CodeDictionary), FormDictionary, it.latest
}

// WireSize returns roughly how many bytes AppendWire appends for a key.
func (s *Storage) WireSize(key Key) int {
	it := s.item(key)
	switch {
	case it == nil:
		return 0
	case it.regular != nil:
		return len(it.regular.value)
	}
	return dictionaryOverhead + int(it.bytes) - len(it.subkeys)*(entryOverhead-16)
}
