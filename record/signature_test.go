package record_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// The signed heartbeat of the Python mesh for the seed 00 01 .. 1f, byte for byte.
func TestSignedHeartbeatGoldenVector(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i)
	}
	std := ed25519.NewKeyFromSeed(seed)
	key, err := crypto.UnmarshalEd25519PrivateKey(std)
	if err != nil {
		t.Fatal(err)
	}
	n := party(t, key)
	const (
		public  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
		id      = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
		value   = "c74a409402a976616c696461746f72cb3ff000000000000084ab7075626c69635f6e616d65c0a776657273696f6ea5312e302e30ab7573696e675f72656c6179c2aa6e6578745f70696e677380"
		sigText = "[signature:iycr/CsJAM+YV5Db6m5JLDKqxUzp/QN9Zc3FtcbpPWa+FMTO0awYG98K7PpIBatsEywDjE9xzH09d1zNPeNOBg==]"
	)
	if n.marker() != "[owner:"+public+"]" || n.id.String() != id {
		t.Fatal(n.marker(), n.id)
	}
	r := record.Record{
		Key: record.KeyOf("heartbeat"), Subkey: subkey(t, []byte(id+"[owner:"+public+"]")), Value: unhex(t, value),
		Expiration: 1700000000.25,
	}
	if got := hex.EncodeToString(r.Subkey[:2]); got != "c48c" || len(r.Subkey) != 142 {
		t.Errorf("subkey begins %s and has %d bytes", got, len(r.Subkey))
	}
	want := "c7ff4094" + "c414" + "a46d6b70223dbc8c5e40bcdbd435a6f35f7ab7b5" + "c48e" + hex.EncodeToString(r.Subkey) + "c44d" + value + "cb41d954fc40100000"
	if got := hex.EncodeToString(r.AppendSigned(nil)); got != want {
		t.Errorf("signed bytes\n%s, want\n%s", got, want)
	}
	chain := record.NewChain(n.sig)
	signed, err := chain.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(signed); got != string(unhex(t, value))+sigText {
		t.Errorf("stored value %q", got)
	}
	r.Value = signed
	q := post("")
	accepted(t, record.NewChain(record.NewSignature(nil, record.SignatureConfig{})).Validate(r, q))
	if got := chain.Strip(r); hex.EncodeToString(got) != value {
		t.Errorf("stripped %x", got)
	}

	// One byte more in the value, and the signed tuple takes the longer header.
	r.Value = append(unhex(t, value), 0)
	if got := r.AppendSigned(nil); got[0] != 0xc8 || got[1] != 1 || got[2] != 0 {
		t.Errorf("256 bytes begin %x", got[:3])
	}
}

// Both kinds of keys sign, and any node verifies both.
func TestOwnersOfBothKinds(t *testing.T) {
	alice, bob := ed25519Node(t, 1), rsaNode(t)
	verifier := record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	for _, n := range []node{alice, bob} {
		r := n.signed(t, record.KeyOf("k"), pack(t, "mine"), in(60e9))
		accepted(t, verifier.Validate(r, post("x")))
		accepted(t, verifier.Validate(r, answer("x")))
		if got := verifier.Strip(r); string(got) != string(pack(t, "mine")) {
			t.Errorf("stripped %q", got)
		}
		owner, err := record.OwnerOf(r.Subkey)
		if err != nil || owner.Peer != n.id {
			t.Errorf("owner %v, %v", owner, err)
		}
		if got := verifier.Author(r, "x"); got != n.id {
			t.Errorf("author %s", got)
		}
		if got := (record.Chain{}).Author(r, "x"); got != "x" {
			t.Errorf("author %s, though nobody checks signatures", got)
		}
	}
	// RSA salts its signatures: the text is as long as Python's.
	r := bob.signed(t, record.KeyOf("k"), pack(t, 1), in(60e9))
	if n := len(r.Value) - 1 - len("[signature:]"); n != 344 {
		t.Errorf("RSA signature of %d characters", n)
	}
}

