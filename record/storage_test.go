package record_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// put returns a record under "k"; sub nil makes a regular one.
func put(t testing.TB, sub any, value string, after time.Duration) record.Record {
	t.Helper()
	return record.Record{Key: record.KeyOf("k"), Subkey: subkey(t, sub), Value: pack(t, value), Expiration: in(after)}
}

// contents lists a store as text.
func contents(s *record.Storage, now time.Time) []string {
	var all []string
	for h := range s.All(now) {
		v, _ := msgpack.Unmarshal(h.Value)
		k, _ := record.ParseSubkey(h.Subkey)
		all = append(all, fmt.Sprintf("%v=%v until %v by %s", k, v, h.Expiration.Time().Sub(start), string(h.Author)))
	}
	return all
}

func TestNewestWins(t *testing.T) {
	for _, sub := range []any{nil, "s"} {
		s := record.NewStorage(record.StorageConfig{})
		accepted(t, s.Store(put(t, sub, "b", time.Minute), "x", start))
		refused(t, s.Store(put(t, sub, "b", time.Minute), "x", start), record.SideSender, record.CodeDuplicate)
		refused(t, s.Store(put(t, sub, "z", 59*time.Second), "x", start), record.SideSender, record.CodeStale)
		refused(t, s.Store(put(t, sub, "a", time.Minute), "x", start), record.SideSender, record.CodeStale)
		accepted(t, s.Store(put(t, sub, "a", time.Minute+time.Millisecond), "x", start))
		if s.Len() != 1 {
			t.Errorf("%d records", s.Len())
		}
	}
}

func TestExpiredIsNeverServed(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{})
	refused(t, s.Store(put(t, nil, "v", 0), "x", start), record.SideSender, record.CodeExpired)
	accepted(t, s.Store(put(t, "a", "v", time.Second), "x", start))
	accepted(t, s.Store(put(t, "b", "v", 2*time.Second), "x", start))
	key := record.KeyOf("k")
	now := start.Add(time.Second)
	if f, ok := s.Get(key, now); !ok || len(f.Dictionary.Entries) != 1 || f.Expiration != in(2*time.Second) {
		t.Errorf("%+v", f)
	}
	if _, ok := s.Lookup(key, subkey(t, "a"), start); ok {
		t.Error("came back when the clock went back")
	}
	now = start.Add(2 * time.Second)
	if _, ok := s.Get(key, now); ok {
		t.Error("served")
	}
	if _, form, _ := s.AppendWire(nil, key, now); form != record.FormNone {
		t.Error("served")
	}
	if st := s.Stats(); st.Keys != 0 || st.Bytes != 0 || st.Authors != 0 || st.Expired != 2 {
		t.Errorf("%+v", st)
	}
	if _, ok := s.NextExpiration(); ok {
		t.Error("nothing expires next")
	}
}

// What is under a key is one value or subkeys, whichever expires later.
func TestRegularAndDictionaryPrecedence(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{})
	key := record.KeyOf("k")
	accepted(t, s.Store(put(t, nil, "regular", 10*time.Second), "x", start))
	refused(t, s.Store(put(t, "a", "early", 10*time.Second), "x", start), record.SideSender, record.CodeStale)
	accepted(t, s.Store(put(t, "a", "later", 20*time.Second), "x", start))
	accepted(t, s.Store(put(t, "b", "early", 5*time.Second), "x", start)) // it is a dictionary now
	f, ok := s.Get(key, start)
	if !ok || f.Dictionary == nil || len(f.Dictionary.Entries) != 2 || f.Expiration != in(20*time.Second) {
		t.Fatalf("%+v", f)
	}
	refused(t, s.Store(put(t, nil, "equal", 20*time.Second), "x", start), record.SideSender, record.CodeStale)
	accepted(t, s.Store(put(t, nil, "latest", 21*time.Second), "x", start))
	if f, ok = s.Get(key, start); !ok || f.Dictionary != nil || string(f.Value) != string(pack(t, "latest")) {
		t.Fatalf("%+v", f)
	}
	if st := s.Stats(); st.Entries != 1 || st.Displaced != 3 {
		t.Errorf("%+v", st)
	}

	// What belongs to owners cannot be wiped out by somebody else's plain value.
	accepted(t, s.Store(put(t, ed25519Node(t, 1).name(), "mine", 30*time.Second), "x", start))
	refused(t, s.Store(put(t, nil, "wipe", time.Hour), "x", start), record.SideSender, record.CodeConflict)
}

