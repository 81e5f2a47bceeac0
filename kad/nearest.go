package kad

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Find returns the contact of a peer, spare ones included. Reads only.
func (t *Table) Find(p peer.ID) (c Contact, live, ok bool) {
	e := t.peers[p]
	if e == nil {
		return Contact{}, false, false
	}
	return e.Contact, e.live && e.verified, true
}

// Holder returns the contact that has an ID, spare ones included, live ones first. Reads
// only.
func (t *Table) Holder(id ID) (c Contact, live, ok bool) {
	e := t.holder(id, "")
	if e == nil {
		return Contact{}, false, false
	}
	return e.Contact, e.live && e.verified, true
}

// Contacts appends all live verified contacts to dst, in the order of their buckets. Reads
// only.
func (t *Table) Contacts(dst []Contact) []Contact {
	for _, b := range t.buckets {
		for _, e := range b.live {
			if e.verified {
				dst = append(dst, e.Contact)
			}
		}
	}
	return dst
}

// near is a live contact of one bucket with the leading 64 bits of its distance.
type near struct {
	head uint64
	e    *entry
}

// Nearest appends to dst the k live contacts nearest to target, nearest first, without
// the one whose ID is exclude (the zero ID excludes nobody unless a node has it). Contacts
// that left the last question unanswered are passed over, unless there are fewer than k
// others. It allocates nothing when dst has room. Reads only.
func (t *Table) Nearest(dst []Contact, target ID, k int, exclude ID) []Contact {
	n := len(dst)
	dst = t.nearest(dst, target, k, exclude, 0)
	if len(dst)-n < k && len(dst)-n < t.live {
		dst = t.nearest(dst[:n], target, k, exclude, math.MaxInt16)
	}
	return dst
}

// nearest is Nearest for contacts with a bounded number of failures.
//
// All contacts of a subtree on the target's side of a branching are nearer than all of
// the other side, so the buckets are visited in the order of their distance and only the
// last one may be cut.
func (t *Table) nearest(dst []Contact, target ID, k int, exclude ID, failures int16) []Contact {
	var (
		stack   [IDBits + 1]*node
		scratch [64]near // two buckets of the default size and a margin
		top     = 1
		head    = binary.BigEndian.Uint64(target[:])
	)
	stack[0] = t.root
	for top > 0 && k > 0 {
		top--
		n := stack[top]
		for n.bucket == nil {
			bit := target.Bit(n.depth)
			stack[top] = n.child[1-bit]
			top++
			n = n.child[bit]
		}
		list := scratch[:0]
		for _, e := range n.bucket.live {
			if !e.verified || e.failures > failures || e.ID == exclude {
				continue
			}
			list = insertNear(list, near{binary.BigEndian.Uint64(e.ID[:]) ^ head, e}, target, k)
		}
		for _, c := range list {
			dst = append(dst, c.e.Contact)
		}
		k -= len(list)
	}
	return dst
}

// insertNear inserts c into a sorted list of at most k.
func insertNear(list []near, c near, target ID, k int) []near {
	i := len(list)
	if i < k {
		list = append(list, c)
	} else {
		i--
		if !c.before(list[i], target) {
			return list
		}
	}
	for ; i > 0 && c.before(list[i-1], target); i-- {
		list[i] = list[i-1]
	}
	list[i] = c
	return list
}

func (c near) before(o near, target ID) bool {
	if c.head != o.head {
		return c.head < o.head
	}
	return CompareDistance(target, c.e.ID, o.e.ID) < 0
}

// SortNearest sorts contacts by their distance from target, drops those that are named
// twice, and returns what is left. It works in place.
func SortNearest(list []Contact, target ID) []Contact {
	slices.SortFunc(list, func(a, b Contact) int {
		if c := CompareDistance(target, a.ID, b.ID); c != 0 {
			return c
		}
		return strings.Compare(string(a.Peer), string(b.Peer))
	})
	return slices.CompactFunc(list, Contact.Same)
}
