package mesh

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestRecordsOfStrangers: a member cannot plant heartbeats under keys that it made up, which would leave no room for those of others.
func TestRecordsOfStrangers(t *testing.T) {
	c := newToyChain()
	own, _ := newKey(t)
	member, id := newKey(t)
	stranger, _ := newKey(t)
	c.nodes = []chain.Node{{Subnet: toySubnet, ID: 1, Peer: chain.PeerAddr{PeerID: id}, Class: chain.ClassValidator}}
	n, err := New(Config{Key: own, Subnet: toySubnet, Chain: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.chain = newChainView(c, c.params())
	n.subnet.Store(uint32(toySubnet))
	if err := n.prepareMembers(t.Context()); err != nil {
		t.Fatal(err)
	}
	rules, err := n.validators()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	beat := func(key crypto.PrivKey) record.Record {
		name, err := heartbeat.Name(key.GetPublic())
		if err != nil {
			t.Fatal(err)
		}
		r := record.Record{Key: heartbeat.Key(), Expiration: record.ExpirationAt(now.Add(time.Minute))}
		if r.Subkey, err = record.SubkeyOf(name); err != nil {
			t.Fatal(err)
		}
		info, err := heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if r.Value, err = msgpack.Marshal(msgpack.Raw(info)); err != nil {
			t.Fatal(err)
		}
		if r.Value, err = record.NewChain(record.NewSignature(key, record.SignatureConfig{})).Sign(r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	q := record.Request{Kind: record.Post, Sender: n.id, Now: now, Phase: record.PhaseAt(3, 1, toyLength)}
	for name, tt := range map[string]struct {
		key crypto.PrivKey
		ok  bool
	}{"itself": {own, true}, "a member": {member, true}, "a stranger": {stranger, false}} {
		if err := rules.Validate(beat(tt.key), q); (err == nil) != tt.ok {
			t.Errorf("heartbeat of %s: %v", name, err)
		}
	}
	q.Kind = record.Get
	if err := rules.Validate(beat(stranger), q); err != nil {
		t.Errorf("as an answer: %v", err)
	}
}