func TestSignaturesThatAreNone(t *testing.T) {
	alice, eve := ed25519Node(t, 1), ed25519Node(t, 2)
	chain := record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	good := alice.signed(t, record.KeyOf("k"), pack(t, "mine"), in(60e9))
	body := pack(t, "mine")
	text := good.Value[len(body):] // "[signature:...]"
	raw, err := base64.StdEncoding.DecodeString(string(text[len("[signature:") : len(text)-1]))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := identity.SignText(eve.key, record.Record{
		Key: good.Key, Subkey: good.Subkey, Value: body, Expiration: good.Expiration,
	}.AppendSigned(nil))
	if err != nil {
		t.Fatal(err)
	}
	with := func(parts ...string) func(*record.Record) {
		return func(r *record.Record) { r.Value = slices.Concat(body, []byte(strings.Join(parts, ""))) }
	}
	for name, change := range map[string]func(*record.Record){
		"none":                   with(""),
		"empty":                  with("[signature:]"),
		"junk":                   with("[signature:!!!!]"),
		"of nothing":             with("[signature:AAAA]"),
		"unclosed":               func(r *record.Record) { r.Value = r.Value[:len(r.Value)-1] },
		"another key's":          with("[signature:", foreign, "]"),
		"line end in it":         with("[signature:", string(text[11:50]), "\n", string(text[50:])),
		"letters Python skips":   with("[signature:", string(text[11:50]), "!", string(text[50:])),
		"unpadded":               with("[signature:", base64.RawStdEncoding.EncodeToString(raw), "]"),
		"other trailing bits":    func(r *record.Record) { r.Value[len(r.Value)-4]++ },
		"URL alphabet":           with("[signature:", base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 64)), "]"),
		"twice":                  with(string(text), string(text)),
		"not at the end":         with(string(text), "x"),
		"of another value":       func(r *record.Record) { r.Value[1] ^= 1 },
		"of another expiration":  func(r *record.Record) { r.Expiration++ },
		"of another key":         func(r *record.Record) { r.Key[0]++ },
		"of another's subkey":    func(r *record.Record) { r.Subkey = subkey(t, eve.name()) },
		"of a renamed subkey":    func(r *record.Record) { r.Subkey = subkey(t, []byte("x"+alice.marker())) },
		"of a subkey of text":    func(r *record.Record) { r.Subkey = subkey(t, string(alice.name())) },
		"in a longer, older one": func(r *record.Record) { r.Value = slices.Concat(body, r.Value) },
	} {
		t.Run(name, func(t *testing.T) {
			r := good.Clone()
			change(&r)
			refused(t, chain.Validate(r, post("x")), record.SideSender, record.CodeSignature)
			refused(t, chain.Validate(r, answer("x")), record.SideSender, record.CodeSignature)
		})
	}
	accepted(t, chain.Validate(good, post("x")))
}

func TestUnprotectedRecordsPass(t *testing.T) {
	chain := record.NewChain(ed25519Node(t, 1).sig)
	for _, k := range []any{nil, "plain", []byte("owner"), 7, "owner:x]"} {
		r := record.Record{Key: record.KeyOf("k"), Subkey: subkey(t, k), Value: pack(t, "v"), Expiration: in(60e9)}
		signed, err := chain.Sign(r)
		if err != nil || string(signed) != string(r.Value) {
			t.Errorf("%v: %q, %v", k, signed, err)
		}
		accepted(t, chain.Validate(r, post("x")))
	}
}

func TestSigningForOthersFails(t *testing.T) {
	alice, bob := ed25519Node(t, 1), ed25519Node(t, 2)
	r := record.Record{Key: record.KeyOf("k"), Subkey: subkey(t, bob.name()), Value: pack(t, 1), Expiration: in(60e9)}
	_, err := record.NewChain(alice.sig).Sign(r)
	refused(t, err, record.SideOurs, record.CodeSignature)

	both := record.NewChain(alice.sig, bob.sig) // merged: it has both keys
	if n := len(both.Validators()); n != 1 {
		t.Fatalf("%d validators", n)
	}
	for _, n := range []node{alice, bob} {
		r.Subkey = subkey(t, n.name())
		signed, err := both.Sign(r)
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, both.Validate(record.Record{Key: r.Key, Subkey: r.Subkey, Value: signed, Expiration: r.Expiration}, post("x")))
	}

	r = record.Record{Key: record.KeyOf("k"), Subkey: subkey(t, alice.name()), Value: pack(t, "[signature:x]"), Expiration: in(60e9)}
	_, err = record.NewSignature(alice.key, record.SignatureConfig{Python: true}).Sign(r)
	refused(t, err, record.SideOurs, record.CodeSignature)
}

