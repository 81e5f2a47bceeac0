package dht_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// TestFaultEvictionBySpoofedPing: a ping in somebody else's name, whose call back then failed, deleted that somebody from the table. Here
// it leaves the table as it is.
func TestFaultEvictionBySpoofedPing(t *testing.T) {
	m := swarm(t, 3, quiet())
	settle(t, m)
	s := newStranger(t)
	victim := m[1].ID()
	for range 5 {
		for _, validate := range []bool{true, false} {
			if resp := s.ping(m[0], victim[:], validate); resp.Available {
				t.Error("the spoofer is said to be the victim")
			}
		}
	}
	if !m[0].knows(m[1].Host.ID()) {
		t.Error("the victim lost its place")
	}
	if m[0].knows(s.Host.ID()) {
		t.Error("the spoofer got a place")
	}
}

// TestFaultNodeIDTakeover: whoever claimed the ID of another node got its place in the tables of others. Here an ID stays with the peer
// it belongs to, whatever a peer claims and however it answers.
func TestFaultNodeIDTakeover(t *testing.T) {
	for _, python := range []bool{false, true} {
		t.Run(fmt.Sprintf("python %v", python), func(t *testing.T) {
			cfg := quiet()
			cfg.Python = python
			m := swarm(t, 3, cfg)
			settle(t, m)
			victim := m[1].ID()
			s := newStranger(t)
			s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
				return (&wire.PingResponse{Peer: wire.NodeInfo{ID: victim[:]}}).Append(nil), nil // consistent lies
			})
			for range 5 {
				s.ping(m[0], victim[:], true)
			}
			ctx := testContext(t)
			if _, err := m[0].Ping(ctx, s.Host.ID(), false); err != nil {
				t.Fatal(err)
			}
			for _, c := range m[0].Contacts() {
				if c.ID == victim && c.Peer != m[1].Host.ID() {
					t.Errorf("the ID went to %v", c.Peer)
				}
			}
			if !m[0].knows(m[1].Host.ID()) {
				t.Error("the victim lost its place")
			}
		})
	}
}

// TestFaultClaimsFillTheTable: every caller entered the table under the ID it claimed. Here callers are added only after they answered a
// question of ours, and a flood of claims costs nothing but a bounded queue.
func TestFaultClaimsFillTheTable(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	for range 200 {
		fake := kad.ID(randomKey())
		s.find(m, wire.FindRequest{Keys: [][]byte{fake[:]}, Peer: wire.NodeInfo{ID: fake[:]}})
	}
	own := s.id()
	s.ping(m, own[:], false) // its true ID, but it serves nothing
	if n := len(m.Contacts()); n != 0 {
		t.Errorf("%d contacts", n)
	}
	eventually(t, "the claim was checked", func() bool { return m.Stats().PingsFailed > 0 })
	if n := len(m.Contacts()); n != 0 {
		t.Errorf("%d contacts", n)
	}
}

// TestFaultFreeNodeIDs: nodes chose their IDs, and with them a place near any key. Here an ID that is not derived from the peer ID gets a
// place in a mixed swarm only.
func TestFaultFreeNodeIDs(t *testing.T) {
	for _, python := range []bool{false, true} {
		t.Run(fmt.Sprintf("python %v", python), func(t *testing.T) {
			cfg := quiet()
			cfg.Python = python
			m := launch(t, cfg)
			s := newStranger(t)
			free := randomKey()
			s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
				return (&wire.PingResponse{Peer: wire.NodeInfo{ID: free[:]}}).Append(nil), nil
			})
			if resp := s.ping(m, free[:], true); resp.Available != python {
				t.Errorf("available: %v", resp.Available)
			}
			if m.knows(s.Host.ID()) != python {
				t.Errorf("in the table: %v", !python)
			}
		})
	}
}

// TestFaultHostileNearestLists: searches followed whatever neighbours an answer named. Here invented, repeated, too many and malformed
// ones are cut; the search ends and finds what honest nodes hold.
func TestFaultHostileNearestLists(t *testing.T) {
	m := swarm(t, 4, quiet())
	ctx := testContext(t)
	if _, err := m[0].Store(ctx, dht.StoreRequest{Key: record.KeyOfText("key"), Value: "v", Expiration: in(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	fake := func() ([]byte, []byte) {
		id := randomKey()
		return id[:], append([]byte{0x12, 0x20}, make([]byte, 32)...)
	}
	lists := map[string]func(r *wire.FindResult){
		"invented": func(r *wire.FindResult) {
			for range 60 {
				id, p := fake()
				r.NearestIDs, r.NearestPeers = append(r.NearestIDs, id), append(r.NearestPeers, p)
			}
		},
		"repeated": func(r *wire.FindResult) {
			id, p := m[1].ID(), []byte(m[1].Host.ID())
			for range 60 {
				r.NearestIDs, r.NearestPeers = append(r.NearestIDs, id[:]), append(r.NearestPeers, p)
			}
		},
		"malformed": func(r *wire.FindResult) {
			id, _ := fake()
			r.NearestIDs, r.NearestPeers = append(r.NearestIDs, id), append(r.NearestPeers, []byte("no peer ID"))
		},
		"unequal": func(r *wire.FindResult) { id, _ := fake(); r.NearestIDs = append(r.NearestIDs, id) },
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			s := newStranger(t)
			s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
				for i := range resp.Results {
					list(&resp.Results[i])
				}
			})
			reader := launch(t, clientMode(withBootstrap(quiet(), m[2])))
			waitReady(t, reader)
			if err := reader.Host.Connect(ctx, s.info()); err != nil {
				t.Fatal(err)
			}
			if _, err := reader.Ping(ctx, s.Host.ID(), false); err != nil {
				t.Fatal(err)
			}
			v, err := reader.Get(ctx, record.KeyOfText("key"), dht.Latest())
			if err != nil || must(v.Decode()) != "v" {
				t.Errorf("got %+v, %v", v, err)
			}
			if reader.Stats().AnswersHostile == 0 {
				t.Error("not counted")
			}
		})
	}
}

