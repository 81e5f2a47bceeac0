package record_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/record"
)

// naive is a store as slow and as plain as possible: a list.
type naive struct {
	config record.StorageConfig
	list   []record.Held
}

func (s *naive) expire(now time.Time) {
	s.list = slices.DeleteFunc(s.list, func(h record.Held) bool { return h.Expiration <= record.ExpirationAt(now) })
}

func (s *naive) under(key record.Key) (found []record.Held, latest record.Expiration) {
	for _, h := range s.list {
		if h.Key == key {
			found = append(found, h)
			latest = max(latest, h.Expiration)
		}
	}
	return found, latest
}

func newer(a, b record.Record) int {
	if a.Expiration != b.Expiration {
		if a.Expiration > b.Expiration {
			return 1
		}
		return -1
	}
	return bytes.Compare(a.Value, b.Value)
}

// store returns the code of the refusal, 0 if r is stored.
func (s *naive) store(r record.Record, author peer.ID, now time.Time) record.Code {
	s.expire(now)
	if r.Expiration <= record.ExpirationAt(now) {
		return record.CodeExpired
	}
	same, latest := s.under(r.Key)
	var leaving []record.Held
	for _, h := range same {
		switch {
		case h.Regular() != r.Regular():
			if r.Expiration <= latest {
				return record.CodeStale
			}
			if bytes.Contains(h.Subkey, []byte("[owner:")) {
				return record.CodeConflict
			}
			leaving = append(leaving, h)
		case bytes.Equal(h.Subkey, r.Subkey):
			switch c := newer(r, h.Record); {
			case c == 0:
				return record.CodeDuplicate
			case c < 0, r.Expiration == h.Expiration && s.config.RefuseTies:
				return record.CodeStale
			}
			leaving = append(leaving, h)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(s.list), func(h record.Held) bool {
		return slices.ContainsFunc(leaving, func(l record.Held) bool { return l.Key == h.Key && bytes.Equal(l.Subkey, h.Subkey) })
	})
	rest, ok := s.room(rest, r, author)
	if !ok {
		return record.CodeFull
	}
	s.list = append(rest, record.Held{Record: r, Author: author})
	return 0
}

func size(r record.Record) int64 { return int64(len(r.Subkey)+len(r.Value)) + record.EntryOverhead }

func (s *naive) room(rest []record.Held, r record.Record, author peer.ID) ([]record.Held, bool) {
	var keyBytes int64
	subkeys, mine := 0, 0
	for _, h := range rest {
		if h.Key == r.Key {
			keyBytes += size(h.Record)
			subkeys++
			if h.Author == author {
				mine++
			}
		}
	}
	if keyBytes+size(r) > s.config.MaxKeyBytes {
		return nil, false
	}
	if !r.Regular() && (subkeys+1 > s.config.MaxSubkeys || author != "" && mine+1 > s.config.MaxAuthorSubkeys) {
		return nil, false
	}
	slices.SortFunc(rest, func(a, b record.Held) int {
		if a.Expiration != b.Expiration {
			if a.Expiration < b.Expiration {
				return -1
			}
			return 1
		}
		if c := a.Key.Compare(b.Key); c != 0 {
			return c
		}
		return bytes.Compare(a.Subkey, b.Subkey)
	})
	if author != "" {
		of := func(h record.Held) bool { return h.Author == author }
		var ok bool
		if rest, ok = s.evict(rest, r, of, s.config.MaxAuthorBytes, s.config.MaxAuthorEntries); !ok {
			return nil, false
		}
	}
	return s.evict(rest, r, func(record.Held) bool { return true }, s.config.MaxBytes, s.config.MaxEntries)
}

func (s *naive) evict(rest []record.Held, r record.Record, counts func(record.Held) bool, maxBytes int64, maxEntries int) ([]record.Held, bool) {
	for {
		total, n := size(r), 1
		for _, h := range rest {
			if counts(h) {
				total += size(h.Record)
				n++
			}
		}
		if total <= maxBytes && n <= maxEntries {
			return rest, true
		}
		first := slices.IndexFunc(rest, counts)
		if !s.config.Evict || first < 0 || rest[first].Expiration >= r.Expiration {
			return nil, false
		}
		rest = slices.Delete(rest, first, first+1)
	}
}

func (s *naive) snapshot(now time.Time) []record.Held {
	s.expire(now)
	list := slices.Clone(s.list)
	slices.SortFunc(list, func(a, b record.Held) int {
		if c := a.Key.Compare(b.Key); c != 0 {
			return c
		}
		return bytes.Compare(a.Subkey, b.Subkey)
	})
	return list
}

// world keeps a store and its oracle in step.
type world struct {
	store  *record.Storage
	oracle *naive
	now    time.Time
}

func drawWorld(t *rapid.T) world {
	config := record.StorageConfig{
		MaxBytes:         int64(rapid.SampledFrom([]int{1 << 30, 4000, 2000}).Draw(t, "bytes")),
		MaxEntries:       rapid.SampledFrom([]int{1 << 20, 8, 3}).Draw(t, "entries"),
		MaxAuthorBytes:   int64(rapid.SampledFrom([]int{1 << 30, 1500}).Draw(t, "author bytes")),
		MaxAuthorEntries: rapid.SampledFrom([]int{1 << 20, 4}).Draw(t, "author entries"),
		MaxKeyBytes:      int64(rapid.SampledFrom([]int{1 << 30, 1800}).Draw(t, "key bytes")),
		MaxSubkeys:       rapid.SampledFrom([]int{1 << 20, 4}).Draw(t, "subkeys"),
		MaxAuthorSubkeys: rapid.SampledFrom([]int{1 << 20, 2}).Draw(t, "author subkeys"),
		Evict:            rapid.Bool().Draw(t, "evict"),
		RefuseTies:       rapid.Bool().Draw(t, "refuse ties"),
	}
	return world{store: record.NewStorage(config), oracle: &naive{config: config}, now: start}
}

func (w *world) step(t *rapid.T, step int) {
	subkeys := []string{record.RegularTag, record.RegularTag, "\x01", "\xa1a", "\xc4\x01a", "\xc3", "\xa8[owner:x"}
	r := record.Record{
		Key:    record.Key{byte(rapid.IntRange(0, 3).Draw(t, "key"))},
		Subkey: []byte(rapid.SampledFrom(subkeys).Draw(t, "subkey")),
		Value:  bytes.Repeat([]byte{byte(rapid.IntRange(0, 2).Draw(t, "value"))}, rapid.SampledFrom([]int{1, 1, 400}).Draw(t, "length")),
	}
	r.Expiration = record.ExpirationAt(w.now.Add(time.Duration(rapid.IntRange(-1, 8).Draw(t, "lifetime")) * time.Second))
	author := rapid.SampledFrom([]peer.ID{"", "a", "b", "c"}).Draw(t, "author")
	if rapid.IntRange(0, 4).Draw(t, "pass") == 0 {
		w.now = w.now.Add(time.Second)
	}
	before := w.store.Snapshot(w.now)
	code := record.CodeOf(w.store.Store(r, author, w.now))
	if want := w.oracle.store(r, author, w.now); code != want {
		t.Fatalf("step %d: %q, the oracle says %q", step, code, want)
	}
	after := w.store.Snapshot(w.now)
	if code != 0 {
		if !slices.EqualFunc(before, after, sameHeld) {
			t.Fatalf("step %d: refused, but changed %s", step, cmp.Diff(before, after))
		}
	}
	if want := w.oracle.snapshot(w.now); !slices.EqualFunc(want, after, sameHeld) {
		t.Fatalf("step %d: %s", step, cmp.Diff(want, after))
	}
	w.check(t, r)
}

func sameHeld(a, b record.Held) bool {
	return a.Author == b.Author && a.Key == b.Key && a.Expiration == b.Expiration && bytes.Equal(a.Subkey, b.Subkey) && bytes.Equal(a.Value, b.Value)
}

func (w *world) check(t *rapid.T, r record.Record) {
	found, latest := w.oracle.under(r.Key)
	f, ok := w.store.Get(r.Key, w.now)
	if ok != (len(found) > 0) || ok && f.Expiration != latest {
		t.Fatalf("got %+v, %v; want %d records until %v", f, ok, len(found), latest)
	}
	for _, h := range found {
		got, ok := w.store.Lookup(r.Key, h.Subkey, w.now)
		if !ok || !bytes.Equal(got.Value, h.Value) {
			t.Fatalf("lookup of %v: %v", h, got)
		}
	}
	var total int64
	authors := map[peer.ID]int64{}
	for _, h := range w.oracle.list {
		total += size(h.Record)
		authors[h.Author] += size(h.Record)
	}
	st := w.store.Stats()
	if st.Bytes != total || st.Entries != len(w.oracle.list) || st.Authors != len(authors) || w.store.Len() != st.Entries {
		t.Fatalf("%+v; want %d bytes, %d records, %d authors", st, total, len(w.oracle.list), len(authors))
	}
	for id, want := range authors {
		if got := w.store.AuthorBytes(id); got != want {
			t.Fatalf("author %q has %d bytes, want %d", id, got, want)
		}
	}
}

// TestStorageAgainstNaiveOne runs sequences of operations on the store and on a plain list: at every step both give
// the same answer and hold the same records, and a refusal changes nothing.
func TestStorageAgainstNaiveOne(t *testing.T) {
	sequences := 0
	rapid.Check(t, func(t *rapid.T) {
		// 100 sequences per check (the default number of checks is 100): 10,000 in all
		for range 100 {
			w := drawWorld(t)
			for step := range 12 {
				w.step(t, step)
			}
			sequences++
		}
	})
	if sequences < 10_000 {
		t.Log(fmt.Sprint("only ", sequences, " sequences"))
	}
}
