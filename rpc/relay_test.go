package rpc_test

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Calls work over relayed connections, unless a method wants a direct one.
func TestRelayedCalls(t *testing.T) {
	ctx := testContext(t)
	start := func(cfg p2p.Config, listen ...string) *p2p.Host {
		var err error
		if cfg.Key, err = identity.Generate(identity.Ed25519); err != nil {
			t.Fatal(err)
		}
		if cfg.Listen, err = p2p.ParseAddrs(listen); err != nil {
			t.Fatal(err)
		}
		h, err := p2p.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
		return h
	}
	relay := start(p2p.Config{RelayService: true, Reachability: p2p.ReachabilityPublic}, tcpAddr)
	hidden := start(p2p.Config{StaticRelays: []peer.AddrInfo{relay.AddrInfo()}, Reachability: p2p.ReachabilityPrivate})
	caller := start(p2p.Config{}, tcpAddr)

	for _, python := range []bool{false, true} {
		namespace := map[bool]string{false: "/one", true: "/two"}[python]
		server := rpc.NewNode(hidden, rpc.Config{Namespace: "/one", Python: true})
		client := rpc.NewNode(caller, rpc.Config{Namespace: namespace, Python: true})
		server.Handle("Test.any", echoHandler)
		server.Handle("Test.direct", echoHandler, rpc.WithDirectOnly())
		server.HandleStream("Test.sum", sumHandler)

		via, err := multiaddr.NewMultiaddr(relay.Addrs()[0].String() + "/p2p-circuit")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "connected through the relay", func() bool {
			return caller.Connect(ctx, peer.AddrInfo{ID: hidden.ID(), Addrs: []multiaddr.Multiaddr{via}}) == nil
		})
		if got := caller.Libp2p().Network().Connectedness(hidden.ID()); got != network.Limited {
			t.Errorf("connectedness %v", got)
		}
		if got, err := client.Call(ctx, hidden.ID(), "Test.any", []byte("x")); err != nil || string(got) != "x" {
			t.Errorf("python %v: %q, %v", python, got, err)
		}
		if _, err := client.Call(ctx, hidden.ID(), "Test.direct", nil); rpc.CodeOf(err) != rpc.Unavailable || !rpc.IsRemote(err) {
			t.Errorf("python %v: direct only: %v", python, err)
		}
		if !python {
			// the kept stream goes through the relay; with a direct connection the next call leaves it
			if err := hidden.Libp2p().Connect(network.WithForceDirectDial(ctx, "test"), caller.AddrInfo()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a direct connection", func() bool { return caller.Direct(hidden.ID()) })
			if _, err := client.Call(ctx, hidden.ID(), "Test.direct", nil); err != nil {
				t.Errorf("direct call: %v", err)
			}
			for _, c := range caller.Libp2p().Network().ConnsToPeer(hidden.ID()) {
				if !c.Stat().Limited {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		}
		s := openStream(ctx, t, client, server, "Test.sum")
		if err := s.CloseSend(); err != nil {
			t.Error(err)
		}
		if got, err := s.Recv(); err != nil || string(got) != "0" {
			t.Errorf("python %v: stream: %q, %v", python, got, err)
		}
		for _, n := range []*rpc.Node{client, server} {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
