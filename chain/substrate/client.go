package substrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Client is a connection to a chain that repairs itself.
type Client struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends with Close; the supervisor's
	cancel context.CancelFunc
	wg     sync.WaitGroup
	rt     atomic.Pointer[runtime]
	nonces nonces

	mu        sync.Mutex
	endpoints []*endpoint
	genesis   chain.Hash    // pinned; zero before the first connection
	cur       *conn         // nil while there is no connection
	changed   chan struct{} // closed and replaced when cur or lastErr changes
	lastErr   error         // why there is no connection
	closed    bool
}

// Dial connects to the first endpoint that answers and serves the pinned chain. It returns when the client is ready, or with
// the reasons of all endpoints when each has failed once. The context bounds Dial, not the client's life.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, log: cfg.Logger, genesis: cfg.Genesis,
		changed: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, url := range cfg.Endpoints {
		c.endpoints = append(c.endpoints, &endpoint{url: url})
	}
	var errs []error
	for _, e := range c.endpoints {
		cn, err := c.connect(ctx, e)
		if err == nil {
			c.setConn(cn, nil)
			c.wg.Add(1)
			go func() { defer c.wg.Done(); c.supervise(cn) }() //nolint:contextcheck // lives as long as the client, not as Dial
			c.watchRuntime()
			return c, nil
		}
		e.failed(err, time.Now(), cfg)
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	c.cancel()
	return nil, fmt.Errorf("substrate: dial: %w: %w", chain.ErrUnavailable, errors.Join(errs...))
}

// Close ends the connection and all subscriptions, and waits for the client's goroutines. It is safe to call twice.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

// setConn publishes the connection, or why there is none.
func (c *Client) setConn(cn *conn, err error) {
	c.mu.Lock()
	c.cur, c.lastErr = cn, err
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
}

// supervise keeps one connection alive until the client is closed.
func (c *Client) supervise(cn *conn) {
	for {
		if len(c.cfg.Endpoints) > 1 {
			c.wg.Add(1)
			go func() { defer c.wg.Done(); c.watchStall(cn) }()
		}
		select {
		case <-cn.done:
		case <-c.ctx.Done():
			c.setConn(nil, ErrClosed)
			cn.close()
			return
		}
		err := cn.reason()
		cn.close()
		c.setConn(nil, err)
		c.log.Warn("chain connection lost", "endpoint", cn.url, "err", err)
		c.failed(cn.url, err)
		if cn = c.reconnect(); cn == nil {
			c.setConn(nil, ErrClosed)
			return
		}
		c.setConn(cn, nil)
		c.log.Info("chain connection restored", "endpoint", cn.url)
	}
}

// watchStall leaves an endpoint that brings no new heads while others may.
func (c *Client) watchStall(cn *conn) {
	ctx, cancel := c.bounded(c.ctx)
	sub, err := cn.subscribe(ctx, "chain_subscribeNewHeads")
	cancel()
	if err != nil {
		return
	}
	defer cn.unsubscribe("chain_unsubscribeNewHeads", sub)
	best := int64(-1)
	timer := time.NewTimer(c.cfg.StallAfter)
	defer timer.Stop()
	for {
		select {
		case b, ok := <-sub.updates:
			if !ok {
				return
			}
			if h, err := decodeHead(b); err == nil && int64(h.Number) > best {
				best = int64(h.Number)
				timer.Reset(c.cfg.StallAfter)
			}
		case <-timer.C:
			cn.fail(fmt.Errorf("substrate: %s: %w for %s", cn.url, errStalled, c.cfg.StallAfter))
			return
		case <-c.ctx.Done():
			return
		}
	}
}

// reconnect tries endpoints until one answers; nil when the client is closed.
func (c *Client) reconnect() *conn {
	for c.ctx.Err() == nil {
		e, wait := c.pick(time.Now())
		if wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-c.ctx.Done():
				t.Stop()
				return nil
			}
		}
		cn, err := c.connect(c.ctx, e)
		if err == nil {
			return cn
		}
		c.log.Debug("chain endpoint failed", "endpoint", e.url, "err", err)
		c.failed(e.url, err)
		c.setConn(nil, err)
	}
	return nil
}

// connect dials an endpoint, checks that it serves our chain, and loads its metadata.
func (c *Client) connect(ctx context.Context, e *endpoint) (*conn, error) {
	begin := time.Now()
	cn, err := dialConn(ctx, c.ctx, e.url, c.cfg.MaxMessage, c.cfg.PingInterval)
	if err != nil {
		return nil, err
	}
	hctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	if err := c.handshake(hctx, cn); err != nil {
		cn.close()
		return nil, fmt.Errorf("substrate: %s: %w", e.url, err)
	}
	c.mu.Lock()
	e.succeeded(time.Since(begin))
	c.mu.Unlock()
	return cn, nil
}

