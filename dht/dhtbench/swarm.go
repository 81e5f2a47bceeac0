package dhtbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// SwarmConfig describes the swarm that is measured. Zero fields take the default.
type SwarmConfig struct {
	Peers        int           `json:"peers"`         // 16
	InitialPeers int           `json:"initial_peers"` // earlier peers that each joins by; 4
	Replicas     int           `json:"replicas"`      // 5, as the original
	Neighbours   int           `json:"neighbours"`    // nearest peers that a newcomer meets; as many as Replicas
	Paths        int           `json:"paths"`         // as a node's
	WaitTimeout  time.Duration `json:"-"`             // of one call; 5 s
	Transport    string        `json:"transport"`     // "tcp" or "quic"; tcp while the process has descriptors enough
	Conns        int           `json:"conns"`         // connections that each peer keeps; 96, over TCP what there are descriptors for
	Wave         int           `json:"wave"`          // peers that join at once; 16
	Cache        bool          `json:"cache"`         // the node's caches, off here so that every get is measured
	Seed         uint64        `json:"seed"`          // 30

	// Advance is called after every step with how much of a stage is done, by several goroutines. Optional.
	Advance func(stage string, done, of int) `json:"-"`
}

// advance tells how far a stage is, if anybody listens.
func (c *SwarmConfig) advance(stage string, done, of int) {
	if c.Advance != nil {
		c.Advance(stage, done, of)
	}
}

func (c SwarmConfig) withDefaults() SwarmConfig {
	for _, f := range []struct {
		have *int
		def  int
	}{{&c.Peers, 16}, {&c.InitialPeers, 4}, {&c.Replicas, 5}, {&c.Paths, dht.Defaults().Paths}, {&c.Wave, 16}} {
		if *f.have <= 0 {
			*f.have = f.def
		}
	}
	if c.WaitTimeout <= 0 {
		c.WaitTimeout = 5 * time.Second
	}
	if c.Transport == "" {
		c.Transport = "tcp"
		if affordable(c.Peers) < fewConns {
			c.Transport = "quic"
		}
	}
	if c.Conns <= 0 {
		c.Conns = mostConns
		if c.Transport == "tcp" {
			c.Conns = affordable(c.Peers)
		}
	}
	if c.Neighbours <= 0 {
		c.Neighbours = c.Replicas
	}
	if c.Seed == 0 {
		c.Seed = 30
	}
	return c
}

const (
	mostConns = 96 // of a peer: what a routing table holds, and its memory times a thousand
	fewConns  = 40 // of a peer: with fewer, upkeep alone would make peers connect again and again
)

// affordable returns the connections that each of some peers in one process may keep over TCP. Each takes a descriptor at
// both of its ends, and connections are trimmed only after a while: a quarter of all descriptors stays free.
func affordable(peers int) int {
	return min(max(descriptors()*3/4/peers, 1), mostConns)
}

// Footprint is what a swarm takes of its process, divided by its peers.
type Footprint struct {
	HeapKiB    float64 `json:"heap_kib"`
	Goroutines float64 `json:"goroutines"`
}

// swarm is a set of running nodes.
type swarm struct {
	cfg     SwarmConfig
	rng     *rand.Rand
	addr    string // to listen on
	peers   []*runningPeer
	took    time.Duration
	before  runtime.MemStats
	threads int // goroutines before
}

type runningPeer struct {
	*dht.Node
	host  *p2p.Host
	calls *rpc.Node
	stop  context.CancelFunc
	over  chan struct{}

	mu   sync.Mutex
	dead bool
}

