package dht_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/internal/virtualnet"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const virtualLatency = 25 * time.Millisecond // one way: a round trip of 50 ms

// virtualSwarm is a swarm of complete nodes, each with its libp2p host, on a virtual network. It lives in a synctest bubble,
// and one goroutine, that of the test, starts and ends the hosts; they act by themselves.
type virtualSwarm struct {
	t     *testing.T
	net   *virtualnet.Network
	cfg   dht.Config
	rng   *rand.Rand // makes keys, sessions and load; the hosts add chance of their own
	tally tally
	hosts []*virtualHost // that are on the network; clients are not among them

	started uint64
	wg      sync.WaitGroup // of what the hosts run
}

// virtualHost is one node of a virtual swarm with everything under it.
type virtualHost struct {
	*dht.Node
	host    *p2p.Host
	calls   *rpc.Node
	machine *virtualnet.Machine
	born    time.Time
	gone    atomic.Bool // off the network
	cancel  context.CancelFunc
	over    chan struct{} // closed when Run has returned
}

// newVirtualSwarm makes an empty swarm. The garbage of hundreds of hosts is collected less often than usual, because that
// would take a third of the time.
func newVirtualSwarm(t *testing.T, latency time.Duration, cfg dht.Config) *virtualSwarm {
	percent := debug.SetGCPercent(200)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	s := &virtualSwarm{t: t, net: virtualnet.New(latency), cfg: cfg, rng: rand.New(rand.NewPCG(1, 2))}
	t.Cleanup(s.close)
	return s
}

