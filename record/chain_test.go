package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// envelope is a validator that wraps the value in bytes of its own and notes what it is asked.
type envelope struct {
	record.Passive
	name     byte
	priority int
	log      *[]string
}

func (e envelope) note(what string) { *e.log = append(*e.log, fmt.Sprintf("%s %c", what, e.name)) }

func (e envelope) Priority() int { return e.priority }

func (e envelope) Sign(r record.Record) ([]byte, error) {
	e.note("sign")
	return slices.Concat(r.Value, []byte{e.name}), nil
}

func (e envelope) Validate(r record.Record, _ record.Request) error {
	e.note("validate")
	if !bytes.HasSuffix(r.Value, []byte{e.name}) {
		return errors.New("not wrapped by me")
	}
	return nil
}

func (e envelope) Strip(r record.Record) []byte {
	e.note("strip")
	return bytes.TrimSuffix(r.Value, []byte{e.name})
}

func (e envelope) Admits(record.Record, record.Request) error {
	e.note("admits")
	return nil
}

func (e envelope) Accepted(record.Record, record.Request) { e.note("accepted") }

func plain(t testing.TB, value any) record.Record {
	return record.Record{Key: record.KeyOf("k"), Subkey: []byte(record.RegularTag), Value: pack(t, value), Expiration: in(time.Minute)}
}

func TestOrderOfValidators(t *testing.T) {
	var log []string
	a, b, c := envelope{name: 'a', priority: 1, log: &log}, envelope{name: 'b', priority: 2, log: &log}, envelope{name: 'c', priority: 2, log: &log}
	chain := record.NewChain(b, a).With(c, nil)
	r := plain(t, 1)
	signed, err := chain.Sign(r)
	if err != nil || string(signed) != "\x01abc" {
		t.Fatalf("%q, %v", signed, err)
	}
	r.Value = signed
	got, err := chain.Open(r, answer("x"))
	if err != nil || string(got) != "\x01" {
		t.Fatalf("%q, %v", got, err)
	}
	if got := chain.Strip(r); string(got) != "\x01" {
		t.Fatalf("%q", got)
	}
	accepted(t, chain.Admits(r, post("x")))
	chain.Accepted(r, post("x"))
	want := []string{
		"sign a", "sign b", "sign c",
		"validate c", "strip c", "validate b", "strip b", "validate a", "strip a",
		"strip c", "strip b", "strip a",
		"admits c", "strip c", "admits b", "strip b", "admits a", "strip a",
		"accepted c", "strip c", "accepted b", "strip b", "accepted a", "strip a",
	}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	r.Value = []byte("\x01ac")
	refused(t, chain.Validate(r, post("x")), record.SideSender, record.CodeRefused)
}

// A chain without validators still keeps out what no reader could use.
func TestShapeIsAlwaysChecked(t *testing.T) {
	var chain record.Chain
	r := plain(t, "fine")
	accepted(t, chain.Validate(r, post("x")))
	for name, change := range map[string]func(*record.Record){
		"no subkey tag":         func(r *record.Record) { r.Subkey = nil },
		"list as subkey":        func(r *record.Record) { r.Subkey = []byte{0x90} },
		"long form of subkey":   func(r *record.Record) { r.Subkey = []byte{0xcc, 1} },
		"two subkeys":           func(r *record.Record) { r.Subkey = []byte{1, 2} },
		"huge subkey":           func(r *record.Record) { r.Subkey = pack(t, make([]byte, 1<<20)) },
		"never expires":         func(r *record.Record) { r.Expiration = record.Expiration(inf) },
		"expires at no time":    func(r *record.Record) { r.Expiration = record.Expiration(nan) },
		"expired before 1970":   func(r *record.Record) { r.Expiration = -1 },
		"empty value":           func(r *record.Record) { r.Value = nil },
		"value not MessagePack": func(r *record.Record) { r.Value = []byte{0xc1} },
		"two values":            func(r *record.Record) { r.Value = []byte{1, 1} },
		"map Python refuses":    func(r *record.Record) { r.Value = []byte{0x81, 1, 2} },
		"deep value":            func(r *record.Record) { r.Value = append(bytes.Repeat([]byte{0x91}, 2000), 0xc0) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := r.Clone()
			change(&bad)
			refused(t, chain.Validate(bad, post("x")), record.SideSender, record.CodeMalformed)
			refused(t, chain.Validate(bad, answer("x")), record.SideSender, record.CodeMalformed)
			_, err := chain.Sign(bad)
			refused(t, err, record.SideOurs, record.CodeMalformed)
		})
	}
}

