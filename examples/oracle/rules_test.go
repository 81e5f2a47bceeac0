package main

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh"
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestModel wants answers that are the same each time and so near to each other that honest nodes never differ about whom to pay.
func TestModel(t *testing.T) {
	answer := func(epoch chain.Epoch, id chain.NodeID) (last int64, items int) {
		for a := range think(epoch, id) {
			last = a
			items++
		}
		return last, items
	}
	const pi = 3_141_593
	for epoch := range chain.Epoch(20) {
		for id := range chain.NodeID(5) {
			a, items := answer(epoch, id)
			if again, _ := answer(epoch, id); again != a || items != 10 {
				t.Fatalf("epoch %d, node %d: %d, then %d, in %d items", epoch, id, a, again, items)
			}
			if a < pi-tolerance/2 || a > pi+tolerance/2 {
				t.Errorf("epoch %d, node %d: %d", epoch, id, a)
			}
			if b, err := read(write(a)); err != nil || b != a {
				t.Errorf("%d travels as %d: %v", a, b, err)
			}
		}
	}
}

// TestRules wants every node to refuse what makes no sense.
func TestRules(t *testing.T) {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	n, err := mesh.New(mesh.Config{Key: key, Subnet: 128001, Endpoints: []string{"ws://127.0.0.1:9944"}}, &oracle{})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := new(oracle).Validators(n)
	if err != nil {
		t.Fatal(err)
	}
	const epoch = 7
	phases := new(oracle).PhaseRules()
	phases.Allow = new(oracle).AllowKey
	all := record.NewChain(append(rules, record.NewPhases(phases), record.NewSignature(key, record.SignatureConfig{}))...)
	now := time.Now()
	judge := func(kind record.Kind, k record.Key, subkey, value any) error {
		r := record.Record{Key: k, Expiration: record.ExpirationAt(now.Add(time.Minute))}
		var err error
		if r.Subkey, err = record.SubkeyOf(subkey); err != nil {
			t.Fatal(err)
		}
		if r.Value, err = msgpack.Marshal(value); err != nil {
			t.Fatal(err)
		}
		if r.Value, err = all.Sign(r); err != nil {
			return err
		}
		return all.Validate(r, record.Request{Kind: kind, Sender: n.PeerID(), Now: now, Phase: record.PhaseAt(epoch, 8, 10)})
	}
	reveal := func(body string) msgpack.Raw { return record.RevealValue(record.Salt{1}, []byte(body)) }
	finding := func(answers int, pi any) msgpack.Map {
		return msgpack.Map{{Key: "epoch", Value: 6}, {Key: "answers", Value: answers}, {Key: "pi", Value: pi}}
	}
	own := n.OwnSubkey()
	commit := record.Commit(epoch, peer.ID("x"), record.Salt{1}, []byte("3141592"))
	for name, tt := range map[string]struct {
		err error
		ok  bool
	}{
		"a reveal":                  {judge(record.Post, record.RevealKey(epoch), own, reveal("3141592")), true},
		"a reveal of nonsense":      {judge(record.Post, record.RevealKey(epoch), own, reveal("about 3")), false},
		"a reveal of too much":      {judge(record.Post, record.RevealKey(epoch), own, reveal("4000001")), false},
		"a reveal in no form":       {judge(record.Post, record.RevealKey(epoch), own, "3141592"), false},
		"a reveal without owner":    {judge(record.Post, record.RevealKey(epoch), "me", reveal("3141592")), false},
		"a late commit":             {judge(record.Post, record.CommitKey(epoch), own, msgpack.Raw(commit.Value())), false},
		"a finding":                 {judge(record.Get, record.KeyOfText(findings), own, finding(3, 3.14)), true},
		"a finding by nobody":       {judge(record.Get, record.KeyOfText(findings), "me", finding(3, 3.14)), false},
		"a finding of no answers":   {judge(record.Get, record.KeyOfText(findings), own, finding(0, 3.14)), false},
		"a finding of another type": {judge(record.Get, record.KeyOfText(findings), own, finding(3, 3)), false},
		"some other key":            {judge(record.Post, record.KeyOfText("gossip"), own, 1), false},
	} {
		if (tt.err == nil) != tt.ok {
			t.Errorf("%s: %v", name, tt.err)
		}
	}
}
