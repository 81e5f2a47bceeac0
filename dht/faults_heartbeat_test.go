package dht_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// peersOf lists whose heartbeats were seen.
func peersOf(list []heartbeat.Sighting) map[peer.ID]bool {
	peers := make(map[peer.ID]bool, len(list))
	for _, s := range list {
		peers[s.Peer] = true
	}
	return peers
}

// serveDictionary makes a stranger answer every find with the given records, as one dictionary.
func (s *stranger) serveDictionary(recs ...record.Record) {
	d := record.Dictionary{}
	for _, r := range recs {
		d.Entries = append(d.Entries, record.Entry{Subkey: r.Subkey, Value: r.Value, Expiration: r.Expiration})
		d.Latest = max(d.Latest, r.Expiration)
	}
	s.serveFind(func(_ wire.FindRequest, resp *wire.FindResponse) {
		for i := range resp.Results {
			resp.Results[i] = wire.FindResult{Type: wire.FoundDictionary, Value: d.Append(nil), Expiration: float64(d.Latest)}
		}
	})
}

// TestFaultPoisonHeartbeat: one member stored something under the heartbeat key, properly signed, that was no heartbeat, and whoever read
// the heartbeats died of it: the bootnode, and the loop of every node that announced it. Here no honest node takes such a record, no
// reader believes one that a liar serves, and even a reader that checks nothing leaves it out and lists the rest.
func TestFaultPoisonHeartbeat(t *testing.T) {
	var c clock
	c.set(7, 100)
	m, owners := subnet(t, 4, quiet(), &c, record.PhasesConfig{Heartbeat: heartbeat.Check})
	for i := range m {
		announce(t, m[i], owners[i], in(time.Minute))
	}
	evil := newOwner(t, identity.Ed25519)
	s := newStranger(t)
	var bad []record.Record
	for i, v := range []any{
		int64(1), nil, "online", []any{int64(2), "validator", 1.0, map[string]any{}}, msgpack.Tuple{int64(2), "validator"},
		msgpack.Tuple{int64(9), "validator", 1.0, map[string]any{}}, msgpack.Tuple{int64(2), "validator", -1.0, map[string]any{}},
		msgpack.Tuple{int64(2), "validator", 1.0, map[string]any{"next_pings": []any{}}},
	} {
		bad = append(bad, evil.sign(record.Record{
			Key: heartbeat.Key(), Subkey: must(record.SubkeyOf(evil.name)), Value: pack(v),
			Expiration: record.ExpirationAt(in(2*time.Minute + time.Duration(i)*time.Second)),
		}))
	}
	for i, x := range m {
		for j, code := range s.store(x, false, bad...) {
			if code != wire.CodeInvalid {
				t.Errorf("node %d, value %d: %v", i, j, code)
			}
		}
	}
	s.serveDictionary(bad[0], owners[1].beat(heartbeat.Offline, in(3*time.Minute)))
	s.befriend(m[0])
	list, skipped := beats(t, m[0])
	if got := peersOf(list); len(got) != len(m) || got[evil.id] || len(skipped) != 0 {
		t.Errorf("%d heartbeats, the liar's among them: %v; left out: %v", len(got), got[evil.id], skipped)
	}
	for _, x := range list { // what else the liar said is good
		if want := x.Peer == owners[1].id; (x.Info.State == heartbeat.Offline) != want {
			t.Errorf("%v is %v", x.Peer, x.Info.State)
		}
	}
	// A node without the check stores such a record, and reads it.
	careless := citizen(t, withBootstrap(quiet(), m[0]), &c, record.PhasesConfig{}, newOwner(t, identity.Ed25519))
	if code := s.store(careless, false, bad[0])[0]; code != wire.CodeStored {
		t.Fatalf("a node without check: %v", code)
	}
	list, skipped = beats(t, careless)
	if got := peersOf(list); len(got) != len(m) || got[evil.id] || len(skipped) != 1 {
		t.Errorf("without check: %d heartbeats, left out %v", len(got), skipped)
	}
	list, _ = beats(t, m[2]) // with the careless node in the swarm
	if got := peersOf(list); len(got) != len(m) || got[evil.id] {
		t.Errorf("beside a node without check: %d heartbeats", len(got))
	}
	for i := range m {
		announce(t, m[i], owners[i], in(4*time.Minute)) // everybody goes on
	}
}

