package record

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Dictionary is all the subkeys of one key, as one value travels on the network.
type Dictionary struct {
	MaxSize int        // what the writer allowed to grow to; 0 without limit. Kept for the wire, not enforced here
	Latest  Expiration // of the entry that expires last; 0 if empty
	Entries []Entry    // in wire order
}

// Entry is one subkey in a Dictionary. Its slices are read-only.
type Entry struct {
	Subkey     []byte // packed
	Value      []byte // packed, with its signature
	Expiration Expiration
}

// Record returns the entry as the record it is under the dictionary's key.
func (e Entry) Record(key Key) Record {
	return Record{Key: key, Subkey: e.Subkey, Value: e.Value, Expiration: e.Expiration}
}

// Find returns the entry of a packed subkey.
func (d Dictionary) Find(subkey []byte) (Entry, bool) {
	for _, e := range d.Entries {
		if bytes.Equal(e.Subkey, subkey) {
			return e, true
		}
	}
	return Entry{}, false
}

// Owned reports whether a subkey belongs to an owner. What has owners is displaced by their own records only: a regular value gives way,
// however late it expires.
func (d Dictionary) Owned() bool {
	return slices.ContainsFunc(d.Entries, func(e Entry) bool { return bytes.Contains(e.Subkey, []byte(ownerOpen)) })
}

// Clone returns a copy that shares no memory.
func (d Dictionary) Clone() Dictionary {
	d.Entries = slices.Clone(d.Entries)
	for i := range d.Entries {
		d.Entries[i].Subkey = bytes.Clone(d.Entries[i].Subkey)
		d.Entries[i].Value = bytes.Clone(d.Entries[i].Value)
	}
	return d
}

// Merge returns the newest entry of each subkey of both, ordered by packed subkey, as new headers over the same
// read-only values; neither input changes. Entries of equal expiration are settled as in Storage.
func (d Dictionary) Merge(other Dictionary) Dictionary {
	all := slices.Concat(d.Entries, other.Entries)
	slices.SortStableFunc(all, func(a, b Entry) int {
		if c := bytes.Compare(a.Subkey, b.Subkey); c != 0 {
			return c
		}
		return -compareVersions(a.Expiration, a.Value, b.Expiration, b.Value) // the newest first
	})
	merged := Dictionary{MaxSize: d.MaxSize, Latest: max(d.Latest, other.Latest)}
	merged.Entries = slices.CompactFunc(all, func(a, b Entry) bool { return bytes.Equal(a.Subkey, b.Subkey) })
	return merged
}

// compareVersions orders two values of one subkey: the later expiration is the newer, and of two that expire
// together the one with the larger bytes, so that all nodes settle on the same.
func compareVersions(aExp Expiration, aValue []byte, bExp Expiration, bValue []byte) int {
	switch {
	case aExp < bExp:
		return -1
	case aExp > bExp:
		return 1
	}
	return bytes.Compare(aValue, bValue)
}

const dictionaryOverhead = 40 // headers around the entries

// Append appends the packed form: extension 0x50 around [max size, latest expiration, [[subkey, value,
// expiration] ...]]. The subkeys must be valid packed subkeys.
func (d Dictionary) Append(dst []byte) []byte {
	start := len(dst)
	dst = appendDictionaryHeader(dst, d.MaxSize, d.Latest, len(d.Entries))
	for _, e := range d.Entries {
		dst = appendEntry(dst, e)
	}
	return msgpack.WrapExt(dst, start, msgpack.CodeDictionary)
}

func appendDictionaryHeader(dst []byte, maxSize int, latest Expiration, n int) []byte {
	dst = msgpack.AppendListHeader(dst, 3)
	if maxSize > 0 {
		dst = msgpack.AppendInt(dst, int64(maxSize))
	} else {
		dst = msgpack.AppendFloat(dst, math.Inf(1))
	}
	if n == 0 && latest == 0 {
		latest = Expiration(math.Inf(-1))
	}
	dst = msgpack.AppendFloat(dst, float64(latest))
	return msgpack.AppendListHeader(dst, n)
}

func appendEntry(dst []byte, e Entry) []byte {
	dst = msgpack.AppendListHeader(dst, 3)
	dst = append(dst, e.Subkey...)
	dst = msgpack.AppendBytes(dst, e.Value)
	return msgpack.AppendFloat(dst, float64(e.Expiration))
}

