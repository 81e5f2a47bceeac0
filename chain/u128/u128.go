package u128

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// U128 is an unsigned integer below 2^128. The zero value is 0; values compare with == and [U128.Cmp].
type U128 struct{ Hi, Lo uint64 }

// Size is the number of bytes of the little-endian form.
const Size = 16

// ErrSyntax is returned for text that is no decimal number below 2^128.
var ErrSyntax = errors.New("u128: not a decimal number below 2^128")

// Zero is 0.
func Zero() U128 { return U128{} }

// Max is 2^128-1.
func Max() U128 { return U128{math.MaxUint64, math.MaxUint64} }

// From64 widens x.
func From64(x uint64) U128 { return U128{0, x} }

// FromBig converts x and reports whether it is in range; nil is 0.
func FromBig(x *big.Int) (U128, bool) {
	if x == nil {
		return U128{}, true
	}
	if x.Sign() < 0 || x.BitLen() > 128 {
		return U128{}, false
	}
	var b [Size]byte
	x.FillBytes(b[:])
	return U128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}, true
}

// Parse reads a decimal number: digits only, no sign, no separators.
func Parse(s string) (U128, error) {
	if s == "" || len(s) > 39 {
		return U128{}, fmt.Errorf("%w: %.48q", ErrSyntax, s)
	}
	var x U128
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return U128{}, fmt.Errorf("%w: %.48q", ErrSyntax, s)
		}
		y, over := x.mul64(10)
		if over {
			return U128{}, fmt.Errorf("%w: %.48q", ErrSyntax, s)
		}
		if x, over = y.Add(From64(uint64(c - '0'))); over {
			return U128{}, fmt.Errorf("%w: %.48q", ErrSyntax, s)
		}
	}
	return x, nil
}

// MustParse is [Parse] for constants in code; it panics on bad text.
func MustParse(s string) U128 {
	x, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return x
}

// Big returns a new big.Int of the same value.
func (x U128) Big() *big.Int {
	var b [Size]byte
	binary.BigEndian.PutUint64(b[:8], x.Hi)
	binary.BigEndian.PutUint64(b[8:], x.Lo)
	return new(big.Int).SetBytes(b[:])
}

// String is the decimal form.
func (x U128) String() string { return string(x.append(nil)) }

func (x U128) append(dst []byte) []byte {
	if x.Hi == 0 {
		return fmt.Appendf(dst, "%d", x.Lo)
	}
	const chunk = 1e19 // the largest power of ten in a word
	q, lo := x.DivMod(From64(chunk))
	if q.Hi == 0 && q.Lo < chunk {
		return fmt.Appendf(dst, "%d%019d", q.Lo, lo.Lo)
	}
	hi, mid := q.DivMod(From64(chunk))
	return fmt.Appendf(dst, "%d%019d%019d", hi.Lo, mid.Lo, lo.Lo)
}

// Cmp orders x and y: -1, 0 or +1.
func (x U128) Cmp(y U128) int {
	if c := cmp.Compare(x.Hi, y.Hi); c != 0 {
		return c
	}
	return cmp.Compare(x.Lo, y.Lo)
}

// Less reports x < y.
func (x U128) Less(y U128) bool { return x.Cmp(y) < 0 }

// IsZero reports x == 0.
func (x U128) IsZero() bool { return x.Hi|x.Lo == 0 }

// IsUint64 reports whether x fits a word.
func (x U128) IsUint64() bool { return x.Hi == 0 }

// Uint64 returns the low word; see [U128.IsUint64].
func (x U128) Uint64() uint64 { return x.Lo }

// Add returns x+y modulo 2^128 and whether it overflowed.
func (x U128) Add(y U128) (sum U128, overflow bool) {
	lo, c := bits.Add64(x.Lo, y.Lo, 0)
	hi, c := bits.Add64(x.Hi, y.Hi, c)
	return U128{hi, lo}, c != 0
}

// Sub returns x-y modulo 2^128 and whether it went below zero.
func (x U128) Sub(y U128) (diff U128, underflow bool) {
	lo, b := bits.Sub64(x.Lo, y.Lo, 0)
	hi, b := bits.Sub64(x.Hi, y.Hi, b)
	return U128{hi, lo}, b != 0
}

// SatAdd is x+y, at most [Max].
func (x U128) SatAdd(y U128) U128 {
	if s, over := x.Add(y); !over {
		return s
	}
	return Max()
}

// SatSub is x-y, at least 0.
func (x U128) SatSub(y U128) U128 {
	if d, under := x.Sub(y); !under {
		return d
	}
	return U128{}
}

// SatMul is x*y, at most [Max].
func (x U128) SatMul(y U128) U128 {
	p := mul(x, y)
	if p[3]|p[2] != 0 {
		return Max()
	}
	return U128{p[1], p[0]}
}

func (x U128) mul64(y uint64) (U128, bool) {
	h, lo := bits.Mul64(x.Lo, y)
	over, m := bits.Mul64(x.Hi, y)
	hi, c := bits.Add64(m, h, 0)
	return U128{hi, lo}, over|c != 0
}

