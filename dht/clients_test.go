package dht_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// TestClientsMayShareAnIdentity: clients are called by nobody, so that several may run with one key file at once.
func TestClientsMayShareAnIdentity(t *testing.T) {
	m := swarm(t, 3, quiet())
	key := must(identity.Generate(identity.Ed25519))
	ctx := testContext(t)
	var clients []*member
	for range 4 {
		c := launch(t, withBootstrap(clientMode(quiet()), m...), func(pc *p2p.Config, _ *rpc.Config) { pc.Key = key })
		waitReady(t, c)
		clients = append(clients, c)
	}
	for round := range 5 {
		for i, c := range clients {
			k := record.KeyOfText(fmt.Sprint(round, i))
			if _, err := c.Store(ctx, dht.StoreRequest{Key: k, Value: i, Expiration: in(time.Minute)}); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			if v, err := clients[(i+1)%4].Get(ctx, k, dht.Latest()); err != nil || must(v.Decode()) != int64(i) {
				t.Errorf("client %d: %v", (i+1)%4, err)
			}
		}
	}
	if m[0].knows(clients[0].Host.ID()) {
		t.Error("a client is in a table")
	}
}

// TestNodeBehindARelay: a node that listens nowhere is reached through a relay, and not without one.
func TestNodeBehindARelay(t *testing.T) {
	relay := launch(t, quiet(), func(pc *p2p.Config, _ *rpc.Config) { pc.RelayService, pc.Reachability = true, p2p.ReachabilityPublic })
	waitReady(t, relay)
	hide := func(pc *p2p.Config, _ *rpc.Config) { pc.Listen, pc.Reachability = nil, p2p.ReachabilityPrivate }
	hidden := launch(t, withBootstrap(quiet(), relay), hide, func(pc *p2p.Config, _ *rpc.Config) {
		pc.StaticRelays = []peer.AddrInfo{relay.info()}
	})
	waitReady(t, hidden)
	alone := launch(t, withBootstrap(quiet(), relay), hide, func(pc *p2p.Config, _ *rpc.Config) { pc.DisableRelay = true })
	waitReady(t, alone)
	caller := launch(t, quiet(), hide) // nor may the last one find it and call first
	waitReady(t, caller)
	ctx := testContext(t)
	via := func(m *member) peer.AddrInfo {
		return peer.AddrInfo{ID: m.Host.ID(), Addrs: []multiaddr.Multiaddr{listen(t, relay.Host.Addrs()[0].String()+"/p2p-circuit")[0]}}
	}
	eventually(t, "connected through the relay", func() bool { return caller.Host.Connect(ctx, via(hidden)) == nil })
	if got := caller.Host.Libp2p().Network().Connectedness(hidden.Host.ID()); got != network.Limited {
		t.Errorf("connectedness %v", got)
	}
	if res, err := caller.Ping(ctx, hidden.Host.ID(), true); err != nil || kad.ID(res.ID) != hidden.ID() || !res.Available {
		t.Errorf("through the relay: %+v, %v", res, err)
	}
	if err := caller.Host.Connect(ctx, via(alone)); err == nil {
		t.Error("connected to a node without relay")
	}
	if _, err := caller.Ping(ctx, alone.Host.ID(), false); err == nil {
		t.Error("a node without relay answered")
	}
}

// TestCancelledGets: whoever gives up a get waits no longer, and when nobody waits for a key its search ends.
func TestCancelledGets(t *testing.T) {
	silent := newStranger(t)
	stop := make(chan struct{})
	silent.serveFind(func(wire.FindRequest, *wire.FindResponse) { <-stop })
	cfg := quiet()
	cfg.CallTimeout, cfg.SearchTimeout = time.Minute, time.Minute
	m := launch(t, cfg)
	silent.befriend(m)
	defer close(stop)
	var keys []record.Key
	for i := range 20 {
		keys = append(keys, record.KeyOfText(fmt.Sprint(i)))
	}
	ctx, cancel := context.WithCancel(testContext(t))
	one, giveUp := context.WithCancel(ctx)
	over := make(chan error, 2)
	go func() { // received below
		_, err := m.Get(one, keys[0], dht.Latest())
		over <- err
	}()
	many := m.GetEach(ctx, keys, dht.Latest())
	eventually(t, "all keys are searched", func() bool {
		n, waiters := m.Pending()
		return n == len(keys) && waiters == len(keys)+1
	})
	giveUp()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("the one: %v", err)
	}
	if n, waiters := m.Pending(); n != len(keys) || waiters != len(keys) {
		t.Errorf("%d keys, %d gets are left", n, waiters)
	}
	cancel()
	got := 0
	for res := range many {
		if !errors.Is(res.Err, context.Canceled) {
			t.Errorf("%v: %v", res.Key, res.Err)
		}
		got++
	}
	if got != len(keys) {
		t.Errorf("%d results", got)
	}
	eventually(t, "the searches end", func() bool {
		n, _ := m.Pending()
		return n == 0 && m.Stats().Searches == 0
	})
}

