package metadata

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// Append appends the hash of an encoded key part, followed by the part itself where the hasher says so.
func (h Hasher) Append(dst, part []byte) []byte {
	switch h {
	case Blake2_128, Blake2_128Concat:
		d, _ := blake2b.New(16, nil) // a fixed valid size
		_, _ = d.Write(part)         // never fails
		dst = d.Sum(dst)
	case Blake2_256:
		sum := blake2b.Sum256(part)
		dst = append(dst, sum[:]...)
	case Twox64Concat:
		dst = appendTwox(dst, part, 1)
	case Twox128:
		return appendTwox(dst, part, 2)
	case Twox256:
		return appendTwox(dst, part, 4)
	case Identity:
	}
	if h.Reversible() {
		dst = append(dst, part...)
	}
	return dst
}

// Reversible reports whether the key part can be read back from a storage key.
func (h Hasher) Reversible() bool {
	return h == Blake2_128Concat || h == Twox64Concat || h == Identity
}

// size is how many bytes of hash come before the key part.
func (h Hasher) size() int {
	switch h {
	case Blake2_128, Blake2_128Concat, Twox128:
		return 16
	case Blake2_256, Twox256:
		return 32
	case Twox64Concat:
		return 8
	case Identity:
	}
	return 0
}

func appendTwox(dst, b []byte, words uint64) []byte {
	for seed := range words {
		d := xxhash.NewWithSeed(seed)
		_, _ = d.Write(b) // never fails
		dst = binary.LittleEndian.AppendUint64(dst, d.Sum64())
	}
	return dst
}

// entryPrefix is twox128(prefix) ++ twox128(item), with which all keys of a storage entry begin.
func entryPrefix(prefix, item string) []byte {
	b := make([]byte, 0, 32)
	b = Twox128.Append(b, []byte(prefix))
	return Twox128.Append(b, []byte(item))
}

// StoragePrefix returns the 32 bytes with which all keys of an entry of this registry begin. The caller owns them.
func (r *Registry) StoragePrefix(e *StorageEntry) []byte {
	return append(make([]byte, 0, 96), r.keys[e]...)
}

// keyTypes are the types of the entry's key parts, one for each hasher.
func (r *Registry) keyTypes(e *StorageEntry) ([]TypeID, error) {
	switch {
	case len(e.Hashers) == 0:
		return nil, nil
	case len(e.Hashers) == 1:
		return []TypeID{e.Key}, nil
	}
	t := r.Type(e.Key)
	if t == nil || t.Kind != KindTuple || len(t.Tuple) != len(e.Hashers) {
		return nil, fmt.Errorf("metadata: storage %s: %d hashers for the key type %s", e.Name, len(e.Hashers), r.TypeName(e.Key))
	}
	return t.Tuple, nil
}

// StorageKey returns the key of an entry for the given key parts, which are Go values of any form that [Registry.EncodeValue]
// takes. Fewer parts than the entry has give the prefix under which all entries beginning with them lie.
func (r *Registry) StorageKey(e *StorageEntry, parts ...any) ([]byte, error) {
	types, err := r.keyTypes(e)
	if err != nil {
		return nil, err
	}
	if len(parts) > len(types) {
		return nil, fmt.Errorf("metadata: storage %s takes %d key parts, not %d", e.Name, len(types), len(parts))
	}
	key := r.StoragePrefix(e)
	var part scale.Encoder
	for i, v := range parts {
		part.Buf = part.Buf[:0]
		if err := r.EncodeValue(&part, types[i], v); err != nil {
			return nil, fmt.Errorf("metadata: storage %s: key part %d: %w", e.Name, i+1, err)
		}
		key = e.Hashers[i].Append(key, part.Buf)
	}
	return key, nil
}

// SplitKey reads the encoded key parts back from a storage key of the entry. Parts under a hasher that does not keep them are
// nil. The parts alias key.
func (r *Registry) SplitKey(e *StorageEntry, key []byte) ([][]byte, error) {
	types, err := r.keyTypes(e)
	if err != nil {
		return nil, err
	}
	if len(key) < 32 || string(key[:32]) != string(r.keys[e]) {
		return nil, fmt.Errorf("metadata: storage %s: %w: key of another entry", e.Name, scale.ErrMalformed)
	}
	d := scale.NewDecoder(key[32:])
	parts := make([][]byte, len(types))
	for i, h := range e.Hashers {
		d.View(h.size())
		if !h.Reversible() {
			continue
		}
		from := d.Pos()
		r.Skip(d, types[i])
		parts[i] = key[32+from : 32+d.Pos()]
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("metadata: storage %s: key: %w", e.Name, err)
	}
	return parts, nil
}
