package p2p_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/internal/virtualnet"
	"github.com/hypertensor-blockchain/mesh/p2p"
)

// virtualHost makes a host on a machine of its own.
func virtualHost(t *testing.T, network *virtualnet.Network, change func(*p2p.Config)) (*p2p.Host, *virtualnet.Machine) {
	t.Helper()
	m := network.Attach()
	h := newHost(t, func(c *p2p.Config) {
		c.Listen, c.ListenUDP, c.Namespace = []multiaddr.Multiaddr{m.QUIC()}, m.ListenUDP, "/mesh/test/1"
		if change != nil {
			change(c)
		}
	})
	return h, m
}

// TestHostsOnAVirtualNetwork runs hosts over sockets that are not the operating system's: they announce the address of
// their machine, connect, refuse, and notice who is gone, all in virtual time.
func TestHostsOnAVirtualNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := virtualnet.New(25 * time.Millisecond)
		a, _ := virtualHost(t, network, nil)
		b, machine := virtualHost(t, network, nil)
		picky, _ := virtualHost(t, network, func(c *p2p.Config) {
			c.Gate = p2p.GateFunc(func(p peer.ID) p2p.Decision { return p2p.Decision{OK: p != a.ID(), Reason: "not a member"} })
		})
		dialer := newHost(t, func(c *p2p.Config) { c.Listen, c.ListenUDP = nil, network.Attach().ListenUDP })

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if addrs := b.AddrInfo().Addrs; len(addrs) != 1 || !addrs[0].Equal(machine.QUIC()) {
			t.Errorf("announced %v", addrs)
		}
		start := time.Now()
		for _, h := range []*p2p.Host{a, dialer, picky} {
			if err := h.Connect(ctx, b.AddrInfo()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 300*time.Millisecond || took > time.Second {
			t.Errorf("three handshakes over 50 ms took %v", took)
		}
		if err := picky.Connect(ctx, a.AddrInfo()); err == nil {
			t.Error("the gate is not asked")
		}
		if taken, err := p2p.IdentityTaken(ctx, b.ID(), []peer.AddrInfo{b.AddrInfo()}, p2p.Config{ListenUDP: network.Attach().ListenUDP}); err != nil || !taken {
			t.Errorf("IdentityTaken = %v, %v", taken, err)
		}
		machine.Unplug()
		time.Sleep(time.Minute)
		for _, h := range []*p2p.Host{a, dialer, picky} {
			if h.Connected(b.ID()) {
				t.Error("still connected to a machine that is gone for a minute")
			}
		}
	})
}

func TestListenUDPNeedsQUIC(t *testing.T) {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	cfg := p2p.Config{Key: key, ListenUDP: virtualnet.New(0).Attach().ListenUDP}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg.DisableQUIC = true
	if err := cfg.Validate(); err == nil {
		t.Error("a host without any transport is accepted")
	}
}
