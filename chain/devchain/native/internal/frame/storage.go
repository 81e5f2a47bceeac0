package frame

import (
	"bytes"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// State is the storage that everything works on.
type State = devchain.State

// Prefix returns the 32 bytes that all keys of a storage item begin with.
func Prefix(pallet, item string) []byte {
	return metadata.Twox128.Append(metadata.Twox128.Append(make([]byte, 0, 32), []byte(pallet)), []byte(item))
}

// Items are the storage items that a pallet's metadata declares. They give the
// descriptions below their hashers and defaults.
type Items struct {
	pallet  string
	prefix  string
	entries map[string]*metadata.StorageEntry
}

// NewItems returns the items of a pallet; it panics when m has no such pallet
// with storage.
func NewItems(m *metadata.Metadata, pallet string) *Items {
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if p.Name != pallet || p.Storage == nil {
			continue
		}
		it := &Items{pallet, p.Storage.Prefix, map[string]*metadata.StorageEntry{}}
		for j := range p.Storage.Entries {
			it.entries[p.Storage.Entries[j].Name] = &p.Storage.Entries[j]
		}
		return it
	}
	panic("frame: the metadata has no storage of pallet " + pallet)
}

// Key returns the key of an item without map keys.
func (it *Items) Key(item string) []byte {
	it.entry(item, 0)
	return Prefix(it.prefix, item)
}

// entry returns the declaration of an item with n keys.
func (it *Items) entry(item string, n int) *metadata.StorageEntry {
	e := it.entries[item]
	if e == nil || len(e.Hashers) != n {
		panic(fmt.Sprintf("frame: %s.%s is not declared with %d keys", it.pallet, item, n))
	}
	return e
}

// newCell describes the value of an item.
func newCell[T any](it *Items, item string, n int, c Codec[T]) cell[T] {
	x := cell[T]{name: it.pallet + "." + item, codec: c}
	if e := it.entry(item, n); e.Modifier == metadata.ModifierDefault {
		x.def = e.Default
		x.decode(x.def) // panics now rather than later
	}
	return x
}

// cell reads and writes one encoded value.
type cell[T any] struct {
	name  string
	codec Codec[T]
	def   []byte // what an absent key reads as; nil for the zero value
}

func (c *cell[T]) find(s State, key []byte) (T, bool) {
	if b := s.Get(key); b != nil {
		return c.decode(b), true
	}
	if c.def == nil {
		var zero T
		return zero, false
	}
	return c.decode(c.def), false // anew: the caller may change it
}

func (c *cell[T]) decode(b []byte) T {
	d := scale.NewDecoder(b)
	v := c.codec.Dec(d)
	if err := d.Finish(); err != nil {
		panic(fmt.Sprintf("frame: stored value of %s: %v", c.name, err))
	}
	return v
}

func (c *cell[T]) set(s State, key []byte, v T) { s.Set(key, c.codec.Encode(v)) }

// Value is a storage item without key.
type Value[T any] struct {
	cell[T]
	key []byte
}

// NewValue describes a storage item.
func NewValue[T any](it *Items, item string, c Codec[T]) *Value[T] {
	return &Value[T]{newCell(it, item, 0, c), Prefix(it.prefix, item)}
}

// Get returns the value or the default.
func (v *Value[T]) Get(s State) T { x, _ := v.find(s, v.key); return x }

// Find returns the value, or the default and false.
func (v *Value[T]) Find(s State) (T, bool) { return v.find(s, v.key) }

// Set stores x.
func (v *Value[T]) Set(s State, x T) { v.set(s, v.key, x) }

// Delete removes the value.
func (v *Value[T]) Delete(s State) { s.Delete(v.key) }

// Update stores what f makes of the value or the default.
func (v *Value[T]) Update(s State, f func(T) T) { v.Set(s, f(v.Get(s))) }

// keyPart is the codec and hasher of one part of a map key.
type keyPart[K any] struct {
	codec  Codec[K]
	hasher metadata.Hasher
}

func (k keyPart[K]) append(dst []byte, v K) []byte { return k.hasher.Append(dst, k.codec.Encode(v)) }

// read skips the hash and reads the key part.
func (k keyPart[K]) read(d *scale.Decoder) K {
	switch k.hasher {
	case metadata.Blake2_128Concat:
		d.View(16)
	case metadata.Twox64Concat:
		d.View(8)
	}
	return k.codec.Dec(d)
}

// Map is a storage item with one key.
type Map[K, T any] struct {
	cell[T]
	prefix []byte
	k      keyPart[K]
}

