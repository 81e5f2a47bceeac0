package p2p

import (
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Decision is the gate's answer about one peer.
type Decision struct {
	OK     bool
	Reason string // short fixed text for people and counters, empty when OK
}

// Gate decides who may connect.
type Gate interface {
	// Admit MUST answer at once, from memory, and MUST be safe for concurrent use. It is called before each
	// dial and after each handshake, inbound and outbound. If it panics, the peer is refused.
	Admit(p peer.ID) Decision
}

// GateFunc makes a Gate of a function.
type GateFunc func(peer.ID) Decision

// Admit calls f.
func (f GateFunc) Admit(p peer.ID) Decision { return f(p) }

// Refusal is one refused connection.
type Refusal struct {
	Time    time.Time
	Peer    peer.ID
	Addr    multiaddr.Multiaddr // remote address; nil if the dial did not start
	Inbound bool
	Reason  string
}

const (
	reasonPanic   = "gate failed"
	reasonOther   = "other"
	reasonUnnamed = "not admitted"
	maxReasons    = 64 // distinct reasons counted; gates use fixed texts, so this is never reached
)

// refusalLog keeps the last refusals and counts all of them.
type refusalLog struct {
	mu     sync.Mutex // guards the fields below
	ring   []Refusal
	next   int
	filled bool
	counts map[string]uint64
}

func newRefusalLog(size int) *refusalLog {
	return &refusalLog{ring: make([]Refusal, size), counts: make(map[string]uint64)}
}

func (l *refusalLog) add(r Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.counts[r.Reason]; !known && len(l.counts) >= maxReasons {
		r.Reason = reasonOther
	}
	l.counts[r.Reason]++
	l.ring[l.next] = r
	l.next++
	if l.next == len(l.ring) {
		l.next, l.filled = 0, true
	}
}

// last returns the kept refusals, newest first.
func (l *refusalLog) last() []Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.next
	if l.filled {
		n = len(l.ring)
	}
	out := make([]Refusal, 0, n)
	for i := 1; i <= n; i++ {
		out = append(out, l.ring[(l.next-i+len(l.ring))%len(l.ring)])
	}
	return out
}

func (l *refusalLog) byReason() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// gater asks the Gate at libp2p's checkpoints.
type gater struct {
	gate       Gate
	allow      map[peer.ID]struct{} // never changed
	publicOnly bool
	refused    *refusalLog
}

var _ connmgr.ConnectionGater = (*gater)(nil)

// decide asks the gate and fails closed.
func (g *gater) decide(p peer.ID) (d Decision) {
	if g.gate == nil {
		return Decision{OK: true}
	}
	if _, ok := g.allow[p]; ok {
		return Decision{OK: true}
	}
	defer func() {
		if recover() != nil {
			d = Decision{Reason: reasonPanic}
		}
	}()
	d = g.gate.Admit(p)
	if !d.OK && d.Reason == "" {
		d.Reason = reasonUnnamed
	}
	return d
}

func (g *gater) check(p peer.ID, addr multiaddr.Multiaddr, inbound bool) bool {
	d := g.decide(p)
	if !d.OK {
		g.refused.add(Refusal{Time: time.Now(), Peer: p, Addr: addr, Inbound: inbound, Reason: d.Reason})
	}
	return d.OK
}

// InterceptPeerDial refuses to dial peers that the gate would refuse after the handshake.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return g.check(p, nil, false) }

// InterceptAddrDial refuses private addresses for hosts that live on the public network only.
func (g *gater) InterceptAddrDial(_ peer.ID, a multiaddr.Multiaddr) bool {
	return !g.publicOnly || !manet.IsPrivateAddr(a)
}

// InterceptAccept leaves strangers to the resource manager's limits per address.
func (*gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured asks the gate about the peer that the handshake has proven.
func (g *gater) InterceptSecured(dir network.Direction, p peer.ID, addrs network.ConnMultiaddrs) bool {
	return g.check(p, addrs.RemoteMultiaddr(), dir == network.DirInbound)
}

// InterceptUpgraded has nothing to add.
func (*gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
