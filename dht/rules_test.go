package dht_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// TestOwnerAloneWrites: of owners of both kinds, each updates its record and nobody else does, also after the owner has left.
func TestOwnerAloneWrites(t *testing.T) {
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.RSA} {
		t.Run(kind.String(), func(t *testing.T) {
			o, other := newOwner(t, kind), newOwner(t, identity.Ed25519)
			start := func(key owner, at ...*member) *member {
				cfg := withBootstrap(quiet(), at...)
				cfg.Validators = record.NewChain(record.NewSignature(key.key, record.SignatureConfig{}))
				m := launch(t, cfg)
				waitReady(t, m)
				return m
			}
			mine := start(o)
			second := start(other, mine)
			third := start(newOwner(t, identity.RSA), mine)
			settle(t, []*member{mine, second, third})
			ctx := testContext(t)
			subkey, key := []byte("mine"+o.marker), record.KeyOfText("key")
			put := func(m *member, value string, lives time.Duration) error {
				_, err := m.Store(ctx, dht.StoreRequest{Key: key, Subkey: subkey, Value: value, Expiration: in(lives)})
				return err
			}
			reads := func(m *member, want string) {
				t.Helper()
				v, err := m.Get(ctx, key, dht.Latest(), dht.NoCache())
				if err != nil || len(v.Entries) != 1 || must(v.Entries[0].Decode()) != want {
					t.Errorf("read %+v, %v, want %q", v, err, want)
				}
			}
			s := newStranger(t)
			attack := func(lives time.Duration) {
				t.Helper()
				if err := put(second, "taken", lives); record.CodeOf(err) != record.CodeSignature {
					t.Errorf("another node signed for the owner: %v", err)
				}
				forged := sub("key", subkey, pack("taken"), in(lives))
				for _, m := range []*member{second, third} {
					for _, code := range s.store(m, false, forged, other.sign(forged)) {
						if code.String() != "invalid" {
							t.Errorf("an attack: %v", code)
						}
					}
				}
			}
			if err := put(mine, "first", time.Minute); err != nil {
				t.Fatal(err)
			}
			attack(2 * time.Minute)
			reads(third, "first")
			if err := put(mine, "second", 3*time.Minute); err != nil {
				t.Fatal(err)
			}
			reads(second, "second")
			mine.end()
			attack(4 * time.Minute)
			reads(second, "second")
			reads(third, "second")
			back := start(o, second) // elsewhere, with the same key
			if err := put(back, "third", 5*time.Minute); err != nil {
				t.Error(err)
			}
			reads(third, "third")
		})
	}
}

// TestRulesOfASubnet: ten nodes take heartbeats at any time, commits in the first half of the epoch and reveals after it until 60 %, as many
// as each may write, of this epoch only, and reveals only if they match their commits; and everybody reads them all.
func TestRulesOfASubnet(t *testing.T) {
	var c clock
	c.set(7, 100)
	var m []*member
	rules := record.PhasesConfig{Heartbeat: heartbeat.Check, Heartbeats: 3}
	rules.Binding = &record.Binding{Lookup: func(key record.Key, subkey []byte) ([]byte, bool) {
		for _, x := range m { // some node's; in real life its own
			if value, ok := x.Held(key, subkey); ok {
				return value, true
			}
		}
		return nil, false
	}}
	members, owners := subnet(t, 10, quiet(), &c, rules)
	m = members
	ctx := testContext(t)
	body := func(i int) []byte { return fmt.Append(nil, "scores of ", i) }
	put := func(i int, key record.Key, subkey any, value []byte, lives time.Duration) error {
		res, err := m[i].Store(ctx, dht.StoreRequest{Key: key, Subkey: subkey, Value: msgpack.Raw(value), Expiration: in(lives)})
		return errors.Join(err, res.Failure())
	}
	all := func(what string, want bool, f func(i int) error) {
		t.Helper()
		for i := range m {
			if err := f(i); want && err != nil || !want && !errors.Is(err, dht.ErrRefused) {
				t.Errorf("%s: node %d: %v", what, i, err)
			}
		}
	}
	salt := record.Salt{1, 2, 3}
	commit := func(i int) []byte { return record.Commit(7, owners[i].id, salt, body(i)).Value() }
	reveal := func(i int) []byte { return record.RevealValue(salt, body(i)) }
	beat := must(heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator}.Marshal())

	all("an early reveal", false, func(i int) error { return put(i, record.RevealKey(7), owners[i].name, reveal(i), time.Minute) })
	all("a commit of the next epoch", false, func(i int) error { return put(i, record.CommitKey(8), owners[i].name, commit(i), time.Minute) })
	all("another key", false, func(i int) error { return put(i, record.KeyOfText("key"), owners[i].name, commit(i), time.Minute) })
	all("a commit without owner", false, func(i int) error { return put(i, record.CommitKey(7), "me", commit(i), time.Minute) })
	all("a commit without subkey", false, func(i int) error { return put(i, record.CommitKey(7), nil, commit(i), time.Minute) })
	all("a commit that lives too long", false, func(i int) error { return put(i, record.CommitKey(7), owners[i].name, commit(i), 2*time.Hour) })
	all("a commit that is no hash", false, func(i int) error { return put(i, record.CommitKey(7), owners[i].name, pack("scores"), time.Minute) })
	all("a commit", true, func(i int) error { return put(i, record.CommitKey(7), owners[i].name, commit(i), time.Minute) })
	all("a second commit", false, func(i int) error { return put(i, record.CommitKey(7), owners[i].name, commit(i), 2*time.Minute) })
	for n := range 4 {
		all(fmt.Sprint("heartbeat ", n), n < 3, func(i int) error {
			return put(i, heartbeat.Key(), owners[i].name, beat, time.Minute+time.Duration(n)*time.Second)
		})
	}
	all("a heartbeat that lives too long", false, func(i int) error { return put(i, heartbeat.Key(), owners[i].name, beat, 40*time.Minute) })

	c.set(7, 501)
	all("a late commit", false, func(i int) error { return put(i, record.CommitKey(7), owners[i].name, commit(i), 3*time.Minute) })
	all("a reveal of something else", false, func(i int) error {
		return put(i, record.RevealKey(7), owners[i].name, record.RevealValue(salt, []byte("better scores")), time.Minute)
	})
	all("a reveal", true, func(i int) error { return put(i, record.RevealKey(7), owners[i].name, reveal(i), time.Minute) })
	all("a second reveal", false, func(i int) error { return put(i, record.RevealKey(7), owners[i].name, reveal(i), 2*time.Minute) })

	c.set(7, 601)
	all("a late reveal", false, func(i int) error { return put(i, record.RevealKey(7), owners[i].name, reveal(i), 3*time.Minute) })
	for _, x := range m {
		commits, err := x.Get(ctx, record.CommitKey(7), dht.Latest())
		if err != nil || len(commits.Entries) != len(m) {
			t.Fatalf("%+v, %v", commits, err)
		}
		reveals, err := x.Get(ctx, record.RevealKey(7), dht.Latest())
		if err != nil || len(reveals.Entries) != len(m) {
			t.Fatalf("%+v, %v", reveals, err)
		}
		for i, o := range owners {
			a, _ := commits.Entry(o.name)
			b, _ := reveals.Entry(o.name)
			if got, err := record.OpenReveal(7, o.id, a.Raw, b.Raw); err != nil || string(got) != string(body(i)) {
				t.Errorf("owner %d revealed %q, %v", i, got, err)
			}
		}
	}
	c.set(8, 0)
	all("a heartbeat of the next epoch", true, func(i int) error { return put(i, heartbeat.Key(), owners[i].name, beat, 2*time.Minute) })
	all("a commit of the epoch before", false, func(i int) error { return put(i, record.CommitKey(7), owners[i].name, commit(i), 4*time.Minute) })
}

