package substrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	sendQueue    = 64               // requests waiting for the writer; beyond it callers wait
	writeTimeout = 10 * time.Second // for one message; a peer that reads so slowly is as good as gone
	subQueue     = 256              // notifications waiting for their reader; beyond it the subscription ends
	maxOrphans   = 64               // notifications that came before the answer to their subscription
	dialTimeout  = 10 * time.Second // TCP, TLS and upgrade
)

var errOverflow = errors.New("substrate: subscription read too slowly")

// conn is one WebSocket connection that speaks JSON-RPC. It ends at its first error and is not reused.
type conn struct {
	url  string
	ws   *websocket.Conn
	out  chan []byte
	done chan struct{} // closed when the connection has ended; err is set before
	wg   sync.WaitGroup

	mu      sync.Mutex
	err     error
	nextID  uint64
	pending map[uint64]*request
	subs    map[string]*subscription
	orphans []notification
}

// request is a call that waits for its answer.
type request struct {
	method    string
	answer    chan answer   // capacity 1
	sub       *subscription // registered under the answer, for subscribing calls
	unchecked bool          // who asks finds out whether a result is JSON
}

type answer struct {
	result json.RawMessage
	err    error
}

// subscription is a running subscription of one connection.
type subscription struct {
	id      string
	updates chan json.RawMessage // closed when it ends
	err     error                // why it ended; read after updates is closed
	ended   bool                 // guarded by conn.mu
}

type notification struct {
	id     string
	result json.RawMessage
}

// message is anything that a node sends.
type message struct {
	ID     *json.RawMessage `json:"id"`
	Result json.RawMessage  `json:"result"`
	Error  *wireError       `json:"error"`
	Method string           `json:"method"`
	Params *struct {
		Subscription json.RawMessage `json:"subscription"`
		Result       json.RawMessage `json:"result"`
	} `json:"params"`
}

// dialConn connects within ctx. The connection's goroutines end when life ends or close is called.
func dialConn(ctx, life context.Context, url string, maxMessage int64, ping time.Duration) (*conn, error) {
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ws, _, err := websocket.Dial(dctx, url, &websocket.DialOptions{ //nolint:bodyclose // the library closes it
		HTTPClient:      &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, fmt.Errorf("substrate: connect to %s: %w", url, err)
	}
	ws.SetReadLimit(maxMessage)
	c := &conn{
		url: url, ws: ws,
		out:     make(chan []byte, sendQueue),
		done:    make(chan struct{}),
		pending: map[uint64]*request{},
		subs:    map[string]*subscription{},
	}
	run, stop := context.WithCancel(life)
	c.wg.Add(3)
	go func() { defer c.wg.Done(); defer stop(); c.read(run) }()
	go func() { defer c.wg.Done(); defer stop(); c.write(run) }()
	go func() { defer c.wg.Done(); defer stop(); c.probe(run, ping) }()
	return c, nil
}

// close ends the connection and waits for its goroutines.
func (c *conn) close() {
	c.fail(ErrClosed)
	c.wg.Wait()
}

// fail ends the connection with its first error: all callers and subscriptions get it.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	for id, r := range c.pending {
		r.answer <- answer{err: err}
		delete(c.pending, id)
	}
	for _, s := range c.subs {
		c.endLocked(s, err)
	}
	close(c.done)
	c.mu.Unlock()
	_ = c.ws.CloseNow() // the reason is in err already
}

// endLocked ends a subscription; mu is held.
func (c *conn) endLocked(s *subscription, err error) {
	if !s.ended {
		s.ended, s.err = true, err
		close(s.updates)
	}
	delete(c.subs, s.id)
}

func (c *conn) read(ctx context.Context) {
	for {
		kind, b, err := c.ws.Read(ctx)
		if err != nil {
			if errors.Is(err, websocket.ErrMessageTooBig) {
				err = fmt.Errorf("%w: message above the limit: %w", ErrProtocol, err)
			}
			c.fail(fmt.Errorf("substrate: connection to %s lost: %w", c.url, err))
			return
		}
		if kind != websocket.MessageText && kind != websocket.MessageBinary {
			continue
		}
		if err := c.receive(b); err != nil {
			c.fail(fmt.Errorf("substrate: %s: %w", c.url, err))
			return
		}
	}
}