// TestJoinFailsWithTheReason: nobody answers, nobody can call back, or the clocks differ.
func TestJoinFailsWithTheReason(t *testing.T) {
	offset := time.Duration(0)
	boot := func(available bool, offset time.Duration) *stranger {
		s := newStranger(t)
		id := s.id()
		s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
			return (&wire.PingResponse{
				Peer: wire.NodeInfo{ID: id[:]}, Available: available, Time: float64(record.ExpirationAt(time.Now().Add(offset))),
			}).Append(nil), nil
		})
		s.Calls.Handle(dht.MethodFind, func(context.Context, *rpc.Request) ([]byte, error) {
			return (&wire.FindResponse{Peer: wire.NodeInfo{ID: id[:]}, Results: make([]wire.FindResult, 1)}).Append(nil), nil
		})
		return s
	}
	for _, tt := range []struct {
		name string
		at   *stranger
		want error
	}{
		{"nobody serves", newStranger(t), dht.ErrBootstrap},
		{"nobody can call back", boot(false, offset), dht.ErrNoDial},
		{"another time", boot(true, -time.Minute), dht.ErrClock},
		{"all is well", boot(true, offset), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := quiet()
			cfg.Bootstrap = []peer.AddrInfo{tt.at.info()}
			m := launch(t, cfg)
			if err := m.Bootstrap(testContext(t)); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// TestSpareTakesThePlaceOfTheDead: a full bucket keeps who answers, and when one of its contacts is gone the last that asked for a place
// gets it.
func TestSpareTakesThePlaceOfTheDead(t *testing.T) {
	cfg := quiet()
	cfg.BucketSize, cfg.DepthModulo, cfg.Replicas, cfg.CheckInterval = 1, 1, 1, 20*time.Millisecond // only its own half is split
	m := launch(t, cfg)
	waitReady(t, m)
	far := func() *stranger { // in the half of the ID space that is not the member's
		for {
			if s := newStranger(t); s.id().CommonPrefixLen(m.ID()) == 0 {
				return s
			}
		}
	}
	serve := func(s *stranger) *stranger {
		s.serveFind(func(wire.FindRequest, *wire.FindResponse) {})
		return s
	}
	first := serve(far())
	first.befriend(m)
	near := serve(newStranger(t)) // splits the first bucket, if it is in the member's half
	id := near.id()
	near.ping(m, id[:], true)
	second, third := serve(far()), serve(far())
	for _, s := range []*stranger{second, third} {
		id := s.id()
		s.ping(m, id[:], true)
		if !m.knows(first.Host.ID()) || m.knows(s.Host.ID()) {
			t.Fatal("a newcomer displaced a contact that answers")
		}
	}
	if err := errors.Join(first.Calls.Close(), first.Host.Close()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a spare one takes the place", func() bool {
		return !m.knows(first.Host.ID()) && (m.knows(second.Host.ID()) || m.knows(third.Host.ID()))
	})
}

// TestQuietBucketsAreRefreshed: parts of the table that nobody asked about for a while are looked at again, and newcomers are found there.
func TestQuietBucketsAreRefreshed(t *testing.T) {
	cfg := quiet()
	cfg.RefreshInterval = 100 * time.Millisecond
	m := swarm(t, 3, cfg)
	before := m[0].Stats().Lookups
	eventually(t, "the table is refreshed again and again", func() bool { return m[0].Stats().Lookups >= before+4 })
	// A node that makes itself known to one member only is found by the others.
	shy := launch(t, quiet())
	waitReady(t, shy)
	if err := shy.Host.Connect(testContext(t), m[2].info()); err != nil {
		t.Fatal(err)
	}
	if _, err := shy.Ping(testContext(t), m[2].Host.ID(), true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the newcomer is found", func() bool { return m[0].knows(shy.Host.ID()) && m[1].knows(shy.Host.ID()) })
}

// TestNewcomersMeet: a node of a small swarm looks around again soon after it joined. Here somebody joins who makes itself known to
// another member only, long before parts of the table are looked at again because they are quiet.
func TestNewcomersMeet(t *testing.T) {
	m := swarm(t, 3, quiet())
	shy := launch(t, quiet())
	if err := shy.Host.Connect(testContext(t), m[2].info()); err != nil {
		t.Fatal(err)
	}
	if _, err := shy.Ping(testContext(t), m[2].Host.ID(), true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the newcomer is found", func() bool { return m[0].knows(shy.Host.ID()) && m[1].knows(shy.Host.ID()) })
}
