package sim

import (
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
	joinSpan   = time.Minute // in which the first hosts join
	settleSpan = time.Minute // before the measurement
	keepDuty   = 3           // of the holders nearest to a key, how many keep it where it belongs
)

// record is what the experiment knows of a key: the truth that reads are compared with.
type record struct {
	key     kad.ID
	expires time.Time
}

// churn is the state of a dynamic run.
type churn struct {
	*world
	hash    hash.Hash
	report  ChurnReport
	records []*record
	took    []time.Duration
}

// RunChurn runs the dynamic experiment: hosts come and go, values are stored and read, the
// tables are kept up by their own schedule and holders send values to where they belong.
// It ends early with the error of ctx.
func RunChurn(ctx context.Context, cfg ChurnConfig) (ChurnReport, error) {
	if err := cfg.Validate(); err != nil {
		return ChurnReport{}, err
	}
	cfg = cfg.withDefaults()
	c := &churn{
		world: &world{
			cfg: cfg, now: start, rng: rand.New(rand.NewPCG(cfg.Seed, 0xc4c)),
			slots: make([]*host, cfg.Hosts), peers: make(map[peer.ID]*host),
		},
		hash: sha256.New(),
	}
	c.report.Seed = cfg.Seed
	for i := range cfg.Hosts {
		c.at(start.Add(joinSpan*time.Duration(i)/time.Duration(cfg.Hosts)), func() { c.join(i) })
	}
	begin := start.Add(joinSpan + settleSpan)
	end := begin.Add(cfg.Duration)
	c.at(begin, func() {
		c.bytes = [purposes]float64{}
		c.load(end)
	})
	if cfg.PartitionFor > 0 {
		c.at(begin.Add(cfg.PartitionAt), func() { c.split = true; c.event("split") })
		c.at(begin.Add(cfg.PartitionAt+cfg.PartitionFor), func() {
			c.split = false
			c.report.Diverged = c.diverged()
			c.event("heal")
		})
	}
	for t := start; t.Before(end); {
		if err := ctx.Err(); err != nil {
			return ChurnReport{}, fmt.Errorf("sim: run: %w", err)
		}
		t = t.Add(time.Second)
		c.run(t)
	}
	return c.result(), nil
}

// diverged counts the living keys whose freshest copies differ between the sides.
func (c *churn) diverged() (n int) {
	for _, r := range c.records {
		var freshest [2]time.Time
		for _, h := range c.slots {
			if h == nil {
				continue
			}
			if v := h.store[r.key]; v != nil && v.expires.After(c.now) && v.expires.After(freshest[h.side]) {
				freshest[h.side] = v.expires
			}
		}
		if !freshest[0].Equal(freshest[1]) {
			n++
		}
	}
	return n
}

// load starts the stores and gets.
func (c *churn) load(end time.Time) {
	var loop func(perSecond float64, do func())
	loop = func(perSecond float64, do func()) {
		c.after(time.Duration(c.rng.ExpFloat64()/perSecond*float64(time.Second)), func() {
			if c.now.Before(end) {
				do()
				loop(perSecond, do)
			}
		})
	}
	loop(c.cfg.StoresPerSecond, c.put)
	loop(c.cfg.GetsPerSecond, c.get)
}

func (c *churn) event(format string, args ...any) {
	line := fmt.Sprintf("%s "+format+"\n", append([]any{c.now.Sub(start)}, args...)...)
	c.hash.Write([]byte(line))
	if c.cfg.Log != nil {
		c.cfg.Log(line)
	}
}

// someone returns a random living host that has joined.
func (c *churn) someone() *host {
	for {
		if h := c.slots[c.rng.IntN(len(c.slots))]; h != nil && h.ready {
			return h
		}
	}
}