func TestPredicatesAreNeverDropped(t *testing.T) {
	var ran []string
	check := func(name string, err error) *record.Predicate {
		return record.NewPredicate(name, func(record.Record, record.Request) error {
			ran = append(ran, name)
			return err
		})
	}
	chain := record.NewChain(check("a", nil), check("b", nil)).With(check("c", errors.New("no")))
	refused(t, chain.Validate(plain(t, 1), post("x")), record.SideSender, record.CodeRefused)
	if diff := cmp.Diff([]string{"a", "b", "c"}, ran); diff != "" {
		t.Error(diff)
	}
	p, ok := chain.Validators()[0].(*record.Predicate)
	if !ok || len(chain.Validators()) != 1 {
		t.Fatal("not merged")
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, p.Names()); diff != "" {
		t.Error(diff)
	}
	phases := record.NewPhases(record.PhasesConfig{})
	if n := len(chain.With(phases, phases).Validators()); n != 3 {
		t.Errorf("%d validators after adding two Phases", n)
	}
}

func TestPredicatesSeeTheRequestAndTheBareValue(t *testing.T) {
	alice := ed25519Node(t, 1)
	var got record.Request
	var value []byte
	chain := record.NewChain(alice.sig, record.NewPredicate("look", func(r record.Record, q record.Request) error {
		got, value = q, r.Value
		owner, err := q.Owner(r)
		if err != nil || owner.Peer != alice.id || q.Author(r) != alice.id {
			t.Errorf("owner %v, %v", owner, err)
		}
		return &record.Fault{Side: record.SideAuthor, Code: record.CodePhase, Reason: "mine"}
	}))
	r := alice.signed(t, record.KeyOf("k"), pack(t, "v"), in(time.Minute))
	refused(t, chain.Validate(r, at(post("x"), 7, 250)), record.SideAuthor, record.CodePhase)
	if got.Kind != record.Post || got.Sender != "x" || !got.Now.Equal(start) || got.Phase.Epoch != 7 || got.Phase.Progress != 250 {
		t.Errorf("%+v", got)
	}
	if string(value) != string(pack(t, "v")) {
		t.Errorf("value %q", value)
	}
}

func TestPanickingPredicateIsOurFault(t *testing.T) {
	chain := record.NewChain(record.NewPredicate("broken", func(record.Record, record.Request) error { panic("oops") }))
	refused(t, chain.Validate(plain(t, 1), post("x")), record.SideOurs, record.CodeInternal)
}

func TestBounds(t *testing.T) {
	chain := record.NewChain(record.NewBounds(record.BoundsConfig{MaxSubkey: 8, MaxValue: 8, MaxHorizon: time.Hour}))
	r := plain(t, "1234567")
	r.Subkey = pack(t, []byte("123456"))
	accepted(t, chain.Validate(r, post("x")))
	for name, c := range map[string]struct {
		change func(*record.Record)
		code   record.Code
	}{
		"value":   {func(r *record.Record) { r.Value = pack(t, "12345678") }, record.CodeTooLarge},
		"subkey":  {func(r *record.Record) { r.Subkey = pack(t, []byte("1234567")) }, record.CodeTooLarge},
		"expired": {func(r *record.Record) { r.Expiration = in(0) }, record.CodeExpired},
		"horizon": {func(r *record.Record) { r.Expiration = in(time.Hour + 4*time.Second) }, record.CodeHorizon},
	} {
		t.Run(name, func(t *testing.T) {
			bad := r.Clone()
			c.change(&bad)
			refused(t, chain.Validate(bad, post("x")), record.SideSender, c.code)
			refused(t, chain.Validate(bad, answer("x")), record.SideSender, c.code)
			if _, err := chain.Sign(bad); (err != nil) != (c.code == record.CodeTooLarge) {
				t.Error("sign:", err)
			}
		})
	}
	r.Expiration = in(time.Hour + 2*time.Second) // their clock is 2 s ahead
	accepted(t, chain.Validate(r, post("x")))

	merged := chain.With(record.NewBounds(record.BoundsConfig{MaxValue: 4})).Validators()
	if b, ok := merged[0].(*record.Bounds); !ok || len(merged) != 1 || b.Config().MaxValue != 4 || b.Config().MaxSubkey != 8 {
		t.Errorf("%+v", merged[0])
	}
}

