package dhtbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// SoakConfig describes a long run at a steady rate. Zero fields take the default.
type SoakConfig struct {
	SwarmConfig

	Duration   time.Duration           `json:"-"`           // 1 h
	Rate       int                     `json:"rate"`        // stores a second, and as many gets; 40
	ValueBytes int                     `json:"value_bytes"` // 256
	Expiration time.Duration           `json:"-"`           // of a record; 1 min
	Churn      time.Duration           `json:"-"`           // between two replacements of a peer by a new one; 10 s; negative: none
	Sample     time.Duration           `json:"-"`           // between two looks at the memory; a sixtieth of Duration
	Progress   func(sample SoakSample) `json:"-"`           // called with every sample; optional
}

// SoakSample is the state of the process at one moment, right after a garbage collection.
type SoakSample struct {
	Seconds    float64 `json:"s"`
	HeapMiB    float64 `json:"heap_mib"`
	Goroutines int     `json:"goroutines"`
	Records    int     `json:"records"` // kept and cached, all peers together
	Stored     int     `json:"stored"`  // so far
	Got        int     `json:"got"`
	Missed     int     `json:"missed"` // gets of a live record that found nothing, or something else
	Stale      int     `json:"stale"`  // gets that found something expired
}

// SoakReport is the result of Soak. Growth compares the means of the last quarter with those of the second: 1 is flat.
type SoakReport struct {
	SoakConfig

	Samples         []SoakSample `json:"samples"`
	Replaced        int          `json:"replaced"` // peers
	HeapGrowth      float64      `json:"heap_growth"`
	GoroutineGrowth float64      `json:"goroutine_growth"`
	GetSuccess      float64      `json:"get_success"`
	Stale           int          `json:"stale"`
}

func (c SoakConfig) withDefaults() SoakConfig {
	c.SwarmConfig = c.SwarmConfig.withDefaults()
	for _, f := range []struct {
		have *int
		def  int
	}{{&c.Rate, 40}, {&c.ValueBytes, 256}} {
		if *f.have <= 0 {
			*f.have = f.def
		}
	}
	for _, f := range []struct {
		have *time.Duration
		def  time.Duration
	}{{&c.Duration, time.Hour}, {&c.Expiration, time.Minute}} {
		if *f.have <= 0 {
			*f.have = f.def
		}
	}
	if c.Churn == 0 {
		c.Churn = 10 * time.Second
	}
	if c.Sample <= 0 {
		c.Sample = max(c.Duration/60, time.Second)
	}
	return c
}

// soak is a long run under way. One goroutine owns it.
type soak struct {
	*swarm
	cfg    SoakConfig
	began  time.Time
	live   []soakKey // stored and not expired for sure, oldest first
	next   int       // number of the next key
	report SoakReport
	sum    SoakSample
}

type soakKey struct {
	key   record.Key
	value []byte
	until time.Time
}

// Soak lets a swarm store and read at a steady rate while peers come and go, and looks at the memory now and then. Records
// expire and are replaced, so that a process that forgets what it should keeps its size. Cancelling ctx ends it early.
func Soak(ctx context.Context, cfg SoakConfig) (report SoakReport, err error) {
	cfg = cfg.withDefaults()
	s, err := start(ctx, cfg.SwarmConfig)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	k := &soak{swarm: s, cfg: cfg, began: time.Now()}
	k.report.SoakConfig = cfg
	err = k.run(ctx)
	k.judge()
	return k.report, err
}

