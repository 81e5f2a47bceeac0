package msgpack

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// Marshal packs one value. See the package comment for the types it takes; any other is ErrType. It does not
// modify v.
func Marshal(v any) ([]byte, error) { return Append(nil, v) }

// Append packs v and appends it to dst. On an error the returned slice is dst as it was.
func Append(dst []byte, v any) ([]byte, error) {
	n := len(dst)
	out, err := appendValue(dst, v, maxEncodeDepth)
	if err != nil {
		return dst[:n], fmt.Errorf("msgpack: %w", err)
	}
	return out, nil
}

const maxEncodeDepth = 100 // guards against values that contain themselves

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, 0xc0), nil
	case bool:
		return AppendBool(dst, v), nil
	case int:
		return AppendInt(dst, int64(v)), nil
	case int8:
		return AppendInt(dst, int64(v)), nil
	case int16:
		return AppendInt(dst, int64(v)), nil
	case int32:
		return AppendInt(dst, int64(v)), nil
	case int64:
		return AppendInt(dst, v), nil
	case uint:
		return AppendUint(dst, uint64(v)), nil
	case uint8:
		return AppendUint(dst, uint64(v)), nil
	case uint16:
		return AppendUint(dst, uint64(v)), nil
	case uint32:
		return AppendUint(dst, uint64(v)), nil
	case uint64:
		return AppendUint(dst, v), nil
	case float32:
		return AppendFloat(dst, float64(v)), nil
	case float64:
		return AppendFloat(dst, v), nil
	case string:
		if !utf8.ValidString(v) {
			return dst, ErrText
		}
		if len(v) > math.MaxUint32 {
			return dst, ErrTooLong
		}
		return AppendString(dst, v), nil
	case []byte:
		if len(v) > math.MaxUint32 {
			return dst, ErrTooLong
		}
		return AppendBytes(dst, v), nil
	case Raw:
		if err := Valid(v, Limits{Bytes: math.MaxInt, AnyKey: true, Elements: math.MaxInt}); err != nil {
			return dst, err
		}
		return append(dst, v...), nil
	}
	if depth == 0 {
		return dst, ErrTooDeep
	}
	switch v := v.(type) {
	case []any:
		return appendList(dst, v, depth-1)
	case Tuple:
		return appendTuple(dst, v, depth-1)
	case Map:
		return appendMap(dst, v, depth-1)
	case map[string]any:
		return appendSorted(dst, v, depth-1)
	case Ext:
		if v.Code == CodeTuple {
			return dst, fmt.Errorf("%w: extension 0x40 is Tuple", ErrType)
		}
		if len(v.Data) > math.MaxUint32 {
			return dst, ErrTooLong
		}
		return AppendExt(dst, v.Code, v.Data), nil
	}
	return dst, fmt.Errorf("%w: %T", ErrType, v)
}

func appendList(dst []byte, list []any, depth int) ([]byte, error) {
	dst = AppendListHeader(dst, len(list))
	var err error
	for _, item := range list {
		if dst, err = appendValue(dst, item, depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendTuple(dst []byte, tuple Tuple, depth int) ([]byte, error) {
	start := len(dst)
	dst, err := appendList(dst, tuple, depth)
	if err != nil {
		return dst, err
	}
	return WrapExt(dst, start, CodeTuple), nil
}

func appendMap(dst []byte, m Map, depth int) ([]byte, error) {
	dst = AppendMapHeader(dst, len(m))
	var err error
	for i := range m {
		if dst, err = appendValue(dst, m[i].Key, depth); err != nil {
			return dst, err
		}
		if dst, err = appendValue(dst, m[i].Value, depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendSorted(dst []byte, m map[string]any, depth int) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	entries := make(Map, 0, len(m))
	for _, k := range keys {
		entries = append(entries, Entry{Key: k, Value: m[k]})
	}
	return appendMap(dst, entries, depth)
}

// AppendBool packs a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// AppendInt packs an integer in its smallest form.
func AppendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}

// AppendUint packs an unsigned integer in its smallest form.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

// AppendFloat packs a float, always 64 bits wide.
func AppendFloat(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v))
}

// AppendString packs text. It does not check that v is UTF-8.
func AppendString(dst []byte, v string) []byte {
	switch n := len(v); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
	}
	return append(dst, v...)
}

// AppendBytes packs bytes.
func AppendBytes(dst, v []byte) []byte {
	switch n := len(v); {
	case n <= math.MaxUint8:
		dst = append(dst, 0xc4, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0xc5), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc6), uint32(n))
	}
	return append(dst, v...)
}

// AppendListHeader starts a list of n items; the caller appends the items.
func AppendListHeader(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x90|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xdc), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdd), uint32(n))
}

// AppendMapHeader starts a map of n entries; the caller appends the keys and values.
func AppendMapHeader(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, 0x80|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xde), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdf), uint32(n))
}

// AppendExt packs an extension.
func AppendExt(dst []byte, code int8, data []byte) []byte {
	start := len(dst)
	return WrapExt(append(dst, data...), start, code)
}

// WrapExt turns dst[start:], the payload, into an extension.
func WrapExt(dst []byte, start int, code int8) []byte {
	var header [6]byte
	n := len(dst) - start
	h := header[:0]
	switch {
	case n == 1 || n == 2 || n == 4 || n == 8 || n == 16:
		h = append(h, fixExtCode(n))
	case n <= math.MaxUint8:
		h = append(h, 0xc7, byte(n))
	case n <= math.MaxUint16:
		h = binary.BigEndian.AppendUint16(append(h, 0xc8), uint16(n))
	default:
		h = binary.BigEndian.AppendUint32(append(h, 0xc9), uint32(n))
	}
	h = append(h, byte(code))
	return slices.Insert(dst, start, h...)
}

func fixExtCode(n int) byte {
	code := byte(0xd4)
	for ; n > 1; n >>= 1 {
		code++
	}
	return code
}