func TestWireForm(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{})
	key := record.KeyOf("k")
	accepted(t, s.Store(put(t, nil, "v", time.Second), "x", start))
	got, form, exp := s.AppendWire([]byte("x"), key, start)
	if form != record.FormRegular || exp != in(time.Second) || string(got) != "x"+string(pack(t, "v")) {
		t.Errorf("%q, %v, %v", got, form, exp)
	}
	accepted(t, s.Store(put(t, "b", "v", 20*time.Second), "x", start))
	accepted(t, s.Store(put(t, "a", "v", 10*time.Second), "x", start))
	got, form, exp = s.AppendWire([]byte("x"), key, start)
	if form != record.FormDictionary || exp != in(20*time.Second) || got[0] != 'x' {
		t.Errorf("%q, %v, %v", got, form, exp)
	}
	d, skipped, err := record.ParseDictionary(got[1:], record.DictionaryLimits{})
	if err != nil || len(skipped) > 0 {
		t.Fatal(skipped, err)
	}
	f, _ := s.Get(key, start)
	if diff := cmp.Diff(*f.Dictionary, d); diff != "" {
		t.Error(diff)
	}
	if size := s.WireSize(key); size < len(got)-10 || size > len(got)+60 {
		t.Errorf("%d bytes estimated as %d", len(got), size)
	}
	// As Python packs it: unlimited, latest expiration, entries by subkey.
	if want := "50" + "93" + "cb7ff0000000000000"; !bytes.Contains(got, unhex(t, want)) {
		t.Errorf("%x", got)
	}
}

func TestBoundsOfTheStore(t *testing.T) {
	const each = record.EntryOverhead + 4 // subkey c0, value "ab"
	r := func(i int, after time.Duration) record.Record {
		r := put(t, nil, "ab", after)
		r.Key = record.KeyOf(i)
		return r
	}
	for name, c := range map[string]struct {
		config record.StorageConfig
		n      int
		side   record.Side
		author peer.ID
	}{
		"entries":           {record.StorageConfig{MaxEntries: 10, MaxAuthorEntries: 20}, 10, record.SideOurs, "x"},
		"bytes":             {record.StorageConfig{MaxBytes: 10*each + 3, MaxAuthorBytes: 1 << 20}, 10, record.SideOurs, "x"},
		"entries of author": {record.StorageConfig{MaxAuthorEntries: 10}, 10, record.SideAuthor, "x"},
		"bytes of author":   {record.StorageConfig{MaxAuthorBytes: 10*each + 3}, 10, record.SideAuthor, "x"},
		"a quarter each":    {record.StorageConfig{MaxEntries: 40}, 10, record.SideAuthor, "x"},
		"ourselves":         {record.StorageConfig{MaxEntries: 40}, 40, record.SideOurs, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := record.NewStorage(c.config)
			for i := range c.n {
				accepted(t, s.Store(r(i, time.Minute), c.author, start))
			}
			refused(t, s.Store(r(c.n, time.Hour), c.author, start), c.side, record.CodeFull)
			if s.Len() != c.n {
				t.Errorf("%d records", s.Len())
			}
			accepted(t, s.Store(r(0, time.Hour), c.author, start)) // a new version needs no more room
			if c.side == record.SideAuthor {
				accepted(t, s.Store(r(c.n, time.Hour), "y", start))
			}
			accepted(t, s.Store(r(c.n+1, time.Hour), c.author, start.Add(2*time.Minute))) // others have expired
		})
	}
}

