package auth

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	defaultBans = 4096
	strikeDecay = 24 * time.Hour // after which strikes are forgiven
)

// BanConfig describes a Ban. Every zero value is a usable default.
type BanConfig struct {
	Steps []time.Duration  // how long the first, second ... strike bans; default 5 min, 1 h, 24 h
	Peers int              // peers remembered; the longest known is forgotten first; default 4,096
	Now   func() time.Time // clock; nil: time.Now
}

// Ban refuses peers until their ban ends. As an interceptor it refuses their calls and calls to them; Gate
// makes it refuse their connections. Strikes escalate: each one within a day of the last bans for longer.
type Ban struct {
	tally
	guard
	cfg BanConfig

	mu    sync.Mutex // guards peers
	peers *lru.LRU[peer.ID, *banned]
}

var (
	_ rpc.StreamInterceptor = (*Ban)(nil)
	_ rpc.Binder            = (*Ban)(nil)
)

type banned struct {
	strikes int
	last    time.Time // of the last strike
	until   time.Time
}

// NewBan makes an empty list.
func NewBan(cfg BanConfig) *Ban {
	if len(cfg.Steps) == 0 {
		cfg.Steps = []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}
	}
	if cfg.Peers <= 0 {
		cfg.Peers = defaultBans
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	peers, err := lru.NewLRU[peer.ID, *banned](cfg.Peers, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	b := &Ban{cfg: cfg, peers: peers}
	b.guard = guard{both: true, serve: func(p peer.ID, _ rpc.Method) error {
		if !b.Admit(p).OK {
			return b.reject(Banned, "")
		}
		return nil
	}}
	return b
}

// Bind implements rpc.Binder.
func (b *Ban) Bind(n *rpc.Node) { b.bind(n) }

// Strike bans a peer for longer the more strikes it has, and returns until when.
func (b *Ban) Strike(p peer.ID) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	e := b.entry(p)
	if now.Sub(e.last) > strikeDecay {
		e.strikes = 0
	}
	e.last = now
	until := now.Add(b.cfg.Steps[min(e.strikes, len(b.cfg.Steps)-1)])
	e.strikes++
	if until.After(e.until) {
		e.until = until
	}
	return e.until
}

// Until bans a peer until a time, whatever its strikes.
func (b *Ban) Until(p peer.ID, t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entry(p).until = t
}

// Lift ends a peer's ban and forgives its strikes.
func (b *Ban) Lift(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers.Remove(p)
}

// entry returns a peer's entry. The caller holds mu.
func (b *Ban) entry(p peer.ID) *banned {
	e, ok := b.peers.Get(p)
	if !ok {
		e = &banned{}
		b.peers.Add(p, e)
	}
	return e
}

// Admit refuses peers that are banned.
func (b *Ban) Admit(p peer.ID) p2p.Decision {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.peers.Peek(p); ok && b.cfg.Now().Before(e.until) {
		return p2p.Decision{Reason: Banned.String()}
	}
	return p2p.Decision{OK: true}
}

// Gate refuses banned peers and asks next about the others; next may be nil.
func (b *Ban) Gate(next p2p.Gate) p2p.Gate {
	return p2p.GateFunc(func(p peer.ID) p2p.Decision {
		if d := b.Admit(p); !d.OK || next == nil {
			return d
		}
		return next.Admit(p)
	})
}

// List returns the peers that are banned now and until when.
func (b *Ban) List() map[peer.ID]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	list := make(map[peer.ID]time.Time)
	for _, p := range b.peers.Keys() {
		if e, ok := b.peers.Peek(p); ok && now.Before(e.until) {
			list[p] = e.until
		}
	}
	return list
}
