package kad

import (
	"bytes"
	"crypto/sha1" // the identifier space of the original is SHA-1; collision resistance is not relied on
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// IDLen is the length of an ID in bytes.
	IDLen = 20 // SHA-1
	// IDBits is the length of an ID in bits, and so the depth of the identifier tree.
	IDBits = IDLen * 8
)

// ErrIDLength is returned when bytes or text do not hold exactly one ID.
var ErrIDLength = errors.New("kad: an ID is 20 bytes")

// ID is a point of the 160-bit identifier space, big endian. Keys of records and nodes
// share the space. The zero ID is a valid point; on the wire an absent ID means a client
// that must not be added to tables, which is the caller's business.
type ID [IDLen]byte

// FromBytes returns the ID held by b, which must be exactly IDLen bytes.
func FromBytes(b []byte) (ID, error) {
	if len(b) != IDLen {
		return ID{}, fmt.Errorf("%w, not %d", ErrIDLength, len(b))
	}
	return ID(b), nil
}

// ParseID returns the ID written as 40 hexadecimal digits.
func ParseID(text string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(text))
	return id, err
}

// IDFromPeer returns the ID that is bound to a peer identity: the SHA-1 of the bytes of
// the peer ID (its multihash). It is the only ID that native nodes use, so that a place
// in the space cannot be chosen without choosing a key pair, and cannot be claimed for
// somebody else's.
func IDFromPeer(p peer.ID) ID {
	var buf [64]byte // longer than any peer ID in use; append falls back to the heap
	return ID(sha1.Sum(append(buf[:0], p...)))
}

// RandomID returns a uniformly distributed ID.
func RandomID(rng *rand.Rand) ID {
	var id ID
	binary.BigEndian.PutUint64(id[0:], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	binary.BigEndian.PutUint32(id[16:], rng.Uint32())
	return id
}

// RandomIDWithPrefix returns a uniformly distributed ID among those that share their
// first n bits with prefix. n is clamped to 0..IDBits.
func RandomIDWithPrefix(rng *rand.Rand, prefix ID, n int) ID {
	id := RandomID(rng)
	n = min(max(n, 0), IDBits)
	copy(id[:n/8], prefix[:n/8])
	if rest := n % 8; rest != 0 {
		mask := byte(0xff) << (8 - rest)
		id[n/8] = prefix[n/8]&mask | id[n/8]&^mask
	}
	return id
}

// Xor returns the XOR of two IDs, which is their distance read as a big-endian integer.
func (id ID) Xor(other ID) ID {
	for i := range id {
		id[i] ^= other[i]
	}
	return id
}

// Cmp compares two IDs, or two distances, as unsigned integers: -1, 0 or 1.
func (id ID) Cmp(other ID) int { return bytes.Compare(id[:], other[:]) }

// IsZero reports whether all bits are zero.
func (id ID) IsZero() bool { return id == ID{} }

// Bit returns bit i, 0 being the most significant. i must be within 0..IDBits-1.
func (id ID) Bit(i int) int { return int(id[i/8]>>(7-i%8)) & 1 }

// FlipBit returns the ID with bit i inverted.
func (id ID) FlipBit(i int) ID {
	id[i/8] ^= 1 << (7 - i%8)
	return id
}

// CommonPrefixLen returns the number of leading bits that two IDs share, 0..IDBits.
func (id ID) CommonPrefixLen(other ID) int {
	a0, a1, a2 := id.words()
	b0, b1, b2 := other.words()
	if x := a0 ^ b0; x != 0 {
		return bits.LeadingZeros64(x)
	}
	if x := a1 ^ b1; x != 0 {
		return 64 + bits.LeadingZeros64(x)
	}
	return 128 + bits.LeadingZeros32(a2^b2)
}

// Fraction returns the ID read as a distance in units of the whole space: 0 <= f < 1 up
// to rounding. It keeps 64 significant leading bits at least.
func (id ID) Fraction() float64 {
	a, b, c := id.words()
	return math.Ldexp(float64(a), -64) + math.Ldexp(float64(b), -128) + math.Ldexp(float64(c), -160)
}

// FractionID is the inverse of [ID.Fraction]: the distance that is the given share of the
// space. Values outside 0..1 saturate, NaN gives zero.
func FractionID(f float64) ID {
	var id ID
	switch {
	case !(f > 0): // also NaN
		return id
	case f >= 1:
		for i := range id {
			id[i] = 0xff
		}
		return id
	}
	for i := 0; i < IDLen && f > 0; i += 4 {
		f = math.Ldexp(f, 32)
		whole := math.Floor(f)
		binary.BigEndian.PutUint32(id[i:], uint32(whole))
		f -= whole
	}
	return id
}

// CompareDistance compares the distances of a and b from target: -1 when a is nearer, 0
// only when a == b, 1 when b is nearer.
func CompareDistance(target, a, b ID) int {
	t0, t1, t2 := target.words()
	a0, a1, a2 := a.words()
	b0, b1, b2 := b.words()
	switch {
	case a0 != b0:
		return less(a0^t0 < b0^t0)
	case a1 != b1:
		return less(a1^t1 < b1^t1)
	case a2 != b2:
		return less(a2^t2 < b2^t2)
	}
	return 0
}

// Nearer reports whether a is strictly nearer to target than b.
func Nearer(target, a, b ID) bool { return CompareDistance(target, a, b) < 0 }

func less(l bool) int {
	if l {
		return -1
	}
	return 1
}

// words returns the ID as three big-endian integers, for fast comparison.
func (id *ID) words() (a, b uint64, c uint32) {
	return binary.BigEndian.Uint64(id[0:]), binary.BigEndian.Uint64(id[8:]), binary.BigEndian.Uint32(id[16:])
}

// String returns 40 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first eight hexadecimal digits, for people.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// MarshalText returns 40 hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts exactly 40 hexadecimal digits.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 2*IDLen {
		return fmt.Errorf("%w, not %d hexadecimal digits", ErrIDLength, len(text))
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		return fmt.Errorf("kad: parse ID: %w", err)
	}
	return nil
}
