package record_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
)

func benchmarkValidate(b *testing.B, n node, cache int) {
	r := n.signed(b, record.HeartbeatKey(), unhex(b, "c74a409402a976616c696461746f72cb3ff000000000000084ab7075626c69635f6e616d65c0a776657273696f6ea5312e302e30ab7573696e675f72656c6179c2aa6e6578745f70696e677380"), in(time.Minute))
	chain := record.NewChain(
		record.NewSignature(nil, record.SignatureConfig{Cache: cache}), record.NewPhases(record.PhasesConfig{}), record.NewBounds(record.BoundsConfig{}))
	q := at(post("x"), 7, 100)
	b.ReportAllocs()
	for b.Loop() {
		if err := chain.Validate(r, q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	b.Run("ed25519", func(b *testing.B) { benchmarkValidate(b, ed25519Node(b, 1), -1) })
	b.Run("rsa", func(b *testing.B) { benchmarkValidate(b, rsaNode(b), -1) })
	b.Run("cached", func(b *testing.B) { benchmarkValidate(b, ed25519Node(b, 1), 0) })
}

func BenchmarkSign(b *testing.B) {
	alice := ed25519Node(b, 1)
	chain := record.NewChain(alice.sig, record.NewBounds(record.BoundsConfig{}))
	r := record.Record{Key: record.HeartbeatKey(), Subkey: subkey(b, alice.name()), Value: pack(b, "alive"), Expiration: in(time.Minute)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := chain.Sign(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStorageStore(b *testing.B) {
	s := record.NewStorage(record.StorageConfig{})
	records := make([]record.Record, 10_000)
	for i := range records {
		records[i] = record.Record{Key: record.KeyOf(i), Subkey: []byte(record.RegularTag), Value: pack(b, make([]byte, 256)), Expiration: in(time.Hour)}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r := &records[i%len(records)]
		r.Expiration++
		if err := s.Store(*r, "x", start); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func heartbeats(b testing.TB, n int) *record.Storage {
	s := record.NewStorage(record.StorageConfig{})
	for i := range n {
		r := record.Record{
			Key: record.HeartbeatKey(), Subkey: subkey(b, []byte(fmt.Sprintf("%0140d", i))), Value: pack(b, make([]byte, 180)),
			Expiration: in(time.Minute + time.Duration(i)),
		}
		if err := s.Store(r, peer.ID(fmt.Sprint(i)), start); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkStorageRead(b *testing.B) {
	s := heartbeats(b, 512)
	for i := range 10_000 {
		if err := s.Store(record.Record{Key: record.KeyOf(i), Subkey: []byte(record.RegularTag), Value: make([]byte, 256), Expiration: in(time.Hour)}, "", start); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("value", func(b *testing.B) {
		key := record.KeyOf(7)
		buf := make([]byte, 0, 1<<10)
		b.ReportAllocs()
		for b.Loop() {
			s.AppendWire(buf, key, start)
		}
	})
	b.Run("512 heartbeats", func(b *testing.B) {
		key := record.HeartbeatKey()
		buf := make([]byte, 0, 1<<20)
		b.ReportAllocs()
		for b.Loop() {
			s.AppendWire(buf, key, start)
		}
	})
	b.Run("parse 512 heartbeats", func(b *testing.B) {
		data, _, _ := s.AppendWire(nil, record.HeartbeatKey(), start)
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := record.ParseDictionary(data, record.DictionaryLimits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStorageMemory measures what a record costs beside its bytes, which StorageConfig.MaxBytes allows for.
func BenchmarkStorageMemory(b *testing.B) {
	const n = 50_000
	var perRecord float64
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := record.NewStorage(record.StorageConfig{})
		r := record.Record{Subkey: []byte(record.RegularTag), Value: make([]byte, 128), Expiration: in(time.Hour)}
		for i := range n {
			r.Key = record.KeyOf(i)
			if err := s.Store(r, peer.ID(fmt.Sprint(i%64)), start); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		perRecord = float64(after.HeapAlloc-before.HeapAlloc)/n - 129
		runtime.KeepAlive(s)
	}
	b.ReportMetric(perRecord, "overhead-B/record")
}
