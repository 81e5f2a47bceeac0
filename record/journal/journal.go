package journal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/hypertensor-blockchain/mesh/record"
)

// Config tunes a Journal. The zero value is usable.
type Config struct {
	// Sync makes every Append wait until the disk has the records: what was acknowledged survives a power
	// failure. Without it the operating system decides, and only a crash of the process is survived.
	Sync bool
}

const (
	fileMode   fs.FileMode = 0o600  // records may be private to the subnet
	tempSuffix             = ".tmp" // of the file that Compact writes
)

// Journal is an open file of records.
type Journal struct {
	path   string
	config Config
	file   *os.File
	check  checker
	size   int64
	buf    []byte
}

// Open opens the journal at path, which it creates if it is missing, calls load for every intact record in it and
// cuts off a torn end. A file that is something else is an error and stays as it is.
func Open(path string, config Config, load func(record.Held)) (*Journal, Report, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode) //nolint:gosec // the caller's path
	if err != nil {
		return nil, Report{}, fmt.Errorf("journal: open: %w", err)
	}
	j := &Journal{path: path, config: config, file: file}
	j.sweep()
	report, err := j.start(load)
	if err != nil {
		return nil, report, errors.Join(err, file.Close())
	}
	return j, report, nil
}

func (j *Journal) start(load func(record.Held)) (Report, error) {
	info, err := j.file.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("journal: open: %w", err)
	}
	size := info.Size()
	if size < int64(headerSize) {
		return Report{Torn: size}, j.begin(size)
	}
	salt := make([]byte, saltSize)
	if _, err := j.file.ReadAt(salt, int64(len(fileMagic))); err != nil {
		return Report{}, fmt.Errorf("journal: open: %w", err)
	}
	j.check = newChecker(salt)
	report, err := Read(io.NewSectionReader(j.file, 0, size), load)
	if err != nil {
		return report, err
	}
	j.size = size - report.Torn
	if report.Torn > 0 {
		if err := j.file.Truncate(j.size); err != nil {
			return report, fmt.Errorf("journal: cut torn end: %w", err)
		}
	}
	if _, err := j.file.Seek(j.size, io.SeekStart); err != nil {
		return report, fmt.Errorf("journal: open: %w", err)
	}
	return report, nil
}

// begin writes the header of a new file, over one that a crash left incomplete.
func (j *Journal) begin(size int64) error {
	start := make([]byte, size)
	if _, err := j.file.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("journal: open: %w", err)
	}
	if n := min(len(start), len(fileMagic)); string(start[:n]) != fileMagic[:n] {
		return fmt.Errorf("journal: open %s: %w", j.path, errNoJournal)
	}
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("journal: open: %w", err)
	}
	return j.writeHeader(j.file)
}

func (j *Journal) writeHeader(file *os.File) error {
	header := append([]byte(fileMagic), make([]byte, saltSize)...)
	salt := header[len(fileMagic):]
	if _, err := rand.Read(salt); err != nil {
		return fmt.Errorf("journal: salt: %w", err)
	}
	if _, err := file.WriteAt(header, 0); err != nil {
		return fmt.Errorf("journal: write: %w", err)
	}
	if _, err := file.Seek(int64(len(header)), io.SeekStart); err != nil {
		return fmt.Errorf("journal: write: %w", err)
	}
	j.check, j.size = newChecker(salt), int64(len(header))
	return j.sync(file)
}

// Append writes records, all or, after an error, perhaps some of them.
func (j *Journal) Append(records ...record.Held) error {
	buf := j.buf[:0]
	var err error
	for _, h := range records {
		if buf, err = j.check.appendFrame(buf, h); err != nil {
			return fmt.Errorf("journal: append: %w", err)
		}
	}
	j.buf = buf[:0]
	n, err := j.file.Write(buf)
	j.size += int64(n)
	if err != nil {
		return fmt.Errorf("journal: append: %w", err)
	}
	return j.sync(j.file)
}

func (j *Journal) sync(file *os.File) error {
	if !j.config.Sync {
		return nil
	}
	return syncFile(file)
}

func syncFile(file *os.File) error {
	if err := file.Sync(); err != nil {
		return fmt.Errorf("journal: sync: %w", err)
	}
	return nil
}

// Sync waits until the disk has everything appended so far.
func (j *Journal) Sync() error { return syncFile(j.file) }

// Size returns the length of the file. A journal several times as long as the live records together is due for
// Compact.
func (j *Journal) Size() int64 { return j.size }

// sweep removes what a crash during Compact left behind. A file that stays costs only its place.
func (j *Journal) sweep() {
	folder, err := os.ReadDir(filepath.Dir(j.path))
	if err != nil {
		return
	}
	for _, f := range folder {
		middle, ours := strings.CutPrefix(f.Name(), filepath.Base(j.path)+".")
		number, temp := strings.CutSuffix(middle, tempSuffix)
		if ours && temp && number != "" && strings.Trim(number, "0123456789") == "" {
			_ = os.Remove(filepath.Join(filepath.Dir(j.path), f.Name()))
		}
	}
}

const compactBatch = 256 << 10 // bytes collected before a write

// Compact replaces the file by one that holds just these records. After an error the old file is still in use and
// complete, unless it could not be opened again, which the error says.
func (j *Journal) Compact(live iter.Seq[record.Held]) error {
	name, err := j.writeTemp(live)
	if err != nil {
		return err
	}
	closing := j.file.Close() // Windows renames closed files only
	if err := os.Rename(name, j.path); err != nil {
		return errors.Join(fmt.Errorf("journal: compact: %w", err), closing, os.Remove(name), j.reopen())
	}
	return errors.Join(closing, j.reopen(), syncFolder(filepath.Dir(j.path)))
}

func (j *Journal) writeTemp(live iter.Seq[record.Held]) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*"+tempSuffix) // mode 0600
	if err != nil {
		return "", fmt.Errorf("journal: compact: %w", err)
	}
	next := &Journal{path: file.Name(), file: file}
	if err := next.fill(live); err != nil {
		return "", errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	if err := file.Close(); err != nil {
		return "", errors.Join(fmt.Errorf("journal: compact: %w", err), os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// reopen opens the file at path again, at its end.
func (j *Journal) reopen() error {
	file, err := os.OpenFile(j.path, os.O_RDWR, fileMode)
	if err != nil {
		return fmt.Errorf("journal: reopen: %w", err)
	}
	j.file = file
	salt := make([]byte, saltSize)
	if _, err := file.ReadAt(salt, int64(len(fileMagic))); err != nil {
		return fmt.Errorf("journal: reopen: %w", err)
	}
	j.check = newChecker(salt)
	j.size, err = file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("journal: reopen: %w", err)
	}
	return nil
}

func (j *Journal) fill(live iter.Seq[record.Held]) error {
	if err := j.writeHeader(j.file); err != nil {
		return err
	}
	buf := make([]byte, 0, compactBatch)
	flush := func() error {
		n, err := j.file.Write(buf)
		j.size += int64(n)
		buf = buf[:0]
		if err != nil {
			return fmt.Errorf("journal: compact: %w", err)
		}
		return nil
	}
	for h := range live {
		var err error
		if buf, err = j.check.appendFrame(buf, h); err != nil {
			return fmt.Errorf("journal: compact: %w", err)
		}
		if len(buf) >= compactBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return syncFile(j.file)
}

// Close closes the file after making the disk have all of it.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	err := errors.Join(j.Sync(), j.file.Close())
	j.file = nil
	return err
}
