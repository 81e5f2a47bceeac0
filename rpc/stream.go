package rpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const itemBuffer = 4 << 10 // read at once; the bodies of large items go past it

// pipe is what a stream runs over: a libp2p stream or, for calls to oneself, memory.
type pipe interface {
	io.ReadWriteCloser
	CloseWrite() error
	Reset() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// memoryPipe is one end of a call to oneself.
type memoryPipe struct{ net.Conn }

// CloseWrite does nothing: the reader learns of the end from the status.
func (memoryPipe) CloseWrite() error { return nil }

// Reset ends both directions.
func (m memoryPipe) Reset() error { return m.Close() }

// Filter changes or refuses an item. It may return its argument.
type Filter func(item []byte) ([]byte, error)

func applyAll(filters []Filter, item []byte) ([]byte, error) {
	for _, f := range filters {
		var err error
		if item, err = f(item); err != nil {
			return nil, err
		}
	}
	return item, nil
}

// ClientStream is the caller's end of a streaming call. One goroutine may send while another receives. Close
// must be called in the end.
type ClientStream struct {
	n    *Node
	s    pipe
	p    *peerState
	to   peer.ID
	m    Method
	ctx  context.Context // the call's own, as in net/http.Request
	form itemForm
	in   itemReader
	stop func() bool
	send []Filter
	recv []Filter

	ended  atomic.Bool // the server has ended the call
	result error       // what Recv returns from then on
	once   sync.Once
}

// Stream opens a streaming call. The context governs the whole call: when it ends, so does the stream. The
// caller sends items, calls CloseSend, receives until io.EOF, and closes; in any order that the method wants.
func (n *Node) Stream(ctx context.Context, to peer.ID, m Method) (*ClientStream, error) {
	if n.open == nil {
		return nil, &Error{Code: Unimplemented, Msg: "an interceptor of this node cannot guard streams", Peer: to, Method: m}
	}
	s, err := n.open(ctx, to, m)
	if err != nil {
		return nil, n.annotate(err, to, m)
	}
	return s, nil
}

// openStream is the innermost Opener.
func (n *Node) openStream(ctx context.Context, to peer.ID, m Method) (*ClientStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := n.peer(to)
	if !n.acquire(p) {
		return nil, &Error{Code: ResourceExhausted, Msg: "too many calls under way", Peer: to, Method: m}
	}
	c := &ClientStream{n: n, p: p, to: to, m: m, ctx: ctx}
	if err := c.connect(); err != nil { //nolint:contextcheck // the stream holds it
		n.release(p)
		n.forgetGone(p)
		return nil, err
	}
	c.in = itemReader{r: bufio.NewReaderSize(c.s, itemBuffer), form: c.form, limit: n.cfg.MaxMessage}
	c.stop = context.AfterFunc(ctx, func() { _ = c.s.Reset() })
	return c, nil
}

// connect opens the stream and tells the method.
func (c *ClientStream) connect() error {
	if c.to == c.n.h.ID() {
		return c.n.streamToSelf(c)
	}
	timeout := time.Duration(0)
	dialCtx := c.ctx
	if deadline, has := c.ctx.Deadline(); has {
		timeout = time.Until(deadline)
	} else {
		var cancel context.CancelFunc
		dialCtx, cancel = context.WithTimeout(c.ctx, c.n.cfg.Deadline)
		defer cancel()
	}
	s, err := c.n.dial(dialCtx, c.to, c.m, c.n.streamID)
	if err != nil {
		return err
	}
	c.s = s
	c.form = pyItems{}
	if s.Protocol() == c.n.streamID {
		c.form = nativeItems{}
		err = c.write(appendRequestHead(nil, timeout, c.m, 0), nil)
	}
	if err != nil {
		c.n.reset(s)
		return c.n.failed(c.ctx, err, c.to, c.m)
	}
	return nil
}

// Native tells whether the stream runs in the native form.
func (c *ClientStream) Native() bool { return !c.form.eof() }

// Peer returns the peer at the other end.
func (c *ClientStream) Peer() peer.ID { return c.to }

// Wrap adds filters through which all items pass: send in the order in which they were added, recv in the
// reverse order, so that what was added last sees the wire. Interceptors call it before the stream is used.
func (c *ClientStream) Wrap(send, recv Filter) {
	if send != nil {
		c.send = append(c.send, send)
	}
	if recv != nil {
		c.recv = append([]Filter{recv}, c.recv...)
	}
}

// Send sends one item. It blocks while the server does not keep up. After a failure Recv tells more.
func (c *ClientStream) Send(item []byte) error {
	item, err := applyAll(c.send, item)
	if err != nil {
		return c.n.annotate(err, c.to, c.m)
	}
	if len(item) > c.n.cfg.MaxMessage {
		return &Error{Code: InvalidArgument, Msg: "item exceeds the size limit", Peer: c.to, Method: c.m}
	}
	head := c.form.appendHead(nil, markItem, len(item))
	if err := c.write(head, item); err != nil {
		return c.n.failed(c.ctx, err, c.to, c.m)
	}
	return nil
}

// CloseSend tells the server that no more items follow.
func (c *ClientStream) CloseSend() error {
	if err := c.write(c.form.appendHead(nil, markEnd, 0), nil); err != nil {
		return c.n.failed(c.ctx, err, c.to, c.m)
	}
	return nil
}

func (c *ClientStream) write(head, item []byte) error {
	return writeItem(c.s, c.n.cfg.StreamStall, head, item)
}

func writeItem(s pipe, stall time.Duration, head, item []byte) error {
	if err := s.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	return writeFrame(s, func(b []byte) []byte { return append(b, head...) }, item)
}

// Recv returns the next item, or io.EOF after the last. The item belongs to the caller.
func (c *ClientStream) Recv() ([]byte, error) { return c.RecvTo(nil) }

// RecvTo is Recv, but reads the item into buf if its capacity suffices. Streams of large items save time when
// they use the same buffer again.
func (c *ClientStream) RecvTo(buf []byte) ([]byte, error) {
	if c.ended.Load() {
		return nil, c.result
	}
	mark, payload, err := c.in.next(buf, admitAll{})
	switch {
	case err == nil && mark == markItem:
		if payload, err = applyAll(c.recv, payload); err == nil {
			return payload, nil
		}
		return nil, c.end(c.n.annotate(err, c.to, c.m))
	case err == nil:
		if fail := c.form.status(payload); fail != nil {
			fail.Remote, fail.Peer, fail.Method = true, c.to, c.m
			return nil, c.end(fail)
		}
		return nil, c.end(io.EOF)
	case errors.Is(err, io.EOF) && c.form.eof() && c.ctx.Err() == nil:
		return nil, c.end(io.EOF)
	}
	return nil, c.end(c.n.failed(c.ctx, err, c.to, c.m))
}

func (c *ClientStream) end(err error) error {
	c.result = err
	c.ended.Store(true)
	return err
}

// Close ends the call and frees the stream. If the server has not ended the call yet, its context is
// cancelled. Closing twice is fine.
func (c *ClientStream) Close() error {
	c.once.Do(func() {
		c.stop()
		if !c.ended.Load() || !errors.Is(c.result, io.EOF) || c.s.Close() != nil {
			_ = c.s.Reset()
		}
		c.n.release(c.p)
		c.n.forgetGone(c.p)
	})
	return nil
}
