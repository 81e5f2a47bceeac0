package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"

	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// A dynamic value is what a type looks like in Go when nobody declared a Go type for it:
//
//	bool, str              bool, string
//	u8 ... u64, i8 ... i64 uint64, int64 (a char is an int64)
//	u128; u256, i128, i256 u128.U128; *big.Int
//	Vec<u8>, [u8; n]       []byte
//	other Vec and arrays   []any
//	(a, b), Foo(a, b)      Tuple
//	Foo(a)                 a
//	Foo{a, b}              Fields
//	Option<a>              nil or a; an Option directly within an Option is an Enum
//	other enums            Enum
//	Compact<a>             a
//	BitVec                 Bits

// Tuple is a dynamic value of several unnamed parts.
type Tuple []any

// NamedValue is one field of Fields.
type NamedValue struct {
	Name  string
	Value any
}

// Fields is a dynamic value of named parts, in the runtime's order.
type Fields []NamedValue

// Get returns the field of that name, or nil.
func (f Fields) Get(name string) any {
	for i := range f {
		if f[i].Name == name {
			return f[i].Value
		}
	}
	return nil
}

// Enum is a dynamic value of an enumeration. Value is nil without data, the datum itself if there is one unnamed, a Tuple of
// several, or Fields.
type Enum struct {
	Name  string
	Value any
}

// Bits is a dynamic bit sequence.
type Bits []bool

// AppendJSON appends a dynamic value as JSON that a person can read: bytes as 0x-hex, integers beyond 2^53 as decimal strings,
// Fields as an object in the runtime's order, an Enum as its name or as {"name": value}.
func AppendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case uint64:
		if v > 1<<53 {
			return strconv.AppendQuote(dst, strconv.FormatUint(v, 10)), nil
		}
		return strconv.AppendUint(dst, v, 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case u128.U128:
		return strconv.AppendQuote(dst, v.String()), nil
	case *big.Int:
		return strconv.AppendQuote(dst, v.String()), nil
	case string:
		w := bytes.NewBuffer(dst)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false) // an ampersand in a URL stays one
		err := enc.Encode(v)
		return bytes.TrimSuffix(w.Bytes(), []byte{'\n'}), err
	case []byte:
		dst = append(dst, `"0x`...)
		return append(hex.AppendEncode(dst, v), '"'), nil
	case []any:
		return appendList(dst, v)
	case Tuple:
		return appendList(dst, v)
	case Bits:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return appendList(dst, list)
	case Fields:
		return v.appendJSON(dst)
	case Enum:
		if v.Value == nil {
			return strconv.AppendQuote(dst, v.Name), nil
		}
		return Fields{{v.Name, v.Value}}.appendJSON(dst)
	}
	return dst, fmt.Errorf("metadata: %T is no dynamic value", v)
}

func appendList(dst []byte, list []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = AppendJSON(dst, e); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (f Fields) appendJSON(dst []byte) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := range f {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendQuote(dst, f[i].Name), ':')
		if dst, err = AppendJSON(dst, f[i].Value); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// MarshalJSON is [AppendJSON].
func (f Fields) MarshalJSON() ([]byte, error) { return AppendJSON(nil, f) }

// MarshalJSON is [AppendJSON].
func (t Tuple) MarshalJSON() ([]byte, error) { return AppendJSON(nil, t) }

// MarshalJSON is [AppendJSON].
func (e Enum) MarshalJSON() ([]byte, error) { return AppendJSON(nil, e) }

// ParseJSON reads JSON into a value that [Registry.EncodeValue] takes: numbers stay exact.
func ParseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("metadata: value: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("metadata: value: more than one JSON value")
	}
	return v, nil
}
