package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/journal"
)

var start = time.Unix(1_700_000_000, 0)

func held(i int) record.Held {
	return record.Held{
		Record: record.Record{
			Key: record.KeyOf(i), Subkey: []byte(record.RegularTag), Value: bytes.Repeat([]byte{byte(i)}, 1+i%50),
			Expiration: record.ExpirationAt(start.Add(time.Duration(i) * time.Second)),
		},
		Author: "author",
	}
}

func numbered(n int) []record.Held {
	list := make([]record.Held, n)
	for i := range list {
		list[i] = held(i)
	}
	return list
}

// reopen opens a journal and returns what was in it.
func reopen(t testing.TB, path string) (*journal.Journal, journal.Report, []record.Held) {
	t.Helper()
	var got []record.Held
	j, report, err := journal.Open(path, journal.Config{}, func(h record.Held) { got = append(got, h) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, j.Close()) })
	return j, report, got
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsAppendedIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records")
	j, report, got := reopen(t, path)
	if len(got) != 0 || report != (journal.Report{}) {
		t.Fatalf("%+v, %v", report, got)
	}
	want := numbered(100)
	must(t, j.Append(want[:1]...))
	must(t, j.Append(want[1:]...))
	must(t, j.Append())
	must(t, j.Sync())
	size := j.Size()
	must(t, j.Close())
	must(t, j.Close())
	_, report, got = reopen(t, path)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if report != (journal.Report{Records: 100}) {
		t.Errorf("%+v", report)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Size() != size {
		t.Errorf("%d bytes, counted %d", info.Size(), size)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
}

// A crash at any byte of a write costs the record being written and nothing before it, and appending goes on.
func TestTornEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records")
	j, _, _ := reopen(t, path)
	must(t, j.Append(numbered(3)...))
	two := j.Size()
	must(t, j.Append(held(3)))
	must(t, j.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	for cut := range int64(len(whole)) {
		must(t, os.WriteFile(path, whole[:cut], 0o600))
		j, report, got := reopen(t, path)
		if cut >= two && len(got) != 3 {
			t.Fatalf("cut at %d: %d records", cut, len(got))
		}
		if diff := cmp.Diff(numbered(4)[:len(got)], got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		if report.Damaged != 0 {
			t.Fatalf("cut at %d: %+v", cut, report)
		}
		must(t, j.Append(held(9)))
		must(t, j.Close())
		_, report, again := reopen(t, path)
		if diff := cmp.Diff(append(got, held(9)), again); diff != "" || report.Torn != 0 || report.Damaged != 0 {
			t.Fatalf("cut at %d: %+v %s", cut, report, diff)
		}
	}
}

// One flipped bit costs one record at most, wherever it is behind the header.
func TestFlippedBits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records")
	j, _, _ := reopen(t, path)
	header := j.Size()
	want := numbered(20)
	must(t, j.Append(want...))
	must(t, j.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	for at := header; at < int64(len(whole)); at++ {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << (at % 8)
		var got []record.Held
		report, err := journal.Read(bytes.NewReader(damaged), func(h record.Held) { got = append(got, h) })
		must(t, err)
		if len(got) != 19 || report.Records != 19 || report.Damaged+report.Torn == 0 {
			t.Fatalf("byte %d: %+v", at, report)
		}
		for _, h := range got {
			if !slices.ContainsFunc(want, func(w record.Held) bool { return w.Key == h.Key && bytes.Equal(w.Value, h.Value) }) {
				t.Fatalf("byte %d: %+v was never written", at, h)
			}
		}
	}
}

// A record cannot smuggle in others: bytes inside it that look like a frame are not one in another file.
func TestFramesInsideRecords(t *testing.T) {
	folder := t.TempDir()
	j, _, _ := reopen(t, filepath.Join(folder, "theirs"))
	header := j.Size()
	must(t, j.Append(held(7)))
	must(t, j.Close())
	frame, err := os.ReadFile(filepath.Join(folder, "theirs"))
	must(t, err)
	frame = frame[header:]

	path := filepath.Join(folder, "ours")
	j, _, _ = reopen(t, path)
	evil := held(1)
	evil.Value = slices.Concat([]byte("x"), frame, frame)
	must(t, j.Append(evil, held(2)))
	must(t, j.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	whole[header+5] ^= 1 // the length of the first frame
	var got []record.Held
	_, err = journal.Read(bytes.NewReader(whole), func(h record.Held) { got = append(got, h) })
	must(t, err)
	if diff := cmp.Diff([]record.Held{held(2)}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFilesThatAreNoJournals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letter")
	for _, text := range []string{"Dear Alice,", "Dear Alice, this is a longer letter than any header could be."} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		j, _, err := journal.Open(path, journal.Config{}, func(record.Held) {})
		if err == nil {
			must(t, j.Close())
			t.Fatal("opened")
		}
		if got, err := os.ReadFile(path); string(got) != text {
			t.Errorf("the file became %q, %v", got, err)
		}
	}
	if _, _, err := journal.Open(filepath.Join(path, "no", "folder"), journal.Config{}, nil); err == nil {
		t.Error("opened in no folder")
	}
	if _, err := journal.Read(bytes.NewReader(nil), nil); err == nil {
		t.Error("read nothing")
	}
}

func TestCompact(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "records")
	j, _, err := journal.Open(path, journal.Config{Sync: true}, nil)
	must(t, err)
	s := record.NewStorage(record.StorageConfig{})
	for version := range 10 {
		for i := range 50 {
			h := held(i)
			h.Expiration = record.ExpirationAt(start.Add(time.Duration(version+1) * time.Minute))
			must(t, s.Store(h.Record, h.Author, start))
			must(t, j.Append(h))
		}
	}
	long := j.Size()
	must(t, j.Compact(s.All(start)))
	if j.Size() > long/9 {
		t.Errorf("%d of %d bytes", j.Size(), long)
	}
	must(t, j.Append(held(1000)))
	must(t, j.Close())

	restored := record.NewStorage(record.StorageConfig{})
	j, report, err := journal.Open(path, journal.Config{}, func(h record.Held) { must(t, restored.Store(h.Record, h.Author, start)) })
	must(t, err)
	must(t, j.Close())
	if report != (journal.Report{Records: 51}) {
		t.Errorf("%+v", report)
	}
	restored.Remove(held(1000).Key)
	if diff := cmp.Diff(s.Snapshot(start), restored.Snapshot(start)); diff != "" {
		t.Error(diff)
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*.tmp")); len(left) != 0 || err != nil {
		t.Error(left, err)
	}
}

func TestFailuresLeaveTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records")
	j, _, _ := reopen(t, path)
	must(t, j.Append(held(1)))
	huge := held(2)
	huge.Value = make([]byte, 2<<20)
	if err := j.Append(held(3), huge); err == nil {
		t.Error("appended a huge record")
	}
	if err := j.Compact(slices.Values([]record.Held{held(3), huge})); err == nil {
		t.Error("compacted a huge record")
	}
	must(t, j.Append(held(4)))
	must(t, j.Close())
	if err := j.Append(held(5)); err == nil {
		t.Error("appended after closing")
	}
	_, _, got := reopen(t, path)
	if diff := cmp.Diff([]record.Held{held(1), held(4)}, got); diff != "" {
		t.Error(diff)
	}
}

// Any sequence of appending, compacting, tearing and reopening keeps what was there before the tear.
func TestJournalKeepsWhatItGot(t *testing.T) {
	folder := t.TempDir()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		path := filepath.Join(folder, fmt.Sprint(n))
		var want, got []record.Held
		j, _, err := journal.Open(path, journal.Config{}, nil)
		must(t, err)
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0, 1:
				batch := numbered(rapid.IntRange(0, 5).Draw(r, "records"))
				must(t, j.Append(batch...))
				want = append(want, batch...)
			case 2:
				want = want[rapid.IntRange(0, len(want)).Draw(r, "dead"):]
				must(t, j.Compact(slices.Values(want)))
			case 3:
				must(t, j.Append(held(99)))
				must(t, j.Close())
				torn := rapid.Int64Range(1, 100).Draw(r, "torn")
				must(t, os.Truncate(path, j.Size()-torn))
				got = nil
				j, _, err = journal.Open(path, journal.Config{}, func(h record.Held) { got = append(got, h) })
				must(t, err)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					r.Fatal(diff)
				}
			}
		}
		must(t, j.Close())
	})
}

