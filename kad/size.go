package kad

// SizeEstimator estimates the number of nodes of the swarm from how near the nearest
// contacts of random targets are. It takes the median of the last lookups, so that
// Sybils around some keys do not move it. The zero value is ready for use.
type SizeEstimator struct{}

// Observe adds the result of a lookup that converged: the contacts nearest to target,
// nearest first. Fewer than 8 contacts are ignored. Targets should be random points; the
// keys of records are good enough.
func (e *SizeEstimator) Observe(target ID, nearest []Contact) {}

// Size returns the estimate and whether it rests on enough lookups to rely on; 0 when
// nothing was observed.
func (e *SizeEstimator) Size() (nodes float64, confident bool) { return 0, false }

// Crowding returns how much denser than expected the contacts around target lie: 1 is
// normal, 5 and more suggests Sybils near the target, 0.5 and less that contacts are
// missing or hidden. It is 0 when size is unknown or there are no contacts.
func Crowding(target ID, nearest []Contact, size float64) float64 { return 0 }
