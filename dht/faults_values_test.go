package dht_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestFaultPoisonValue: a value that cannot be decoded was accepted everywhere if only its signature was right, and each read of its key
// then waited for ever. Here it is neither stored nor believed, signed or not.
func TestFaultPoisonValue(t *testing.T) {
	s := newStranger(t)
	signer := record.NewSignature(s.Host.Libp2p().Peerstore().PrivKey(s.Host.ID()), record.SignatureConfig{})
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	m := swarm(t, 3, cfg)
	plain := regular("key", poison, in(time.Minute))
	signed := sub("key", []byte("me"+signer.Marker()), poison, in(time.Minute))
	signed.Value = must(signer.Sign(signed))
	good := sub("key", []byte("ok"+signer.Marker()), pack(1), in(time.Minute))
	good.Value = must(signer.Sign(good))
	codes := s.store(m[0], false, plain, signed, good)
	if want := []wire.Code{wire.CodeMalformed, wire.CodeMalformed, wire.CodeStored}; cmp.Diff(want, codes) != "" {
		t.Errorf("codes %v, want %v", codes, want)
	}
	// And served by a liar.
	s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
		for i := range req.Keys {
			resp.Results[i] = wire.FindResult{Type: wire.FoundRegular, Value: poison, Expiration: float64(record.ExpirationAt(in(time.Hour)))}
		}
	})
	s.befriend(m[1])
	ctx := testContext(t)
	v, err := m[1].Get(ctx, record.KeyOfText("key"), dht.Latest())
	if err != nil || len(v.Entries) != 1 || must(v.Entries[0].Decode()) != int64(1) {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := m[1].Get(ctx, record.KeyOfText("other"), dht.Latest()); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("poison was believed: %v", err)
	}
	if m[1].Stats().AnswersInvalid == 0 {
		t.Error("the liar was not counted")
	}
}

// TestFaultMixedSubkeysDisturbEachOther: subkeys of different types that expired together could not be ordered, and the failure in the
// middle of a store made later reads of the dictionary fail. Here they live side by side.
func TestFaultMixedSubkeysDisturbEachOther(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	e := in(time.Minute)
	subkeys := []any{int64(1), "1", []byte("1"), 1.5, true, msgpack.Tuple{int64(1)}, int64(-1), uint64(1 << 63)}
	for _, k := range subkeys {
		if codes := s.store(m, false, sub("key", k, pack(fmt.Sprint(k)), e)); codes[0] != wire.CodeStored {
			t.Errorf("%v: %v", k, codes)
		}
	}
	if v := held(m, "key"); len(v.Entries) != len(subkeys) {
		t.Errorf("%d entries, want %d", len(v.Entries), len(subkeys))
	}
}

// TestFaultBadSubkeyRefusesTheDictionary: one invalid entry refused a whole dictionary, and the first stale one kept the rest from being
// stored, so that one bad record stopped replication. Here entries are judged and stored one by one.
func TestFaultBadSubkeyRefusesTheDictionary(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	s.store(m, false, sub("key", "stale", pack("newer"), in(2*time.Minute)))
	d := record.Dictionary{}
	for _, r := range []record.Record{
		sub("key", "stale", pack("older"), in(time.Minute)), sub("key", "bad", poison, in(time.Minute)),
		sub("key", "good", pack(1), in(time.Minute)), sub("key", "expired", pack(1), in(-time.Minute)), sub("key", "late", pack(2), in(time.Minute)),
	} {
		d.Entries = append(d.Entries, record.Entry{Subkey: r.Subkey, Value: r.Value, Expiration: r.Expiration})
	}
	whole := record.Record{Key: record.KeyOfText("key"), Subkey: []byte(record.DictionaryTag), Value: d.Append(nil), Expiration: record.ExpirationAt(in(time.Minute))}
	good := regular("neighbour", pack("untouched"), in(time.Minute))
	codes := s.store(m, false, whole, good)
	if codes[0] != wire.CodePartial || codes[1] != wire.CodeStored {
		t.Errorf("codes %v", codes)
	}
	v := held(m, "key")
	if len(v.Entries) != 3 {
		t.Errorf("%d entries, want stale, good, late", len(v.Entries))
	}
	if e, _ := v.Entry("stale"); must(e.Decode()) != "newer" {
		t.Error("the stale entry won")
	}
	if codes := s.store(m, false, record.Record{Key: whole.Key, Subkey: []byte{}, Value: []byte("no dictionary"), Expiration: whole.Expiration}); codes[0] != wire.CodeMalformed {
		t.Errorf("no dictionary: %v", codes)
	}
}

// TestFaultGetsWriteIntoTheStorage: a get merged what peers answered into the very dictionary that the node kept for the swarm, past
// validators and quotas. Here the result is a new value, and readers cannot reach what is kept.
func TestFaultGetsWriteIntoTheStorage(t *testing.T) {
	m := swarm(t, 2, quiet())
	s := newStranger(t)
	mine := sub("key", "mine", pack("mine"), in(time.Minute))
	theirs := sub("key", "theirs", pack("theirs"), in(2*time.Minute))
	changed := sub("key", "mine", pack("other"), in(3*time.Minute))
	s.store(m[0], false, mine)
	s.store(m[1], false, theirs, changed)
	before := held(m[0], "key")
	v, err := m[0].Get(testContext(t), record.KeyOfText("key"), dht.Latest())
	if err != nil || len(v.Entries) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	if e, _ := v.Entry("mine"); must(e.Decode()) != "other" {
		t.Errorf("the newer entry did not win")
	}
	if d := cmp.Diff(before, held(m[0], "key")); d != "" {
		t.Errorf("the storage changed:\n%s", d)
	}
	// Readers cannot reach it either.
	for i := range before.Entries[0].Raw {
		before.Entries[0].Raw[i] ^= 0xff
	}
	if got := held(m[0], "key"); must(got.Entries[0].Decode()) != "mine" {
		t.Error("a reader changed the storage")
	}
}

