package p2p

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/identity"
)

func TestBegins(t *testing.T) {
	for _, tt := range []struct {
		in, out int
		want    [2]bool // of a, of b
	}{
		{0, 0, [2]bool{false, false}},
		{1, 0, [2]bool{true, false}},
		{0, 2, [2]bool{false, true}},
		{2, 1, [2]bool{false, true}}, // each has connected to the other
	} {
		if got := [2]bool{begins("a", "b", tt.in, tt.out), begins("b", "a", tt.out, tt.in)}; got != tt.want {
			t.Errorf("%d connections by b, %d by a: %v begin, want %v", tt.in, tt.out, got, tt.want)
		}
	}
}

// upgradeHost is a host whose attempts the test answers. The library's own service stays silent: loopback addresses are not worth a
// hole to it.
type upgradeHost struct {
	*Host
	u      *upgrader
	began  chan peer.ID
	answer chan error
}

func newUpgradeHost(t *testing.T, cfg Config) *upgradeHost {
	t.Helper()
	var err error
	if cfg.Key, err = identity.Generate(identity.Ed25519); err != nil {
		t.Fatal(err)
	}
	if cfg.Listen, err = ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"}); err != nil {
		t.Fatal(err)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	x := &upgradeHost{Host: h, began: make(chan peer.ID, 1), answer: make(chan error)}
	x.u = newUpgrader(h.h, func(p peer.ID) error { x.began <- p; return <-x.answer }, slog.New(slog.DiscardHandler))
	h.upgrade = x.u
	return x
}

// tried tells whether a step begins an attempt, and ends it.
func (x *upgradeHost) tried(now time.Time, outcome error) bool {
	x.u.step(now)
	if len(x.u.slots) == 0 {
		return false
	}
	<-x.began
	x.answer <- outcome
	x.u.tries.Wait()
	return true
}

// TestRelayedConnectionsAreUpgraded wants the peer that was connected to through a relay to try again, ever more rarely, and the relayed
// connection to go when there is a direct one.
func TestRelayedConnectionsAreUpgraded(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	relay := newUpgradeHost(t, Config{RelayService: true}) // public, because it relays
	private := Config{StaticRelays: []peer.AddrInfo{relay.AddrInfo()}, Reachability: ReachabilityPrivate, HolePunching: true}
	hidden, caller := newUpgradeHost(t, private), newUpgradeHost(t, private)
	if relay.Reachability() != ReachabilityPublic || hidden.Reachability() != ReachabilityPrivate {
		t.Errorf("relay is %s, the node behind it %s", relay.Reachability(), hidden.Reachability())
	}
	via, err := multiaddr.NewMultiaddr(relay.Addrs()[0].String() + "/p2p-circuit")
	if err != nil {
		t.Fatal(err)
	}
	poll(t, "a connection through the relay", func() bool {
		return caller.Connect(ctx, peer.AddrInfo{ID: hidden.ID(), Addrs: []multiaddr.Multiaddr{via}}) == nil
	})
	poll(t, "the connection at the other end", func() bool { return hidden.Connected(caller.ID()) })

	now := time.Now()
	if hidden.tried(now, nil) {
		t.Error("tried without a public address of its own")
	}
	silent := func(s network.Stream) { _ = s.Reset() }
	hidden.h.SetStreamHandler(holepunch.Protocol, silent) // as the library does when it has one
	if hidden.tried(now, nil) {
		t.Error("tried with a peer that cannot")
	}
	caller.h.SetStreamHandler(holepunch.Protocol, silent)
	poll(t, "the peer to say that it can", func() bool { return hidden.u.punches(caller.ID()) })

	if caller.tried(now, nil) {
		t.Error("the peer that has connected tried")
	}
	for i, wait := range []time.Duration{0, upgradeBackoff, 2 * upgradeBackoff, 4 * upgradeBackoff} {
		if wait > 0 && hidden.tried(now.Add(wait-time.Millisecond), nil) {
			t.Errorf("attempt %d came before %v", i+1, wait)
		}
		now = now.Add(wait)
		if !hidden.tried(now, errors.New("no hole")) {
			t.Errorf("attempt %d was not made after %v", i+1, wait)
		}
	}

	if err := hidden.h.Connect(network.WithForceDirectDial(ctx, "test"), caller.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	if !hidden.Direct(caller.ID()) {
		t.Error("not direct")
	}
	relayed := func() int { _, in, out := connsTo(hidden.h, caller.ID()); return len(in) + len(out) }
	hidden.tried(time.Now(), nil)
	if relayed() != 1 {
		t.Errorf("%d relayed connections at once after the direct one", relayed())
	}
	if hidden.tried(time.Now().Add(relayedGrace+time.Second), nil) {
		t.Error("tried in spite of a direct connection")
	}
	poll(t, "the relayed connection to go", func() bool { return relayed() == 0 })
	if !hidden.Direct(caller.ID()) {
		t.Error("the direct connection is gone as well")
	}
}

// poll waits for what other goroutines of the library bring about.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited too long for %s", what)
		}
	}
}
