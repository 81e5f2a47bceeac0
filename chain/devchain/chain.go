package devchain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// ErrClosed is returned by a chain that has been closed.
var ErrClosed = errors.New("chain is closed")

// BlockError says why the state or the body of a block cannot be had.
type BlockError struct {
	Hash      chain.Hash
	Discarded bool // known once, outside the history window now
}

// Error implements error with the words of a Substrate node.
func (e *BlockError) Error() string {
	if e.Discarded {
		return "State already discarded for " + e.Hash.String()
	}
	return "Header was not found in the database: " + e.Hash.String()
}

// Chain is one embedded chain. Its methods may be called from any goroutine.
type Chain struct {
	cfg    Config
	engine Engine
	log    *slog.Logger
	store  *store // nil: in memory
	wake   chan struct{}

	// authorMu is held by whoever extends or rewinds the chain, from reading the
	// head to publishing the new one; it guards the fields up to mu. It is taken
	// before mu.
	authorMu   sync.Mutex
	clockShift int64 // milliseconds that the chain's clock is ahead
	patches    []Change
	holdTxs    chain.BlockNumber // no transactions are included up to this block
	snapshots  map[uint64]*Block
	snapshotID uint64

	mu       sync.RWMutex
	closed   bool
	genesis  *Block
	head     *Block
	final    *Block
	canon    map[chain.BlockNumber]*Block // what memory has of the canonical chain
	byHash   map[chain.Hash]*Block        // canon and the recent side branches
	sides    []*Block                     // side branches, oldest first
	pool     *pool
	subs     map[*Subscription]struct{}
	watchers map[chain.Hash][]*TxWatch
	lag      uint32
}

// New opens the chain: the one in cfg.DataDir, or a fresh one. The caller must
// Close it. No goroutine is started.
func New(cfg Config, engine Engine) (*Chain, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	c := &Chain{
		cfg:       cfg,
		engine:    engine,
		log:       cfg.Logger,
		wake:      make(chan struct{}, 1),
		snapshots: map[uint64]*Block{},
		canon:     map[chain.BlockNumber]*Block{},
		byHash:    map[chain.Hash]*Block{},
		pool:      newPool(cfg.Pool),
		subs:      map[*Subscription]struct{}{},
		watchers:  map[chain.Hash][]*TxWatch{},
		lag:       cfg.FinalityLag,
	}
	genesis, err := makeGenesis(engine, cfg.Genesis)
	if err != nil {
		return nil, fmt.Errorf("devchain: genesis: %w", err)
	}
	c.genesis = genesis
	if cfg.DataDir == "" {
		c.adopt(loaded{window: []*Block{genesis}})
		return c, nil
	}
	if err := c.openFolder(); err != nil {
		return nil, fmt.Errorf("devchain: %w", err)
	}
	return c, nil
}

func makeGenesis(engine Engine, g Genesis) (*Block, error) {
	st := NewState()
	if err := guard(func() error { return engine.Genesis(st, g) }); err != nil {
		return nil, err
	}
	if st.Depth() != 0 {
		return nil, errors.New("engine left a transaction open")
	}
	b := &Block{Timestamp: g.Timestamp, changes: st.changes()}
	b.state = apply(st.base, b.changes)
	b.set = setHash{}.with(b.changes)
	b.Header = Header{StateRoot: b.set.root(), ExtrinsicsRoot: emptyTrieRoot()}
	b.Hash = b.Header.Hash()
	return b, nil
}

// openFolder takes the data folder and loads or creates the chain in it.
func (c *Chain) openFolder() error {
	meta, err := c.engine.Metadata(14)
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	sum := sha256.Sum256(meta)
	v := c.engine.Version()
	want := identity{
		Format:  storeFormat,
		Engine:  c.engine.Name(),
		Genesis: c.genesis.Hash,
		Spec: fmt.Sprintf("%s-%d, metadata %s, epoch length %d, seed %x, %s", v.SpecName, v.SpecVersion,
			hex.EncodeToString(sum[:4]), c.cfg.Genesis.EpochLength, c.cfg.Genesis.Seed[:4], c.cfg.Spec),
	}
	st, err := openStore(c.cfg.DataDir)
	if err != nil {
		return err
	}
	err = func() error {
		have, err := st.identity()
		if err != nil {
			return err
		}
		if have == nil {
			if err := st.create(want, c.genesis); err != nil {
				return err
			}
			c.adopt(loaded{window: []*Block{c.genesis}})
			return nil
		}
		if *have != want {
			return mismatch(c.cfg.DataDir, *have, want)
		}
		l, err := st.load(c.cfg.History)
		if err != nil {
			return err
		}
		c.adopt(l)
		return nil
	}()
	if err != nil {
		return errors.Join(err, st.close())
	}
	c.store = st
	return nil
}

