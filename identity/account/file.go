package account

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/identity"
)

// maxFile bounds what is read of a key file. Encrypted ones take some 600 bytes.
const maxFile = 16 << 10

// ErrPermissions says that a key file can be read by others than its owner.
var ErrPermissions = errors.New("account: key file is open to others")

// Password asks for the password of a key file. It is called only for encrypted files.
type Password func() ([]byte, error)

// Fixed is a Password that is known already.
func Fixed(password string) Password {
	return func() ([]byte, error) { return []byte(password), nil }
}

// SaveFile writes the account encrypted. The file has mode 0600 and appears whole or not at all; an existing one is an error
// that wraps [fs.ErrExist], unless force is set.
func (a *Account) SaveFile(path string, password []byte, cost Cost, force bool) error {
	b, err := a.Encrypt(password, cost)
	if err != nil {
		return err
	}
	return save(path, b, force)
}

// SavePlainFile writes the bare private key in hex, as SaveFile does. For development: who reads the file has the account.
func (a *Account) SavePlainFile(path string, force bool) error {
	return save(path, []byte("0x"+hex.EncodeToString(a.PrivateKey())+"\n"), force)
}

func save(path string, b []byte, force bool) error {
	if err := identity.WriteSecret(path, b, force); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return nil
}

// LoadFile reads an account from a file of either form. password may be nil for plain ones. A file that others can read is
// refused with [ErrPermissions], an encrypted one without a right password with [ErrPassword].
func LoadFile(path string, password Password) (*Account, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if !isStorage(b) {
		a, err := ParsePrivateKey(string(bytes.TrimSpace(b)))
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrFormat, path)
		}
		return a, nil
	}
	if _, err := parseStorage(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if password == nil {
		return nil, fmt.Errorf("%w: %s is encrypted and there is no password", ErrPassword, path)
	}
	p, err := password()
	if err != nil {
		return nil, fmt.Errorf("account: password for %s: %w", path, err)
	}
	defer clear(p)
	a, err := Decrypt(b, p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// AddressOf reads the address of a key file without its password. Plain files are read whole.
func AddressOf(path string) (chain.AccountID, error) {
	b, err := readFile(path)
	if err != nil {
		return chain.AccountID{}, err
	}
	if !isStorage(b) {
		a, err := ParsePrivateKey(string(bytes.TrimSpace(b)))
		if err != nil {
			return chain.AccountID{}, fmt.Errorf("%w: %s", ErrFormat, path)
		}
		return a.id, nil
	}
	s, err := parseStorage(b)
	if err != nil {
		return chain.AccountID{}, fmt.Errorf("%s: %w", path, err)
	}
	id, err := chain.ParseAccountID(s.Address)
	if err != nil {
		return chain.AccountID{}, fmt.Errorf("%s: %w: no address", path, ErrFormat)
	}
	return id, nil
}

// ParsePrivateKey reads 64 hex digits with or without 0x. The error does not repeat them.
func ParsePrivateKey(text string) (*Account, error) {
	b, err := hex.DecodeString(string(bytes.TrimPrefix([]byte(text), []byte("0x"))))
	if err != nil {
		return nil, ErrKey
	}
	return FromPrivateKey(b)
}

func readFile(path string) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrFormat, path)
	}
	if perm := info.Mode().Perm(); runtime.GOOS != "windows" && perm&fs.FileMode(0o077) != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; run chmod 600 %s", ErrPermissions, path, perm, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%w: %s is too large", ErrFormat, path)
	}
	return b, nil
}
