package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/scrypt"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// ErrPassword says that a key file could not be opened with the password given.
var ErrPassword = errors.New("account: wrong password")

// ErrFormat says that a file holds no key in a form known here.
var ErrFormat = errors.New("account: not a key file")

// Cost is how much work it takes to try one password of an encrypted key file.
type Cost struct {
	N int // power of two; memory is N KiB and time proportional
	P int // parallel repetitions; time proportional
}

// DefaultCost takes 128 MiB and about half a second.
func DefaultCost() Cost { return Cost{N: 1 << 17, P: 1} }

// LightCost takes 4 MiB and about 15 ms: for development and tests.
func LightCost() Cost { return Cost{N: 1 << 12, P: 1} }

// The bounds of what a key file may demand from its reader.
const (
	maxScryptMemory = 1 << 30 // bytes; geth's strongest files take 256 MiB
	maxScryptWork   = 1 << 33 // N*r*p*128; some 30 s
	blockSize       = 8       // scrypt's r
)

// secretStorage is the Web3 secret storage, version 3.
type secretStorage struct {
	Address string        `json:"address"`
	Crypto  storageCrypto `json:"crypto"`
	ID      string        `json:"id"`
	Version int           `json:"version"`
}

type storageCrypto struct {
	Cipher       string        `json:"cipher"`
	CipherText   string        `json:"ciphertext"`
	CipherParams cipherParams  `json:"cipherparams"`
	KDF          string        `json:"kdf"`
	KDFParams    storageScrypt `json:"kdfparams"`
	MAC          string        `json:"mac"`
}

type cipherParams struct {
	IV string `json:"iv"`
}

type storageScrypt struct {
	DKLen int    `json:"dklen"`
	N     int    `json:"n"`
	P     int    `json:"p"`
	R     int    `json:"r"`
	Salt  string `json:"salt"`
}

// Encrypt returns the account as a Web3 secret storage under the password.
func (a *Account) Encrypt(password []byte, cost Cost) ([]byte, error) {
	random := make([]byte, 32+aes.BlockSize+16)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("account: encrypt: %w", err)
	}
	salt, iv, id := random[:32], random[32:48], random[48:]
	kdf := storageScrypt{DKLen: 32, N: cost.N, P: cost.P, R: blockSize, Salt: hex.EncodeToString(salt)}
	key, err := kdf.derive(password)
	if err != nil {
		return nil, err
	}
	text, err := ctr(key[:16], iv, a.PrivateKey())
	if err != nil {
		return nil, fmt.Errorf("account: encrypt: %w", err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a random UUID
	b, err := json.MarshalIndent(secretStorage{
		Address: hex.EncodeToString(a.id[:]),
		Crypto: storageCrypto{
			Cipher:       "aes-128-ctr",
			CipherText:   hex.EncodeToString(text),
			CipherParams: cipherParams{IV: hex.EncodeToString(iv)},
			KDF:          "scrypt",
			KDFParams:    kdf,
			MAC:          hex.EncodeToString(keccak256(append(key[16:32:32], text...))),
		},
		ID:      fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		Version: 3,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("account: encrypt: %w", err)
	}
	return append(b, '\n'), nil
}

// Decrypt opens a Web3 secret storage. The error wraps [ErrPassword] or [ErrFormat].
func Decrypt(data, password []byte) (*Account, error) {
	s, err := parseStorage(data)
	if err != nil {
		return nil, err
	}
	key, err := s.Crypto.KDFParams.derive(password)
	if err != nil {
		return nil, err
	}
	text, err1 := hex.DecodeString(s.Crypto.CipherText)
	iv, err2 := hex.DecodeString(s.Crypto.CipherParams.IV)
	mac, err3 := hex.DecodeString(s.Crypto.MAC)
	if err := errors.Join(err1, err2, err3); err != nil || len(text) != 32 || len(iv) != aes.BlockSize {
		return nil, fmt.Errorf("%w: damaged", ErrFormat)
	}
	if subtle.ConstantTimeCompare(mac, keccak256(append(key[16:32:32], text...))) != 1 {
		return nil, ErrPassword
	}
	plain, err := ctr(key[:16], iv, text)
	if err != nil {
		return nil, fmt.Errorf("account: decrypt: %w", err)
	}
	a, err := FromPrivateKey(plain)
	if err != nil {
		return nil, err
	}
	if want, err := chain.ParseAccountID(s.Address); s.Address != "" && (err != nil || want != a.id) {
		return nil, fmt.Errorf("%w: it says %.60s and holds %s", ErrFormat, s.Address, a.id)
	}
	return a, nil
}

// parseStorage checks the form of a secret storage, before any work is spent on it.
func parseStorage(data []byte) (*secretStorage, error) {
	var s secretStorage
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	switch {
	case s.Version != 3:
		return nil, fmt.Errorf("%w: version %d of the secret storage; want 3", ErrFormat, s.Version)
	case s.Crypto.Cipher != "aes-128-ctr" || s.Crypto.KDF != "scrypt":
		return nil, fmt.Errorf("%w: cipher %.20q with %.20q; want aes-128-ctr with scrypt", ErrFormat, s.Crypto.Cipher, s.Crypto.KDF)
	}
	return &s, nil
}

func (k storageScrypt) derive(password []byte) ([]byte, error) {
	salt, err := hex.DecodeString(k.Salt)
	if err != nil || k.DKLen < 32 || k.DKLen > 64 || k.N < 2 || k.R < 1 || k.P < 1 || k.R > 64 || k.P > 64 ||
		k.N > maxScryptMemory/128/k.R || k.N > maxScryptWork/128/k.R/k.P || bits.OnesCount(uint(k.N)) != 1 {
		return nil, fmt.Errorf("%w: scrypt parameters n=%d r=%d p=%d", ErrFormat, k.N, k.R, k.P)
	}
	key, err := scrypt.Key(password, salt, k.N, k.R, k.P, k.DKLen)
	if err != nil {
		return nil, fmt.Errorf("account: scrypt: %w", err)
	}
	return key, nil
}

func ctr(key, iv, in []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(in))
	cipher.NewCTR(block, iv).XORKeyStream(out, in)
	return out, nil
}

// isStorage reports whether a file looks encrypted.
func isStorage(data []byte) bool { return strings.HasPrefix(strings.TrimSpace(string(data)), "{") }