// Text that looks like a signature is data everywhere but at the end of a protected value. The original cut it out
// of any value on reading, which corrupted it.
func TestSignatureTextInsideValuesIsData(t *testing.T) {
	alice := ed25519Node(t, 1)
	chain := record.NewChain(alice.sig)
	tricky := pack(t, "see [signature:AAAA] and [signature:BBBB]")
	for _, k := range []any{nil, "plain", alice.name()} {
		r := record.Record{Key: record.KeyOf("k"), Subkey: subkey(t, k), Value: tricky, Expiration: in(60e9)}
		signed, err := chain.Sign(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Value = signed
		got, err := chain.Open(r, answer("x"))
		if err != nil || string(got) != string(tricky) || string(chain.Strip(r)) != string(tricky) {
			t.Errorf("%.10v: read %q, %v", k, got, err)
		}
	}
	// A value of bytes that ends like a signature, without owner: it stays whole.
	r := record.Record{Key: record.KeyOf("k"), Subkey: []byte(record.RegularTag), Value: pack(t, []byte("x[signature:AAAA]")), Expiration: in(60e9)}
	if got, err := chain.Open(r, answer("x")); err != nil || string(got) != string(r.Value) {
		t.Errorf("read %q, %v", got, err)
	}
}

// A subkey that could be read as protected by one key and as something else by another reader is refused whole.
func TestAmbiguousOwnersAreRefused(t *testing.T) {
	alice, eve := ed25519Node(t, 1), ed25519Node(t, 2)
	chain := record.NewChain(eve.sig)
	a, e := alice.marker(), eve.marker()
	for _, name := range []string{
		"[owner:" + a,          // the first match would begin at the outer marker
		e + a,                  // two owners
		a + e,                  //
		a + "[owner:",          // a second one without end
		"[owner:]" + a,         //
		"[owner:]",             //
		"[owner:x]",            //
		a[:20] + "\n" + a[20:], //
		strings.ToUpper(a[:7]) + a[7:] + "[owner:",         //
		a[:len(a)-1] + " comment]",                         // a second text of the same key
		"[owner:" + strings.Repeat("A", 3000) + "]",        //
		"[owner:ssh-dss AAAAB3NzaC1kc3MAAACBAIMQ]",         //
		"[owner: " + a[len("[owner:"):],                    //
		a[:len("[owner:ssh-ed25519")] + "  " + a[19:],      //
		"[owner:" + strings.TrimSuffix(a[7:], "]") + "\n]", //
	} {
		for _, form := range []any{name, []byte(name), msgpack.Tuple{name, 1}} {
			packed, err := record.SubkeyOf(form)
			if err != nil {
				t.Fatal(err)
			}
			r := record.Record{Key: record.KeyOf("k"), Subkey: packed, Value: pack(t, 1), Expiration: in(60e9)}
			refused(t, chain.Validate(r, post("x")), record.SideSender, record.CodeSignature)
			if _, err := chain.Sign(r); err == nil {
				t.Errorf("%q was signed", name)
			}
			if owner, err := record.OwnerOf(packed); err == nil {
				t.Errorf("%q: owner %v", name, owner)
			}
		}
	}
	// The same key twice is no ambiguity, and so it is in the original.
	r := record.Record{Key: record.KeyOf("k"), Subkey: subkey(t, e+" and "+e), Value: pack(t, 1), Expiration: in(60e9)}
	accepted(t, chain.Validate(eve.sign(t, r), post("x")))

	var key record.Key
	copy(key[:], "[owner:x]")
	r = record.Record{Key: key, Subkey: []byte(record.RegularTag), Value: pack(t, 1), Expiration: in(60e9)}
	refused(t, chain.Validate(r, post("x")), record.SideSender, record.CodeSignature)
}

func TestVerifiedSignaturesAreRemembered(t *testing.T) {
	alice := ed25519Node(t, 1)
	sig := record.NewSignature(nil, record.SignatureConfig{Cache: 4})
	chain := record.NewChain(sig)
	r := alice.signed(t, record.KeyOf("k"), pack(t, 1), in(60e9))
	for range 3 {
		accepted(t, chain.Validate(r, post("x")))
	}
	if hits, misses := sig.CacheStats(); hits != 2 || misses != 1 {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
	forged := r.Clone()
	forged.Value[0] ^= 1
	for range 2 {
		refused(t, chain.Validate(forged, post("x")), record.SideSender, record.CodeSignature)
	}
	if hits, misses := sig.CacheStats(); hits != 2 || misses != 3 {
		t.Errorf("a refusal was remembered: %d hits, %d misses", hits, misses)
	}
	for i := range 100 { // the cache is bounded: old ones go
		accepted(t, chain.Validate(alice.signed(t, record.KeyOf(i), pack(t, 1), in(60e9)), post("x")))
	}
	accepted(t, chain.Validate(r, post("x")))
	if hits, misses := sig.CacheStats(); hits != 2 || misses != 104 {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
}
