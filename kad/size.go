package kad

import "slices"

const (
	minObserved   = 8  // contacts of one lookup, for an error of 38 % each
	sizeWindow    = 33 // lookups, for an error of some 5 % of their median
	sizeConfident = 9  // lookups
	maxDrift      = 2  // from the anchor, whose own error is some 22 %
)

// SizeEstimator estimates the number of nodes of the swarm from how near the nearest
// contacts of random targets are. It takes the median of the last lookups, so that
// Sybils around some keys do not move it. The zero value is ready for use.
type SizeEstimator struct {
	ring   [sizeWindow]float64
	n      int // observations so far
	anchor float64
}

// Anchor gives the estimate of the table ([Table.SizeEstimate]), 0 to forget it. It is
// coarse, but made of contacts that answered us over a long time; so lookups that are all
// led astray move the size by no more than a factor of two from it.
func (e *SizeEstimator) Anchor(nodes float64) { e.anchor = nodes }

// Observe adds the result of a lookup that converged: the contacts nearest to target,
// nearest first. Fewer than 8 contacts are ignored. Targets should be random points; the
// keys of records are good enough.
func (e *SizeEstimator) Observe(target ID, nearest []Contact) {
	if len(nearest) < minObserved {
		return
	}
	e.ring[e.n%sizeWindow] = densityOf(target, nearest)
	e.n++
}

// Size returns the estimate and whether it rests on enough lookups, and near enough to the
// anchor, to rely on. Before the first lookup it is the anchor.
func (e *SizeEstimator) Size() (nodes float64, confident bool) {
	n := min(e.n, sizeWindow)
	if n == 0 {
		return e.anchor, false
	}
	var buf [sizeWindow]float64
	sorted := append(buf[:0], e.ring[:n]...)
	slices.Sort(sorted)
	nodes = (sorted[n/2] + sorted[(n-1)/2]) / 2
	if e.anchor > 0 && (nodes > maxDrift*e.anchor || nodes < e.anchor/maxDrift) {
		return min(max(nodes, e.anchor/maxDrift), maxDrift*e.anchor), false
	}
	return nodes, n >= sizeConfident
}

// densityOf returns the number of nodes in the whole space if all of it were as dense as
// the ball that holds the given contacts: for k points the unbiased estimate is k-1 over
// the share of the space within the distance of the farthest.
func densityOf(target ID, nearest []Contact) float64 {
	far := target.Xor(nearest[len(nearest)-1].ID).Fraction()
	if far <= 0 {
		return 0
	}
	return float64(len(nearest)-1) / far
}

// Crowding returns how much denser than expected the contacts around target lie: 1 is
// normal, 5 and more suggests Sybils near the target, 0.5 and less that contacts are
// missing or hidden. It is 0 when size is unknown or there are fewer than two contacts.
func Crowding(target ID, nearest []Contact, size float64) float64 {
	if size <= 0 || len(nearest) < 2 {
		return 0
	}
	return densityOf(target, nearest) / size
}
