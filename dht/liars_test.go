package dht_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// The tests of this file run liars on hosts of their own beside honest nodes. All identities are made from seeds, so that
// everybody stands at the same place of the key space in every run.

// seededKey returns identity number i of a seed.
func seededKey(seed string, i int) crypto.PrivKey {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, i))
	return must(crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(sum[:])))
}

func peerOf(key crypto.PrivKey) peer.ID { return must(peer.IDFromPrivateKey(key)) }

// groundKeys returns the n identities nearest to a key out of so many that are tried.
func groundKeys(seed string, key record.Key, n, tries int) []crypto.PrivKey {
	keys := make([]crypto.PrivKey, tries)
	for i := range keys {
		keys[i] = seededKey(seed, i)
	}
	slices.SortFunc(keys, func(a, b crypto.PrivKey) int {
		return kad.CompareDistance(kad.ID(key), kad.IDFromPeer(peerOf(a)), kad.IDFromPeer(peerOf(b)))
	})
	return keys[:n]
}

// seeded gives each node of a swarm its seeded identity.
func seeded(seed string) func(*p2p.Config, *rpc.Config) {
	i := 0
	return func(pc *p2p.Config, _ *rpc.Config) {
		pc.Key = seededKey(seed, i)
		i++
	}
}

// gang is liars that work together: each says that it keeps what it is sent and keeps nothing, has no value, and names only
// members of the gang, those nearest to the target.
type gang struct {
	members []*stranger
	size    int // of the lists
}

func newGang(t *testing.T, keys []crypto.PrivKey, size int) *gang {
	t.Helper()
	g := &gang{size: size}
	for _, key := range keys {
		s := newStranger(t, func(pc *p2p.Config, _ *rpc.Config) { pc.Key = key })
		g.members = append(g.members, s)
	}
	for _, s := range g.members {
		s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
			for i, k := range req.Keys {
				g.name(&resp.Results[i], kad.ID(k))
			}
		})
	}
	return g
}

// name fills in the members nearest to a target, and where they are.
func (g *gang) name(r *wire.FindResult, target kad.ID) {
	list := slices.Clone(g.members)
	slices.SortFunc(list, func(a, b *stranger) int { return kad.CompareDistance(target, a.id(), b.id()) })
	for _, s := range list[:min(g.size, len(list))] {
		id := s.id()
		r.NearestIDs = append(r.NearestIDs, id[:])
		r.NearestPeers = append(r.NearestPeers, []byte(s.Host.ID()))
		var blob []byte
		for _, a := range s.Host.Libp2p().Addrs() {
			blob = wire.AppendAddr(blob, a.Bytes())
		}
		r.NearestAddrs = append(r.NearestAddrs, blob)
	}
}

// meet makes each member known to one in so many honest nodes, which take it into their tables if they have room.
func (g *gang) meet(to []*member, oneIn int) {
	for i, s := range g.members {
		id := s.id()
		for j, m := range to {
			if (i+j)%oneIn == 0 {
				s.ping(m, id[:], true)
			}
		}
	}
}

// TestPathsLeadPastLiars: where a third of all nodes name only each other and lose what they are sent, who believes whom
// he meets loses more values than who takes disjoint paths when a look finds nothing, and who takes many paths from the
// start loses none.
func TestPathsLeadPastLiars(t *testing.T) {
	const honestNodes, liars, keys = 36, 18, 60
	cfg := quiet()
	cfg.BucketSize, cfg.Replicas, cfg.DepthModulo = 5, 4, 1 // tables that know a third of the swarm
	m := swarm(t, honestNodes, cfg, seeded("paths"))
	var identities []crypto.PrivKey
	for i := range liars {
		identities = append(identities, seededKey("gang", i))
	}
	g := newGang(t, identities, cfg.BucketSize)
	g.meet(m, 3)
	ctx := testContext(t)
	found := map[int]int{}
	for _, paths := range []int{1, 0, dht.CriticalPaths} {
		for i := range keys {
			key := record.KeyOfText(fmt.Sprint("key", paths, i))
			from, to := m[i%honestNodes], m[(i*7+5)%honestNodes]
			if _, err := from.Store(ctx, dht.StoreRequest{Key: key, Value: i, Expiration: in(time.Minute), Paths: paths}); err != nil {
				t.Fatal(err) // liars confirm everything
			}
			switch v, err := to.Get(ctx, key, dht.Paths(paths)); {
			case err == nil && must(v.Decode()) == int64(i):
				found[paths]++
			case !errors.Is(err, dht.ErrNotFound):
				t.Errorf("key %d: %v", i, err)
			}
		}
	}
	one, standard, critical := found[1], found[0], found[dht.CriticalPaths]
	t.Logf("of %d values: %d found on one path, %d by default, %d on %d paths", keys, one, standard, critical, dht.CriticalPaths)
	if one > keys-4 || standard < one || standard < keys-8 || critical < keys-4 || critical <= one { // sockets are not deterministic
		t.Errorf("of %d values: %d found on one path, %d by default, %d on %d paths", keys, one, standard, critical, dht.CriticalPaths)
	}
}

