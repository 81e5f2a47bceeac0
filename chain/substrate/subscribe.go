package substrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// SubscribeHeads follows the best chain, see [chain.HeadSource]. A head is not sent twice in a row.
func (c *Client) SubscribeHeads(ctx context.Context) (<-chan chain.Head, error) {
	now := func() (chain.Head, error) { return c.Head(ctx, chain.Hash{}) }
	return c.heads(ctx, "chain_subscribeNewHeads", "chain_unsubscribeNewHeads", now)
}

// SubscribeFinalized follows the finalized chain in the way of SubscribeHeads. Heads in between may be skipped.
func (c *Client) SubscribeFinalized(ctx context.Context) (<-chan chain.Head, error) {
	now := func() (chain.Head, error) { return c.FinalizedHead(ctx) }
	return c.heads(ctx, "chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", now)
}

// heads sends the head of now, because not every node does, and then what the subscription brings.
func (c *Client) heads(ctx context.Context, method, undo string, now func() (chain.Head, error)) (<-chan chain.Head, error) {
	out := make(chan chain.Head, 1)
	var last chain.Hash
	send := func(h chain.Head) {
		if h.Hash != last {
			last = h.Hash
			latest(out, h)
		}
	}
	h, err := now()
	switch {
	case err == nil:
		send(h)
	case !isAnswer(err): // a node that cannot say may still send
		return nil, err
	}
	deliver := func(b json.RawMessage) error {
		h, err := decodeHead(b)
		if err == nil {
			send(h)
		}
		return err
	}
	if err := c.follow(ctx, method, undo, nil, deliver, func() { close(out) }); err != nil {
		return nil, err
	}
	return out, nil
}

// latest puts v into a channel of capacity 1, replacing what was not read yet. Only one goroutine may send.
func latest[T any](ch chan T, v T) {
	select {
	case ch <- v:
		return
	default:
	}
	select {
	case <-ch:
	default:
	}
	ch <- v
}

// StorageChange is the value of a storage key as of a block.
type StorageChange struct {
	Block chain.Hash
	Key   []byte
	Value []byte // nil when it is absent
}

// SubscribeStorage follows storage entries: their values now, and every change. The channel holds a few sets of changes; a
// reader that falls behind gets the present values anew. After a lost connection the present values are sent again.
func (c *Client) SubscribeStorage(ctx context.Context, keys ...Key) (<-chan []StorageChange, error) {
	rt := c.rt.Load()
	raw := make([]hexBytes, len(keys))
	for i := range keys {
		_, b, err := rt.key(keys[i])
		if err != nil {
			return nil, err
		}
		raw[i] = b
	}
	out := make(chan []StorageChange, 8)
	deliver := func(b json.RawMessage) error {
		var set struct {
			Block   chain.Hash     `json:"block"`
			Changes [][2]*hexBytes `json:"changes"`
		}
		if err := decodeJSON(b, &set); err != nil {
			return err
		}
		changes := make([]StorageChange, 0, len(set.Changes))
		for _, ch := range set.Changes {
			if ch[0] == nil {
				return fmt.Errorf("%w: storage change without a key", ErrProtocol)
			}
			one := StorageChange{Block: set.Block, Key: *ch[0]}
			if ch[1] != nil {
				one.Value = *ch[1]
			}
			changes = append(changes, one)
		}
		select {
		case out <- changes:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := c.follow(ctx, "state_subscribeStorage", "state_unsubscribeStorage", []any{raw}, deliver, func() { close(out) }); err != nil {
		return nil, err
	}
	return out, nil
}

// SubscribeRuntime follows the runtime's version: as it is now, and after every upgrade.
func (c *Client) SubscribeRuntime(ctx context.Context) (<-chan RuntimeVersion, error) {
	out := make(chan RuntimeVersion, 1)
	deliver := func(b json.RawMessage) error {
		var v RuntimeVersion
		if err := decodeJSON(b, &v); err != nil {
			return err
		}
		latest(out, v)
		return nil
	}
	if err := c.follow(ctx, "state_subscribeRuntimeVersion", "state_unsubscribeRuntimeVersion", nil, deliver, func() { close(out) }); err != nil {
		return nil, err
	}
	return out, nil
}

// follow runs a subscription until ctx ends or the client is closed, and then calls end. After a lost connection it subscribes
// again. The error is of the first attempt; then nothing runs and end is not called.
func (c *Client) follow(ctx context.Context, method, undo string, params []any, deliver func(json.RawMessage) error, end func()) error {
	cn, sub, err := c.subscribe(ctx, method, params)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		cn.unsubscribe(undo, sub)
		return ErrClosed
	}
	c.wg.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.wg.Done()
		defer end()
		for {
			err := c.pump(ctx, cn, sub, deliver)
			cn.unsubscribe(undo, sub)
			if ctx.Err() != nil || c.ctx.Err() != nil {
				return
			}
			c.log.Debug("subscription ended", "method", method, "err", err)
			if errors.Is(err, ErrProtocol) {
				cn.fail(err)
			}
			if cn, sub = c.resubscribe(ctx, method, params); sub == nil {
				return
			}
		}
	}()
	return nil
}

// pump passes on what a subscription brings, until it ends.
func (c *Client) pump(ctx context.Context, cn *conn, sub *subscription, deliver func(json.RawMessage) error) error {
	for {
		select {
		case b, ok := <-sub.updates:
			if !ok {
				return cn.endReason(sub)
			}
			if err := deliver(b); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ctx.Done():
			return ErrClosed
		}
	}
}

// endReason is why a subscription has ended.
func (c *conn) endReason(s *subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.err
}

// subscribe subscribes on the present connection, within the time of one request.
func (c *Client) subscribe(ctx context.Context, method string, params []any) (cn *conn, sub *subscription, err error) {
	err = c.do(ctx, method, func(ctx context.Context, on *conn) (err error) {
		cn = on
		sub, err = on.subscribe(ctx, method, params...)
		return err
	})
	return cn, sub, err
}

// resubscribe tries until it succeeds; nil when ctx or the client has ended.
func (c *Client) resubscribe(ctx context.Context, method string, params []any) (*conn, *subscription) {
	for {
		cn, sub, err := c.subscribe(ctx, method, params)
		if err == nil {
			return cn, sub
		}
		t := time.NewTimer(c.cfg.MinBackoff)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-c.ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil || c.ctx.Err() != nil {
			return nil, nil
		}
	}
}