// NewMap describes a storage map.
func NewMap[K, T any](it *Items, item string, k Codec[K], c Codec[T]) *Map[K, T] {
	h := it.entry(item, 1).Hashers
	return &Map[K, T]{newCell(it, item, 1, c), Prefix(it.prefix, item), keyPart[K]{k, h[0]}}
}

func clone(b []byte) []byte { return append(make([]byte, 0, len(b)+64), b...) }

// Key returns the storage key of k.
func (m *Map[K, T]) Key(k K) []byte { return m.k.append(clone(m.prefix), k) }

// Get returns the value under k or the default.
func (m *Map[K, T]) Get(s State, k K) T { x, _ := m.find(s, m.Key(k)); return x }

// Find returns the value under k, or the default and false.
func (m *Map[K, T]) Find(s State, k K) (T, bool) { return m.find(s, m.Key(k)) }

// Has reports whether there is a value under k.
func (m *Map[K, T]) Has(s State, k K) bool { return s.Get(m.Key(k)) != nil }

// Set stores x under k.
func (m *Map[K, T]) Set(s State, k K, x T) { m.set(s, m.Key(k), x) }

// Delete removes what is under k.
func (m *Map[K, T]) Delete(s State, k K) { s.Delete(m.Key(k)) }

// Take removes what is under k and returns it, or the default and false.
func (m *Map[K, T]) Take(s State, k K) (T, bool) {
	x, ok := m.Find(s, k)
	if ok {
		m.Delete(s, k)
	}
	return x, ok
}

// Update stores under k what f makes of the value or the default.
func (m *Map[K, T]) Update(s State, k K, f func(T) T) { m.Set(s, k, f(m.Get(s, k))) }

// Swap exchanges what is under a and b.
func (m *Map[K, T]) Swap(s State, a, b K) { swap(s, m.Key(a), m.Key(b)) }

func swap(s State, a, b []byte) {
	x, y := s.Get(a), s.Get(b)
	put := func(key, v []byte) {
		if v == nil {
			s.Delete(key)
		} else {
			s.Set(key, v)
		}
	}
	put(a, y)
	put(b, x)
}

// entries returns all keys below prefix, without it, and their values.
func entries(s State, prefix []byte) []Pair[[]byte, []byte] {
	var out []Pair[[]byte, []byte]
	for key := s.Next(prefix); key != nil && bytes.HasPrefix(key, prefix); key = s.Next(key) {
		out = append(out, Pair[[]byte, []byte]{bytes.Clone(key[len(prefix):]), s.Get(key)})
	}
	return out
}

// All returns the entries in the order of their storage keys.
func (m *Map[K, T]) All(s State) []Pair[K, T] {
	var out []Pair[K, T]
	for _, e := range entries(s, m.prefix) {
		out = append(out, Pair[K, T]{m.k.read(scale.NewDecoder(e.A)), m.decode(e.B)})
	}
	return out
}

// Map2 is a storage item with two keys.
type Map2[K1, K2, T any] struct {
	cell[T]
	prefix []byte
	k1     keyPart[K1]
	k2     keyPart[K2]
}

// NewMap2 describes a storage map with two keys.
func NewMap2[K1, K2, T any](it *Items, item string, k1 Codec[K1], k2 Codec[K2], c Codec[T]) *Map2[K1, K2, T] {
	h := it.entry(item, 2).Hashers
	return &Map2[K1, K2, T]{
		newCell(it, item, 2, c), Prefix(it.prefix, item), keyPart[K1]{k1, h[0]}, keyPart[K2]{k2, h[1]},
	}
}

// Key returns the storage key of a, b.
func (m *Map2[K1, K2, T]) Key(a K1, b K2) []byte {
	return m.k2.append(m.k1.append(clone(m.prefix), a), b)
}

// Get returns the value under a, b or the default.
func (m *Map2[K1, K2, T]) Get(s State, a K1, b K2) T { x, _ := m.find(s, m.Key(a, b)); return x }

// Find returns the value under a, b, or the default and false.
func (m *Map2[K1, K2, T]) Find(s State, a K1, b K2) (T, bool) { return m.find(s, m.Key(a, b)) }

// Has reports whether there is a value under a, b.
func (m *Map2[K1, K2, T]) Has(s State, a K1, b K2) bool { return s.Get(m.Key(a, b)) != nil }

// Set stores x under a, b.
func (m *Map2[K1, K2, T]) Set(s State, a K1, b K2, x T) { m.set(s, m.Key(a, b), x) }

// Delete removes what is under a, b.
func (m *Map2[K1, K2, T]) Delete(s State, a K1, b K2) { s.Delete(m.Key(a, b)) }