func TestFaults(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("around: %w", &record.Fault{Side: record.SideAuthor, Code: record.CodeQuota, Reason: "why", Err: cause})
	if record.CodeOf(err) != record.CodeQuota || record.SideOf(err) != record.SideAuthor || !errors.Is(err, cause) {
		t.Error(err)
	}
	if got := err.Error(); got != "around: record: quota (author): why: cause" {
		t.Error(got)
	}
	if record.CodeOf(cause) != 0 || record.SideOf(cause) != 0 {
		t.Error("no fault has no code")
	}
	for code := record.CodeMalformed; code <= record.CodeInternal; code++ {
		if s := code.String(); s == "" || s[0] == 'C' {
			t.Errorf("code %d has no name", code)
		}
	}
}

// Whatever the validators and their order: what a chain signs it admits and reads back, once wrapped by each, and the
// order in which they were given matters only among equal priorities.
func TestComposition(t *testing.T) {
	alice := ed25519Node(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		var log []string
		var given []record.Validator
		n := rapid.IntRange(0, 6).Draw(t, "n")
		predicates := 0
		for i := range n {
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				given = append(given, envelope{name: byte('a' + i), priority: 10*i - 17, log: &log})
			case 1:
				given = append(given, record.NewSignature(alice.key, record.SignatureConfig{}))
			case 2:
				predicates++
				given = append(given, record.NewPredicate(fmt.Sprint(i), func(record.Record, record.Request) error {
					log = append(log, "predicate")
					return nil
				}))
			case 3:
				given = append(given, record.NewBounds(record.BoundsConfig{}))
			case 4:
				s, err := record.NewSchema(record.SchemaConfig{AllowExtra: true})
				if err != nil {
					t.Fatal(err)
				}
				given = append(given, s)
			}
		}
		name, err := record.SubkeyOf(alice.name())
		if err != nil {
			t.Fatal(err)
		}
		value, err := msgpack.Marshal(rapid.SliceOf(rapid.Byte()).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		r := record.Record{Key: record.KeyOf("k"), Subkey: name, Value: value, Expiration: in(time.Minute)}
		bare := slices.Clone(value)

		chain := record.NewChain(given...)
		shuffled := record.NewChain(rapid.Permutation(given).Draw(t, "order")...)
		signed, err := chain.Sign(r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(value, bare) {
			t.Fatal("signing changed its input")
		}
		r.Value = signed
		for _, c := range []record.Chain{chain, shuffled} {
			log = nil
			got, err := c.Open(r, post("x"))
			if err != nil || !bytes.Equal(got, bare) {
				t.Fatalf("read %x, %v", got, err)
			}
			ran := 0
			for _, l := range log {
				if l == "predicate" {
					ran++
				}
			}
			if ran != predicates {
				t.Fatalf("%d of %d predicates ran", ran, predicates)
			}
		}
		if len(signed) > 0 && len(given) > 0 { // each layer is checked: damage anywhere in a signed value shows
			if slices.ContainsFunc(given, func(v record.Validator) bool { _, ok := v.(*record.Signature); return ok }) {
				damaged := r.Clone()
				damaged.Value[rapid.IntRange(0, len(signed)-1).Draw(t, "at")] ^= 1
				if chain.Validate(damaged, post("x")) == nil {
					t.Fatal("damage was not noticed")
				}
			}
		}
	})
}
