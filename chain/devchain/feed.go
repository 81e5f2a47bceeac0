package devchain

import (
	"errors"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// EventKind says what happened to a block.
type EventKind uint8

// The kinds of events.
const (
	EventImported  EventKind = iota // the block exists, on whichever branch
	EventBest                       // the block is the new best block
	EventFinalized                  // the block will never be taken back
)

// Event is one notice of a [Subscription].
type Event struct {
	Kind  EventKind
	Block *Block
	// Changes is, for EventBest, what differs from the state of the best block
	// before. The receiver must not modify it.
	Changes []Change
}

// ErrSlow ends the subscription of a receiver that does not keep up.
var ErrSlow = errors.New("subscription fell behind")

// Subscription delivers events in order.
type Subscription struct {
	c   *Chain
	ch  chan Event
	err error // set before ch is closed
}

// Subscribe returns a subscription that holds up to buffer events for a slow
// receiver before it ends with [ErrSlow]. The caller must Close it.
func (c *Chain) Subscribe(buffer int) (*Subscription, error) {
	s, _, err := c.subscribe(buffer)
	return s, err
}

// subscribe also returns the best block at the moment from which events are
// delivered.
func (c *Chain) subscribe(buffer int) (*Subscription, [2]*Block, error) {
	s := &Subscription{c: c, ch: make(chan Event, max(1, buffer))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, [2]*Block{}, ErrClosed
	}
	c.subs[s] = struct{}{}
	return s, [2]*Block{c.head, c.final}, nil
}

// Events is closed when the subscription ends.
func (s *Subscription) Events() <-chan Event { return s.ch }

// Err says why Events was closed; nil before that and after Close.
func (s *Subscription) Err() error {
	s.c.mu.RLock()
	defer s.c.mu.RUnlock()
	return s.err
}

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if _, ok := s.c.subs[s]; ok {
		delete(s.c.subs, s)
		s.end(nil)
	}
}

// end is called once, under mu, after the subscription has left subs.
func (s *Subscription) end(err error) {
	s.err = err
	close(s.ch)
}

// publish sends an event to all; called under mu.
func (c *Chain) publish(e Event) {
	for s := range c.subs {
		select {
		case s.ch <- e:
		default:
			delete(c.subs, s)
			s.end(ErrSlow)
		}
	}
}

const watchBuffer = 64 // notices; a transaction has few unless blocks are reorganised for ever

// TxWatch delivers what happens to one transaction until that is settled.
type TxWatch struct {
	c    *Chain
	hash chain.Hash
	ch   chan txStatus
}

// notify passes the pool's notices on to the watchers; called under mu.
func (c *Chain) notify() {
	for _, n := range c.pool.takeNotices() {
		c.tell(n)
	}
}

func (c *Chain) tell(n txStatus) {
	list := c.watchers[n.tx]
	if len(list) == 0 {
		return
	}
	kept := list[:0]
	for _, w := range list {
		select {
		case w.ch <- n:
			if !n.kind.terminal() {
				kept = append(kept, w)
				continue
			}
		default: // too slow
		}
		w.end()
	}
	if len(kept) == 0 {
		delete(c.watchers, n.tx)
		return
	}
	c.watchers[n.tx] = kept
}

// end is called once, under mu, after the watch has left watchers.
func (w *TxWatch) end() { close(w.ch) }

// Close stops watching; the transaction stays in the pool.
func (w *TxWatch) Close() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	list := w.c.watchers[w.hash]
	if i := slices.Index(list, w); i >= 0 {
		list = slices.Delete(list, i, i+1)
		w.end()
	}
	if len(list) == 0 {
		delete(w.c.watchers, w.hash)
	} else {
		w.c.watchers[w.hash] = list
	}
}
