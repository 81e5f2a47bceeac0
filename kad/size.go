package kad

import "slices"

const (
	minObserved   = 8   // contacts of one lookup, for an error of 38 % each
	sizeWindow    = 33  // lookups, for an error of some 5 % of their median
	sizeConfident = 9   // lookups, the latest of which must agree with all
	maxGrowth     = 1.5 // between the medians of the latest and of all, whose own error is some 10 %
	maxDrift      = 2   // from the anchor, whose own error is some 22 %
)

// SizeEstimator estimates the number of nodes of the swarm from how near the nearest
// contacts of random targets are. It takes the median of the last lookups, so that
// Sybils around some keys do not move it. The zero value is ready for use.
type SizeEstimator struct {
	ring   [sizeWindow]observation
	n      int // observations so far
	anchor float64
}

type observation struct {
	target ID
	nodes  float64
}

// Anchor gives the estimate of the table ([Table.SizeEstimate]), 0 to forget it. It is
// coarse, but made of contacts that answered us over a long time, and it follows a swarm
// that grows or shrinks at once. So lookups that do not agree with it within a factor of
// two, because they were led astray or are long past, count for nothing.
func (e *SizeEstimator) Anchor(nodes float64) { e.anchor = nodes }

// Observe adds the result of a lookup that converged: the contacts nearest to target,
// nearest first and without gaps ([Lookup.Confirmed]). Fewer than 8 contacts are ignored.
// Targets should be random points; the keys of records are good enough, and one that is
// searched again and again counts once.
func (e *SizeEstimator) Observe(target ID, nearest []Contact) {
	if len(nearest) < minObserved {
		return
	}
	nodes := densityOf(target, nearest)
	for i := range e.ring[:min(e.n, sizeWindow)] {
		if e.ring[i].target == target {
			e.ring[i].nodes = nodes
			return
		}
	}
	e.ring[e.n%sizeWindow] = observation{target, nodes}
	e.n++
}

// Size returns the estimate and whether it may be relied on: it rests on enough lookups, the
// swarm did not grow or shrink much in their course, and the anchor agrees. Otherwise it is
// the best guess: the anchor if there is one.
func (e *SizeEstimator) Size() (nodes float64, confident bool) {
	n := min(e.n, sizeWindow)
	if n == 0 {
		return e.anchor, false
	}
	var buf [sizeWindow]float64
	for i := range n { // the latest first
		buf[i] = e.ring[(e.n-1-i)%sizeWindow].nodes
	}
	latest := medianOf(buf[:min(n, sizeConfident)])
	nodes = medianOf(buf[:n])
	switch {
	case e.anchor > 0 && apart(nodes, e.anchor, maxDrift):
		return e.anchor, false
	case apart(latest, nodes, maxGrowth):
		return latest, false
	}
	return nodes, n >= sizeConfident
}

// medianOf sorts the list.
func medianOf(list []float64) float64 {
	slices.Sort(list)
	n := len(list)
	return (list[n/2] + list[(n-1)/2]) / 2
}

// apart reports whether two sizes differ by more than a factor.
func apart(a, b, factor float64) bool { return a > factor*b || b > factor*a }

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
