package scale

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// TestCompactVectors uses the examples of the SCALE definition and the edges of the four forms.
func TestCompactVectors(t *testing.T) {
	for text, want := range map[string]string{
		"0": "00", "1": "04", "42": "a8", "63": "fc", "64": "0101", "69": "1501", "16383": "fdff", "16384": "02000100",
		"1073741823": "feffffff", "1073741824": "0300000040", "4294967295": "03ffffffff", "4294967296": "070000000001",
		"100000000000000":                         "0b00407a10f35a",
		"18446744073709551615":                    "13ffffffffffffffff",
		"18446744073709551616":                    "17000000000000000001",
		"340282366920938463463374607431768211455": "33ffffffffffffffffffffffffffffffff",
	} {
		v := u128.MustParse(text)
		var e Encoder
		e.CompactU128(v)
		if got := hex.EncodeToString(e.Buf); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
		d := NewDecoder(e.Buf)
		if got := d.CompactU128(); got != v || d.Finish() != nil {
			t.Errorf("%s read back as %s, %v", want, got, d.Err())
		}
		var b Encoder
		if !b.CompactBig(v.Big()) || !bytes.Equal(b.Buf, e.Buf) {
			t.Errorf("%s as a big integer is %x", text, b.Buf)
		}
		d = NewDecoder(e.Buf)
		if got := d.CompactBig(); got.Cmp(v.Big()) != 0 || d.Finish() != nil {
			t.Errorf("%s read back as a big integer %s, %v", want, got, d.Err())
		}
	}
}

// TestRefuses gives the decoder what no encoder writes.
func TestRefuses(t *testing.T) {
	read := map[string]func(*Decoder){
		"compact": func(d *Decoder) { d.Compact() },
		"u32":     func(d *Decoder) { d.U32() },
		"c32":     func(d *Decoder) { d.CompactU32() },
		"bool":    func(d *Decoder) { d.Bool() },
		"option":  func(d *Decoder) { d.Option() },
		"bytes":   func(d *Decoder) { d.Bytes() },
		"text":    func(d *Decoder) { d.Text() },
		"len8":    func(d *Decoder) { d.Len(8) },
		"len0":    func(d *Decoder) { d.Len(0) },
		"big":     func(d *Decoder) { d.CompactBig() },
	}
	for _, k := range []struct {
		kind, in string
		want     error
	}{
		{"compact", "", ErrMalformed}, {"compact", "01", ErrMalformed}, {"compact", "0100", ErrMalformed}, {"compact", "0200", ErrMalformed},
		{"compact", "02000000", ErrMalformed}, {"compact", "0301000000", ErrMalformed}, {"compact", "070000000000", ErrMalformed},
		{"compact", "17000000000000000001", ErrMalformed}, {"compact", "ff", ErrMalformed}, {"c32", "070000000001", ErrMalformed},
		{"u32", "010203", ErrMalformed}, {"bool", "02", ErrMalformed}, {"option", "ff", ErrMalformed},
		{"bytes", "0801", ErrMalformed}, {"bytes", "03ffffffff", ErrMalformed}, {"text", "04ff", ErrMalformed},
		{"len8", "080102030405060708", ErrMalformed}, {"len0", "03ffffffff", ErrLimit},
		{"big", "ff00", ErrMalformed}, {"big", "37" + "00000000000000000000000000000000" + "00", ErrMalformed},
		{"u32", "0102030405", ErrMalformed}, // trailing
	} {
		b, err := hex.DecodeString(k.in)
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecoder(b)
		read[k.kind](d)
		if err := d.Finish(); !errors.Is(err, k.want) {
			t.Errorf("%s %s: %v, want %v", k.kind, k.in, err, k.want)
		}
	}
}

