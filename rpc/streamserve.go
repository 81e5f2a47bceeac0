package rpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	prefetch  = 2                // items read ahead of the handler; more only costs memory
	drainTime = 10 * time.Second // for a caller that still sends when the call is over to notice
)

// ServerStream is the handler's end of a streaming call. One goroutine may send while another receives. It
// ends with the handler.
type ServerStream struct {
	n     *Node
	s     pipe
	c     *call
	form  itemForm
	limit int
	send  []Filter
	recv  []Filter
	items chan streamItem // closed by the reader
	over  error           // what Recv returns from now on
	ended atomic.Bool     // the caller has ended its input
	sent  atomic.Int64    // when the last item was sent, in Unix nanoseconds
}

// streamItem is an item, or why there are no more.
type streamItem struct {
	data []byte
	err  error
}

// serveNativeStream serves one streaming call between nodes of this package.
func (n *Node) serveNativeStream(s network.Stream) {
	if err := s.SetReadDeadline(time.Now().Add(transferTime)); err != nil {
		n.reset(s)
		return
	}
	in := bufio.NewReaderSize(s, itemBuffer)
	head, err := readStreamHead(in)
	if err == nil {
		err = s.SetReadDeadline(time.Time{})
	}
	if err != nil {
		n.stats.malformed.Add(1)
		n.reset(s)
		return
	}
	h := (*n.handlers.Load())[Method(head.method)]
	if h == nil || h.stream == nil {
		h = &handler{method: Method(head.method), stream: unknownStream}
	}
	n.serveItems(s, in, s.Conn().RemotePeer(), h, head.timeout, nativeItems{}, s.Conn())
}

func unknownStream(context.Context, *Request, *ServerStream) error { return errUnknownMethod }

// readStreamHead reads the frame that opens a native stream: a request without data.
func readStreamHead(in *bufio.Reader) (requestHead, error) {
	n, err := readUvarint(in, maxOverhead)
	if err != nil {
		return requestHead{}, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return requestHead{}, err
	}
	head, data, err := splitRequest(body)
	if err == nil && len(data) > 0 {
		err = errFrame
	}
	return head, err
}

// serveStream serves one streaming call in the form of Python daemons.
func (n *Node) serveStream(s network.Stream, h *handler, f itemForm) {
	n.serveItems(s, bufio.NewReaderSize(s, itemBuffer), s.Conn().RemotePeer(), h, 0, f, s.Conn())
}

// serveItems runs the handler of a streaming call beside a goroutine that reads the caller's items.
func (n *Node) serveItems(
	s pipe, in *bufio.Reader, from peer.ID, h *handler, timeout time.Duration, f itemForm, conn network.Conn,
) {
	c := &call{req: Request{Method: h.method, Peer: from, Native: !f.eof()}}
	if timeout > 0 {
		c.deadline = time.Now().Add(timeout)
	}
	st := &ServerStream{n: n, s: s, c: c, form: f, limit: n.cfg.MaxMessage, items: make(chan streamItem, prefetch)}
	if h.opts.maxRequest > 0 {
		st.limit = min(st.limit, h.opts.maxRequest)
	}
	p := n.peer(from)
	if !n.enter(st) {
		_ = s.Reset()
		return
	}
	defer n.leave(st)
	fail := errBusy
	if n.admitStream(p) {
		fail = st.serve(h, in, conn)
		n.doneStream(p)
	} else {
		close(st.items)
	}
	n.forgetGone(p)
	err := error(nil)
	if status := f.appendStatus(nil, fail); status != nil {
		err = writeItem(s, transferTime, status, nil)
	}
	if err == nil && !f.eof() && !st.ended.Load() {
		err = st.drain(in)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		_ = s.Reset()
	}
	st.discard() // the reader ends with the stream
}