// start builds a swarm and waits until every peer has joined.
func start(ctx context.Context, cfg SwarmConfig) (*swarm, error) {
	cfg = cfg.withDefaults()
	s := &swarm{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, cfg.Seed))} //nolint:gosec // repeatable, not secret
	runtime.GC()
	runtime.ReadMemStats(&s.before)
	s.threads = runtime.NumGoroutine()
	addr, ok := map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"}[cfg.Transport]
	if !ok {
		return nil, fmt.Errorf("dhtbench: transport %q is neither tcp nor quic", cfg.Transport)
	}
	s.addr = addr
	began := time.Now()
	for len(s.peers) < cfg.Peers {
		wave := 1
		if len(s.peers) > 0 {
			wave = min(cfg.Wave, cfg.Peers-len(s.peers), len(s.peers))
		}
		started := make([]*runningPeer, wave)
		errs := make([]error, wave)
		var wg sync.WaitGroup
		for i := range wave {
			bootstrap := s.sample(cfg.InitialPeers)
			wg.Go(func() { started[i], errs[i] = startPeer(ctx, cfg, addr, bootstrap) })
		}
		wg.Wait()
		for _, p := range started {
			if p != nil {
				s.peers = append(s.peers, p)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return nil, errors.Join(err, s.close())
		}
		cfg.advance("start", len(s.peers), cfg.Peers)
	}
	s.took = time.Since(began)
	return s, nil
}

// sample returns the addresses of up to n random peers.
func (s *swarm) sample(n int) []peer.AddrInfo {
	var list []peer.AddrInfo
	for _, i := range s.rng.Perm(len(s.peers))[:min(n, len(s.peers))] {
		list = append(list, s.peers[i].host.AddrInfo())
	}
	return list
}

func startPeer(ctx context.Context, cfg SwarmConfig, addr string, bootstrap []peer.AddrInfo) (*runningPeer, error) {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		return nil, err
	}
	listen, err := p2p.ParseAddrs([]string{addr})
	if err != nil {
		return nil, err
	}
	const namespace = "/mesh/bench/1"
	host, err := p2p.New(p2p.Config{Key: key, Listen: listen, Namespace: namespace, Limits: limits(cfg)}) //nolint:contextcheck // a constructor
	if err != nil {
		return nil, err
	}
	p := &runningPeer{host: host, calls: rpc.NewNode(host, rpc.Config{Namespace: namespace}), over: make(chan struct{})}
	nodeConfig := dht.Config{
		Bootstrap: bootstrap, Replicas: cfg.Replicas, Neighbours: cfg.Neighbours, Paths: cfg.Paths, CallTimeout: cfg.WaitTimeout, LeaveTimeout: -1,
		NoCacheLocally: !cfg.Cache, NoCacheOnStore: !cfg.Cache,
	}
	if !cfg.Cache {
		nodeConfig.CacheNearest, nodeConfig.CacheRefresh = -1, -1
	}
	if p.Node, err = dht.New(p.calls, nodeConfig); err != nil { //nolint:contextcheck // a constructor
		return nil, errors.Join(err, p.calls.Close(), host.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	go func() {
		defer close(p.over)
		_ = p.Run(running) // nil, or ErrClosed when it is closed first
	}()
	select {
	case <-p.Ready():
		return p, nil
	case <-time.After(time.Minute):
		err = errors.New("dhtbench: a peer could not join within a minute")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, p.close())
}

// limits lets a host keep some connections, and more for a moment.
func limits(cfg SwarmConfig) p2p.Limits {
	const grace = 3 * time.Second // of a busy swarm whose descriptors are few; p2p's default is for a quiet one
	l := p2p.Limits{ConnsLow: cfg.Conns * 3 / 4, ConnsHigh: cfg.Conns}
	if cfg.Transport == "tcp" && cfg.Conns < cfg.Peers {
		l.ConnsGrace = grace
	}
	return l
}

// close ends a peer. It is idempotent.
func (p *runningPeer) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return nil
	}
	p.dead = true
	p.stop()
	<-p.over
	return errors.Join(p.Close(), p.calls.Close(), p.host.Close())
}

func (p *runningPeer) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.dead
}

// footprint measures the swarm as it stands.
func (s *swarm) footprint() Footprint {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	n := float64(len(s.peers))
	return Footprint{
		HeapKiB:    max(float64(now.HeapAlloc)-float64(s.before.HeapAlloc), 0) / 1024 / n, // what was garbage before may outweigh a small swarm
		Goroutines: float64(runtime.NumGoroutine()-s.threads) / n,
	}
}

// close ends all peers, many at once.
func (s *swarm) close() error {
	errs := make([]error, len(s.peers))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i, p := range s.peers {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = p.close()
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
