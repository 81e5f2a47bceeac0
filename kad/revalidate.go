package kad

import (
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	duePerCall   = 8  // checks returned by one call of Due: no bursts after a pause
	recheckAfter = 10 // fast intervals until an unanswered check of a spare is repeated
)

// Due appends the checks that are due now and schedules the next ones. The caller pings
// each and reports Add or Failed. At most a few are returned per call.
//
// The schedule is ours and does not depend on what others send: one contact per fast
// interval among those that are new or failed lately, one among the nearest to Self, one
// per slow interval among the rest, always the one that was neither seen nor checked for
// the longest time; and each spare contact that waits for its first check or may be back.
func (t *Table) Due(dst []Check, now time.Time) []Check {
	at := nanos(now)
	n := len(dst)
	for _, b := range t.buckets {
		room := len(b.live) < t.cfg.BucketSize || t.splittable(b)
		for _, e := range b.spare {
			if e.verified || at < e.next || len(dst)-n >= duePerCall {
				continue
			}
			if !e.lost && !room {
				e.next = at + int64(t.cfg.SlowInterval) // nobody needs it now
				continue
			}
			reason := CheckNew
			e.next = at + recheckAfter*int64(t.cfg.FastInterval)
			if e.lost {
				reason, e.next = CheckLost, at+t.retry(e)
			}
			e.checked = at
			dst = append(dst, Check{e.Contact, reason})
		}
	}
	if t.isDue(&t.fastNext, at, t.cfg.FastInterval) {
		dst = t.probe(dst, at, CheckFast, t.oldestLive(func(e *entry) bool { return e.fast || !e.verified }))
	}
	if t.isDue(&t.nearNext, at, t.cfg.FastInterval) {
		dst = t.probe(dst, at, CheckNear, t.oldestNear())
	}
	if t.isDue(&t.slowNext, at, t.cfg.SlowInterval) {
		dst = t.probe(dst, at, CheckSlow, t.oldestLive(func(e *entry) bool { return !e.fast }))
	}
	return dst
}

// isDue reports whether a time has come, and sets the next one.
func (t *Table) isDue(next *int64, at int64, every time.Duration) bool {
	due := *next != 0 && at >= *next
	if due || *next == 0 {
		*next = at + t.jitter(time.Duration(float64(every)/t.pace))
	}
	return due
}

// oldestLive returns the live contact that was neither seen nor checked for the longest
// time among those that match.
func (t *Table) oldestLive(match func(*entry) bool) *entry {
	var oldest *entry
	for _, b := range t.buckets {
		for _, e := range b.live {
			if match(e) && (oldest == nil || e.quiet() < oldest.quiet()) {
				oldest = e
			}
		}
	}
	return oldest
}

// oldestNear is oldestLive among the neighbours.
func (t *Table) oldestNear() *entry {
	t.near = t.nearest(t.near[:0], t.cfg.Self, t.cfg.Neighbours, t.cfg.Self, 0)
	var oldest *entry
	for i := range t.near {
		if e := t.peers[t.near[i].Peer]; oldest == nil || e.quiet() < oldest.quiet() {
			oldest = e
		}
	}
	return oldest
}

// quiet returns when an entry was last seen or checked.
func (e *entry) quiet() int64 { return max(e.last, e.checked) }

// probe appends the check of a live contact, unless it was seen a moment ago.
func (t *Table) probe(dst []Check, at int64, reason CheckReason, e *entry) []Check {
	if e == nil || float64(at-e.quiet()) < float64(t.cfg.FastInterval)/2/t.pace {
		return dst
	}
	e.checked, e.probing = at, true
	return append(dst, Check{e.Contact, reason})
}

// probed adjusts the pace to the outcome of a scheduled check: one failure in eight keeps
// it as it is.
func (t *Table) probed(e *entry, answered bool) {
	if !e.probing {
		return
	}
	e.probing = false
	if answered {
		t.pace = max(t.pace/1.05, 1)
	} else {
		t.pace = min(t.pace*1.4, t.cfg.MaxPace)
	}
}

// NextDue returns the time of the next check, for a timer; false when none is scheduled.
// Reads only.
func (t *Table) NextDue() (time.Time, bool) {
	next := int64(math.MaxInt64)
	for _, b := range t.buckets {
		for _, e := range b.spare {
			if !e.verified {
				next = min(next, e.next)
			}
		}
	}
	if t.live > 0 {
		next = min(next, t.fastNext, t.nearNext, t.slowNext)
	}
	if next == math.MaxInt64 {
		return time.Time{}, false
	}
	return timeOf(next), true
}

// jitter returns d times a random 0.5..1.5.
func (t *Table) jitter(d time.Duration) int64 {
	return int64(float64(d) * (0.5 + t.rng.Float64()))
}

// Stale appends one random target for each bucket that was not updated within period,
// for refresh lookups, and counts the bucket as updated now.
func (t *Table) Stale(dst []ID, now time.Time, period time.Duration) []ID {
	at := nanos(now)
	for _, b := range t.buckets {
		if at-b.updated < int64(period) {
			continue
		}
		b.updated = at
		dst = append(dst, RandomIDWithPrefix(t.rng, b.prefix, b.depth))
	}
	return dst
}

// ObserveRTT records how long a peer took to answer.
func (t *Table) ObserveRTT(p peer.ID, rtt time.Duration) {
	t.rtt.Observe(rtt)
	if e := t.peers[p]; e != nil {
		e.rtt.Observe(rtt)
	}
}

// minTimeout keeps a peer on the same machine from being given up within a scheduling hiccup.
const minTimeout = 50 * time.Millisecond

// Timeout returns how long to wait for an answer of a peer: from its own history when it
// has one, else from that of all peers, else the given maximum. Reads only.
func (t *Table) Timeout(p peer.ID, maximum time.Duration) time.Duration {
	if e := t.peers[p]; e != nil && e.rtt.seen {
		return e.rtt.Timeout(minTimeout, maximum)
	}
	return t.rtt.Timeout(minTimeout, maximum)
}

// SizeEstimate returns the number of nodes in the swarm as the density of contacts around
// Self suggests, 0 while it cannot be told. It is the start value for a SizeEstimator.
// Reads only.
func (t *Table) SizeEstimate() float64 {
	var buf [20]Contact
	nearest := t.Nearest(buf[:0], t.cfg.Self, min(t.cfg.BucketSize, len(buf)), t.cfg.Self)
	if len(nearest) < minObserved {
		return 0
	}
	return 1 + densityOf(t.cfg.Self, nearest)
}