// drain lets a caller that still sends run on for a moment; otherwise it would wait for room that never comes
// instead of learning that the call is over.
func (st *ServerStream) drain(in *bufio.Reader) error {
	if err := errors.Join(st.s.CloseWrite(), st.s.SetReadDeadline(time.Now().Add(drainTime))); err != nil {
		return err
	}
	st.discard()
	if st.ended.Load() {
		return nil
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// discard drops what the handler has not received until the reader ends.
func (st *ServerStream) discard() {
	for it := range st.items {
		st.n.buffered.Add(int64(-len(it.data)))
	}
}

// serve runs reader and handler. The reader may outlive the handler; it closes items when it ends.
func (st *ServerStream) serve(h *handler, in *bufio.Reader, conn network.Conn) *Error {
	if h.opts.direct && conn != nil && conn.Stat().Limited {
		close(st.items)
		return errRelayed
	}
	go st.read(in)
	fail := st.n.runStream(st, h)
	st.c.cancel(context.Canceled)
	return fail
}

func (n *Node) runStream(st *ServerStream, h *handler) (fail *Error) {
	n.stats.served.Add(1)
	defer func() {
		if v := recover(); v != nil {
			n.panicked(h.method, v)
			fail = errPanicked
		}
		if fail != nil {
			n.stats.failed.Add(1)
		}
	}()
	if err := h.stream(st.c, &st.c.req, st); err != nil {
		return n.tellable(err, h.method)
	}
	return nil
}

// stop implements serverStream.
func (st *ServerStream) stop() {
	_ = st.s.Reset()
	st.c.cancel(context.Canceled)
}

// reserve implements admission.
func (st *ServerStream) reserve(size int) bool {
	if st.n.buffered.Add(int64(size)) > st.n.cfg.MaxBuffered {
		st.n.buffered.Add(int64(-size))
		return false
	}
	return true
}

// release implements admission.
func (st *ServerStream) release(size int) { st.n.buffered.Add(int64(-size)) }

// slow implements admission.
func (*ServerStream) slow() {}

// read passes the caller's items on, and cancels the call when the caller goes away.
func (st *ServerStream) read(in *bufio.Reader) {
	defer close(st.items)
	defer func() {
		if v := recover(); v != nil {
			st.n.panicked(st.c.req.Method, v)
			st.c.cancel(context.Canceled)
		}
	}()
	items := itemReader{r: in, form: st.form, limit: st.limit}
	for {
		mark, data, err := items.next(nil, st)
		it := streamItem{data: data}
		switch {
		case errors.Is(err, errTooBusy):
			it.err = errBusy
		case errors.Is(err, errTooBig), errors.Is(err, errFrame):
			st.n.stats.malformed.Add(1)
			it.err = &Error{Code: InvalidArgument, Msg: "malformed item or size limit exceeded", cause: err}
		case err != nil: // no end mark: the caller gave up
			st.c.cancel(context.Canceled)
			it.err = context.Canceled
		case mark == markEnd:
			st.n.buffered.Add(int64(-len(data)))
			st.ended.Store(true)
			it = streamItem{err: io.EOF}
		}
		if !st.pass(it) {
			return
		}
		if it.err != nil {
			break
		}
	}
	// Nothing more is due. The end of the stream, or a byte, while the handler runs is a cancellation.
	_, _ = in.ReadByte()
	st.c.cancel(context.Canceled)
}

// pass hands an item to the handler, unless the call is over.
func (st *ServerStream) pass(it streamItem) bool {
	select {
	case st.items <- it:
		return true
	default:
	}
	select {
	case st.items <- it:
		return true
	case <-st.c.Done():
		st.n.buffered.Add(int64(-len(it.data)))
		return false
	}
}

// Wrap adds filters through which all items pass; see ClientStream.Wrap.
func (st *ServerStream) Wrap(send, recv Filter) {
	if send != nil {
		st.send = append([]Filter{send}, st.send...)
	}
	if recv != nil {
		st.recv = append(st.recv, recv)
	}
}

// Send sends one item. It blocks while the caller does not keep up.
func (st *ServerStream) Send(item []byte) error {
	if err := st.c.Err(); err != nil {
		return err
	}
	item, err := applyAll(st.send, item)
	if err != nil {
		return err
	}
	if len(item) > st.n.cfg.MaxMessage {
		return errBigAnswer
	}
	if err := writeItem(st.s, st.n.cfg.StreamStall, st.form.appendHead(nil, markItem, len(item)), item); err != nil {
		st.c.cancel(context.Canceled)
		return st.n.failed(st.c, err, st.c.req.Peer, st.c.req.Method)
	}
	st.sent.Store(time.Now().UnixNano())
	return nil
}

// Recv returns the next item, or io.EOF after the last. The item belongs to the handler. When for Config.StreamIdle none came and
// none was sent, it fails with DeadlineExceeded and the call's context ends.
func (st *ServerStream) Recv() ([]byte, error) {
	if st.over != nil {
		return nil, st.over
	}
	it := st.next()
	st.n.buffered.Add(int64(-len(it.data)))
	if it.err != nil {
		st.over = it.err
		return nil, it.err
	}
	return applyAll(st.recv, it.data)
}

// next waits for an item of the reader.
func (st *ServerStream) next() streamItem {
	gone := streamItem{err: context.Canceled}
	select {
	case it, open := <-st.items:
		if open {
			return it
		}
		return gone
	default:
	}
	began := time.Now()
	quiet := time.NewTimer(st.n.cfg.StreamIdle)
	defer quiet.Stop()
	for {
		select {
		case it, open := <-st.items:
			if open {
				return it
			}
			return gone
		case <-st.c.Done():
			return streamItem{err: st.c.Err()}
		case now := <-quiet.C:
			last := began
			if sent := time.Unix(0, st.sent.Load()); sent.After(last) {
				last = sent
			}
			if left := st.n.cfg.StreamIdle - now.Sub(last); left > 0 {
				quiet.Reset(left)
				continue
			}
			st.c.cancel(context.DeadlineExceeded)
			return streamItem{err: errQuiet}
		}
	}
}

// streamToSelf connects a stream to the own handler.
func (n *Node) streamToSelf(c *ClientStream) error {
	h := (*n.handlers.Load())[c.m]
	if h == nil || h.stream == nil {
		return errUnknownMethod
	}
	timeout := time.Duration(0)
	if deadline, has := c.ctx.Deadline(); has {
		timeout = time.Until(deadline)
	}
	near, far := net.Pipe()
	c.s, c.form = memoryPipe{near}, nativeItems{}
	go n.serveItems(memoryPipe{far}, bufio.NewReaderSize(far, itemBuffer), n.h.ID(), h, timeout, nativeItems{}, nil)
	return nil
}