func TestCacheDropsWhatExpiresFirst(t *testing.T) {
	s := record.NewCache(record.StorageConfig{MaxEntries: 3, MaxAuthorEntries: 3})
	r := func(i int, after time.Duration) record.Record {
		r := put(t, nil, fmt.Sprint(i), after)
		r.Key = record.KeyOf(i)
		return r
	}
	for i, after := range []time.Duration{30 * time.Second, 10 * time.Second, 20 * time.Second} {
		accepted(t, s.Store(r(i, after), "x", start))
	}
	refused(t, s.Store(r(3, 5*time.Second), "x", start), record.SideAuthor, record.CodeFull) // itself would be the first to go
	accepted(t, s.Store(r(4, 40*time.Second), "x", start))
	got := contents(s, start)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"<nil>=0 until 30s by x", "<nil>=2 until 20s by x", "<nil>=4 until 40s by x"}, got); diff != "" {
		t.Error(diff)
	}
	if st := s.Stats(); st.Evicted != 1 || st.Refused != 1 {
		t.Errorf("%+v", st)
	}
}

// The cache of pushed copies is as bounded as the store. In the original anybody filled the cache of others.
func TestPushedCopiesCannotFillMemory(t *testing.T) {
	s := record.NewCache(record.StorageConfig{MaxBytes: 100 << 10, MaxEntries: 50})
	for i := range 1000 {
		r := record.Record{Key: record.KeyOf(i), Subkey: []byte(record.RegularTag), Value: pack(t, make([]byte, 1000)), Expiration: in(time.Minute + time.Duration(i))}
		_ = s.Store(r, peer.ID(fmt.Sprint(i%7)), start) // full or not
		if st := s.Stats(); st.Bytes > 100<<10 || st.Entries > 50 {
			t.Fatalf("%+v", st)
		}
	}
	if s.AuthorBytes("1") > 25<<10 {
		t.Errorf("one author has %d bytes", s.AuthorBytes("1"))
	}
}

// All subkeys of a key travel in one message, so a key never outgrows one, and a flood of subkeys by one author leaves
// room for others. In the original such a key could not be read any more, and who answered was thrown out of tables.
func TestOneKeyAlwaysFitsAMessage(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{MaxKeyBytes: 100 << 10, MaxSubkeys: 100, MaxAuthorSubkeys: 20})
	n := 0
	for i := range 50 {
		r := put(t, i, "v", time.Minute)
		if err := s.Store(r, "flood", start); err != nil {
			refused(t, err, record.SideAuthor, record.CodeFull)
			continue
		}
		n++
	}
	if n != 20 {
		t.Errorf("%d subkeys of one author", n)
	}
	accepted(t, s.Store(put(t, "honest", "v", time.Minute), "y", start))
	big := put(t, "big", string(make([]byte, 60<<10)), time.Minute)
	accepted(t, s.Store(big, "y", start))
	big.Subkey = subkey(t, "big2")
	refused(t, s.Store(big, "z", start), record.SideOurs, record.CodeFull)
	for i := range 200 {
		_ = s.Store(put(t, fmt.Sprint(i), "v", time.Minute), peer.ID(fmt.Sprint(i)), start) // full at some point
	}
	if st := s.Stats(); st.Entries != 100 {
		t.Errorf("%+v", st)
	}
	wire, _, _ := s.AppendWire(nil, record.KeyOf("k"), start)
	if len(wire) > 100<<10 {
		t.Errorf("%d bytes to send", len(wire))
	}
	if _, skipped, err := record.ParseDictionary(wire, record.DictionaryLimits{}); err != nil || len(skipped) > 0 {
		t.Error(skipped, err)
	}
}

