package dht_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestFaultRollbackByRefusedStore: a store that was refused because it was older still moved the expiration of the newer version back, so
// that a replay made it vanish early. Here what is refused changes nothing.
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

// TestFaultQuotaTheftByReplay: an author's quota was charged for what anybody sent, before it was stored: a hundred replays of a public
// heartbeat silenced its node. Here what is not stored is not charged, and a replay is charged to nobody.
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

// TestFaultStoreResultOfTheLastReplica: what a store returned was what the replica that happened to answer last had said. Here the result
// counts acceptances and names every replica.
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

// TestFaultEqualExpirations: of two writes in one tick of the clock one was lost without a word, and nodes differed on which. Here every
// node settles on the same one, and a writer whose record is not taken is told so.
func TestFaultEqualExpirations(t *testing.T) {
	for _, python := range []bool{false, true} {
		t.Run(fmt.Sprintf("python %v", python), func(t *testing.T) {
			cfg := quiet()
			cfg.Python, cfg.Replicas = python, 4
			m := swarm(t, 6, cfg)
			settle(t, m)
			ctx := testContext(t)
			small, large := "a", "b"
			put := func(x *member, key record.Key, subkey any, value string, e time.Time) dht.StoreResult {
				res, _ := x.Store(ctx, dht.StoreRequest{Key: key, Subkey: subkey, Value: value, Expiration: e})
				return res
			}
			read := func(x *member, key record.Key, subkey any) any {
				v, err := x.Get(ctx, key, dht.Latest())
				if err != nil {
					t.Fatal(err)
				}
				if subkey == nil {
					return must(v.Decode())
				}
				e, _ := v.Entry(subkey)
				return must(e.Decode())
			}
			for i, subkey := range []any{nil, "s"} {
				// One after the other: the second writer learns what became of its record.
				for j, order := range [][2]string{{small, large}, {large, small}} {
					key, e := record.KeyOfText(fmt.Sprint("in turn", i, j)), in(time.Minute)
					if first := put(m[1], key, subkey, order[0], e); first.Failure() != nil {
						t.Fatal(first.Failure())
					}
					second := put(m[2], key, subkey, order[1], e)
					want, told := large, order[1] == large && second.Accepted == 4 || order[1] == small && second.Older == 4 && second.Failure() != nil
					if python { // as Python nodes do: the first stays
						want, told = order[0], second.Older == 4 && second.Failure() != nil
					}
					if !told {
						t.Errorf("%v: the second writer was told %+v", order, second)
					}
					for _, x := range m {
						if got := read(x, key, subkey); got != want {
							t.Errorf("%v: read %v, want %v", order, got, want)
						}
					}
				}
				// At once, again and again: whatever arrives where first, all readers agree, and nobody lost believes that it won.
				for j := range 20 {
					key, e := record.KeyOfText(fmt.Sprint("at once", i, j)), in(time.Minute)
					var results [2]dht.StoreResult
					var wg sync.WaitGroup
					for k, value := range []string{small, large} {
						wg.Go(func() { results[k] = put(m[3+k], key, subkey, value, e) })
					}
					wg.Wait()
					first := read(m[0], key, subkey)
					for _, x := range m[1:] {
						if got := read(x, key, subkey); got != first {
							t.Fatalf("round %d: one node reads %v, another %v", j, first, got)
						}
					}
					if !python && (first != large || results[1].Accepted != 4) {
						t.Errorf("round %d: %v won, the larger was accepted by %d", j, first, results[1].Accepted)
					}
					for _, r := range results {
						if r.Accepted+r.Older != 4 {
							t.Errorf("round %d: accepted by %d, refused as older by %d of 4", j, r.Accepted, r.Older)
						}
					}
				}
			}
		})
	}
}

// TestFaultCommitsAreNotHandedOver: half of the epoch long nodes took commits, and then no more, not even from each other: a node that
// joined later never got those that it should hold. Here it gets them, from several of their holders; and a latecomer who commits, with
// another's help, still gets nothing in.
func TestFaultCommitsAreNotHandedOver(t *testing.T) {
	var c clock
	c.set(7, 200)
	cfg := quiet()
	cfg.Replicas = 4
	m, owners := subnet(t, 6, cfg, &c, record.PhasesConfig{})
	ctx := testContext(t)
	key := record.CommitKey(7)
	for i, x := range m {
		res, err := x.Store(ctx, dht.StoreRequest{Key: key, Subkey: owners[i].name, Value: fmt.Sprint("commit ", i), Expiration: in(time.Minute)})
		if err != nil || res.Accepted != 4 {
			t.Fatalf("commit %d: %+v, %v", i, res, err)
		}
	}
	c.set(7, 700)
	var late owner // nearer to the key than anybody
	for late = newOwner(t, identity.Ed25519); !kad.Nearer(kad.ID(key), kad.IDFromPeer(late.id), nearestFirst(m, key)[0].ID()); {
		late = newOwner(t, identity.Ed25519)
	}
	newcomer := citizen(t, withBootstrap(cfg, m[0]), &c, record.PhasesConfig{}, late)
	eventually(t, "the newcomer holds all commits", func() bool {
		v := held(newcomer, "commit_epoch_7")
		return v != nil && len(v.Entries) == len(m)
	})
	// Two who would plant a commit now, at every node.
	evil := newOwner(t, identity.Ed25519)
	forged := evil.sign(record.Record{Key: key, Subkey: must(record.SubkeyOf(evil.name)), Value: pack("late"), Expiration: record.ExpirationAt(in(time.Minute))})
	for range 2 {
		s := newStranger(t)
		for _, x := range append(m, newcomer) {
			for range 5 {
				if code := s.store(x, false, forged)[0]; code != wire.CodeInvalid {
					t.Errorf("a late commit: %v", code)
				}
			}
		}
	}
}

// TestFaultLateCommitsDieWithTheirHolders: nor did anybody restore the copies of commits that were lost with their holders. Here those
// that are left do, together.
func TestFaultLateCommitsDieWithTheirHolders(t *testing.T) {
	var c clock
	c.set(7, 200)
	cfg := quiet()
	cfg.Replicas, cfg.RepublishInterval, cfg.CheckInterval = 5, 300*time.Millisecond, 200*time.Millisecond
	m, owners := subnet(t, 9, cfg, &c, record.PhasesConfig{})
	key := record.CommitKey(7)
	order := nearestFirst(m, key)
	author := order[8] // who holds its own commit is no voucher for it
	name := owners[slices.Index(m, author)].name
	res, err := author.Store(testContext(t), dht.StoreRequest{Key: key, Subkey: name, Value: "commit", Expiration: in(2 * time.Minute)})
	if err != nil || res.Accepted != 5 {
		t.Fatalf("%+v, %v", res, err)
	}
	c.set(7, 700)
	for _, x := range order[:2] {
		_ = x.Host.Close() // no goodbye
	}
	for _, x := range order[:2] {
		x.end()
	}
	eventually(t, "five copies again", func() bool { return copies(order[2:], key) >= 5 })
}