// TestValidatorsOfARunningNode: rules that are added later hold from then on, beside those that were there.
func TestValidatorsOfARunningNode(t *testing.T) {
	o := newOwner(t, identity.Ed25519)
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(o.key, record.SignatureConfig{}))
	m := swarm(t, 3, cfg)
	settle(t, m)
	ctx := testContext(t)
	lives := time.Minute
	put := func(name string, subkey, value any) error { // by each node
		var last error
		for _, x := range m {
			lives += time.Second // every version is newer than the one before
			_, last = x.Store(ctx, dht.StoreRequest{Key: record.KeyOfText(name), Subkey: subkey, Value: value, Expiration: in(lives)})
		}
		return last
	}
	for _, name := range []string{"numbers", "names", "anything"} {
		if err := put(name, nil, "text"); err != nil {
			t.Fatalf("%s before there were rules: %v", name, err)
		}
	}
	shape := func(text string) *record.Shape { return must(record.ParseShape([]byte(text))) }
	numbers := must(record.NewSchema(record.SchemaConfig{Fields: []record.Field{{Name: "numbers", Value: shape(`{"type": "integer"}`)}}}))
	names := must(record.NewSchema(record.SchemaConfig{Fields: []record.Field{{Name: "names", Subkey: record.OwnerName(), Value: shape(`{"type": "string"}`)}}}))
	calls := make(chan record.Kind, 1000)
	seen := record.NewPredicate("seen", func(_ record.Record, q record.Request) error {
		calls <- q.Kind
		return nil
	})
	for _, x := range m {
		x.AddValidators(numbers)
	}
	for _, x := range m {
		x.AddValidators(names, seen)
	}
	for _, c := range []struct {
		name          string
		subkey, value any
		ok            bool
	}{
		{"numbers", nil, 7, true},
		{"numbers", nil, "7", false},
		{"numbers", nil, 7.0, false},
		{"numbers", "s", 7, false},
		{"names", o.name, "alice", true},
		{"names", []byte("x" + o.marker), "bob", true},
		{"names", o.name, []byte("alice"), false},
		{"names", "no owner", "alice", false},
		{"anything", nil, 1, false},
	} {
		if err := put(c.name, c.subkey, c.value); (err == nil) != c.ok {
			t.Errorf("%s[%q] = %v: %v", c.name, c.subkey, c.value, err)
		}
	}
	kinds := map[record.Kind]bool{}
	client := launch(t, withBootstrap(clientMode(cfg), m[0]))
	waitReady(t, client)
	client.AddValidators(seen)
	if v, err := client.Get(ctx, record.KeyOfText("numbers"), dht.Latest()); err != nil || must(v.Decode()) != int64(7) {
		t.Errorf("%+v, %v", v, err)
	}
	for len(calls) > 0 {
		kinds[<-calls] = true
	}
	if !kinds[record.Get] || !kinds[record.Post] {
		t.Errorf("the predicate saw %v", kinds)
	}
}
