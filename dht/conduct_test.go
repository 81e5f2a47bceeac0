package dht_test

import (
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// TestGarbageCostsAPeerItsPlace sends what no honest node sends: each message lowers the sender's score, until it is
// refused for a while. Nothing that was acknowledged is lost by it, and others are served as before.
func TestGarbageCostsAPeerItsPlace(t *testing.T) {
	cfg := quiet()
	cfg.BackoffBase, cfg.BackoffMax = 10*time.Millisecond, 2*time.Second
	m := swarm(t, 3, cfg)
	settle(t, m)
	victim := m[0]
	events, stop := victim.Events()
	defer stop()
	bad, good := newStranger(t), newStranger(t)
	bad.serveFind(func(wire.FindRequest, *wire.FindResponse) {})
	bad.befriend(victim)
	kept := regular("kept", []byte{0x07}, in(time.Minute))
	if codes := bad.store(victim, false, kept); codes[0] != wire.CodeStored {
		t.Fatal(codes)
	}
	for i := range 10 {
		if scores := victim.Scores(); len(scores) != min(i, 1) {
			t.Fatalf("after %d messages: %+v", i, scores)
		}
		if _, err := bad.call(victim, dht.MethodStore, []byte{0xff, 0xff}); rpc.CodeOf(err) != rpc.InvalidArgument {
			t.Fatalf("garbage was answered with %v", err)
		}
	}
	scores := victim.Scores()
	if len(scores) != 1 || scores[0].Peer != bad.Host.ID() || scores[0].Score > -99 || scores[0].Shunned.IsZero() || scores[0].Last == "" {
		t.Fatalf("%+v", scores)
	}
	if victim.knows(bad.Host.ID()) {
		t.Error("it kept its place in the table")
	}
	if s := victim.Stats(); s.Shunned != 1 || s.Offenders != 1 || s.MalformedRequests != 10 {
		t.Errorf("%+v", s)
	}
	if _, err := bad.call(victim, dht.MethodPing, (&wire.PingRequest{}).Append(nil)); rpc.CodeOf(err) != rpc.PermissionDenied {
		t.Errorf("a well-formed request was answered with %v", err)
	}
	if good.ping(victim, nil, false); !good.peek(victim, kept.Key) {
		t.Error("what was acknowledged is lost")
	}
	for e := range events {
		if e.Kind == dht.EventPeerShunned {
			if e.Peer != bad.Host.ID() || e.Duration != cfg.BackoffMax {
				t.Errorf("%+v", e)
			}
			break
		}
	}
	eventually(t, "it is served again after the pause", func() bool {
		_, err := bad.call(victim, dht.MethodPing, (&wire.PingRequest{}).Append(nil))
		return err == nil
	})
}

// TestHostileAnswersLowerTheScore asks a peer whose lists of nearest peers cannot be true.
func TestHostileAnswersLowerTheScore(t *testing.T) {
	m := swarm(t, 2, quiet())
	settle(t, m)
	liar := newStranger(t)
	liar.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
		for i := range req.Keys {
			for range 3 { // the same peer again and again, under an ID that is not its own
				id := kad.ID(req.Keys[i])
				resp.Results[i].NearestIDs = append(resp.Results[i].NearestIDs, id[:])
				resp.Results[i].NearestPeers = append(resp.Results[i].NearestPeers, []byte(m[1].Host.ID()))
			}
		}
	})
	liar.befriend(m[0])
	if _, err := m[0].FindNearest(testContext(t), kad.ID(record.KeyOfText("x")), 2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the liar's score is lowered", func() bool {
		scores := m[0].Scores()
		return len(scores) == 1 && scores[0].Peer == liar.Host.ID() && scores[0].Score < -5
	})
}

// TestLimitsCostPythonNodesNothing sends more records at once than a node takes: Python nodes, which have no such limit, do that without
// knowing better. A value that is too large for the reader and not for its holder costs nobody anything.
func TestLimitsCostPythonNodesNothing(t *testing.T) {
	for _, python := range []bool{true, false} {
		cfg := quiet()
		cfg.Python = python
		larger := cfg
		larger.MaxValue = 1 << 20
		holder := launch(t, larger)
		cfg.Bootstrap = []peer.AddrInfo{holder.info()}
		m := launch(t, cfg)
		waitReady(t, m)
		s := newStranger(t)
		large := regular("large", msgpack.AppendBytes(nil, make([]byte, 100<<10)), in(time.Minute))
		if codes := s.store(holder, false, large); codes[0] != wire.CodeStored {
			t.Fatal(codes)
		}
		if _, err := m.Get(testContext(t), large.Key, dht.NoCache()); !errors.Is(err, dht.ErrNotFound) {
			t.Errorf("a value beyond the limit: %v", err)
		}
		var req wire.StoreRequest
		for range 1025 {
			req.Keys, req.Subkeys = append(req.Keys, large.Key[:]), append(req.Subkeys, nil)
			req.Values, req.Expiration = append(req.Values, []byte{1}), append(req.Expiration, float64(large.Expiration))
			req.InCache = append(req.InCache, false)
		}
		if _, err := s.call(m, dht.MethodStore, req.Append(nil)); rpc.CodeOf(err) != rpc.InvalidArgument {
			t.Errorf("too many records: %v", err)
		}
		if want := map[bool]int{true: 0, false: 1}[python]; len(m.Scores()) != want {
			t.Errorf("python %v: %+v", python, m.Scores())
		}
	}
}
