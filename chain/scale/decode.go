package scale

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

var (
	// ErrMalformed says that bytes are not a valid encoding: cut off, trailing, or a form that no encoder writes.
	ErrMalformed = errors.New("scale: malformed")
	// ErrLimit says that bytes may be valid but nest deeper or need more memory than the Decoder allows.
	ErrLimit = errors.New("scale: limit exceeded")
)

// The default limits of a Decoder.
const (
	DefaultDepth = 64       // deeper than any type of a real runtime, shallow enough for any stack
	DefaultAlloc = 64 << 20 // bytes; metadata, the largest honest input, decodes within a few MiB
)

// Decoder reads values from a byte slice. Its first error sticks: later reads return zero values. The zero value reads an
// empty input; use NewDecoder.
type Decoder struct {
	buf   []byte
	pos   int
	depth int // levels still allowed
	alloc int // bytes still allowed
	err   error
}

// NewDecoder returns a Decoder over b with the default limits. It keeps b and does not change it.
func NewDecoder(b []byte) *Decoder {
	return &Decoder{buf: b, depth: DefaultDepth, alloc: DefaultAlloc}
}

// NewLimitedDecoder returns a Decoder over b that allows depth levels of nesting and alloc bytes of memory for what it decodes.
func NewLimitedDecoder(b []byte, depth, alloc int) *Decoder {
	return &Decoder{buf: b, depth: depth, alloc: alloc}
}

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// Finish returns the first error, or an error if input is left over.
func (d *Decoder) Finish() error {
	if d.err == nil && d.pos != len(d.buf) {
		d.Fail(ErrMalformed, "trailing bytes")
	}
	return d.err
}

// Pos returns the offset of the next byte.
func (d *Decoder) Pos() int { return d.pos }

// Left returns how many bytes are left.
func (d *Decoder) Left() int { return len(d.buf) - d.pos }

// Fail records an error at the present offset, unless there is one already. kind is ErrMalformed or ErrLimit.
func (d *Decoder) Fail(kind error, what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s at byte %d of %d", kind, what, d.pos, len(d.buf))
	}
}

// Enter counts one level of nesting and reports whether it is allowed. Each true must be matched by Leave.
func (d *Decoder) Enter() bool {
	if d.err != nil {
		return false
	}
	if d.depth <= 0 {
		d.Fail(ErrLimit, "nested too deep")
		return false
	}
	d.depth--
	return true
}

// Leave ends a level of nesting.
func (d *Decoder) Leave() { d.depth++ }

// Charge takes n units of size bytes from the memory budget, and reports whether they were there. Call it before allocating.
func (d *Decoder) Charge(n, size int) bool {
	if d.err != nil {
		return false
	}
	if n < 0 || size < 0 || (size > 0 && n > d.alloc/size) {
		d.Fail(ErrLimit, "needs too much memory")
		return false
	}
	d.alloc -= n * size
	return true
}

// View returns the next n bytes without copying them.
func (d *Decoder) View(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.buf)-d.pos {
		d.Fail(ErrMalformed, "cut off")
		return nil
	}
	b := d.buf[d.pos : d.pos+n : d.pos+n]
	d.pos += n
	return b
}

// Raw copies len(dst) bytes into dst; on failure dst is unchanged.
func (d *Decoder) Raw(dst []byte) { copy(dst, d.View(len(dst))) }

// U8 reads one byte.
func (d *Decoder) U8() uint8 {
	if d.err == nil && d.pos < len(d.buf) {
		v := d.buf[d.pos]
		d.pos++
		return v
	}
	d.Fail(ErrMalformed, "cut off")
	return 0
}

