package msgpack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

var corpus = []string{
	"", "\xc0", "\x93\x01\xa1a\xc4\x01b", "\xd6\x40\x92\xa1a\x01", "\x82\xa1a\x01\xa1b\x02", "\xc7\x03\x51abc", "\xdd\xff\xff\xff\xff",
	"\xc7\x14\x50\x93\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\xcb\xff\xf0\x00\x00\x00\x00\x00\x00\x90", "\xd9\x01a", "\x81\x01\x02",
}

func FuzzUnmarshal(f *testing.F) {
	for _, c := range corpus {
		f.Add([]byte(c), false)
		f.Add([]byte(c), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, anyKey bool) {
		limits := msgpack.Limits{AnyKey: anyKey, Depth: 16, Elements: 4096}
		v, err := msgpack.UnmarshalLimited(data, limits)
		if valid := msgpack.Valid(data, limits); (valid == nil) != (err == nil) {
			t.Fatalf("Unmarshal: %v, Valid: %v", err, valid)
		}
		if err != nil {
			return
		}
		packed, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		if len(packed) > len(data)+4*len(data) { // float32 doubles, nothing else grows much
			t.Fatalf("%d bytes became %d", len(data), len(packed))
		}
		again, err := msgpack.UnmarshalLimited(packed, limits)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again, cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// anyValue draws values as the decoder returns them.
func anyValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 7
		if depth > 0 {
			kinds = 11
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Int64().Draw(t, "int")
		case 3:
			return rapid.Uint64Range(1<<63, 1<<64-1).Draw(t, "uint")
		case 4:
			return rapid.Float64().Draw(t, "float")
		case 5:
			return rapid.String().Draw(t, "text")
		case 6:
			return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")...)
		case 7:
			return append([]any{}, rapid.SliceOfN(anyValue(depth-1), 0, 20).Draw(t, "list")...)
		case 8:
			return append(msgpack.Tuple{}, rapid.SliceOfN(anyValue(depth-1), 0, 5).Draw(t, "tuple")...)
		case 9:
			return msgpack.Ext{Code: 0x51, Data: append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "ext")...)}
		}
		keys := rapid.SliceOfNDistinct(rapid.String(), 0, 20, rapid.ID).Draw(t, "keys")
		m := make(msgpack.Map, len(keys))
		for i, k := range keys {
			m[i] = msgpack.Entry{Key: k, Value: anyValue(depth-1).Draw(t, "value")}
		}
		return m
	})
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyValue(3).Draw(t, "v")
		packed, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		back, err := msgpack.Unmarshal(packed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, back, cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
		if err := msgpack.Valid(packed, msgpack.Limits{}); err != nil {
			t.Fatal(err)
		}
		for cut := range packed {
			if err := msgpack.Valid(packed[:cut], msgpack.Limits{}); err == nil {
				t.Fatalf("valid when cut to %d of %d bytes", cut, len(packed))
			}
		}
	})
}
