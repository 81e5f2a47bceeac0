package devchain

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testClock moves by one second each time it is read.
func testClock() func() time.Time {
	now := epoch()
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func newTestChain(t *testing.T, cfg Config) *Chain {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = testClock()
	}
	if cfg.Seal == SealInterval {
		cfg.Seal = SealManual
	}
	c, err := New(cfg, &toyEngine{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func mustMine(t *testing.T, c *Chain, n int) *Block {
	t.Helper()
	b, err := c.Mine(n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustSubmit(t *testing.T, c *Chain, xt []byte) chain.Hash {
	t.Helper()
	h, err := c.Submit(xt)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func valueAt(t *testing.T, c *Chain, h chain.Hash, key string) string {
	t.Helper()
	st, err := c.StateAt(h)
	if err != nil {
		t.Fatal(err)
	}
	return string(st.Get([]byte(key)))
}

func TestChainIncludesAndRemembers(t *testing.T) {
	c := newTestChain(t, Config{History: 4})
	for i := range uint32(8) {
		mustSubmit(t, c, toyTx(1, i, 0, opSet, 'k', byte('0'+i)))
		b := mustMine(t, c, 1)
		if len(b.Extrinsics) != 2 || b.Number() != chain.BlockNumber(i+1) {
			t.Fatalf("block %d has %d extrinsics", b.Number(), len(b.Extrinsics))
		}
	}
	for n := chain.BlockNumber(1); n <= 8; n++ {
		h, ok := c.BlockHash(n)
		if !ok {
			t.Fatalf("no block %d", n)
		}
		_, err := c.StateAt(h)
		var gone *BlockError
		if n <= 4 {
			if !errors.As(err, &gone) || !gone.Discarded || err.Error() != "State already discarded for "+h.String() {
				t.Fatalf("state of block %d: %v", n, err)
			}
			continue
		}
		if got := valueAt(t, c, h, "user:k"); got != fmt.Sprint(n-1) {
			t.Fatalf("block %d: %q", n, got)
		}
	}
	if _, err := c.StateAt(chain.Hash{1}); err == nil || err.Error() != "Header was not found in the database: "+(chain.Hash{1}).String() {
		t.Fatalf("unknown block: %v", err)
	}
	if n, err := c.NextNonce([]byte{19: 1}); err != nil || n != 8 {
		t.Fatalf("nonce %d, %v", n, err)
	}
}

func TestChainIsDeterministic(t *testing.T) {
	run := func() chain.Hash {
		c := newTestChain(t, Config{})
		for i := range uint32(5) {
			for acc := range byte(4) {
				mustSubmit(t, c, toyTx(acc, i, acc, opSet, acc, byte(i)))
			}
			mustMine(t, c, 2)
		}
		return c.Head().Hash
	}
	if a, b := run(), run(); a != b {
		t.Fatalf("%s and %s", a, b)
	}
}

func TestBadExtrinsicsDoNotStopTheChain(t *testing.T) {
	c := newTestChain(t, Config{})
	for i, op := range []byte{opPanic, opBad, opLeak, opFail, opExhaust} {
		mustSubmit(t, c, toyTx(byte(i), 0, 0, op))
	}
	good := mustSubmit(t, c, toyTx(9, 0, 0, opSet, 'k', 'v'))
	b := mustMine(t, c, 1)
	var in []chain.Hash
	for _, xt := range b.Extrinsics[1:] {
		in = append(in, ExtrinsicHash(xt))
	}
	if diff := cmp.Diff([]chain.Hash{ExtrinsicHash(toyTx(3, 0, 0, opFail)), good}, in); diff != "" {
		t.Fatal(diff)
	}
	if valueAt(t, c, b.Hash, "junk") != "" {
		t.Fatal("the panicking extrinsic left a trace")
	}
	if ready, future := c.PoolSize(); ready != 1 || future != 0 {
		t.Fatalf("pool has %d and %d; only the one that did not fit stays", ready, future)
	}
	if _, err := c.Submit(toyTx(1, 0, 0, opBad)); !errors.Is(err, ErrTxBanned) {
		t.Fatalf("the refused one again: %v", err)
	}
	for _, bad := range [][]byte{nil, {0}, {8, 1}, {4, 1, 2}} {
		if _, err := c.Submit(bad); !errors.Is(err, ErrTxMalformed) {
			t.Fatalf("%x: %v", bad, err)
		}
	}
}

func watchKinds(t *testing.T, w *TxWatch) (out []statusKind) {
	t.Helper()
	for n := range w.ch {
		out = append(out, n.kind)
	}
	return out
}

func TestFinalityLagAndReorg(t *testing.T) {
	c := newTestChain(t, Config{FinalityLag: 3})
	mustMine(t, c, 2)
	_, w, err := c.SubmitAndWatch(toyTx(1, 0, 0, opSet, 'k', 'v'))
	if err != nil {
		t.Fatal(err)
	}
	sub, err := c.Subscribe(100)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	first := mustMine(t, c, 2)
	if _, err := c.Reorg(5); err == nil || !strings.Contains(err.Error(), "final") {
		t.Fatalf("too deep: %v", err)
	}
	head, err := c.Reorg(2)
	if err != nil {
		t.Fatal(err)
	}
	if head.Number() != 5 || valueAt(t, c, chain.Hash{}, "user:k") != "" {
		t.Fatalf("head %d", head.Number())
	}
	if _, err := c.StateAt(first.Hash); err != nil {
		t.Fatalf("side branch: %v", err)
	}
	mustMine(t, c, 4)
	if c.Finalized().Number() != 6 {
		t.Fatalf("final is %d", c.Finalized().Number())
	}
	want := []statusKind{statusReady, statusInBlock, statusRetracted, statusReady, statusInBlock, statusFinalized}
	if diff := cmp.Diff(want, watchKinds(t, w)); diff != "" {
		t.Fatal(diff)
	}
	sub.Close()
	var best, final []chain.BlockNumber
	state := map[string]string{}
	for e := range sub.Events() {
		switch e.Kind {
		case EventBest:
			best = append(best, e.Block.Number())
			for _, ch := range e.Changes {
				state[string(ch.Key)] = string(ch.Value)
			}
		case EventFinalized:
			final = append(final, e.Block.Number())
		case EventImported:
		}
	}
	if diff := cmp.Diff([]chain.BlockNumber{3, 4, 5, 6, 7, 8, 9}, best); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]chain.BlockNumber{1, 2, 3, 4, 5, 6}, final); diff != "" {
		t.Fatal(diff)
	}
	for k, v := range state {
		if now := valueAt(t, c, chain.Hash{}, k); now != v {
			t.Errorf("changes lead to %q = %q, state has %q", k, v, now)
		}
	}
}

func TestSnapshotRevert(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		c := newTestChain(t, Config{DataDir: dir})
		mustMine(t, c, 3)
		id, at := c.Snapshot(), c.Head()
		mustSubmit(t, c, toyTx(1, 0, 0, opSet, 'k', 'v'))
		mustMine(t, c, 5)
		b, err := c.Revert(id)
		if err != nil || b.Hash != at.Hash || c.Head().Hash != at.Hash || c.Finalized().Hash != at.Hash {
			t.Fatalf("%v %v", b, err)
		}
		if _, ok := c.BlockHash(4); ok {
			t.Fatal("block 4 is still there")
		}
		mustSubmit(t, c, toyTx(1, 0, 0, opSet, 'k', 'w')) // not banned, nonce is 0 again
		last := mustMine(t, c, 1)
		if last.Number() != 4 || valueAt(t, c, chain.Hash{}, "user:k") != "w" {
			t.Fatal("the chain does not go on from the snapshot")
		}
		if _, err := c.Revert(id + 1); !errors.Is(err, ErrNoSnapshot) {
			t.Fatal(err)
		}
		if dir == "" {
			continue
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		again := newTestChain(t, Config{DataDir: dir})
		if again.Head().Hash != last.Hash {
			t.Fatal("the folder has another head")
		}
	}
}

func TestDataFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chain")
	cfg := Config{DataDir: dir, History: 5, KeepBlocks: 20, FinalityLag: 2}
	c := newTestChain(t, cfg)
	var hashes []chain.Hash
	for i := range uint32(30) {
		mustSubmit(t, c, toyTx(1, i, 0, opSet, 'k', byte(i)))
		hashes = append(hashes, mustMine(t, c, 1).Hash)
	}
	if _, err := New(cfg, &toyEngine{}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second process: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Mine(1); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}

	other := cfg
	other.Genesis.Seed[0] = 1
	if _, err := New(other, &toyEngine{}); !errors.Is(err, ErrOtherGenesis) {
		t.Fatalf("another seed: %v", err)
	}
	other = cfg
	other.Genesis.EpochLength = 77
	if _, err := New(other, &toyEngine{}); !errors.Is(err, ErrOtherGenesis) || !strings.Contains(err.Error(), "77") {
		t.Fatalf("another epoch length: %v", err)
	}

	c = newTestChain(t, cfg)
	if c.Head().Hash != hashes[29] || c.Finalized().Hash != hashes[27] {
		t.Fatalf("head %d, final %d", c.Head().Number(), c.Finalized().Number())
	}
	for i, h := range hashes {
		b, err := c.Block(h)
		if i < 9 {
			if err == nil {
				t.Fatalf("block %d was to be forgotten", i+1)
			}
			continue
		}
		if err != nil || b.Hash != h || len(b.Extrinsics) != 2 {
			t.Fatalf("block %d: %v", i+1, err)
		}
		if n, ok := c.BlockHash(b.Number()); !ok || n != h {
			t.Fatalf("block %d is not found by number", i+1)
		}
		if i < 24 {
			continue
		}
		if got := valueAt(t, c, h, "user:k"); got != string(rune(i)) {
			t.Fatalf("state of block %d: %q", i+1, got)
		}
	}
	mustSubmit(t, c, toyTx(1, 30, 0, opSet, 'k', 0))
	if b := mustMine(t, c, 1); b.Number() != 31 {
		t.Fatal("does not go on")
	}
}

func TestDamagedFolder(t *testing.T) {
	dir := t.TempDir()
	c := newTestChain(t, Config{DataDir: dir})
	mustMine(t, c, 3)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = st.write(step{blocks: []*Block{func() *Block { // a block whose state does not match
		b := *c.Head()
		b.Header.Number++
		b.Hash = b.Header.Hash()
		b.changes = []Change{{Key: []byte("k"), Value: []byte("v")}}
		return &b
	}()}})
	if err := errors.Join(err, st.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{DataDir: dir}, &toyEngine{}); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, storeFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{DataDir: dir}, &toyEngine{}); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

func TestIntervalSeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{BlockTime: 2 * time.Second}, &toyEngine{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		start := time.Now()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if n := c.Head().Number(); n != 4 {
			t.Fatalf("%d blocks in 9 s", n)
		}
		if ts := c.Head().Timestamp; ts != uint64(start.Add(8*time.Second).UnixMilli()) {
			t.Fatalf("timestamp %d", ts)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestInstantSeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Seal: SealInstant}, &toyEngine{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		_, w, err := c.SubmitAndWatch(toyTx(1, 1, 0, opSet, 'k', 'v'))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.Head().Number() != 0 {
			t.Fatal("a block for a future transaction")
		}
		mustSubmit(t, c, toyTx(1, 0, 0, opSet, 'k', 'u'))
		want := []statusKind{statusFuture, statusReady, statusInBlock, statusFinalized}
		if diff := cmp.Diff(want, watchKinds(t, w)); diff != "" {
			t.Fatal(diff)
		}
		if c.Head().Number() != 1 {
			t.Fatalf("head %d", c.Head().Number())
		}
		cancel()
		if err := errors.Join(<-done, c.Close()); err != nil {
			t.Fatal(err)
		}
	})
}

// A transaction whose predecessor goes into a block while it is validated is ready, and does not wait for what is gone.
func TestBlockDuringValidation(t *testing.T) {
	e := &toyEngine{}
	c, err := New(Config{Seal: SealManual, Now: testClock()}, e)
	if err != nil {
		t.Fatal(err)
	}
	mustSubmit(t, c, toyTx(1, 0, 0, opSet, 'k', 'u'))
	e.validated = func() {
		e.validated = nil
		mustMine(t, c, 1)
	}
	mustSubmit(t, c, toyTx(1, 1, 0, opSet, 'k', 'v'))
	if ready, future := c.PoolSize(); ready != 1 || future != 0 {
		t.Errorf("%d ready, %d future", ready, future)
	}
	if b := mustMine(t, c, 1); len(b.Extrinsics) != 2 { // an inherent, and it
		t.Errorf("%d extrinsics", len(b.Extrinsics))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestBlockFailureIsReported(t *testing.T) {
	e := &toyEngine{failInit: func(n chain.BlockNumber) error {
		if n == 2 {
			return errors.New("no")
		}
		return nil
	}}
	c, err := New(Config{Seal: SealManual}, e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Mine(2); err == nil || c.Head().Number() != 1 {
		t.Fatalf("head %d, %v", c.Head().Number(), err)
	}
	e.failInit = nil
	mustMine(t, c, 1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSlowSubscriberIsDropped(t *testing.T) {
	c := newTestChain(t, Config{})
	sub, err := c.Subscribe(4)
	if err != nil {
		t.Fatal(err)
	}
	mustMine(t, c, 3)
	n := 0
	for range sub.Events() {
		n++
	}
	if n != 4 || !errors.Is(sub.Err(), ErrSlow) {
		t.Fatalf("%d events, %v", n, sub.Err())
	}
	sub.Close()
}

func TestMortality(t *testing.T) {
	c, err := New(Config{Seal: SealManual}, &toyEngine{longevity: 3})
	if err != nil {
		t.Fatal(err)
	}
	_, w, err := c.SubmitAndWatch(toyTx(1, 5, 0, opSet, 'k', 'v')) // waits for nonces that never come
	if err != nil {
		t.Fatal(err)
	}
	mustMine(t, c, 3)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]statusKind{statusFuture}, watchKinds(t, w)); diff != "" {
		t.Fatal(diff)
	}
}

func TestDevControls(t *testing.T) {
	c := newTestChain(t, Config{Seal: SealManual})
	mustMine(t, c, 1)
	at := epoch().Add(24 * time.Hour)
	if err := c.SetTime(at); err != nil {
		t.Fatal(err)
	}
	if b := mustMine(t, c, 1); b.Timestamp < uint64(at.UnixMilli()) || b.Timestamp > uint64(at.Add(time.Minute).UnixMilli()) {
		t.Fatalf("timestamp %d", b.Timestamp)
	}
	if err := c.SetTime(epoch()); !errors.Is(err, ErrTimeBack) {
		t.Fatal(err)
	}
	if err := c.SetStorage([]Change{{Key: []byte("x"), Value: []byte("y")}, {Key: []byte("seed")}}); err != nil {
		t.Fatal(err)
	}
	mustSubmit(t, c, toyTx(1, 0, 0, opSet, 'k', 'v'))
	c.HoldTransactions(1)
	b := mustMine(t, c, 1)
	if len(b.Extrinsics) != 1 || valueAt(t, c, b.Hash, "x") != "y" || valueAt(t, c, b.Hash, "seed") != "" {
		t.Fatal("the next block has not the changes, or has the transaction")
	}
	if b := mustMine(t, c, 1); len(b.Extrinsics) != 2 {
		t.Fatal("the transaction is held too long")
	}
	st, err := c.StateAt(chain.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if n := binary.LittleEndian.Uint32(st.Get([]byte("number"))); n != 4 {
		t.Fatal(n)
	}
	if _, err := c.Call(chain.Hash{}, "Toy_panic", nil); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatal(err)
	}
}
