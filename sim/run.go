package sim

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

const (
	minLatency  = 20 * time.Millisecond  // of a question and its answer, across a continent
	maxLatency  = 300 * time.Millisecond // around the globe
	softTimeout = 500 * time.Millisecond // what the estimate of such round trips comes to
	callTimeout = 3 * time.Second        // the original's wait_timeout
	sizeProbes  = 33                     // lookups before the experiment, to estimate the size
)

// experiment is the state of a static run.
type experiment struct {
	*swarm
	rng    *rand.Rand
	size   float64
	hash   hash.Hash
	report Report
	found  []time.Duration
	lists  [][]kad.Contact

	unanswered int
}

// RunDHT runs the static experiment: values are stored at random honest nodes, nodes die,
// and each value is searched for by another honest node. It ends early with the error of
// ctx.
func RunDHT(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	cfg = cfg.withDefaults()
	rng := rand.New(rand.NewPCG(cfg.Seed, 0xd47)) // repeatable on purpose
	keys := make([]kad.ID, cfg.Lookups)
	for i := range keys {
		keys[i] = kad.RandomID(rng)
		if cfg.Sybils > 0 {
			keys[i] = keys[i%cfg.SybilKeys]
		}
	}
	victims := keys[:min(len(keys), cfg.SybilKeys)]
	x := &experiment{swarm: newSwarm(cfg, rng, victims), rng: rng, hash: sha256.New()}
	doomed, liars := x.draw(rng)
	x.report = Report{Nodes: len(x.nodes), Lookups: cfg.Lookups, Seed: cfg.Seed, Dead: len(doomed), Liars: liars}
	x.estimateSize()
	holders := make([]map[peer.ID]bool, cfg.Lookups)
	for i, key := range keys {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("sim: run: %w", err)
		}
		holders[i] = x.store(key)
	}
	x.kill(doomed)
	for i, key := range keys {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("sim: run: %w", err)
		}
		x.get(key, holders[i])
	}
	return x.result(), nil
}

func (x *experiment) result() Report {
	r, n := x.report, float64(x.cfg.Lookups)
	r.Success = float64(r.Found) / n
	if r.Found > 0 {
		r.MeanHops /= float64(r.Found)
		slices.Sort(x.found)
		at := func(q float64) float64 {
			return float64(x.found[int(q*float64(len(x.found)-1))]) / float64(time.Millisecond)
		}
		r.P50Millis, r.P99Millis = at(0.5), at(0.99)
	}
	r.RPCs /= n
	r.Timeouts /= n
	r.StoreRPCs /= n
	r.Holders /= n
	r.Restarts /= n
	r.SizeGuess = x.size
	r.TableMean = float64(x.contacts) / float64(max(x.built, 1))
	r.EventsHash = hex.EncodeToString(x.hash.Sum(nil)[:8])
	return r
}

// event adds a line to the log and to the hash over it.
func (x *experiment) event(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	x.hash.Write([]byte(line)) // a hash never fails
	if x.cfg.Log != nil {
		x.cfg.Log(line)
	}
}

// estimateSize does what nodes do before they trust a size: lookups of random targets,
// under attack like all others.
func (x *experiment) estimateSize() {
	if x.cfg.SizeUnknown {
		return
	}
	var e kad.SizeEstimator
	for range sizeProbes {
		target := kad.RandomID(x.rng)
		l, _ := x.lookup(x.honestNode(x.rng), []kad.ID{target}, x.cfg.BucketSize, x.cfg.Paths, nil)
		e.Observe(target, l.Nearest(nil, target, x.cfg.BucketSize))
	}
	e.Anchor(x.table(x.honestNode(x.rng)).SizeEstimate())
	x.size, _ = e.Size()
}

// landing is an answer, or the end of waiting for it, at a point of virtual time.
type landing struct {
	at  time.Time
	ask kad.Ask
	ok  bool
}

type landings []landing

func (h landings) Len() int { return len(h) }
func (h landings) Less(i, j int) bool {
	return h[i].at.Before(h[j].at) || h[i].at.Equal(h[j].at) && h[i].ask.Seq < h[j].ask.Seq
}
func (h landings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *landings) Push(v any) { *h = append(*h, v.(landing)) } // only landings

// Pop implements heap.Interface.
func (h *landings) Pop() any {
	old := *h
	v := old[len(old)-1]
	*h = old[:len(old)-1]
	return v
}

