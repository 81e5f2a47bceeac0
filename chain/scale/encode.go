package scale

import (
	"encoding/binary"
	"math/big"
	"math/bits"

	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Encoder appends encoded values to Buf. The zero value is ready; Buf may be preset to reuse its capacity.
type Encoder struct {
	Buf []byte
}

// U8 appends one byte.
func (e *Encoder) U8(v uint8) { e.Buf = append(e.Buf, v) }

// U16 appends a little-endian 16-bit integer.
func (e *Encoder) U16(v uint16) { e.Buf = binary.LittleEndian.AppendUint16(e.Buf, v) }

// U32 appends a little-endian 32-bit integer.
func (e *Encoder) U32(v uint32) { e.Buf = binary.LittleEndian.AppendUint32(e.Buf, v) }

// U64 appends a little-endian 64-bit integer.
func (e *Encoder) U64(v uint64) { e.Buf = binary.LittleEndian.AppendUint64(e.Buf, v) }

// U128 appends a little-endian 128-bit integer.
func (e *Encoder) U128(v u128.U128) {
	e.U64(v.Lo)
	e.U64(v.Hi)
}

// Bool appends 0 or 1.
func (e *Encoder) Bool(v bool) {
	if v {
		e.U8(1)
		return
	}
	e.U8(0)
}

// Raw appends bytes as they are.
func (e *Encoder) Raw(b []byte) { e.Buf = append(e.Buf, b...) }

// Bytes appends a byte string: its compact length and the bytes.
func (e *Encoder) Bytes(b []byte) {
	e.Compact(uint64(len(b)))
	e.Raw(b)
}

// Text appends a text as a byte string.
func (e *Encoder) Text(s string) {
	e.Compact(uint64(len(s)))
	e.Buf = append(e.Buf, s...)
}

// Len appends the length of a sequence.
func (e *Encoder) Len(n int) { e.Compact(uint64(n)) }

// Some appends the tag of an option that is present; the value follows.
func (e *Encoder) Some() { e.U8(1) }

// None appends an absent option.
func (e *Encoder) None() { e.U8(0) }

// Compact appends an integer in the shortest compact form.
func (e *Encoder) Compact(v uint64) {
	switch {
	case v < 1<<6:
		e.U8(uint8(v << 2))
	case v < 1<<14:
		e.U16(uint16(v<<2) | 1)
	case v < 1<<30:
		e.U32(uint32(v<<2) | 2)
	default:
		n := (bits.Len64(v) + 7) / 8
		e.U8(uint8((n-4)<<2) | 3)
		for range n {
			e.U8(uint8(v))
			v >>= 8
		}
	}
}

// CompactU128 appends a 128-bit integer in the shortest compact form.
func (e *Encoder) CompactU128(v u128.U128) {
	if v.Hi == 0 {
		e.Compact(v.Lo)
		return
	}
	n := 8 + (bits.Len64(v.Hi)+7)/8
	e.U8(uint8((n-4)<<2) | 3)
	e.U64(v.Lo)
	for hi := v.Hi; hi != 0; hi >>= 8 {
		e.U8(uint8(hi))
	}
}

// CompactBig appends a non-negative integer of up to 536 bits in the shortest compact form and reports whether it fits.
func (e *Encoder) CompactBig(v *big.Int) bool {
	if v.Sign() < 0 || v.BitLen() > 536 {
		return false
	}
	if v.IsUint64() {
		e.Compact(v.Uint64())
		return true
	}
	be := v.Bytes()
	e.U8(uint8((len(be)-4)<<2) | 3)
	for i := len(be) - 1; i >= 0; i-- {
		e.U8(be[i])
	}
	return true
}
