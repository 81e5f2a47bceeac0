package p2p_test

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tcpAddr  = "/ip4/127.0.0.1/tcp/0"
	quicAddr = "/ip4/127.0.0.1/udp/0/quic-v1"
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func addr(t testing.TB, text string) multiaddr.Multiaddr {
	t.Helper()
	a, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newHost makes a host on loopback; it is closed with the test.
func newHost(t testing.TB, change func(*p2p.Config)) *p2p.Host {
	t.Helper()
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	cfg := p2p.Config{Key: key, Listen: []multiaddr.Multiaddr{addr(t, tcpAddr)}}
	if change != nil {
		change(&cfg)
	}
	h, err := p2p.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// eventually polls a condition that another goroutine makes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		<-tick.C
	}
}

func TestConnect(t *testing.T) {
	for _, text := range []string{tcpAddr, quicAddr} {
		t.Run(text, func(t *testing.T) {
			ctx := testContext(t)
			listen := func(c *p2p.Config) { c.Listen = []multiaddr.Multiaddr{addr(t, text)} }
			a, b := newHost(t, listen), newHost(t, listen)
			if err := a.Connect(ctx, b.AddrInfo()); err != nil {
				t.Fatal(err)
			}
			if !a.Connected(b.ID()) {
				t.Error("not connected")
			}
			if err := a.Connect(ctx, a.AddrInfo()); err != nil {
				t.Errorf("to oneself: %v", err)
			}
			infos, err := p2p.ParsePeers([]string{b.Addrs()[0].String()})
			if err != nil || len(infos) != 1 || infos[0].ID != b.ID() {
				t.Errorf("ParsePeers: %v, %v", infos, err)
			}
		})
	}
}

func TestGateRefusesBothWays(t *testing.T) {
	ctx := testContext(t)
	open, other := newHost(t, nil), newHost(t, nil)
	closed := newHost(t, func(c *p2p.Config) {
		c.Gate = p2p.GateFunc(func(p peer.ID) p2p.Decision { return p2p.Decision{Reason: "no stake"} })
		c.Allow = []peer.ID{other.ID()}
	})
	if err := closed.Connect(ctx, open.AddrInfo()); err == nil {
		t.Error("dialled a peer that the gate refuses")
	}
	// The dialler may see its handshake succeed; the connection must be gone then.
	if err := open.Connect(ctx, closed.AddrInfo()); err == nil {
		eventually(t, "refused connection is closed", func() bool { return !open.Connected(closed.ID()) })
	}
	if closed.Connected(open.ID()) {
		t.Error("admitted a stranger")
	}
	if err := closed.Connect(ctx, other.AddrInfo()); err != nil {
		t.Errorf("allowed peer: %v", err)
	}
	eventually(t, "both refusals counted", func() bool { return closed.RefusalCounts()["no stake"] >= 2 })
	inbound, outbound := false, false
	for _, r := range closed.Refusals() {
		if r.Peer != open.ID() || r.Reason != "no stake" {
			t.Errorf("refusal %+v", r)
		}
		inbound, outbound = inbound || r.Inbound, outbound || !r.Inbound
	}
	if !inbound || !outbound {
		t.Errorf("inbound %v, outbound %v; want both", inbound, outbound)
	}
}

func TestGateFailsClosed(t *testing.T) {
	ctx := testContext(t)
	a := newHost(t, nil)
	b := newHost(t, func(c *p2p.Config) {
		c.Gate = p2p.GateFunc(func(peer.ID) p2p.Decision { panic("broken gate") })
	})
	if err := b.Connect(ctx, a.AddrInfo()); err == nil {
		t.Error("a broken gate admitted a peer")
	}
	if got := b.RefusalCounts()["gate failed"]; got == 0 {
		t.Error("not counted")
	}
}