// start adds a host that joins by some of the others. A client serves nobody, is in nobody's table, and is not counted.
func (s *virtualSwarm) start(edit ...func(*dht.Config)) *virtualHost {
	s.t.Helper()
	cfg := s.cfg
	for _, i := range s.rng.Perm(len(s.hosts))[:min(3, len(s.hosts))] {
		cfg.Bootstrap = append(cfg.Bootstrap, s.hosts[i].host.AddrInfo())
	}
	for _, e := range edit {
		e(&cfg)
	}
	s.started++
	seed := make([]byte, ed25519.SeedSize)
	binary.BigEndian.PutUint64(seed, s.started)
	key := must(crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed)))
	h := &virtualHost{machine: s.net.Attach(), born: time.Now(), over: make(chan struct{})}
	h.host = must(p2p.New(p2p.Config{
		Key: key, Listen: []multiaddr.Multiaddr{h.machine.QUIC()}, ListenUDP: h.machine.ListenUDP, Namespace: "/mesh/test/1",
	}))
	calls := rpc.Config{Namespace: "/mesh/test/1"}
	if !cfg.ClientMode {
		calls.Interceptors = []rpc.Interceptor{&s.tally}
	}
	h.calls = rpc.NewNode(h.host, calls)
	h.Node = must(dht.New(h.calls, cfg))
	ctx, cancel := context.WithCancel(s.t.Context())
	h.cancel = cancel
	s.wg.Go(func() {
		defer close(h.over)
		if err := h.Run(ctx); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	if !cfg.ClientMode {
		s.hosts = append(s.hosts, h)
	} else {
		s.t.Cleanup(func() { s.kill(h) })
	}
	return h
}

func asClient(cfg *dht.Config) { cfg.ClientMode = true }

// grow starts hosts, twenty a second, and returns when all are ready.
func (s *virtualSwarm) grow(n int) {
	for range n {
		s.start()
		time.Sleep(50 * time.Millisecond)
	}
	for _, h := range s.hosts {
		<-h.Ready()
	}
	synctest.Wait()
}

// kill ends a host without a word to anybody: it is off the network before any part of it is closed.
func (s *virtualSwarm) kill(h *virtualHost) {
	if h.gone.Swap(true) {
		return
	}
	s.hosts = slices.DeleteFunc(s.hosts, func(o *virtualHost) bool { return o == h })
	h.machine.Unplug()
	s.wg.Go(func() {
		err := []error{h.Close()} // the node first, or it would try to hand its records over
		h.cancel()
		<-h.over
		for _, e := range append(err, h.calls.Close(), h.host.Close()) {
			if e != nil {
				s.t.Errorf("close: %v", e)
			}
		}
	})
}

func (s *virtualSwarm) close() {
	for len(s.hosts) > 0 {
		s.kill(s.hosts[0])
	}
	s.wg.Wait()
}

// someone returns a host that has joined.
func (s *virtualSwarm) someone() *virtualHost {
	for {
		h := s.hosts[s.rng.IntN(len(s.hosts))]
		select {
		case <-h.Ready():
			return h
		default:
		}
	}
}

// newKey returns a random key.
func (s *virtualSwarm) newKey() record.Key { return record.KeyOfText(fmt.Sprint(s.rng.Uint64())) }

// nearest returns the n hosts nearest to a key, as only somebody above it all can know.
func (s *virtualSwarm) nearest(key kad.ID, n int) []*virtualHost {
	all := slices.Clone(s.hosts)
	slices.SortFunc(all, func(a, b *virtualHost) int { return kad.CompareDistance(key, a.ID(), b.ID()) })
	return all[:min(n, len(all))]
}

// local returns what a host itself holds for a key, in storage or cache: a get that may not ask anybody.
func (h *virtualHost) local(key record.Key) *dht.Value {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	v, err := h.Get(ctx, key)
	if err != nil {
		return nil
	}
	return v
}

// health is the state of the tables: the share of the contacts that are gone, and of the Replicas nearest hosts that
// somebody's table knows.
func (s *virtualSwarm) health() (contacts, dead, neighbours float64) {
	live := make(map[peer.ID]bool, len(s.hosts))
	for _, h := range s.hosts {
		live[h.host.ID()] = true
	}
	known, wanted := 0, 0
	for _, h := range s.hosts {
		mine := make(map[peer.ID]bool)
		for _, c := range h.Contacts() {
			mine[c.Peer] = true
			contacts++
			if !live[c.Peer] {
				dead++
			}
		}
		for _, o := range s.nearest(h.ID(), dht.Defaults().Replicas+1)[1:] { // the nearest is itself
			wanted++
			if mine[o.host.ID()] {
				known++
			}
		}
	}
	return contacts / float64(len(s.hosts)), dead / max(contacts, 1), float64(known) / float64(wanted)
}

// tally counts the bytes of requests and answers by what they are for. It is an interceptor of every host that is counted,
// and counts at the caller, so that each message counts once. Framing and encryption are the network's, which counts too.
type tally struct {
	checks   atomic.Int64 // pings
	searches atomic.Int64 // finds that want no value: joins and refreshes, as long as no host that is counted stores
	repairs  atomic.Int64 // stores: hand-overs and republication
	gets     atomic.Int64 // finds that want a value, and copies for caches
}

// usage is what a tally has counted, in bytes.
type usage struct{ checks, searches, repairs, gets int64 }

func (u usage) upkeep() int64 { return u.checks + u.searches + u.repairs }

func (t *tally) take() usage {
	return usage{t.checks.Swap(0), t.searches.Swap(0), t.repairs.Swap(0), t.gets.Swap(0)}
}

// Client implements rpc.Interceptor.
func (t *tally) Client(next rpc.UnaryCall) rpc.UnaryCall {
	limits := wire.Limits{Keys: 1024, Nearest: 256, Subkey: 4 << 10, Value: 4 << 20}
	return func(ctx context.Context, to peer.ID, m rpc.Method, data []byte) ([]byte, error) {
		answer, err := next(ctx, to, m, data)
		count := &t.checks
		switch m {
		case dht.MethodFind:
			count = &t.gets
			var req wire.FindRequest
			if req.Decode(data, limits) == nil && req.Want&wire.WantNearest != 0 {
				count = &t.searches
			}
		case dht.MethodStore:
			count = &t.repairs
			var req wire.StoreRequest
			if req.Decode(data, limits) == nil && req.InCache[0] {
				count = &t.gets
			}
		}
		count.Add(int64(len(data) + len(answer)))
		return answer, err
	}
}

// Server implements rpc.Interceptor.
func (*tally) Server(next rpc.UnaryHandler) rpc.UnaryHandler { return next }
