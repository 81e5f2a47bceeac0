package substrate

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	wrongChainPause = 5 * time.Minute // a node does not change its chain, but an address may be given to another node
	latencyWeight   = 8               // moving average over about that many answers
)

var errStalled = errors.New("no new head")

// endpoint is what is known about a node. Its fields are guarded by Client.mu.
type endpoint struct {
	url      string
	failures int           // in a row
	until    time.Time     // not tried before
	latency  time.Duration // moving average
	lastErr  error
}

// failed notes a failure and sets the pause before the next attempt.
func (e *endpoint) failed(err error, now time.Time, cfg Config) {
	e.lastErr = err
	pause := cfg.MinBackoff << min(e.failures, 20)
	e.failures++
	if pause > cfg.MaxBackoff || pause <= 0 {
		pause = cfg.MaxBackoff
	}
	if errors.Is(err, ErrWrongChain) {
		pause = wrongChainPause
	}
	e.until = now.Add(pause/2 + rand.N(pause))
}

func (e *endpoint) succeeded(latency time.Duration) {
	e.lastErr, e.until = nil, time.Time{}
	e.measured(latency)
}

// measured notes an answer. Only answers show that a node is healthy: connecting is not enough.
func (e *endpoint) measured(latency time.Duration) {
	if e.latency == 0 {
		e.latency = latency
	}
	e.latency += (latency - e.latency) / latencyWeight
}

// pick chooses the endpoint to try next and how long to wait before: one whose pause is over if there is any, then the one
// with the fewest failures, then the fastest.
func (c *Client) pick(now time.Time) (*endpoint, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var best *endpoint
	for _, e := range c.endpoints {
		if best == nil || e.before(best, now) {
			best = e
		}
	}
	return best, max(0, best.until.Sub(now))
}

func (e *endpoint) before(o *endpoint, now time.Time) bool {
	ready, other := !e.until.After(now), !o.until.After(now)
	switch {
	case ready != other:
		return ready
	case !ready:
		return e.until.Before(o.until)
	case e.failures != o.failures:
		return e.failures < o.failures
	}
	return e.latency < o.latency
}

// failed notes that the endpoint with that URL failed.
func (c *Client) failed(url string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.endpoints {
		if e.url == url {
			e.failed(err, time.Now(), c.cfg)
		}
	}
}

// answered notes that the endpoint with that URL answered.
func (c *Client) answered(url string, latency time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.endpoints {
		if e.url == url {
			e.failures = 0
			e.measured(latency)
		}
	}
}

// EndpointHealth is what the client knows about one of its endpoints.
type EndpointHealth struct {
	URL      string
	Active   bool          // in use now
	Failures int           // in a row
	Latency  time.Duration // moving average of its answers
	Err      error         // why it was left or refused; nil if it was not
}

// Health lists the endpoints in the order of the configuration.
func (c *Client) Health() []EndpointHealth {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]EndpointHealth, len(c.endpoints))
	for i, e := range c.endpoints {
		out[i] = EndpointHealth{
			URL: e.url, Active: c.cur != nil && c.cur.url == e.url,
			Failures: e.failures, Latency: e.latency, Err: e.lastErr,
		}
	}
	return out
}