// sum adds up a counter of all members.
func sum(m []*member, counter func(dht.Stats) uint64) (n uint64) {
	for _, x := range m {
		n += counter(x.Stats())
	}
	return n
}

// TestSybilsAroundAKey: in an honest swarm nothing is alarming and little is doubted. Then somebody puts 20 identities around
// a key, ground from 1,500: all holders are his where the nearest are believed, and nobody finds the value. A node with the
// defaults notices, tells, and stores at honest nodes behind the crowd too, where the second and third look of a get find it.
func TestSybilsAroundAKey(t *testing.T) {
	const honestNodes = 40
	cfg := quiet()
	m := swarm(t, honestNodes, cfg, seeded("honest"))
	ctx := testContext(t)
	for i := range 3 * honestNodes { // each learns how large the swarm is
		if _, err := m[i%honestNodes].FindNearest(ctx, kad.ID(record.KeyOfText(fmt.Sprint("anywhere", i))), 20); err != nil {
			t.Fatal(err)
		}
	}
	asked := sum(m, func(s dht.Stats) uint64 { return s.LookupAsks })
	const stores = 8 * honestNodes
	for i := range stores {
		res, err := m[i%honestNodes].Store(ctx, dht.StoreRequest{Key: record.KeyOfText(fmt.Sprint("calm", i)), Value: i, Expiration: in(time.Minute)})
		if err != nil || res.Accepted < 8 || res.Accepted > 16 {
			t.Fatalf("store %d: %d of %d, %v", i, res.Accepted, res.Wanted, err)
		}
	}
	asked = sum(m, func(s dht.Stats) uint64 { return s.LookupAsks }) - asked
	crowded, doubts := sum(m, func(s dht.Stats) uint64 { return s.Crowded }), sum(m, func(s dht.Stats) uint64 { return s.Doubts })
	t.Logf("%d stores: %.1f questions each, %d doubts so far", stores, float64(asked)/stores, doubts)
	if crowded > 0 || doubts > stores/3 || asked > 10*stores {
		t.Errorf("an honest swarm: %d alarms, %d doubts, %d questions for %d stores", crowded, doubts, asked, stores)
	}

	key := record.KeyOfText("victim")
	g := newGang(t, groundKeys("sybil", key, 20, 1_500), 20)
	near := nearestFirst(m, key)
	writer, reader := near[honestNodes-1], near[honestNodes-2] // the farthest from the key
	g.meet(near[:12], 1)                                       // the others hear of them
	g.meet([]*member{writer, reader}, 1)
	trusting := launch(t, withBootstrap(dht.Config{
		Paths: 1, NoRegion: true, NoCacheLocally: true, CacheNearest: -1, NoCacheOnStore: true, LeaveTimeout: -1,
	}, m[1]), seeded("trusting"))
	waitReady(t, trusting)
	if res, err := trusting.Store(ctx, dht.StoreRequest{Key: key, Value: "lost", Expiration: in(time.Minute)}); err != nil || res.Accepted < 8 {
		t.Fatalf("%+v, %v", res, err)
	}
	if n := copies(m, key); n != 0 {
		t.Errorf("who believes the nearest stored at %d honest nodes", n)
	}

	events, stop := writer.Events()
	res, err := writer.Store(ctx, dht.StoreRequest{Key: key, Value: "found", Expiration: in(2 * time.Minute)})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	told := map[dht.EventKind]int{}
	for e := range events {
		if e.Key == key {
			told[e.Kind]++
		}
	}
	if told[dht.EventSybils] != 1 || told[dht.EventDoubt] == 0 || writer.Stats().Crowded != 1 {
		t.Errorf("told of the Sybils: %v", told)
	}
	if n := copies(m, key); n < 8 {
		t.Errorf("%d honest copies of %d", n, res.Accepted)
	}
	if _, err := reader.Get(ctx, key, dht.Paths(1)); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("one look: %v", err)
	}
	for range 3 {
		if v, err := reader.Get(ctx, key); err != nil || must(v.Decode()) != "found" {
			t.Errorf("a second look: %v", err)
		}
		if v, err := reader.Get(ctx, key, dht.Latest()); err != nil || must(v.Decode()) != "found" {
			t.Errorf("the latest: %v", err)
		}
	}
	tr, err := reader.Trace(ctx, key)
	if err != nil || tr.Value == nil || len(tr.Doubts) == 0 || tr.Steps[len(tr.Steps)-1].Look != len(tr.Doubts) ||
		tr.Stats.Asked != len(tr.Steps) || tr.Stats.Answered+tr.Stats.Failed > tr.Stats.Asked {
		t.Errorf("trace: %v, %+v", err, tr)
	}
}

