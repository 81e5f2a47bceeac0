package substrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

func TestDialReadsAccounts(t *testing.T) {
	f := newFakeNode(t)
	value := make([]byte, 80)
	value[0], value[16] = 5, 9
	f.handle("state_getStorage", func(*fakeConn, []json.RawMessage) (any, error) { return hexBytes(value), nil })
	c := dialFake(t, f)
	got, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{1})
	if err != nil || got.Nonce != 5 || got.Free.Uint64() != 9 {
		t.Errorf("AccountInfo = %+v, %v", got, err)
	}
	p, err := c.Params(t.Context())
	if err != nil || p.EpochLength != 20 || p.Generation != "G2" || p.Genesis != (chain.Hash{7}) {
		t.Errorf("Params = %+v, %v", p, err)
	}
}

// TestHostileAnswers lets a node answer a read in every wrong way.
func TestHostileAnswers(t *testing.T) {
	huge := `"0x` + strings.Repeat("00", 1<<20) + `"`
	cases := map[string]struct {
		raw  string // sent as it is, in place of the answer
		want error
	}{
		"no JSON":             {"}{", ErrProtocol},
		"nothing":             {"", ErrProtocol},
		"a number":            {"12", ErrProtocol},
		"an answer to nobody": {`{"jsonrpc":"2.0","id":"x","result":1}`, ErrProtocol},
		"an error to nobody":  {`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`, ErrProtocol},
		"64 MiB":              {`{"jsonrpc":"2.0","id":1,"result":` + strings.Repeat(" ", 64<<20) + "1}", ErrProtocol},
		"above the limit":     {`{"jsonrpc":"2.0","id":1,"result":` + huge + "}", ErrProtocol},
		"deep JSON":           {strings.Repeat("[", 100_000), ErrProtocol},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFakeNode(t)
			f.handle("state_getStorage", func(c *fakeConn, _ []json.RawMessage) (any, error) {
				c.send([]byte(k.raw))
				return nil, errSilence
			})
			c := dialFake(t, f)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := c.AccountInfo(ctx, chain.Hash{}, chain.AccountID{})
			if !errors.Is(err, chain.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			eventually(t, "the endpoint's refusal", func() bool { return f.called("state_getStorage") > 1 || c.Health()[0].Failures > 0 })
		})
	}
}

// TestHostileValues lets a node answer well-formed nonsense.
func TestHostileValues(t *testing.T) {
	for name, k := range map[string]struct {
		value any
		want  error
	}{
		"no hex":      {"0xzz", ErrProtocol},
		"odd hex":     {"0x0", ErrProtocol},
		"an object":   {map[string]int{"a": 1}, ErrProtocol},
		"too short":   {"0x00", scale.ErrMalformed},
		"trailing":    {"0x" + strings.Repeat("00", 81), scale.ErrMalformed},
		"empty value": {"0x", scale.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeNode(t)
			f.answer("state_getStorage", k.value)
			c := dialFake(t, f)
			if _, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{}); !errors.Is(err, k.want) {
				t.Errorf("got %v, want %v", err, k.want)
			}
		})
	}
}

// TestHangingNode answers nothing: the call ends at its deadline, and the client moves to the next endpoint.
func TestHangingNode(t *testing.T) {
	hang, good := newFakeNode(t), newFakeNode(t)
	hang.handle("state_getStorage", func(*fakeConn, []json.RawMessage) (any, error) { return nil, errSilence })
	good.answer("state_getStorage", nil)
	c, err := Dial(t.Context(), Config{Endpoints: []string{hang.url, good.url}, CallTimeout: time.Second, MinBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	begin := time.Now()
	if _, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{}); !errors.Is(err, chain.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrUnavailable by DeadlineExceeded", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	eventually(t, "the change of endpoints", func() bool {
		_, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{})
		return err == nil
	})
	if h := c.Health(); !h[1].Active || h[0].Err == nil {
		t.Errorf("health: %+v", h)
	}
}

