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
	hurry       = 4
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
	sure   bool
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
		look := kad.Look{Depth: kad.LookPaths, Targets: []kad.ID{target}, Want: x.cfg.BucketSize, Paths: x.cfg.Paths}
		l, _ := x.lookup(x.honestNode(x.rng), look, nil, nil)
		e.Observe(target, l.Confirmed(nil, target, x.cfg.BucketSize))
	}
	e.Anchor(x.table(x.honestNode(x.rng)).SizeEstimate())
	x.size, x.sure = e.Size()
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

// lookup runs one look of a node in virtual time. found, when set, is called with each
// contact that answers and ends the lookup when it returns true.
func (x *experiment) lookup(from int32, look kad.Look, heard *kad.Heard, found func(kad.Contact, kad.Ask) bool) (*kad.Lookup, time.Duration) {
	table := x.table(from)
	var seeds []kad.Contact
	for _, t := range look.Targets {
		seeds = table.Nearest(seeds, t, 3*x.cfg.BucketSize, kad.ID{})
	}
	cfg := x.defence().Config(look, heard)
	cfg.Self, cfg.SelfPeer, cfg.Alpha = x.nodes[from].ID, x.nodes[from].Peer, x.cfg.Alpha
	cfg.SoftTimeout = func(kad.Contact) time.Duration { return softTimeout }
	l := kad.NewLookup(cfg, seeds)
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

// defence is what a node decides by.
func (x *experiment) defence() kad.Defence {
	return kad.Defence{Paths: x.cfg.Paths, Replicas: x.cfg.Replicas, Beam: x.cfg.BucketSize, Size: x.size, Sure: x.sure}
}

// depths returns the looks that an operation may take, from and up to.
func (x *experiment) depths() (first, last int) {
	if x.cfg.Cautious && x.cfg.Paths > 1 {
		first = kad.LookPaths
	}
	return first, first + x.cfg.Attempts - 1
}

// store stores a value and returns its honest holders.
func (x *experiment) store(key kad.ID) map[peer.ID]bool {
	from, d := x.honestNode(x.rng), x.defence()
	var places kad.Places
	var heard kad.Heard
	doubt := kad.DoubtNone
	for depth, last := x.depths(); ; depth++ {
		look := d.Look(key, depth, true, doubt)
		l, _ := x.lookup(from, look, &heard, nil)
		for _, t := range look.Targets {
			x.report.StoreRPCs += float64(l.Stats(t).Asked)
		}
		places.Add(d, l, key, look)
		if doubt = d.Judge(l, key, look, kad.DoubtNone); depth == last || !d.Deeper(look, doubt) {
			break
		}
	}
	policy := kad.ReplicaPolicy{Replicas: x.cfg.Replicas}
	if !x.cfg.NoRegion {
		policy.Region = places.Region
	}
	keep := make(map[peer.ID]bool)
	holders, spare := places.Holders(key, policy)
	for len(holders) > 0 {
		c := holders[0]
		holders = holders[1:]
		x.report.StoreRPCs++
		switch i, ok := x.byPeer[c.Peer]; {
		case ok && x.kinds[i] == honest:
			keep[c.Peer] = true
		case ok && x.kinds[i] != silent || x.owned[c.Peer]: // it says that it keeps the value
		case len(spare) > 0:
			holders, spare = append(holders, spare[0]), spare[1:]
		}
	}
	x.report.Holders += float64(len(keep))
	x.event("store %s at %d\n", key.Short(), len(keep))
	return keep
}

// get searches for a value.
func (x *experiment) get(key kad.ID, holders map[peer.ID]bool) {
	from, d := x.honestNode(x.rng), x.defence()
	var spent time.Duration
	var heard kad.Heard
	unanswered := x.unanswered
	defer func() { x.report.Timeouts += float64(x.unanswered - unanswered) }()
	doubt := kad.DoubtNone
	for depth, last := x.depths(); ; depth++ {
		look := d.Look(key, depth, false, doubt)
		hop := 0
		l, took := x.lookup(from, look, &heard, func(c kad.Contact, ask kad.Ask) bool {
			if hop == 0 && holders[c.Peer] {
				hop = ask.Hop
			}
			return hop > 0
		})
		spent += took
		for _, t := range look.Targets {
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
		if doubt = d.Judge(l, key, look, kad.DoubtNone); depth == last || !d.Deeper(look, doubt) {
			return
		}
	}
}