// TestGrowthMisleadsNobody: a node that learned the size of a small swarm finds the right places when it has grown to four
// times as many.
func TestGrowthMisleadsNobody(t *testing.T) {
	const grown = 48
	cfg := quiet()
	cfg.BucketSize = 8
	m := swarm(t, grown/4, cfg, seeded("growth"))
	ctx := testContext(t)
	old := m[0]
	eventually(t, "the first node is sure of the size", func() bool {
		_, err := old.Get(ctx, randomKey())
		return errors.Is(err, dht.ErrNotFound) && old.Stats().NetworkSizeConfident
	})
	rest := seeded("grown")
	for len(m) < grown {
		x := launch(t, withBootstrap(cfg, m[len(m)/2], m[1]), rest)
		waitReady(t, x)
		m = append(m, x)
	}
	const keys = 40
	missing := 0
	for i := range keys {
		key := record.KeyOfText(fmt.Sprint("key", i))
		if _, err := old.Store(ctx, dht.StoreRequest{Key: key, Value: i, Expiration: in(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		missing += 8 - copies(nearestFirst(m, key)[:8], key)
	}
	if missing > keys*8/20 || old.Stats().Crowded > 0 {
		t.Errorf("%d of %d nearest nodes did not get their record; %d alarms", missing, 8*keys, old.Stats().Crowded)
	}
}

// TestForgeryIsAReasonToLookAgain: where somebody passes on what the validators refuse, a get that finds nothing says so.
func TestForgeryIsAReasonToLookAgain(t *testing.T) {
	cfg := quiet()
	cfg.Validators = record.NewChain(record.NewSignature(nil, record.SignatureConfig{}))
	m := swarm(t, 24, cfg, seeded("forgery"))
	key := record.KeyOfText("key")
	s := newGang(t, groundKeys("forger", key, 1, 100), 0).members[0]
	owner := record.NewSignature(s.Host.Libp2p().Peerstore().PrivKey(s.Host.ID()), record.SignatureConfig{})
	subkey := must(record.SubkeyOf([]byte("somebody" + owner.Marker())))
	s.Calls.Remove(dht.MethodFind)
	s.Calls.Remove(dht.MethodPing)
	s.Calls.Remove(dht.MethodStore)
	s.serveFind(func(req wire.FindRequest, resp *wire.FindResponse) {
		for i, k := range req.Keys {
			if record.Key(k) == key {
				d := record.Dictionary{Latest: record.ExpirationAt(in(time.Minute))}
				d.Entries = append(d.Entries, record.Entry{Subkey: subkey, Value: pack("forged"), Expiration: d.Latest})
				resp.Results[i] = wire.FindResult{Type: wire.FoundDictionary, Value: d.Append(nil), Expiration: float64(d.Latest)}
			}
		}
	})
	for _, x := range m {
		s.befriend(x)
	}
	events, stop := m[0].Events()
	if _, err := m[0].Get(testContext(t), key); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	stop()
	reasons := map[string]int{}
	for e := range events {
		if e.Kind == dht.EventDoubt {
			reasons[e.Reason]++
		}
	}
	if reasons[kad.DoubtLies.String()] == 0 {
		t.Errorf("doubts: %v", reasons)
	}
}
