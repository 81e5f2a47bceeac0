package record_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

func TestDictionaryGoldenVectors(t *testing.T) {
	for _, c := range []struct {
		name string
		d    record.Dictionary
		hex  string
	}{
		{
			"two entries",
			record.Dictionary{Latest: 2000.25, Entries: []record.Entry{
				{Subkey: pack(t, "k1"), Value: pack(t, 123), Expiration: 1000.5},
				{Subkey: pack(t, []byte("k2")), Value: pack(t, "x"), Expiration: 2000.25},
			}},
			"c7365093cb7ff0000000000000cb409f4100000000009293a26b31c4017bcb408f44000000000093c4026b32c402a178cb409f410000000000",
		},
		{
			"bounded",
			record.Dictionary{MaxSize: 8, Latest: 1000, Entries: []record.Entry{{Subkey: pack(t, "k1"), Value: []byte{1}, Expiration: 1000}}},
			"c71c509308cb408f4000000000009193a26b31c40101cb408f400000000000",
		},
		{"empty", record.Dictionary{}, "c7145093cb7ff0000000000000cbfff000000000000090"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hex.EncodeToString(c.d.Append(nil)); got != c.hex {
				t.Errorf("packed %s", got)
			}
			d, skipped, err := record.ParseDictionary(unhex(t, c.hex), record.DictionaryLimits{})
			if err != nil || len(skipped) > 0 {
				t.Fatal(skipped, err)
			}
			if len(d.Entries) == 0 {
				d.Entries = nil
			}
			if diff := cmp.Diff(c.d, d); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// dictionary packs entries that need not be valid.
func dictionary(t *testing.T, entries ...any) []byte {
	t.Helper()
	return pack(t, msgpack.Ext{Code: msgpack.CodeDictionary, Data: pack(t, []any{math.Inf(1), 1.0, entries})})
}

// One bad entry must not cost the others: in the original it refused, or stopped, the whole dictionary.
func TestOneBadSubkeyNeverAffectsAnother(t *testing.T) {
	good := func(k any) []any { return []any{k, []byte{1}, 1000.0} }
	data := dictionary(
		t, good("a"),
		[]any{nil, []byte{1}, 1000.0},                      // no subkey
		[]any{[]any{}, []byte{1}, 1000.0},                  // not hashable in Python
		[]any{msgpack.Raw{0xcc, 1}, []byte{1}, 1000.0},     // not the shortest form
		[]any{"x", "text", 1000.0},                         // value is not bytes
		[]any{"x", []byte{1}, math.NaN()},                  // never expires
		[]any{"x", []byte{1}, math.Inf(1)},                 // never expires
		[]any{"x", []byte{1}, "soon"},                      // no time
		[]any{"x", []byte{1}}, []any{"x", []byte{1}, 1, 1}, // wrong number of fields
		7,         // no entry at all
		good("a"), // again
		good("b"),
	)
	d, skipped, err := record.ParseDictionary(data, record.DictionaryLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Entries) != 2 || len(skipped) != 11 {
		t.Fatalf("%d entries, skipped %v", len(d.Entries), skipped)
	}
	for _, err := range skipped {
		refused(t, err, record.SideSender, record.CodeMalformed)
	}

	// The same for records that a validator refuses: each is judged and stored on its own.
	alice, bob := ed25519Node(t, 1), ed25519Node(t, 2)
	chain := record.NewChain(alice.sig)
	forged := alice.signed(t, record.HeartbeatKey(), pack(t, 1), in(60e9))
	forged.Value = slices.Concat(forged.Value[:len(forged.Value)-2], []byte("A]"))
	whole := record.Dictionary{Entries: []record.Entry{
		{Subkey: forged.Subkey, Value: forged.Value, Expiration: forged.Expiration},
		{Subkey: pack(t, "stale"), Value: pack(t, 1), Expiration: in(30e9)},
	}}
	r := bob.signed(t, record.HeartbeatKey(), pack(t, 2), in(60e9))
	whole.Entries = append(whole.Entries, record.Entry{Subkey: r.Subkey, Value: r.Value, Expiration: r.Expiration})
	s := record.NewStorage(record.StorageConfig{})
	accepted(t, s.Store(record.Record{Key: r.Key, Subkey: pack(t, "stale"), Value: pack(t, 0), Expiration: in(40e9)}, "x", start))
	stored := 0
	for _, e := range whole.Entries {
		if chain.Validate(e.Record(r.Key), post("x")) == nil && s.Store(e.Record(r.Key), "x", start) == nil {
			stored++
		}
	}
	if _, ok := s.Lookup(r.Key, r.Subkey, start); !ok || stored != 1 {
		t.Errorf("%d stored, the good one: %v", stored, ok)
	}
}

func TestDictionariesThatAreNone(t *testing.T) {
	for _, c := range []string{
		"", "c0", "c70350939090", "c7015193", "c7025090", "d45090", "c7145093cb7ff0000000000000cbfff00000000000009000",
		"c7145093a0" + "c0c0c0c0c0c0c0c0" + "cbfff000000000000090", "c7145093cb7ff0000000000000cbfff000000000000091", "c7145092cb7ff0000000000000cbfff000000000000090",
	} {
		if d, _, err := record.ParseDictionary(unhex(t, c), record.DictionaryLimits{}); err == nil {
			t.Errorf("%s: %v", c, d)
		} else {
			refused(t, err, record.SideSender, record.CodeMalformed)
		}
	}
	many := dictionary(t, []any{"a", []byte{1}, 1.0}, []any{"b", []byte{1}, 1.0})
	_, _, err := record.ParseDictionary(many, record.DictionaryLimits{Entries: 1})
	refused(t, err, record.SideSender, record.CodeTooLarge)
	_, _, err = record.ParseDictionary(many, record.DictionaryLimits{Bytes: 10})
	if err == nil {
		t.Error("size is not bounded")
	}
}

func drawDictionary(t *rapid.T) record.Dictionary {
	var d record.Dictionary
	for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 8, rapid.ID).Draw(t, "subkeys") {
		e := record.Entry{
			Subkey: []byte{byte(k)}, Value: rapid.SliceOfN(rapid.Byte(), 1, 2).Draw(t, "value"),
			Expiration: record.Expiration(rapid.IntRange(1, 4).Draw(t, "expiration")),
		}
		d.Entries = append(d.Entries, e)
		d.Latest = max(d.Latest, e.Expiration)
	}
	return d
}

// Merging is what makes replicas agree: order and repetition must not matter, and the inputs must stay.
func TestMergingDictionaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawDictionary(t), drawDictionary(t), drawDictionary(t)
		before := a.Clone()
		ab, ba := a.Merge(b), b.Merge(a)
		if diff := cmp.Diff(ab, ba); diff != "" {
			t.Fatal("not commutative:", diff)
		}
		if diff := cmp.Diff(ab.Merge(c), a.Merge(b.Merge(c))); diff != "" {
			t.Fatal("not associative:", diff)
		}
		if diff := cmp.Diff(ab, ab.Merge(ab)); diff != "" {
			t.Fatal("not idempotent:", diff)
		}
		if diff := cmp.Diff(before, a); diff != "" {
			t.Fatal("input changed:", diff)
		}
		for _, e := range slices.Concat(a.Entries, b.Entries) {
			won, ok := ab.Find(e.Subkey)
			if !ok || won.Expiration < e.Expiration || won.Expiration == e.Expiration && bytes.Compare(won.Value, e.Value) < 0 {
				t.Fatalf("%v lost to %v", e, won)
			}
		}
		back, skipped, err := record.ParseDictionary(ab.Append(nil), record.DictionaryLimits{})
		if err != nil || len(skipped) > 0 || len(back.Entries) != len(ab.Entries) {
			t.Fatal(back, skipped, err)
		}
	})
}