// lookup runs one lookup of a node in virtual time. found, when set, is called with each
// contact that answers and ends the lookup when it returns true.
func (x *experiment) lookup(from int32, targets []kad.ID, want, paths int, found func(kad.Contact, kad.Ask) bool) (*kad.Lookup, time.Duration) {
	table := x.table(from)
	var seeds []kad.Contact
	for _, t := range targets {
		seeds = table.Nearest(seeds, t, 3*x.cfg.BucketSize, kad.ID{})
	}
	l := kad.NewLookup(kad.LookupConfig{
		Self: x.nodes[from].ID, SelfPeer: x.nodes[from].Peer, Targets: targets,
		Beam: x.cfg.BucketSize, Want: want, Paths: paths, Alpha: x.cfg.Alpha, NetworkSize: x.size,
		SoftTimeout: func(kad.Contact) time.Duration { return softTimeout },
	}, seeds)
	var queue landings
	now := start
	for {
		for _, ask := range l.Next(now) {
			heap.Push(&queue, x.send(ask, now))
		}
		if l.Done() {
			break
		}
		if wake, ok := l.Wake(); ok && (len(queue) == 0 || wake.Before(queue[0].at)) {
			now = wake
			continue
		}
		if len(queue) == 0 {
			break
		}
		out := heap.Pop(&queue).(landing) // only landings
		now = out.at
		if !out.ok {
			x.event("%d %s timeout\n", out.ask.Seq, out.ask.Contact.ID.Short())
			l.Failed(now, out.ask, kad.FailTimeout)
			continue
		}
		lists := x.lists[:0]
		for _, t := range out.ask.Targets {
			list, _ := x.answer(out.ask.Contact, t, nil)
			lists = append(lists, list)
		}
		x.lists = lists
		x.event("%d %s %d\n", out.ask.Seq, out.ask.Contact.ID.Short(), len(lists[0]))
		if found != nil && found(out.ask.Contact, out.ask) {
			l.StopAll(kad.StopFound)
		}
		if l.Answer(now, out.ask, lists).Hostile() {
			x.report.Hostile++
		}
	}
	return l, now.Sub(start)
}

// send puts a question on the wire.
func (x *experiment) send(ask kad.Ask, now time.Time) landing {
	latency := minLatency + time.Duration(x.rng.Int64N(int64(maxLatency-minLatency)))
	if i, ok := x.byPeer[ask.Contact.Peer]; ok && x.kinds[i] != dead && x.kinds[i] != silent || x.owned[ask.Contact.Peer] {
		return landing{now.Add(latency), ask, true}
	}
	x.unanswered++
	return landing{now.Add(callTimeout), ask, false}
}

// store stores a value and returns its honest holders.
func (x *experiment) store(key kad.ID) map[peer.ID]bool {
	from := x.honestNode(x.rng)
	policy := kad.ReplicaPolicy{Replicas: x.cfg.Replicas}
	nearest := x.nearest(from, []kad.ID{key}, x.cfg.Replicas, x.cfg.Paths)
	if !x.cfg.NoRegion {
		policy.Region = kad.RegionOf(key, x.size, x.cfg.Replicas)
		if targets, paths := kad.SecondLook(key, nearest, x.size, x.cfg.Replicas, x.cfg.Paths); len(targets) > 0 {
			want := x.cfg.Replicas
			if len(targets) > 1 {
				want = x.cfg.BucketSize // all of each subtree
			}
			nearest = append(nearest, x.nearest(from, targets, want, paths)...)
		}
	}
	slices.SortFunc(nearest, func(a, b kad.Contact) int { return kad.CompareDistance(key, a.ID, b.ID) })
	nearest = slices.CompactFunc(nearest, func(a, b kad.Contact) bool { return a.ID == b.ID })
	holders := make(map[peer.ID]bool)
	for _, c := range kad.SelectReplicas(nil, nearest, policy) {
		x.report.StoreRPCs++
		if i, ok := x.byPeer[c.Peer]; ok && x.kinds[i] == honest {
			holders[c.Peer] = true
		}
	}
	x.report.Holders += float64(len(holders))
	x.event("store %s at %d\n", key.Short(), len(holders))
	return holders
}

// nearest returns the contacts that answered, nearest first for each target.
func (x *experiment) nearest(from int32, targets []kad.ID, want, paths int) []kad.Contact {
	l, _ := x.lookup(from, targets, want, paths, nil)
	var list []kad.Contact
	for _, t := range targets {
		list = l.Nearest(list, t, x.cfg.BucketSize)
		x.report.StoreRPCs += float64(l.Stats(t).Asked)
	}
	return list
}

// regionTargets is the number of subtrees that a region is searched in.
const regionTargets = 6

// get searches for a value.
func (x *experiment) get(key kad.ID, holders map[peer.ID]bool) {
	from := x.honestNode(x.rng)
	var spent time.Duration
	unanswered := x.unanswered
	defer func() { x.report.Timeouts += float64(x.unanswered - unanswered) }()
	for attempt := range x.cfg.Attempts {
		targets, paths := []kad.ID{key}, x.cfg.Paths
		if attempt > 0 {
			targets = kad.RegionOf(key, x.size, x.cfg.Replicas).Targets(regionTargets)
			paths = min(2*paths, 16)
		}
		hop := 0
		l, took := x.lookup(from, targets, x.cfg.BucketSize, paths, func(c kad.Contact, ask kad.Ask) bool {
			if hop == 0 && holders[c.Peer] {
				hop = ask.Hop
			}
			return hop > 0
		})
		spent += took
		for _, t := range targets {
			st := l.Stats(t)
			x.report.RPCs += float64(st.Asked)
			x.report.Restarts += float64(st.Restarts)
		}
		x.event("get %s hop %d %s\n", key.Short(), hop, l.Reason(key))
		if hop > 0 {
			x.report.Found++
			x.report.MeanHops += float64(hop)
			x.found = append(x.found, spent)
			return
		}
	}
}