// MulDiv is floor(x*m/d) with the product held in 256 bits, at most [Max]; a zero d gives [Max] unless the product is 0.
func (x U128) MulDiv(m, d U128) U128 {
	p := mul(x, m)
	if p == [4]uint64{} {
		return U128{}
	}
	if d.IsZero() {
		return Max()
	}
	if p[3]|p[2] == 0 {
		return U128{p[1], p[0]}.Div(d)
	}
	top := U128{p[3], p[2]}
	if !top.Less(d) {
		return Max() // the quotient needs more than 128 bits
	}
	if d.Hi == 0 {
		_, r := bits.Div64(0, p[2], d.Lo) // top < d, so p[3] is 0
		hi, r := bits.Div64(r, p[1], d.Lo)
		lo, _ := bits.Div64(r, p[0], d.Lo)
		return U128{hi, lo}
	}
	return div256(p, d)
}

// div256 divides p by d bit by bit below the top 128 bits, which are smaller than d.
func div256(p [4]uint64, d U128) U128 {
	r := U128{p[3], p[2]}
	low := U128{p[1], p[0]}
	var q U128
	for range 128 {
		carry := r.Hi >> 63
		r = U128{r.Hi<<1 | r.Lo>>63, r.Lo<<1 | low.Hi>>63}
		low = U128{low.Hi<<1 | low.Lo>>63, low.Lo << 1}
		q = U128{q.Hi<<1 | q.Lo>>63, q.Lo << 1}
		if carry == 1 || !r.Less(d) {
			r, _ = r.Sub(d)
			q.Lo |= 1
		}
	}
	return q
}

// mul is the full product, least significant word first.
func mul(x, y U128) [4]uint64 {
	h00, l00 := bits.Mul64(x.Lo, y.Lo)
	h01, l01 := bits.Mul64(x.Lo, y.Hi)
	h10, l10 := bits.Mul64(x.Hi, y.Lo)
	h11, l11 := bits.Mul64(x.Hi, y.Hi)
	p1, c1 := bits.Add64(h00, l01, 0)
	p1, c2 := bits.Add64(p1, l10, 0)
	p2, c1 := bits.Add64(h01, h10, c1)
	p2, c2 = bits.Add64(p2, l11, c2)
	return [4]uint64{l00, p1, p2, h11 + c1 + c2}
}

// Div is floor(x/y). It panics when y is zero, as integers do.
func (x U128) Div(y U128) U128 { q, _ := x.DivMod(y); return q }

// Mod is x modulo y. It panics when y is zero, as integers do.
func (x U128) Mod(y U128) U128 { _, r := x.DivMod(y); return r }

// DivMod is quotient and remainder at once. It panics when y is zero, as integers do.
func (x U128) DivMod(y U128) (q, r U128) {
	if y.IsZero() {
		panic("u128: division by zero")
	}
	if y.Hi == 0 {
		hi, rem := x.Hi/y.Lo, x.Hi%y.Lo
		lo, rem := bits.Div64(rem, x.Lo, y.Lo)
		return U128{hi, lo}, From64(rem)
	}
	if x.Less(y) {
		return U128{}, x
	}
	// The quotient fits a word: estimate it from the top words (Hacker's Delight, divlu), then correct by at most one.
	n := uint(bits.LeadingZeros64(y.Hi))
	top := y.Hi<<n | y.Lo>>(64-n) // a shift by 64 gives 0
	est, _ := bits.Div64(x.Hi>>1, x.Hi<<63|x.Lo>>1, top)
	est >>= 63 - n
	if est != 0 {
		est--
	}
	q = From64(est)
	p, _ := y.mul64(est)
	r, _ = x.Sub(p)
	for !r.Less(y) {
		q.Lo++
		r, _ = r.Sub(y)
	}
	return q, r
}

// Float64 rounds to the nearest float64, ties to even.
func (x U128) Float64() float64 {
	if x.Hi == 0 {
		return float64(x.Lo)
	}
	// Keep 64 significant bits; fold the rest into a sticky bit, so that one rounding happens, in the conversion.
	n := uint(bits.LeadingZeros64(x.Hi))
	top := x.Hi<<n | x.Lo>>(64-n)
	if x.Lo<<n != 0 {
		top |= 1
	}
	return math.Ldexp(float64(top), int(64-n))
}

// FromFloat64 truncates toward zero, saturates at both bounds, and maps NaN to 0.
func FromFloat64(f float64) U128 {
	switch {
	case !(f >= 1): // also NaN
		return U128{}
	case f >= 0x1p128:
		return Max()
	case f < 0x1p64:
		return From64(uint64(f))
	}
	mant, exp := math.Frexp(f) // f = mant * 2^exp, 0.5 <= mant < 1, exp in 65..128
	m := uint64(mant * 0x1p64)
	shift := uint(exp - 64)
	return U128{m >> (64 - shift), m << shift}
}

// PutLE writes the 16-byte little-endian form into b, which must be long enough.
func (x U128) PutLE(b []byte) {
	_ = b[Size-1]
	binary.LittleEndian.PutUint64(b, x.Lo)
	binary.LittleEndian.PutUint64(b[8:], x.Hi)
}

// AppendLE appends the 16-byte little-endian form.
func (x U128) AppendLE(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, x.Lo)
	return binary.LittleEndian.AppendUint64(b, x.Hi)
}

// FromLE reads the 16-byte little-endian form from the front of b, which must be long enough.
func FromLE(b []byte) U128 {
	_ = b[Size-1]
	return U128{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b)}
}

// MarshalText is the decimal form; encoding/json makes a string of it.
func (x U128) MarshalText() ([]byte, error) { return x.append(nil), nil }

// UnmarshalText is [Parse].
func (x *U128) UnmarshalText(b []byte) error {
	y, err := Parse(string(b))
	if err != nil {
		return err
	}
	*x = y
	return nil
}