// TestFaultMarkerTextInValues: the text "[signature:...]" was cut out of every value by whoever read it, wherever it stood, which damaged
// values that happened to contain it and let anybody make values that no longer decoded. Here only what stands at the very end of a value
// with an owner is a signature, and all other values come back byte for byte.
func TestFaultMarkerTextInValues(t *testing.T) {
	cfg := quiet()
	o := newOwner(t, identity.Ed25519)
	cfg.Validators = record.NewChain(record.NewSignature(o.key, record.SignatureConfig{}))
	m := swarm(t, 4, cfg)
	ctx := testContext(t)
	texts := []any{
		"[signature:AAAA]", "before[signature:AAAA]after", "[signature:]", "[signature:", "[signature:a][signature:b]",
		[]byte("[signature:AAAA]"), []any{"[signature:x", "y]"}, map[string]any{"[signature:a]": "[owner:b]"}, "[owner:ssh-ed25519 AAAA]",
	}
	for i, text := range texts {
		want := pack(text)
		for _, subkey := range []any{nil, "plain", []byte("mine" + o.marker)} {
			key := record.KeyOfText(fmt.Sprint("key", i, subkey == nil))
			if res, err := m[0].Store(ctx, dht.StoreRequest{Key: key, Subkey: subkey, Value: text, Expiration: in(time.Minute)}); err != nil || !res.OK() {
				t.Fatalf("%q under %q: %v", text, subkey, err)
			}
			for _, x := range m {
				v, err := x.Get(ctx, key, dht.Latest())
				if err != nil {
					t.Fatalf("%q under %q: %v", text, subkey, err)
				}
				got := v.Raw
				if subkey != nil {
					e, _ := v.Entry(subkey)
					got = e.Raw
				}
				if string(got) != string(want) {
					t.Errorf("%q under %q came back as %q", text, subkey, got)
				}
			}
		}
	}
	// A signature that stands anywhere but at the end is none, and a second one does not help.
	s := newStranger(t)
	good := o.sign(sub("owned", []byte(o.marker), pack("v"), in(time.Minute)))
	twice, inside, foreign := good, good, newOwner(t, identity.Ed25519).sign(good)
	twice.Value = append(slices.Clone(good.Value), "[signature:AAAA]"...)
	inside.Value = append(slices.Clone(good.Value), pack("w")...)
	for i, code := range s.store(m[0], false, twice, inside, foreign, good) {
		if want := map[bool]wire.Code{true: wire.CodeStored, false: wire.CodeInvalid}[i == 3]; code != want {
			t.Errorf("record %d: %v, want %v", i, code, want)
		}
	}
}

// TestFaultNestedOwners: owner markers inside each other, cut off or beside each other were read differently by different readers, so that
// a record could be taken for somebody's who never signed it. Here every marker must be whole and all must name one key: the signer's.
func TestFaultNestedOwners(t *testing.T) {
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	m := launch(t, cfg)
	s := newStranger(t)
	victim, evil := newOwner(t, identity.Ed25519), newOwner(t, identity.RSA)
	cut := func(marker string) string { return strings.TrimSuffix(marker, "]") }
	subkeys := []string{
		victim.marker, "[owner:" + victim.marker, "[owner:" + evil.marker, cut(victim.marker), cut(evil.marker),
		victim.marker + evil.marker, evil.marker + victim.marker, evil.marker + cut(victim.marker), cut(victim.marker) + evil.marker,
		"[owner:]" + evil.marker, "[owner:[owner:" + victim.marker + "]]", strings.Replace(evil.marker, "[owner:", "[owner: ", 1),
		strings.Replace(evil.marker, "]", " comment]", 1), evil.marker + "[owner:x]", "[owner:\n" + evil.marker,
	}
	for _, k := range subkeys {
		forger := newStranger(t) // a new one each time: one that forges much is refused altogether
		for _, form := range []any{k, []byte(k), msgpack.Tuple{k}, msgpack.Tuple{k, victim.marker}} {
			if code := forger.store(m, false, evil.sign(sub("key", form, pack("forged"), in(time.Minute))))[0]; code != wire.CodeInvalid {
				t.Errorf("%q: %v", form, code)
			}
		}
	}
	if m.Stats().Records != 0 {
		t.Errorf("%d records stored", m.Stats().Records)
	}
	// The same key twice is one owner.
	for _, k := range []any{evil.marker, []byte("x" + evil.marker + "y" + evil.marker), msgpack.Tuple{int64(1), evil.marker}} {
		if code := s.store(m, false, evil.sign(sub("key", k, pack("own"), in(time.Minute))))[0]; code != wire.CodeStored {
			t.Errorf("%q: %v", k, code)
		}
	}
}
