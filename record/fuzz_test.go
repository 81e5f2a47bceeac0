package record_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
)

func FuzzParseDictionary(f *testing.F) {
	for _, hex := range []string{
		"c7365093cb7ff0000000000000cb409f4100000000009293a26b31c4017bcb408f44000000000093c4026b32c402a178cb409f410000000000",
		"c71c509308cb408f4000000000009193a26b31c40101cb408f400000000000",
		"c7145093cb7ff0000000000000cbfff000000000000090", "c0", "c7055093c0c090",
	} {
		f.Add(unhex(f, hex))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		d, _, err := record.ParseDictionary(data, record.DictionaryLimits{})
		if !bytes.Equal(before, data) {
			t.Fatal("input changed")
		}
		if err != nil {
			return
		}
		s := record.NewStorage(record.StorageConfig{})
		for _, e := range d.Entries {
			if e.Expiration > record.ExpirationAt(start) {
				if err := s.Store(e.Record(record.Key{1}), "x", start); err != nil {
					t.Fatalf("parsed, but not stored: %v", err)
				}
			}
		}
		again, skipped, err := record.ParseDictionary(d.Append(nil), record.DictionaryLimits{})
		if err != nil || len(skipped) > 0 || len(again.Entries) != len(d.Entries) {
			t.Fatalf("%+v became %+v, %v, %v", d, again, skipped, err)
		}
	})
}

// Whatever value and subkey come in: nothing panics, what passes has the owner's signature over the very bytes that
// reading returns, and no second form of a signed record passes.
func FuzzSignedRecord(f *testing.F) {
	alice := ed25519Node(f, 1)
	good := alice.signed(f, record.KeyOf("k"), pack(f, "v"), in(time.Minute))
	f.Add(good.Subkey, good.Value)
	f.Add(pack(f, alice.marker()+alice.marker()), good.Value)
	f.Add(pack(f, "[owner:x]"), []byte("\x01[signature:AAAA]"))
	f.Add([]byte(record.RegularTag), []byte("\xa1x[signature:AAAA]"))
	f.Add(good.Subkey, append(bytes.Clone(good.Value), good.Value...))
	chain := record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	f.Fuzz(func(t *testing.T, sub, value []byte) {
		r := record.Record{Key: good.Key, Subkey: sub, Value: value, Expiration: good.Expiration}
		got, err := chain.Open(r, answer("x"))
		owner, ownerErr := record.OwnerOf(sub)
		switch {
		case err != nil:
			return
		case ownerErr != nil:
			t.Fatal("passed with a broken marker")
		case owner == nil:
			if !bytes.Equal(got, value) {
				t.Fatal("an unprotected value was changed")
			}
		case !bytes.Equal(sub, good.Subkey) || !bytes.Equal(value, good.Value):
			t.Fatalf("a second form of a signed record passed: %q", value)
		}
	})
}

func FuzzParseShape(f *testing.F) {
	f.Add([]byte(`{"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"], "additionalProperties": false}`), []byte{0x81, 0xa1, 'a', 1})
	f.Add([]byte(`{"anyOf": [{"enum": [1, "a"]}, {"type": "tuple", "prefixItems": [{}], "items": false}]}`), []byte{1})
	f.Fuzz(func(t *testing.T, text, value []byte) {
		s, err := record.ParseShape(text)
		if err != nil {
			return
		}
		_ = s.MatchPacked(value) // must not panic
	})
}

func FuzzReveal(f *testing.F) {
	f.Add(record.RevealValue(record.Salt{1}, []byte("x")))
	f.Add(record.Commit(1, "a", record.Salt{}, nil).Value())
	f.Fuzz(func(t *testing.T, value []byte) {
		if salt, body, err := record.ParseReveal(value); err == nil {
			again := record.RevealValue(salt, body)
			if s, b, err := record.ParseReveal(again); err != nil || s != salt || !bytes.Equal(b, body) {
				t.Fatal(s, b, err)
			}
		}
		if c, err := record.ParseCommit(value); err == nil {
			if again, err := record.ParseCommit(c.Value()); err != nil || again != c {
				t.Fatal(again, err)
			}
		}
	})
}
