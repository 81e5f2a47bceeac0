package substrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain"
)

func TestFileJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pending")
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	mine := chain.AccountID{1}
	late := Pending{Account: mine, Nonce: 10, Birth: 5, Period: 64, Genesis: chain.Hash{7}, Call: []byte{1}, Bytes: []byte("late")}
	early := Pending{Account: mine, Nonce: 9, Bytes: []byte("early")}
	other := Pending{Account: chain.AccountID{2}, Nonce: 1, Bytes: []byte("other")}
	for _, p := range []Pending{late, early, other, late} {
		if err := j.Put(p); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenJournal(dir) // another process
	if err != nil {
		t.Fatal(err)
	}
	list, err := again.List(mine)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Pending{early, late}, list); diff != "" {
		t.Error(diff)
	}
	for range 2 { // the second time it is gone already
		if err := again.Delete(hashOf(late.Bytes)); err != nil {
			t.Error(err)
		}
	}
	if list, err := j.List(mine); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	// A file that cannot be read may hold a transaction that is on its way: nothing is signed beside it.
	if err := os.WriteFile(filepath.Join(dir, "x"+journalSuffix), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := j.List(mine); err == nil || !strings.Contains(err.Error(), "x"+journalSuffix) {
		t.Errorf("a damaged file: %v", err)
	}
}