// Take removes what is under a, b and returns it, or the default and false.
func (m *Map2[K1, K2, T]) Take(s State, a K1, b K2) (T, bool) {
	x, ok := m.Find(s, a, b)
	if ok {
		m.Delete(s, a, b)
	}
	return x, ok
}

// Update stores under a, b what f makes of the value or the default.
func (m *Map2[K1, K2, T]) Update(s State, a K1, b K2, f func(T) T) { m.Set(s, a, b, f(m.Get(s, a, b))) }

// Swap exchanges what is under (a, b) and (a, c).
func (m *Map2[K1, K2, T]) Swap(s State, a K1, b, c K2) { swap(s, m.Key(a, b), m.Key(a, c)) }

// Clear removes everything under a.
func (m *Map2[K1, K2, T]) Clear(s State, a K1) { s.DeletePrefix(m.k1.append(clone(m.prefix), a)) }

// Under returns the entries under a in the order of their storage keys.
func (m *Map2[K1, K2, T]) Under(s State, a K1) []Pair[K2, T] {
	var out []Pair[K2, T]
	for _, e := range entries(s, m.k1.append(clone(m.prefix), a)) {
		out = append(out, Pair[K2, T]{m.k2.read(scale.NewDecoder(e.A)), m.decode(e.B)})
	}
	return out
}

// All returns all entries in the order of their storage keys.
func (m *Map2[K1, K2, T]) All(s State) []Pair[Pair[K1, K2], T] {
	var out []Pair[Pair[K1, K2], T]
	for _, e := range entries(s, m.prefix) {
		d := scale.NewDecoder(e.A)
		out = append(out, Pair[Pair[K1, K2], T]{Pair[K1, K2]{m.k1.read(d), m.k2.read(d)}, m.decode(e.B)})
	}
	return out
}

// Map3 is a storage item with three keys.
type Map3[K1, K2, K3, T any] struct {
	cell[T]
	prefix []byte
	k1     keyPart[K1]
	k2     keyPart[K2]
	k3     keyPart[K3]
}

// NewMap3 describes a storage map with three keys.
func NewMap3[K1, K2, K3, T any](
	it *Items, item string, k1 Codec[K1], k2 Codec[K2], k3 Codec[K3], c Codec[T],
) *Map3[K1, K2, K3, T] {
	h := it.entry(item, 3).Hashers
	return &Map3[K1, K2, K3, T]{
		newCell(it, item, 3, c), Prefix(it.prefix, item),
		keyPart[K1]{k1, h[0]}, keyPart[K2]{k2, h[1]}, keyPart[K3]{k3, h[2]},
	}
}

// Key returns the storage key of a, b, c.
func (m *Map3[K1, K2, K3, T]) Key(a K1, b K2, c K3) []byte {
	return m.k3.append(m.k2.append(m.k1.append(clone(m.prefix), a), b), c)
}

// Get returns the value under a, b, c or the default.
func (m *Map3[K1, K2, K3, T]) Get(s State, a K1, b K2, c K3) T {
	x, _ := m.find(s, m.Key(a, b, c))
	return x
}

// Find returns the value under a, b, c, or the default and false.
func (m *Map3[K1, K2, K3, T]) Find(s State, a K1, b K2, c K3) (T, bool) {
	return m.find(s, m.Key(a, b, c))
}

// Set stores x under a, b, c.
func (m *Map3[K1, K2, K3, T]) Set(s State, a K1, b K2, c K3, x T) { m.set(s, m.Key(a, b, c), x) }

// Update stores under a, b, c what f makes of the value or the default.
func (m *Map3[K1, K2, K3, T]) Update(s State, a K1, b K2, c K3, f func(T) T) {
	m.Set(s, a, b, c, f(m.Get(s, a, b, c)))
}

// Under returns the entries under a in the order of their storage keys.
func (m *Map3[K1, K2, K3, T]) Under(s State, a K1) []Pair[Pair[K2, K3], T] {
	var out []Pair[Pair[K2, K3], T]
	for _, e := range entries(s, m.k1.append(clone(m.prefix), a)) {
		d := scale.NewDecoder(e.A)
		out = append(out, Pair[Pair[K2, K3], T]{Pair[K2, K3]{m.k2.read(d), m.k3.read(d)}, m.decode(e.B)})
	}
	return out
}

// Under2 returns the entries under a, b in the order of their storage keys.
func (m *Map3[K1, K2, K3, T]) Under2(s State, a K1, b K2) []Pair[K3, T] {
	var out []Pair[K3, T]
	for _, e := range entries(s, m.k2.append(m.k1.append(clone(m.prefix), a), b)) {
		out = append(out, Pair[K3, T]{m.k3.read(scale.NewDecoder(e.A)), m.decode(e.B)})
	}
	return out
}
