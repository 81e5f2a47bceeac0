package consensus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// toy is a chain of one subnet with three validators, driven by the test.
type toy struct {
	heads chan chain.Head

	mu      sync.Mutex // guards all below
	block   chain.BlockNumber
	elected chain.NodeID
	sub     *chain.Submission
	silent  bool
	calls   []string
	lose    int // receipts to lose
	hang    bool
}

func newToy(elected chain.NodeID) *toy {
	return &toy{heads: make(chan chain.Head, 1), block: 22, elected: elected}
}

func (c *toy) mine() {
	c.mu.Lock()
	c.block++
	h := chain.Head{Number: c.block, Hash: chain.Hash{byte(c.block)}}
	if c.block%20 == 3 {
		c.sub = nil
	}
	c.mu.Unlock()
	c.heads <- h
	time.Sleep(6 * time.Second) // of the bubble's clock
	synctest.Wait()
}

func (c *toy) answer() error {
	if c.silent {
		return chain.ErrUnavailable
	}
	return nil
}

func (c *toy) SubscribeHeads(context.Context) (<-chan chain.Head, error) { return c.heads, nil }

func (c *toy) Params(context.Context) (chain.Params, error) {
	return chain.Params{EpochLength: 20, BlockTime: 6 * time.Second}, nil
}

func (c *toy) Subnet(_ context.Context, _ chain.Hash, id chain.SubnetID) (chain.Subnet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != 7 {
		return chain.Subnet{}, chain.ErrNotFound
	}
	return chain.Subnet{ID: id, Slot: 3, State: chain.SubnetActive}, c.answer()
}

func (c *toy) Nodes(context.Context, chain.Hash, chain.SubnetID) ([]chain.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []chain.Node{{ID: 1, Class: 3}, {ID: 2, Class: 3}, {ID: 3, Class: 3}}, c.answer()
}

func (c *toy) Elected(context.Context, chain.Hash, chain.SubnetID, chain.Epoch) (chain.NodeID, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elected, c.elected != 0, c.answer()
}

func (c *toy) Submission(context.Context, chain.Hash, chain.SubnetID, chain.Epoch) (*chain.Submission, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sub == nil {
		return nil, c.answer()
	}
	s := *c.sub
	s.Attests = slices.Clone(s.Attests)
	return &s, c.answer()
}

func (c *toy) Propose(_ context.Context, _ chain.SubnetID, n chain.NodeID, scores []chain.NodeScore) (chain.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprintf("propose %d %v", c.block, scores))
	if c.sub != nil {
		return chain.Receipt{}, &chain.DispatchError{Pallet: "Network", Name: "SubnetRewardsAlreadySubmitted"}
	}
	c.sub = &chain.Submission{Proposer: n, Block: c.block, Scores: scores, Attests: []chain.Attest{{Node: n}}, Validators: []chain.NodeID{1, 2, 3}}
	return c.receipt()
}

func (c *toy) Attest(ctx context.Context, _ chain.SubnetID, n chain.NodeID) (chain.Receipt, error) {
	c.mu.Lock()
	hang := c.hang
	c.mu.Unlock()
	if hang {
		<-ctx.Done()
		return chain.Receipt{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, fmt.Sprintf("attest %d", c.block))
	c.sub.Attests = append(c.sub.Attests, chain.Attest{Node: n})
	return c.receipt()
}

func (c *toy) receipt() (chain.Receipt, error) {
	if c.lose > 0 {
		c.lose--
		return chain.Receipt{}, chain.ErrUnavailable
	}
	return chain.Receipt{Block: chain.Head{Number: c.block}}, nil
}

func (c *toy) log() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

func everyone(context.Context, Round) (Opinion, error) {
	return Opinion{Scores: []chain.NodeScore{{Node: 1, Score: chain.OneTensor()}, {Node: 2, Score: chain.OneTensor()}}}, nil
}

// engineOn runs an engine for node 2 in the bubble; the returned function stops it and waits.
func engineOn(t *testing.T, c *toy, path string, s ScorerFunc) (*Engine, func()) {
	t.Helper()
	j, err := OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{MachineConfig: MachineConfig{Subnet: 7, Node: 2}}, c, c, s, j)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return e, func() {
		t.Helper()
		cancel()
		if err := errors.Join(<-done, j.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestEngineProposesAndAttests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newToy(2)
		e, stop := engineOn(t, c, filepath.Join(t.TempDir(), "j"), everyone)
		for range 20 {
			c.mine()
		}
		c.mu.Lock()
		c.elected, c.lose = 1, 1 // the receipt of the vote gets lost
		c.mu.Unlock()
		c.mine()
		c.mu.Lock()
		c.sub = &chain.Submission{Proposer: 1, Block: c.block, Validators: []chain.NodeID{1, 2, 3}, Attests: []chain.Attest{{Node: 1}}}
		c.sub.Scores = []chain.NodeScore{{Node: 1, Score: chain.OneTensor()}, {Node: 2, Score: chain.OneTensor()}}
		c.mu.Unlock()
		for range 21 {
			c.mine()
		}
		stop()
		got := c.log()
		if len(got) != 2 || !strings.HasPrefix(got[0], "propose 23") || got[1] != "attest 44" {
			t.Errorf("calls %q", got)
		}
		s := e.Status()
		if len(s.Settled) != 2 || !s.Settled[0].Attested || !s.Settled[1].Attested {
			t.Errorf("status %+v", s)
		}
	})
}

func TestEngineRestartSaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newToy(2)
		path := filepath.Join(t.TempDir(), "j")
		_, stop := engineOn(t, c, path, everyone)
		c.mine()
		stop()
		c.mu.Lock()
		c.sub = nil // a reorganisation takes the proposal back while the node is down
		c.mu.Unlock()
		_, stop = engineOn(t, c, path, func(context.Context, Round) (Opinion, error) { return Opinion{}, nil })
		for range 6 {
			c.mine()
		}
		stop()
		got := c.log()
		if len(got) != 2 {
			t.Fatalf("calls %q", got)
		}
		if a, b := strings.SplitN(got[0], " ", 3)[2], strings.SplitN(got[1], " ", 3)[2]; a != b {
			t.Errorf("first %s, then %s", a, b)
		}
	})
}

func TestEngineSurvivesScorerAndChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newToy(2)
		calls := 0
		e, stop := engineOn(t, c, filepath.Join(t.TempDir(), "j"), func(ctx context.Context, r Round) (Opinion, error) {
			switch calls++; calls {
			case 1:
				panic("division by zero")
			case 2:
				<-ctx.Done() // longer than ScoreTimeout
				return Opinion{}, ctx.Err()
			}
			return everyone(ctx, r)
		})
		c.silent = true
		c.mine()
		if s := e.Status(); !s.Silent {
			t.Errorf("silence not noticed: %+v", s)
		}
		c.mu.Lock()
		c.silent = false
		c.mu.Unlock()
		for range 12 {
			c.mine()
		}
		stop()
		if got := c.log(); len(got) != 1 {
			t.Errorf("calls %q", got)
		}
	})
}

func TestEngineStopsWhileSubmissionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newToy(1)
		c.hang = true
		_, stop := engineOn(t, c, filepath.Join(t.TempDir(), "j"), everyone)
		c.mine()
		c.mu.Lock()
		c.sub = &chain.Submission{Proposer: 1, Block: c.block, Validators: []chain.NodeID{1, 2, 3}, Attests: []chain.Attest{{Node: 1}}}
		c.sub.Scores = []chain.NodeScore{{Node: 1, Score: chain.OneTensor()}, {Node: 2, Score: chain.OneTensor()}}
		c.mu.Unlock()
		c.mine()
		began := time.Now()
		stop()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("stopping took %v, want FlushTimeout", took)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	if _, err := New(Config{MachineConfig: MachineConfig{Subnet: 1, Node: 1}, ReadTimeout: -1}, nil, nil, nil, nil); err == nil {
		t.Error("a negative timeout was accepted")
	}
	if _, err := New(Config{}, nil, nil, nil, nil); err == nil {
		t.Error("no subnet was accepted")
	}
}

func ExampleMachine() {
	m, err := NewMachine(MachineConfig{Subnet: 7, Node: 2}, nil)
	if err != nil {
		panic(err)
	}
	for _, a := range m.Step(time.Time{}, NewHead{Head: chain.Head{Number: 23}}) {
		fmt.Printf("%T\n", a)
	}
	// Output: consensus.Read
}
