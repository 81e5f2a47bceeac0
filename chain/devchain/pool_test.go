package devchain

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain"
)

func epoch() time.Time { return time.Unix(1_700_000_000, 0) }

// offer puts a toy transaction into a pool as the chain does.
func offer(p *pool, acc byte, nonce, accNonce uint32, tip byte) (chain.Hash, error) {
	xt := toyTx(acc, nonce, tip, opSet, 1)
	h := ExtrinsicHash(xt)
	if err := p.check(h, len(xt), epoch()); err != nil {
		return h, err
	}
	v := Validity{Priority: uint64(tip), Provides: [][]byte{toyTag(acc, nonce)}, Longevity: 10}
	if nonce > accNonce {
		v.Requires = [][]byte{toyTag(acc, nonce-1)}
	}
	return h, p.add(h, xt, v, 0)
}

func kinds(list []txStatus) (out []statusKind) {
	for _, n := range list {
		out = append(out, n.kind)
	}
	return out
}

func TestPoolOrdersByNonce(t *testing.T) {
	p := newPool(PoolConfig{})
	for _, nonce := range []uint32{2, 1, 4, 0} {
		if _, err := offer(p, 1, nonce, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.ready) != 3 || len(p.future) != 1 {
		t.Fatalf("ready %d, future %d; want 3 and 1", len(p.ready), len(p.future))
	}
	var nonces []byte
	for _, tx := range p.pending() {
		nonces = append(nonces, tx.bytes[2])
	}
	if diff := cmp.Diff([]byte{0, 1, 2}, nonces); diff != "" {
		t.Fatal(diff)
	}
	want := []statusKind{statusFuture, statusFuture, statusFuture, statusReady, statusReady, statusReady}
	if diff := cmp.Diff(want, kinds(p.takeNotices())); diff != "" {
		t.Fatal(diff)
	}
}

func TestPoolReplacement(t *testing.T) {
	p := newPool(PoolConfig{})
	old, _ := offer(p, 1, 0, 0, 5)
	dependent, _ := offer(p, 1, 1, 0, 5)
	p.takeNotices()
	var prio *PriorityError
	if _, err := offer(p, 1, 0, 0, 4); !errors.As(err, &prio) || prio.Old != 5 || prio.New != 4 {
		t.Fatalf("lower priority: %v", err)
	}
	xt := toyTx(1, 0, 5, opSet, 2)
	err := p.add(ExtrinsicHash(xt), xt, Validity{Priority: 5, Provides: [][]byte{toyTag(1, 0)}}, 0)
	if !errors.As(err, &prio) {
		t.Fatalf("same priority: %v", err)
	}
	winner, err := offer(p, 1, 0, 0, 6)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]txStatus{{old, statusUsurped, winner}, {winner, statusReady, chain.Hash{}}}, p.takeNotices(), cmp.AllowUnexported(txStatus{})); diff != "" {
		t.Fatal(diff)
	}
	if p.ready[dependent] == nil {
		t.Fatal("the dependent must stay ready: its tag is provided again")
	}
}

