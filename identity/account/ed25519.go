package account

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Ed25519Account signs for chains whose accounts are 32-byte public keys and whose signatures say their scheme. Generations G1
// to G3 of the chain have no such accounts.
type Ed25519Account struct {
	key ed25519.PrivateKey
}

// GenerateEd25519 makes an account from the system's randomness.
func GenerateEd25519() (*Ed25519Account, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("account: generate: %w", err)
	}
	return &Ed25519Account{key}, nil
}

// FromEd25519Seed makes an account from the 32 bytes of seed.
func FromEd25519Seed(seed []byte) (*Ed25519Account, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("account: an Ed25519 seed has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	return &Ed25519Account{ed25519.NewKeyFromSeed(seed)}, nil
}

// Address is the public key.
func (a *Ed25519Account) Address() []byte {
	return append([]byte(nil), a.key[ed25519.SeedSize:]...)
}

// AccountID is a short name for the account, the first bytes of its public key. The chain does not know it.
func (a *Ed25519Account) AccountID() (id chain.AccountID) {
	copy(id[:], a.key[ed25519.SeedSize:])
	return id
}

// Scheme is Ed25519.
func (a *Ed25519Account) Scheme() Scheme { return Ed25519 }

// Sign signs a payload; one above 256 bytes is first replaced by its blake2_256.
func (a *Ed25519Account) Sign(payload []byte) ([]byte, error) {
	if len(payload) > longPayload {
		sum := blake2b.Sum256(payload)
		payload = sum[:]
	}
	return ed25519.Sign(a.key, payload), nil
}

// String is the address in SS58 with the general prefix 42. The key is never shown.
func (a *Ed25519Account) String() string { return SS58(42, a.Address()) }

// GoString is String, so that %#v shows no key.
func (a *Ed25519Account) GoString() string { return a.String() }

// LogValue is String.
func (a *Ed25519Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// SS58 spells an address as Substrate chains with long accounts do: base58 of the network's prefix, the account, and two bytes
// of checksum.
func SS58(prefix uint16, address []byte) string {
	b := []byte{byte(prefix)}
	if prefix > 63 { // two bytes: bits 2 to 7 with a mark, then bits 8 to 13 with bits 0 and 1 on top
		b = []byte{byte(prefix>>2)&0x3f | 0x40, byte(prefix>>8)&0x3f | byte(prefix&3)<<6}
	}
	b = append(b, address...)
	sum := blake2b.Sum512(append([]byte("SS58PRE"), b...))
	return base58(append(b, sum[:2]...))
}

// base58 spells bytes with Bitcoin's alphabet.
func base58(b []byte) string {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	zeros := 0
	for zeros < len(b) && b[zeros] == 0 {
		zeros++
	}
	digits := make([]byte, 0, 2*len(b)) // lowest first
	for _, x := range b[zeros:] {
		carry := int(x)
		for i := range digits {
			carry += int(digits[i]) << 8
			digits[i] = byte(carry % 58)
			carry /= 58
		}
		for ; carry > 0; carry /= 58 {
			digits = append(digits, byte(carry%58))
		}
	}
	out := make([]byte, 0, zeros+len(digits))
	for range zeros {
		out = append(out, alphabet[0])
	}
	for i := len(digits) - 1; i >= 0; i-- {
		out = append(out, alphabet[digits[i]])
	}
	return string(out)
}
