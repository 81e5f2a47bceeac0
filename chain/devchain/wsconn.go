package devchain

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"
)

// wsConn is one WebSocket connection: a reader, a writer, a pinger, up to
// MaxInFlight calls, and one goroutine for each subscription. All end when its
// context ends, and run waits for them.
type wsConn struct {
	s      *Server
	ctx    context.Context
	cancel context.CancelFunc
	out    chan []byte
	weight *semaphore.Weighted // bytes in out
	calls  *semaphore.Weighted
	wg     sync.WaitGroup

	mu   sync.Mutex
	subs map[string]context.CancelFunc
}

func newWSConn(s *Server) *wsConn {
	ctx, cancel := context.WithCancel(context.Background())
	return &wsConn{
		s: s, ctx: ctx, cancel: cancel,
		out:    make(chan []byte, s.cfg.SendQueue),
		weight: semaphore.NewWeighted(int64(s.cfg.SendBytes)),
		calls:  semaphore.NewWeighted(int64(s.cfg.MaxInFlight)),
		subs:   map[string]context.CancelFunc{},
	}
}

var errDropped = errors.New("dropped on purpose")

// run serves the connection until either side ends it.
func (c *wsConn) run(parent context.Context, ws *websocket.Conn) {
	stop := context.AfterFunc(parent, c.cancel)
	defer stop()
	ws.SetReadLimit(-1)              // readMessage has the limit, and answers before it closes
	c.spawn(func() { c.writer(ws) }) //nolint:contextcheck // the connection's own context, which ends with parent
	c.spawn(func() { c.pinger(ws) }) //nolint:contextcheck // as above
	err := c.reader(ws)              //nolint:contextcheck // as above
	switch {
	case errors.Is(err, errMessageTooBig):
		c.enqueue(fail(nil, c.s.requestTooBig()))
		c.flush()
		c.closeWS(ws, websocket.StatusMessageTooBig, "request is too big")
	case c.ctx.Err() != nil && !errors.Is(err, errDropped):
		c.closeWS(ws, websocket.StatusGoingAway, "")
	}
	c.cancel()
	if err := ws.CloseNow(); err != nil {
		c.s.log.Debug("websocket close", "err", err)
	}
	c.wg.Wait()
}

func (c *wsConn) closeWS(ws *websocket.Conn, code websocket.StatusCode, why string) {
	if err := ws.Close(code, why); err != nil {
		c.s.log.Debug("websocket close", "err", err)
	}
}

// spawn runs f on a goroutine that run waits for.
func (c *wsConn) spawn(f func()) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		f()
	}()
}

var errMessageTooBig = errors.New("message is too big")

func (c *wsConn) readMessage(ws *websocket.Conn) ([]byte, error) {
	_, r, err := ws.Reader(c.ctx)
	if err != nil {
		return nil, err
	}
	limit := int64(c.s.cfg.MaxMessage)
	msg, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(msg)) > limit {
		return nil, errMessageTooBig
	}
	return msg, err
}

// reader takes messages in and starts a call for each. While MaxInFlight calls
// run, nothing is read.
func (c *wsConn) reader(ws *websocket.Conn) error {
	for {
		msg, err := c.readMessage(ws)
		if err != nil {
			return err
		}
		if err := c.calls.Acquire(c.ctx, 1); err != nil {
			return err
		}
		c.spawn(func() {
			defer c.calls.Release(1)
			c.serve(msg)
		})
	}
}

func (c *wsConn) serve(msg []byte) {
	ctx, cancel := context.WithTimeout(c.ctx, c.s.cfg.CallTimeout)
	defer cancel()
	out, after := c.s.handle(ctx, c, msg)
	if raw, broken := c.s.faults.spoil(msg); broken {
		if out = raw; raw == nil {
			c.cancel()
		}
	}
	if out != nil {
		c.enqueue(out)
	}
	for _, f := range after { // also when the connection has ended: they clean up
		f()
	}
}

// enqueue waits for room in the send queue; false when the connection has ended.
func (c *wsConn) enqueue(msg []byte) bool {
	if err := c.weight.Acquire(c.ctx, c.size(msg)); err != nil {
		return false
	}
	select {
	case c.out <- msg:
		return true
	case <-c.ctx.Done():
		c.weight.Release(c.size(msg))
		return false
	}
}

func (c *wsConn) size(msg []byte) int64 { return int64(min(len(msg), c.s.cfg.SendBytes)) }

// flush waits until the writer has taken everything.
func (c *wsConn) flush() {
	all := int64(c.s.cfg.SendBytes)
	if c.weight.Acquire(c.ctx, all) == nil {
		c.weight.Release(all)
	}
}

func (c *wsConn) writer(ws *websocket.Conn) {
	defer c.cancel()
	for {
		select {
		case <-c.ctx.Done():
			return
		case msg := <-c.out:
			ctx, cancel := context.WithTimeout(c.ctx, c.s.cfg.WriteTimeout)
			err := ws.Write(ctx, websocket.MessageText, msg)
			cancel()
			c.weight.Release(c.size(msg))
			if err != nil {
				return
			}
		}
	}
}

// pinger finds out that the other side is gone.
func (c *wsConn) pinger(ws *websocket.Conn) {
	t := time.NewTicker(c.s.cfg.PingInterval)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-t.C:
			ctx, cancel := context.WithTimeout(c.ctx, c.s.cfg.PingInterval)
			err := ws.Ping(ctx)
			cancel()
			if err != nil {
				c.cancel()
				return
			}
		}
	}
}

type notification struct {
	Version string             `json:"jsonrpc"`
	Method  string             `json:"method"`
	Params  notificationParams `json:"params"`
}

type notificationParams struct {
	Subscription string `json:"subscription"`
	Result       any    `json:"result"`
}

// sink sends the notifications of one subscription.
type sink struct {
	ctx    context.Context
	conn   *wsConn
	id     string
	method string
}

// send queues a notification; false when the subscription has ended.
func (k *sink) send(result any) bool {
	if k.ctx.Err() != nil {
		return false
	}
	msg, err := json.Marshal(notification{"2.0", k.method, notificationParams{k.id, result}})
	if err != nil {
		k.conn.s.log.Error("notification cannot be encoded", "method", k.method, "err", err)
		return false
	}
	return k.conn.enqueue(msg)
}

// subscribe registers a subscription and returns its id. pump runs once the
// answer with the id has been queued; the subscription ends when pump returns.
func (c *call) subscribe(method string, pump func(*sink), cleanup func()) (any, error) {
	if c.conn == nil {
		cleanup()
		return nil, &RPCError{Code: codeInternal, Message: "Internal error", Data: "subscriptions need a WebSocket"}
	}
	conn := c.conn
	ctx, cancel := context.WithCancel(conn.ctx)
	id := rand.Text()[:16]
	conn.mu.Lock()
	full := len(conn.subs) >= c.s.cfg.MaxSubscriptions
	if !full {
		conn.subs[id] = cancel
	}
	conn.mu.Unlock()
	if full {
		cancel()
		cleanup()
		return nil, &RPCError{Code: codeSubscriptions, Message: "Too many subscriptions on the connection"}
	}
	c.after = func() {
		conn.spawn(func() {
			defer cleanup()
			defer cancel()
			defer conn.unsubscribe(id)
			pump(&sink{ctx, conn, id, method})
		})
	}
	return id, nil
}

// unsubscribe ends a subscription and reports whether there was one.
func (c *wsConn) unsubscribe(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cancel, ok := c.subs[id]
	if ok {
		delete(c.subs, id)
		cancel()
	}
	return ok
}