// put stores a value: a new key, or with a partition every second time a newer version of
// a key, so that both sides write.
func (c *churn) put() {
	r := &record{key: kad.RandomID(c.rng)}
	fresh := true
	if c.cfg.PartitionFor > 0 && len(c.records) > 0 && c.rng.IntN(2) == 0 {
		r, fresh = c.records[c.rng.IntN(len(c.records))], false
	}
	h := c.someone()
	expires := c.now.Add(c.cfg.Expiry)
	c.report.Stores++
	var places kad.Places
	see := func(d kad.Defence, l *kad.Lookup, look kad.Look) bool {
		places.Add(d, l, r.key, look)
		return false
	}
	c.looks(h, r.key, true, nil, see, func() { c.putAt(h, r, expires, fresh, &places) })
}

// putAt sends a value to its holders; the next nearest take the place of those that do not
// answer.
func (c *churn) putAt(h *host, r *record, expires time.Time, fresh bool, places *kad.Places) {
	holders, spare := places.Holders(r.key, kad.ReplicaPolicy{Replicas: c.cfg.Replicas, Region: places.Region})
	if len(holders) == 0 {
		c.report.StoresFailed++
	}
	acked := false
	var send func(to kad.Contact)
	send = func(to kad.Contact) {
		c.send(h, to, r.key, expires, forUser, func(ok bool) {
			switch {
			case !ok && len(spare) > 0:
				to, spare = spare[0], spare[1:]
				send(to)
			case ok && !acked:
				acked = true
				if expires.After(r.expires) {
					r.expires = expires
				}
				if fresh {
					c.records = append(c.records, r)
				}
			}
		})
	}
	for _, to := range holders {
		send(to)
	}
}

// send sends a value to a host, which keeps it if it is newer than its own.
func (c *churn) send(from *host, to kad.Contact, key kad.ID, expires time.Time, why purpose, done func(bool)) {
	c.call(from, to, why, storeBytes+c.cfg.ValueBytes, func(h *host) int {
		h.take(key, expires, c.now)
		return ackBytes
	}, func(ok bool) {
		if !ok {
			from.table.Failed(to, c.now)
		}
		done(ok)
	})
}

// get reads a random value that has not expired. Far from a partition the first value
// ends the search; after one the freshest is wanted.
func (c *churn) get() {
	if len(c.records) == 0 {
		return
	}
	r := c.records[c.rng.IntN(len(c.records))]
	expired := !r.expires.After(c.now)
	if expired && c.rng.IntN(20) > 0 {
		for range 50 { // mostly read values that should be there
			if r = c.records[c.rng.IntN(len(c.records))]; r.expires.After(c.now) {
				expired = false
				break
			}
		}
	}
	healed := start.Add(joinSpan + settleSpan + c.cfg.PartitionAt + c.cfg.PartitionFor)
	latest := c.cfg.PartitionFor > 0 && !c.now.Before(healed)
	late := !c.now.Before(healed.Add(2 * c.cfg.Refresh))
	h, began, want := c.someone(), c.now, r.expires
	if c.split {
		return // what a side can know is not the question here
	}
	var best time.Time
	found := func(o *host) bool {
		v := o.store[r.key]
		if v == nil || !v.expires.After(c.now) {
			return false
		}
		if v.expires.After(best) {
			best = v.expires
		}
		return !latest
	}
	end := func() {
		c.judge(r, h, began, want, best, latest && late, expired)
		if latest && !late && !best.IsZero() && best.Before(want) {
			c.report.StaleEarly++
		}
	}
	if v := h.store[r.key]; v != nil && v.expires.After(c.now) {
		best = v.expires
		if !latest {
			c.judge(r, h, began, want, best, latest, expired)
			return
		}
	}
	see := func(_ kad.Defence, l *kad.Lookup, _ kad.Look) bool { return l.Reason(r.key) == kad.StopFound }
	c.looks(h, r.key, false, found, see, end)
}

