package rpc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/p2p"
)

// peerState is what the node keeps about one peer while it is connected or called.
type peerState struct {
	id       peer.ID
	inFlight atomic.Int64 // its unary calls being served
	streams  atomic.Int64 // its streaming calls being served
	outgoing atomic.Int64 // calls being made to it
	lanes    atomic.Int64 // kept streams it has opened to us
	native   atomic.Bool  // a call to it has run natively

	mu   sync.Mutex // guards the fields below
	gone bool       // no lane is kept any more
	idle []*lane    // most recently used last
}

// peer returns the state of a peer, making it if need be.
func (n *Node) peer(id peer.ID) *peerState {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[id]
	if p == nil {
		p = &peerState{id: id}
		if n.closed {
			p.gone = true
			return p
		}
		n.peers[id] = p
	}
	return p
}

// forgetGone is called when something of a peer has ended: a stream may begin to be served after its connection was reported gone,
// and nothing else would come to drop its state.
func (n *Node) forgetGone(p *peerState) {
	if p.id != n.h.ID() && !n.h.Connected(p.id) {
		n.forget(p)
	}
}

// busy tells whether something still counts on the state.
func (p *peerState) busy() bool {
	return p.outgoing.Load() > 0 || p.lanes.Load() > 0 || p.streams.Load() > 0 || p.inFlight.Load() > 0
}

// forget drops the state of a peer that is not connected and has nothing under way; else the end of that calls it again.
func (n *Node) forget(p *peerState) {
	n.mu.Lock()
	if n.peers[p.id] != p || n.h.Connected(p.id) || p.busy() {
		n.mu.Unlock()
		return
	}
	delete(n.peers, p.id)
	n.mu.Unlock()
	p.closeAll()
}

// take returns the lane that was used last, or nil. A lane through a relay is left when there is a direct connection by now.
func (p *peerState) take(h *p2p.Host) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		l := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		if !l.s.Conn().IsClosed() && (!l.limited || !h.Direct(p.id)) {
			return l
		}
		l.close()
	}
	return nil
}

// put keeps a lane for later.
func (p *peerState) put(l *lane) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.idle = append(p.idle, l)
	return true
}

// closeAll closes the idle lanes and keeps no more.
func (p *peerState) closeAll() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.gone = nil, true
	p.mu.Unlock()
	for _, l := range idle {
		l.close()
	}
}

// closeIdle closes lanes that were last used before the given time and returns how many are left.
func (p *peerState) closeIdle(before time.Time) int {
	p.mu.Lock()
	stale := 0
	for stale < len(p.idle) && p.idle[stale].used.Before(before) {
		stale++ // the least recently used come first
	}
	closing := append([]*lane(nil), p.idle[:stale]...)
	left := copy(p.idle, p.idle[stale:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
	p.mu.Unlock()
	for _, l := range closing {
		l.close()
	}
	return left
}

// scheduleReap makes sure that idle lanes are looked at later.
func (n *Node) scheduleReap() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.reaping {
		return
	}
	n.reaping = true
	n.reap.Reset(n.cfg.IdleTimeout / 2)
}

// reapIdle closes lanes that nobody has used for a while, and ends streams that peers keep waiting.
func (n *Node) reapIdle() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.wg.Add(1)
	defer n.wg.Done()
	peers := make([]*peerState, 0, len(n.peers))
	for _, p := range n.peers {
		peers = append(peers, p)
	}
	lanes := make([]*serverLane, 0, len(n.serving))
	for s := range n.serving {
		if l, ok := s.(*serverLane); ok {
			lanes = append(lanes, l)
		}
	}
	n.reaping = false
	n.mu.Unlock()
	now := time.Now()
	left := len(lanes)
	for _, l := range lanes {
		if l.stuck(now, n.cfg.IdleTimeout*serverIdleFactor) {
			n.reset(l.s)
		}
	}
	before := now.Add(-n.cfg.IdleTimeout)
	for _, p := range peers {
		left += p.closeIdle(before)
	}
	if left > 0 {
		n.scheduleReap()
	}
}

// notifiee hears about connections; a type of its own keeps its methods out of Node's.
type notifiee Node

var _ network.Notifiee = (*notifiee)(nil)

// Connected implements network.Notifiee.
func (*notifiee) Connected(network.Network, network.Conn) {}

// Disconnected forgets a peer whose last connection is gone.
func (f *notifiee) Disconnected(_ network.Network, c network.Conn) {
	n := (*Node)(f)
	n.mu.Lock()
	p := n.peers[c.RemotePeer()]
	n.mu.Unlock()
	if p != nil {
		n.forget(p)
	}
}

// Listen implements network.Notifiee.
func (*notifiee) Listen(network.Network, multiaddr.Multiaddr) {}

// ListenClose implements network.Notifiee.
func (*notifiee) ListenClose(network.Network, multiaddr.Multiaddr) {}
