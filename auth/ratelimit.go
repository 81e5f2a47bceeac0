package auth

import (
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Rate is a token bucket: so many calls per second in the long run, and so many at once.
type Rate struct {
	PerSecond float64
	Burst     int
}

func (r Rate) valid() bool { return r.PerSecond > 0 && r.Burst > 0 }

const (
	defaultPerSecond = 200  // a DHT node asks each peer a few times per second; bulk work takes more
	defaultBurst     = 1000 // a hand-over of records
	defaultPeers     = 4096
	strikeLimit      = 100 // refusals in a row that make a strike
)

// RateConfig describes a RateLimit. Every zero value is a usable default.
type RateConfig struct {
	Peer    Rate                // all calls of one peer; default 200 per second, 1,000 at once
	Methods map[rpc.Method]Rate // calls of one peer to one method, beside Peer; default none
	Peers   int                 // buckets kept; the peer least recently heard starts afresh; default 4,096
	Ban     *Ban                // is told when a peer goes on after 100 refusals; nil: nobody
	Now     func() time.Time    // clock; nil: time.Now
}

// RateLimit refuses the calls of peers that call too often. It does not limit calls made.
type RateLimit struct {
	tally
	guard
	cfg RateConfig

	mu      sync.Mutex // guards buckets
	buckets *lru.LRU[bucketKey, *bucket]
}

var (
	_ rpc.StreamInterceptor = (*RateLimit)(nil)
	_ rpc.Binder            = (*RateLimit)(nil)
)

// bucketKey names a bucket; an empty method is the peer's own.
type bucketKey struct {
	peer   peer.ID
	method rpc.Method
}

// bucket is a token bucket.
type bucket struct {
	tokens  float64
	last    time.Time
	refused int // in a row
}

// take spends a token if there is one.
func (b *bucket) take(r Rate, now time.Time) bool {
	if dt := now.Sub(b.last).Seconds(); dt > 0 {
		b.tokens = min(float64(r.Burst), b.tokens+dt*r.PerSecond)
		b.last = now
	}
	if b.tokens < 1 {
		b.refused++
		return false
	}
	b.tokens--
	b.refused = 0
	return true
}

// NewRateLimit makes a limit.
func NewRateLimit(cfg RateConfig) (*RateLimit, error) {
	if cfg.Peer == (Rate{}) {
		cfg.Peer = Rate{defaultPerSecond, defaultBurst}
	}
	if cfg.Peers <= 0 {
		cfg.Peers = defaultPeers
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !cfg.Peer.valid() {
		return nil, fmt.Errorf("auth: rate limit: %+v lets nothing pass", cfg.Peer)
	}
	for m, r := range cfg.Methods {
		if !r.valid() {
			return nil, fmt.Errorf("auth: rate limit: %s: %+v lets nothing pass", m, r)
		}
	}
	buckets, err := lru.NewLRU[bucketKey, *bucket](cfg.Peers*(1+len(cfg.Methods)), nil)
	if err != nil {
		return nil, fmt.Errorf("auth: rate limit: %w", err)
	}
	l := &RateLimit{cfg: cfg, buckets: buckets}
	l.guard = guard{serve: l.spend}
	return l, nil
}

// Bind implements rpc.Binder.
func (l *RateLimit) Bind(n *rpc.Node) { l.bind(n) }

// spend takes a token of the peer and one of the method.
func (l *RateLimit) spend(p peer.ID, m rpc.Method) error {
	now := l.cfg.Now()
	ok, strike := l.take(p, m, now)
	if ok {
		return nil
	}
	if strike && l.cfg.Ban != nil {
		l.cfg.Ban.Strike(p)
	}
	return l.reject(TooFast, string(m))
}

func (l *RateLimit) take(p peer.ID, m rpc.Method, now time.Time) (ok, strike bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.bucket(bucketKey{peer: p}, l.cfg.Peer, now)
	ok = all.take(l.cfg.Peer, now)
	strike = all.refused > 0 && all.refused%strikeLimit == 0
	if r, limited := l.cfg.Methods[m]; ok && limited {
		b := l.bucket(bucketKey{p, m}, r, now)
		ok = b.take(r, now)
		strike = b.refused > 0 && b.refused%strikeLimit == 0
	}
	return ok, strike
}

// bucket returns a bucket, full if it is new. The caller holds mu.
func (l *RateLimit) bucket(key bucketKey, r Rate, now time.Time) *bucket {
	b, ok := l.buckets.Get(key)
	if !ok {
		b = &bucket{tokens: float64(r.Burst), last: now}
		l.buckets.Add(key, b)
	}
	return b
}
