package consensus

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain"
)

func testEntries() []Entry {
	scores := []chain.NodeScore{{Node: 1, Score: chain.OneTensor()}, {Node: 4, Score: chain.Tensor(2)}}
	return []Entry{
		{Epoch: 5, Kind: Proposal, Digest: DigestOf(2, scores, 0, 0), Scores: scores},
		{Epoch: 6, Kind: Attestation, Digest: Digest{1, 2}},
	}
}

func openJournal(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func TestJournalSurvivesReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), JournalName(chain.Hash{1}, 7, 2))
	j := openJournal(t, path)
	for _, e := range testEntries() {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(testEntries(), openJournal(t, path).Entries()); d != "" {
		t.Error(d)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestJournalCrash cuts the file at every byte: what was complete is read, and appending works on.
func TestJournalCrash(t *testing.T) {
	whole := []byte(journalMagic)
	var ends []int
	for _, e := range testEntries() {
		whole = appendFrame(whole, e)
		ends = append(ends, len(whole))
	}
	for n := range whole {
		for _, tail := range [][]byte{nil, make([]byte, 100)} {
			path := filepath.Join(t.TempDir(), "j")
			if n < len(journalMagic) && tail != nil {
				continue
			}
			if err := os.WriteFile(path, append(bytes.Clone(whole[:n]), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := OpenJournal(path)
			if err != nil {
				if tail != nil {
					continue // zeros behind half a frame may look like damage: then it says so
				}
				t.Fatalf("cut at %d: %v", n, err)
			}
			want := 0
			for _, e := range ends {
				if e <= n {
					want++
				}
			}
			if got := len(j.Entries()); got != want {
				if tail == nil || got != want+1 { // the missing bytes may have been zeros
					t.Fatalf("cut at %d: %d entries, want %d", n, got, want)
				}
				want = got
			}
			if err := j.Append(Entry{Epoch: 9, Kind: Attestation}); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if got := len(openJournal(t, path).Entries()); got != want+1 {
				t.Fatalf("cut at %d: %d entries after an append, want %d", n, got, want+1)
			}
		}
	}
}

func TestJournalDamageIsAnError(t *testing.T) {
	b := []byte(journalMagic)
	for _, e := range testEntries() {
		b = appendFrame(b, e)
	}
	b[len(journalMagic)+20] ^= 1
	path := filepath.Join(t.TempDir(), "j")
	for name, content := range map[string][]byte{"checksum": b, "something else": []byte("hello, I am a text file that is long enough\n")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenJournal(path); !errors.Is(err, ErrJournalDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestJournalForgetsOldDecisions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j := openJournal(t, path)
	for i := range keepDecisions + 10 {
		if err := j.Append(Entry{Epoch: chain.Epoch(i), Kind: Attestation}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Append(Entry{Epoch: 4_000_000_000, Kind: Attestation}); err != nil { // of a chain that lied
		t.Fatal(err)
	}
	got := openJournal(t, path).Entries()
	if len(got) != keepDecisions || got[0].Epoch != 11 || got[len(got)-2].Epoch != keepDecisions+9 {
		t.Errorf("%d entries after reopening, from epoch %d", len(got), got[0].Epoch)
	}
}

func TestJournalClosed(t *testing.T) {
	j := openJournal(t, filepath.Join(t.TempDir(), "j"))
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Error(err)
	}
	if err := j.Append(Entry{Kind: Proposal}); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func FuzzDecodeJournal(f *testing.F) {
	b := []byte(journalMagic)
	for _, e := range testEntries() {
		b = appendFrame(b, e)
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Add([]byte(journalMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, torn, err := decodeJournal(b)
		if err != nil || torn || len(b) == 0 {
			return
		}
		again := []byte(journalMagic)
		for _, e := range entries {
			again = appendFrame(again, e)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%d entries encode to something else", len(entries))
		}
	})
}

// TestJournalSurvivesDiskErrors: what Append reported as lost stays lost, or a restart would find two decisions where one was made,
// and the journal works again when the disk does.
func TestJournalSurvivesDiskErrors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes sync there")
	}
	r, unsynced, err := os.Pipe() // takes writes and refuses to sync
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	_, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]*os.File{"sync": unsynced, "write": broken} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			j := openJournal(t, path)
			if err := j.file.Close(); err != nil {
				t.Fatal(err)
			}
			j.file = file
			lost, kept := testEntries()[0], testEntries()[1]
			if err := j.Append(lost); err == nil {
				t.Fatal("no error")
			}
			if err := j.Append(kept); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]Entry{kept}, openJournal(t, path).Entries()); d != "" {
				t.Error(d)
			}
		})
	}
}
