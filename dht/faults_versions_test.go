package dht_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestFaultRollbackByRefusedStore: an older version, replayed, neither replaces nor shortens the newer one.
func TestFaultRollbackByRefusedStore(t *testing.T) {
	m := launch(t, quiet())
	s := newStranger(t)
	old, now := in(time.Second), in(time.Minute)
	older := sub("heartbeat", "victim", pack("old"), old)
	newer := sub("heartbeat", "victim", pack("new"), now)
	if codes := s.store(m, false, newer); codes[0] != wire.CodeStored {
		t.Fatal(codes)
	}
	before := held(m, "heartbeat")
	for range 3 {
		if codes := s.store(m, false, older); codes[0] != wire.CodeOlder {
			t.Errorf("replay: %v", codes)
		}
	}
	bad := sub("heartbeat", "victim", poison, in(2*time.Minute))
	if codes := s.store(m, false, bad); codes[0] != wire.CodeMalformed {
		t.Errorf("bad record: %v", codes)
	}
	eventually(t, "the old version would have expired", func() bool { return time.Now().After(old) })
	if d := cmp.Diff(before, held(m, "heartbeat")); d != "" {
		t.Errorf("a refused store changed something:\n%s", d)
	}
}

// TestFaultQuotaTheftByReplay: what is not stored is not charged, and a replay is charged to nobody.
func TestFaultQuotaTheftByReplay(t *testing.T) {
	victim := newStranger(t)
	signer := record.NewSignature(victim.Host.Libp2p().Peerstore().PrivKey(victim.Host.ID()), record.SignatureConfig{})
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}), record.NewPhases(record.PhasesConfig{}))
	cfg.Phase = func() record.Phase { return record.PhaseAt(7, 10, 100) }
	m := launch(t, cfg)
	beat := func(n int) record.Record {
		r := record.Record{Key: record.HeartbeatKey(), Subkey: must(record.SubkeyOf([]byte(victim.Host.ID().String() + signer.Marker()))),
			Value: pack(msgpack.Tuple{int64(2), "validator", float64(n), map[string]any{}}), Expiration: record.ExpirationAt(in(time.Minute + time.Duration(n)*time.Second))}
		r.Value = must(signer.Sign(r))
		return r
	}
	first := beat(0)
	if codes := victim.store(m, false, first); codes[0] != wire.CodeStored {
		t.Fatalf("heartbeat: %v %+v", codes, m.Stats())
	}
	attacker := newStranger(t)
	for range 150 {
		if codes := attacker.store(m, false, first); codes[0] != wire.CodeHeld {
			t.Fatalf("replay: %v", codes)
		}
	}
	if codes := victim.store(m, false, beat(1)); codes[0] != wire.CodeStored {
		t.Errorf("the victim's next heartbeat: %v", codes)
	}
}

// TestFaultStoreResultOfTheLastReplica: the result counts acceptances, not the answer that came last.
func TestFaultStoreResultOfTheLastReplica(t *testing.T) {
	cfg := quiet()
	cfg.Replicas = 4
	m := swarm(t, 5, cfg)
	settle(t, m)
	s := newStranger(t)
	key := record.KeyOfText("key")
	newer := regular("key", pack("newer"), in(5*time.Minute))
	for _, x := range m[:2] { // some replicas have a newer version already
		s.store(x, false, newer)
	}
	res, err := m[4].Store(testContext(t), dht.StoreRequest{Key: key, Value: "v", Expiration: in(time.Minute)})
	accepted, older := 0, 0
	for _, a := range res.Answers {
		switch {
		case a.OK && a.Code == wire.CodeStored:
			accepted++
		case a.Code == wire.CodeOlder && !a.OK:
			older++
		default:
			t.Errorf("answer %+v", a)
		}
	}
	if (err == nil) != (accepted > older) || accepted != res.Accepted || older != res.Older || accepted+older != 4 || older == 0 {
		t.Errorf("accepted %d, older %d: %+v, %v", accepted, older, res, err)
	}
}
