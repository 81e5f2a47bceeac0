package devchain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// SlotTimer is implemented by engines whose runtime insists that the timestamp
// and the slot agree. The chain then moves its clock ahead by one slot for
// each block, however fast blocks are made.
type SlotTimer interface {
	// SlotDuration is the length of a slot in milliseconds.
	SlotDuration() uint64
}

const revalidateLimit = 512 // transactions validated again after one block; the rest waits for the next

// Mine makes n blocks now and returns the last one.
func (c *Chain) Mine(n int) (last *Block, err error) {
	for range n {
		c.authorMu.Lock()
		last, err = c.mineOne()
		c.authorMu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

// mineOne extends the best chain by a block; called under authorMu.
func (c *Chain) mineOne() (*Block, error) {
	c.mu.RLock()
	parent, closed := c.head, c.closed
	var txs *bestTxs
	if parent.Number()+1 > c.holdTxs {
		txs = c.pool.best()
	}
	c.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	d, err := c.build(parent, txs)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", parent.Number()+1, err)
	}
	if err := c.commit(nil, []*draft{d}); err != nil {
		return nil, fmt.Errorf("block %d: %w", parent.Number()+1, err)
	}
	c.patches = nil
	c.log.Debug("block", "number", d.block.Number(), "hash", d.block.Hash, "extrinsics", len(d.block.Extrinsics))
	return d.block, nil
}

// draft is a block that has been built and not yet published.
type draft struct {
	block   *Block
	txs     []includedTx
	invalid []*poolTx // did not apply and will not
}

// clock returns timestamp and slot of a child of parent; called under authorMu.
func (c *Chain) clock(parent *Block) (ms, slot uint64) {
	now := max(c.cfg.Now().UnixMilli()+c.clockShift, 0)
	ms = max(uint64(now), parent.Timestamp+1)
	if t, ok := c.engine.(SlotTimer); ok && t.SlotDuration() > 0 {
		d := t.SlotDuration()
		slot = max(parent.Slot+1, ms/d)
		return max(ms, slot*d), slot
	}
	return ms, max(parent.Slot+1, ms/uint64(c.cfg.BlockTime.Milliseconds()))
}

// build makes a block on parent from the transactions of txs (nil: none).
// Called under authorMu.
func (c *Chain) build(parent *Block, txs *bestTxs) (d *draft, err error) {
	err = guard(func() error {
		d, err = c.assemble(parent, txs)
		return err
	})
	return d, err
}

func (c *Chain) assemble(parent *Block, txs *bestTxs) (*draft, error) {
	st := newOverlay(parent.state)
	for _, p := range c.patches {
		if p.Value == nil {
			st.Delete(p.Key)
		} else {
			st.Set(p.Key, p.Value)
		}
	}
	ms, slot := c.clock(parent)
	h := BlockHeader{Number: parent.Number() + 1, Parent: parent.Hash, Timestamp: ms, Slot: slot}
	if err := c.engine.InitBlock(st, h); err != nil {
		return nil, fmt.Errorf("initialize: %w", err)
	}
	inherents, err := c.engine.Inherents(st, ms)
	if err != nil {
		return nil, fmt.Errorf("inherents: %w", err)
	}
	d := &draft{block: &Block{Timestamp: ms, Slot: slot}}
	for i, xt := range inherents {
		res, err := c.engine.ApplyExtrinsic(st, xt)
		if err != nil {
			return nil, fmt.Errorf("inherent %d: %w", i, err)
		}
		if len(res) < 2 || res[0] != 0 || res[1] != 0 {
			return nil, fmt.Errorf("inherent %d was refused: 0x%x", i, res)
		}
		d.block.Extrinsics = append(d.block.Extrinsics, xt)
	}
	if txs != nil {
		c.include(st, d, txs)
	}
	header, err := c.engine.FinalizeBlock(st)
	if err != nil {
		return nil, fmt.Errorf("finalize: %w", err)
	}
	if st.Depth() != 0 {
		return nil, errors.New("engine left a transaction open")
	}
	return d, seal(d.block, parent, st, header, h)
}

// seal fills in the header and the state of a block.
func seal(b, parent *Block, st *Overlay, header Header, h BlockHeader) error {
	b.changes = st.changes()
	b.set = parent.set.with(b.changes)
	b.hashes = extrinsicHashes(b.Extrinsics)
	header.Number, header.Parent = h.Number, h.Parent
	if header.Digest == nil {
		header.Digest = h.Digest()
	}
	if header.StateRoot.IsZero() {
		header.StateRoot = b.set.root()
	}
	if header.ExtrinsicsRoot.IsZero() {
		header.ExtrinsicsRoot = extrinsicsRoot(b.Extrinsics)
	}
	b.Header = header
	b.Hash = header.Hash()
	b.state = apply(parent.state, b.changes)
	if _, err := DecodeHeader(header.Encode()); err != nil {
		return fmt.Errorf("header of the engine: %w", err)
	}
	return nil
}

// include applies the pool's transactions in order.
func (c *Chain) include(st *Overlay, d *draft, txs *bestTxs) {
	size := 0
	for tx := txs.next(); tx != nil && len(d.txs) < c.cfg.MaxBlockTxs; tx = txs.next() {
		if size+len(tx.bytes) > c.cfg.MaxBlockBytes {
			continue // a smaller one may still fit; its dependents wait with it
		}
		depth := st.Depth()
		st.Begin()
		var res []byte
		err := guard(func() (err error) {
			res, err = c.engine.ApplyExtrinsic(st, tx.bytes)
			return err
		})
		if err != nil || len(res) < 2 {
			st.unwind(depth)
			c.log.Error("extrinsic failed in the engine", "hash", tx.hash, "err", err, "result", res)
			d.invalid = append(d.invalid, tx)
			continue
		}
		if res[0] != 0 {
			st.unwind(depth)
			if kind := ParseTxError(res[1:]).Kind; kind != TxExhausted && kind != TxFuture {
				d.invalid = append(d.invalid, tx)
			}
			continue
		}
		st.Commit()
		size += len(tx.bytes)
		d.block.Extrinsics = append(d.block.Extrinsics, tx.bytes)
		d.txs = append(d.txs, includedTx{hash: tx.hash, provides: tx.validity.Provides})
		txs.accept(tx)
	}
}

// commit makes blocks durable and then public: on top of the head, or on top of
// ancestor when that is given, which makes the blocks after it a side branch.
// Called under authorMu.
func (c *Chain) commit(ancestor *Block, drafts []*draft) error {
	c.mu.RLock()
	old, final, lag := c.head, c.final, c.lag
	c.mu.RUnlock()
	head := old
	if ancestor != nil {
		head = ancestor
	}
	st := step{}
	if ancestor != nil {
		st.to, st.rewind = ancestor, difference(old.state, ancestor.state)
	}
	for _, d := range drafts {
		st.blocks = append(st.blocks, d.block)
		head = d.block
	}
	st.finalized = final.Number()
	if n := head.Number(); n > chain.BlockNumber(lag) {
		st.finalized = max(st.finalized, n-chain.BlockNumber(lag))
	}
	if ancestor != nil && len(drafts) == 0 {
		st.finalized = min(final.Number(), head.Number())
	}
	st.keepUndo = below(head.Number(), c.cfg.History)
	st.keepBlock = below(head.Number(), c.cfg.KeepBlocks)
	if c.store != nil {
		if err := c.store.write(st); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	c.mu.Lock()
	c.install(old, ancestor, drafts, st)
	c.mu.Unlock()
	c.revalidate(head)
	return nil
}

// below is the first number of a window of size blocks that ends at n.
func below(n chain.BlockNumber, size int) chain.BlockNumber {
	if uint64(n) < uint64(size) {
		return 0
	}
	return n - chain.BlockNumber(size)
}

// install publishes what commit has written; called under mu.
func (c *Chain) install(old, ancestor *Block, drafts []*draft, st step) {
	if ancestor != nil {
		for n := old.Number(); n > ancestor.Number(); n-- {
			if b := c.canon[n]; b != nil {
				delete(c.canon, n)
				c.sides = append(c.sides, b)
			}
		}
		c.canon[ancestor.Number()], c.byHash[ancestor.Hash] = ancestor, ancestor
		c.head = ancestor
	}
	for _, d := range drafts {
		b := d.block
		c.canon[b.Number()], c.byHash[b.Hash] = b, b
		c.head = b
		c.publish(Event{Kind: EventImported, Block: b})
		c.pool.included(b.Hash, d.txs, c.cfg.Now())
		for _, tx := range d.invalid {
			c.pool.revalidated(tx, Validity{}, errInvalid, b.Number(), c.cfg.Now())
		}
	}
	best := Event{Kind: EventBest, Block: c.head, Changes: c.head.changes}
	if ancestor != nil || len(drafts) > 1 {
		best.Changes = difference(old.state, c.head.state)
	}
	c.publish(best)
	c.notify() // a transaction is in a block before it is final
	c.finalize(st.finalized)
	c.prune()
}

var errInvalid = errors.New("did not apply")

// finalize moves the finalized block up to n, or back after a rewind; called
// under mu.
func (c *Chain) finalize(n chain.BlockNumber) {
	for c.final.Number() < n {
		b := c.canon[c.final.Number()+1]
		if b == nil {
			return
		}
		c.final = b
		c.publish(Event{Kind: EventFinalized, Block: b})
		for _, h := range b.hashes {
			c.tell(txStatus{h, statusFinalized, b.Hash})
		}
	}
	if c.final.Number() > n {
		c.final = c.canon[n]
	}
}

// prune drops what is outside the windows; called under mu.
func (c *Chain) prune() {
	head := c.head.Number()
	if n := below(head, c.cfg.History); n > 0 {
		c.discard(n)
	}
	if head > chain.BlockNumber(c.cfg.KeepBlocks) && c.store == nil {
		n := head - chain.BlockNumber(c.cfg.KeepBlocks) - 1
		if b := c.canon[n]; b != nil && n > 0 {
			delete(c.canon, n)
			delete(c.byHash, b.Hash)
		}
	}
	for len(c.sides) > 0 && (c.sides[0].Number()+chain.BlockNumber(c.cfg.History) < head || len(c.sides) > c.cfg.History) {
		b := c.sides[0]
		c.sides = c.sides[1:]
		if c.canon[b.Number()] != b {
			delete(c.byHash, b.Hash)
		}
	}
}

// discard drops the state of block n, and the block itself when it is on disk.
// Announced blocks are not written, so a stripped copy takes its place.
func (c *Chain) discard(n chain.BlockNumber) {
	b := c.canon[n]
	if b == nil || b.state == nil {
		return
	}
	if c.store != nil {
		delete(c.canon, n)
		delete(c.byHash, b.Hash)
		return
	}
	stripped := *b
	stripped.state, stripped.changes, stripped.hashes = nil, nil, nil
	c.canon[n], c.byHash[b.Hash] = &stripped, &stripped
}

// revalidate asks the engine again about the transactions that a new head may
// have made invalid. Called under authorMu.
func (c *Chain) revalidate(head *Block) {
	c.mu.Lock()
	list := c.pool.stale(head.Number(), revalidateLimit)
	c.mu.Unlock()
	if len(list) == 0 {
		return
	}
	type outcome struct {
		v   Validity
		err error
	}
	out := make([]outcome, len(list))
	for i, tx := range list {
		out[i].v, out[i].err = c.validate(head, tx.bytes)
	}
	c.mu.Lock()
	for i, tx := range list {
		c.pool.revalidated(tx, out[i].v, out[i].err, head.Number(), c.cfg.Now())
	}
	c.notify()
	ready := len(c.pool.ready) > 0
	c.mu.Unlock()
	if ready {
		c.poke()
	}
}

// Reorg replaces the last depth blocks by depth+1 new ones without
// transactions. Those of the replaced blocks go back to the pool. Only blocks that are not
// final can be replaced.
func (c *Chain) Reorg(depth int) (*Block, error) {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	c.mu.RLock()
	old, final, closed := c.head, c.final, c.closed
	var ancestor *Block
	if depth > 0 && uint64(depth) <= uint64(old.Number()) {
		ancestor = c.canon[old.Number()-chain.BlockNumber(depth)]
	}
	var gone []*Block
	for n := old.Number(); ancestor != nil && n > ancestor.Number(); n-- {
		gone = append(gone, c.canon[n])
	}
	c.mu.RUnlock()
	switch {
	case closed:
		return nil, ErrClosed
	case ancestor == nil || ancestor.Number() < final.Number():
		return nil, fmt.Errorf("reorganisation of depth %d: best block is %d and block %d is final (set a finality lag first)",
			depth, old.Number(), final.Number())
	}
	slices.Reverse(gone)
	var drafts []*draft
	for parent := ancestor; len(drafts) <= depth; parent = drafts[len(drafts)-1].block {
		d, err := c.buildSibling(parent, old)
		if err != nil {
			return nil, fmt.Errorf("reorganisation: block %d: %w", parent.Number()+1, err)
		}
		drafts = append(drafts, d)
	}
	if err := c.commit(ancestor, drafts); err != nil {
		return nil, fmt.Errorf("reorganisation: %w", err)
	}
	c.resubmit(gone)
	return c.Head(), nil
}

// buildSibling makes an empty block whose clock is ahead of the one it replaces,
// so that the two differ.
func (c *Chain) buildSibling(parent, old *Block) (*draft, error) {
	late := *parent
	late.Timestamp, late.Slot = max(parent.Timestamp, old.Timestamp), max(parent.Slot, old.Slot)
	return c.build(&late, nil)
}

// resubmit puts the transactions of replaced blocks back into the pool.
func (c *Chain) resubmit(gone []*Block) {
	head := c.Head()
	for _, b := range gone {
		for i, xt := range b.Extrinsics {
			v, err := c.validate(head, xt)
			if err != nil {
				continue // inherents, and what is no longer valid
			}
			c.mu.Lock()
			c.pool.unban(b.hashes[i])
			c.tell(txStatus{b.hashes[i], statusRetracted, b.Hash})
			if err := c.pool.add(b.hashes[i], xt, v, head.Number()); err != nil {
				c.tell(txStatus{b.hashes[i], statusDropped, chain.Hash{}})
			}
			c.notify()
			c.mu.Unlock()
		}
	}
	if c.hasReady() {
		c.poke()
	}
}
