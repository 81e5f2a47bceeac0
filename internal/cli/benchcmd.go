package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/identity"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

// benchConfig has the parameters of the original's benchmark.
type benchConfig struct {
	peers, keys, batch, value int
	replicas, wave            int
	expiration, latency, wait time.Duration
	seed                      uint64
}

// benchResult is what bench/peers_hivemind.py prints too.
type benchResult struct {
	Peers        int     `json:"peers"`
	Keys         int     `json:"keys"`
	Batch        int     `json:"batch"`
	Start        float64 `json:"start_s"`
	Store        float64 `json:"store_ms"` // per key
	Get          float64 `json:"get_ms"`   // per key
	StoreSuccess float64 `json:"store_success"`
	GetSuccess   float64 `json:"get_success"`
	Memory       float64 `json:"memory_mib"`
}

func (e *env) benchCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the DHT on this machine",
	}
	c.AddCommand(e.benchDHTCmd())
	return c
}

func (e *env) benchDHTCmd() *cobra.Command {
	cfg := benchConfig{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "dht",
		Short: "Store and get many keys in a swarm of real hosts in this process",
		Long: `Start a swarm of real hosts in this process, on loopback, and measure as the original's benchmark does: random nodes store all keys in
batches, then random nodes get them in batches. Times are per key; the memory is that of the whole process with all hosts.`,
		Example: "  mesh bench dht --peers 16 --keys 1024\n  mesh bench dht --peers 32 --keys 4096 --batch 256 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validate(); err != nil {
				return err
			}
			if !asJSON {
				fmt.Fprintf(e.stderr, "starting %d hosts\n", cfg.peers)
			}
			r, err := cfg.run(cmd.Context())
			if err != nil {
				return err
			}
			return e.show(asJSON, r, r.text)
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.peers, "peers", 16, "nodes of the swarm")
	f.IntVar(&cfg.keys, "keys", 1024, "keys to store and to get")
	f.IntVar(&cfg.batch, "batch", 64, "keys in one operation")
	f.IntVar(&cfg.value, "value", 16, "bytes of a value")
	f.DurationVar(&cfg.expiration, "expiration", 300*time.Second, "how long the values live")
	f.DurationVar(&cfg.latency, "latency", 0, "pause between storing and getting")
	f.IntVar(&cfg.replicas, "replicas", 5, "nodes that keep a value")
	f.IntVar(&cfg.wave, "wave", 4, "nodes that start at once")
	f.DurationVar(&cfg.wait, "wait-timeout", 5*time.Second, "how long one call may take")
	f.Uint64Var(&cfg.seed, "seed", 1, "of keys, values and the choice of nodes")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON")
	return c
}

func (c *benchConfig) validate() error {
	switch {
	case c.peers < 1 || c.peers > 1024:
		return usagef("--peers %d: want 1 to 1024", c.peers)
	case c.keys < 1 || c.batch < 1 || c.replicas < 1 || c.wave < 1:
		return usagef("--keys, --batch, --replicas and --wave are at least 1")
	case c.value < 0 || c.value > 60<<10:
		return usagef("--value %d: want 0 to %d bytes", c.value, 60<<10)
	case c.expiration <= 0 || c.latency < 0 || c.wait <= 0:
		return usagef("--expiration and --wait-timeout are more than nothing, --latency is not negative")
	}
	return nil
}

func (r benchResult) text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "start\t%.2f s for %d nodes\n", r.Start, r.Peers)
	fmt.Fprintf(w, "store\t%.3f ms a key, %.2f %% of %d stored\n", r.Store, 100*r.StoreSuccess, r.Keys)
	fmt.Fprintf(w, "get\t%.3f ms a key, %.2f %% found unaltered\n", r.Get, 100*r.GetSuccess)
	fmt.Fprintf(w, "memory\t%.1f MiB\n", r.Memory)
	flush(w)
	return b.String()
}

// benchSwarm is the swarm under measurement.
type benchSwarm struct {
	mu    sync.Mutex // guards the fields below
	nodes []*dht.Node
	addrs []peer.AddrInfo
	close []func() error

	runs sync.WaitGroup
}

// end stops everything.
func (s *benchSwarm) end() error {
	var err error
	for _, f := range s.close {
		err = errors.Join(err, f())
	}
	s.runs.Wait()
	return err
}

