package dht

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/record"
)

// What a peer loses for a message. Only messages count that no honest node sends, whatever its clock, its phase or its
// load; the channel proves whose they are.
const (
	offenceMessage = 10 // cannot be decoded, breaks a limit, or contradicts the question
	offenceRecord  = 5  // a record that nobody who checks what it passes on would pass on

	worstScore   = -100             // nobody is worse
	shunScore    = worstScore + 1   // at which a peer is shunned: ten messages, though a little is forgiven between them
	forgiveness  = 30 * time.Second // after which a point is given back: a faulty release recovers, an attacker is slowed down
	maxOffenders = 4096             // peers whose score is kept; beyond it the best score is forgotten
)

// PeerScore is what a peer has made of itself: 0 is good, -100 is refused.
type PeerScore struct {
	Peer    peer.ID
	Score   float64
	Last    string    // its last offence
	Shunned time.Time // until when it is refused; zero if it is not
}

// conduct keeps the scores of peers that misbehaved. One mutex guards it.
type conduct struct {
	pause time.Duration // how long a peer at the worst score is shunned
	mu    sync.Mutex
	marks map[peer.ID]*mark
}

type mark struct {
	score float64 // at the time at
	at    time.Time
	last  string
	until time.Time // shunned
}

func (c *conduct) init(cfg Config) {
	c.pause = cfg.BackoffMax
	c.marks = make(map[peer.ID]*mark)
}

// now returns the score with what was forgiven since.
func (m *mark) now(t time.Time) float64 {
	return min(m.score+float64(max(t.Sub(m.at), 0))/float64(forgiveness), 0)
}

// offend lowers a peer's score and reports whether it is shunned from now on.
func (c *conduct) offend(p peer.ID, points float64, why string, t time.Time) (shunned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marks[p]
	if m == nil {
		if len(c.marks) >= maxOffenders {
			c.prune(t)
		}
		m = &mark{at: t}
		c.marks[p] = m
	}
	m.score, m.at, m.last = max(m.now(t)-points, worstScore), t, why
	if m.score > shunScore || t.Before(m.until) {
		return false
	}
	m.until = t.Add(c.pause)
	return true
}

// prune forgets whoever is as good as new, and if that is nobody the best of the others. Those shunned stay.
func (c *conduct) prune(t time.Time) {
	var best peer.ID
	for p, m := range c.marks {
		switch {
		case t.Before(m.until):
		case m.now(t) >= 0:
			delete(c.marks, p)
		case best == "" || m.now(t) > c.marks[best].now(t):
			best = p
		}
	}
	if len(c.marks) < maxOffenders {
		return
	}
	if best == "" { // all of them are shunned: the first to be free again makes room
		for p, m := range c.marks {
			if best == "" || m.until.Before(c.marks[best].until) {
				best = p
			}
		}
	}
	delete(c.marks, best)
}

// shuns reports whether a peer is refused.
func (c *conduct) shuns(p peer.ID, t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.marks[p]
	return m != nil && t.Before(m.until)
}

// Scores returns the peers that misbehaved lately, the worst first.
func (n *Node) Scores() []PeerScore {
	t := n.now()
	n.conduct.mu.Lock()
	list := make([]PeerScore, 0, len(n.conduct.marks))
	for p, m := range n.conduct.marks {
		s := PeerScore{Peer: p, Score: m.now(t), Last: m.last}
		if t.Before(m.until) {
			s.Shunned = m.until
		}
		if s.Score < 0 || !s.Shunned.IsZero() {
			list = append(list, s)
		}
	}
	n.conduct.mu.Unlock()
	slices.SortFunc(list, func(a, b PeerScore) int {
		switch {
		case a.Score != b.Score && a.Score < b.Score:
			return -1
		case a.Score != b.Score:
			return 1
		case a.Peer < b.Peer:
			return -1
		}
		return 1
	})
	return list
}

// blameRecords lowers the score of a peer for records that nobody who checks what it passes on would pass on. In a swarm
// with Python nodes some may check less than we do, so there it is counted and costs nothing.
func (n *Node) blameRecords(p peer.ID, count int, why string) {
	points := offenceRecord * float64(count)
	if n.cfg.Python {
		points = 0
	}
	n.blame(p, points, why)
}

// blameUnread lowers the score of a peer for what cannot be decoded. Python nodes have none of our limits: whatever they hold they pass on,
// and others could lower their scores by what they store there. So in a swarm with such nodes going beyond a limit costs nothing.
func (n *Node) blameUnread(p peer.ID, err error, why string) {
	points := float64(offenceMessage)
	if n.cfg.Python && (errors.Is(err, wire.ErrLimit) || record.CodeOf(err) == record.CodeTooLarge) {
		points = 0
	}
	n.blame(p, points, why)
}

// blame lowers the score of a peer that sent what no honest node sends. At the worst score the peer loses its place, is
// asked nothing, and is refused, for as long as the longest back-off.
func (n *Node) blame(p peer.ID, points float64, why string) {
	n.count.answersHostile.Add(1)
	n.event(Event{Kind: EventAnswerHostile, Peer: p, Reason: why})
	now := n.now()
	if points == 0 || !n.conduct.offend(p, points, why, now) {
		return
	}
	if n.contacts.shun(p, now, now.Add(n.conduct.pause)) {
		n.count.peersRemoved.Add(1)
	}
	n.cfg.Logger.Warn("dht: peer is refused for its conduct", "peer", p.String(), "last", why, "for", n.conduct.pause)
	n.event(Event{Kind: EventPeerShunned, Peer: p, Duration: n.conduct.pause, Reason: why})
}
