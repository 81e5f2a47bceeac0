package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// watchDelay is how long a handler runs before somebody watches whether the caller still waits. Most
	// handlers are done by then and cost no second goroutine.
	watchDelay = 500 * time.Microsecond

	transferTime = 30 * time.Second // for the rest of a request that has begun, or for an answer
	laneFactor   = 2                // streams a peer may keep open per call it may have under way
)

// call is one served call: its context and request in one allocation.
type call struct {
	callContext
	req Request
}

// counters count what the node did; see Stats.
type counters struct {
	served, failed, refused, panics, malformed atomic.Uint64
}

// Stats are totals since the node was made.
type Stats struct {
	Served    uint64 // calls whose handler ran
	Failed    uint64 // of them, those that returned an error
	Refused   uint64 // calls refused because a bound was reached
	Panics    uint64 // handlers that panicked
	Malformed uint64 // streams ended because of malformed or oversized frames
	InFlight  int64  // unary calls being served now
	Streams   int64  // streaming calls being served now
	Outgoing  int64  // calls being made now
}

// Stats returns the counters.
func (n *Node) Stats() Stats {
	return Stats{
		Served: n.stats.served.Load(), Failed: n.stats.failed.Load(), Refused: n.stats.refused.Load(),
		Panics: n.stats.panics.Load(), Malformed: n.stats.malformed.Load(),
		InFlight: n.inFlight.Load(), Streams: n.streams.Load(), Outgoing: n.outgoing.Load(),
	}
}

// serverLane is the server's end of a kept stream. One goroutine reads, serves and answers; only when a
// handler takes long, a second one waits on the stream for the caller to give up, and then hands what it has
// read back to the first.
type serverLane struct {
	n     *Node
	s     network.Stream
	p     *peerState
	in    frameReader
	held  int // bytes of the present request counted in Node.buffered
	watch *time.Timer
	seen  chan error // end of a watch, with what was read in in

	since atomic.Int64 // when the present wait began, in Unix nanoseconds; 0 while a handler runs
	idle  atomic.Bool  // that wait is for the next request

	mu       sync.Mutex // guards the fields below
	running  *call
	watching bool
}

// serveLane serves the calls of one kept stream.
func (n *Node) serveLane(s network.Stream) {
	p := n.peer(s.Conn().RemotePeer())
	l := &serverLane{n: n, s: s, p: p, seen: make(chan error, 1)}
	if p.lanes.Add(1) > int64(n.cfg.MaxInFlightPeer*laneFactor) || !n.enter(l) {
		n.serveless(p)
		n.reset(s)
		return
	}
	defer n.leave(l)
	defer n.serveless(p)
	n.scheduleReap()
	l.watch = time.AfterFunc(time.Hour, l.watchCaller)
	l.watch.Stop()
	err := l.serveAll()
	if errors.Is(err, errFrame) || errors.Is(err, errTooBig) {
		n.stats.malformed.Add(1)
		n.log.Debug("rpc: stream refused", "peer", p.id, "err", err)
	}
	if err == nil || errors.Is(err, io.EOF) {
		l.closeGracefully()
		return
	}
	n.reset(s)
}

func (l *serverLane) closeGracefully() {
	if err := l.s.Close(); err != nil {
		l.n.reset(l.s)
	}
}

// stop ends the stream and cancels the call that runs.
func (l *serverLane) stop() {
	l.n.reset(l.s)
	l.mu.Lock()
	c := l.running
	l.mu.Unlock()
	if c != nil {
		c.cancel(context.Canceled)
	}
}

// stuck tells whether the peer has kept the stream waiting for too long.
func (l *serverLane) stuck(now time.Time, idle time.Duration) bool {
	since := l.since.Load()
	if since == 0 {
		return false
	}
	limit := transferTime
	if l.idle.Load() {
		limit = idle
	}
	return now.Sub(time.Unix(0, since)) > limit
}

// reserve implements admission.
func (l *serverLane) reserve(size int) bool {
	if l.n.buffered.Add(int64(size)) > l.n.cfg.MaxBuffered {
		l.n.buffered.Add(int64(-size))
		return false
	}
	l.held = size
	return true
}

// release implements admission.
func (l *serverLane) release(size int) {
	l.n.buffered.Add(int64(-size))
	l.held = 0
}

// slow implements admission.
func (l *serverLane) slow() {
	l.idle.Store(false)
	l.since.Store(time.Now().UnixNano())
}

