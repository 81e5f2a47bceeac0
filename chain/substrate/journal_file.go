package substrate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/identity"
)

const (
	journalSuffix = ".tx.json"
	maxPending    = 1 << 20 // bytes of one journal file; an extrinsic is far smaller
)

// FileJournal is a [Journal] in a folder, one file for each pending transaction. Processes that sign for the same account must
// not share a folder at the same time.
type FileJournal struct {
	dir string
	mu  sync.Mutex
}

// OpenJournal opens a folder, and makes it if it is not there.
func OpenJournal(dir string) (*FileJournal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("substrate: journal: %w", err)
	}
	return &FileJournal{dir: dir}, nil
}

// Put writes a transaction to stable storage.
func (j *FileJournal) Put(p Pending) error {
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("substrate: journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := identity.WriteSecret(j.path(hashOf(p.Bytes)), b, true); err != nil {
		return fmt.Errorf("substrate: journal: %w", err)
	}
	return nil
}

func (j *FileJournal) path(extrinsic chain.Hash) string {
	return filepath.Join(j.dir, extrinsic.String()[2:]+journalSuffix)
}

// Delete removes a transaction. One that is not there is no error.
func (j *FileJournal) Delete(extrinsic chain.Hash) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := os.Remove(j.path(extrinsic)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("substrate: journal: %w", err)
	}
	return nil
}

// List reads the pending transactions of an account, lowest nonce first. A file that cannot be read is an error: what it held
// may be on its way.
func (j *FileJournal) List(account chain.AccountID) ([]Pending, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("substrate: journal: %w", err)
	}
	var out []Pending
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), journalSuffix) {
			continue
		}
		p, err := readPending(filepath.Join(j.dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("substrate: journal: %s: %w", e.Name(), err)
		}
		if p.Account == account {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Pending) int { return cmp.Compare(a.Nonce, b.Nonce) })
	return out, nil
}

func readPending(path string) (p Pending, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxPending))
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(b, &p)
}
