package dht_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// owner writes records of its own key.
type owner struct {
	key    crypto.PrivKey
	id     peer.ID
	name   []byte // subkey of its heartbeat, before packing
	marker string
}

func newOwner(t testing.TB, kind identity.KeyType) owner {
	t.Helper()
	return ownerOf(must(identity.Generate(kind)))
}

func ownerOf(key crypto.PrivKey) owner {
	return owner{key, must(peer.IDFromPrivateKey(key)), must(heartbeat.Name(key.GetPublic())), record.OwnerMarker(key.GetPublic())}
}

// sign returns the record as the owner would send it, whoever its subkey names.
func (o owner) sign(r record.Record) record.Record {
	sig := must(identity.SignText(o.key, r.AppendSigned(nil)))
	r.Value = append(append(append([]byte(nil), r.Value...), "[signature:"...), sig+"]"...)
	return r
}

// beat is the owner's heartbeat.
func (o owner) beat(state heartbeat.State, expiration time.Time) record.Record {
	value := must(heartbeat.Info{State: state, Role: heartbeat.RoleValidator, Throughput: 1}.Marshal())
	return o.sign(record.Record{
		Key: heartbeat.Key(), Subkey: must(record.SubkeyOf(o.name)), Value: value, Expiration: record.ExpirationAt(expiration),
	})
}

// clock is where a test says that the epoch stands.
type clock struct{ at atomic.Pointer[record.Phase] }

func (c *clock) set(epoch uint32, progress record.Permille) {
	c.at.Store(&record.Phase{Epoch: epoch, Progress: progress, Known: true})
}

func (c *clock) phase() record.Phase { return *c.at.Load() }

// citizen starts a node that holds the rules of a subnet, with an owner's key.
func citizen(t testing.TB, cfg dht.Config, c *clock, rules record.PhasesConfig, o owner) *member {
	t.Helper()
	cfg.Phase = c.phase
	cfg.Validators = record.NewChain(record.NewSignature(o.key, record.SignatureConfig{}), record.NewPhases(rules))
	m := launch(t, cfg, func(pc *p2p.Config, _ *rpc.Config) { pc.Key = o.key })
	waitReady(t, m)
	return m
}

// subnet starts n nodes with keys of both kinds that hold the rules of a subnet.
func subnet(t testing.TB, n int, cfg dht.Config, c *clock, rules record.PhasesConfig) ([]*member, []owner) {
	t.Helper()
	cfg.NoRegion = true // who holds what is counted
	var members []*member
	var owners []owner
	for i := range n {
		kind := identity.Ed25519
		if i == 1 {
			kind = identity.RSA
		}
		o := newOwner(t, kind)
		if i > 0 {
			cfg.Bootstrap = []peer.AddrInfo{members[0].info()}
		}
		members, owners = append(members, citizen(t, cfg, c, rules, o)), append(owners, o)
	}
	settle(t, members)
	return members, owners
}

// beats reads the heartbeats of a swarm as an application does.
func beats(t testing.TB, m *member) (list []heartbeat.Sighting, skipped []error) {
	t.Helper()
	v, err := m.Get(testContext(t), heartbeat.Key(), dht.Latest(), dht.NoCache())
	if err != nil {
		t.Fatal(err)
	}
	var d record.Dictionary
	for _, e := range v.Entries {
		d.Entries = append(d.Entries, record.Entry{Subkey: e.Subkey, Value: e.Raw, Expiration: e.Expiration})
	}
	return heartbeat.List(d)
}

// announce lets a node store its own heartbeat.
func announce(t testing.TB, m *member, o owner, expiration time.Time) {
	t.Helper()
	value := must(heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator, Throughput: 1}.Marshal())
	res, err := m.Store(testContext(t), dht.StoreRequest{Key: heartbeat.Key(), Subkey: o.name, Value: msgpack.Raw(value), Expiration: expiration})
	if err != nil || res.Failure() != nil {
		t.Fatalf("heartbeat: %v, %v", err, res.Failure())
	}
}