// handshake pins the chain and loads the runtime, if it is not the one at hand.
func (c *Client) handshake(ctx context.Context, cn *conn) error {
	var genesis chain.Hash
	b, err := cn.call(ctx, "chain_getBlockHash", 0)
	if err == nil {
		err = decodeJSON(b, &genesis)
	}
	if err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	c.mu.Lock()
	pinned := c.genesis
	c.mu.Unlock()
	if !pinned.IsZero() && pinned != genesis {
		return fmt.Errorf("%w: its genesis is %s, ours %s", ErrWrongChain, genesis, pinned)
	}
	rt, err := loadRuntime(ctx, cn, genesis, c.rt.Load())
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.genesis = genesis
	c.mu.Unlock()
	c.setRuntime(rt)
	return nil
}

func (c *Client) setRuntime(rt *runtime) {
	old := c.rt.Swap(rt)
	if old != nil && old != rt {
		c.log.Info("runtime changed", "spec", rt.version.SpecVersion, "generation", rt.generation, "metadata", rt.fingerprint)
	}
}

// conn returns the connection, waiting for it until ctx ends.
func (c *Client) conn(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		cn, changed, last, closed := c.cur, c.changed, c.lastErr, c.closed
		c.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if cn != nil && cn.reason() == nil {
			return cn, nil
		}
		if cn != nil { // lost, and the supervisor has not seen it yet
			last = cn.reason()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if last == nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-c.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// bounded gives ctx the deadline of one request, if it has no earlier one.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.cfg.CallTimeout)
}

// Call asks one question of JSON-RPC and returns the node's answer as it is. A question that a lost connection left open is
// asked again: use Submit for transactions. An answer of the node's is an [RPCError].
func (c *Client) Call(ctx context.Context, method string, params ...any) (json.RawMessage, error) {
	var result json.RawMessage
	err := c.do(ctx, method, func(ctx context.Context, cn *conn) (err error) {
		result, err = cn.call(ctx, method, params...)
		return err
	})
	return result, err
}

// batch asks several questions at once, as Call does.
func (c *Client) batch(ctx context.Context, what string, calls []batchCall) error {
	return c.do(ctx, what, func(ctx context.Context, cn *conn) error { return cn.batch(ctx, calls) })
}

// do runs a question on the present connection, and again on the next one when the connection is lost over it.
func (c *Client) do(parent context.Context, what string, f func(context.Context, *conn) error) error {
	ctx, cancel := c.bounded(parent)
	defer cancel()
	for {
		cn, err := c.conn(ctx)
		switch {
		case errors.Is(err, ErrClosed):
			return ErrClosed
		case errors.Is(parent.Err(), context.Canceled):
			return parent.Err()
		case err != nil:
			return unavailable(what, err)
		}
		begin := time.Now()
		err = f(ctx, cn)
		switch {
		case err == nil || !isConnError(err):
			c.answered(cn.url, time.Since(begin))
			return err
		case errors.Is(parent.Err(), context.Canceled):
			return parent.Err()
		case ctx.Err() != nil:
			if parent.Err() == nil { // our own deadline: the node hangs
				cn.fail(fmt.Errorf("substrate: %s: no answer to %s within %s", cn.url, what, c.cfg.CallTimeout))
			}
			return unavailable(what, err)
		case cn.reason() == nil: // not the connection's fault, such as parameters that are no JSON
			return err
		}
	}
}

// watchRuntime reloads the metadata after an upgrade. A node that does not tell about upgrades is noticed at a reconnect only.
func (c *Client) watchRuntime() {
	deliver := func(b json.RawMessage) error {
		var v RuntimeVersion
		if err := decodeJSON(b, &v); err != nil {
			return err
		}
		if v == c.rt.Load().version {
			return nil
		}
		return c.ReloadRuntime(c.ctx)
	}
	err := c.follow(c.ctx, "state_subscribeRuntimeVersion", "state_unsubscribeRuntimeVersion", nil, deliver, func() {})
	if err != nil {
		c.log.Warn("no notice of runtime upgrades", "err", err)
	}
}

// Genesis is the hash of the chain's first block.
func (c *Client) Genesis() chain.Hash { return c.rt.Load().genesis }

// decodeJSON reads an answer into v.
func decodeJSON(b json.RawMessage, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}
