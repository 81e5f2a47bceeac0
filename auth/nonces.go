package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const generations = 3 // a nonce stays for two to three windows; a request is acceptable for at most two

type nonceKey [16]byte // truncated hash of signer and nonce

// generation holds the nonces of one window.
type generation struct {
	seen  map[nonceKey]struct{}
	count map[peer.ID]int
}

func newGeneration() generation {
	return generation{seen: make(map[nonceKey]struct{}), count: make(map[peer.ID]int)}
}

// nonces remembers which requests were accepted. When it is full it takes no more, instead of forgetting
// some that could then be replayed.
type nonces struct {
	window    time.Duration
	max       int
	perSigner int

	mu      sync.Mutex // guards the fields below
	gens    [generations]generation
	started time.Time // of gens[0]
}

func newNonces(window time.Duration, maximum, perSigner int) *nonces {
	s := &nonces{window: window, max: maximum, perSigner: perSigner}
	for i := range s.gens {
		s.gens[i] = newGeneration()
	}
	return s
}

type nonceResult uint8

const (
	nonceNew nonceResult = iota
	nonceSeen
	nonceFull
)

// add remembers a nonce, unless it is known or there is no room.
func (s *nonces) add(now time.Time, signer peer.ID, nonce []byte) nonceResult {
	h := sha256.New()
	h.Write([]byte(signer))
	h.Write(nonce)
	key := nonceKey(h.Sum(nil)[:len(nonceKey{})])

	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotate(now)
	total, own := 0, 0
	for _, g := range s.gens {
		if _, seen := g.seen[key]; seen {
			return nonceSeen
		}
		total += len(g.seen)
		own += g.count[signer]
	}
	if total >= s.max || own >= s.perSigner {
		return nonceFull
	}
	s.gens[0].seen[key] = struct{}{}
	s.gens[0].count[signer]++
	return nonceNew
}

// rotate forgets generations that are old. The caller holds mu.
func (s *nonces) rotate(now time.Time) {
	if s.started.IsZero() {
		s.started = now
	}
	for i := 0; i < generations && now.Sub(s.started) >= s.window; i++ {
		copy(s.gens[1:], s.gens[:])
		s.gens[0] = newGeneration()
		s.started = s.started.Add(s.window)
	}
	if now.Sub(s.started) >= s.window { // a long pause
		s.started = now
	}
}
