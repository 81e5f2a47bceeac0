package msgpack_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the Python mesh writes for these values.
func TestGoldenVectors(t *testing.T) {
	type (
		list  = []any
		tuple = msgpack.Tuple
		obj   = msgpack.Map
	)
	for _, c := range []struct {
		name  string
		value any
		hex   string
	}{
		{"text", "heartbeat", "a9686561727462656174"},
		{"empty text", "", "a0"},
		{"zero", int64(0), "00"},
		{"seven", int64(7), "07"},
		{"127", int64(127), "7f"},
		{"128", int64(128), "cc80"},
		{"255", int64(255), "ccff"},
		{"256", int64(256), "cd0100"},
		{"65536", int64(65536), "ce00010000"},
		{"2^32", int64(1 << 32), "cf0000000100000000"},
		{"max", uint64(math.MaxUint64), "cfffffffffffffffff"},
		{"-1", int64(-1), "ff"},
		{"-32", int64(-32), "e0"},
		{"-33", int64(-33), "d0df"},
		{"-128", int64(-128), "d080"},
		{"-129", int64(-129), "d1ff7f"},
		{"-32769", int64(-32769), "d2ffff7fff"},
		{"min", int64(math.MinInt64), "d38000000000000000"},
		{"float", 3.5, "cb400c000000000000"},
		{"whole float", 1.0, "cb3ff0000000000000"},
		{"none", nil, "c0"},
		{"true", true, "c3"},
		{"false", false, "c2"},
		{"bytes", []byte("ab"), "c4026162"},
		{"empty bytes", []byte{}, "c400"},
		{"tuple", tuple{"a", int64(1)}, "d64092a16101"},
		{"list", list{"a", int64(1)}, "92a16101"},
		{"empty tuple", tuple{}, "d44090"},
		{"empty list", list{}, "90"},
		{"map", obj{{Key: "a", Value: int64(1)}}, "81a16101"},
		{"nested tuple", tuple{tuple{int64(1)}, list{tuple{}}}, "c7094092d540910191d44090"},
		{
			"heartbeat",
			tuple{int64(2), "validator", 1.0, obj{
				{Key: "public_name", Value: nil}, {Key: "version", Value: "1.0.0"}, {Key: "using_relay", Value: false},
				{Key: "next_pings", Value: obj{}},
			}},
			"c74a409402a976616c696461746f72cb3ff000000000000084ab7075626c69635f6e616d65c0a776657273696f6ea5312e302e30" +
				"ab7573696e675f72656c6179c2aa6e6578745f70696e677380",
		},
		{"other extension", msgpack.Ext{Code: 0x51, Data: []byte{1, 2, 3}}, "c70351010203"},
		{"timestamp", msgpack.Ext{Code: -1, Data: []byte{0, 0, 0, 1}}, "d6ff00000001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			packed, err := msgpack.Marshal(c.value)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(packed); got != c.hex {
				t.Errorf("packed %s, want %s", got, c.hex)
			}
			back, err := msgpack.Unmarshal(unhex(t, c.hex))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.value, back); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHeadersAtTheirLimits(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		text, list, obj := strings.Repeat("x", n), make([]any, n), make(msgpack.Map, n)
		for i := range obj {
			obj[i] = msgpack.Entry{Key: hex.EncodeToString([]byte{byte(i >> 16), byte(i >> 8), byte(i)}), Value: nil}
		}
		for _, v := range []any{text, []byte(text), list, msgpack.Tuple(list), obj, msgpack.Ext{Code: 5, Data: []byte(text)}} {
			packed, err := msgpack.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			limits := msgpack.Limits{Elements: 1 << 20}
			back, err := msgpack.UnmarshalLimited(packed, limits)
			if err != nil {
				t.Fatalf("%T of %d: %v", v, n, err)
			}
			if diff := cmp.Diff(v, back); diff != "" {
				t.Fatal(diff)
			}
			if err := msgpack.Valid(packed, limits); err != nil {
				t.Errorf("%T of %d: %v", v, n, err)
			}
		}
	}
}

func TestGoTypes(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{int8(-1), "ff"}, {int16(-1), "ff"}, {int32(-1), "ff"}, {-1, "ff"},
		{uint8(200), "ccc8"}, {uint16(1), "01"}, {uint32(1), "01"}, {uint(1), "01"}, {uint64(1), "01"},
		{float32(0.5), "cb3fe0000000000000"},
		{map[string]any{"b": 1, "a": 2}, "82a16102a16201"},
		{msgpack.Raw{0x93, 1, 2, 3}, "93010203"},
	} {
		got, err := msgpack.Marshal(c.v)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%T: %x, %v; want %s", c.v, got, err, c.want)
		}
	}
}

func TestWhatCannotBePacked(t *testing.T) {
	loop := make([]any, 1)
	loop[0] = loop
	for _, c := range []struct {
		v    any
		want error
	}{
		{struct{}{}, msgpack.ErrType},
		{[]any{map[int]int{}}, msgpack.ErrType},
		{complex(1, 1), msgpack.ErrType},
		{"\xff", msgpack.ErrText},
		{loop, msgpack.ErrTooDeep},
		{msgpack.Raw{0x92, 1}, msgpack.ErrTruncated},
		{msgpack.Ext{Code: msgpack.CodeTuple}, msgpack.ErrType},
	} {
		dst := []byte{1}
		got, err := msgpack.Append(dst, c.v)
		if !errors.Is(err, c.want) || !bytes.Equal(got, dst) {
			t.Errorf("%T: %x, %v; want %v", c.v, got, err, c.want)
		}
	}
}

