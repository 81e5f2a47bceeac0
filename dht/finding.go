package dht

import (
	"bytes"
	"slices"

	"github.com/hypertensor-blockchain/mesh/record"
)

// finding is what one node holds for a key: a regular value or a dictionary, with signatures, validated. It is
// immutable: merging makes new ones, so what a store gave out is never written through.
type finding struct {
	expiration record.Expiration
	value      []byte
	dict       *record.Dictionary
}

// owned reports whether it is a dictionary with subkeys that have owners.
func (f *finding) owned() bool { return f.dict != nil && f.dict.Owned() }

func dictionaryFinding(d record.Dictionary) *finding {
	if len(d.Entries) == 0 {
		return nil
	}
	return &finding{expiration: d.Latest, dict: &d}
}

// merge returns the newer of two findings; two dictionaries are joined, the newer entry of each subkey winning. A regular
// value gives way to subkeys that have owners, as in the storage: whoever may write it must not hide them.
func merge(a, b *finding) *finding {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.dict != nil && b.dict != nil:
		d := a.dict.Merge(*b.dict)
		return dictionaryFinding(d)
	case a.owned() != b.owned():
		if b.owned() {
			return b
		}
		return a
	case a.expiration != b.expiration:
		if b.expiration > a.expiration {
			return b
		}
		return a
	case (a.dict != nil) != (b.dict != nil):
		if b.dict != nil { // a regular value does not displace a dictionary that expires with it
			return b
		}
		return a
	case bytes.Compare(b.value, a.value) > 0: // all nodes settle on the same
		return b
	}
	return a
}

// records returns the finding as the records it is made of.
func (f *finding) records(key record.Key) []record.Record {
	if f == nil {
		return nil
	}
	if f.dict == nil {
		return []record.Record{{Key: key, Subkey: []byte(record.RegularTag), Value: f.value, Expiration: f.expiration}}
	}
	recs := make([]record.Record, 0, len(f.dict.Entries))
	for _, e := range f.dict.Entries {
		recs = append(recs, e.Record(key))
	}
	return recs
}

// open turns a validated finding into what the application sees.
func (n *Node) open(key record.Key, f *finding) *Value {
	v := &Value{Key: key, Expiration: f.expiration}
	if f.dict == nil {
		v.Raw = n.rules().Strip(f.records(key)[0])
		return v
	}
	v.Entries = make([]Entry, 0, len(f.dict.Entries))
	for _, e := range f.dict.Entries {
		v.Entries = append(v.Entries, Entry{Subkey: e.Subkey, Raw: n.rules().Strip(e.Record(key)), Expiration: e.Expiration})
	}
	slices.SortFunc(v.Entries, func(a, b Entry) int { return bytes.Compare(a.Subkey, b.Subkey) })
	return v
}

// passedOnFalsely reports whether a record is refused for a reason that its holder must have seen as well. Our bounds of size
// and lifetime may be narrower than those of others, and clocks differ.
func passedOnFalsely(err error) bool {
	switch record.CodeOf(err) {
	case record.CodeHorizon, record.CodeTooLarge:
		return false
	}
	return isHostile(err)
}

// examine validates what a peer answered for a key and returns what of it is good, and how much was not.
func (n *Node) examine(key record.Key, f *finding, q record.Request) (good *finding, refused int, hostile bool) {
	if f == nil {
		return nil, 0, false
	}
	if f.dict == nil {
		if f.expiration.Expired(q.Now) {
			return nil, 0, false // a clock ahead of theirs, or it expired on the way
		}
		if err := n.rules().Validate(f.records(key)[0], q); err != nil {
			return nil, 1, passedOnFalsely(err)
		}
		return f, 0, false
	}
	kept := record.Dictionary{MaxSize: f.dict.MaxSize, Entries: make([]record.Entry, 0, len(f.dict.Entries))}
	for _, e := range f.dict.Entries {
		if e.Expiration.Expired(q.Now) {
			continue
		}
		if err := n.rules().Validate(e.Record(key), q); err != nil {
			refused++
			hostile = hostile || passedOnFalsely(err)
			continue
		}
		kept.Entries = append(kept.Entries, e)
		kept.Latest = max(kept.Latest, e.Expiration)
	}
	return dictionaryFinding(kept), refused, hostile
}