// start adds a node that joins by the given ones, and waits until it has.
func (s *benchSwarm) start(ctx, life context.Context, c *benchConfig, bootstrap []peer.AddrInfo) error {
	key, err := identity.Generate(identity.Ed25519)
	if err != nil {
		return err
	}
	listen, err := p2p.ParseAddrs([]string{"/ip4/127.0.0.1/tcp/0"})
	if err != nil {
		return err
	}
	host, err := p2p.New(p2p.Config{Key: key, Listen: listen, Namespace: "/mesh/bench/1"}) //nolint:contextcheck // constructors take none
	if err != nil {
		return err
	}
	calls := rpc.NewNode(host, rpc.Config{Namespace: "/mesh/bench/1"})
	node, err := dht.New(calls, dht.Config{Bootstrap: bootstrap, Replicas: c.replicas, CallTimeout: c.wait, LeaveTimeout: -1}) //nolint:contextcheck // as above
	if err != nil {
		return errors.Join(err, calls.Close(), host.Close())
	}
	s.mu.Lock()
	s.nodes = append(s.nodes, node)
	s.addrs = append(s.addrs, host.AddrInfo())
	s.close = append(s.close, node.Close, calls.Close, host.Close)
	s.mu.Unlock()
	s.runs.Go(func() { _ = node.Run(life) }) // it fails only when it cannot join, which Ready tells
	select {
	case <-node.Ready():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a node did not join: %w", ctx.Err())
	}
}

// run measures.
func (c *benchConfig) run(ctx context.Context) (r benchResult, err error) {
	rng := rand.New(rand.NewPCG(c.seed, 0)) //nolint:gosec // reproducible, not secret
	s := &benchSwarm{}
	life, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		err = errors.Join(err, s.end())
	}()
	began := time.Now()
	for len(s.nodes) < c.peers {
		wave := 1
		if len(s.nodes) > 0 {
			wave = min(c.wave, c.peers-len(s.nodes))
		}
		joining, cancel := context.WithTimeout(ctx, 2*time.Minute)
		g, joining := errgroup.WithContext(joining)
		for range wave {
			var by []peer.AddrInfo
			for _, i := range rng.Perm(len(s.addrs))[:min(3, len(s.addrs))] {
				by = append(by, s.addrs[i])
			}
			g.Go(func() error { return s.start(joining, life, c, by) })
		}
		err := g.Wait()
		cancel()
		if err != nil {
			return r, err
		}
	}
	r = benchResult{Peers: c.peers, Keys: c.keys, Batch: c.batch, Start: time.Since(began).Seconds()}
	return r, c.measure(ctx, s, rng, &r)
}

// measure stores and gets.
func (c *benchConfig) measure(ctx context.Context, s *benchSwarm, rng *rand.Rand, r *benchResult) error {
	keys := make([]record.Key, c.keys)
	values := make([][]byte, c.keys)
	for i := range keys {
		keys[i] = record.KeyOfText(hex.EncodeToString(randomBytes(rng, 16)))
		values[i] = randomBytes(rng, c.value)
	}
	expires := time.Now().Add(c.expiration).Truncate(time.Microsecond)
	stored, got := 0, 0
	began := time.Now()
	for at := 0; at < c.keys; at += c.batch {
		var reqs []dht.StoreRequest
		for i := at; i < min(at+c.batch, c.keys); i++ {
			reqs = append(reqs, dht.StoreRequest{Key: keys[i], Value: values[i], Expiration: expires})
		}
		for _, res := range s.nodes[rng.IntN(len(s.nodes))].StoreMany(ctx, reqs) {
			if res.OK() {
				stored++
			}
		}
	}
	r.Store = perKey(began, c.keys)
	if c.latency > 0 {
		select {
		case <-time.After(c.latency):
		case <-ctx.Done():
		}
	}
	began = time.Now()
	for at := 0; at < c.keys; at += c.batch {
		for i, res := range s.nodes[rng.IntN(len(s.nodes))].GetMany(ctx, keys[at:min(at+c.batch, c.keys)]) {
			if res.Err != nil || res.Value.IsDictionary() {
				continue
			}
			v, err := res.Value.Decode()
			if b, ok := v.([]byte); err == nil && ok && bytes.Equal(b, values[at+i]) {
				got++
			}
		}
	}
	r.Get = perKey(began, c.keys)
	r.StoreSuccess, r.GetSuccess = float64(stored)/float64(c.keys), float64(got)/float64(c.keys)
	r.Memory = memoryMiB()
	return ctx.Err()
}

func perKey(began time.Time, keys int) float64 {
	return time.Since(began).Seconds() * 1000 / float64(keys)
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// memoryMiB is what this process takes: resident where the system tells, else what the runtime has taken.
func memoryMiB() float64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys-m.HeapReleased) / (1 << 20)
}