// DictionaryLimits bound what ParseDictionary accepts. The zero value of a field is its default.
type DictionaryLimits struct {
	Bytes   int // packed size; default 4 MiB
	Entries int // subkeys; default 16,384
}

const (
	defaultDictionaryBytes   = 4 << 20
	defaultDictionaryEntries = 1 << 14
	entryElements            = 8 // of the msgpack budget per entry: three, and room for tuples as subkeys
)

// ParseDictionary reads the packed form. What is no dictionary at all is an error; an entry that is no valid
// record, or whose subkey occurred before, is left out, with its reason in skipped: one bad entry never costs the
// others. The entries are views of data. Latest is taken from the entries, not from what the header claims.
func ParseDictionary(data []byte, limits DictionaryLimits) (d Dictionary, skipped []error, err error) {
	if limits.Bytes <= 0 {
		limits.Bytes = defaultDictionaryBytes
	}
	if limits.Entries <= 0 {
		limits.Entries = defaultDictionaryEntries
	}
	s := msgpack.NewScanner(data, msgpack.Limits{Bytes: limits.Bytes})
	code, payload, err := s.Ext()
	if err == nil {
		err = s.Done()
	}
	if err != nil {
		return Dictionary{}, nil, malformed("dictionary", err)
	}
	if code != msgpack.CodeDictionary {
		return Dictionary{}, nil, fault(SideSender, CodeMalformed, "extension %#x instead of a dictionary", code)
	}
	s = msgpack.NewScanner(payload, msgpack.Limits{Bytes: limits.Bytes, Elements: 64 + entryElements*limits.Entries})
	d, n, err := parseDictionaryHeader(&s)
	if err != nil {
		return Dictionary{}, nil, malformed("dictionary", err)
	}
	if n > limits.Entries {
		return Dictionary{}, nil, fault(SideSender, CodeTooLarge, "%d entries, limit %d", n, limits.Entries)
	}
	d.Entries = make([]Entry, 0, min(n, len(payload)/12+1)) // an entry takes 12 bytes at least
	seen := make(map[string]struct{}, cap(d.Entries))
	for i := range n {
		raw, err := s.Raw()
		if err != nil {
			return Dictionary{}, nil, malformed("dictionary", err)
		}
		e, err := parseEntry(raw)
		if err == nil {
			if _, again := seen[string(e.Subkey)]; again {
				err = fault(SideSender, CodeMalformed, "subkey occurs twice")
			}
		}
		if err != nil {
			skipped = append(skipped, fmt.Errorf("entry %d: %w", i, err))
			continue
		}
		seen[string(e.Subkey)] = struct{}{}
		d.Entries = append(d.Entries, e)
		d.Latest = max(d.Latest, e.Expiration)
	}
	if err := s.Done(); err != nil {
		return Dictionary{}, nil, malformed("dictionary", err)
	}
	return d, skipped, nil
}

func parseDictionaryHeader(s *msgpack.Scanner) (d Dictionary, n int, err error) {
	fields, err := s.List()
	if err == nil && fields != 3 {
		return d, 0, fmt.Errorf("%d fields instead of 3", fields)
	}
	if err != nil {
		return d, 0, err
	}
	size, err := s.Number()
	if err != nil {
		return d, 0, err
	}
	if size >= 1 && size <= math.MaxInt32 {
		d.MaxSize = int(size)
	}
	if _, err = s.Number(); err != nil {
		return d, 0, err
	}
	n, err = s.List()
	return d, n, err
}

func parseEntry(raw []byte) (Entry, error) {
	s := msgpack.NewScanner(raw, msgpack.Limits{})
	n, err := s.List()
	if err == nil && n != 3 {
		return Entry{}, fault(SideSender, CodeMalformed, "%d fields instead of 3", n)
	}
	var e Entry
	if err == nil {
		e.Subkey, err = s.Raw()
	}
	if err == nil {
		e.Value, err = s.Bytes()
	}
	var expiration float64
	if err == nil {
		expiration, err = s.Number()
	}
	if err != nil {
		return Entry{}, malformed("entry", err)
	}
	e.Expiration = Expiration(expiration)
	if string(e.Subkey) == RegularTag {
		return Entry{}, fault(SideSender, CodeMalformed, "nil as subkey")
	}
	return e, checkShape(e.Record(Key{}))
}

func malformed(what string, err error) *Fault {
	return &Fault{Side: SideSender, Code: CodeMalformed, Reason: what, Err: err}
}
