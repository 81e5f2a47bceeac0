package record_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

func shape(t testing.TB, text string) *record.Shape {
	t.Helper()
	s, err := record.ParseShape([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func schema(t testing.TB, config record.SchemaConfig) *record.Schema {
	t.Helper()
	s, err := record.NewSchema(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func field(t testing.TB, name string, sub any, value any) record.Record {
	t.Helper()
	return record.Record{Key: record.KeyOf(name), Subkey: subkey(t, sub), Value: pack(t, value), Expiration: in(time.Minute)}
}

func TestSchemaOfAnApplication(t *testing.T) {
	alice := ed25519Node(t, 1)
	config := record.SchemaConfig{Fields: []record.Field{
		{Name: "experiment_name", Value: shape(t, `{"type": "bytes"}`)},
		{Name: "n_batches", Subkey: shape(t, `{"type": "bytes"}`), Value: shape(t, `{"type": "integer", "minimum": 0}`)},
		{Name: "signed", Subkey: record.OwnerName(), Value: shape(t, `{"type": "bytes"}`)},
		{Name: "rate", Value: shape(t, `{"type": "float"}`)},
	}}
	for _, extra := range []bool{false, true} {
		config.AllowExtra = extra
		chain := record.NewChain(schema(t, config))
		for _, c := range []struct {
			name       string
			sub, value any
			ok         bool
		}{
			{"experiment_name", nil, []byte("foo"), true},
			{"experiment_name", nil, "foo", false}, // text is not bytes
			{"experiment_name", nil, 666, false},
			{"experiment_name", []byte("sub"), []byte("foo"), false}, // has no subkeys
			{"n_batches", []byte("peer"), 3, true},
			{"n_batches", []byte("peer"), -3, false},
			{"n_batches", []byte("peer"), 3.0, false}, // a float is no integer
			{"n_batches", []byte("peer"), "3", false},
			{"n_batches", []byte("peer"), true, false}, // nor is a boolean
			{"n_batches", "peer", 3, false},            // a subkey of text
			{"n_batches", 3, 3, false},
			{"n_batches", nil, 3, false},                                                  // needs a subkey
			{"n_batches", nil, msgpack.Map{{Key: []byte("peer"), Value: 3}}, false},       // a dictionary in disguise
			{"signed", alice.name(), []byte("x"), true},                                   //
			{"signed", string(alice.name()), []byte("x"), true},                           //
			{"signed", []byte("no owner"), []byte("x"), false},                            //
			{"signed", []byte("[owner:x]"), []byte("x"), false},                           //
			{"signed", alice.name(), "x", false},                                          //
			{"rate", nil, 1.0, true},                                                      //
			{"rate", nil, 1, false},                                                       // an integer is no float
			{"unknown", nil, 1, extra},                                                    //
			{"unknown", "sub", 1, extra},                                                  //
			{"Experiment_name", nil, []byte("foo"), extra},                                //
			{"prefix_experiment_name", nil, []byte("foo"), extra},                         //
			{"n_batches", []byte("peer"), uint64(1 << 63), true},                          //
			{"n_batches", msgpack.Tuple{[]byte("peer")}, 1, false},                        //
			{"experiment_name", nil, msgpack.Tuple{[]byte("foo")}, false},                 //
			{"experiment_name", nil, nil, false},                                          //
			{"experiment_name", nil, msgpack.Ext{Code: 0x51, Data: []byte("foo")}, false}, //
		} {
			r := field(t, c.name, c.sub, c.value)
			for _, q := range []record.Request{post("x"), answer("x")} {
				if err := chain.Validate(r, q); c.ok {
					if err != nil {
						t.Errorf("%s[%v] = %v: %v", c.name, c.sub, c.value, err)
					}
				} else {
					refused(t, err, record.SideSender, record.CodeSchema)
				}
			}
			if _, err := chain.Sign(r); (err == nil) != c.ok && c.name[0] != 'u' && c.name[0] != 'E' && c.name[0] != 'p' {
				t.Errorf("%s[%v] = %v: sign: %v", c.name, c.sub, c.value, err)
			}
		}
	}
}

func TestSchemaPrefix(t *testing.T) {
	chain := record.NewChain(schema(t, record.SchemaConfig{Prefix: "run1", Fields: []record.Field{{Name: "x", Value: shape(t, `{"type": "integer"}`)}}}))
	accepted(t, chain.Validate(field(t, "run1_x", nil, 1), post("x")))
	refused(t, chain.Validate(field(t, "run1_x", nil, "1"), post("x")), record.SideSender, record.CodeSchema)
	refused(t, chain.Validate(field(t, "x", nil, 1), post("x")), record.SideSender, record.CodeSchema)
}

func TestSchemasMerge(t *testing.T) {
	one := schema(t, record.SchemaConfig{Fields: []record.Field{{Name: "a", Value: shape(t, `{"type": "integer"}`)}, {Name: "b", Value: shape(t, `{"type": "integer"}`)}}})
	two := schema(t, record.SchemaConfig{Fields: []record.Field{{Name: "a", Value: shape(t, `{"type": "string"}`)}, {Name: "c"}}})
	chain := record.NewChain(one, two)
	if n := len(chain.Validators()); n != 1 {
		t.Fatalf("%d schemas", n)
	}
	for _, c := range []struct {
		name  string
		value any
		ok    bool
	}{{"a", 1, true}, {"a", "x", true}, {"a", 1.0, false}, {"b", 1, true}, {"b", "x", false}, {"c", []any{}, true}, {"d", 1, false}} {
		if err := chain.Validate(field(t, c.name, nil, c.value), post("x")); (err == nil) != c.ok {
			t.Errorf("%s = %v: %v", c.name, c.value, err)
		}
	}
	if err := record.NewChain(one).Validate(field(t, "a", nil, "x"), post("x")); err == nil {
		t.Error("merging changed the first schema")
	}
	open := chain.With(schema(t, record.SchemaConfig{AllowExtra: true}))
	accepted(t, open.Validate(field(t, "d", nil, 1), post("x")))
	refused(t, open.Validate(field(t, "b", nil, "x"), post("x")), record.SideSender, record.CodeSchema)
	if _, ok := one.Merge(record.NewBounds(record.BoundsConfig{})); ok {
		t.Error("merged with bounds")
	}
}

func TestSchemaOfNumberedKeys(t *testing.T) {
	s := schema(t, record.SchemaConfig{Epochs: 2, Fields: []record.Field{{Name: "scores_{epoch}", Value: shape(t, `{"type": "integer"}`)}}})
	chain := record.NewChain(s)
	for epoch, ok := range map[uint32]bool{4: false, 5: true, 6: true, 7: true, 8: false} {
		r := field(t, fmt.Sprint("scores_", epoch), nil, 1)
		if err := chain.Validate(r, at(post("x"), 7, 0)); (err == nil) != ok {
			t.Errorf("epoch %d: %v", epoch, err)
		}
		r.Value = pack(t, "x")
		if err := chain.Validate(r, at(post("x"), 7, 0)); err == nil {
			t.Errorf("epoch %d: text accepted", epoch)
		}
	}
	accepted(t, chain.Validate(field(t, "scores_0", nil, 1), at(post("x"), 0, 0)))
	refused(t, chain.Validate(field(t, "scores_7", nil, 1), post("x")), record.SideSender, record.CodeSchema) // epoch unknown
	if _, err := record.NewSchema(record.SchemaConfig{Fields: []record.Field{{}}}); err == nil {
		t.Error("a field without name")
	}
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		shape   string
		match   []any
		nomatch []any
	}{
		{`true`, []any{nil, 1, "x"}, nil},
		{`false`, nil, []any{nil, 1, "x"}},
		{`{}`, []any{nil, 1, "x", []any{}}, nil},
		{`{"type": "null"}`, []any{nil}, []any{false, 0, ""}},
		{`{"type": "boolean"}`, []any{true, false}, []any{nil, 0, 1}},
		{`{"type": "number"}`, []any{1, 1.5, -1}, []any{true, "1"}},
		{`{"type": ["string", "null"]}`, []any{nil, "x"}, []any{[]byte("x")}},
		{`{"type": "tuple"}`, []any{msgpack.Tuple{1}}, []any{[]any{1}}},
		{`{"type": "array"}`, []any{[]any{1}}, []any{msgpack.Tuple{1}}},
		{`{"type": "integer", "exclusiveMinimum": 0, "maximum": 5}`, []any{1, 5}, []any{0, 6, 2.0}},
		{`{"minimum": 0.5, "exclusiveMaximum": 2}`, []any{0.5, 1, 1.99, "text is not bounded"}, []any{0, 2, 2.0, nan}},
		{`{"type": "string", "minLength": 2, "maxLength": 3}`, []any{"ab", "äöü"}, []any{"a", "abcd"}},
		{`{"type": "bytes", "maxLength": 2}`, []any{[]byte("ab")}, []any{[]byte("äb")}},
		{`{"type": "string", "pattern": "^a+$"}`, []any{"aa"}, []any{"ab", ""}},
		{`{"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}`, []any{[]any{1}, []any{1, 2}}, []any{[]any{}, []any{1, 2, 3}, []any{"x"}}},
		{
			`{"type": "tuple", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": false, "minItems": 2}`,
			[]any{msgpack.Tuple{1, "a"}},
			[]any{msgpack.Tuple{1}, msgpack.Tuple{1, 2}, msgpack.Tuple{1, "a", 1}, []any{1, "a"}},
		},
		{
			`{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false}`,
			[]any{msgpack.Map{{Key: "a", Value: 1}}},
			[]any{msgpack.Map{}, msgpack.Map{{Key: "a", Value: "x"}}, msgpack.Map{{Key: "a", Value: 1}, {Key: "b", Value: 1}}, msgpack.Map{{Key: []byte("a"), Value: 1}}},
		},
		{
			`{"additionalProperties": {"type": "float"}, "maxProperties": 2}`,
			[]any{msgpack.Map{{Key: "a", Value: 1.0}}, 7},
			[]any{msgpack.Map{{Key: "a", Value: 1}}, msgpack.Map{{Key: "a", Value: 1.0}, {Key: "b", Value: 1.0}, {Key: "c", Value: 1.0}}},
		},
		{`{"enum": [1, "a", null, 1.5, [2], {"bytes": "YWI="}]}`, []any{1, "a", nil, 1.5, []any{2}, []byte("ab")}, []any{2, 1.0, "b", []any{}, "ab"}},
		{`{"const": 1.0}`, []any{1.0}, []any{1}},
		{`{"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]}`, []any{1, "a"}, []any{"ab", 1.0}},
		{`{"allOf": [{"minimum": 1}, {"maximum": 2}]}`, []any{1, 2}, []any{0, 3}},
		{`{"title": "x", "description": "y", "$schema": "z", "default": 1, "examples": [], "$id": "a", "$comment": "b"}`, []any{1}, nil},
	} {
		s := shape(t, c.shape)
		for _, v := range c.match {
			if err := s.MatchPacked(pack(t, v)); err != nil {
				t.Errorf("%s refuses %v: %v", c.shape, v, err)
			}
		}
		for _, v := range c.nomatch {
			if err := s.MatchPacked(pack(t, v)); err == nil {
				t.Errorf("%s admits %v", c.shape, v)
			}
		}
	}
}

// A rule that is not understood must not be dropped.
func TestShapesThatAreNotUnderstood(t *testing.T) {
	for _, text := range []string{
		``, `7`, `[]`, `{"tpye": "integer"}`, `{"type": "int"}`, `{"type": 7}`, `{"type": "extension"}`, `{"oneOf": []}`, `{"not": {}}`, `{"format": "date"}`,
		`{"minLength": -1}`, `{"minLength": "1"}`, `{"pattern": "("}`, `{"pattern": 1}`, `{"anyOf": []}`, `{"anyOf": [1]}`, `{"anyOf": {}}`, `{"items": 3}`,
		`{"properties": {"a": {"x": 1}}}`, `{"properties": []}`, `{"enum": []}`, `{"enum": 1}`, `{"enum": [{"a": 1}]}`, `{"const": {}}`, `{"minimum": "1"}`,
		`{"minimum": 1, "exclusiveMinimum": 2}`, `{"minItems": 1, "minLength": 2}`, `{"enum": [1], "const": 1}`, `{"required": "a"}`, `{"additionalProperties": 1}`,
		`{"const": 99999999999999999999}`, `{"const": [99999999999999999999]}`, `{"owner": 1}`,
		strings.Repeat(`{"items": `, 40) + `{}` + strings.Repeat(`}`, 40),
	} {
		if s, err := record.ParseShape([]byte(text)); err == nil {
			t.Errorf("%s became %v", text, s)
		}
	}
}

func TestShapesOfGoTypes(t *testing.T) {
	type inner struct {
		N int8 `msgpack:"n"`
	}
	type value struct {
		Name  string             `msgpack:"name"`
		Tags  []string           `msgpack:"tags,omitempty"`
		Hash  [2]byte            `msgpack:"hash"`
		Big   uint64             `msgpack:"big"`
		Small int64              `msgpack:"small"`
		Rates map[string]float32 `msgpack:"rates"`
		Maybe *inner             `msgpack:"maybe"`
		Any   any
		Pair  msgpack.Tuple
		Map   msgpack.Map
		Flag  bool
		Three [3]int
		Skip  func() `msgpack:"-"`
		local chan int
	}
	_ = value{}.local
	s, err := record.ShapeOf[value]()
	if err != nil {
		t.Fatal(err)
	}
	good := func() map[string]any {
		return map[string]any{
			"name": "x", "tags": []any{"a"}, "hash": []byte{1, 2}, "big": uint64(1 << 63), "small": int64(-1 << 63), "rates": map[string]any{"a": 1.0},
			"maybe": map[string]any{"n": -128}, "Any": 7, "Pair": msgpack.Tuple{}, "Map": msgpack.Map{}, "Flag": true, "Three": []any{1, 2, 3},
		}
	}
	if err := s.MatchPacked(pack(t, good())); err != nil {
		t.Error(err)
	}
	for _, change := range []map[string]any{
		{"name": []byte("x")}, {"tags": []any{1}}, {"hash": []byte{1}}, {"hash": []any{1, 2}}, {"big": -1}, {"big": 1.0}, {"small": uint64(1 << 63)},
		{"rates": map[string]any{"a": 1}}, {"maybe": map[string]any{"n": 128}}, {"maybe": map[string]any{}}, {"maybe": map[string]any{"n": 1, "m": 1}},
		{"Pair": []any{}}, {"Map": []any{}}, {"Flag": 1}, {"Three": []any{1, 2}}, {"unknown": 1}, {"Skip": 1}, {"name": nil},
	} {
		v := good()
		for k, x := range change {
			v[k] = x
		}
		if err := s.MatchPacked(pack(t, v)); err == nil {
			t.Errorf("%v admitted", change)
		}
	}
	for _, name := range []string{"name", "Any", "Three"} {
		v := good()
		delete(v, name)
		if err := s.MatchPacked(pack(t, v)); err == nil {
			t.Errorf("admitted without %s", name)
		}
	}
	v := good()
	delete(v, "tags")
	v["maybe"] = nil
	if err := s.MatchPacked(pack(t, v)); err != nil {
		t.Error(err)
	}
	if err := record.AnyOf(s, record.Anything()).Match(int64(1)); err != nil {
		t.Error(err)
	}
	if err := s.MatchPacked([]byte{0xc1}); err == nil {
		t.Error("no value")
	}
	type loop struct{ Next *loop }
	if _, err := record.ShapeOf[loop](); err == nil {
		t.Error("a type that contains itself")
	}
	if _, err := record.ShapeOf[chan int](); err == nil {
		t.Error("a channel")
	}
	if _, err := record.ShapeOf[map[int]int](); err == nil {
		t.Error("keys that are no text")
	}
	if _, err := record.ShapeOf[struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}](); err == nil {
		t.Error("one name twice")
	}
}
