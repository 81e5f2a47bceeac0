package record

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the network's key hash; collisions only collide the attacker's own keys
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// KeySize is the length of a Key in bytes.
const KeySize = sha1.Size

// Key is the hashed form of an application's key: 20 bytes in the ID space of the DHT.
type Key [KeySize]byte

// KeyOf hashes an application's key: SHA-1 of the bytes if it is []byte, else of its MessagePack form. The
// text "a" and the bytes "a" are therefore different keys. It panics if source has a type that cannot be packed;
// KeyFrom returns an error instead.
func KeyOf(source any) Key {
	key, err := KeyFrom(source)
	if err != nil {
		panic(err)
	}
	return key
}

// KeyFrom is KeyOf for keys that come from outside.
func KeyFrom(source any) (Key, error) {
	if raw, ok := source.([]byte); ok {
		return sha1.Sum(raw), nil //nolint:gosec // see the import
	}
	packed, err := msgpack.Marshal(source)
	if err != nil {
		return Key{}, fmt.Errorf("record: key: %w", err)
	}
	return sha1.Sum(packed), nil //nolint:gosec // see the import
}

// KeyOfText is KeyOf for text, which cannot fail; bytes that are not UTF-8 are hashed as they are.
func KeyOfText(text string) Key {
	return sha1.Sum(msgpack.AppendString(make([]byte, 0, 64), text)) //nolint:gosec // see the import
}

// ParseKey reads the 40 hex digits that String writes.
func ParseKey(text string) (Key, error) {
	var k Key
	if n, err := hex.Decode(k[:], []byte(text[:min(len(text), 2*KeySize)])); err != nil || n != KeySize || len(text) != 2*KeySize {
		return Key{}, fmt.Errorf("record: %q is not a key of 40 hex digits", text)
	}
	return k, nil
}

// String returns the key as 40 hex digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Compare orders keys as unsigned big-endian numbers: -1, 0 or 1.
func (k Key) Compare(other Key) int { return bytes.Compare(k[:], other[:]) }

// Tags stand in place of the packed subkey in a store request.
const (
	RegularTag    = "\xc0" // packed nil: the record has no subkey
	DictionaryTag = ""     // the value is a whole Dictionary; never the Subkey of a Record
)

// Expiration is a point in time as the network writes it: seconds since 1970 as a 64-bit float. It is also
// the version of a record.
type Expiration float64

// ExpirationAt converts a time.
func ExpirationAt(t time.Time) Expiration {
	return Expiration(float64(t.Unix()) + float64(t.Nanosecond())/1e9)
}

// Time converts to a time, to the nanosecond as far as the float carries it. What time.Time cannot hold
// becomes the nearest it can.
func (e Expiration) Time() time.Time {
	const furthest = 1 << 53 // beyond it the float has no fractions and time.Unix would overflow at some point
	f := min(max(float64(e), -furthest), furthest)
	if math.IsNaN(f) {
		return time.Time{}
	}
	whole := math.Floor(f)
	return time.Unix(int64(whole), int64(math.Round((f-whole)*1e9)))
}

// Finite reports whether e is a number that can expire: neither NaN nor infinite.
func (e Expiration) Finite() bool { return !math.IsNaN(float64(e)) && !math.IsInf(float64(e), 0) }

// Expired reports whether a record with this expiration is dead at the time now. NaN is always dead.
func (e Expiration) Expired(now time.Time) bool { return !(e > ExpirationAt(now)) }

// Record is one value in the DHT. Its slices are read-only for everybody who gets it.
type Record struct {
	Key        Key
	Subkey     []byte // packed form; RegularTag without subkey
	Value      []byte // packed, with what validators appended
	Expiration Expiration
}

// Regular reports whether the record has no subkey.
func (r Record) Regular() bool { return string(r.Subkey) == RegularTag }

// Size returns the bytes of key, subkey and value.
func (r Record) Size() int { return KeySize + len(r.Subkey) + len(r.Value) }

// Clone returns a copy that shares no memory.
func (r Record) Clone() Record {
	r.Subkey, r.Value = bytes.Clone(r.Subkey), bytes.Clone(r.Value)
	return r
}

// AppendSigned appends the bytes that a signature of the record covers: the packed tuple of key, subkey,
// value and expiration.
func (r Record) AppendSigned(dst []byte) []byte {
	start := len(dst)
	dst = msgpack.AppendListHeader(dst, 4)
	dst = msgpack.AppendBytes(dst, r.Key[:])
	dst = msgpack.AppendBytes(dst, r.Subkey)
	dst = msgpack.AppendBytes(dst, r.Value)
	dst = msgpack.AppendFloat(dst, float64(r.Expiration))
	return msgpack.WrapExt(dst, start, msgpack.CodeTuple)
}

// SubkeyOf packs an application's subkey. nil gives RegularTag. Subkeys must be usable as keys of a Python
// dictionary: numbers, booleans, text, bytes and tuples of these.
func SubkeyOf(subkey any) ([]byte, error) {
	packed, err := msgpack.Marshal(subkey)
	if err != nil {
		return nil, fmt.Errorf("record: subkey: %w", err)
	}
	if subkey != nil {
		if err := checkSubkey(packed); err != nil {
			return nil, fmt.Errorf("record: subkey: %w", err)
		}
	}
	return packed, nil
}

// ParseSubkey unpacks a subkey. It returns nil for RegularTag.
func ParseSubkey(packed []byte) (any, error) {
	if string(packed) == RegularTag {
		return nil, nil
	}
	if err := checkSubkey(packed); err != nil {
		return nil, fmt.Errorf("record: subkey: %w", err)
	}
	return msgpack.Unmarshal(packed)
}

// Kind says why a record is validated.
type Kind uint8

// The kinds of requests.
const (
	Get  Kind = iota + 1 // the record came as an answer
	Post                 // somebody wants it stored
)

// String returns "get" or "post".
func (k Kind) String() string {
	switch k {
	case Get:
		return "get"
	case Post:
		return "post"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Request is the circumstances of a validation.
type Request struct {
	Kind   Kind
	Sender peer.ID   // who sent the record: authenticated by the channel; empty for ourselves
	Now    time.Time // the clock
	Phase  Phase     // where the subnet's epoch stands

	owners   *ownerCache // set by a chain: parsed owner keys
	verified bool        // set by a chain: the owner's signature was checked
}

// Owner returns the party that the record's subkey names as its owner, or nil if it names none. A subkey that
// contains a broken or ambiguous marker is an error. Whether that owner wrote the record is another question:
// see Author.
func (q Request) Owner(r Record) (*Owner, error) { return q.owners.of(r.Subkey) }

// Author returns who is answerable for a record: its owner if a Signature validator of the chain has checked
// that, else the sender.
func (q Request) Author(r Record) peer.ID {
	if q.verified {
		if owner, err := q.Owner(r); err == nil && owner != nil {
			return owner.Peer
		}
	}
	return q.Sender
}

// blame returns the author's side if the record is proven to be by its owner, else the sender's.
func (q Request) blame(r Record) Side {
	if q.verified {
		if owner, err := q.Owner(r); err == nil && owner != nil {
			return SideAuthor
		}
	}
	return SideSender
}
