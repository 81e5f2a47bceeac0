package devchain

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const (
	maxSnapshots = 16      // each pins the state of its block in memory
	maxPatches   = 100_000 // entries that SetStorage collects for the next block
)

// Errors of the development controls.
var (
	ErrNoSnapshot = errors.New("no such snapshot")
	ErrTimeBack   = errors.New("time cannot go back")
)

// SetTime sets the chain's clock: the next block carries this time, and the
// clock goes on from there. It cannot go back behind the best block.
func (c *Chain) SetTime(t time.Time) error {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	head := c.Head()
	ms := t.UnixMilli()
	if ms < 0 || uint64(ms) <= head.Timestamp {
		return fmt.Errorf("%w: block %d has %s", ErrTimeBack, head.Number(), time.UnixMilli(int64(head.Timestamp)).UTC().Format(time.RFC3339Nano))
	}
	c.clockShift = ms - c.cfg.Now().UnixMilli()
	return nil
}

// AdvanceTime moves the chain's clock ahead.
func (c *Chain) AdvanceTime(d time.Duration) {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	c.clockShift += max(d.Milliseconds(), 0)
}

// SetFinalityLag changes how far the finalized block stays behind.
func (c *Chain) SetFinalityLag(lag uint32) error {
	if uint64(lag) >= uint64(c.cfg.History) {
		return fmt.Errorf("finality lag %d must be below the history of %d blocks", lag, c.cfg.History)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lag = lag
	return nil
}

// HoldTransactions keeps transactions out of the next n blocks.
func (c *Chain) HoldTransactions(n int) {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	c.holdTxs = c.Head().Number() + chain.BlockNumber(max(n, 0))
}

// SetStorage changes storage entries at the beginning of the next block, before
// anything else happens in it. A nil value deletes. The changes become part of that block.
func (c *Chain) SetStorage(changes []Change) error {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	if len(c.patches)+len(changes) > maxPatches {
		return fmt.Errorf("more than %d storage changes for one block", maxPatches)
	}
	for _, p := range changes {
		c.patches = append(c.patches, Change{Key: bytes.Clone(p.Key), Value: bytes.Clone(p.Value)})
	}
	return nil
}

// Snapshot remembers the best block under a number for [Chain.Revert]. The
// oldest is forgotten when there are too many. Snapshots end with the process.
func (c *Chain) Snapshot() uint64 {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	c.snapshotID++
	c.snapshots[c.snapshotID] = c.Head()
	delete(c.snapshots, c.snapshotID-maxSnapshots)
	return c.snapshotID
}

// Revert makes the block of a snapshot the best one again and forgets
// everything after it, finalized or not. The snapshot stays; later ones are
// forgotten. Pending transactions are validated again.
func (c *Chain) Revert(id uint64) (*Block, error) {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	b := c.snapshots[id]
	if b == nil {
		return nil, fmt.Errorf("%w: %d", ErrNoSnapshot, id)
	}
	have, ok := c.BlockHash(b.Number())
	if !ok || have != b.Hash {
		return nil, fmt.Errorf("%w: block %d of snapshot %d is not on the chain any more", ErrNoSnapshot, b.Number(), id)
	}
	for later := id + 1; later <= c.snapshotID; later++ {
		delete(c.snapshots, later)
	}
	c.patches, c.holdTxs = nil, 0
	if b.Hash == c.Head().Hash {
		return b, nil
	}
	c.mu.Lock()
	c.pool.forgetBans()
	c.mu.Unlock()
	if err := c.commit(b, nil); err != nil {
		return nil, fmt.Errorf("revert: %w", err)
	}
	return b, nil
}

// ImpersonateKey is the storage key whose presence lets an engine accept
// [ImpersonatedSignature] in the place of a signature by that account. It lies
// outside every pallet.
func ImpersonateKey(account []byte) []byte { return append([]byte(":mesh:impersonate:"), account...) }

// ImpersonatedSignature is the 65-byte signature that stands for "whoever the
// extrinsic says", where that account is impersonated.
func ImpersonatedSignature() []byte {
	return append([]byte{0xde, 0xad, 0xbe, 0xef}, bytes.Repeat([]byte{0xcd}, 61)...)
}

// Impersonate lets extrinsics of an account in without its signature, from the
// next block on, or stops that.
func (c *Chain) Impersonate(account []byte, on bool) error {
	var value []byte
	if on {
		value = []byte{1}
	}
	return c.SetStorage([]Change{{Key: ImpersonateKey(account), Value: value}})
}