// TestOtherChain refuses an endpoint of another chain, at the start and after a reconnect.
func TestOtherChain(t *testing.T) {
	ours, theirs := newFakeNode(t), newFakeNode(t)
	theirs.answer("chain_getBlockHash", chain.Hash{8})
	if _, err := Dial(t.Context(), Config{Endpoints: []string{theirs.url}, Genesis: chain.Hash{7}}); !errors.Is(err, ErrWrongChain) || !errors.Is(err, chain.ErrUnavailable) {
		t.Errorf("Dial: %v, want ErrWrongChain", err)
	}
	c := dialFake(t, ours, theirs)
	ours.answer("state_getStorage", nil)
	ours.dropAll()
	eventually(t, "the reconnect", func() bool {
		_, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{})
		return err == nil && c.Health()[0].Active
	})
	if c.Genesis() != (chain.Hash{7}) {
		t.Error("the chain has changed")
	}
}

// TestWrongMetadata refuses nodes whose metadata cannot be used.
func TestWrongMetadata(t *testing.T) {
	good := fakeMetadata(t)
	old := bytes.Clone(good)
	old[4] = 13
	bomb := []byte("meta\x0e\xfe\xff\xff\xff") // 2^30 types announced
	for name, k := range map[string]struct {
		b    []byte
		want error
	}{
		"cut off":     {good[:len(good)/2], scale.ErrMalformed},
		"version 13":  {old, metadata.ErrVersion},
		"no metadata": {[]byte("hello"), scale.ErrMalformed},
		"empty":       {nil, scale.ErrMalformed},
		"bomb":        {bomb, scale.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeNode(t)
			f.answer("state_getMetadata", hexBytes(k.b))
			if _, err := Dial(t.Context(), Config{Endpoints: []string{f.url}}); !errors.Is(err, k.want) {
				t.Errorf("Dial: %v, want %v", err, k.want)
			}
		})
	}
}

// TestMemoryStaysBounded feeds answers of the largest allowed size and looks at the heap.
func TestMemoryStaysBounded(t *testing.T) {
	f := newFakeNode(t)
	f.answer("state_getStorage", "0x"+strings.Repeat("00", 400<<10))
	c := dialFake(t, f)
	for range 20 {
		if _, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{}); !errors.Is(err, scale.ErrMalformed) {
			t.Fatalf("got %v", err)
		}
	}
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("heap of %d MiB", m.HeapAlloc>>20)
	}
}

// TestUnreachable says which endpoint failed and why.
func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Dial(t.Context(), Config{Endpoints: []string{url}})
	if !errors.Is(err, chain.ErrUnavailable) || !strings.Contains(err.Error(), url) {
		t.Errorf("Dial: %v", err)
	}
	for _, bad := range []Config{{}, {Endpoints: []string{"ftp://x"}}, {Endpoints: []string{"ws://x"}, Era: 7}, {Endpoints: []string{"ws://x"}, CallTimeout: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is valid", bad)
		}
	}
}

