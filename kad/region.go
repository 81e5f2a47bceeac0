package kad

// Region is a ball of the space: all IDs whose distance from Center is at most Radius.
// Records are stored at the honest majority of a region rather than at a fixed number of
// nearest nodes, so that a handful of Sybils next to a key cannot hide it.
type Region struct {
	Center ID
	Radius ID
}

// RegionOf returns the region around key in which nodes nodes are expected in a swarm of
// size nodes in all. An unknown size (<= 0) gives the empty region with radius zero.
func RegionOf(key ID, size float64, nodes int) Region { return Region{Center: key} }

// Contains reports whether id lies in the region.
func (r Region) Contains(id ID) bool { return r.Center.Xor(id).Cmp(r.Radius) <= 0 }

// Targets returns points whose nearest contacts together cover the region: the center and
// one point in each sibling subtree inside it. They are the targets of a lookup that
// enumerates the region when the surroundings of the center are crowded.
func (r Region) Targets(limit int) []ID { return []ID{r.Center} }

// ReplicaPolicy says which contacts of a lookup's result hold a record.
type ReplicaPolicy struct {
	// Replicas is the number of nearest contacts to take at least. Default 8.
	Replicas int
	// Region, when its radius is not zero, adds all contacts inside it.
	Region Region
	// Max bounds the total. Default 4 times Replicas.
	Max int
	// PerGroup bounds the contacts of one /24 or /48 among the Replicas. Default 2;
	// negative is no limit. Local addresses are not limited.
	PerGroup int
	// MaxFree bounds the contacts with unbound IDs among the Replicas; the default is half.
	// When there are too few others, free ones fill the places.
	MaxFree int
}

// SelectReplicas appends to dst the holders for key out of contacts, which must be sorted
// nearest first.
func SelectReplicas(dst []Contact, key ID, contacts []Contact, p ReplicaPolicy) []Contact {
	return dst
}
