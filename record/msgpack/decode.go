package msgpack

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// Unmarshal reads exactly one value within the default limits.
func Unmarshal(data []byte) (any, error) { return UnmarshalLimited(data, Limits{}) }

// UnmarshalLimited reads exactly one value within the given limits.
func UnmarshalLimited(data []byte, limits Limits) (any, error) {
	d := reader{data: data, limits: limits.withDefaults()}
	if len(data) > d.limits.Bytes {
		return nil, decodeError(0, ErrTooLong)
	}
	d.left = d.limits.Elements
	v, err := d.value(d.limits.Depth)
	if err == nil && d.pos < len(d.data) {
		err = ErrTrailing
	}
	if err != nil {
		return nil, decodeError(d.pos, err)
	}
	return v, nil
}

// Kind says what a header introduces.
type Kind uint8

// The kinds of values.
const (
	KindNil Kind = iota
	KindBool
	KindInt
	KindUint // only above the range of KindInt
	KindFloat
	KindString
	KindBytes
	KindList
	KindMap
	KindExt // tuples too: code 0x40
)

// header is one decoded header: scalars are complete in it, the rest follows in the input.
type header struct {
	kind Kind
	code int8   // of an extension
	n    int    // length in bytes or elements
	bits uint64 // value of a scalar
}

// reader is a cursor over the input with a budget of elements.
type reader struct {
	data   []byte
	pos    int
	left   int // elements that may still be announced
	limits Limits
}