func (k *soak) run(ctx context.Context) error {
	work := time.NewTicker(time.Second / time.Duration(k.cfg.Rate))
	defer work.Stop()
	churn := make(<-chan time.Time)
	if k.cfg.Churn > 0 {
		t := time.NewTicker(k.cfg.Churn)
		defer t.Stop()
		churn = t.C
	}
	look := time.NewTicker(k.cfg.Sample)
	defer look.Stop()
	over := time.NewTimer(k.cfg.Duration)
	defer over.Stop()
	for {
		select {
		case <-work.C:
			k.store(ctx)
			k.get(ctx)
		case <-churn:
			if err := k.replace(ctx); err != nil {
				return err
			}
		case <-look.C:
			k.look()
		case <-over.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// store writes the next key at a random peer.
func (k *soak) store(ctx context.Context) {
	now := time.Now()
	for len(k.live) > 0 && now.After(k.live[0].until) {
		k.live = k.live[1:]
	}
	value := make([]byte, k.cfg.ValueBytes)
	copy(value, strconv.Itoa(k.next))
	key := record.KeyOfText(fmt.Sprint(k.cfg.Seed, " soak ", k.next))
	k.next++
	expiration := now.Add(k.cfg.Expiration)
	_, err := k.anyone().Store(ctx, dht.StoreRequest{
		Key: key, Value: msgpack.Raw(msgpack.AppendBytes(nil, value)), Expiration: expiration,
	})
	if err == nil {
		k.sum.Stored++
		k.live = append(k.live, soakKey{key: key, value: value, until: expiration.Add(-time.Second)})
	}
}

// get reads a random live key at a random peer.
func (k *soak) get(ctx context.Context) {
	if len(k.live) == 0 {
		return
	}
	want := k.live[k.rng.IntN(len(k.live))]
	if time.Now().After(want.until) {
		return
	}
	v, err := k.anyone().Get(ctx, want.key)
	switch {
	case err != nil:
		k.sum.Missed++
	case v.Expiration.Expired(time.Now()):
		k.sum.Stale++
	default:
		if got, err := v.Decode(); err != nil || !bytes.Equal(got.([]byte), want.value) {
			k.sum.Missed++
			return
		}
		k.sum.Got++
	}
}

func (k *soak) anyone() *runningPeer { return k.peers[k.rng.IntN(len(k.peers))] }

// replace switches a peer off, without handing its records over, and starts a new one.
func (k *soak) replace(ctx context.Context) error {
	i := k.rng.IntN(len(k.peers))
	if err := k.peers[i].close(); err != nil {
		return err
	}
	k.peers[i] = k.peers[len(k.peers)-1]
	k.peers = k.peers[:len(k.peers)-1]
	p, err := startPeer(ctx, k.cfg.SwarmConfig, k.addr, k.sample(k.cfg.InitialPeers))
	if err != nil {
		return err
	}
	k.peers = append(k.peers, p)
	k.report.Replaced++
	return nil
}

// look samples the process.
func (k *soak) look() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	sample := k.sum
	sample.Seconds = time.Since(k.began).Seconds()
	sample.HeapMiB = float64(m.HeapAlloc) / (1 << 20)
	sample.Goroutines = runtime.NumGoroutine()
	for _, p := range k.peers {
		st := p.Stats()
		sample.Records += st.Records + st.CachedRecords
	}
	k.report.Samples = append(k.report.Samples, sample)
	if k.cfg.Progress != nil {
		k.cfg.Progress(sample)
	}
}

// judge compares the quarters. The first is left out: caches and pools fill up.
func (k *soak) judge() {
	r := &k.report
	r.GetSuccess, r.Stale = share(k.sum.Got, k.sum.Got+k.sum.Missed+k.sum.Stale), k.sum.Stale
	n := len(r.Samples) / 4
	if n == 0 {
		return
	}
	mean := func(s []SoakSample) (heap, goroutines float64) {
		for _, x := range s {
			heap += x.HeapMiB / float64(len(s))
			goroutines += float64(x.Goroutines) / float64(len(s))
		}
		return heap, goroutines
	}
	heap, goroutines := mean(r.Samples[n : 2*n])
	heapLast, goroutinesLast := mean(r.Samples[len(r.Samples)-n:])
	r.HeapGrowth, r.GoroutineGrowth = heapLast/heap, goroutinesLast/goroutines
}