// TestFaultHundredHeartbeatsOfOnePeer: any text before a node's own owner marker made another subkey, so that one peer was listed a
// hundred times. Here it has one heartbeat, whatever it writes, and takes the place of nobody else.
func TestFaultHundredHeartbeatsOfOnePeer(t *testing.T) {
	var c clock
	c.set(7, 100)
	m, owners := subnet(t, 3, quiet(), &c, record.PhasesConfig{Heartbeat: heartbeat.Check})
	for i := range m {
		announce(t, m[i], owners[i], in(time.Minute))
	}
	evil := newOwner(t, identity.Ed25519)
	good := evil.beat(heartbeat.Online, in(time.Minute))
	recs := []record.Record{good}
	for i := range 100 {
		for _, name := range []any{
			fmt.Appendf(nil, "%d%s", i, evil.marker), []byte(owners[0].id.String() + evil.marker), string(evil.name),
		} {
			r := evil.beat(heartbeat.Online, in(2*time.Minute))
			r.Subkey, r.Value = must(record.SubkeyOf(name)), must(heartbeat.Info{State: heartbeat.Online}.Marshal())
			recs = append(recs, evil.sign(r))
		}
	}
	s := newStranger(t)
	for _, x := range m {
		for i, code := range s.store(x, false, recs...) {
			if want := i == 0; (code == wire.CodeStored) != want {
				t.Errorf("subkey %d: %v", i, code)
			}
		}
		if v := held(x, heartbeat.KeyName); len(v.Entries) != 4 {
			t.Errorf("%d heartbeats stored", len(v.Entries))
		}
	}
	s.serveDictionary(recs...)
	s.befriend(m[1])
	list, skipped := beats(t, m[1])
	if len(list) != 4 || len(skipped) != 0 {
		t.Errorf("%d listed, %d left out", len(list), len(skipped))
	}
	if n := m[1].Stats().AnswersInvalid; n < 100 {
		t.Errorf("%d refused of what the liar served", n)
	}
}

// TestFaultCachedCopyHidesTheStored: a node answered with its storage or with its cache, whichever expired later. One record with a late
// expiration, pushed into the caches, hid the records of all others. Here an answer holds both.
func TestFaultCachedCopyHidesTheStored(t *testing.T) {
	var c clock
	c.set(7, 100)
	m, owners := subnet(t, 4, quiet(), &c, record.PhasesConfig{Heartbeat: heartbeat.Check})
	for i := range m {
		announce(t, m[i], owners[i], in(time.Minute))
	}
	evil := newOwner(t, identity.Ed25519)
	s := newStranger(t)
	for _, x := range m {
		if code := s.store(x, true, evil.beat(heartbeat.Online, in(10*time.Minute)))[0]; code != wire.CodeStored {
			t.Fatal(code)
		}
		key := heartbeat.Key()
		d, _, err := record.ParseDictionary(s.find(x, wire.FindRequest{Keys: [][]byte{key[:]}}).Results[0].Value, record.DictionaryLimits{})
		if err != nil || len(d.Entries) != 5 {
			t.Errorf("an answer of %d heartbeats, %v", len(d.Entries), err)
		}
	}
	if list, _ := beats(t, m[3]); len(list) != 5 {
		t.Errorf("%d heartbeats", len(list))
	}
}

// TestFaultPlainValueHidesOwnedRecords: a value without subkey replaces a dictionary that expires earlier, so that one unsigned record at
// the nodes that hold no dictionary, or in the caches of those that do, hid what its owners had signed. Here a plain value gives way to
// subkeys that have owners, for readers as in the storage.
func TestFaultPlainValueHidesOwnedRecords(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 2
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	m := swarm(t, 5, cfg)
	settle(t, m)
	o := newOwner(t, identity.Ed25519)
	s := newStranger(t)
	m = nearestFirst(m, record.KeyOfText("key"))
	owned := o.sign(sub("key", []byte(o.marker), pack("owned"), in(time.Minute)))
	for _, x := range m[:2] {
		if code := s.store(x, false, owned)[0]; code != wire.CodeStored {
			t.Fatal(code)
		}
	}
	plain := regular("key", pack("plain"), in(10*time.Minute))
	for i, x := range m {
		s.store(x, true, plain)
		if code := s.store(x, false, plain)[0]; (code == wire.CodeStored) != (i >= 2) {
			t.Errorf("node %d: %v", i, code)
		}
	}
	for i, x := range m {
		v, err := x.Get(testContext(t), record.KeyOfText("key"), dht.Latest(), dht.NoCache())
		if err != nil || len(v.Entries) != 1 || must(v.Entries[0].Decode()) != "owned" {
			t.Errorf("node %d reads %+v, %v", i, v, err)
		}
	}
}
