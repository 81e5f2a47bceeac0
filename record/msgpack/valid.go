package msgpack

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// Valid reports whether data is exactly one value that UnmarshalLimited accepts within the same limits,
// without building it: nil, or the error that Unmarshal returns.
func Valid(data []byte, limits Limits) error {
	s := NewScanner(data, limits)
	if _, err := s.Raw(); err != nil {
		return err
	}
	return s.Done()
}

// skip passes over one complete value.
func (d *reader) skip(depth int) error {
	h, err := d.header()
	if err != nil {
		return err
	}
	switch h.kind {
	case KindString:
		if !utf8.Valid(d.take(h.n)) {
			return ErrText
		}
		return nil
	case KindBytes:
		d.take(h.n)
		return nil
	case KindList, KindMap:
	case KindExt:
		if h.code != CodeTuple {
			d.take(h.n)
			return nil
		}
	default:
		return nil // scalars are complete
	}
	if depth == 0 {
		return ErrTooDeep
	}
	switch h.kind {
	case KindList:
		return d.skipList(h.n, depth-1)
	case KindMap:
		return d.skipMap(h.n, depth-1)
	}
	outer, items, err := d.openTuple(h.n)
	if err != nil {
		return err
	}
	if err := d.skipList(items, depth-1); err != nil {
		return err
	}
	return d.closeTuple(outer)
}

func (d *reader) skipList(n, depth int) error {
	for range n {
		if err := d.skip(depth); err != nil {
			return err
		}
	}
	return nil
}

func (d *reader) skipMap(n, depth int) error {
	var seen keySet
	for range n {
		start := d.pos
		if err := d.checkKey(); err != nil {
			return err
		}
		if err := d.skip(depth); err != nil {
			return err
		}
		if seen.add(n, d.data[start:d.pos]) {
			return ErrRepeated
		}
		if err := d.skip(depth); err != nil {
			return err
		}
	}
	return nil
}

// keySet remembers the packed keys of one map to find repetitions: small maps by comparing, larger ones by
// hashing, so that a hostile map costs no quadratic time.
type keySet struct {
	n    int
	few  [8][]byte
	many map[string]struct{}
}

// add reports whether the key was there before. size is the announced number of keys.
func (s *keySet) add(size int, packed []byte) bool {
	class, content := keyIdentity(packed)
	if class == 0 {
		packed = shortest(packed)
		content = packed
	}
	if size > len(s.few) {
		if s.many == nil {
			s.many = make(map[string]struct{}, min(size, 1024)) // grows with what really arrives
		}
		id := string(append([]byte{class}, content...))
		if _, ok := s.many[id]; ok {
			return true
		}
		s.many[id] = struct{}{}
		return false
	}
	for _, other := range s.few[:s.n] {
		if c, k := keyIdentity(other); c == class && bytes.Equal(k, content) {
			return true
		}
	}
	s.few[s.n] = packed
	s.n++
	return false
}

// shortest packs a checked value again in its shortest form.
func shortest(packed []byte) []byte {
	v, err := UnmarshalLimited(packed, Limits{AnyKey: true, Bytes: math.MaxInt, Depth: math.MaxInt, Elements: math.MaxInt})
	if err != nil {
		return packed
	}
	again, err := Marshal(v)
	if err != nil {
		return packed
	}
	return again
}

// keyIdentity splits a packed map key into its class ('s' text, 'b' bytes, 0 anything else) and the part that
// identifies it, which for text and bytes does not depend on how long a header they chose.
func keyIdentity(packed []byte) (class byte, content []byte) {
	skip := 0
	switch c := packed[0]; {
	case c >= 0xa0 && c < 0xc0:
		class, skip = 's', 1
	case c == 0xc4:
		class, skip = 'b', 2
	case c == 0xc5:
		class, skip = 'b', 3
	case c == 0xc6:
		class, skip = 'b', 5
	case c == 0xd9:
		class, skip = 's', 2
	case c == 0xda:
		class, skip = 's', 3
	case c == 0xdb:
		class, skip = 's', 5
	}
	return class, packed[min(skip, len(packed)):]
}
