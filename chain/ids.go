package chain

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// SubnetID names a subnet; 0 is none. On G2 and G3 the first is 128001, and smaller numbers are friendly IDs.
type SubnetID uint32

// NodeID names a node within its subnet; 0 is none.
type NodeID uint32

// BlockNumber is the height of a block; the genesis is 0.
type BlockNumber uint32

// Hash is a 32-byte block, extrinsic or storage hash. The zero Hash as an argument means the best block.
type Hash [32]byte

// AccountID is a 20-byte account, the last bytes of the keccak256 of a secp256k1 public key.
type AccountID [20]byte

// ErrSyntax is in the chain of every error of a Parse function here.
var ErrSyntax = errors.New("malformed")

// String is 0x and 64 hex digits.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero value.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText is [Hash.String].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is [ParseHash].
func (h *Hash) UnmarshalText(b []byte) error {
	x, err := ParseHash(string(b))
	if err == nil {
		*h = x
	}
	return err
}

// ParseHash reads 64 hex digits with or without 0x.
func ParseHash(s string) (h Hash, err error) {
	err = decodeHex(h[:], s, "hash")
	return h, err
}

// String is 0x and 40 lower-case hex digits, the form that the chain's JSON uses.
func (a AccountID) String() string { return "0x" + hex.EncodeToString(a[:]) }

// IsZero reports whether a is the zero account, which nobody holds.
func (a AccountID) IsZero() bool { return a == AccountID{} }

// MarshalText is [AccountID.String].
func (a AccountID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is [ParseAccountID].
func (a *AccountID) UnmarshalText(b []byte) error {
	x, err := ParseAccountID(string(b))
	if err == nil {
		*a = x
	}
	return err
}

// ParseAccountID reads 40 hex digits of either case, with or without 0x.
func ParseAccountID(s string) (a AccountID, err error) {
	err = decodeHex(a[:], s, "account")
	return a, err
}

func decodeHex(dst []byte, s, what string) error {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	if len(digits) != 2*len(dst) {
		return fmt.Errorf("%w %s %.80q: want 0x and %d hex digits", ErrSyntax, what, s, 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(digits)); err != nil {
		return fmt.Errorf("%w %s %.80q: %w", ErrSyntax, what, s, err)
	}
	return nil
}
