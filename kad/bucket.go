package kad

import (
	"math"
	"net/netip"
	"time"
)

// entry is one contact of a table. Times are nanoseconds since 1970: a table of a large
// swarm has a thousand entries, and the simulator holds ten thousand tables.
type entry struct {
	Contact
	group       groupKey
	first, last int64 // first and last answer; last is the sighting for hearsay
	checked     int64 // last time that a check was asked for
	next        int64 // spare and unverified: when the next check is due
	rtt         RTT
	bucket      *bucket
	failures    int16 // in a row
	live        bool  // in bucket.live, else in bucket.spare
	verified    bool  // answered us since it was put in
	bound       bool
	fast        bool // to be checked at the fast pace
	lost        bool // spare that lost its place by failures
	pinged      bool // named as least recently seen since its last answer
	probing     bool // a scheduled check is under way
}

// bucket holds the contacts of one range of the space. Both lists are ordered by the last
// sighting, oldest first.
type bucket struct {
	prefix  ID
	depth   int
	live    []*entry
	spare   []*entry
	updated int64
	refused []Refusal // ring of the latest, oldest first
}

const refusedKept = 8 // per bucket, for tools

// node is an inner node or a leaf of the tree of buckets.
type node struct {
	child  [2]*node // both nil for a leaf
	bucket *bucket  // nil for an inner node
	depth  int      // bits that lead here
}

// leaf returns the leaf that covers id.
func (n *node) leaf(id ID) *node {
	for n.bucket == nil {
		n = n.child[id.Bit(n.depth)]
	}
	return n
}

// split turns a leaf into an inner node with two leaves. The halves meet at the midpoint,
// and an ID equal to the midpoint belongs to the right half: it is the bit that decides.
func (n *node) split() {
	b := n.bucket
	left := &bucket{prefix: b.prefix, depth: b.depth + 1, updated: b.updated}
	right := &bucket{prefix: b.prefix.FlipBit(b.depth), depth: b.depth + 1, updated: b.updated}
	half := [2]*bucket{left, right}
	for _, e := range b.live {
		e.bucket = half[e.ID.Bit(b.depth)]
		e.bucket.live = append(e.bucket.live, e)
	}
	for _, e := range b.spare {
		e.bucket = half[e.ID.Bit(b.depth)]
		e.bucket.spare = append(e.bucket.spare, e)
	}
	for _, r := range b.refused {
		h := half[r.Contact.ID.Bit(b.depth)]
		h.refused = append(h.refused, r)
	}
	n.bucket = nil
	n.child = [2]*node{{bucket: left, depth: left.depth}, {bucket: right, depth: right.depth}}
}

func (b *bucket) covers(id ID) bool { return b.prefix.CommonPrefixLen(id) >= b.depth }

// inGroup counts the contacts of a group, spare ones included.
func (b *bucket) inGroup(g groupKey) int {
	n := 0
	for _, e := range b.live {
		if e.group == g {
			n++
		}
	}
	for _, e := range b.spare {
		if e.group == g {
			n++
		}
	}
	return n
}

func (b *bucket) refuse(r Refusal) {
	if len(b.refused) >= refusedKept {
		copy(b.refused, b.refused[1:])
		b.refused = b.refused[:refusedKept-1]
	}
	b.refused = append(b.refused, r)
}

// oldest returns the least recently seen live contact that was not named since its last
// answer, and marks it as named.
func (b *bucket) oldest() (Contact, bool) {
	for _, e := range b.live {
		if !e.pinged {
			e.pinged = true
			return e.Contact, true
		}
	}
	return Contact{}, false
}

// worstSpare returns the spare contact to give up for a verified newcomer: lost ones
// first, then unverified, then free, then the oldest. A free newcomer takes no place of a
// bound one that ever answered.
func (b *bucket) worstSpare(bound bool) *entry {
	var worst *entry
	score := math.MaxInt
	for _, e := range b.spare {
		s := 3
		switch {
		case e.lost:
			s = 0
		case !e.verified:
			s = 1
		case !e.bound:
			s = 2
		case !bound:
			continue
		}
		if s < score {
			worst, score = e, s
		}
	}
	return worst
}

// bestSpare returns the verified spare to promote: bound before free, then the latest seen.
func (b *bucket) bestSpare() *entry {
	var best *entry
	for _, e := range b.spare {
		if e.verified && !e.lost && (best == nil || e.bound || !best.bound) {
			best = e
		}
	}
	return best
}

// oldestFree returns the least recently seen live contact with a free ID.
func (b *bucket) oldestFree() *entry {
	for _, e := range b.live {
		if !e.bound {
			return e
		}
	}
	return nil
}

func without(list []*entry, e *entry) []*entry {
	for i, x := range list {
		if x == e {
			copy(list[i:], list[i+1:])
			list[len(list)-1] = nil
			return list[:len(list)-1]
		}
	}
	return list
}

// groupKey is an IP group in eight bytes; 0 is no group.
type groupKey uint64

func groupKeyOf(p netip.Prefix) groupKey {
	if !p.IsValid() {
		return 0
	}
	a := p.Addr()
	if a.Is4() {
		b := a.As4()
		return 1<<63 | groupKey(b[0])<<16 | groupKey(b[1])<<8 | groupKey(b[2])
	}
	b := a.As16()
	k := groupKey(1) << 62
	for i := range 6 {
		k |= groupKey(b[i]) << (8 * i)
	}
	return k
}

func nanos(t time.Time) int64 { return t.UnixNano() }

// timeOf is the inverse of nanos; 0 is the zero time.
func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
