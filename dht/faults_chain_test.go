package dht_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/auth"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
	"github.com/hypertensor-blockchain/mesh/stake"
)

// moodyChain is a chain that answers, hangs or fails as a test wants it.
type moodyChain struct {
	heads   chan chain.Head
	hanging atomic.Int64 // reads that wait for an answer
	failed  atomic.Int64

	mu    sync.Mutex // guards the fields below
	nodes []chain.Node
	err   error
	hang  chan struct{} // reads wait until it is closed; nil: they do not
}

func (c *moodyChain) SubscribeHeads(context.Context) (<-chan chain.Head, error) { return c.heads, nil }

func (c *moodyChain) Params(context.Context) (chain.Params, error) {
	return chain.Params{EpochLength: 20}, nil
}

func (c *moodyChain) Subnet(ctx context.Context, _ chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	c.mu.Lock()
	hang, err := c.hang, c.err
	c.mu.Unlock()
	if hang != nil {
		c.hanging.Add(1)
		defer c.hanging.Add(-1)
		select {
		case <-hang:
			return chain.Subnet{}, chain.ErrUnavailable
		case <-ctx.Done():
			return chain.Subnet{}, ctx.Err()
		}
	}
	if err != nil {
		c.failed.Add(1)
	}
	return chain.Subnet{ID: id, State: chain.SubnetActive, MinStake: chain.Tensor(100)}, err
}

func (c *moodyChain) Nodes(context.Context, chain.Hash, chain.SubnetID) ([]chain.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes, c.err
}

func (c *moodyChain) mood(hang bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hang != nil {
		close(c.hang)
	}
	c.hang, c.err = nil, err
	if hang {
		c.hang = make(chan struct{})
	}
}

func (c *moodyChain) register(key crypto.PrivKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, chain.Node{
		ID: chain.NodeID(len(c.nodes) + 1), Peer: chain.PeerAddr{PeerID: must(peer.IDFromPrivateKey(key)).String()},
		Class: chain.ClassValidator, Stake: chain.Tensor(100),
	})
}

// TestFaultChainSilent: each new peer cost a question to the chain, asked in the middle of serving; while the chain was slow so was the
// node, and when it did not answer for some minutes the members were dropped. Here the last membership known stays in force: no member is
// dropped, no stranger comes in, and no call waits for the chain.
func TestFaultChainSilent(t *testing.T) {
	c := &moodyChain{heads: make(chan chain.Head)}
	set := must(stake.New(stake.Config{Subnet: 7, ReadTimeout: time.Hour}, c))
	var keys []crypto.PrivKey
	for i := range 5 { // the last one is registered while nobody can know
		keys = append(keys, must(identity.Generate(identity.Ed25519)))
		if i < 4 {
			c.register(keys[i])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- set.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}()
	c.heads <- chain.Head{Number: 1}
	eventually(t, "the membership is read", func() bool { return set.Health().Block == 1 })

	cfg := quiet()
	cfg.CheckInterval = 50 * time.Millisecond // members are met again and again
	start := func(key crypto.PrivKey, at ...*member) *member {
		return launch(t, withBootstrap(cfg, at...), func(pc *p2p.Config, rc *rpc.Config) {
			pc.Key, pc.Gate = key, set
			rc.Interceptors = []rpc.Interceptor{auth.NewStake(set)}
		})
	}
	m := []*member{start(keys[0])}
	m = append(m, start(keys[1], m[0]), start(keys[2], m[0]))
	settle(t, m)
	c.register(keys[4])
	latecomer := newStranger(t, func(pc *p2p.Config, _ *rpc.Config) { pc.Key = keys[4] })
	outsider := newStranger(t)

	block := 2
	for _, silence := range []struct {
		name string
		hang bool
		err  error
	}{{"hanging", true, nil}, {"failing", false, chain.ErrUnavailable}} {
		c.mood(silence.hang, silence.err)
		failed := c.failed.Load()
		c.heads <- chain.Head{Number: chain.BlockNumber(block)}
		block++
		eventually(t, "the chain is asked", func() bool { return c.hanging.Load() > 0 || c.failed.Load() > failed })
		if silence.name == "failing" { // a member that was never met before is known all the same
			m = append(m, start(keys[3], m[0]))
			waitReady(t, m[3])
		}
		for i, x := range m {
			key := record.KeyOfText(silence.name)
			if _, err := x.Store(testContext(t), dht.StoreRequest{Key: key, Subkey: i, Value: i, Expiration: in(time.Minute)}); err != nil {
				t.Errorf("%s: member %d cannot store: %v", silence.name, i, err)
			}
			if v, err := m[(i+1)%len(m)].Get(testContext(t), key, dht.Latest()); err != nil || len(v.Entries) != i+1 {
				t.Errorf("%s: member %d cannot read: %v", silence.name, i, err)
			}
		}
		for _, s := range []*stranger{latecomer, outsider} {
			for _, x := range m {
				if s.heard(x) {
					t.Errorf("%s: a stranger was heard", silence.name)
				}
			}
		}
		if silence.hang != (c.hanging.Load() > 0) {
			t.Errorf("%s: %d reads of the chain are waiting", silence.name, c.hanging.Load()) // all calls were made meanwhile
		}
	}
	settle(t, m)

	c.mood(false, nil)
	c.heads <- chain.Head{Number: chain.BlockNumber(block)}
	eventually(t, "the chain is believed again", func() bool { return latecomer.heard(m[0]) })
	if outsider.heard(m[0]) {
		t.Error("a stranger was heard in the end")
	}
}

// heard reports whether a member answers the stranger.
func (s *stranger) heard(by *member) bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	if s.Host.Connect(ctx, by.info()) != nil {
		return false
	}
	id := s.id()
	_, err := s.Calls.Call(ctx, by.Host.ID(), dht.MethodPing, (&wire.PingRequest{Peer: wire.NodeInfo{ID: id[:]}}).Append(nil))
	return err == nil
}
