package record_test

import (
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
)

// Holders must offer together what is taken from several only: commits and reveals of this epoch and the one before whose phase is over.
func TestNeedsVouchers(t *testing.T) {
	chain := record.NewChain(record.NewSignature(nil, record.SignatureConfig{}), record.NewPhases(record.PhasesConfig{}))
	at := func(progress record.Permille) record.Phase {
		return record.Phase{Epoch: 7, Progress: progress, Known: true}
	}
	for _, c := range []struct {
		key  record.Key
		at   record.Phase
		want bool
	}{
		{record.CommitKey(7), at(500), false},
		{record.CommitKey(7), at(501), true},
		{record.RevealKey(7), at(600), false},
		{record.RevealKey(7), at(601), true},
		{record.CommitKey(6), at(0), true},
		{record.RevealKey(6), at(0), true},
		{record.CommitKey(5), at(0), false}, // taken from nobody
		{record.CommitKey(7), record.Phase{}, false},
		{record.HeartbeatKey(), at(900), false},
		{record.KeyOf("x"), at(900), false},
	} {
		if got := chain.NeedsVouchers(c.key, c.at); got != c.want {
			t.Errorf("%v at %v: %v", c.key, c.at, got)
		}
	}
	never := record.NewChain(record.NewPhases(record.PhasesConfig{Vouchers: -1}))
	if never.NeedsVouchers(record.CommitKey(7), at(900)) || (record.Chain{}).NeedsVouchers(record.CommitKey(7), at(900)) {
		t.Error("vouchers wanted by nobody")
	}
}

// Whether a dictionary has owners decides what may displace it.
func TestOwnedDictionaries(t *testing.T) {
	alice := ed25519Node(t, 1)
	entry := func(k any) record.Entry {
		return record.Entry{Subkey: subkey(t, k), Value: pack(t, 1), Expiration: in(time.Minute)}
	}
	d := record.Dictionary{Entries: []record.Entry{entry("a"), entry(7)}}
	if d.Owned() || (record.Dictionary{}).Owned() {
		t.Error("owned by nobody")
	}
	d.Entries = append(d.Entries, entry([]byte("x"+alice.marker())))
	if !d.Owned() {
		t.Error("the owner is not seen")
	}
}
