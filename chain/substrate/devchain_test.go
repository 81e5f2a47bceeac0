package substrate

import (
	"context"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// devRig starts an embedded chain that makes blocks on demand, with its RPC on loopback, and dials it.
type devRig struct {
	rig
	chain *devchain.Chain
	url   string
	stop  func() // ends the RPC front
}

// startDev starts the chain; stop ends its RPC front and waits.
func startDev(t *testing.T, cfg devchain.Config) (c *devchain.Chain, url string, stop func()) {
	t.Helper()
	accounts := map[chain.AccountID]chain.Balance{}
	for _, name := range account.DevNames() {
		a, err := account.Dev(name)
		if err != nil {
			t.Fatal(err)
		}
		accounts[a.ID()] = chain.Tensor(1_000_000)
	}
	cfg.Genesis.Accounts = accounts
	c, err := devchain.New(cfg, native.New(native.Config{EpochLength: cfg.Genesis.EpochLength}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	url, stop = serveDev(t, c, "127.0.0.1:0")
	return c, url, stop
}

// serveDev starts an RPC front of a chain.
func serveDev(t *testing.T, c *devchain.Chain, listen string) (url string, stop func()) {
	t.Helper()
	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: listen})
	addr, err := srv.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return "ws://" + addr.String(), stop
}

func newDevRig(t *testing.T) *devRig {
	t.Helper()
	c, url, stop := startDev(t, devchain.Config{Seal: devchain.SealManual, FinalityLag: 2})
	client, err := Dial(t.Context(), Config{Endpoints: []string{url}, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, CallTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	mine := func(n int) {
		if _, err := c.Mine(n); err != nil {
			t.Error(err)
		}
	}
	return &devRig{rig{t, client, mine}, c, url, stop}
}

// TestLifecycle plays the life of a subnet on the embedded chain, as TestRealRuntime does on a real one.
func TestLifecycle(t *testing.T) {
	r := newDevRig(t)
	lifecycle(t, &r.rig)
}
