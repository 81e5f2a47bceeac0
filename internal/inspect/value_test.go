package inspect_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/internal/inspect"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

func TestJSONKeepsEverything(t *testing.T) {
	for _, c := range []struct {
		value any
		text  string
	}{
		{nil, `null`},
		{true, `true`},
		{int64(-7), `-7`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{2.0, `2.0`},
		{1e21, `1e+21`},
		{math.Inf(-1), `{"$float":"-Inf"}`},
		{"a<b> \"é\x9b", `"a<b> \"é` + "\uFFFD" + `"`},
		{[]byte{0, 255}, `{"$bytes":"00ff"}`},
		{[]any{int64(1), msgpack.Tuple{"x", nil}}, `[1,{"$tuple":["x",null]}]`},
		{msgpack.Ext{Code: -3, Data: []byte("z")}, `{"$ext":-3,"$bytes":"7a"}`},
		{msgpack.Map{{Key: "b", Value: int64(1)}, {Key: "a", Value: msgpack.Map{}}}, `{"b":1,"a":{}}`},
		{msgpack.Map{{Key: []byte("k"), Value: int64(1)}}, `{"$map":[[{"$bytes":"6b"},1]]}`},
		{msgpack.Map{{Key: "$bytes", Value: "no"}}, `{"$map":[["$bytes","no"]]}`},
	} {
		if s, ok := c.value.(string); ok {
			c.value = strings.ToValidUTF8(s, "\uFFFD")
		}
		packed, err := msgpack.Marshal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := inspect.ToJSON(packed)
		if err != nil || string(got) != c.text {
			t.Errorf("%#v: %s, %v; want %s", c.value, got, err, c.text)
		}
		back, err := inspect.FromJSON(got)
		if err != nil || !bytes.Equal(back, packed) {
			t.Errorf("%s reads as %x, %v; want %x", got, back, err, packed)
		}
	}
}

func TestJSONRefusals(t *testing.T) {
	for _, text := range []string{
		``, `{`, `[1`, `1 2`, `{"$bytes":"0"}`, `{"$bytes":7}`, `{"$bytes":"00","x":1}`, `{"$tuple":1}`, `{"$float":"1"}`, `{"$map":[1]}`,
		`{"$map":[[1]]}`, `{"$what":1}`, `{"$ext":64,"$bytes":"00"}`, `{"$ext":300,"$bytes":"00"}`, `{"$ext":1.5,"$bytes":""}`,
		`99999999999999999999`, strings.Repeat("[", 40) + strings.Repeat("]", 40), `{"a":1,"a":2}`, `{"$map":[[[],1]]}`,
	} {
		if packed, err := inspect.FromJSON([]byte(text)); err == nil {
			t.Errorf("%s was packed as %x", text, packed)
		}
	}
}

func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5,{"$bytes":"00"},{"$tuple":[]},null,true]}`))
	f.Add([]byte(`{"$map":[[{"$bytes":""},{"$ext":5,"$bytes":"00"}]]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		packed, err := inspect.FromJSON(text)
		if err != nil {
			return
		}
		shown, err := inspect.ToJSON(packed)
		if err != nil {
			return // a map key that only a write may have
		}
		again, err := inspect.FromJSON(shown)
		if err != nil || !bytes.Equal(again, packed) {
			t.Fatalf("%q is %x, shown as %s, which is %x, %v", text, packed, shown, again, err)
		}
	})
}

func FuzzToJSON(f *testing.F) {
	f.Add([]byte{0x81, 0xa1, 'a', 0xc7, 1, 0x40, 0x90})
	f.Add([]byte{0x93, 0xc0, 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc4, 0})
	f.Fuzz(func(t *testing.T, packed []byte) {
		shown, err := inspect.ToJSON(packed)
		if err != nil {
			return
		}
		if _, err := inspect.FromJSON(shown); err != nil && msgpack.Valid(packed, msgpack.Limits{}) == nil {
			t.Fatalf("%x is shown as %s, which cannot be read: %v", packed, shown, err)
		}
	})
}
