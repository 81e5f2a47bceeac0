package account

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/sha3"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Scheme says how an account signs and how the chain is told.
type Scheme uint8

// The schemes. Generations G1 to G3 of the chain take Ethereum signatures only.
const (
	Ethereum Scheme = iota // 65 bytes over keccak256, no prefix
	Ed25519                // 64 bytes in a MultiSignature
	Sr25519                // 64 bytes in a MultiSignature
	ECDSA                  // 65 bytes over blake2_256 in a MultiSignature
)

// String is the scheme in lower case.
func (s Scheme) String() string {
	switch s {
	case Ethereum:
		return "ethereum"
	case Ed25519:
		return "ed25519"
	case Sr25519:
		return "sr25519"
	case ECDSA:
		return "ecdsa"
	}
	return fmt.Sprintf("scheme(%d)", uint8(s))
}

// SignatureSize is the length of an Ethereum signature.
const SignatureSize = 65

// longPayload is the length above which a payload is hashed before it is signed.
const longPayload = 256

var (
	// ErrKey says that bytes are no private key: of the wrong length, zero, or not below the order of the curve.
	ErrKey = errors.New("account: not a secp256k1 private key")
	// ErrSignature says that a signature is malformed or belongs to no key.
	ErrSignature = errors.New("account: malformed signature")
)

// Account is a key pair with its address.
type Account struct {
	key *secp256k1.PrivateKey
	id  chain.AccountID
}

// Generate makes an account from the system's randomness.
func Generate() (*Account, error) {
	for {
		var b [32]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("account: generate: %w", err)
		}
		if a, err := FromPrivateKey(b[:]); err == nil { // all but one in 2^127 draws
			return a, nil
		}
	}
}

// FromPrivateKey makes an account from 32 bytes. It copies them.
func FromPrivateKey(b []byte) (*Account, error) {
	var s secp256k1.ModNScalar
	if len(b) != 32 || s.SetByteSlice(b) || s.IsZero() {
		return nil, ErrKey
	}
	key := secp256k1.NewPrivateKey(&s)
	return &Account{key: key, id: address(key.PubKey())}, nil
}

// ID is the address.
func (a *Account) ID() chain.AccountID { return a.id }

// AccountID is ID; with Scheme and Sign it makes an Account a signer of chain/substrate.
func (a *Account) AccountID() chain.AccountID { return a.id }

// Scheme is Ethereum.
func (a *Account) Scheme() Scheme { return Ethereum }

// PrivateKey returns a copy of the 32 bytes of the private key.
func (a *Account) PrivateKey() []byte { return a.key.Serialize() }

// String is the address. The key is never shown.
func (a *Account) String() string { return a.id.String() }

// LogValue is the address.
func (a *Account) LogValue() slog.Value { return slog.StringValue(a.id.String()) }

// GoString is the address, so that %#v shows no key.
func (a *Account) GoString() string { return "account.Account(" + a.id.String() + ")" }

// Sign signs a payload and returns r, s and the recovery number. Signatures are deterministic (RFC 6979).
func (a *Account) Sign(payload []byte) ([]byte, error) {
	compact := ecdsa.SignCompact(a.key, digest(payload), false) // 27 + recovery number, r, s
	sig := make([]byte, 0, SignatureSize)
	sig = append(sig, compact[1:]...)
	return append(sig, compact[0]-27), nil
}

// Recover returns the account that signed a payload. The recovery number may be 0, 1, 27 or 28.
func Recover(payload, sig []byte) (chain.AccountID, error) {
	if len(sig) != SignatureSize {
		return chain.AccountID{}, fmt.Errorf("%w: %d bytes", ErrSignature, len(sig))
	}
	v := sig[64]
	if v >= 27 {
		v -= 27
	}
	if v > 1 {
		return chain.AccountID{}, fmt.Errorf("%w: recovery number %d", ErrSignature, sig[64])
	}
	compact := make([]byte, 0, SignatureSize)
	compact = append(compact, v+27)
	pub, _, err := ecdsa.RecoverCompact(append(compact, sig[:64]...), digest(payload))
	if err != nil {
		return chain.AccountID{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return address(pub), nil
}

// digest is what is signed in place of a payload.
func digest(payload []byte) []byte {
	if len(payload) > longPayload {
		sum := blake2b.Sum256(payload)
		payload = sum[:]
	}
	return keccak256(payload)
}

func address(pub *secp256k1.PublicKey) (id chain.AccountID) {
	copy(id[:], keccak256(pub.SerializeUncompressed()[1:])[12:])
	return id
}

func keccak256(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	_, _ = h.Write(b) // never fails
	return h.Sum(nil)
}
