package p2p

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/multiformats/go-multiaddr"
)

const (
	upgradePeriod  = 10 * time.Second // between looks at relayed connections
	upgradeBackoff = 15 * time.Second // after the first attempt; doubles
	upgradeMaxWait = 10 * time.Minute // between two attempts at most
	upgradesAtOnce = 8                // attempts under way; the rest waits for the next look
	relayedGrace   = 10 * time.Second // for which a relayed connection outlives a direct one: what runs on it ends
)

// upgrader tries again to make relayed connections direct. The library tries once, at the moment when somebody connects through a
// relay, and that is often too early: a node that has just started knows no public address of its own yet, and when two nodes connect
// to each other at the same time, each asks on its own connection, where the other takes no such question.
//
// Host.Run owns it. Attempts take up to half a minute and end with the library's service, so that Host.Close waits for them and not Run.
type upgrader struct {
	h     host.Host
	punch func(peer.ID) error // blocks until there is a direct connection, or none can be had now
	log   *slog.Logger
	next  map[peer.ID]attempt // of peers that are connected through a relay only
	slots chan struct{}       // one for each attempt under way

	mu     sync.Mutex // guards closed, and that nothing begins after it is set
	closed bool
	tries  sync.WaitGroup
}

func newUpgrader(h host.Host, punch func(peer.ID) error, log *slog.Logger) *upgrader {
	return &upgrader{h: h, punch: punch, log: log, slots: make(chan struct{}, upgradesAtOnce)}
}

// attempt is when a peer is tried the next time.
type attempt struct {
	at   time.Time
	wait time.Duration
}

func (u *upgrader) run(ctx context.Context) {
	tick := time.NewTicker(upgradePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			u.step(now)
		}
	}
}

// step looks at all peers once, and begins attempts.
func (u *upgrader) step(now time.Time) {
	ready := slices.Contains(u.h.Mux().Protocols(), holepunch.Protocol) // not before we know a public address of ours
	seen := make(map[peer.ID]attempt)
	for _, p := range u.h.Network().Peers() {
		direct, in, out := connsTo(u.h, p)
		if !direct.IsZero() {
			if now.Sub(direct) >= relayedGrace {
				closeAll(append(in, out...)) // a relay ends them soon anyway, and not between two calls
			}
			continue
		}
		if len(in)+len(out) == 0 {
			continue
		}
		a := u.next[p]
		seen[p] = a
		if ready && begins(u.h.ID(), p, len(in), len(out)) && !now.Before(a.at) && u.punches(p) && u.try(p, out) {
			a.wait = min(max(2*a.wait, upgradeBackoff), upgradeMaxWait)
			a.at = now.Add(a.wait)
			seen[p] = a
		}
	}
	u.next = seen
}

// try begins an attempt, if there is a slot for it. Connections that we have made go first: the library might ask there.
func (u *upgrader) try(p peer.ID, out []network.Conn) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	select {
	case u.slots <- struct{}{}:
	default:
		return false
	}
	u.tries.Go(func() {
		defer func() { <-u.slots }()
		closeAll(out)
		if err := u.punch(p); err != nil {
			u.log.Debug("no direct connection", "peer", p, "err", err)
			return
		}
		u.log.Debug("direct connection", "peer", p)
	})
	return true
}

// close waits for the attempts. The library's service has been closed before, which ends them.
func (u *upgrader) close() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.tries.Wait()
}

// begins tells whether it is self's turn and not p's: by the protocol the peer that was connected to begins; when each has connected to
// the other, the one with the greater ID.
func begins(self, p peer.ID, in, out int) bool { return in > 0 && (out == 0 || p < self) }

// punches tells whether a peer takes part in hole punching.
func (u *upgrader) punches(p peer.ID) bool {
	known, err := u.h.Peerstore().SupportsProtocols(p, holepunch.Protocol)
	return err == nil && len(known) > 0
}

func closeAll(conns []network.Conn) {
	for _, c := range conns {
		_ = c.Close() // it is to be gone, and will be
	}
}

// connsTo sorts the connections to a peer: since when there is a direct one, and which go through relays.
func connsTo(h host.Host, p peer.ID) (direct time.Time, in, out []network.Conn) {
	for _, c := range h.Network().ConnsToPeer(p) {
		switch {
		case !Relayed(c.RemoteMultiaddr()):
			if at := c.Stat().Opened; direct.IsZero() || at.Before(direct) {
				direct = at
			}
		case c.Stat().Direction == network.DirInbound:
			in = append(in, c)
		default:
			out = append(out, c)
		}
	}
	return direct, in, out
}

// Relayed reports whether an address leads through a relay.
func Relayed(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}