func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "records")
	j, _, err := journal.Open(path, journal.Config{}, nil)
	must(f, err)
	must(f, j.Append(numbered(2)...))
	must(f, j.Close())
	whole, err := os.ReadFile(path)
	must(f, err)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:20])
	f.Add(append(bytes.Clone(whole[:40]), whole[39:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		records := 0
		report, err := journal.Read(bytes.NewReader(data), func(h record.Held) { records++ })
		if err != nil {
			return
		}
		if report.Records != records || report.Damaged < 0 || report.Torn < 0 || report.Damaged+report.Torn > int64(len(data)) {
			t.Fatalf("%+v for %d records in %d bytes", report, records, len(data))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			j, _, err := journal.Open(filepath.Join(b.TempDir(), "records"), journal.Config{Sync: sync}, nil)
			must(b, err)
			h := held(1)
			h.Value = make([]byte, 300)
			b.ReportAllocs()
			b.SetBytes(400)
			for b.Loop() {
				must(b, j.Append(h))
			}
			must(b, j.Close())
		})
	}
}

func Example() {
	folder, err := os.MkdirTemp("", "journal")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "records")

	j, _, err := journal.Open(path, journal.Config{Sync: true}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("append:", j.Append(record.Held{
		Record: record.Record{Key: record.KeyOf("k"), Subkey: []byte(record.RegularTag), Value: []byte{7}, Expiration: 1_700_000_000},
	}))
	fmt.Println("close:", j.Close())

	j, report, err := journal.Open(path, journal.Config{}, func(h record.Held) { fmt.Printf("read: %x\n", h.Value) })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Records, "record;", "close:", j.Close())
	// Output:
	// append: <nil>
	// close: <nil>
	// read: 07
	// 1 record; close: <nil>
}

// TestLeftoversOfACrash: what a crash during Compact left goes away with the next start; everything else in the folder stays.
func TestLeftoversOfACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.journal")
	stays := []string{path + ".new", path + ".x1.tmp", path + ".tmp", filepath.Join(filepath.Dir(path), "other.journal.12.tmp")}
	for _, name := range append([]string{path + ".123456.tmp"}, stays...) {
		must(t, os.WriteFile(name, []byte("half"), 0o600))
	}
	reopen(t, path)
	if _, err := os.Stat(path + ".123456.tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
	for _, name := range stays {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
