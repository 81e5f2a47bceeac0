package substrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// A node that reports nothing for so long is not waited for: the blocks are searched instead.
const (
	quietBlocks = 5
	leastQuiet  = 10 * time.Second
)

// track follows a transaction to its end. A watch tells when it runs well; what decides is always what the blocks contain.
func (c *Client) track(ctx context.Context, t *tx) (chain.Receipt, error) {
	for {
		r, done, err := c.watch(ctx, t)
		if !done && err == nil {
			r, done, err = c.search(ctx, t)
		}
		switch {
		case done:
			c.journalDelete(t)
			return r, err
		case err != nil:
			return r, fmt.Errorf("substrate: extrinsic %s: %w", t.hash, err)
		}
	}
}

// watch follows the node's reports on a transaction. It is not done when the reports end without a decision.
func (c *Client) watch(ctx context.Context, t *tx) (r chain.Receipt, done bool, err error) {
	if t.watch == nil {
		return r, false, nil
	}
	defer func() {
		t.cn.unsubscribe("author_unwatchExtrinsic", t.watch)
		t.cn, t.watch = nil, nil
	}()
	quiet := max(leastQuiet, quietBlocks*c.rt.Load().params.BlockTime)
	silence := time.NewTimer(quiet)
	defer silence.Stop()
	for {
		select {
		case <-silence.C:
			return r, false, nil
		case b, ok := <-t.watch.updates:
			if !ok {
				return r, false, nil
			}
			silence.Reset(quiet)
			r, verdict, err := c.report(ctx, t, b)
			if verdict != undecided || err != nil {
				return r, verdict == decided, err
			}
		case <-ctx.Done():
			return r, false, ctx.Err()
		case <-c.ctx.Done():
			return r, false, ErrClosed
		}
	}
}

type verdict uint8

const (
	undecided verdict = iota
	decided
	lost // the node gives up on it: look for ourselves
)

// report handles one report of a node: a word, or an object of a word and a block.
func (c *Client) report(ctx context.Context, t *tx, b json.RawMessage) (r chain.Receipt, v verdict, err error) {
	var word string
	if json.Unmarshal(b, &word) == nil {
		switch word {
		case "ready":
			t.tell(Ready, chain.Head{})
		case "invalid", "dropped":
			return r, lost, nil
		}
		return r, undecided, nil
	}
	var in struct {
		InBlock         *chain.Hash `json:"inBlock"`
		Retracted       *chain.Hash `json:"retracted"`
		FinalityTimeout *chain.Hash `json:"finalityTimeout"`
		Finalized       *chain.Hash `json:"finalized"`
		Usurped         *chain.Hash `json:"usurped"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return r, lost, nil //nolint:nilerr // an unknown report decides nothing; the blocks do
	}
	at, stage := in.InBlock, InBlock
	if in.Finalized != nil {
		at, stage = in.Finalized, Finalized
	}
	switch {
	case in.Retracted != nil:
		t.tell(Retracted, chain.Head{Hash: *in.Retracted})
		return r, undecided, nil
	case in.FinalityTimeout != nil || in.Usurped != nil:
		return r, lost, nil
	case at == nil:
		return r, undecided, nil
	}
	found, ok, err := c.resolve(ctx, t, *at)
	if err != nil || !ok {
		if errors.Is(err, chain.ErrNotFound) || err == nil { // the block is gone already
			return r, undecided, nil
		}
		return r, lost, ctx.Err() // searching asks again
	}
	t.tell(stage, found.head)
	if stage == InBlock && t.opts.finalized {
		return r, undecided, nil
	}
	r, err = t.receipt(found, stage == Finalized)
	return r, decided, err
}

// search looks for a transaction in the blocks of its era, and broadcasts it again when it is in none. It is done when the
// transaction was found, or can never be in a block any more; it is not done when it is being watched again.
func (c *Client) search(ctx context.Context, t *tx) (r chain.Receipt, done bool, err error) {
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var heads <-chan chain.Head
	from := t.birth + 1 // blocks before are final and do not contain it
	sent := false
	for {
		if heads == nil {
			if heads, err = c.SubscribeHeads(hctx); err != nil && !errors.Is(err, chain.ErrUnavailable) {
				return r, false, err
			}
		}
		if ctx.Err() != nil {
			return r, false, ctx.Err()
		}
		if err != nil {
			continue // waited for a connection in vain, as long as one request may
		}
		select {
		case _, ok := <-heads:
			if !ok {
				return r, false, errors.Join(ctx.Err(), c.ctx.Err())
			}
		case <-ctx.Done():
			return r, false, ctx.Err()
		}
		s, err := c.scan(ctx, t, from)
		if err != nil {
			if errors.Is(err, chain.ErrUnavailable) || isAnswer(err) {
				continue // with the next head
			}
			return r, false, err
		}
		from = max(from, s.final+1)
		if r, done, err := t.judge(s); done {
			return r, true, err
		}
		if s.found || sent {
			continue // included and not final yet, or in a pool that does not tell
		}
		err = c.send(ctx, t)
		switch {
		case err == nil:
			return r, false, nil // watched again
		case isAnswer(err):
			if err := poolError(err); !waits(err) {
				return r, true, err
			}
			sent = isCode(err, codeAlreadyImported)
		}
	}
}

// waits reports whether a refusal of bytes that were sent before leaves open that they are, or will be, in a block.
func waits(err error) bool {
	switch invalidKindOf(err) {
	case "Payment", "BadProof", "BadSigner", "Call", "BadMandatory", "Undecodable":
		return false
	}
	return true
}

// scanned is what the blocks say about a transaction.
type scanned struct {
	found bool
	in    inclusion
	best  chain.BlockNumber
	final chain.BlockNumber
	nonce uint32 // of the account in the final block
}

// scan reads the blocks from one on up to the best.
func (c *Client) scan(ctx context.Context, t *tx, from chain.BlockNumber) (s scanned, err error) {
	best, err := c.Head(ctx, chain.Hash{})
	if err != nil {
		return s, err
	}
	final, err := c.FinalizedHead(ctx)
	if err != nil {
		return s, err
	}
	s.best, s.final = best.Number, final.Number
	info, err := c.accountAt(ctx, final.Hash, t.address)
	if err != nil {
		return s, err
	}
	s.nonce = info.Nonce
	last := min(best.Number, t.birth+chain.BlockNumber(t.period))
	for n := from; n <= last; n++ {
		at, err := c.BlockHash(ctx, n)
		if err != nil {
			return s, err
		}
		if s.in, s.found, err = c.resolve(ctx, t, at); err != nil || s.found {
			return s, err
		}
	}
	return s, nil
}

// judge decides, if the blocks allow it.
func (t *tx) judge(s scanned) (r chain.Receipt, done bool, err error) {
	switch {
	case s.found:
		final := s.in.head.Number <= s.final
		if t.opts.finalized && !final {
			return r, false, nil
		}
		stage := InBlock
		if final {
			stage = Finalized
		}
		t.tell(stage, s.in.head)
		r, err = t.receipt(s.in, final)
		return r, true, err
	case s.nonce > t.nonce:
		return r, true, fmt.Errorf("substrate: nonce %d: %w", t.nonce, ErrUsurped)
	case s.final >= t.birth+chain.BlockNumber(t.period):
		return r, true, fmt.Errorf("substrate: after block %d: %w", t.birth+chain.BlockNumber(t.period), ErrExpired)
	}
	return r, false, nil
}