// serveAll serves until the stream ends.
func (l *serverLane) serveAll() error {
	watched := false
	defer func() {
		if watched { // the watch ends with the stream
			l.n.reset(l.s)
			if err := <-l.seen; err != nil {
				l.n.log.Debug("rpc: watch ended", "err", err)
			}
		}
	}()
	for {
		l.idle.Store(true)
		l.since.Store(time.Now().UnixNano())
		if watched {
			watched = false
			if err := <-l.seen; err != nil {
				return err
			}
		}
		body, err := l.in.next(l.s, l.n.cfg.MaxMessage+maxOverhead, l)
		l.since.Store(0)
		var (
			out  []byte
			fail *Error
		)
		switch {
		case errors.Is(err, errTooBusy):
			l.n.stats.refused.Add(1)
			fail = errBusy
		case err != nil:
			return err
		default:
			out, fail, watched, err = l.serveOne(body)
			l.n.buffered.Add(int64(-l.held))
			l.held = 0
			if err != nil {
				return err
			}
		}
		l.idle.Store(false)
		l.since.Store(time.Now().UnixNano())
		if err := writeAnswer(l.s, out, fail); err != nil {
			return err
		}
	}
}

// serveOne runs the handler of one request. watched tells that a watch is still under way.
func (l *serverLane) serveOne(body []byte) (out []byte, fail *Error, watched bool, err error) {
	head, data, err := splitRequest(body)
	if err != nil {
		return nil, nil, false, err
	}
	h := (*l.n.handlers.Load())[Method(head.method)]
	if h == nil || h.unary == nil {
		return nil, errUnknownMethod, false, nil
	}
	if !l.n.admit(l.p) {
		return nil, errBusy, false, nil
	}
	c := l.n.newCall(h.method, l.p.id, data, min(head.timeout, l.n.cfg.MaxDeadline))
	c.req.Native = true
	l.mu.Lock()
	l.running = c
	l.mu.Unlock()
	l.watch.Reset(watchDelay)

	out, fail = l.n.run(c, h, l.s.Conn())

	l.watch.Stop()
	l.mu.Lock()
	l.running = nil
	watched, l.watching = l.watching, false
	l.mu.Unlock()
	c.cancel(context.Canceled)
	l.n.done(l.p)
	return out, fail, watched, nil
}

// watchCaller waits on the stream while a handler runs. Whatever it reads belongs to the next request, which
// the caller sends only after the answer; before that, it has given up or broken the rules.
func (l *serverLane) watchCaller() {
	l.mu.Lock()
	if l.running == nil || l.watching {
		l.mu.Unlock()
		return
	}
	l.watching = true
	l.mu.Unlock()
	n, err := l.s.Read(l.in.buf[:])
	l.mu.Lock()
	c := l.running
	l.mu.Unlock()
	if c != nil {
		c.cancel(context.Canceled)
		if err == nil {
			err = errFrame
		}
	}
	l.in.n = n
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil // the next read tells again
	}
	l.seen <- err
}

// serveless counts a kept stream of p less.
func (n *Node) serveless(p *peerState) {
	p.lanes.Add(-1)
	n.forgetGone(p)
}

// admit counts a unary call of p, unless a bound is reached.
func (n *Node) admit(p *peerState) bool {
	if n.inFlight.Add(1) > int64(n.cfg.MaxInFlight) {
		n.inFlight.Add(-1)
		n.stats.refused.Add(1)
		return false
	}
	if p.inFlight.Add(1) > int64(n.cfg.MaxInFlightPeer) {
		n.done(p)
		n.stats.refused.Add(1)
		return false
	}
	return true
}

func (n *Node) done(p *peerState) {
	p.inFlight.Add(-1)
	n.inFlight.Add(-1)
}

// admitStream counts a streaming call of p, unless a bound is reached. Streams may last, and have bounds of their own so that they
// take no unary call's place.
func (n *Node) admitStream(p *peerState) bool {
	if n.streams.Add(1) > int64(n.cfg.MaxStreams) {
		n.streams.Add(-1)
		n.stats.refused.Add(1)
		return false
	}
	if p.streams.Add(1) > int64(n.cfg.MaxStreamsPeer) {
		n.doneStream(p)
		n.stats.refused.Add(1)
		return false
	}
	return true
}