func TestPoolBounds(t *testing.T) {
	p := newPool(PoolConfig{ReadyCount: 3, FutureCount: 2})
	for acc := range byte(3) {
		if _, err := offer(p, acc, 0, 0, acc+1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := offer(p, 9, 0, 0, 0); !errors.Is(err, ErrTxDropped) {
		t.Fatalf("the worst one: %v", err)
	}
	if _, err := offer(p, 9, 0, 0, 9); err != nil {
		t.Fatalf("a better one: %v", err)
	}
	for i := range uint32(2) {
		if _, err := offer(p, 20, 5+2*i, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := offer(p, 21, 5, 0, 0); !errors.Is(err, ErrTxDropped) {
		t.Fatalf("future is full: %v", err)
	}
	if len(p.ready) != 3 || len(p.future) != 2 || len(p.txs) != 5 {
		t.Fatalf("%d ready, %d future, %d in all", len(p.ready), len(p.future), len(p.txs))
	}
}

func TestPoolImportedAndBanned(t *testing.T) {
	p := newPool(PoolConfig{BanTime: time.Minute, BanCount: 2})
	h, err := offer(p, 1, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := offer(p, 1, 0, 0, 0); !errors.Is(err, ErrTxImported) {
		t.Fatalf("again: %v", err)
	}
	p.included(chain.Hash{1}, []includedTx{{h, [][]byte{toyTag(1, 0)}}}, epoch())
	if _, err := offer(p, 1, 0, 0, 0); !errors.Is(err, ErrTxBanned) {
		t.Fatalf("included: %v", err)
	}
	if err := p.check(h, 10, epoch().Add(2*time.Minute)); err != nil {
		t.Fatalf("after the ban: %v", err)
	}
	for i := range byte(5) {
		p.ban(chain.Hash{i}, epoch())
	}
	if len(p.bans) != 2 || len(p.banQueue) != 2 {
		t.Fatalf("%d bans are remembered", len(p.bans))
	}
}

func TestPoolAfterABlock(t *testing.T) {
	p := newPool(PoolConfig{})
	first, _ := offer(p, 1, 0, 0, 0)
	second, _ := offer(p, 1, 1, 0, 0)
	rival := toyTx(2, 0, 0, opSet, 1)
	if _, err := offer(p, 2, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	p.takeNotices()
	block := chain.Hash{7}
	p.included(block, []includedTx{{first, [][]byte{toyTag(1, 0)}}, {chain.Hash{9}, [][]byte{toyTag(2, 0)}}}, epoch())
	want := []txStatus{{first, statusInBlock, block}, {ExtrinsicHash(rival), statusInvalid, chain.Hash{}}}
	if diff := cmp.Diff(want, p.takeNotices(), cmp.AllowUnexported(txStatus{})); diff != "" {
		t.Fatal(diff)
	}
	stale := p.stale(1, 10)
	if len(stale) != 1 || stale[0].hash != second {
		t.Fatalf("to be validated again: %v", stale)
	}
	p.revalidated(stale[0], Validity{Provides: [][]byte{toyTag(1, 1)}, Longevity: 10}, nil, 1, epoch())
	if p.ready[second] == nil || len(p.stale(1, 10)) != 0 || len(p.takeNotices()) != 0 {
		t.Fatal("the second transaction is not quietly ready")
	}
	if late := p.stale(12, 10); len(late) != 1 {
		t.Fatal("its longevity has run out")
	}
	p.revalidated(p.txs[second], Validity{}, NewTxError(TxAncientBirthBlock), 12, epoch())
	if diff := cmp.Diff([]statusKind{statusInvalid}, kinds(p.takeNotices())); diff != "" || len(p.txs) != 0 {
		t.Fatal(diff)
	}
}

// TestPoolInvariants drives a pool at random and compares what it claims with
// what it holds.
func TestPoolInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(PoolConfig{ReadyCount: 6, FutureCount: 4, BanCount: 3})
		nonces := map[byte]uint32{}
		t.Repeat(map[string]func(*rapid.T){
			"offer": func(t *rapid.T) {
				acc := rapid.ByteRange(1, 3).Draw(t, "account")
				nonce := nonces[acc] + rapid.Uint32Range(0, 4).Draw(t, "ahead")
				h, err := offer(p, acc, nonce, nonces[acc], rapid.ByteRange(0, 3).Draw(t, "tip"))
				if err == nil && p.txs[h] == nil {
					t.Fatal("accepted and not there")
				}
			},
			"block": func(t *rapid.T) {
				it := p.best()
				var in []includedTx
				for tx := it.next(); tx != nil && rapid.Bool().Draw(t, "take"); tx = it.next() {
					acc, nonce := tx.bytes[1], uint32(tx.bytes[2])
					if nonce != nonces[acc] {
						t.Fatalf("account %d: nonce %d comes, %d is due", acc, nonce, nonces[acc])
					}
					nonces[acc]++
					in = append(in, includedTx{tx.hash, tx.validity.Provides})
					it.accept(tx)
				}
				p.included(chain.Hash{1}, in, epoch())
				for list := p.stale(1, 3); len(list) > 0; list = p.stale(1, 3) {
					for _, tx := range list {
						acc, nonce := tx.bytes[1], uint32(tx.bytes[2])
						v := Validity{Priority: tx.validity.Priority, Provides: tx.validity.Provides, Longevity: 10}
						if nonce > nonces[acc] {
							v.Requires = [][]byte{toyTag(acc, nonce-1)}
						}
						var err error
						if nonce < nonces[acc] {
							err = NewTxError(TxStale)
						}
						p.revalidated(tx, v, err, 1, epoch())
					}
				}
			},
			"": func(t *rapid.T) {
				if len(p.ready) > 6 || len(p.future) > 4 || len(p.txs) != len(p.ready)+len(p.future) {
					t.Fatalf("%d ready, %d future, %d in all", len(p.ready), len(p.future), len(p.txs))
				}
				bytes := 0
				for h, tx := range p.ready {
					bytes += len(tx.bytes)
					if p.txs[h] != tx || !p.satisfied(tx) {
						t.Fatal("a ready transaction is not satisfied")
					}
				}
				for tag, tx := range p.provided {
					if p.ready[tx.hash] != tx || !slices.ContainsFunc(tx.validity.Provides, func(b []byte) bool { return string(b) == tag }) {
						t.Fatal("a tag of nobody")
					}
				}
				if bytes != p.readyLen || len(p.pending()) != len(p.ready) {
					t.Fatalf("%d bytes counted as %d; %d of %d pending", bytes, p.readyLen, len(p.pending()), len(p.ready))
				}
				for h := range p.recheck {
					if p.txs[h] == nil {
						t.Fatal("recheck of nobody")
					}
				}
			},
		})
	})
}
