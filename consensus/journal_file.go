package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// The file is a header line and frames: length u32, CRC-32C u32, payload. A torn last frame, as a crash leaves it, is cut off when
// the file is opened; damage before it is an error, because a decision may be lost in it.
const (
	journalMagic    = "mesh consensus journal 1\n"
	maxFrame        = 1 << 20 // an entry of 50,000 scores
	keepDecisions   = 512     // older ones are dropped when the file is opened
	compactAbove    = 4096    // entries after which an append rewrites the file
	journalFileMode = 0o600
)

// ErrJournalDamaged is a journal with a broken frame before its end. Move the file away only when it is certain that the node
// submitted nothing in the current epoch.
var ErrJournalDamaged = errors.New("journal is damaged")

// Journal is the write-ahead log of decisions in one file, for one node of one subnet on one chain. It is not safe for concurrent
// use; the lock on the data folder keeps other processes away.
type Journal struct {
	path    string
	file    *os.File
	entries []Entry
	closed  bool
}

// JournalName is the file name for a node: a journal of another chain or node is never mistaken for this one's.
func JournalName(genesis chain.Hash, subnet chain.SubnetID, node chain.NodeID) string {
	return fmt.Sprintf("consensus-%x-%d-%d.journal", genesis[:4], subnet, node)
}

// OpenJournal opens or creates the journal at path and reads its entries.
func OpenJournal(path string) (*Journal, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	entries, torn, err := decodeJournal(b)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	j := &Journal{path: path, entries: recent(entries)}
	if len(b) == 0 || torn || len(j.entries) != len(entries) {
		if err := j.rewrite(); err != nil {
			return nil, fmt.Errorf("open journal: %w", err)
		}
		return j, nil
	}
	if j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, journalFileMode); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// Entries returns what was read and appended, oldest first. The slice is the caller's.
func (j *Journal) Entries() []Entry { return append([]Entry(nil), j.entries...) }

// Append makes e durable: it is on the disk when Append returns nil.
func (j *Journal) Append(e Entry) error {
	if j.closed {
		return fmt.Errorf("append to journal: %w", os.ErrClosed)
	}
	if j.file == nil { // the disk failed before, and may work again
		if err := j.rewrite(); err != nil {
			return fmt.Errorf("append to journal: %w", err)
		}
	}
	frame := appendFrame(nil, e)
	if len(frame) > maxFrame {
		return fmt.Errorf("append to journal: an entry of %d bytes is too long", len(frame))
	}
	if _, err := j.file.Write(frame); err != nil {
		return errors.Join(fmt.Errorf("append to journal: %w", err), j.rewrite()) // drop the half that may have been written
	}
	if err := j.file.Sync(); err != nil {
		// The entry may be on the disk or not. It must not stay: another one may be decided in its place, and of two the first counts.
		return errors.Join(fmt.Errorf("append to journal: %w", err), j.rewrite())
	}
	j.entries = append(j.entries, e)
	if len(j.entries) > compactAbove {
		j.entries = recent(j.entries)
		_ = j.rewrite() // e is on the disk all the same; the next Append tries again
	}
	return nil
}

// Close closes the file. It is idempotent.
func (j *Journal) Close() error {
	j.closed = true
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}

// rewrite replaces the file by one with the entries, atomically, and opens it for appending.
func (j *Journal) rewrite() error {
	b := []byte(journalMagic)
	for _, e := range j.entries {
		b = appendFrame(b, e)
	}
	if old := j.file; old != nil {
		j.file = nil
		if err := old.Close(); err != nil {
			return err
		}
	}
	tmp := j.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, journalFileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, j.path); err != nil {
		return err
	}
	syncDir(filepath.Dir(j.path))
	j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, journalFileMode)
	return err
}

// syncDir makes a rename durable where the system can; elsewhere the rename is as durable as the file system makes it.
func syncDir(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	_ = d.Sync()  // not supported on every system
	_ = d.Close() // read only
}

// recent returns the last keepDecisions entries. The epochs do not matter: a chain that once lied about them must not make the file
// forget what was decided in the true one.
func recent(entries []Entry) []Entry {
	return append([]Entry(nil), entries[max(0, len(entries)-keepDecisions):]...)
}

func appendFrame(b []byte, e Entry) []byte {
	p := make([]byte, 0, 64+20*len(e.Scores))
	p = binary.LittleEndian.AppendUint32(p, uint32(e.Epoch))
	p = append(p, byte(e.Kind))
	p = append(p, e.Digest[:]...)
	for _, s := range e.Scores {
		p = binary.LittleEndian.AppendUint32(p, uint32(s.Node))
		p = s.Score.AppendLE(p)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return append(b, p...)
}

const (
	entryHead = 4 + 1 + 32 // epoch, kind, digest
	scoreSize = 4 + 16     // node, score
)

// decodeJournal reads a whole file. torn reports an incomplete or broken last frame, which is not among the entries.
func decodeJournal(b []byte) (entries []Entry, torn bool, err error) {
	if len(b) < len(journalMagic) {
		if string(b) != journalMagic[:len(b)] {
			return nil, false, fmt.Errorf("%w: it is something else", ErrJournalDamaged)
		}
		return nil, len(b) > 0, nil
	}
	if string(b[:len(journalMagic)]) != journalMagic {
		return nil, false, fmt.Errorf("%w: it is something else, or of a newer version", ErrJournalDamaged)
	}
	b = b[len(journalMagic):]
	for len(b) > 0 {
		if len(bytes.TrimLeft(b, "\x00")) == 0 {
			return entries, true, nil // a crash may leave the file longer than what was written
		}
		e, n, err := decodeFrame(b)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return entries, true, nil
		case err != nil && n >= len(b):
			return entries, true, nil // the last frame: its pages reached the disk in part
		case err != nil:
			return nil, false, err
		}
		entries = append(entries, e)
		b = b[n:]
	}
	return entries, false, nil
}

func decodeFrame(b []byte) (Entry, int, error) {
	if len(b) < 8 {
		return Entry{}, 0, io.ErrUnexpectedEOF
	}
	size := binary.LittleEndian.Uint32(b)
	if size > maxFrame {
		return Entry{}, 8, fmt.Errorf("%w: a frame of %d bytes", ErrJournalDamaged, size)
	}
	n := 8 + int(size)
	if len(b) < n {
		return Entry{}, 0, io.ErrUnexpectedEOF
	}
	p := b[8:n]
	if crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(b[4:]) {
		return Entry{}, n, fmt.Errorf("%w: checksum", ErrJournalDamaged)
	}
	if len(p) < entryHead || (len(p)-entryHead)%scoreSize != 0 {
		return Entry{}, n, fmt.Errorf("%w: an entry of %d bytes", ErrJournalDamaged, len(p))
	}
	e := Entry{Epoch: chain.Epoch(binary.LittleEndian.Uint32(p)), Kind: Kind(p[4]), Digest: Digest(p[5:entryHead])}
	if e.Kind != Proposal && e.Kind != Attestation {
		return Entry{}, n, fmt.Errorf("%w: kind %d", ErrJournalDamaged, e.Kind)
	}
	for p = p[entryHead:]; len(p) > 0; p = p[scoreSize:] {
		e.Scores = append(e.Scores, chain.NodeScore{Node: chain.NodeID(binary.LittleEndian.Uint32(p)), Score: u128.FromLE(p[4:scoreSize])})
	}
	return e, n, nil
}
