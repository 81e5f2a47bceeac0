package dhtbench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// BulkConfig describes the bulk measurement. Zero fields take the default.
type BulkConfig struct {
	SwarmConfig

	Keys       int           `json:"keys"`        // 16,384
	Batch      int           `json:"batch"`       // keys per call; 64
	ValueBytes int           `json:"value_bytes"` // 256
	Expiration time.Duration `json:"-"`           // 1 h
	Latency    time.Duration `json:"-"`           // between storing and getting
	Latest     bool          `json:"latest"`      // read the newest instead of the first
}

// BulkReport is the result of Bulk. Times per key are means; percentiles are those of a batch, divided by its keys.
type BulkReport struct {
	BulkConfig

	StartSeconds float64   `json:"start_s"`
	StoreMillis  float64   `json:"store_ms"`
	StoreP50     float64   `json:"store_p50_ms"`
	StoreP99     float64   `json:"store_p99_ms"`
	GetMillis    float64   `json:"get_ms"`
	GetP50       float64   `json:"get_p50_ms"`
	GetP99       float64   `json:"get_p99_ms"`
	StoreSuccess float64   `json:"store_success"`
	GetSuccess   float64   `json:"get_success"`
	Started      Footprint `json:"per_peer_started"`
	Finished     Footprint `json:"per_peer_finished"`
	MemoryMiB    float64   `json:"memory_mib"` // of the whole process at the end, as the system counts it
}

// Bulk stores and reads many keys in batches at random peers. Cancelling ctx ends it early.
func Bulk(ctx context.Context, cfg BulkConfig) (report BulkReport, err error) {
	for _, f := range []struct {
		have *int
		def  int
	}{{&cfg.Keys, 16384}, {&cfg.Batch, 64}, {&cfg.ValueBytes, 256}} {
		if *f.have <= 0 {
			*f.have = f.def
		}
	}
	if cfg.Expiration <= 0 {
		cfg.Expiration = time.Hour
	}
	cfg.SwarmConfig = cfg.SwarmConfig.withDefaults()
	s, err := start(ctx, cfg.SwarmConfig)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report.BulkConfig, report.StartSeconds, report.Started = cfg, s.took.Seconds(), s.footprint()

	keys := make([]record.Key, cfg.Keys)
	values := make([][]byte, cfg.Keys)
	for i := range keys {
		keys[i] = record.KeyOfText(fmt.Sprint(cfg.Seed, " ", i))
		values[i] = make([]byte, cfg.ValueBytes)
		if _, err := rand.Read(values[i]); err != nil {
			return report, err
		}
	}
	expiration := time.Now().Add(cfg.Expiration)
	stored, got := 0, 0
	store, err := s.batches(ctx, cfg, "store", func(p *runningPeer, from, to int) {
		reqs := make([]dht.StoreRequest, 0, to-from)
		for i := from; i < to; i++ {
			reqs = append(reqs, dht.StoreRequest{Key: keys[i], Value: msgpack.Raw(msgpack.AppendBytes(nil, values[i])), Expiration: expiration})
		}
		for _, r := range p.StoreMany(ctx, reqs) {
			if r.OK() {
				stored++
			}
		}
	})
	if err != nil {
		return report, err
	}
	if cfg.Latency > 0 {
		select {
		case <-time.After(cfg.Latency):
		case <-ctx.Done():
		}
	}
	var options []dht.GetOption
	if cfg.Latest {
		options = append(options, dht.Latest())
	}
	get, err := s.batches(ctx, cfg, "get", func(p *runningPeer, from, to int) {
		for i, r := range p.GetMany(ctx, keys[from:to], options...) {
			if r.Err != nil {
				continue
			}
			if v, err := r.Value.Decode(); err == nil && bytes.Equal(v.([]byte), values[from+i]) {
				got++
			}
		}
	})
	report.StoreMillis, report.StoreP50, report.StoreP99 = summary(store)
	report.GetMillis, report.GetP50, report.GetP99 = summary(get)
	report.StoreSuccess, report.GetSuccess = float64(stored)/float64(cfg.Keys), float64(got)/float64(cfg.Keys)
	report.MemoryMiB = resident()
	report.Finished = s.footprint()
	return report, err
}

// resident returns the memory of this process in MiB: resident where the system tells, else what the runtime has taken.
func resident() float64 {
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

// batches calls f for batch after batch, each at a random peer, and returns the milliseconds per key of each.
func (s *swarm) batches(ctx context.Context, cfg BulkConfig, stage string, f func(p *runningPeer, from, to int)) ([]float64, error) {
	var took []float64
	for from := 0; from < cfg.Keys; from += cfg.Batch {
		to := min(from+cfg.Batch, cfg.Keys)
		p := s.peers[s.rng.IntN(len(s.peers))]
		began := time.Now()
		f(p, from, to)
		took = append(took, time.Since(began).Seconds()*1000/float64(to-from))
		cfg.advance(stage, to, cfg.Keys)
		if ctx.Err() != nil {
			return took, ctx.Err()
		}
	}
	return took, nil
}

// summary returns mean, median and 99th percentile.
func summary(list []float64) (mean, p50, p99 float64) {
	if len(list) == 0 {
		return 0, 0, 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	for _, v := range list {
		mean += v
	}
	return mean / float64(len(list)), list[len(list)/2], list[len(list)*99/100]
}