func (d *reader) uint(n int) (uint64, error) {
	if len(d.data)-d.pos < n {
		return 0, ErrTruncated
	}
	b := d.data[d.pos:]
	d.pos += n
	switch n {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

// header reads the next header and checks that what it announces can be there at all.
func (d *reader) header() (header, error) {
	if d.pos >= len(d.data) {
		return header{}, ErrTruncated
	}
	c := d.data[d.pos]
	d.pos++
	switch {
	case c < 0x80:
		return header{kind: KindInt, bits: uint64(c)}, nil
	case c < 0x90:
		return d.sized(KindMap, int(c&0x0f))
	case c < 0xa0:
		return d.sized(KindList, int(c&0x0f))
	case c < 0xc0:
		return d.sized(KindString, int(c&0x1f))
	case c >= 0xe0:
		return header{kind: KindInt, bits: uint64(int64(int8(c)))}, nil
	}
	switch c {
	case 0xc0:
		return header{kind: KindNil}, nil
	case 0xc2, 0xc3:
		return header{kind: KindBool, bits: uint64(c & 1)}, nil
	case 0xc4, 0xc5, 0xc6:
		return d.long(KindBytes, 1<<(c-0xc4))
	case 0xc7, 0xc8, 0xc9:
		return d.long(KindExt, 1<<(c-0xc7))
	case 0xca:
		u, err := d.uint(4)
		return header{kind: KindFloat, bits: math.Float64bits(float64(math.Float32frombits(uint32(u))))}, err
	case 0xcb:
		u, err := d.uint(8)
		return header{kind: KindFloat, bits: u}, err
	case 0xcc, 0xcd, 0xce, 0xcf:
		u, err := d.uint(1 << (c - 0xcc))
		if u > math.MaxInt64 {
			return header{kind: KindUint, bits: u}, err
		}
		return header{kind: KindInt, bits: u}, err
	case 0xd0, 0xd1, 0xd2, 0xd3:
		n := 1 << (c - 0xd0)
		u, err := d.uint(n)
		shift := 64 - 8*n
		return header{kind: KindInt, bits: uint64(int64(u<<shift) >> shift)}, err
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return d.sized(KindExt, 1<<(c-0xd4))
	case 0xd9, 0xda, 0xdb:
		return d.long(KindString, 1<<(c-0xd9))
	case 0xdc, 0xdd:
		return d.long(KindList, 2<<(c-0xdc))
	case 0xde, 0xdf:
		return d.long(KindMap, 2<<(c-0xde))
	}
	return header{}, ErrReserved // 0xc1
}

func (d *reader) long(kind Kind, size int) (header, error) {
	n, err := d.uint(size)
	if err != nil {
		return header{}, err
	}
	return d.sized(kind, int(n)) // at most 32 bits
}

// sized checks an announced length against the input and the budget, before anything is allocated for it.
func (d *reader) sized(kind Kind, n int) (header, error) {
	h := header{kind: kind, n: n}
	rest := len(d.data) - d.pos
	switch kind {
	case KindList, KindMap:
		if kind == KindMap {
			n *= 2
		}
		if n > d.left {
			return h, ErrTooMany
		}
		if n > rest { // each takes a byte at least
			return h, ErrTruncated
		}
		d.left -= n
	case KindExt:
		if rest < 1 {
			return h, ErrTruncated
		}
		h.code = int8(d.data[d.pos])
		d.pos++
		rest--
		if n > rest {
			return h, ErrTruncated
		}
	default:
		if n > rest {
			return h, ErrTruncated
		}
	}
	return h, nil
}

func (d *reader) take(n int) []byte {
	b := d.data[d.pos : d.pos+n]
	d.pos += n
	return b
}

func (d *reader) value(depth int) (any, error) {
	h, err := d.header()
	if err != nil {
		return nil, err
	}
	switch h.kind {
	case KindNil:
		return nil, nil
	case KindBool:
		return h.bits == 1, nil
	case KindInt:
		return int64(h.bits), nil
	case KindUint:
		return h.bits, nil
	case KindFloat:
		return math.Float64frombits(h.bits), nil
	case KindString:
		b := d.take(h.n)
		if !utf8.Valid(b) {
			return nil, ErrText
		}
		return string(b), nil
	case KindBytes:
		return append(make([]byte, 0, h.n), d.take(h.n)...), nil
	}
	if h.kind == KindExt && h.code != CodeTuple {
		return Ext{Code: h.code, Data: append(make([]byte, 0, h.n), d.take(h.n)...)}, nil
	}
	if depth == 0 {
		return nil, ErrTooDeep
	}
	switch h.kind {
	case KindList:
		return d.list(h.n, depth-1)
	case KindMap:
		return d.object(h.n, depth-1)
	}
	return d.tuple(h.n, depth-1)
}

func (d *reader) list(n, depth int) ([]any, error) {
	list := make([]any, n)
	for i := range list {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}

func (d *reader) tuple(n, depth int) (Tuple, error) {
	outer, items, err := d.openTuple(n)
	if err != nil {
		return nil, err
	}
	list, err := d.list(items, depth)
	if err != nil {
		return nil, err
	}
	return list, d.closeTuple(outer)
}

// openTuple restricts the reader to the n bytes of a tuple's payload and reads the header of its list;
// closeTuple checks that the list filled the payload and lifts the restriction.
func (d *reader) openTuple(n int) (outer []byte, items int, err error) {
	outer = d.data
	d.data = d.data[:d.pos+n]
	h, err := d.header()
	if err == nil && h.kind != KindList {
		err = ErrTuple
	}
	return outer, h.n, err
}

func (d *reader) closeTuple(outer []byte) error {
	if d.pos != len(d.data) {
		return ErrTuple
	}
	d.data = outer
	return nil
}

func (d *reader) object(n, depth int) (Map, error) {
	m := make(Map, n)
	var seen keySet
	for i := range m {
		start := d.pos
		key, err := d.key(depth)
		if err != nil {
			return nil, err
		}
		if seen.add(n, d.data[start:d.pos]) {
			return nil, ErrRepeated
		}
		value, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		m[i] = Entry{Key: key, Value: value}
	}
	return m, nil
}

func (d *reader) key(depth int) (any, error) {
	if err := d.checkKey(); err != nil {
		return nil, err
	}
	return d.value(depth)
}

func (d *reader) checkKey() error {
	if d.limits.AnyKey || d.pos >= len(d.data) {
		return nil // at the end of the input the header will say so
	}
	if class, _ := keyIdentity(d.data[d.pos : d.pos+1]); class == 0 {
		return ErrKey
	}
	return nil
}
