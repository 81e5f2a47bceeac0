package msgpack

import (
	"errors"
	"fmt"
)

// Extension codes of the Python mesh.
const (
	CodeTuple      = 0x40 // a tuple: the payload is the packed list
	CodeDictionary = 0x50 // a dictionary of subkeys, see record.Dictionary
	CodeTensor     = 0x51 // a description of a tensor batch
)

// Tuple is an immutable sequence of Python, distinct from a list ([]any) on the wire.
type Tuple []any

// Map is an object with its entries in wire order.
type Map []Entry

// Entry is one key and its value in a Map.
type Entry struct {
	Key   any
	Value any
}

// Get returns the value of a text key.
func (m Map) Get(key string) (any, bool) {
	for i := range m {
		if k, ok := m[i].Key.(string); ok && k == key {
			return m[i].Value, true
		}
	}
	return nil, false
}

// Ext is an extension that this package does not interpret. Code 0x40 never appears in one: it decodes to
// Tuple.
type Ext struct {
	Code int8
	Data []byte
}

// Raw is one already packed object; Marshal checks it and writes it unchanged.
type Raw []byte

// Limits bound what a reader accepts. The zero value of a field is its default.
type Limits struct {
	Bytes    int  // longest input; default 4 MiB, the longest message a Python node can send
	Depth    int  // deepest nesting of lists, maps and tuples; default 32
	Elements int  // most list items, map keys and map values in all; default 65,536
	AnyKey   bool // also accept map keys that Python refuses to read: numbers, booleans, nil, tuples
}

const (
	defaultBytes    = 4 << 20 // message limit of the Python daemon
	defaultDepth    = 32      // nobody nests deeper; bounds our stack
	defaultElements = 1 << 16 // 16 bytes each: at most 1 MiB of headers for a hostile value
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	if l.Elements <= 0 {
		l.Elements = defaultElements
	}
	return l
}

// What is wrong with an input; every error of this package wraps one of these.
var (
	ErrTruncated = errors.New("input ends early")
	ErrTrailing  = errors.New("bytes after the value")
	ErrReserved  = errors.New("reserved code c1")
	ErrText      = errors.New("text is not UTF-8")
	ErrKey       = errors.New("map key is neither text nor bytes")
	ErrRepeated  = errors.New("map key occurs twice")
	ErrTuple     = errors.New("tuple extension does not hold one list")
	ErrTooLong   = errors.New("longer than allowed")
	ErrTooDeep   = errors.New("nested deeper than allowed")
	ErrTooMany   = errors.New("more elements than allowed")
	ErrType      = errors.New("type cannot be packed")
)

func decodeError(offset int, err error) error {
	return fmt.Errorf("msgpack: byte %d: %w", offset, err)
}
