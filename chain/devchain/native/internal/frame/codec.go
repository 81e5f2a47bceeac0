package frame

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Codec encodes and decodes the values of one type.
type Codec[T any] struct {
	Enc func(e *scale.Encoder, v T)
	Dec func(d *scale.Decoder) T
}

// Encode returns the encoded form of v.
func (c Codec[T]) Encode(v T) []byte {
	var e scale.Encoder
	c.Enc(&e, v)
	if e.Buf == nil {
		return []byte{}
	}
	return e.Buf
}

// Decode reads a value that must fill b.
func (c Codec[T]) Decode(b []byte) (T, error) {
	d := scale.NewDecoder(b)
	v := c.Dec(d)
	return v, d.Finish()
}

// Opt is a value that may be absent.
type Opt[T any] struct {
	V  T
	OK bool
}

// Some is a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, OK: true} }

// U8 is the codec of bytes.
func U8() Codec[uint8] { return Codec[uint8]{(*scale.Encoder).U8, (*scale.Decoder).U8} }

// U16 is the codec of 16-bit integers.
func U16() Codec[uint16] { return Codec[uint16]{(*scale.Encoder).U16, (*scale.Decoder).U16} }

// U32 is the codec of 32-bit integers.
func U32() Codec[uint32] { return Codec[uint32]{(*scale.Encoder).U32, (*scale.Decoder).U32} }

// U64 is the codec of 64-bit integers.
func U64() Codec[uint64] { return Codec[uint64]{(*scale.Encoder).U64, (*scale.Decoder).U64} }

// U128 is the codec of 128-bit integers.
func U128() Codec[u128.U128] { return Codec[u128.U128]{(*scale.Encoder).U128, (*scale.Decoder).U128} }

// Bool is the codec of booleans.
func Bool() Codec[bool] { return Codec[bool]{(*scale.Encoder).Bool, (*scale.Decoder).Bool} }

// CompactU128 is the codec of compact 128-bit integers.
func CompactU128() Codec[u128.U128] {
	return Codec[u128.U128]{(*scale.Encoder).CompactU128, (*scale.Decoder).CompactU128}
}

// CompactU64 is the codec of compact 64-bit integers.
func CompactU64() Codec[uint64] {
	return Codec[uint64]{(*scale.Encoder).Compact, (*scale.Decoder).Compact}
}

// Account is the codec of accounts.
func Account() Codec[chain.AccountID] {
	return Codec[chain.AccountID]{
		func(e *scale.Encoder, v chain.AccountID) { e.Raw(v[:]) },
		func(d *scale.Decoder) (v chain.AccountID) { d.Raw(v[:]); return v },
	}
}

// Hash is the codec of 32-byte hashes.
func Hash() Codec[chain.Hash] {
	return Codec[chain.Hash]{
		func(e *scale.Encoder, v chain.Hash) { e.Raw(v[:]) },
		func(d *scale.Decoder) (v chain.Hash) { d.Raw(v[:]); return v },
	}
}

// Bytes is the codec of byte strings, held as Go strings so that they compare.
func Bytes() Codec[string] { return BoundedBytes(1 << 30) }

// BoundedBytes is the codec of byte strings of at most limit bytes.
func BoundedBytes(limit int) Codec[string] {
	return Codec[string]{
		(*scale.Encoder).Text,
		func(d *scale.Decoder) string {
			b := d.BytesView()
			if len(b) > limit {
				d.Fail(scale.ErrMalformed, "byte string above its bound")
				return ""
			}
			return string(b)
		},
	}
}

// Vec is the codec of sequences; least is the least number of bytes that an
// element takes.
func Vec[T any](c Codec[T], least int) Codec[[]T] {
	return Codec[[]T]{
		func(e *scale.Encoder, vs []T) {
			e.Len(len(vs))
			for _, v := range vs {
				c.Enc(e, v)
			}
		},
		func(d *scale.Decoder) []T {
			n := d.Len(least)
			out := make([]T, 0, min(n, 1024))
			for range n {
				out = append(out, c.Dec(d))
				if d.Err() != nil {
					return nil
				}
			}
			return out
		},
	}
}

// Option is the codec of optional values.
func Option[T any](c Codec[T]) Codec[Opt[T]] {
	return Codec[Opt[T]]{
		func(e *scale.Encoder, v Opt[T]) {
			e.Bool(v.OK)
			if v.OK {
				c.Enc(e, v.V)
			}
		},
		func(d *scale.Decoder) Opt[T] {
			if !d.Option() {
				return Opt[T]{}
			}
			return Opt[T]{V: c.Dec(d), OK: true}
		},
	}
}

// Pair is two values side by side.
type Pair[A, B any] struct {
	A A
	B B
}

// PairOf is the codec of pairs.
func PairOf[A, B any](a Codec[A], b Codec[B]) Codec[Pair[A, B]] {
	return Codec[Pair[A, B]]{
		func(e *scale.Encoder, v Pair[A, B]) { a.Enc(e, v.A); b.Enc(e, v.B) },
		func(d *scale.Decoder) Pair[A, B] { return Pair[A, B]{A: a.Dec(d), B: b.Dec(d)} },
	}
}

// ErrUnsorted says that the keys of a map or set are not in ascending order. The
// chain sorts them before it checks the signature over them, which then fails.
var ErrUnsorted = errors.New("map keys are not in ascending order")

// Dict is the codec of maps whose keys are in the order of compare; a Decoder
// gets ErrUnsorted for others.
func Dict[K comparable, V any](k Codec[K], v Codec[V], compare func(a, b K) int) Codec[map[K]V] {
	return Codec[map[K]V]{
		func(e *scale.Encoder, m map[K]V) {
			e.Len(len(m))
			for _, key := range SortedKeys(m, compare) {
				k.Enc(e, key)
				v.Enc(e, m[key])
			}
		},
		func(d *scale.Decoder) map[K]V {
			m := map[K]V{}
			var last K
			for i := range d.Len(1) {
				key := k.Dec(d)
				val := v.Dec(d)
				if i > 0 && compare(last, key) >= 0 {
					d.Fail(ErrUnsorted, "map")
				}
				if d.Err() != nil {
					return m
				}
				m[key], last = val, key
			}
			return m
		},
	}
}

// Set is the codec of ordered sets.
func Set[K comparable](k Codec[K], compare func(a, b K) int) Codec[map[K]struct{}] {
	return Dict(k, Unit(), compare)
}

// Unit is the codec of nothing.
func Unit() Codec[struct{}] {
	return Codec[struct{}]{
		func(*scale.Encoder, struct{}) {}, func(*scale.Decoder) struct{} { return struct{}{} },
	}
}

// SortedKeys returns the keys of m in order.
func SortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}

// CompareU32 orders integers.
func CompareU32(a, b uint32) int { return cmp.Compare(a, b) }

// CompareBytes orders byte strings.
func CompareBytes(a, b string) int { return cmp.Compare(a, b) }

// CompareAccounts orders accounts bytewise.
func CompareAccounts(a, b chain.AccountID) int { return bytes.Compare(a[:], b[:]) }