// TestLimits counts nesting and memory.
func TestLimits(t *testing.T) {
	d := NewLimitedDecoder(make([]byte, 100), 2, 50)
	for level, want := range []bool{true, true, false} {
		if got := d.Enter(); got != want {
			t.Errorf("level %d is allowed: %v", level+1, got)
		}
	}
	if !errors.Is(d.Err(), ErrLimit) {
		t.Errorf("%v", d.Err())
	}
	d = NewLimitedDecoder(make([]byte, 100), 2, 50)
	if !d.Charge(5, 10) || d.Charge(1, 1) || !errors.Is(d.Err(), ErrLimit) {
		t.Error("memory is not counted")
	}
	d = NewLimitedDecoder(nil, 2, 50)
	if d.Charge(1<<62, 1<<62) || d.Charge(-1, 1) {
		t.Error("an overflow passes")
	}
}

// TestRoundTrip writes random values and reads them back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		shift := rapid.IntRange(0, 63).Draw(t, "shift")
		text, raw := rapid.String().Draw(t, "text"), rapid.SliceOf(rapid.Byte()).Draw(t, "raw")
		large := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 67).Draw(t, "large"))
		wide := u128.U128{Hi: a, Lo: b}
		var e Encoder
		e.U8(uint8(a))
		e.U16(uint16(a))
		e.U32(uint32(a))
		e.U64(a)
		e.U128(wide)
		e.Compact(a >> shift)
		e.CompactU128(wide)
		if !e.CompactBig(large) {
			t.Fatal("too large")
		}
		e.Bool(a&1 == 1)
		e.Some()
		e.None()
		e.Text(text)
		e.Bytes(raw)
		e.Len(len(raw))
		e.Raw(raw)
		d := NewDecoder(e.Buf)
		switch {
		case d.U8() != uint8(a), d.U16() != uint16(a), d.U32() != uint32(a), d.U64() != a, d.U128() != wide,
			d.Compact() != a>>shift, d.CompactU128() != wide, d.CompactBig().Cmp(large) != 0,
			d.Bool() != (a&1 == 1), !d.Option(), d.Option(), d.Text() != text, !bytes.Equal(d.Bytes(), raw),
			d.Len(1) != len(raw), !bytes.Equal(d.View(len(raw)), raw):
			t.Fatalf("differs at byte %d: %v", d.Pos(), d.Err())
		}
		if err := d.Finish(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDecoder reads arbitrary bytes in every way: no panic, no more memory than the input justifies, and what is read as a
// compact integer is written back to the same bytes.
func FuzzDecoder(f *testing.F) {
	for _, s := range []string{"", "00", "fc", "0101", "fdff", "02000100", "13ffffffffffffffff", "33ffffffffffffffffffffffffffffffff", "ff00"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDecoder(b)
		if v := d.CompactBig(); d.Err() == nil {
			var e Encoder
			if !e.CompactBig(v) || !bytes.Equal(e.Buf, b[:d.Pos()]) {
				t.Fatalf("%x -> %s -> %x", b[:d.Pos()], v, e.Buf)
			}
		}
		for _, read := range []func(*Decoder){
			func(d *Decoder) { d.Bytes() }, func(d *Decoder) { d.Text() }, func(d *Decoder) { d.U128() },
			func(d *Decoder) { d.Bool() }, func(d *Decoder) { d.CompactU32() },
			func(d *Decoder) { _ = make([]byte, d.Len(0)) }, func(d *Decoder) { _ = make([]byte, d.Len(3)) },
		} {
			d := NewLimitedDecoder(b, 4, 1<<16)
			read(d)
			if err := d.Finish(); err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkCompact(b *testing.B) {
	var e Encoder
	for i := range uint64(64) {
		e.Compact(1 << i)
	}
	b.ReportAllocs()
	for b.Loop() {
		d := NewDecoder(e.Buf)
		for range 64 {
			d.Compact()
		}
		if d.Finish() != nil {
			b.Fatal(d.Err())
		}
	}
}

func Example() {
	var e Encoder
	e.U32(128001)
	e.Text("subnet-1")
	e.Compact(100)
	d := NewDecoder(e.Buf)
	fmt.Println(d.U32(), d.Text(), d.Compact(), d.Finish())
	// Output: 128001 subnet-1 100 <nil>
}
