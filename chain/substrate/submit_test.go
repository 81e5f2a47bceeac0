package substrate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

func dev(t testing.TB, name string) *account.Account {
	t.Helper()
	a, err := account.Dev(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// nonce is how many transactions of an account were executed.
func (r *devRig) nonce(id chain.AccountID) uint32 {
	r.t.Helper()
	info, err := r.c.AccountInfo(context.WithoutCancel(r.t.Context()), chain.Hash{}, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return info.Nonce
}

// proxy is a TCP proxy that can lose what the server says, and cut connections.
type proxy struct {
	ln     net.Listener
	to     string
	mute   atomic.Bool // what the server says is lost
	deaf   atomic.Bool // what the client says is lost
	refuse atomic.Bool // new connections are closed at once
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   []net.Conn
}

func newProxy(t *testing.T, url string) (*proxy, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: url[len("ws://"):]}
	p.wg.Add(1)
	go func() { defer p.wg.Done(); p.accept() }()
	t.Cleanup(func() {
		_ = ln.Close()
		p.cut()
		p.wg.Wait()
	})
	return p, "ws://" + ln.Addr().String()
}

func (p *proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil || p.refuse.Load() {
			_ = in.Close()
			if out != nil {
				_ = out.Close()
			}
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, in, out)
		p.mu.Unlock()
		p.wg.Add(2)
		go func() { defer p.wg.Done(); pipe(out, in, &p.deaf) }()
		go func() { defer p.wg.Done(); pipe(in, out, &p.mute) }()
	}
}

// pipe copies until either side ends, losing what comes while lose is set.
func pipe(dst, src net.Conn, lose *atomic.Bool) {
	defer func() { _ = dst.Close(); _ = src.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := src.Read(b)
		if n > 0 && !lose.Load() {
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends all connections and lets everything through again.
func (p *proxy) cut() {
	p.mu.Lock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.mute.Store(false)
	p.deaf.Store(false)
}

// through dials the chain of a rig through a proxy.
func (r *devRig) through(t *testing.T, change func(*Config)) (*proxy, *Client) {
	t.Helper()
	p, url := newProxy(t, r.url)
	cfg := Config{Endpoints: []string{url}, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, CallTimeout: 10 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, c
}

type submission struct {
	receipt chain.Receipt
	err     error
}

// start submits in the background and calls atSigned between signing and sending.
func start(ctx context.Context, c *Client, s Signer, call Call, atSigned func(), opts ...Option) <-chan submission {
	done := make(chan submission, 1)
	opts = append(opts, WithProgress(func(p Progress) {
		if p.Stage == Signed && atSigned != nil {
			atSigned()
		}
	}))
	go func() {
		r, err := c.Submit(ctx, s, call, opts...)
		done <- submission{r, err}
	}()
	return done
}

// pending waits until the chain's pool holds n transactions.
func (r *devRig) pending(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("a pool of %d", n), func() bool {
		var list []hexBytes
		b, err := r.c.Call(r.t.Context(), "author_pendingExtrinsics")
		return err == nil && decodeJSON(b, &list) == nil && len(list) == n
	})
}

func TestSubmitToFinality(t *testing.T) {
	r := newDevRig(t)
	alith := dev(t, "Alith")
	var mu sync.Mutex
	var stages []Stage
	done := make(chan submission, 1)
	go func() {
		receipt, err := r.c.Submit(t.Context(), alith, Transfer(chain.AccountID{9}, chain.Tensor(1)), WaitFinalized(), WithProgress(func(p Progress) {
			mu.Lock()
			defer mu.Unlock()
			if len(stages) == 0 || stages[len(stages)-1] != p.Stage {
				stages = append(stages, p.Stage)
			}
		}))
		done <- submission{receipt, err}
	}()
	r.pending(1)
	r.mine(1)
	eventually(t, "inclusion", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(stages) == 3
	})
	r.mine(5)
	s := <-done
	if s.err != nil || !s.receipt.Finalized || s.receipt.Block.Number != 1 || s.receipt.Fee.IsZero() {
		t.Errorf("%+v", s)
	}
	if want := []Stage{Signed, Ready, InBlock, Finalized}; !slices.Equal(stages, want) {
		t.Errorf("stages %v, want %v", stages, want)
	}
}

// TestLostAnswer loses the node's answer to a submission and the connection: the transaction is found, not sent as another.
func TestLostAnswer(t *testing.T) {
	for _, included := range []bool{true, false} {
		t.Run(fmt.Sprintf("included before the reconnect: %v", included), func(t *testing.T) {
			r := newDevRig(t)
			p, c := r.through(t, nil)
			alith := dev(t, "Alith")
			done := start(t.Context(), c, alith, Transfer(chain.AccountID{9}, chain.Tensor(1)), func() { p.mute.Store(true) })
			r.pending(1) // it has arrived; the answer was lost
			if included {
				r.mine(1)
			}
			p.cut()
			r.mineUntil(done, func(s submission) {
				if s.err != nil || s.receipt.Block.Number == 0 {
					t.Errorf("%+v", s)
				}
			})
			if n := r.nonce(alith.ID()); n != 1 {
				t.Errorf("%d transactions were executed", n)
			}
		})
	}
}

// mineUntil makes blocks until a submission ends.
func (r *devRig) mineUntil(done <-chan submission, check func(submission)) {
	r.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case s := <-done:
			check(s)
			return
		case <-tick.C:
			r.mine(1)
		case <-deadline.C:
			r.t.Fatal("the submission did not end within 20 s")
		}
	}
}

// TestLostRequest loses the request itself: the same bytes are sent again.
func TestLostRequest(t *testing.T) {
	r := newDevRig(t)
	p, c := r.through(t, nil)
	alith := dev(t, "Alith")
	deaf := make(chan struct{})
	done := start(t.Context(), c, alith, Transfer(chain.AccountID{9}, chain.Tensor(1)), func() { p.deaf.Store(true); close(deaf) })
	<-deaf
	p.refuse.Store(true)
	p.cut()
	p.refuse.Store(false)
	r.mineUntil(done, func(s submission) {
		if s.err != nil {
			t.Errorf("%+v", s)
		}
	})
	if n := r.nonce(alith.ID()); n != 1 {
		t.Errorf("%d transactions were executed", n)
	}
}

// TestExpires keeps a transaction out of blocks for longer than its era. It is never included, and the client knows.
func TestExpires(t *testing.T) {
	r := newDevRig(t)
	_, c := r.through(t, func(cfg *Config) { cfg.Era = 8 })
	alith := dev(t, "Alith")
	r.mine(5)
	r.chain.HoldTransactions(40)
	done := start(t.Context(), c, alith, Remark([]byte("late")), nil)
	r.pending(1)
	r.mineUntil(done, func(s submission) {
		if !errors.Is(s.err, ErrExpired) {
			t.Errorf("%+v, want ErrExpired", s)
		}
	})
	r.chain.HoldTransactions(0)
	r.mine(3)
	if n := r.nonce(alith.ID()); n != 0 {
		t.Errorf("%d transactions were executed", n)
	}
	again := start(t.Context(), c, alith, Remark([]byte("again")), nil)
	r.mineUntil(again, func(s submission) {
		if s.err != nil {
			t.Errorf("%+v", s)
		}
	})
}

// TestReorganisation takes the block with the transaction back before it is final.
func TestReorganisation(t *testing.T) {
	r := newDevRig(t)
	if err := r.chain.SetFinalityLag(4); err != nil {
		t.Fatal(err)
	}
	r.mine(6)
	alith := dev(t, "Alith")
	done := start(t.Context(), r.c, alith, Transfer(chain.AccountID{9}, chain.Tensor(1)), nil, WaitFinalized())
	r.pending(1)
	r.mine(1)
	first := r.head()
	if _, err := r.c.Call(t.Context(), "dev_reorg", 1); err != nil {
		t.Fatal(err)
	}
	if again := r.head(); again.Hash == first.Hash {
		t.Fatal("no reorganisation")
	}
	r.mineUntil(done, func(s submission) {
		if s.err != nil || !s.receipt.Finalized || s.receipt.Block.Hash == first.Hash {
			t.Errorf("%+v, not in %s", s, first.Hash)
		}
	})
	if n := r.nonce(alith.ID()); n != 1 {
		t.Errorf("%d transactions were executed", n)
	}
}

// TestConcurrentSubmitters shares one account between 20 goroutines: no nonce is used twice and no gap is left.
func TestConcurrentSubmitters(t *testing.T) {
	r := newDevRig(t)
	alith := dev(t, "Alith")
	var all []<-chan submission
	for i := range 20 {
		all = append(all, start(t.Context(), r.c, alith, Remark(fmt.Appendf(nil, "remark %d", i)), nil))
	}
	r.pending(20)
	seen := map[chain.Hash]bool{}
	for _, done := range all {
		r.mineUntil(done, func(s submission) {
			if s.err != nil || seen[s.receipt.Extrinsic] {
				t.Errorf("%+v", s)
			}
			seen[s.receipt.Extrinsic] = true
		})
	}
	if n := r.nonce(alith.ID()); n != 20 {
		t.Errorf("nonce %d, want 20", n)
	}
}

// TestForeignNonce uses an account from two clients: the nonce is the node's, and the next submission fits.
func TestForeignNonce(t *testing.T) {
	r := newDevRig(t)
	_, other := r.through(t, nil)
	alith := dev(t, "Alith")
	for i := range 6 {
		c := r.c
		if i%2 == 1 {
			c = other
		}
		done := start(t.Context(), c, alith, Remark([]byte{byte(i)}), nil)
		r.mineUntil(done, func(s submission) {
			if s.err != nil {
				t.Errorf("%d: %+v", i, s)
			}
		})
	}
}

// TestUsurped replaces a waiting transaction by another with the same nonce and a tip.
func TestUsurped(t *testing.T) {
	r := newDevRig(t)
	alith := dev(t, "Alith")
	r.chain.HoldTransactions(3)
	slow := start(t.Context(), r.c, alith, Remark([]byte("slow")), nil)
	r.pending(1)
	rt := r.c.rt.Load()
	body, err := rt.encodeCall(Remark([]byte("fast")))
	if err != nil {
		t.Fatal(err)
	}
	b, err := rt.sign(alith, body, &txContext{eraLen: 1, birth: rt.genesis, genesis: rt.genesis, specV: rt.version.SpecVersion, txVersion: rt.version.TransactionVersion, tip: chain.Tensor(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.c.Call(t.Context(), "author_submitExtrinsic", hexBytes(b)); err != nil {
		t.Fatal(err)
	}
	r.mineUntil(slow, func(s submission) {
		if !errors.Is(s.err, ErrUsurped) {
			t.Errorf("%+v, want ErrUsurped", s)
		}
	})
}

// badSigner signs something else.
type badSigner struct{ *account.Account }

func (b badSigner) Sign([]byte) ([]byte, error) { return b.Account.Sign([]byte("something else")) }

func TestRefusals(t *testing.T) {
	r := newDevRig(t)
	poor, err := account.FromMnemonic(account.DevMnemonic, 77)
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Signer{"Payment": poor, "BadProof": badSigner{dev(t, "Alith")}} {
		_, err := r.c.Submit(t.Context(), s, Remark(nil))
		var e *chain.InvalidTxError
		if !errors.As(err, &e) || e.Kind != want {
			t.Errorf("%v, want an InvalidTxError of kind %s", err, want)
		}
	}
	_, _, err = r.submit(dev(t, "Baltathar"), Sudo(Remark(nil)))
	var d *chain.DispatchError
	if !errors.As(err, &d) || d.Pallet != "Sudo" && d.Name != "BadOrigin" {
		t.Errorf("%v, want a DispatchError of Sudo", err)
	}
	if _, err := r.c.Submit(t.Context(), dev(t, "Alith"), RegisterValidator(chain.AccountID{}, chain.Balance{}, nil, nil)); !errors.Is(err, chain.ErrNotOnThisChain) {
		t.Errorf("%v, want ErrNotOnThisChain", err)
	}
}

// TestFeeEstimate compares the estimate with what is paid.
func TestFeeEstimate(t *testing.T) {
	r := newDevRig(t)
	alith := dev(t, "Alith")
	for _, call := range []Call{Transfer(chain.AccountID{9}, chain.Tensor(1)), ActivateSubnet(5), Remark(make([]byte, 300))} {
		want, err := r.c.FeeEstimate(t.Context(), alith.ID(), call)
		if err != nil {
			t.Fatal(err)
		}
		receipt, _, _ := r.submit(alith, call)
		// The nonce takes one byte up to 63, as the estimate assumes.
		if receipt.Fee != want {
			t.Errorf("%s: estimated %s, paid %s", call, want, receipt.Fee)
		}
	}
}

// TestJournal ends a client between sending and inclusion, and submits the same call with the next one: it is executed once.
func TestJournal(t *testing.T) {
	r := newDevRig(t)
	j, err := OpenJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	alith := dev(t, "Alith")
	call := Transfer(chain.AccountID{9}, chain.Tensor(1))
	_, first := r.through(t, func(cfg *Config) { cfg.Journal = j })
	done := start(t.Context(), first, alith, call, nil)
	r.pending(1)
	if err := first.Close(); err != nil { // the process dies
		t.Fatal(err)
	}
	if s := <-done; !errors.Is(s.err, ErrClosed) {
		t.Errorf("%+v, want ErrClosed", s)
	}
	r.mine(1) // what it had sent is executed
	if list, err := j.List(alith.ID()); err != nil || len(list) != 1 {
		t.Fatalf("journal %v, %v", list, err)
	}
	_, second := r.through(t, func(cfg *Config) { cfg.Journal = j })
	refused := errors.New("the chain would refuse it")
	refuse := WithCheck(func(context.Context) error { return refused })
	again := start(t.Context(), second, alith, call, nil, refuse) // is not asked about what was executed already
	r.mineUntil(again, func(s submission) {
		if s.err != nil || s.receipt.Block.Number != 1 {
			t.Errorf("%+v, want the receipt of block 1", s)
		}
	})
	if n := r.nonce(alith.ID()); n != 1 {
		t.Errorf("%d transactions were executed", n)
	}
	if list, err := j.List(alith.ID()); err != nil || len(list) != 0 {
		t.Errorf("journal %v, %v", list, err)
	}
	if _, err := second.Submit(t.Context(), alith, call, refuse); !errors.Is(err, refused) {
		t.Errorf("%v, want what the check said", err)
	}
	if n := r.nonce(alith.ID()); n != 1 {
		t.Errorf("%d transactions were executed after a check that failed", n)
	}
	r.mineUntil(start(t.Context(), second, alith, call, nil), func(s submission) { // now it is meant
		if s.err != nil {
			t.Errorf("%+v", s)
		}
	})
	if n := r.nonce(alith.ID()); n != 2 {
		t.Errorf("nonce %d after the second transfer", n)
	}
}

// TestChainRestarts ends the chain's RPC front while heads are followed, and brings it back on the same port.
func TestChainRestarts(t *testing.T) {
	r := newDevRig(t)
	heads, err := r.c.SubscribeHeads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-heads
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.c.Head(ctx, chain.Hash{}); !errors.Is(err, chain.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	serveDev(t, r.chain, r.url[len("ws://"):])
	r.mine(1)
	for h := range heads {
		if h.Number == 1 {
			break
		}
	}
}

// TestSubscriptions follows storage and finalized heads.
func TestSubscriptions(t *testing.T) {
	r := newDevRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := r.c.SubscribeStorage(ctx, Key{"System", "Number", nil})
	if err != nil {
		t.Fatal(err)
	}
	<-changes
	finalized, err := r.c.SubscribeFinalized(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.mine(5)
	for set := range changes {
		if len(set) == 1 && u32Of(set[0].Value) == 5 {
			break
		}
	}
	for h := range finalized {
		if h.Number == 3 { // two behind
			break
		}
	}
	cancel()
	for range changes {
	}
	for range finalized {
	}
}

// TestReads reads by all the ways of storage.go.
func TestReads(t *testing.T) {
	r := newDevRig(t)
	ctx := t.Context()
	alith := dev(t, "Alith").ID()
	r.mine(3)
	entries, err := r.c.Map(ctx, chain.Hash{}, "System", "Account")
	if err != nil || len(entries) < 6 {
		t.Fatalf("Map = %d entries, %v", len(entries), err)
	}
	ids := make([]chain.AccountID, len(entries))
	for i, e := range entries {
		copy(ids[i][:], e.Parts[0])
	}
	if !slices.Contains(ids, alith) {
		t.Error("Alith is not among the accounts")
	}
	many := make([]chain.AccountID, 0, 1200)
	for len(many) < 1200 {
		many = append(many, ids...)
	}
	list, err := r.c.Accounts(ctx, chain.Hash{}, many)
	if err != nil || list[slices.Index(many, alith)].Free != chain.Tensor(1_000_000) {
		t.Errorf("Accounts: %v", err)
	}
	at, err := r.c.BlockHash(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Get[uint32](ctx, r.c, at, "System", "Number"); err != nil || n != 2 {
		t.Errorf("System.Number at block 2 = %d, %v", n, err)
	}
	if v, err := r.c.QueryStorage(ctx, chain.Hash{}, "System", "Account", alith); err != nil {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := r.c.Constant("Balances", "ExistentialDeposit"); err != nil || v != u128.From64(500) {
		t.Errorf("ExistentialDeposit = %v, %v", v, err)
	}
	if v, err := r.c.RuntimeCall(ctx, chain.Hash{}, "AccountNonceApi", "account_nonce", alith); err != nil || v != uint64(0) {
		t.Errorf("account_nonce = %v, %v", v, err)
	}
	if _, err := r.c.BlockHash(ctx, 1000); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("block 1000: %v", err)
	}
	if _, err := Get[uint64](ctx, r.c, chain.Hash{}, "System", "Number"); err != nil {
		t.Errorf("a wider Go integer: %v", err)
	}
	if _, err := Get[uint16](ctx, r.c, chain.Hash{}, "System", "Number"); err == nil {
		t.Error("a narrower Go integer is taken")
	}
}
