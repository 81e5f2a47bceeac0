package dht

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventReady         EventKind = iota + 1 // the node joined, or is the first of its swarm
	EventPeerAdded                          // Peer answered us and is in the routing table
	EventPeerRemoved                        // Peer left the table: it failed too often or was removed
	EventPeerRefused                        // the table did not take Peer; Reason says why
	EventPeerBanned                         // Peer failed and is left out of searches for a while
	EventRecordStored                       // a record for Key was accepted from Peer
	EventRecordRefused                      // a record for Key from Peer was refused; Reason is the code
	EventAnswerInvalid                      // Peer answered a get with a record that the validators refuse
	EventAnswerHostile                      // Peer sent a message that no honest node sends
	EventHandOver                           // records were handed to Peer; Count says how many
	EventRepublished                        // records were sent to their holders again; Count says how many
	EventClockSkew                          // this clock is off the swarm's median by Duration
	EventBootstrap                          // an attempt to join; Reason says what came of it
	EventSybils                             // more nodes stand around Key than chance puts there
	EventPeerShunned                        // Peer sent too much that no honest node sends, and is refused for Duration
	EventDoubt                              // a search for Key is made again, more widely; Reason says why
)

// String returns the kind in words.
func (k EventKind) String() string {
	names := [...]string{"", "ready", "peer added", "peer removed", "peer refused", "peer banned", "record stored", "record refused",
		"answer invalid", "answer hostile", "hand-over", "republished", "clock skew", "bootstrap", "sybils", "peer shunned", "doubt"}
	if k > 0 && int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Event is one decision of the node.
type Event struct {
	Kind     EventKind
	Time     time.Time
	Peer     peer.ID
	Key      record.Key
	Reason   string
	Count    int
	Duration time.Duration
}

// eventStream fans events out to subscribers without ever waiting for one.
type eventStream struct {
	size    int
	dropped atomic.Uint64
	active  atomic.Int32 // number of subscribers, to skip the lock when there is none

	mu     sync.Mutex
	subs   map[*eventSub]struct{}
	closed bool
}

type eventSub struct{ ch chan Event }

func newEventStream(size int) *eventStream {
	return &eventStream{size: size, subs: map[*eventSub]struct{}{}}
}

// publish gives the event to every subscriber that has room.
func (s *eventStream) publish(e Event) {
	if s.active.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subs {
		select {
		case sub.ch <- e:
		default:
			s.dropped.Add(1)
		}
	}
}

// subscribe returns a channel that is closed by stop or when the stream closes.
func (s *eventStream) subscribe() (<-chan Event, func()) {
	sub := &eventSub{ch: make(chan Event, s.size)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close(sub.ch)
		return sub.ch, func() {}
	}
	s.subs[sub] = struct{}{}
	s.active.Add(1)
	return sub.ch, func() { s.drop(sub) }
}

func (s *eventStream) drop(sub *eventSub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.subs[sub]; ok {
		delete(s.subs, sub)
		s.active.Add(-1)
		close(sub.ch)
	}
}

func (s *eventStream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for sub := range s.subs {
		delete(s.subs, sub)
		s.active.Add(-1)
		close(sub.ch)
	}
}

// Events returns a stream of the node's decisions and a function that ends it. A subscriber that reads too slowly loses
// events; Stats.EventsDropped counts them. The channel is closed by the function and by Close.
func (n *Node) Events() (events <-chan Event, stop func()) { return n.events.subscribe() }

func (n *Node) event(e Event) {
	if n.events.active.Load() == 0 {
		return
	}
	e.Time = n.now()
	n.events.publish(e)
}