func TestEnforceGate(t *testing.T) {
	ctx := testContext(t)
	member := make(chan bool, 1)
	member <- true
	a := newHost(t, nil)
	b := newHost(t, func(c *p2p.Config) {
		c.Gate = p2p.GateFunc(func(peer.ID) p2p.Decision {
			ok := <-member
			member <- ok
			return p2p.Decision{OK: ok, Reason: "stake withdrawn"}
		})
	})
	if err := b.Connect(ctx, a.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	if n := b.EnforceGate(); n != 0 {
		t.Fatalf("dropped %d members", n)
	}
	<-member
	member <- false
	if n := b.EnforceGate(); n != 1 {
		t.Fatalf("dropped %d peers, want 1", n)
	}
	eventually(t, "connection is closed", func() bool { return !a.Connected(b.ID()) })
}

func TestPortInUse(t *testing.T) {
	for _, text := range []string{tcpAddr, quicAddr} {
		a := newHost(t, func(c *p2p.Config) { c.Listen = []multiaddr.Multiaddr{addr(t, text)} })
		taken := a.AddrInfo().Addrs[0]
		key, err := identity.Generate(identity.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		h, err := p2p.New(p2p.Config{Key: key, Listen: []multiaddr.Multiaddr{taken}})
		var inUse *p2p.AddrInUseError
		if !errors.As(err, &inUse) || !inUse.Addr.Equal(taken) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("New on %s = %v, %v", taken, h, err)
		}
	}
}

func TestRoutedConnect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*p2p.Config)
	}{
		{"native", func(c *p2p.Config) { c.Namespace = "/mesh/00000000/1" }},
		{"python", func(c *p2p.Config) { c.PythonCompat = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := testContext(t)
			boot, a, b := newHost(t, tt.change), newHost(t, tt.change), newHost(t, tt.change)
			for _, h := range []*p2p.Host{a, b} {
				if err := h.Connect(ctx, boot.AddrInfo()); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "bootnode knows b's addresses", func() bool {
				return len(boot.Libp2p().Peerstore().Addrs(b.ID())) > 0
			})
			if err := a.Connect(ctx, peer.AddrInfo{ID: b.ID()}); err != nil {
				t.Fatal(err)
			}
			stranger := newHost(t, nil)
			if err := a.Connect(ctx, peer.AddrInfo{ID: stranger.ID()}); err == nil {
				t.Error("found a peer that nobody knows")
			}
		})
	}
}

