package mesh

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/record"
)

const (
	keepBlocks  = 4  // blocks whose reads are shared
	paceSamples = 16 // intervals between heads that the block time is measured by

	sharedRead = 10 * time.Second // bounds a read that several wait for

	minSilence   = 3 * time.Second
	silentBlocks = 5 // block times without a head after which the chain counts as silent
)

// chainView is the chain as the parts of one node share it: what is read at a block is read once, the block time is the one that
// was measured, and the newest head is remembered. run must be running for the latter two.
type chainView struct {
	Chain
	subnet chain.SubnetID
	flight singleflight.Group

	mu     sync.Mutex // guards the fields below
	blocks []blockReads
	head   chain.Head
	at     time.Time // when head came
	slot   chain.Slot
	state  chain.SubnetState
	params chain.Params
	paces  []time.Duration
	moved  chan struct{} // closed and replaced with each head
}

// blockReads is what was read at one block. Its slices are shared and not to be changed.
type blockReads struct {
	hash   chain.Hash
	subnet *chain.Subnet
	nodes  []chain.Node
	listed bool
}

func newChainView(c Chain, p chain.Params) *chainView {
	return &chainView{Chain: c, params: p, moved: make(chan struct{})}
}

// Params is that of the chain with the block time that was measured here.
func (v *chainView) Params(context.Context) (chain.Params, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.params
	p.BlockTime = v.blockTime()
	return p, nil
}

// blockTime is the median of the measured intervals, or what the chain says while there are too few.
func (v *chainView) blockTime() time.Duration {
	if len(v.paces) < 3 {
		return v.params.BlockTime
	}
	return slices.Sorted(slices.Values(v.paces))[len(v.paces)/2]
}

// block returns the entry of a hash, a new one if need be; v.mu is held.
func (v *chainView) block(h chain.Hash) *blockReads {
	for i := range v.blocks {
		if v.blocks[i].hash == h {
			return &v.blocks[i]
		}
	}
	if len(v.blocks) == keepBlocks {
		v.blocks = v.blocks[1:]
	}
	v.blocks = append(v.blocks, blockReads{hash: h})
	return &v.blocks[len(v.blocks)-1]
}

// Subnet reads the subnet, once per block for the own one.
func (v *chainView) Subnet(ctx context.Context, at chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	if at.IsZero() || id != v.subnet {
		return v.Chain.Subnet(ctx, at, id)
	}
	v.mu.Lock()
	s := v.block(at).subnet
	v.mu.Unlock()
	if s != nil {
		return *s, nil
	}
	return share(ctx, v, "subnet"+at.String(), func(ctx context.Context) (chain.Subnet, error) {
		s, err := v.Chain.Subnet(ctx, at, id)
		if err != nil {
			return chain.Subnet{}, err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.block(at).subnet = &s
		return s, nil
	})
}

// Nodes reads the nodes, once per block for the own subnet.
func (v *chainView) Nodes(ctx context.Context, at chain.Hash, id chain.SubnetID) ([]chain.Node, error) {
	if at.IsZero() || id != v.subnet {
		return v.Chain.Nodes(ctx, at, id)
	}
	v.mu.Lock()
	b := v.block(at)
	nodes, listed := b.nodes, b.listed
	v.mu.Unlock()
	if listed {
		return nodes, nil
	}
	return share(ctx, v, "nodes"+at.String(), func(ctx context.Context) ([]chain.Node, error) {
		nodes, err := v.Chain.Nodes(ctx, at, id)
		if err != nil {
			return nil, err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		b := v.block(at)
		b.nodes, b.listed = nodes, true
		return nodes, nil
	})
}

// share makes one read for all who ask for the same at the same time. It is nobody's own: who gives up leaves the others theirs.
func share[T any](ctx context.Context, v *chainView, key string, read func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := v.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedRead)
		defer cancel()
		return read(ctx)
	})
	select {
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// run follows the heads until ctx ends, and says when they stop coming.
func (v *chainView) run(ctx context.Context, log *slog.Logger) error {
	heads, err := v.SubscribeHeads(ctx)
	if err != nil {
		return err
	}
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	silent := false
	for {
		select {
		case h, ok := <-heads:
			if !ok {
				return nil
			}
			if silent {
				silent = false
				_, at, _, _ := v.newest()
				log.Info("the chain is back", "block", uint32(h.Number), "silent_for", time.Since(at).Round(100*time.Millisecond))
			}
			v.note(h, time.Now())
			if s, err := v.Subnet(ctx, h.Hash, v.subnet); err == nil { // otherwise the next head tells
				v.mu.Lock()
				v.slot, v.state = s.Slot, s.State
				v.mu.Unlock()
			}
		case now := <-look.C:
			if age, is := v.silence(now); is && !silent {
				silent = true
				log.Warn("the chain is silent: members stay connected, strangers are refused, consensus waits", "since", age.Round(100*time.Millisecond))
			}
		}
	}
}

// silence is how long ago the last head came, and whether that is too long.
func (v *chainView) silence(now time.Time) (time.Duration, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.at.IsZero() {
		return 0, false
	}
	age := now.Sub(v.at)
	return age, age > max(minSilence, silentBlocks*v.blockTime())
}

func (v *chainView) note(h chain.Head, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if h.Number > v.head.Number && v.head.Number > 0 {
		v.paces = append(v.paces, now.Sub(v.at)/time.Duration(h.Number-v.head.Number))
		if len(v.paces) > paceSamples {
			v.paces = v.paces[1:]
		}
	}
	v.head, v.at = h, now
	close(v.moved)
	v.moved = make(chan struct{})
}

// newest is the last head, when it came, and the subnet's slot and state.
func (v *chainView) newest() (h chain.Head, at time.Time, slot chain.Slot, state chain.SubnetState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.head, v.at, v.slot, v.state
}

// epoch is the subnet's epoch at the last head; false while the subnet has none.
func (v *chainView) epoch() (chain.Epoch, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.params.EpochAt(v.head.Number, v.slot), v.slot != 0 && v.head.Number != 0
}

// epochTime is how long an epoch takes.
func (v *chainView) epochTime() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Duration(v.params.EpochLength) * v.blockTime()
}

// pace is the time between two blocks.
func (v *chainView) pace() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.blockTime()
}

// phase is where the epoch stands, for the rules of records. While the chain is silent it stands still, but for the overtime.
func (v *chainView) phase() record.Phase {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.slot == 0 || v.head.Number == 0 {
		return record.Phase{}
	}
	p := record.PhaseAt(uint32(v.params.EpochAt(v.head.Number, v.slot)), v.params.Offset(v.head.Number, v.slot), v.params.EpochLength)
	if length := time.Duration(v.params.EpochLength) * v.blockTime(); length > 0 && !v.at.IsZero() {
		p.Overtime = uint32(min(max(time.Since(v.at)/length, 0), math.MaxInt32))
	}
	return p
}

// await returns the phase when it is known and ok says that it will do; ok is asked at once and after each head.
func (v *chainView) await(ctx context.Context, ok func(record.Phase) bool) (record.Phase, error) {
	for {
		v.mu.Lock()
		moved := v.moved
		v.mu.Unlock()
		if p := v.phase(); p.Known && ok(p) {
			return p, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return record.Phase{}, ctx.Err()
		}
	}
}