func mismatch(dir string, have, want identity) error {
	const hint = "(choose another folder, or delete this one to start anew)"
	switch {
	case have.Format != want.Format:
		return fmt.Errorf("%w: %s has format %d, this program writes %d %s", ErrOtherGenesis, dir, have.Format, want.Format, hint)
	case have.Engine != want.Engine:
		return fmt.Errorf("%w: %s was made by engine %q, not %q %s", ErrOtherGenesis, dir, have.Engine, want.Engine, hint)
	case have.Genesis != want.Genesis:
		return fmt.Errorf("%w: %s has genesis %s, these settings give %s %s", ErrOtherGenesis, dir, have.Genesis, want.Genesis, hint)
	}
	return fmt.Errorf("%w: %s was made for %q, not %q %s", ErrOtherGenesis, dir, have.Spec, want.Spec, hint)
}

// adopt takes over what was loaded, before anybody else sees the chain.
func (c *Chain) adopt(l loaded) {
	c.canon[0], c.byHash[c.genesis.Hash] = c.genesis, c.genesis
	for _, b := range l.window {
		b.hashes = extrinsicHashes(b.Extrinsics)
		c.canon[b.Number()], c.byHash[b.Hash] = b, b
	}
	c.head = l.window[len(l.window)-1]
	c.final = l.window[0]
	for _, b := range l.window {
		if b.Number() <= max(l.finalized, c.final.Number()) {
			c.final = b
		}
	}
}

// Close releases the data folder and ends subscriptions. It waits for a block
// that is being made. Closing twice does nothing.
func (c *Chain) Close() error {
	c.authorMu.Lock()
	defer c.authorMu.Unlock()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	for sub := range c.subs {
		sub.end(ErrClosed)
	}
	clear(c.subs)
	for _, list := range c.watchers {
		for _, w := range list {
			w.end()
		}
	}
	clear(c.watchers)
	c.mu.Unlock()
	if c.store == nil {
		return nil
	}
	return c.store.close()
}

// Run makes blocks as the seal mode says until ctx ends; it then returns nil. A
// block that the engine cannot make is logged and tried again.
func (c *Chain) Run(ctx context.Context) error {
	var tick <-chan time.Time
	if c.cfg.Seal == SealInterval {
		t := time.NewTicker(c.cfg.BlockTime)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
		case <-c.wake:
			if c.cfg.Seal != SealInstant || !c.hasReady() {
				continue
			}
		}
		if _, err := c.Mine(1); errors.Is(err, ErrClosed) {
			return err
		} else if err != nil {
			c.log.Error("block failed", "err", err)
		}
	}
}

// Engine returns the engine.
func (c *Chain) Engine() Engine { return c.engine }

// Genesis returns block 0.
func (c *Chain) Genesis() *Block { return c.genesis }

// Head returns the best block.
func (c *Chain) Head() *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.head
}

// Finalized returns the last finalized block.
func (c *Chain) Finalized() *Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.final
}

// BlockHash returns the hash of the block of a height on the canonical chain.
func (c *Chain) BlockHash(n chain.BlockNumber) (chain.Hash, bool) {
	c.mu.RLock()
	b, head := c.canon[n], c.head
	c.mu.RUnlock()
	if b == nil && c.store != nil && n <= head.Number() {
		b, _ = c.store.block(n)
	}
	if b == nil {
		return chain.Hash{}, false
	}
	return b.Hash, true
}

// Block returns a block by hash; the zero hash is the best block. A block that
// is not known is a *[BlockError].
func (c *Chain) Block(h chain.Hash) (*Block, error) {
	c.mu.RLock()
	b := c.byHash[h]
	if h.IsZero() {
		b = c.head
	}
	c.mu.RUnlock()
	if b != nil {
		return b, nil
	}
	if c.store != nil {
		if n, ok := c.store.numberOf(h); ok {
			b, err := c.store.block(n)
			if err != nil {
				return nil, err
			}
			if b != nil && b.Hash == h {
				return b, nil
			}
		}
	}
	return nil, &BlockError{Hash: h}
}

// StateAt returns a private State on top of the state after a block; the zero
// hash is the best block. What is written to it is seen by nobody else. The
// error is a *[BlockError].
func (c *Chain) StateAt(h chain.Hash) (*Overlay, error) {
	b, err := c.Block(h)
	if err != nil {
		return nil, err
	}
	if b.state == nil {
		return nil, &BlockError{Hash: b.Hash, Discarded: true}
	}
	return newOverlay(b.state), nil
}

// Call runs a runtime API function on the state after a block; the zero hash is
// the best block.
func (c *Chain) Call(h chain.Hash, method string, args []byte) (out []byte, err error) {
	st, err := c.StateAt(h)
	if err != nil {
		return nil, err
	}
	err = guard(func() error {
		out, err = c.engine.Call(st, method, args)
		return err
	})
	return out, err
}

// guard turns a panic of an engine into an error, so that one bad call does not
// end the chain.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine panicked: %v", r)
		}
	}()
	return f()
}

func extrinsicHashes(xts [][]byte) []chain.Hash {
	list := make([]chain.Hash, len(xts))
	for i, xt := range xts {
		list[i] = ExtrinsicHash(xt)
	}
	return list
}

// checkPrefix reports whether xt is exactly what its compact length says.
func checkPrefix(xt []byte) bool {
	n, size := readCompact(xt)
	return size > 0 && n > 0 && n == uint64(len(xt)-size)
}
