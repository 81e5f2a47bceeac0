package kad

import (
	"math/bits"
	"net/netip"
	"slices"
)

// Region is a ball of the space: all IDs whose distance from Center is at most Radius.
// Records are stored at the honest majority of a region rather than at a fixed number of
// nearest nodes, so that a handful of Sybils next to a key cannot hide it.
type Region struct {
	Center ID
	Radius ID
}

// RegionOf returns the region around key in which the given number of nodes is expected in
// a swarm of size nodes in all. An unknown size (<= 0) gives the empty region with radius
// zero.
func RegionOf(key ID, size float64, nodes int) Region {
	r := Region{Center: key}
	if size > 0 {
		r.Radius = FractionID(float64(nodes) / size)
	}
	return r
}

// Contains reports whether id lies in the region. A region with radius zero holds only its
// center.
func (r Region) Contains(id ID) bool { return r.Center.Xor(id).Cmp(r.Radius) <= 0 }

// Depth returns the number of leading bits that all IDs of the region share.
func (r Region) Depth() int {
	a, b, c := r.Radius.words()
	switch {
	case a != 0:
		return bits.LeadingZeros64(a)
	case b != 0:
		return 64 + bits.LeadingZeros64(b)
	}
	return 128 + bits.LeadingZeros32(c)
}

// Targets returns at most limit points whose nearest contacts together cover the region:
// the center and one point in each sibling subtree inside it, the largest first. They are
// the targets of a lookup that enumerates the region even when Sybils crowd the center:
// the subtrees beside it are not crowded, or the attacker needs as many again for each.
func (r Region) Targets(limit int) []ID {
	targets := []ID{r.Center}
	for i := r.Depth(); i < IDBits && len(targets) < limit; i++ {
		targets = append(targets, r.Center.FlipBit(i))
	}
	return targets
}

// ReplicaPolicy says which contacts of a lookup's result hold a record.
type ReplicaPolicy struct {
	// Replicas is the number of nearest contacts to take at least. Default 8.
	Replicas int
	// Region, when its radius is not zero, adds the contacts inside it, the farthest first:
	// whoever wants to own all holders must own the core of the region and its rim.
	Region Region
	// Max bounds the total. Default 4 times Replicas.
	Max int
	// PerGroup bounds the contacts of one /24 or /48 among the Replicas. Default 2;
	// negative is no limit. Local and unknown addresses are not limited.
	PerGroup int
	// MaxFree bounds the contacts with unbound IDs among the Replicas. The default is half,
	// negative is no limit. When there are too few others, free ones fill the places.
	MaxFree int
}

// SelectReplicas appends to dst the holders of a key out of contacts, which must be sorted
// nearest first; so are the holders.
func SelectReplicas(dst, contacts []Contact, p ReplicaPolicy) []Contact {
	if p.Replicas <= 0 {
		p.Replicas = 8 // 99.6 % of keys survive when half of all nodes die at once
	}
	if p.Max <= 0 {
		p.Max = 4 * p.Replicas
	}
	if p.PerGroup == 0 {
		p.PerGroup = 2
	}
	if p.MaxFree == 0 {
		p.MaxFree = p.Replicas / 2
	}
	chosen := make([]bool, len(contacts))
	left := min(p.Replicas, p.Max)
	free := 0
	groups := make(map[netip.Prefix]int)
	for i, c := range contacts {
		if left == 0 {
			break
		}
		g := c.Group()
		if g.IsValid() && p.PerGroup > 0 && groups[g] >= p.PerGroup {
			continue
		}
		if !c.Bound() {
			if p.MaxFree > 0 && free >= p.MaxFree {
				continue
			}
			free++
		}
		if g.IsValid() {
			groups[g]++
		}
		chosen[i] = true
		left--
	}
	for i := range contacts { // too few of the better kind
		if left > 0 && !chosen[i] {
			chosen[i] = true
			left--
		}
	}
	room := p.Max - (min(p.Replicas, p.Max) - left)
	if !p.Region.Radius.IsZero() {
		for i := len(contacts) - 1; i >= 0; i-- {
			if room > 0 && !chosen[i] && p.Region.Contains(contacts[i].ID) {
				chosen[i] = true
				room--
			}
		}
	}
	dst = slices.Grow(dst, len(contacts))
	for i, c := range contacts {
		if chosen[i] {
			dst = append(dst, c)
		}
	}
	return dst
}