// U16 reads a 16-bit integer.
func (d *Decoder) U16() uint16 {
	if b := d.View(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32 reads a 32-bit integer.
func (d *Decoder) U32() uint32 {
	if b := d.View(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// U64 reads a 64-bit integer.
func (d *Decoder) U64() uint64 {
	if b := d.View(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// U128 reads a 128-bit integer.
func (d *Decoder) U128() u128.U128 {
	if b := d.View(16); b != nil {
		return u128.U128{Lo: binary.LittleEndian.Uint64(b), Hi: binary.LittleEndian.Uint64(b[8:])}
	}
	return u128.U128{}
}

// Bool reads a boolean; any byte but 0 and 1 is malformed.
func (d *Decoder) Bool() bool {
	v := d.U8()
	if v > 1 {
		d.Fail(ErrMalformed, "boolean is neither 0 nor 1")
	}
	return v == 1
}

// Option reads the tag of an option and reports whether a value follows.
func (d *Decoder) Option() bool {
	v := d.U8()
	if v > 1 {
		d.Fail(ErrMalformed, "option is neither 0 nor 1")
	}
	return v == 1
}

// Compact reads a compact integer of at most 64 bits. Forms longer than necessary are malformed, as they are for the chain.
func (d *Decoder) Compact() uint64 {
	if d.err == nil && d.pos < len(d.buf) && d.buf[d.pos]&3 == 0 { // most lengths and small numbers
		d.pos++
		return uint64(d.buf[d.pos-1] >> 2)
	}
	v := d.CompactU128()
	if v.Hi != 0 {
		d.Fail(ErrMalformed, "compact integer above 64 bits")
		return 0
	}
	return v.Lo
}

// CompactU32 reads a compact integer of at most 32 bits.
func (d *Decoder) CompactU32() uint32 {
	v := d.Compact()
	if v > 1<<32-1 {
		d.Fail(ErrMalformed, "compact integer above 32 bits")
		return 0
	}
	return uint32(v)
}

// CompactU128 reads a compact integer of at most 128 bits.
func (d *Decoder) CompactU128() u128.U128 {
	first := d.U8()
	if d.err != nil {
		return u128.U128{}
	}
	switch first & 3 {
	case 0:
		return u128.From64(uint64(first >> 2))
	case 1:
		v := uint64(d.U8())<<6 | uint64(first>>2)
		return u128.From64(d.atLeast(v, 1<<6))
	case 2:
		b := d.View(3)
		if b == nil {
			return u128.U128{}
		}
		v := (uint64(first) | uint64(b[0])<<8 | uint64(b[1])<<16 | uint64(b[2])<<24) >> 2
		return u128.From64(d.atLeast(v, 1<<14))
	}
	n := int(first>>2) + 4
	if n > 16 {
		d.Fail(ErrMalformed, "compact integer above 128 bits")
		return u128.U128{}
	}
	b := d.View(n)
	if b == nil {
		return u128.U128{}
	}
	var v u128.U128
	for i := n - 1; i >= 0; i-- {
		v.Hi = v.Hi<<8 | v.Lo>>56
		v.Lo = v.Lo<<8 | uint64(b[i])
	}
	if b[n-1] == 0 || (n == 4 && v.Lo < 1<<30) {
		d.Fail(ErrMalformed, "compact integer longer than necessary")
		return u128.U128{}
	}
	return v
}

// CompactBig reads a compact integer of any size (up to 536 bits).
func (d *Decoder) CompactBig() *big.Int {
	if d.Left() > 0 && d.err == nil {
		if first := d.buf[d.pos]; first&3 == 3 && first>>2 > 12 {
			d.pos++
			le := d.View(int(first>>2) + 4)
			if le == nil {
				return new(big.Int)
			}
			if le[len(le)-1] == 0 {
				d.Fail(ErrMalformed, "compact integer longer than necessary")
				return new(big.Int)
			}
			be := make([]byte, len(le))
			for i, x := range le {
				be[len(le)-1-i] = x
			}
			return new(big.Int).SetBytes(be)
		}
	}
	return d.CompactU128().Big()
}

func (d *Decoder) atLeast(v, least uint64) uint64 {
	if v < least {
		d.Fail(ErrMalformed, "compact integer longer than necessary")
		return 0
	}
	return v
}

// Len reads the length of a sequence whose elements take at least minSize bytes of input each and, when minSize is zero, one
// unit of the memory budget each. A length that the rest of the input cannot hold is malformed, so the result is safe to
// allocate for elements that are not much larger in memory than on the wire; charge larger ones.
func (d *Decoder) Len(minSize int) int {
	n := d.Compact()
	if d.err != nil {
		return 0
	}
	if minSize <= 0 {
		if n > uint64(d.alloc) {
			d.Fail(ErrLimit, "sequence too long")
			return 0
		}
		d.alloc -= int(n)
		return int(n)
	}
	if n > uint64(d.Left()/minSize) {
		d.Fail(ErrMalformed, "sequence longer than the input")
		return 0
	}
	return int(n)
}

// Bytes reads a byte string and returns a copy; an empty one is nil.
func (d *Decoder) Bytes() []byte {
	b := d.BytesView()
	if len(b) == 0 || !d.Charge(len(b), 1) {
		return nil
	}
	return append([]byte(nil), b...)
}

// BytesView reads a byte string without copying it.
func (d *Decoder) BytesView() []byte { return d.View(d.Len(1)) }

// Text reads a text, which must be UTF-8.
func (d *Decoder) Text() string {
	b := d.BytesView()
	if !d.Charge(len(b), 1) {
		return ""
	}
	if !utf8.Valid(b) {
		d.Fail(ErrMalformed, "text is not UTF-8")
		return ""
	}
	return string(b)
}
