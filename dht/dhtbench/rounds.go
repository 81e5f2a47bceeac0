package dhtbench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
)

// RoundsConfig describes the measurement in rounds, by the original's parameters. Zero fields take its defaults.
type RoundsConfig struct {
	SwarmConfig

	Workers     int           `json:"workers"`      // that work at once; 10
	Rounds      int           `json:"rounds"`       // in all; 16 per worker
	StorePeers  int           `json:"store_peers"`  // that each store one subkey of a round's key; 8
	GetPeers    int           `json:"get_peers"`    // that each read the round's key; 8
	Expiration  time.Duration `json:"-"`            // 300 s
	FirstGet    bool          `json:"first"`        // take the first value instead of the newest
	Wait        time.Duration `json:"-"`            // after a round
	Delay       time.Duration `json:"-"`            // between storing and reading
	FailureRate float64       `json:"failure_rate"` // share of peers switched off on the way; 0.1; negative: none
}

// RoundsReport is the result of Rounds. Times are those of all stores or all gets of one round.
type RoundsReport struct {
	RoundsConfig

	StartSeconds  float64   `json:"start_s"`
	StoreMean     float64   `json:"store_mean_s"`
	StoreDev      float64   `json:"store_std_s"`
	StoreMax      float64   `json:"store_max_s"`
	GetMean       float64   `json:"get_mean_s"`
	GetDev        float64   `json:"get_std_s"`
	GetMax        float64   `json:"get_max_s"`
	TotalSeconds  float64   `json:"total_s"`
	StoreSuccess  float64   `json:"store_success"`
	GetSuccess    float64   `json:"get_success"`
	Survivors     float64   `json:"node_survival_rate"`
	PerPeer       Footprint `json:"per_peer"`
	StoreAttempts int       `json:"store_attempts"`
	GetAttempts   int       `json:"get_attempts"`
}

func (c RoundsConfig) withDefaults() RoundsConfig {
	c.SwarmConfig = c.SwarmConfig.withDefaults()
	for _, f := range []struct {
		have *int
		def  int
	}{{&c.Workers, 10}, {&c.StorePeers, 8}, {&c.GetPeers, 8}} {
		if *f.have <= 0 {
			*f.have = f.def
		}
	}
	if c.Rounds <= 0 {
		c.Rounds = 16 * c.Workers
	}
	if c.Expiration <= 0 {
		c.Expiration = 300 * time.Second
	}
	if c.FailureRate == 0 {
		c.FailureRate = 0.1
	}
	c.FailureRate = min(max(c.FailureRate, 0), 1)
	return c
}

// tally collects the results of all workers. One mutex guards it.
type tally struct {
	mu                          sync.Mutex
	store, get                  []float64
	stored, storeTry, got, read int
}

// Rounds measures a swarm at work while some of its peers are switched off. Cancelling ctx ends it early.
func Rounds(ctx context.Context, cfg RoundsConfig) (report RoundsReport, err error) {
	cfg = cfg.withDefaults()
	s, err := start(ctx, cfg.SwarmConfig)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report.RoundsConfig, report.StartSeconds, report.PerPeer = cfg, s.took.Seconds(), s.footprint()

	// Who is switched off, and before which round.
	doomed := make(map[int][]*runningPeer)
	for _, i := range s.rng.Perm(len(s.peers))[:int(cfg.FailureRate*float64(len(s.peers)))] {
		round := s.rng.IntN(cfg.Rounds)
		doomed[round] = append(doomed[round], s.peers[i])
	}
	var t tally
	var finished atomic.Int64
	rounds := make(chan int, cfg.Rounds)
	for r := range cfg.Rounds {
		rounds <- r
	}
	close(rounds)
	began := time.Now()
	var wg sync.WaitGroup
	for w := range cfg.Workers {
		rng := rand.New(rand.NewPCG(cfg.Seed, uint64(w))) //nolint:gosec // repeatable, not secret
		wg.Go(func() {
			for r := range rounds {
				if ctx.Err() != nil {
					return
				}
				for _, p := range doomed[r] {
					_ = p.close() // it is meant to fail
				}
				s.round(ctx, cfg, r, rng, &t)
				cfg.advance("round", int(finished.Add(1)), cfg.Rounds)
			}
		})
	}
	wg.Wait()
	report.TotalSeconds = time.Since(began).Seconds()
	report.StoreMean, report.StoreDev, report.StoreMax = spread(t.store)
	report.GetMean, report.GetDev, report.GetMax = spread(t.get)
	report.StoreAttempts, report.GetAttempts = t.storeTry, t.read
	report.StoreSuccess, report.GetSuccess = share(t.stored, t.storeTry), share(t.got, t.read)
	survivors := 0
	for _, p := range s.peers {
		if p.alive() {
			survivors++
		}
	}
	report.Survivors = share(survivors, len(s.peers))
	return report, ctx.Err()
}

// round stores one dictionary, a subkey by each of some peers, and reads it at others.
func (s *swarm) round(ctx context.Context, cfg RoundsConfig, round int, rng *rand.Rand, t *tally) {
	key := record.KeyOfText(fmt.Sprint("round ", round, " ", cfg.Seed))
	expiration := time.Now().Add(cfg.Expiration)
	stored := make(map[string]int64)
	var mu sync.Mutex
	writers, readers := s.choose(rng, cfg.StorePeers), s.choose(rng, cfg.GetPeers)
	var wg sync.WaitGroup
	began := time.Now()
	for i, p := range writers {
		wg.Go(func() {
			name, value := fmt.Sprint("peer ", i), int64(round*1000+i)
			if _, err := p.Store(ctx, dht.StoreRequest{Key: key, Subkey: name, Value: value, Expiration: expiration}); err == nil {
				mu.Lock()
				stored[name] = value
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	storing := time.Since(began).Seconds()
	pause(ctx, cfg.Delay)
	good := 0
	var options []dht.GetOption
	if !cfg.FirstGet {
		options = append(options, dht.Latest())
	}
	began = time.Now()
	for _, p := range readers {
		wg.Go(func() {
			v, err := p.Get(ctx, key, options...)
			if err == nil && complete(v, stored) {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	getting := time.Since(began).Seconds()
	t.mu.Lock()
	t.store, t.get = append(t.store, storing), append(t.get, getting)
	t.stored += len(stored)
	t.storeTry += len(writers)
	t.got += good
	t.read += len(readers)
	t.mu.Unlock()
	pause(ctx, cfg.Wait)
}

// choose returns n random peers that are alive.
func (s *swarm) choose(rng *rand.Rand, n int) []*runningPeer {
	var list []*runningPeer
	for _, i := range rng.Perm(len(s.peers)) {
		if len(list) == n {
			break
		}
		if s.peers[i].alive() {
			list = append(list, s.peers[i])
		}
	}
	return list
}

// complete reports whether a dictionary holds all that was stored.
func complete(v *dht.Value, stored map[string]int64) bool {
	for name, want := range stored {
		e, ok := v.Entry(name)
		if !ok {
			return false
		}
		if got, err := e.Decode(); err != nil || got != want {
			return false
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// spread returns mean, standard deviation and maximum.
func spread(list []float64) (mean, dev, most float64) {
	if len(list) == 0 {
		return 0, 0, 0
	}
	for _, v := range list {
		mean += v / float64(len(list))
		most = max(most, v)
	}
	for _, v := range list {
		dev += (v - mean) * (v - mean) / float64(len(list))
	}
	return mean, math.Sqrt(dev), most
}
