package record_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// A value that cannot be decoded is never stored and never returned, even when its owner signed it. In the original it
// was stored by all, and whoever read the key waited for ever.
func TestPoisonValueCannotFreezeReaders(t *testing.T) {
	alice := ed25519Node(t, 1)
	for name, poison := range map[string][]byte{
		"no MessagePack":           {0xc1},
		"empty":                    {},
		"half":                     {0x92, 1},
		"two values":               {1, 2},
		"text that is not UTF-8":   {0xa1, 0xff},
		"map that Python refuses":  {0x81, 1, 2},
		"tuple without list":       {0xd4, 0x40, 1},
		"deeper than any stack":    append(bytes.Repeat([]byte{0x91}, 100_000), 0xc0),
		"huge list in a few bytes": {0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			r := alice.signed(t, record.HeartbeatKey(), poison, in(time.Minute))
			for _, s := range []subnet{
				newSubnet(record.PhasesConfig{}),
				{chain: record.NewChain(alice.sig), storage: record.NewStorage(record.StorageConfig{})},
			} {
				err := s.offer(r, at(post("x"), 7, 100))
				if record.CodeOf(err) == record.CodeTooLarge {
					continue
				}
				refused(t, err, record.SideAuthor, record.CodeMalformed)
				refused(t, s.chain.Validate(r, at(answer("x"), 7, 100)), record.SideAuthor, record.CodeMalformed)
				if s.storage.Len() != 0 {
					t.Error("stored")
				}
			}
			// Without a signature there is no author to blame, only who sent it.
			r = record.Record{Key: record.KeyOf("k"), Subkey: []byte(record.RegularTag), Value: poison, Expiration: in(time.Minute)}
			refused(t, record.NewChain(alice.sig).Validate(r, post("x")), record.SideSender, record.CodeMalformed)
		})
	}
}

// Sizes are checked before anything else costs time: no decoding, no cryptography.
func TestHugeRecordsAreRefusedBeforeAnyWork(t *testing.T) {
	alice := ed25519Node(t, 1)
	sig := record.NewSignature(nil, record.SignatureConfig{})
	chain := record.NewChain(sig, record.NewBounds(record.BoundsConfig{}))
	r := alice.signed(t, record.KeyOf("k"), pack(t, make([]byte, 1<<20)), in(time.Minute))
	refused(t, chain.Validate(r, post("x")), record.SideSender, record.CodeTooLarge)
	r = alice.signed(t, record.KeyOf("k"), pack(t, 1), in(48*time.Hour))
	refused(t, chain.Validate(r, post("x")), record.SideSender, record.CodeHorizon)
	if _, misses := sig.CacheStats(); misses != 0 {
		t.Errorf("%d signatures were verified", misses)
	}
	long := record.Record{Key: record.KeyOf("k"), Subkey: pack(t, make([]byte, 4<<20)), Value: pack(t, 1), Expiration: in(time.Minute)}
	if n := testing.AllocsPerRun(5, func() { _ = chain.Validate(long, post("x")) }); n > 20 {
		t.Errorf("%v allocations for a huge subkey", n)
	}
}

// An older record of the same author, replayed by anybody, never displaces or shortens the newer one, wherever it
// comes from: a store, an answer, a hand-over.
func TestReplayedOlderRecordsHaveNoEffect(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{})
	q := at(post("x"), 7, 100)
	var history []record.Record
	for i := range 20 {
		history = append(history, alice.heartbeat(t, in(time.Minute+time.Duration(i)*time.Second)))
	}
	newest := history[len(history)-1]
	accepted(t, s.offer(newest, q))
	for _, r := range history[:len(history)-1] {
		refused(t, s.offer(r, q), record.SideSender, record.CodeStale)
	}
	held, _ := s.storage.Get(record.HeartbeatKey(), start)
	old := record.Dictionary{}
	for _, r := range history[:3] {
		old.Entries = append(old.Entries, record.Entry{Subkey: r.Subkey, Value: r.Value, Expiration: r.Expiration})
	}
	for _, merged := range []record.Dictionary{held.Dictionary.Merge(old), old.Merge(*held.Dictionary)} {
		if len(merged.Entries) != 1 || merged.Entries[0].Expiration != newest.Expiration {
			t.Errorf("%+v", merged)
		}
	}
	if r, ok := s.storage.Lookup(newest.Key, newest.Subkey, start.Add(78*time.Second)); !ok || r.Expiration != newest.Expiration {
		t.Errorf("%+v, %v", r, ok)
	}
	if h, _, _ := s.phases.Used(7, alice.id); h != 1 {
		t.Errorf("charged for %d", h)
	}
}

// Who is at fault is known: a forged record is its sender's, a bad but signed one its author's, and what both could
// not help is nobody's.
func TestSenderAndAuthorAreToldApart(t *testing.T) {
	alice := ed25519Node(t, 1)
	s := newSubnet(record.PhasesConfig{Heartbeat: func(r record.Record, _ record.Request) error {
		if v, err := msgpack.Unmarshal(r.Value); err != nil || v != "alive" {
			return errBad
		}
		return nil
	}})
	q := at(post("relay"), 7, 100)
	forged := alice.heartbeat(t, in(time.Minute))
	forged.Expiration++
	refused(t, s.offer(forged, q), record.SideSender, record.CodeSignature)
	refused(t, s.offer(alice.signed(t, record.HeartbeatKey(), pack(t, 1), in(time.Minute)), q), record.SideAuthor, record.CodeRefused)
	accepted(t, s.offer(alice.heartbeat(t, in(time.Minute)), q))

	for code, hostile := range map[record.Code]bool{
		record.CodeMalformed: true, record.CodeSignature: true, record.CodeTooLarge: true, record.CodeHorizon: true, record.CodeBinding: true,
		record.CodeExpired: false, record.CodeStale: false, record.CodeDuplicate: false, record.CodePhase: false, record.CodeQuota: false, record.CodeFull: false,
	} {
		if f := (&record.Fault{Side: record.SideSender, Code: code}); f.Hostile() != hostile {
			t.Errorf("%s hostile: %v", code, f.Hostile())
		}
		if f := (&record.Fault{Side: record.SideOurs, Code: code}); f.Hostile() {
			t.Errorf("%s is ours and hostile", code)
		}
	}
}
