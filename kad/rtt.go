package kad

import "time"

// RTT estimates how long to wait for an answer from the answers so far: the smoothed mean
// plus four deviations (Jacobson 1988, RFC 6298). The zero value is ready for use.
type RTT struct {
	mean, dev float32 // seconds
	seen      bool
	backoff   uint8 // doublings since the last answer
}

const maxBackoff = 6 // 64 times the time-out; the caller's maximum comes first

// Observe records one round trip. Negative durations count as zero.
func (r *RTT) Observe(d time.Duration) {
	s := float32(max(d, 0).Seconds())
	r.backoff = 0
	if !r.seen {
		r.mean, r.dev, r.seen = s, s/2, true
		return
	}
	diff := s - r.mean
	r.mean += diff / 8
	if diff < 0 {
		diff = -diff
	}
	r.dev += (diff - r.dev) / 4
}

// Expired records that an answer did not come within the time-out, which then doubles until
// the next answer.
func (r *RTT) Expired() { r.backoff = min(r.backoff+1, maxBackoff) }

// Mean returns the smoothed round trip, 0 before the first observation.
func (r *RTT) Mean() time.Duration { return time.Duration(float64(r.mean) * float64(time.Second)) }

// Timeout returns how long to wait, within the given bounds; the upper one before the first
// observation.
func (r *RTT) Timeout(minimum, maximum time.Duration) time.Duration {
	if !r.seen {
		return maximum
	}
	s := float64(r.mean+4*r.dev) * float64(uint(1)<<r.backoff)
	if s >= maximum.Seconds() {
		return maximum
	}
	return max(time.Duration(s*float64(time.Second)), minimum)
}
