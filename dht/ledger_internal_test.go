package dht

import (
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
)

// TestLedgerSparesOnce lets somebody bring a record again and again: every second republication takes place all the same.
func TestLedgerSparesOnce(t *testing.T) {
	var l ledger
	l.init(Defaults())
	r := record.Record{Key: record.KeyOfText("k"), Subkey: []byte{1}}
	at := time.Unix(1000, 0)
	spared := 0
	for range 10 {
		at = at.Add(time.Minute)
		l.brought(r, at)
		if l.spare(r, at.Add(-time.Minute)) {
			spared++
		}
	}
	if spared != 5 {
		t.Errorf("left out %d of 10 times, want 5", spared)
	}
	other := r
	other.Subkey = []byte{2}
	if l.spare(other, time.Time{}) {
		t.Error("a record that never came is spared")
	}
	l.brought(other, at)
	if l.spare(other, at) {
		t.Error("a record that came too long ago is spared")
	}
}
