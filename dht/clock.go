package dht

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	maxClockSamples = 64               // peers; the median of so many moves little
	clockSampleAge  = 30 * time.Minute // older offsets say nothing: clocks drift and are corrected
)

// clockSkew keeps one offset per peer, so that nobody has more than one vote in the median.
type clockSkew struct {
	mu      sync.Mutex
	samples map[peer.ID]clockSample
}

type clockSample struct {
	offset time.Duration
	at     time.Time
}

// observe records how far a peer's clock is ahead of ours.
func (c *clockSkew) observe(p peer.ID, offset time.Duration, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.samples == nil {
		c.samples = make(map[peer.ID]clockSample)
	}
	if _, ok := c.samples[p]; !ok && len(c.samples) >= maxClockSamples {
		oldest := p
		for q, s := range c.samples {
			if o, ok := c.samples[oldest]; !ok || s.at.Before(o.at) {
				oldest = q
			}
		}
		delete(c.samples, oldest)
	}
	c.samples[p] = clockSample{offset, now}
}

// median returns the median offset and the number of peers it rests on.
func (c *clockSkew) median(now time.Time) (time.Duration, int) {
	c.mu.Lock()
	offsets := make([]time.Duration, 0, len(c.samples))
	for p, s := range c.samples {
		if now.Sub(s.at) > clockSampleAge {
			delete(c.samples, p)
			continue
		}
		offsets = append(offsets, s.offset)
	}
	c.mu.Unlock()
	if len(offsets) == 0 {
		return 0, 0
	}
	slices.Sort(offsets)
	mid := len(offsets) / 2
	if len(offsets)%2 == 1 {
		return offsets[mid], len(offsets)
	}
	return (offsets[mid-1] + offsets[mid]) / 2, len(offsets)
}

// ClockOffset returns how far the swarm's clock is ahead of ours: the median over the given number of peers that were
// pinged in the last half hour.
func (n *Node) ClockOffset() (offset time.Duration, peers int) { return n.clock.median(n.now()) }