func TestBadInput(t *testing.T) {
	for _, c := range []struct {
		name string
		hex  string
		want error
	}{
		{"nothing", "", msgpack.ErrTruncated},
		{"trailing byte", "c000", msgpack.ErrTrailing},
		{"reserved", "c1", msgpack.ErrReserved},
		{"short text", "a261", msgpack.ErrTruncated},
		{"text that is not UTF-8", "a1ff", msgpack.ErrText},
		{"huge text", "dbffffffff61", msgpack.ErrTruncated},
		{"huge list", "ddffffffff00", msgpack.ErrTooMany},
		{"huge map", "dfffffffff00", msgpack.ErrTooMany},
		{"list longer than the input", "dc0fff00", msgpack.ErrTruncated},
		{"extension without code", "c700", msgpack.ErrTruncated},
		{"short extension", "c7055001", msgpack.ErrTruncated},
		{"tuple of no list", "d44001", msgpack.ErrTuple},
		{"tuple with more than its list", "d5409001", msgpack.ErrTuple},
		{"tuple list reaching beyond", "d44091", msgpack.ErrTruncated},
		{"empty tuple payload", "c70040", msgpack.ErrTruncated},
		{"number as map key", "810102", msgpack.ErrKey},
		{"tuple as map key", "81d4409001", msgpack.ErrKey},
		{"key twice", "82a16101a16102", msgpack.ErrRepeated},
		{"key twice in two spellings", "82a16101d9016102", msgpack.ErrRepeated},
		{"half a float", "cb0000", msgpack.ErrTruncated},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := unhex(t, c.hex)
			if v, err := msgpack.Unmarshal(data); !errors.Is(err, c.want) {
				t.Errorf("read %v, %v; want %v", v, err, c.want)
			}
			if err := msgpack.Valid(data, msgpack.Limits{}); !errors.Is(err, c.want) {
				t.Errorf("valid: %v; want %v", err, c.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x91}, 33), 0xc0)
	if _, err := msgpack.Unmarshal(deep[1:]); err != nil {
		t.Errorf("32 deep: %v", err)
	}
	if _, err := msgpack.Unmarshal(deep); !errors.Is(err, msgpack.ErrTooDeep) {
		t.Errorf("33 deep: %v", err)
	}
	if _, err := msgpack.UnmarshalLimited([]byte{0x91, 0x91, 0xc0}, msgpack.Limits{Depth: 1}); !errors.Is(err, msgpack.ErrTooDeep) {
		t.Errorf("2 deep of 1: %v", err)
	}
	if _, err := msgpack.UnmarshalLimited([]byte{0x92, 0x91, 0, 0x91, 0}, msgpack.Limits{Elements: 3}); !errors.Is(err, msgpack.ErrTooMany) {
		t.Errorf("4 elements of 3: %v", err)
	}
	if _, err := msgpack.UnmarshalLimited(make([]byte, 11), msgpack.Limits{Bytes: 10}); !errors.Is(err, msgpack.ErrTooLong) {
		t.Errorf("11 bytes of 10: %v", err)
	}
	if v, err := msgpack.UnmarshalLimited([]byte{0x81, 1, 2}, msgpack.Limits{AnyKey: true}); err != nil {
		t.Errorf("any key: %v, %v", v, err)
	}
}

// A hostile header must not make the reader allocate what it announces.
func TestAnnouncedSizesAllocateNothing(t *testing.T) {
	data := []byte{0xdd, 0, 0, 0xff, 0xff, 0xc0} // 65,535 items in 6 bytes
	if n := testing.AllocsPerRun(10, func() { _, _ = msgpack.Unmarshal(data) }); n > 5 {
		t.Errorf("%v allocations", n)
	}
}

func TestScanner(t *testing.T) {
	data := unhex(t, "9407c40161cb3ff0000000000000c70151aa")
	s := msgpack.NewScanner(data, msgpack.Limits{})
	if n, err := s.List(); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if f, err := s.Number(); f != 7 || err != nil {
		t.Fatal(f, err)
	}
	if b, err := s.Bytes(); string(b) != "a" || err != nil {
		t.Fatal(b, err)
	}
	if b, err := s.Raw(); len(b) != 9 || err != nil {
		t.Fatal(b, err)
	}
	if code, b, err := s.Ext(); code != 0x51 || len(b) != 1 || err != nil {
		t.Fatal(code, b, err)
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bytes(); !errors.Is(err, msgpack.ErrTruncated) {
		t.Fatal(err)
	}
	s = msgpack.NewScanner(data, msgpack.Limits{})
	if _, err := s.Bytes(); !errors.Is(err, msgpack.ErrKind) {
		t.Fatal(err)
	}
	if _, err := s.List(); !errors.Is(err, msgpack.ErrKind) {
		t.Error("an error must stay:", err)
	}
}
