package devchain

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/tidwall/btree"
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// pair is one entry of a tree. In a layer a nil value marks a deleted key.
type pair struct{ key, value []byte }

// tree is an ordered map of byte keys. A tree that has been published as the
// state of a block is never written again, so any number of readers may share
// it; only the author copies it (copy-on-write) to make the next one.
type tree = btree.BTreeG[pair]

const treeDegree = 8 // small nodes: a block touches few keys, and every touched node is copied once per block

func newTree() *tree {
	return btree.NewBTreeGOptions(func(a, b pair) bool { return bytes.Compare(a.key, b.key) < 0 },
		btree.Options{Degree: treeDegree, NoLocks: true})
}

// after returns the first entry of t with a key greater than key.
func after(t *tree, key []byte) (found pair, ok bool) {
	t.Ascend(pair{key: key}, func(p pair) bool {
		if bytes.Equal(p.key, key) {
			return true
		}
		found, ok = p, true
		return false
	})
	return found, ok
}

// Overlay is a [State] over an immutable tree: what is written stays in its
// layers and the tree below is never touched.
type Overlay struct {
	base   *tree
	layers []*tree // the first one is always there
}

var _ State = (*Overlay)(nil)

// NewState returns an empty State, for engines' tests.
func NewState() *Overlay { return newOverlay(newTree()) }

func newOverlay(base *tree) *Overlay {
	return &Overlay{base: base, layers: []*tree{newTree()}}
}

func (o *Overlay) top() *tree { return o.layers[len(o.layers)-1] }

// Get implements [State].
func (o *Overlay) Get(key []byte) []byte {
	for i := len(o.layers) - 1; i >= 0; i-- {
		if p, ok := o.layers[i].Get(pair{key: key}); ok {
			return p.value
		}
	}
	p, _ := o.base.Get(pair{key: key})
	return p.value
}

// Set implements [State].
func (o *Overlay) Set(key, value []byte) {
	buf := make([]byte, len(key)+len(value))
	n := copy(buf, key)
	copy(buf[n:], value)
	o.top().Set(pair{key: buf[:n:n], value: buf[n:]})
}

// Delete implements [State].
func (o *Overlay) Delete(key []byte) {
	if o.Get(key) == nil {
		return
	}
	o.top().Set(pair{key: bytes.Clone(key)})
}

// Next implements [State].
func (o *Overlay) Next(key []byte) []byte {
	cursor := key
	for {
		best, ok := after(o.base, cursor)
		for _, layer := range o.layers {
			p, found := after(layer, cursor)
			if found && (!ok || bytes.Compare(p.key, best.key) <= 0) {
				best, ok = p, true // an upper layer hides an equal key
			}
		}
		if !ok {
			return nil
		}
		if best.value != nil {
			return best.key
		}
		cursor = best.key
	}
}

// DeletePrefix implements [State].
func (o *Overlay) DeletePrefix(prefix []byte) { o.DeletePrefixLimit(prefix, -1) }

// DeletePrefixLimit removes at most limit keys that start with prefix (all when
// limit is negative) and reports how many it removed and whether some are left.
func (o *Overlay) DeletePrefixLimit(prefix []byte, limit int) (removed int, more bool) {
	key := prefix
	if o.Get(prefix) == nil {
		key = o.Next(prefix)
	}
	for key != nil && bytes.HasPrefix(key, prefix) {
		if removed == limit {
			return removed, true
		}
		o.Delete(key)
		removed++
		key = o.Next(key)
	}
	return removed, false
}

// Begin implements [State].
func (o *Overlay) Begin() { o.layers = append(o.layers, newTree()) }

// Commit implements [State]. It panics without a Begin.
func (o *Overlay) Commit() {
	if len(o.layers) == 1 {
		panic("devchain: Commit without Begin")
	}
	top := o.top()
	o.layers = o.layers[:len(o.layers)-1]
	below := o.top()
	top.Scan(func(p pair) bool {
		below.Set(p)
		return true
	})
}

