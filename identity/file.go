package identity

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/libp2p/go-libp2p/core/crypto"
)

const (
	fileMode   fs.FileMode = 0o600
	othersMode fs.FileMode = 0o077 // bits that let somebody else at the file
)

var (
	// ErrExists reports that a key file is there already; wraps fs.ErrExist.
	ErrExists = fmt.Errorf("key file exists already: %w", fs.ErrExist)
	// ErrPermissions reports a key file that others than its owner can read or write.
	ErrPermissions = errors.New("key file is open to others")
)

// Load reads an identity file in any form that Unmarshal knows. It refuses a file that anybody but its owner
// may read or write (ErrPermissions); on Windows that is not checked. A missing file is fs.ErrNotExist.
func Load(path string) (key crypto.PrivKey, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: load: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("identity: load: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("identity: load %s: %w: not a regular file", path, ErrMalformed)
	}
	if perm := info.Mode().Perm(); runtime.GOOS != "windows" && perm&othersMode != 0 {
		return nil, fmt.Errorf("identity: load %s: %w (mode %04o): run chmod 600 %s", path, ErrPermissions, perm, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEncoded+1))
	if err != nil {
		return nil, fmt.Errorf("identity: load: %w", err)
	}
	key, err = Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("identity: load %s: %w", path, err)
	}
	return key, nil
}

// Save writes an identity file with mode 0600. The file appears whole or not at all. An existing file is
// ErrExists, unless force is set; then it is replaced in one step.
func Save(path string, key crypto.PrivKey, force bool) error {
	b, err := Marshal(key)
	if err != nil {
		return err
	}
	return WriteSecret(path, b, force)
}

// WriteSecret writes any secret to a file the way Save does.
func WriteSecret(path string, data []byte, force bool) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("identity: save: %w", err)
	}
	defer func() {
		if rmErr := os.Remove(tmp.Name()); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("identity: save: %w", err)
	}
	if force {
		err = os.Rename(tmp.Name(), path)
	} else {
		err = moveNew(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("identity: save %s: %w", path, err)
	}
	return syncDir(dir)
}

// moveNew moves a file to a name that must be free. A hard link claims the name and fills it in one step;
// file systems without links get the name claimed first and filled by a rename.
func moveNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	claim, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	if err := claim.Close(); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// syncDir makes a new name in dir survive a crash.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("identity: save: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("identity: save: %w", err)
	}
	return nil
}
