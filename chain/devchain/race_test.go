package devchain

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// TestManySubmitters has 20 accounts submit at the same time, forwards and
// backwards, while blocks are made, finalised and reorganised and others read.
func TestManySubmitters(t *testing.T) {
	c, err := New(Config{Seal: SealInstant, FinalityLag: 3, History: 32}, &toyEngine{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { // a reader
		for ctx.Err() == nil {
			h := c.Head()
			if _, err := c.StateAt(h.Hash); err != nil {
				var gone *BlockError
				if !errors.As(err, &gone) {
					t.Error(err)
				}
			}
			c.Pending()
		}
	})
	running.Go(func() { // a troublemaker
		for ctx.Err() == nil {
			if c.Head().Number() > 3 {
				if _, err := c.Reorg(1); err != nil {
					t.Error(err)
				}
			}
			c.Snapshot()
		}
	})
	const each = 40
	var submitters sync.WaitGroup
	for acc := range byte(20) {
		submitters.Go(func() {
			for i := range uint32(each) {
				nonce := i
				if acc%2 == 1 {
					nonce = each - 1 - i
				}
				if _, err := c.Submit(toyTx(acc, nonce, 0, opSet, acc, byte(nonce))); err != nil {
					t.Errorf("account %d, nonce %d: %v", acc, nonce, err)
				}
			}
		})
	}
	submitters.Wait()
	cancel()
	running.Wait()
	for range 100 { // whatever is still in the pool
		if _, err := c.Mine(1); err != nil {
			t.Fatal(err)
		}
		if ready, future := c.PoolSize(); ready+future == 0 {
			break
		}
	}
	st, err := c.StateAt(chain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	for acc := range byte(20) {
		if n := (&toyEngine{}).nonce(st, acc); n != each {
			t.Errorf("account %d: %d of %d transactions are in", acc, n, each)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