// TestCanceledCall returns at once, and the connection stays good.
func TestCanceledCall(t *testing.T) {
	f := newFakeNode(t)
	reached := make(chan struct{})
	f.handle("state_getStorage", func(*fakeConn, []json.RawMessage) (any, error) {
		close(reached)
		return nil, errSilence
	})
	c := dialFake(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	if _, err := c.AccountInfo(ctx, chain.Hash{}, chain.AccountID{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	f.answer("state_getStorage", nil)
	if _, err := c.AccountInfo(t.Context(), chain.Hash{}, chain.AccountID{}); err != nil {
		t.Error(err)
	}
	if h := c.Health()[0]; h.Failures != 0 {
		t.Errorf("health: %+v", h)
	}
}

// TestHeadsResume cuts the connection: the channel stays open and goes on. Only the end of ctx closes it.
func TestHeadsResume(t *testing.T) {
	f := newFakeNode(t)
	n := 0
	f.handle("chain_subscribeNewHeads", func(c *fakeConn, _ []json.RawMessage) (any, error) {
		n++
		c.notify("chain_newHead", "h", fakeHeader(100*n)) // before the answer, as may happen
		return "h", nil
	})
	c := dialFake(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	heads, err := c.SubscribeHeads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if h := <-heads; h.Number != 100 || h.Hash.IsZero() {
		t.Errorf("first head %+v", h)
	}
	f.dropAll()
	if h := <-heads; h.Number != 200 {
		t.Errorf("head after the reconnect %+v", h)
	}
	cancel()
	if h, ok := <-heads; ok {
		t.Errorf("head %+v after the end", h)
	}
}

// TestSlowReaderGetsNewest fills the channel: the newest head replaces the one that was not read.
func TestSlowReaderGetsNewest(t *testing.T) {
	f := newFakeNode(t)
	subscriptions := 0
	f.handle("chain_subscribeNewHeads", func(c *fakeConn, _ []json.RawMessage) (any, error) {
		subscriptions++ // a reader that is left too far behind subscribes again
		id, from := fmt.Sprintf("h%d", subscriptions), 1
		if subscriptions > 1 {
			from = 1000
		}
		go func() {
			for n := from; n <= 1000; n++ {
				c.notify("chain_newHead", id, fakeHeader(n))
			}
		}()
		return id, nil
	})
	c := dialFake(t, f)
	heads, err := c.SubscribeHeads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := chain.BlockNumber(0)
	for h := range heads {
		if h.Number <= last {
			t.Fatalf("head %d after %d", h.Number, last)
		}
		if last = h.Number; last == 1000 {
			return
		}
	}
}

// TestUpgradeReloadsMetadata announces a new runtime with other metadata.
func TestUpgradeReloadsMetadata(t *testing.T) {
	f := newFakeNode(t)
	ready := make(chan *fakeConn, 1)
	f.handle("state_subscribeRuntimeVersion", func(c *fakeConn, _ []json.RawMessage) (any, error) {
		ready <- c
		return "rv", nil
	})
	c := dialFake(t, f)
	if err := c.Supports(ActivateSubnet(1)); err != nil {
		t.Fatal(err)
	}
	m, err := metadata.Decode(fakeMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	m.Pallets[1].Constants[0].Value = []byte{100, 0, 0, 0}
	b, err := m.EncodeV14()
	if err != nil {
		t.Fatal(err)
	}
	next := RuntimeVersion{SpecName: "fake", SpecVersion: 2, TransactionVersion: 1}
	f.answer("state_getMetadata", hexBytes(b))
	f.answer("state_getRuntimeVersion", next)
	(<-ready).notify("state_runtimeVersion", "rv", next)
	eventually(t, "the reload", func() bool {
		p, err := c.Params(t.Context())
		return err == nil && p.EpochLength == 100 && c.Version().SpecVersion == 2
	})
}

// TestLacksCalls gives a typed error for what the chain does not have.
func TestLacksCalls(t *testing.T) {
	c := dialFake(t, newFakeNode(t))
	if err := c.Supports(RegisterValidator(chain.AccountID{}, chain.Balance{}, nil, nil)); !errors.Is(err, chain.ErrNotOnThisChain) {
		t.Errorf("got %v, want ErrNotOnThisChain", err)
	}
	if _, err := c.QueryStorage(t.Context(), chain.Hash{}, "Network", "Nothing"); !errors.Is(err, chain.ErrNotOnThisChain) {
		t.Errorf("got %v, want ErrNotOnThisChain", err)
	}
}

// TestUnknownExtension reads such a chain and refuses to sign for it, by name.
func TestUnknownExtension(t *testing.T) {
	f := newFakeNode(t)
	m, err := metadata.Decode(fakeMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	m.Extrinsic.SignedExtensions[0].Identifier = "CheckMoon"
	b, err := m.EncodeV14()
	if err != nil {
		t.Fatal(err)
	}
	f.answer("state_getMetadata", hexBytes(b))
	c := dialFake(t, f)
	_, err = c.FeeEstimate(t.Context(), chain.AccountID{}, ActivateSubnet(1))
	if !errors.Is(err, ErrUnknownExtension) || !strings.Contains(err.Error(), "CheckMoon") {
		t.Errorf("got %v, want ErrUnknownExtension with its name", err)
	}
}