// A refused record changes nothing, least of all how long a stored one lives. In the original the refusal of an older
// version made the newer one vanish when the older would have expired.
func TestRefusedStoreChangesNothing(t *testing.T) {
	for _, sub := range []any{nil, "s", ed25519Node(t, 1).name()} {
		s := record.NewStorage(record.StorageConfig{})
		accepted(t, s.Store(put(t, sub, "new", time.Hour), "x", start))
		before := contents(s, start)
		for i := range 100 {
			refused(t, s.Store(put(t, sub, "old", time.Duration(i+1)*time.Second), "eve", start), record.SideSender, record.CodeStale)
		}
		if diff := cmp.Diff(before, contents(s, start)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(before, contents(s, start.Add(59*time.Minute))); diff != "" {
			t.Error("vanished early:", diff)
		}
		if e, ok := s.NextExpiration(); !ok || e != in(time.Hour) {
			t.Errorf("next expiration %v", e)
		}
	}

	// Nothing is evicted for a newcomer that does not fit in the end.
	s := record.NewCache(record.StorageConfig{MaxBytes: 10 << 10, MaxAuthorBytes: 10 << 10})
	for i := range 8 {
		r := put(t, nil, string(make([]byte, 500)), time.Duration(i+1)*time.Minute)
		r.Key = record.KeyOf(i)
		accepted(t, s.Store(r, "x", start))
	}
	before := contents(s, start)
	huge := put(t, nil, string(make([]byte, 8<<10)), 4*time.Minute) // only three may go for it, it needs more
	refused(t, s.Store(huge, "y", start), record.SideOurs, record.CodeFull)
	if diff := cmp.Diff(before, contents(s, start)); diff != "" {
		t.Error(diff)
	}
}

// What is read shares no memory with the store, and what is stored none with the caller's. In the original a reader
// merged answers of others into the stored object itself.
func TestNothingReadSharesMemoryWithTheStore(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{})
	key := record.KeyOf("k")
	r := put(t, "s", "value", time.Hour)
	accepted(t, s.Store(r, "x", start))
	spoil := func(b []byte) {
		for i := range b {
			b[i] ^= 0xff
		}
	}
	want := contents(s, start)
	spoil(r.Subkey)
	spoil(r.Value)
	f, _ := s.Get(key, start)
	merged := f.Dictionary.Merge(record.Dictionary{Latest: in(2 * time.Hour), Entries: []record.Entry{
		{Subkey: subkey(t, "s"), Value: pack(t, "other"), Expiration: in(2 * time.Hour)},
		{Subkey: subkey(t, "more"), Value: pack(t, "more"), Expiration: in(2 * time.Hour)},
	}})
	if len(merged.Entries) != 2 {
		t.Error(merged)
	}
	spoil(f.Dictionary.Entries[0].Subkey)
	spoil(f.Dictionary.Entries[0].Value)
	f.Dictionary.Entries = nil
	l, ok := s.Lookup(key, subkey(t, "s"), start)
	if !ok {
		t.Fatal("lost")
	}
	spoil(l.Value)
	spoil(l.Subkey)
	wire, _, _ := s.AppendWire(nil, key, start)
	spoil(wire)
	accepted(t, s.Store(put(t, nil, "regular", 2*time.Hour), "x", start))
	f, _ = s.Get(key, start)
	spoil(f.Value)
	if diff := cmp.Diff([]string{"<nil>=regular until 2h0m0s by x"}, contents(s, start)); diff != "" {
		t.Error(diff)
	}
	s = record.NewStorage(record.StorageConfig{})
	accepted(t, s.Store(put(t, "s", "value", time.Hour), "x", start))
	if diff := cmp.Diff(want, contents(s, start)); diff != "" {
		t.Error(diff)
	}
}

// Subkeys of all types live and expire side by side. In the original two types with one expiration could not be
// ordered, and the reader of such a dictionary failed.
func TestSubkeysOfAnyTypeExpireTogether(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{})
	subs := []any{0, "", false, true, "text", []byte("text"), 1.5, -1, msgpack.Tuple{}, msgpack.Tuple{1, "a"}, uint64(1 << 63)}
	for _, sub := range subs {
		accepted(t, s.Store(put(t, sub, "v", time.Minute), "x", start))
		refused(t, s.Store(put(t, sub, "a", time.Minute), "x", start), record.SideSender, record.CodeStale)
	}
	if f, ok := s.Get(record.KeyOf("k"), start); !ok || len(f.Dictionary.Entries) != len(subs) {
		t.Errorf("%+v", f)
	}
	if n := s.Expire(start.Add(time.Minute)); n != len(subs) || s.Len() != 0 {
		t.Errorf("%d expired", n)
	}
}