func (c *conn) write(ctx context.Context) {
	for {
		select {
		case b := <-c.out:
			wctx, cancel := context.WithTimeout(ctx, writeTimeout)
			err := c.ws.Write(wctx, websocket.MessageText, b)
			cancel()
			if err != nil {
				c.fail(fmt.Errorf("substrate: connection to %s lost: %w", c.url, err))
				return
			}
		case <-c.done:
			return
		case <-ctx.Done():
			c.fail(fmt.Errorf("substrate: connection to %s ended: %w", c.url, context.Cause(ctx)))
			return
		}
	}
}

// probe notices a node that is gone without a word.
func (c *conn) probe(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			pctx, cancel := context.WithTimeout(ctx, every/2)
			err := c.ws.Ping(pctx)
			cancel()
			if err != nil {
				c.fail(fmt.Errorf("substrate: %s does not answer a ping: %w", c.url, err))
				return
			}
		case <-c.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// receive handles one frame: a message or a batch of answers.
func (c *conn) receive(b []byte) error {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	if i < len(b) && b[i] == '[' {
		var batch []message
		if err := json.Unmarshal(b, &batch); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		for k := range batch {
			if err := c.handle(&batch[k]); err != nil {
				return err
			}
		}
		return nil
	}
	if id, result, ok := plainAnswer(b); ok && c.pass(id, result) {
		return nil
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return c.handle(&m)
}

// pass hands a result to its request, if that checks results itself.
func (c *conn) pass(id uint64, result json.RawMessage) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.pending[id]
	if r == nil || !r.unchecked {
		return false
	}
	delete(c.pending, id)
	r.answer <- answer{result: result}
	return true
}

func (c *conn) handle(m *message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Method != "" && m.Params != nil {
		return c.notifyLocked(notification{id: string(m.Params.Subscription), result: m.Params.Result})
	}
	if m.ID == nil {
		if m.Error != nil { // the node could not read a request; we cannot tell which
			return fmt.Errorf("%w: %s", ErrProtocol, clip(m.Error.Message))
		}
		return fmt.Errorf("%w: neither an answer nor a notification", ErrProtocol)
	}
	var id uint64
	if err := json.Unmarshal(*m.ID, &id); err != nil {
		return fmt.Errorf("%w: answer to the unknown request %.40s", ErrProtocol, *m.ID)
	}
	r := c.pending[id]
	if r == nil {
		return nil // its caller has given up
	}
	delete(c.pending, id)
	if m.Error != nil {
		r.answer <- answer{err: m.Error.toError(r.method)}
		return nil
	}
	if r.sub != nil {
		if len(m.Result) == 0 || m.Result[0] == '{' || m.Result[0] == '[' || m.Result[0] == 'n' {
			return fmt.Errorf("%w: %s: no subscription id", ErrProtocol, r.method)
		}
		r.sub.id = string(m.Result)
		c.subs[r.sub.id] = r.sub
		early := c.orphans
		c.orphans = nil
		for _, n := range early {
			if err := c.notifyLocked(n); err != nil {
				return err
			}
		}
	}
	r.answer <- answer{result: m.Result}
	return nil
}

// notifyLocked passes a notification to its subscription; mu is held.
func (c *conn) notifyLocked(n notification) error {
	s := c.subs[n.id]
	if s == nil {
		if len(c.orphans) == maxOrphans {
			c.orphans = append(c.orphans[:0], c.orphans[1:]...)
		}
		c.orphans = append(c.orphans, n)
		return nil
	}
	select {
	case s.updates <- n.result:
	default:
		c.endLocked(s, errOverflow)
	}
	return nil
}

// encodeRequest encodes one call; no parameters are an empty list.
func encodeRequest(id uint64, method string, params []any) ([]byte, error) {
	name, err := json.Marshal(method)
	if err != nil {
		return nil, err
	}
	b := strconv.AppendUint([]byte(`{"jsonrpc":"2.0","id":`), id, 10)
	b = append(append(append(b, `,"method":`...), name...), `,"params":[`...)
	for i, p := range params {
		if i > 0 {
			b = append(b, ',')
		}
		if list, ok := p.(hexList); ok {
			b = list.appendJSON(b)
			continue
		}
		one, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		b = append(b, one...)
	}
	return append(b, "]}"...), nil
}

// register makes requests known, so that their answers are expected.
func (c *conn) register(rs ...*request) (first uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	first = c.nextID + 1
	for _, r := range rs {
		c.nextID++
		c.pending[c.nextID] = r
	}
	return first, nil
}

// forget drops requests whose caller gives up.
func (c *conn) forget(first uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range n {
		delete(c.pending, first+uint64(i))
	}
}

// send hands a message to the writer.
func (c *conn) send(ctx context.Context, b []byte) error {
	select {
	case c.out <- b:
		return nil
	case <-c.done:
		return c.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reason is why the connection ended.
func (c *conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// call asks one question.
func (c *conn) call(ctx context.Context, method string, params ...any) (json.RawMessage, error) {
	return c.ask(ctx, &request{method: method, answer: make(chan answer, 1)}, params)
}

func (c *conn) ask(ctx context.Context, r *request, params []any) (json.RawMessage, error) {
	id, err := c.register(r)
	if err != nil {
		return nil, err
	}
	b, err := encodeRequest(id, r.method, params)
	if err == nil {
		err = c.send(ctx, b)
	}
	if err == nil {
		select {
		case a := <-r.answer:
			return a.result, a.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	c.forget(id, 1)
	return nil, err
}

// batchCall is one question of a batch, with its answer afterwards.
type batchCall struct {
	method string
	params []any
	result json.RawMessage
	err    error // the node's error for this question
}

// batch asks several questions in one frame. The error is of the connection; the node's are in the calls.
func (c *conn) batch(ctx context.Context, calls []batchCall) error {
	rs := make([]*request, len(calls))
	for i := range calls {
		rs[i] = &request{method: calls[i].method, answer: make(chan answer, 1)}
	}
	first, err := c.register(rs...)
	if err != nil {
		return err
	}
	b := []byte{'['}
	for i := range calls {
		one, err := encodeRequest(first+uint64(i), calls[i].method, calls[i].params)
		if err != nil {
			c.forget(first, len(calls))
			return err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, one...)
	}
	if err = c.send(ctx, append(b, ']')); err == nil {
		for i, r := range rs {
			select {
			case a := <-r.answer:
				calls[i].result, calls[i].err = a.result, a.err
			case <-ctx.Done():
				err = ctx.Err()
			}
			if err != nil || isConnError(calls[i].err) {
				break
			}
		}
	}
	c.forget(first, len(calls))
	if err == nil {
		for i := range calls {
			if isConnError(calls[i].err) {
				return calls[i].err
			}
		}
	}
	return err
}

// isConnError reports whether err is anything but a node's answer.
func isConnError(err error) bool {
	var e *RPCError
	return err != nil && !errors.As(err, &e)
}

// subscribe starts a subscription.
func (c *conn) subscribe(ctx context.Context, method string, params ...any) (*subscription, error) {
	s := &subscription{updates: make(chan json.RawMessage, subQueue)}
	r := &request{method: method, answer: make(chan answer, 1), sub: s}
	if _, err := c.ask(ctx, r, params); err != nil {
		return nil, err
	}
	return s, nil
}

// unsubscribe ends a subscription. The node is told, and not waited for.
func (c *conn) unsubscribe(method string, s *subscription) {
	c.mu.Lock()
	known := c.subs[s.id] == s
	c.endLocked(s, ErrClosed)
	c.nextID++
	id, failed := c.nextID, c.err != nil
	c.mu.Unlock()
	if failed || !known && s.id == "" {
		return
	}
	b, err := encodeRequest(id, method, []any{json.RawMessage(s.id)})
	if err != nil {
		return
	}
	select {
	case c.out <- b:
	default: // a writer that far behind has other troubles
	}
}
