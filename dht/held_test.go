package dht_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/record"
)

// TestHeld reads single subkeys of what a node keeps and of the copies that it was given: the newest version, without its signature.
func TestHeld(t *testing.T) {
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	m := launch(t, cfg)
	waitReady(t, m)
	s, author := newStranger(t), newOwner(t, identity.Ed25519)
	signed := func(value byte, lives time.Duration) record.Record {
		return author.sign(sub("k", author.marker, []byte{value}, in(lives)))
	}
	want := func(r record.Record, value []byte) {
		t.Helper()
		if got, ok := m.Held(r.Key, r.Subkey); !bytes.Equal(got, value) || ok != (value != nil) {
			t.Errorf("got %x, %v, want %x", got, ok, value)
		}
	}
	put := func(r record.Record, inCache bool) {
		t.Helper()
		if codes := s.store(m, inCache, r); codes[0] != wire.CodeStored {
			t.Fatal(codes)
		}
	}
	first := signed(1, time.Minute)
	want(first, nil)
	put(first, false)
	want(first, []byte{1})
	put(signed(2, 2*time.Minute), true)
	want(first, []byte{2})
	put(signed(3, 3*time.Minute), false)
	want(first, []byte{3})
	want(sub("k", "another", nil, in(time.Minute)), nil)
	want(sub("elsewhere", author.marker, nil, in(time.Minute)), nil)
	if st := m.Stats(); st.Gets != 0 {
		t.Errorf("%d gets", st.Gets)
	}
}
