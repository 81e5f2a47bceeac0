package mesh

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
)

// liveness remembers which peers were seen alive when, so that one can ask about a moment that has passed. It is a plain value: the
// caller brings the time and the lock.
type liveness struct {
	looked time.Time // of the first look; zero before it
	seen   map[peer.ID]life
}

// life is what is known about one peer.
type life struct {
	info    heartbeat.Info
	since   time.Time // first look that found it online after it was not; zero when the very first look did
	expires time.Time // of its newest heartbeat
	left    time.Time // look that found it no longer online; zero while it is
}

const keepDead = time.Hour // how long a peer that went away is remembered

// observe takes the result of one look at all heartbeats.
func (l *liveness) observe(now time.Time, sightings []heartbeat.Sighting) {
	first := l.looked.IsZero()
	if first {
		l.looked, l.seen = now, make(map[peer.ID]life)
	}
	for _, s := range sightings {
		old, known := l.seen[s.Peer]
		expires := s.Expiration.Time()
		if known && expires.Before(old.expires) {
			continue // an older copy
		}
		next := life{info: s.Info, since: old.since, expires: expires, left: old.left}
		online := s.Info.State == heartbeat.Online && expires.After(now)
		wasOnline := known && old.left.IsZero() && old.expires.After(now)
		switch {
		case online && !wasOnline:
			next.since, next.left = now, time.Time{}
			if first {
				next.since = time.Time{} // it was there before us
			}
		case !online && (!known || old.left.IsZero()):
			next.left = now
		}
		l.seen[s.Peer] = next
	}
	for id, x := range l.seen {
		if now.Sub(x.expires) > keepDead {
			delete(l.seen, id)
		}
	}
}

// at reports whether a peer was alive at t, and whether honest observers may differ on it: it came, left or expired within margin
// of t.
func (l *liveness) at(id peer.ID, t time.Time, margin time.Duration) (alive, flux bool) {
	x, ok := l.seen[id]
	if !ok {
		return false, false
	}
	near := func(moment time.Time) bool { return !moment.IsZero() && moment.Sub(t).Abs() <= margin }
	began := !x.since.After(t)
	ended := !x.left.IsZero() && !x.left.After(t) || !x.expires.After(t)
	everOnline := x.left.IsZero() || x.info.State == heartbeat.Offline // a peer that only ever joined was never alive
	return began && !ended && everOnline, everOnline && (near(x.since) || near(x.left) || near(x.expires))
}

// opinion scores peers by liveness at t.
func (l *liveness) opinion(peers []Peer, t time.Time, margin time.Duration) Opinion {
	var o Opinion
	for _, p := range peers {
		alive, flux := l.at(p.PeerID, t, margin)
		s := chain.NodeScore{Node: p.ID, Score: chain.OneTensor()}
		if alive {
			o.Scores = append(o.Scores, s)
		}
		if flux {
			o.InFlux = append(o.InFlux, s)
		}
	}
	return o
}

// online lists the peers that are online now, sorted.
func (l *liveness) online(now time.Time) []peer.ID {
	var out []peer.ID
	for id, x := range l.seen {
		if x.left.IsZero() && x.expires.After(now) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