func (n *Node) doneStream(p *peerState) {
	p.streams.Add(-1)
	n.streams.Add(-1)
}

func (n *Node) newCall(m Method, from peer.ID, data []byte, timeout time.Duration) *call {
	if timeout <= 0 {
		timeout = n.cfg.Deadline
	}
	c := &call{req: Request{Method: m, Peer: from, Data: data}}
	c.deadline = time.Now().Add(timeout)
	return c
}

// Fixed answers. They are never changed.
var (
	errBusy          = &Error{Code: ResourceExhausted, Msg: "too many calls under way"}
	errUnknownMethod = &Error{Code: Unimplemented, Msg: "unknown method"}
	errBigRequest    = &Error{Code: InvalidArgument, Msg: "request exceeds the size limit"}
	errBigAnswer     = &Error{Code: ResourceExhausted, Msg: "answer exceeds the size limit"}
	errRelayed       = &Error{Code: Unavailable, Msg: "not served over relays"}
	errQuiet         = &Error{Code: DeadlineExceeded, Msg: "no item for too long"}
	errPanicked      = &Error{Code: Internal, Msg: "internal error"}
)

// run calls a unary handler and turns what goes wrong into an *Error that may be told to the peer. conn is
// nil for calls to oneself.
func (n *Node) run(c *call, h *handler, conn network.Conn) (out []byte, fail *Error) {
	if h.opts.maxRequest > 0 && len(c.req.Data) > h.opts.maxRequest {
		return nil, errBigRequest
	}
	if h.opts.direct && conn != nil && conn.Stat().Limited {
		return nil, errRelayed
	}
	n.stats.served.Add(1)
	defer func() {
		if v := recover(); v != nil {
			n.panicked(h.method, v)
			out, fail = nil, errPanicked
		}
		if fail != nil {
			n.stats.failed.Add(1)
		}
	}()
	out, err := h.unary(c, &c.req)
	if err != nil {
		return nil, n.tellable(err, h.method)
	}
	if len(out) > n.cfg.MaxMessage {
		return nil, errBigAnswer
	}
	return out, nil
}

func (n *Node) panicked(m Method, v any) {
	n.stats.panics.Add(1)
	n.log.Error("rpc: handler panicked", "method", m, "value", v, "stack", string(debug.Stack()))
}

// tellable picks what the peer may know of an error: the text of the handler's own *Error, and nothing of
// anything else.
func (n *Node) tellable(err error, m Method) *Error {
	var e *Error
	if errors.As(err, &e) && !e.Remote {
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: DeadlineExceeded, Msg: "no answer in time"}
	case errors.Is(err, context.Canceled):
		return &Error{Code: Canceled, Msg: "given up by the caller"}
	}
	n.log.Debug("rpc: handler failed", "method", m, "err", err)
	return errPanicked
}

// writeAnswer writes a response frame.
func writeAnswer(w io.Writer, out []byte, fail *Error) error {
	code := OK
	if fail != nil {
		code, out = fail.Code, []byte(clip(fail.Msg))
	}
	head := func(b []byte) []byte {
		b = binary.AppendUvarint(b, uint64(1+len(out)))
		return append(b, byte(code))
	}
	return writeFrame(w, head, out)
}

// clip shortens an error's text to what is sent, as valid UTF-8.
func clip(text string) string {
	if len(text) > maxErrText {
		text = text[:maxErrText]
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "?")
	}
	return text
}

// callSelf serves a call to oneself, without the network but with the same bounds.
func (n *Node) callSelf(ctx context.Context, m Method, data []byte) ([]byte, error) {
	h := (*n.handlers.Load())[m]
	if h == nil || h.unary == nil {
		return nil, errUnknownMethod
	}
	p := n.peer(n.h.ID())
	if !n.admit(p) {
		return nil, errBusy
	}
	defer n.done(p)
	timeout := n.cfg.Deadline
	if deadline, has := ctx.Deadline(); has {
		timeout = time.Until(deadline)
	}
	c := n.newCall(m, n.h.ID(), append([]byte(nil), data...), timeout)
	c.req.Native = true
	stop := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	out, fail := n.run(c, h, nil) //nolint:contextcheck // c is the context
	stop()
	c.cancel(context.Canceled)
	if fail != nil {
		said := *fail // the text is fixed; who said it is not
		said.Remote = true
		return nil, &said
	}
	return append([]byte(nil), out...), nil
}
