package devchain

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const submitTries = 8 // heads that a transaction is validated on while blocks come faster than it is

// Submit puts an extrinsic, with its compact length prefix, into the pool and
// returns its hash. Errors are those of the pool and *[TxError].
func (c *Chain) Submit(xt []byte) (chain.Hash, error) {
	hash, _, err := c.submit(xt, false)
	return hash, err
}

// SubmitAndWatch is [Chain.Submit] with notices of what becomes of it.
func (c *Chain) SubmitAndWatch(xt []byte) (chain.Hash, *TxWatch, error) { return c.submit(xt, true) }

func (c *Chain) submit(xt []byte, watch bool) (hash chain.Hash, w *TxWatch, err error) {
	if !checkPrefix(xt) {
		return hash, nil, ErrTxMalformed
	}
	hash = ExtrinsicHash(xt)
	now := c.cfg.Now()
	var head *Block
	var v Validity
	for try := 1; ; try++ {
		c.mu.Lock()
		head = c.head
		err = c.pool.check(hash, len(xt), now)
		c.mu.Unlock()
		if err != nil {
			return hash, nil, err
		}
		if v, err = c.validate(head, xt); err != nil {
			return hash, nil, err
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return hash, nil, ErrClosed
		}
		// A block in between may have included what xt requires: with instant blocks nothing would ever look at it again.
		if c.head == head || try == submitTries {
			break
		}
		c.mu.Unlock()
	}
	if watch {
		w = &TxWatch{c: c, hash: hash, ch: make(chan txStatus, watchBuffer)}
		c.watchers[hash] = append(c.watchers[hash], w)
	}
	err = c.pool.add(hash, bytes.Clone(xt), v, head.Number())
	if err == nil && c.head != head {
		c.pool.recheck[hash] = true // validated on an older block
	}
	c.notify()
	c.mu.Unlock()
	if err != nil {
		if w != nil {
			w.Close()
		}
		return hash, nil, err
	}
	c.poke()
	return hash, w, nil
}

// validate asks the engine about xt on top of a block.
func (c *Chain) validate(at *Block, xt []byte) (v Validity, err error) {
	err = guard(func() error {
		v, err = c.engine.ValidateTx(withHead(at), xt)
		return err
	})
	var refused *TxError
	if err != nil && !errors.As(err, &refused) {
		return v, fmt.Errorf("validate transaction: %w", err)
	}
	return v, err
}

// poke wakes Run for an instant block.
func (c *Chain) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Chain) hasReady() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.pool.ready) > 0
}

// Pending lists the transactions that wait to be included, best first.
func (c *Chain) Pending() [][]byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	list := [][]byte{}
	for _, tx := range c.pool.pending() {
		list = append(list, tx.bytes)
	}
	return list
}

// PoolSize is the number of transactions that are ready and that wait for an
// earlier one.
func (c *Chain) PoolSize() (ready, future int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.pool.ready), len(c.pool.future)
}

// NextNonce is the nonce that the next transaction of an account needs, with
// its ready transactions in the pool counted. An account of any length goes,
// SCALE encoded.
func (c *Chain) NextNonce(account []byte) (uint64, error) {
	out, err := c.Call(chain.Hash{}, "AccountNonceApi_account_nonce", account)
	if err != nil {
		return 0, err
	}
	if len(out) != 4 && len(out) != 8 {
		return 0, fmt.Errorf("account nonce: %d bytes from the runtime", len(out))
	}
	nonce := uint64(0)
	for i, b := range out {
		nonce |= uint64(b) << (8 * i)
	}
	tag := func() string {
		t := bytes.Clone(account)
		for i := range out {
			t = append(t, byte(nonce>>(8*i)))
		}
		return string(t)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for c.pool.provided[tag()] != nil {
		nonce++
	}
	return nonce, nil
}

// DryRun applies an extrinsic on top of a block and throws the outcome away. The
// result is what the engine's ApplyExtrinsic returns.
func (c *Chain) DryRun(at chain.Hash, xt []byte) (res []byte, err error) {
	b, err := c.Block(at)
	if err != nil {
		return nil, err
	}
	st, err := c.StateAt(at)
	if err != nil {
		return nil, err
	}
	err = guard(func() error {
		h := BlockHeader{Number: b.Number() + 1, Parent: b.Hash, Timestamp: b.Timestamp + 1, Slot: b.Slot + 1}
		if t, ok := c.engine.(SlotTimer); ok {
			h.Timestamp = h.Slot * t.SlotDuration()
		}
		if err := c.engine.InitBlock(st, h); err != nil {
			return err
		}
		res, err = c.engine.ApplyExtrinsic(st, xt)
		return err
	})
	return res, err
}
