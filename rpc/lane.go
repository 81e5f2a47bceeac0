package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
)

// lane is the client's end of a kept stream. It carries one call at a time and belongs to that call.
type lane struct {
	s       network.Stream
	in      frameReader
	used    time.Time   // end of the last call
	timer   *time.Timer // aborts a call that has only the node's deadline
	late    atomic.Bool // the timer has fired
	limited bool        // it goes through a relay
}

func newLane(s network.Stream) *lane {
	l := &lane{s: s, limited: s.Conn().Stat().Limited}
	l.timer = time.AfterFunc(time.Hour, func() {
		l.late.Store(true)
		l.abort()
	})
	l.timer.Stop()
	return l
}

// abort ends the stream at once; the server cancels the handler.
func (l *lane) abort() { _ = l.s.Reset() }

// close ends an idle stream.
func (l *lane) close() { _ = l.s.Close() }

// frames holds buffers for outgoing frames.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const maxPooled = 64 << 10 // larger messages are written in two parts instead of being copied

// writeFrame writes a head and the data after it, in one piece if they are small: every write costs an
// encrypted packet and a system call.
func writeFrame(w io.Writer, head func([]byte) []byte, data []byte) error {
	b, ok := frames.Get().(*[]byte)
	if !ok {
		b = new([]byte)
	}
	defer frames.Put(b)
	buf := head((*b)[:0])
	if len(buf)+len(data) <= maxPooled {
		buf = append(buf, data...)
		data = nil
	}
	*b = buf[:0]
	if _, err := w.Write(buf); err != nil {
		return err
	}
	if len(data) > 0 {
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// Call performs a unary call. Without a deadline in ctx the node's default holds. The data is not kept; the
// answer belongs to the caller. A call is sent at most once: when the connection breaks after sending, the
// error is Unavailable and the handler may or may not have run.
func (n *Node) Call(ctx context.Context, to peer.ID, m Method, data []byte) ([]byte, error) {
	out, err := n.call(ctx, to, m, data)
	if err != nil {
		return nil, n.annotate(err, to, m)
	}
	return out, nil
}

// annotate makes every error an *Error that names peer and method.
func (n *Node) annotate(err error, to peer.ID, m Method) error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Code: CodeOf(err), Msg: err.Error(), Peer: to, Method: m, cause: err}
	}
	if e.Peer != "" && e.Method != "" {
		return err
	}
	named := *e
	named.Peer, named.Method = to, m
	if named.cause == nil {
		named.cause = err
	}
	return &named
}

// invoke is the innermost UnaryCall: bounds, then the network or the own handler.
func (n *Node) invoke(ctx context.Context, to peer.ID, m Method, data []byte) ([]byte, error) {
	if len(data) > n.cfg.MaxMessage {
		return nil, &Error{Code: InvalidArgument, Msg: "request exceeds the size limit", Peer: to, Method: m}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if to == n.h.ID() {
		return n.callSelf(ctx, m, data)
	}
	p := n.peer(to)
	if !n.acquire(p) {
		return nil, &Error{Code: ResourceExhausted, Msg: "too many calls under way", Peer: to, Method: m}
	}
	out, err := n.exchange(ctx, p, m, data)
	n.release(p)
	n.forgetGone(p)
	return out, err
}

// acquire counts a call to p, unless a bound is reached.
func (n *Node) acquire(p *peerState) bool {
	if n.outgoing.Add(1) > int64(n.cfg.MaxOutgoing) {
		n.outgoing.Add(-1)
		return false
	}
	if p.outgoing.Add(1) > int64(n.cfg.MaxOutgoingPeer) {
		n.release(p)
		return false
	}
	return true
}

func (n *Node) release(p *peerState) {
	p.outgoing.Add(-1)
	n.outgoing.Add(-1)
}

// exchange sends one request and awaits the answer, over a kept stream if there is one.
func (n *Node) exchange(ctx context.Context, p *peerState, m Method, data []byte) ([]byte, error) {
	if !n.forcePython(ctx) {
		if l := p.take(n.h); l != nil {
			out, err := n.callLane(ctx, p, l, m, data)
			if !errors.Is(err, errNotSent) {
				return out, err
			}
		}
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.cfg.Deadline)
		defer cancel()
	}
	s, err := n.dial(ctx, p.id, m, n.unaryID)
	if err != nil {
		return nil, err
	}
	if s.Protocol() != n.unaryID {
		return n.callPython(ctx, s, p.id, m, data)
	}
	p.native.Store(true)
	return n.callLane(ctx, p, newLane(s), m, data)
}

type pythonForm struct{}