// Two writes in one tick of the clock: all nodes settle on the same, in whatever order they arrive; or, beside Python
// nodes, on the first, as these do. Neither is lost without a word.
func TestTwoWritesInOneTickSettle(t *testing.T) {
	a, b := put(t, "s", "a", time.Minute), put(t, "s", "b", time.Minute)
	one, two := record.NewStorage(record.StorageConfig{}), record.NewStorage(record.StorageConfig{})
	accepted(t, one.Store(a, "x", start))
	accepted(t, one.Store(b, "x", start))
	accepted(t, two.Store(b, "x", start))
	refused(t, two.Store(a, "x", start), record.SideSender, record.CodeStale)
	if diff := cmp.Diff(one.Snapshot(start), two.Snapshot(start)); diff != "" {
		t.Error(diff)
	}
	python := record.NewStorage(record.StorageConfig{RefuseTies: true})
	accepted(t, python.Store(a, "x", start))
	refused(t, python.Store(b, "x", start), record.SideSender, record.CodeStale)
	refused(t, python.Store(a, "x", start), record.SideSender, record.CodeDuplicate)
}

func TestSnapshotDependsOnContentOnly(t *testing.T) {
	var records []record.Record
	for i := range 20 {
		for j := range 5 {
			r := put(t, j, fmt.Sprint(i, j), time.Minute+time.Duration(j)*time.Second)
			r.Key = record.KeyOf(i)
			records = append(records, r)
		}
	}
	one, two := record.NewStorage(record.StorageConfig{}), record.NewStorage(record.StorageConfig{})
	for _, r := range records {
		accepted(t, one.Store(r, "x", start))
	}
	slices.Reverse(records)
	for _, r := range records {
		old := r
		old.Expiration -= 30
		accepted(t, two.Store(old, "y", start))
		accepted(t, two.Store(r, "x", start))
	}
	if diff := cmp.Diff(one.Snapshot(start), two.Snapshot(start)); diff != "" {
		t.Error(diff)
	}
	for range one.All(start) { // stopping early is fine
		break
	}
	if !one.Remove(record.KeyOf(3)) || one.Remove(record.KeyOf(3)) || one.Len() != 95 {
		t.Errorf("%d records after removing a key", one.Len())
	}
}

func TestSubkeysBehindOne(t *testing.T) {
	s := record.NewStorage(record.StorageConfig{})
	for _, name := range []string{"a", "c", "b", "d"} {
		accepted(t, s.Store(put(t, name, "v", time.Minute), "x", start))
	}
	list := func(after []byte) (names []any) {
		entries, ok := s.Subkeys(record.KeyOf("k"), after, start)
		if !ok {
			t.Fatal("no dictionary")
		}
		for e := range entries {
			name, err := record.ParseSubkey(e.Subkey)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		return names
	}
	for _, tt := range []struct {
		after string
		want  []any
	}{{"", []any{"a", "b", "c", "d"}}, {"b", []any{"c", "d"}}, {"bb", nil}, {"d", nil}} {
		var after []byte
		if tt.after != "" {
			after = subkey(t, tt.after)
		}
		if diff := cmp.Diff(tt.want, list(after)); diff != "" {
			t.Errorf("behind %q: %s", tt.after, diff)
		}
	}
	if _, ok := s.Subkeys(record.KeyOf("other"), nil, start); ok {
		t.Error("a key without records has a dictionary")
	}
	accepted(t, s.Store(put(t, nil, "v", time.Hour), "x", start))
	if _, ok := s.Subkeys(record.KeyOf("k"), nil, start); ok {
		t.Error("a regular value is a dictionary")
	}
}