func TestAddressBookSurvivesRestart(t *testing.T) {
	ctx := testContext(t)
	path := filepath.Join(t.TempDir(), "peers.json")
	a := newHost(t, nil)
	b := newHost(t, func(c *p2p.Config) { c.AddressBook = path })
	if err := b.Connect(ctx, a.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	c := newHost(t, func(c *p2p.Config) { c.AddressBook = path })
	known := c.KnownPeers()
	if len(known) != 1 || known[0].ID != a.ID() {
		t.Fatalf("KnownPeers = %v", known)
	}
	if err := c.Connect(ctx, peer.AddrInfo{ID: a.ID()}); err != nil {
		t.Errorf("connect from the book: %v", err)
	}
}

func TestRelayedConnect(t *testing.T) {
	ctx := testContext(t)
	relay := newHost(t, func(c *p2p.Config) { c.RelayService = true; c.Reachability = p2p.ReachabilityPublic })
	hidden := newHost(t, func(c *p2p.Config) {
		c.Listen = nil
		c.StaticRelays = []peer.AddrInfo{relay.AddrInfo()}
		c.Reachability = p2p.ReachabilityPrivate
	})
	eventually(t, "reservation", func() bool { return len(hidden.AddrInfo().Addrs) > 0 || hasCircuit(relay, hidden) })
	via := addr(t, relay.Addrs()[0].String()+"/p2p-circuit")
	caller := newHost(t, nil)
	var err error
	eventually(t, "connected through the relay", func() bool {
		err = caller.Connect(ctx, peer.AddrInfo{ID: hidden.ID(), Addrs: []multiaddr.Multiaddr{via}})
		return err == nil || ctx.Err() != nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := caller.Libp2p().Network().Connectedness(hidden.ID()); got != network.Limited {
		t.Errorf("connectedness = %v, want limited", got)
	}
}

func hasCircuit(relay, hidden *p2p.Host) bool { return relay.Connected(hidden.ID()) }

func TestParseRefusals(t *testing.T) {
	if _, err := p2p.ParseAddrs([]string{"127.0.0.1:1"}); err == nil {
		t.Error("ParseAddrs took no multiaddress")
	}
	if _, err := p2p.ParsePeers([]string{tcpAddr}); err == nil {
		t.Error("ParsePeers took an address without a peer ID")
	}
}

func TestConfigValidate(t *testing.T) {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]p2p.Config{
		"no key":        {},
		"no transport":  {Key: key, DisableTCP: true, DisableQUIC: true},
		"announce zero": {Key: key, Announce: []multiaddr.Multiaddr{addr(t, tcpAddr)}},
		"limits":        {Key: key, Limits: p2p.Limits{ConnsLow: 10, ConnsHigh: 5}},
		"conns":         {Key: key, Limits: p2p.Limits{Conns: 10}},
	} {
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := p2p.Config{Key: key}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestIdentityTaken(t *testing.T) {
	ctx := testContext(t)
	native := func(c *p2p.Config) { c.Namespace = "/mesh/00000000/1" }
	boot, member := newHost(t, native), newHost(t, native)
	if err := member.Connect(ctx, boot.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bootnode knows the member's addresses", func() bool {
		return len(boot.Libp2p().Peerstore().Addrs(member.ID())) > 0
	})
	free, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	freeID, err := identity.PeerID(free)
	if err != nil {
		t.Fatal(err)
	}
	via := []peer.AddrInfo{boot.AddrInfo()}
	cfg := p2p.Config{Namespace: "/mesh/00000000/1"}
	for id, want := range map[peer.ID]bool{member.ID(): true, boot.ID(): true, freeID: false} {
		if got, err := p2p.IdentityTaken(ctx, id, via, cfg); err != nil || got != want {
			t.Errorf("%s taken: %v, %v; want %v", id, got, err, want)
		}
	}
	gone := boot.AddrInfo()
	if err := boot.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p2p.IdentityTaken(ctx, freeID, []peer.AddrInfo{gone}, cfg); err == nil {
		t.Error("no error although nobody could be asked")
	}
}

// A host with everything switched on starts, says what it measures, and leaves nothing behind.
func TestEverythingOn(t *testing.T) {
	relay := newHost(t, nil)
	metrics := prometheus.NewRegistry()
	h := newHost(t, func(c *p2p.Config) {
		c.Listen = []multiaddr.Multiaddr{addr(t, tcpAddr), addr(t, quicAddr)}
		c.StaticRelays = []peer.AddrInfo{relay.AddrInfo()}
		c.RelayService, c.HolePunching, c.AutoNAT, c.PythonCompat = true, true, true, true
		c.Namespace, c.UserAgent = "/mesh/00000000/1", "test"
		c.AddressBook = filepath.Join(t.TempDir(), "peers.json")
		c.Metrics = metrics
	})
	if len(h.Addrs()) < 2 {
		t.Errorf("addresses: %v", h.Addrs())
	}
	if err := relay.Connect(testContext(t), h.AddrInfo()); err != nil {
		t.Fatal(err)
	}
	families, err := metrics.Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("%d metric families, %v", len(families), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Run(ctx); err != nil {
		t.Error(err)
	}
}

// Announced addresses replace all others.
func TestAnnounceIsExact(t *testing.T) {
	fixed := addr(t, "/ip4/203.0.113.7/tcp/4001")
	h := newHost(t, func(c *p2p.Config) { c.Announce = []multiaddr.Multiaddr{fixed} })
	if got := h.AddrInfo().Addrs; len(got) != 1 || !got[0].Equal(fixed) {
		t.Errorf("announces %v", got)
	}
}
