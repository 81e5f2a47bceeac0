package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// callPython performs a unary call in the form of Python daemons on a fresh stream. The write side stays open
// until the answer is in: they take its end for a cancellation.
func (n *Node) callPython(ctx context.Context, s network.Stream, to peer.ID, m Method, data []byte) ([]byte, error) {
	if len(data)+pyOverhead > n.cfg.MaxMessage {
		n.reset(s)
		return nil, &Error{Code: InvalidArgument, Msg: "request exceeds the size limit", Peer: to, Method: m}
	}
	stop := context.AfterFunc(ctx, func() { n.reset(s) })
	body, err := pyExchange(s, to, m, data, n.cfg.MaxMessage)
	if !stop() || err != nil {
		n.reset(s)
	} else if err := s.Close(); err != nil {
		n.reset(s)
	}
	if err != nil {
		return nil, n.failed(ctx, err, to, m)
	}
	failed, out, err := splitPyResponse(body)
	if err != nil {
		return nil, n.failed(ctx, err, to, m)
	}
	if failed {
		code, text := parsePyError(string(out[:min(len(out), maxErrText)]))
		return nil, &Error{Code: code, Msg: text, Remote: true, Peer: to, Method: m}
	}
	return out, nil
}

func pyExchange(s network.Stream, to peer.ID, m Method, data []byte, limit int) ([]byte, error) {
	var id [callIDSize]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	head := func(b []byte) []byte { return appendPyRequestHead(b, id, string(to), m, len(data)) }
	if err := writeFrame(s, head, data); err != nil {
		return nil, err
	}
	var in frameReader
	return in.next(s, limit, admitAll{})
}

// pyErrorText is the text by which a Python caller learns of an error; it has the look of Python's own, and this
// package reads the code back from it.
func pyErrorText(e *Error) string {
	return e.Code.String() + "(" + pyQuote(clip(e.Msg)) + ")"
}

func pyQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`).Replace(text) + "'"
}

// parsePyError reads pyErrorText's text; anything else is Internal with the whole text.
func parsePyError(text string) (Code, string) {
	text = clip(text)
	name, rest, found := strings.Cut(text, "('")
	if msg, closed := strings.CutSuffix(rest, "')"); found && closed {
		for c, known := range codeNames {
			if known == name && Code(c) != OK {
				return Code(c), strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\n`, "\n", `\r`, "\r").Replace(msg)
			}
		}
	}
	return Internal, text
}

// pyServer serves one call in the form of Python daemons.
type pyServer struct {
	n *Node
	s network.Stream
	p *peerState

	held int

	mu      sync.Mutex // guards the field below
	running *call
}

// servePython serves the one call of a stream whose protocol ID is the method's name.
func (n *Node) servePython(s network.Stream, m Method) {
	h := (*n.handlers.Load())[m]
	if h == nil {
		n.reset(s)
		return
	}
	if h.stream != nil {
		n.serveStream(s, h, pyItems{})
		return
	}
	p := n.peer(s.Conn().RemotePeer())
	v := &pyServer{n: n, s: s, p: p}
	if p.lanes.Add(1) > int64(n.cfg.MaxInFlightPeer*laneFactor) || !n.enter(v) {
		n.serveless(p)
		n.reset(s)
		return
	}
	defer n.leave(v)
	defer n.serveless(p)
	if err := v.serve(h); err != nil {
		if errors.Is(err, errFrame) || errors.Is(err, errTooBig) {
			n.stats.malformed.Add(1)
		}
		n.log.Debug("rpc: call refused", "peer", p.id, "method", m, "err", err)
		n.reset(s)
	}
	n.buffered.Add(int64(-v.held))
}

// stop ends the stream and cancels the call.
func (v *pyServer) stop() {
	v.n.reset(v.s)
	v.mu.Lock()
	c := v.running
	v.mu.Unlock()
	if c != nil {
		c.cancel(context.Canceled)
	}
}

// reserve implements admission.
func (v *pyServer) reserve(size int) bool {
	if v.n.buffered.Add(int64(size)) > v.n.cfg.MaxBuffered {
		v.n.buffered.Add(int64(-size))
		return false
	}
	v.held = size
	return true
}

// release implements admission.
func (v *pyServer) release(size int) {
	v.n.buffered.Add(int64(-size))
	v.held = 0
}

// slow implements admission.
func (*pyServer) slow() {}

func (v *pyServer) serve(h *handler) error {
	if err := v.s.SetReadDeadline(time.Now().Add(transferTime)); err != nil {
		return err
	}
	var in frameReader
	body, err := in.next(v.s, v.n.cfg.MaxMessage, v)
	if err != nil {
		return err
	}
	id, data, err := splitPyRequest(body)
	if err != nil {
		return err
	}
	if err := v.s.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	out, fail := []byte(nil), errBusy
	var watched <-chan struct{}
	if v.n.admit(v.p) {
		out, fail, watched = v.run(h, data)
	}
	if fail == nil && len(out)+pyOverhead > v.n.cfg.MaxMessage {
		out, fail = nil, errBigAnswer
	}
	if fail != nil {
		out = []byte(pyErrorText(fail))
	}
	err = v.s.SetWriteDeadline(time.Now().Add(transferTime))
	if err == nil {
		err = writeFrame(v.s, func(b []byte) []byte { return appendPyResponseHead(b, id, fail != nil, len(out)) }, out)
	}
	if err != nil {
		v.n.reset(v.s)
	} else {
		err = v.s.Close()
	}
	if watched != nil {
		<-watched // the end of the stream ends the watch
	}
	return err
}

// run runs the handler; the caller's end of the stream, or a byte from it, cancels it. The returned channel,
// if any, is closed when nobody reads the stream any more.
func (v *pyServer) run(h *handler, data []byte) (out []byte, fail *Error, watched <-chan struct{}) {
	defer v.n.done(v.p)
	c := v.n.newCall(h.method, v.p.id, data, 0)
	v.mu.Lock()
	v.running = c
	v.mu.Unlock()
	over := make(chan struct{})
	watch := time.AfterFunc(watchDelay, func() {
		defer close(over)
		var b [1]byte
		_, _ = v.s.Read(b[:])
		c.cancel(context.Canceled)
	})
	out, fail = v.n.run(c, h, v.s.Conn())
	if !watch.Stop() {
		watched = over
	}
	v.mu.Lock()
	v.running = nil
	v.mu.Unlock()
	c.cancel(context.Canceled)
	return out, fail, watched
}