// TestFaultBusyPeerIsBanned: a peer that missed one answer was left out of searches and lost its place, however well it was. Here who
// says that it is overloaded keeps its place and is asked again.
func TestFaultBusyPeerIsBanned(t *testing.T) {
	m := swarm(t, 2, quiet())
	s := newStranger(t)
	s.serveFind(func(wire.FindRequest, *wire.FindResponse) {})
	s.befriend(m[0])
	s.Calls.Remove(dht.MethodFind)
	s.Calls.Handle(dht.MethodFind, func(context.Context, *rpc.Request) ([]byte, error) {
		return nil, rpc.Errorf(rpc.ResourceExhausted, "busy")
	})
	ctx := testContext(t)
	for range 10 {
		_, _ = m[0].Get(ctx, randomKey(), dht.Latest())
	}
	if st := m[0].Stats(); !m[0].knows(s.Host.ID()) || st.Bans != 0 || st.FindsFailed == 0 {
		t.Errorf("known %v, %d bans, %d failures", m[0].knows(s.Host.ID()), st.Bans, st.FindsFailed)
	}
}

// TestFaultWrongClock: a wrong clock was looked for with one peer only, and could be blamed on the wrong side. Here a peer whose clock is
// off fails the join, and one liar among many moves no median.
func TestFaultWrongClock(t *testing.T) {
	ahead := quiet()
	ahead.Now = func() time.Time { return time.Now().Add(time.Minute) }
	wrong := launch(t, ahead)
	waitReady(t, wrong)
	n := launch(t, quiet())
	waitReady(t, n)
	late := launch(t, withBootstrap(clientMode(quiet()), wrong))
	if err := late.Bootstrap(testContext(t)); !errors.Is(err, dht.ErrClock) {
		t.Errorf("joined by a wrong clock: %v", err)
	}
	m := swarm(t, 5, quiet())
	settle(t, m)
	liar := newStranger(t)
	id := liar.id()
	liar.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
		return (&wire.PingResponse{Peer: wire.NodeInfo{ID: id[:]}, Time: 1e9}).Append(nil), nil
	})
	ctx := testContext(t)
	for _, x := range m[1:] {
		if _, err := m[0].Ping(ctx, x.Host.ID(), false); err != nil {
			t.Fatal(err)
		}
	}
	liar.ping(m[0], id[:], true)
	if off, peers := m[0].ClockOffset(); off.Abs() > time.Second || peers < 5 {
		t.Errorf("offset %v over %d peers", off, peers)
	}
}

// TestFaultMidpointInTheWrongBucket: when a bucket was split, the node whose ID is the first of the upper half went to the lower half, and
// was not found where it belonged. Here every contact is in the bucket of its ID, and found.
func TestFaultMidpointInTheWrongBucket(t *testing.T) {
	cfg := quiet()
	cfg.Python, cfg.BucketSize, cfg.Replicas = true, 1, 1 // free IDs, and a split with every newcomer
	m := launch(t, cfg)
	waitReady(t, m)
	for _, first := range []byte{0x80, 0x00, 0x40, 0xc0} {
		id := kad.ID{first}
		if first == 0 {
			id[len(id)-1] = 1
		}
		s := newStranger(t)
		s.Calls.Handle(dht.MethodPing, func(context.Context, *rpc.Request) ([]byte, error) {
			return (&wire.PingResponse{Peer: wire.NodeInfo{ID: id[:]}}).Append(nil), nil
		})
		s.ping(m, id[:], true)
		for _, bucket := range m.Table() {
			for _, c := range bucket.Live {
				if id := c.Contact.ID; id.CommonPrefixLen(bucket.Prefix) < bucket.Depth {
					t.Errorf("%v is in the bucket of %v/%d", id, bucket.Prefix, bucket.Depth)
				}
			}
		}
	}
	middle := kad.ID{0x80}
	near := newStranger(t).find(m, wire.FindRequest{Keys: [][]byte{middle[:]}}).Results[0].NearestIDs
	if len(near) != 1 || kad.ID(near[0]) != middle {
		t.Errorf("nearest to the middle is %x", near)
	}
}

// TestFaultClockGoesWrongLater: clocks were compared once, when a node joined. Here a node notices when its clock goes wrong afterwards.
func TestFaultClockGoesWrongLater(t *testing.T) {
	cfg := quiet()
	cfg.CheckInterval = 20 * time.Millisecond
	m := swarm(t, 4, cfg)
	var wrong atomic.Int64
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
	late := launch(t, withBootstrap(cfg, m...))
	waitReady(t, late)
	settle(t, append(m, late))
	if off, peers := late.ClockOffset(); off.Abs() > time.Second || peers < 3 {
		t.Fatalf("offset %v over %d peers", off, peers)
	}
	events, stop := late.Events()
	defer stop()
	wrong.Store(int64(5 * time.Second))
	ctx := testContext(t)
	for {
		select {
		case e := <-events:
			if e.Kind != dht.EventClockSkew {
				continue
			}
			if e.Count < 3 {
				t.Errorf("%v over %d peers", e.Duration, e.Count)
			}
			if off := e.Duration + 5*time.Second; off.Abs() < time.Second { // before, some peers were compared and others not
				return
			}
		case <-ctx.Done():
			t.Fatal("nobody noticed")
		}
	}
}