// judge counts the outcome of a read.
func (c *churn) judge(r *record, h *host, began, want, best time.Time, latest, expired bool) {
	c.event("get %s by %s: %v", r.key.Short(), h.c.ID.Short(), best.Sub(start))
	if expired {
		if !best.IsZero() && r.expires.Before(began) {
			c.report.ExpiredServed++
		}
		return
	}
	if !want.After(c.now) {
		return // it expired meanwhile
	}
	c.report.Gets++
	if best.IsZero() {
		return
	}
	c.report.Found++
	c.took = append(c.took, c.now.Sub(began))
	if latest {
		c.report.FreshReads++
		if best.Before(want) {
			c.report.StaleAfter++
		}
	}
}

// repair sends the values of a host to where they belong: if it is among the nearest that
// it knows, to each of the others that it does not know to hold them.
func (w *world) repair(h *host) {
	kept := h.keys[:0]
	for _, key := range h.keys {
		v := h.store[key]
		if !v.expires.After(w.now) {
			delete(h.store, key)
			continue
		}
		kept = append(kept, key)
		w.repairOne(h, key, v)
	}
	h.keys = kept
}

func (w *world) repairOne(h *host, key kad.ID, v *value) {
	near := h.table.Nearest(nil, key, w.cfg.Replicas, h.c.ID)
	nearer := 0
	for _, o := range near {
		if kad.Nearer(key, o.ID, h.c.ID) {
			nearer++
		}
	}
	if nearer >= keepDuty {
		return
	}
	expires := v.expires
	for _, o := range near[:min(len(near), w.cfg.Replicas-1)] {
		if v.held[o.Peer] {
			continue
		}
		w.call(h, o, forRepair, storeBytes+w.cfg.ValueBytes, func(to *host) int {
			if mine := to.take(key, expires, w.now); mine != nil && mine.expires.Equal(expires) {
				mine.at(h.c.Peer)
			}
			return ackBytes
		}, func(ok bool) {
			if !ok {
				h.table.Failed(o, w.now)
			} else if v.expires.Equal(expires) {
				v.at(o.Peer)
			}
		})
	}
}

// take is what a host does with a value that it is sent: it keeps the newer one, and
// returns it.
func (h *host) take(key kad.ID, expires, now time.Time) *value {
	v := h.store[key]
	switch {
	case !expires.After(now):
	case v == nil:
		v = &value{expires: expires}
		h.store[key] = v
		h.keys = append(h.keys, key)
	case expires.After(v.expires):
		*v = value{expires: expires}
	}
	return v
}

// at notes that a host holds this version.
func (v *value) at(p peer.ID) {
	if v.held == nil {
		v.held = make(map[peer.ID]bool)
	}
	v.held[p] = true
}

func (c *churn) result() ChurnReport {
	r := c.report
	if r.Gets > 0 {
		r.Success = float64(r.Found) / float64(r.Gets)
	}
	perHost := c.cfg.Duration.Seconds() * float64(c.cfg.Hosts)
	r.CheckBytes, r.JoinBytes = c.bytes[forChecks]/perHost, c.bytes[forJoin]/perHost
	r.RefreshBytes, r.RepairBytes = c.bytes[forRefresh]/perHost, c.bytes[forRepair]/perHost
	r.UserBytes = c.bytes[forUser] / perHost
	r.UpkeepBytes = r.CheckBytes + r.JoinBytes + r.RefreshBytes + r.RepairBytes
	var contacts, gone float64
	hosts := 0
	for _, h := range c.slots {
		if h == nil {
			continue
		}
		hosts++
		for _, o := range h.table.Contacts(nil) {
			contacts++
			if c.peers[o.Peer] == nil {
				gone++
			}
		}
	}
	r.TableMean, r.DeadShare = contacts/float64(max(hosts, 1)), gone/max(contacts, 1)
	r.Left = int(c.joined) - c.cfg.Hosts
	if len(c.took) > 0 {
		slices.Sort(c.took)
		at := func(q float64) float64 {
			return float64(c.took[int(q*float64(len(c.took)-1))]) / float64(time.Millisecond)
		}
		r.P50Millis, r.P99Millis = at(0.5), at(0.99)
	}
	r.EventsHash = hex.EncodeToString(c.hash.Sum(nil)[:8])
	return r
}
