package mesh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// counting counts the reads that reach a chain.
type counting struct {
	*toyChain
	subnets, nodes atomic.Int64
}

func (c *counting) Subnet(ctx context.Context, at chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	c.subnets.Add(1)
	return c.toyChain.Subnet(ctx, at, id)
}

func (c *counting) Nodes(ctx context.Context, at chain.Hash, id chain.SubnetID) ([]chain.Node, error) {
	c.nodes.Add(1)
	return c.toyChain.Nodes(ctx, at, id)
}

func TestBlocksAreReadOnce(t *testing.T) {
	c := &counting{toyChain: newToyChain()}
	v := newChainView(c, c.params())
	v.subnet = toySubnet
	for block := range byte(10) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				at := chain.Hash{block + 1}
				if _, err := v.Subnet(t.Context(), at, toySubnet); err != nil {
					t.Error(err)
				}
				if _, err := v.Nodes(t.Context(), at, toySubnet); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	// a reader that comes between the answer and its being kept may ask again
	if s, n := c.subnets.Load(), c.nodes.Load(); s > 20 || n > 20 {
		t.Errorf("%d and %d reads of 10 blocks by 8 readers", s, n)
	}
	if len(v.blocks) > keepBlocks {
		t.Errorf("%d blocks are kept", len(v.blocks))
	}
	c.set(func() { c.silent = true })
	if _, err := v.Nodes(t.Context(), chain.Hash{99}, toySubnet); err == nil {
		t.Error("an error is swallowed")
	}
	if _, err := v.Nodes(t.Context(), chain.Hash{10}, toySubnet); err != nil {
		t.Errorf("what was read is gone: %v", err)
	}
}

// gated holds back the reads of a chain and ends them with their context.
type gated struct {
	*toyChain
	asked, open chan struct{}
}

func (c *gated) Nodes(ctx context.Context, at chain.Hash, id chain.SubnetID) ([]chain.Node, error) {
	c.asked <- struct{}{}
	select {
	case <-c.open:
		return c.toyChain.Nodes(ctx, at, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestSharedReadOutlivesItsFirstCaller: who waits for a read that somebody else began gets it, whatever becomes of the other.
func TestSharedReadOutlivesItsFirstCaller(t *testing.T) {
	c := &gated{toyChain: newToyChain(), asked: make(chan struct{}, 4), open: make(chan struct{})}
	v := newChainView(c, c.params())
	v.subnet = toySubnet
	first, giveUp := context.WithCancel(t.Context())
	results := make(chan error)
	read := func(ctx context.Context) {
		_, err := v.Nodes(ctx, chain.Hash{1}, toySubnet)
		results <- err
	}
	go read(first)
	<-c.asked
	go read(t.Context())
	giveUp()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that gave up: %v", err)
	}
	close(c.open)
	if err := <-results; err != nil {
		t.Errorf("the other caller: %v", err)
	}
}

func TestBlockTimeIsMeasured(t *testing.T) {
	v := newChainView(newToyChain(), chain.Params{EpochLength: 20, BlockTime: 6 * time.Second})
	v.slot = 3
	now := time.Unix(1_700_000_000, 0)
	for i := range 10 {
		now = now.Add(200 * time.Millisecond)
		if i == 5 {
			now = now.Add(time.Minute) // an outage
		}
		v.note(chain.Head{Number: chain.BlockNumber(40 + i)}, now)
	}
	if got := v.pace(); got != 200*time.Millisecond {
		t.Errorf("block time %v", got)
	}
	if got := v.epochTime(); got != 4*time.Second {
		t.Errorf("epoch takes %v", got)
	}
	if e, ok := v.epoch(); !ok || e != 2 {
		t.Errorf("epoch %d %v", e, ok)
	}
	if p := v.phase(); !p.Known || p.Epoch != 2 || p.Progress != 300 {
		t.Errorf("phase %v", p)
	}
	if _, silent := v.silence(now.Add(2 * time.Second)); silent {
		t.Error("silent too soon")
	}
	if age, silent := v.silence(now.Add(4 * time.Second)); !silent || age != 4*time.Second {
		t.Errorf("silence %v %v", age, silent)
	}
}

// TestOvertime: while the chain is silent its epoch stands still, and the time for what is only a rate goes on.
func TestOvertime(t *testing.T) {
	v := newChainView(newToyChain(), chain.Params{EpochLength: 20, BlockTime: 200 * time.Millisecond})
	v.slot = 3
	for silence, want := range map[time.Duration]uint32{0: 0, 9 * time.Second: 2, 24 * time.Hour: 21600} {
		v.note(chain.Head{Number: 49}, time.Now().Add(-silence))
		if p := v.phase(); !p.Known || p.Epoch != 2 || p.Overtime != want {
			t.Errorf("after %v: %v, overtime %d, want %d", silence, p, p.Overtime, want)
		}
	}
}