// InPythonForm makes calls with the returned context take the form of Python daemons even to peers that speak
// the native one, on nodes with Config.Python. An interceptor that has prepared a message for one form needs
// that: what is known about a peer may change before the call is made.
func InPythonForm(ctx context.Context) context.Context {
	return context.WithValue(ctx, pythonForm{}, true)
}

func (n *Node) forcePython(ctx context.Context) bool {
	return n.cfg.Python && ctx.Value(pythonForm{}) != nil
}

// dial opens a stream for a method, in the native form if the peer speaks it.
func (n *Node) dial(ctx context.Context, to peer.ID, m Method, native protocol.ID) (network.Stream, error) {
	ctx = network.WithAllowLimitedConn(ctx, "rpc")
	if !n.h.Connected(to) {
		if err := n.h.Connect(ctx, peer.AddrInfo{ID: to}); err != nil {
			return nil, n.failed(ctx, err, to, m)
		}
	}
	var ids []protocol.ID
	if !n.forcePython(ctx) {
		ids = append(ids, native)
	}
	if n.cfg.Python {
		ids = append(ids, protocol.ID(m))
	}
	s, err := n.h.Libp2p().NewStream(ctx, to, ids...)
	if err != nil {
		return nil, n.failed(ctx, err, to, m)
	}
	return s, nil
}

// errNotSent reports that a kept stream was dead, so that the request cannot have reached the handler.
var errNotSent = errors.New("stream was closed before the request was sent")

// callLane performs a call on a lane that belongs to it.
func (n *Node) callLane(ctx context.Context, p *peerState, l *lane, m Method, data []byte) ([]byte, error) {
	timeout := n.cfg.Deadline
	deadline, has := ctx.Deadline()
	if has {
		timeout = time.Until(deadline)
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, l.abort)
	}
	if !has {
		l.timer.Reset(timeout)
	}
	body, err := l.exchange(timeout, m, data, n.cfg.MaxMessage)
	inTime := has || l.timer.Stop()
	if alive := stop(); !alive || !inTime {
		l.abort()
	} else if err == nil {
		n.keep(p, l)
	} else {
		l.abort()
	}
	if err != nil {
		switch {
		case errors.Is(err, errNotSent) && ctx.Err() == nil && inTime:
			return nil, err
		case l.late.Load():
			err = context.DeadlineExceeded
		}
		return nil, n.failed(ctx, err, p.id, m)
	}
	return answer(body, p.id, m)
}

// exchange writes the request and reads the answer's body.
func (l *lane) exchange(timeout time.Duration, m Method, data []byte, limit int) ([]byte, error) {
	head := func(b []byte) []byte { return appendRequestHead(b, timeout, m, len(data)) }
	if err := writeFrame(l.s, head, data); err != nil {
		return nil, errors.Join(errNotSent, err)
	}
	body, err := l.in.next(l.s, limit+maxOverhead, admitAll{})
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, errFrame
	}
	return body, nil
}

// keep returns a lane to its peer.
func (n *Node) keep(p *peerState, l *lane) {
	l.used = time.Now()
	if !p.put(l) {
		l.close()
		return
	}
	n.scheduleReap()
}

// answer reads the body of a response.
func answer(body []byte, from peer.ID, m Method) ([]byte, error) {
	code := Code(body[0])
	if code == OK {
		return body[1:], nil
	}
	if int(code) >= len(codeNames) {
		code = Internal
	}
	return nil, &Error{Code: code, Msg: clip(string(body[1:min(len(body), 1+maxErrText)])), Remote: true, Peer: from, Method: m}
}

// failed turns a failure of the network into an *Error.
func (n *Node) failed(ctx context.Context, err error, to peer.ID, m Method) error {
	e := &Error{Code: Unavailable, Peer: to, Method: m, cause: err}
	var (
		notSupported multistream.ErrNotSupported[protocol.ID]
		reset        *network.StreamError
	)
	switch {
	case errors.As(err, &notSupported),
		errors.As(err, &reset) && reset.Remote && reset.ErrorCode == network.StreamProtocolNegotiationFailed:
		e.Code, e.Msg, e.Remote = Unimplemented, "the peer does not serve the method", true
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		e.Code, e.Msg = DeadlineExceeded, "no answer in time"
	case ctx.Err() != nil:
		e.Code, e.Msg = Canceled, "given up by the caller"
	case errors.Is(err, errTooBig), errors.Is(err, errFrame):
		e.Code, e.Msg, e.Remote = Internal, fmt.Sprintf("bad answer: %v", err), true
	case errors.Is(err, io.EOF):
		e.Msg = "the peer closed the stream without an answer"
	default:
		e.Msg = err.Error()
	}
	return e
}