// Rollback implements [State]. It panics without a Begin.
func (o *Overlay) Rollback() {
	if len(o.layers) == 1 {
		panic("devchain: Rollback without Begin")
	}
	o.layers = o.layers[:len(o.layers)-1]
}

// Depth is the number of open layers.
func (o *Overlay) Depth() int { return len(o.layers) - 1 }

// unwind drops layers above depth, for calls that failed half-way.
func (o *Overlay) unwind(depth int) { o.layers = o.layers[:depth+1] }

// Change is one storage entry that a block changed.
type Change struct {
	Key   []byte
	Value []byte // nil: deleted
	prev  []byte // nil: was absent
}

// changes returns what differs from the base, in key order.
func (o *Overlay) changes() []Change {
	var list []Change
	o.layers[0].Scan(func(p pair) bool {
		old, _ := o.base.Get(pair{key: p.key})
		if (old.value == nil) != (p.value == nil) || !bytes.Equal(old.value, p.value) {
			list = append(list, Change{Key: p.key, Value: p.value, prev: old.value})
		}
		return true
	})
	return list
}

// apply returns a copy of t with the changes made. Only the author calls it.
func apply(t *tree, changes []Change) *tree {
	next := t.Copy()
	for _, c := range changes {
		if c.Value == nil {
			next.Delete(pair{key: c.Key})
		} else {
			next.Set(pair{key: c.Key, value: c.Value})
		}
	}
	return next
}

// undo returns a copy of t with the changes taken back.
func undo(t *tree, changes []Change) *tree {
	prev := t.Copy()
	for _, c := range changes {
		if c.prev == nil {
			prev.Delete(pair{key: c.Key})
		} else {
			prev.Set(pair{key: c.Key, value: c.prev})
		}
	}
	return prev
}

// difference returns the changes that lead from one tree to another.
func difference(from, to *tree) []Change {
	var list []Change
	from.Scan(func(p pair) bool {
		if now, ok := to.Get(p); !ok || !bytes.Equal(now.value, p.value) {
			list = append(list, Change{Key: p.key, Value: now.value, prev: p.value})
		}
		return true
	})
	to.Scan(func(p pair) bool {
		if _, ok := from.Get(p); !ok {
			list = append(list, Change{Key: p.key, Value: p.value})
		}
		return true
	})
	return list
}

// setHash is a commitment to a set of pairs that is updated in O(1) for each
// change: the sum modulo 2^256 of the pairs' hashes. It stands in for a Merkle
// root, tells equal states from different ones, and finds a damaged data folder;
// it does not resist somebody who searches for collisions.
type setHash [4]uint64

func (s *setHash) add(key, value []byte) {
	h := pairHash(key, value)
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], h[i], carry)
	}
}

func (s *setHash) sub(key, value []byte) {
	h := pairHash(key, value)
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], h[i], borrow)
	}
}

// with returns the hash of the set after changes.
func (s setHash) with(changes []Change) setHash {
	for _, c := range changes {
		if c.prev != nil {
			s.sub(c.Key, c.prev)
		}
		if c.Value != nil {
			s.add(c.Key, c.Value)
		}
	}
	return s
}

func (s setHash) bytes() []byte {
	b := make([]byte, 0, 32)
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func (s setHash) root() chain.Hash { return blake2b.Sum256(s.bytes()) }

func hashTree(t *tree) (s setHash) {
	t.Scan(func(p pair) bool {
		s.add(p.key, p.value)
		return true
	})
	return s
}

func setHashFrom(b []byte) (s setHash) {
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s
}

func pairHash(key, value []byte) (w [4]uint64) {
	var stack [256]byte
	buf := binary.LittleEndian.AppendUint32(stack[:0], uint32(len(key)))
	buf = append(buf, key...)
	buf = append(buf, value...)
	sum := blake2b.Sum256(buf)
	for i := range w {
		w[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return w
}
