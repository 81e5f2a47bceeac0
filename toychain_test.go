package mesh

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/identity"
)

const (
	toySubnet = chain.SubnetID(128001)
	toyLength = 20
	toySlot   = 3
)

// toyChain is a chain in memory with the rounds of the real one and nothing else, for tests of whole nodes in one process.
type toyChain struct {
	mu      sync.Mutex // guards the fields below
	block   chain.BlockNumber
	nodes   []chain.Node
	boots   []chain.PeerAddr
	subs    map[chain.Epoch]*chain.Submission
	silent  bool
	waiting map[chan chain.Head]struct{}
}

func newToyChain() *toyChain {
	return &toyChain{block: 1, subs: make(map[chain.Epoch]*chain.Submission), waiting: make(map[chan chain.Head]struct{})}
}

func (c *toyChain) params() chain.Params {
	return chain.Params{Genesis: chain.Hash{0xab, 0xcd}, EpochLength: toyLength, BlockTime: 100 * time.Millisecond, Generation: "toy"}
}

// run makes blocks until ctx ends.
func (c *toyChain) run(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c.mu.Lock()
		if !c.silent {
			c.block++
			for ch := range c.waiting {
				c.offer(ch)
			}
		}
		c.mu.Unlock()
	}
}

func (c *toyChain) head() chain.Head {
	return chain.Head{Number: c.block, Hash: chain.Hash{1, byte(c.block), byte(c.block >> 8)}}
}

func (c *toyChain) offer(ch chan chain.Head) {
	select {
	case <-ch:
	default:
	}
	ch <- c.head()
}

func (c *toyChain) SubscribeHeads(ctx context.Context) (<-chan chain.Head, error) {
	ch := make(chan chain.Head, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[ch] = struct{}{}
	c.offer(ch)
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, ch)
		close(ch)
	})
	return ch, nil
}

func (c *toyChain) Params(context.Context) (chain.Params, error) { return c.params(), nil }

// ask locks the chain for a read.
func (c *toyChain) ask() (func(), error) {
	c.mu.Lock()
	if c.silent {
		c.mu.Unlock()
		return nil, chain.ErrUnavailable
	}
	return c.mu.Unlock, nil
}

func (c *toyChain) Subnet(_ context.Context, _ chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	done, err := c.ask()
	if err != nil {
		return chain.Subnet{}, err
	}
	defer done()
	if id != toySubnet {
		return chain.Subnet{}, chain.ErrNotFound
	}
	return chain.Subnet{ID: id, Slot: toySlot, State: chain.SubnetActive, Bootnodes: slices.Clone(c.boots)}, nil
}

func (c *toyChain) Nodes(context.Context, chain.Hash, chain.SubnetID) ([]chain.Node, error) {
	done, err := c.ask()
	if err != nil {
		return nil, err
	}
	defer done()
	return slices.Clone(c.nodes), nil
}

func (c *toyChain) electedAt(e chain.Epoch) chain.NodeID {
	if e == 0 || len(c.nodes) == 0 {
		return 0
	}
	return c.nodes[int(e)%len(c.nodes)].ID
}

func (c *toyChain) Elected(_ context.Context, _ chain.Hash, _ chain.SubnetID, e chain.Epoch) (chain.NodeID, bool, error) {
	done, err := c.ask()
	if err != nil {
		return 0, false, err
	}
	defer done()
	id := c.electedAt(e)
	return id, id != 0, nil
}

func (c *toyChain) Submission(_ context.Context, _ chain.Hash, _ chain.SubnetID, e chain.Epoch) (*chain.Submission, error) {
	done, err := c.ask()
	if err != nil {
		return nil, err
	}
	defer done()
	s := c.subs[e]
	if s == nil {
		return nil, nil //nolint:nilnil // the contract of RoundReader
	}
	out := *s
	out.Attests = slices.Clone(s.Attests)
	return &out, nil
}

func (c *toyChain) epoch() chain.Epoch { return c.params().EpochAt(c.block, toySlot) }

// Propose and Attest are in the next block at once.
func (c *toyChain) Propose(_ context.Context, _ chain.SubnetID, who chain.NodeID, scores []chain.NodeScore) (chain.Receipt, error) {
	done, err := c.ask()
	if err != nil {
		return chain.Receipt{}, err
	}
	defer done()
	e := c.epoch()
	if c.subs[e] != nil || c.electedAt(e) != who {
		return chain.Receipt{}, &chain.DispatchError{Pallet: "Network", Name: "SubnetRewardsAlreadySubmitted"}
	}
	s := &chain.Submission{Proposer: who, Block: c.block, Scores: scores, Attests: []chain.Attest{{Node: who, Block: c.block}}}
	for _, n := range c.nodes {
		s.Validators = append(s.Validators, n.ID)
	}
	c.subs[e] = s
	return chain.Receipt{Block: c.head()}, nil
}

func (c *toyChain) Attest(_ context.Context, _ chain.SubnetID, who chain.NodeID) (chain.Receipt, error) {
	done, err := c.ask()
	if err != nil {
		return chain.Receipt{}, err
	}
	defer done()
	s := c.subs[c.epoch()]
	if s == nil || slices.ContainsFunc(s.Attests, func(a chain.Attest) bool { return a.Node == who }) {
		return chain.Receipt{}, &chain.DispatchError{Pallet: "Network", Name: "AlreadyAttested"}
	}
	s.Attests = append(s.Attests, chain.Attest{Node: who, Block: c.block})
	slices.SortFunc(s.Attests, func(a, b chain.Attest) int { return int(int64(a.Node) - int64(b.Node)) })
	return chain.Receipt{Block: c.head()}, nil
}

func (c *toyChain) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func newKey(t testing.TB) (crypto.PrivKey, string) {
	t.Helper()
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.PeerID(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, id.String()
}
