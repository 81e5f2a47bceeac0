package dht_test

import (
	"errors"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/record"
)

const (
	medianSession = 84 * time.Second // the hardest of Rhea et al. 2004: 1.4 minutes
	valueLifetime = 10 * time.Minute
	valueBytes    = 256
)

// TestSteadyChurn lets 200 hosts come and go, without a word, with a median session of 1.4 minutes, while one value per
// second is stored and ten are read (fewer hosts have less to do). At least 99 % of the reads find their value, without any
// cache; no value is found after its expiration; and keeping tables and records in order costs each host at most 900 bytes per
// second of requests and answers, and at most a ninth more in the first minutes, when all of them are new to each other.
//
// MESH_CHURN=1h measures for an hour of virtual time.
func TestSteadyChurn(t *testing.T) {
	hosts, measured := 200, 90*time.Second // twice RepublishInterval: no host has more rounds in it than another
	if testing.Short() {
		hosts = 24
	}
	if text := os.Getenv("MESH_CHURN"); text != "" {
		measured = must(time.ParseDuration(text))
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := quiet()
		// For sessions of minutes. And a newcomer meets no more hosts than it must, because each costs it a handshake.
		cfg.RepublishInterval, cfg.RefreshInterval, cfg.Neighbours = 45*time.Second, 2*time.Minute, dht.Defaults().Replicas
		c := &steadyChurn{virtualSwarm: newVirtualSwarm(t, virtualLatency, cfg), leaves: make(map[*virtualHost]time.Time)}
		c.outcome.lost = make(map[record.Key]int)
		c.grow(hosts)
		for range 4 {
			w := c.start(asClient)
			<-w.Ready()
			c.writers = append(c.writers, w)
		}
		c.storePause = time.Second * 200 / time.Duration(hosts)
		c.fill(int(valueLifetime / c.storePause))
		for _, h := range c.hosts {
			c.leaves[h] = time.Now().Add(c.session())
		}
		c.run(30 * time.Second) // until the tables look as they will
		c.measure(measured)
	})
}

// steadyChurn is a virtual swarm under load whose hosts are replaced all the time.
type steadyChurn struct {
	*virtualSwarm
	writers    []*virtualHost
	leaves     map[*virtualHost]time.Time
	storePause time.Duration // between two stores, on average; gets are ten times as many
	ops        sync.WaitGroup

	mu      sync.Mutex // guards the fields below, which the operations under way share
	values  []storedValue
	outcome churnOutcome
}

type storedValue struct {
	key     record.Key
	expires time.Time
}

type churnOutcome struct {
	gets, found     int
	late, expired   int // gets of values that have expired, and those that found one all the same
	stores, failed  int
	left            int // hosts
	took, tookStore []time.Duration
	lost            map[record.Key]int
}

// session returns how long a host stays: exponential, with the wanted median.
func (c *steadyChurn) session() time.Duration {
	return time.Duration(c.rng.ExpFloat64() * float64(medianSession) / math.Ln2)
}

// fill stores values of all ages, as there are after a while.
func (c *steadyChurn) fill(values int) {
	var reqs []dht.StoreRequest
	for i := range values {
		expires := time.Now().Add(time.Minute + (valueLifetime-time.Minute)*time.Duration(i)/time.Duration(values))
		reqs = append(reqs, dht.StoreRequest{Key: c.newKey(), Value: make([]byte, valueBytes), Expiration: expires})
	}
	for i, res := range c.writers[0].StoreMany(c.t.Context(), reqs) {
		if err := res.Failure(); err != nil {
			c.t.Fatal(err)
		}
		c.values = append(c.values, storedValue{res.Key, reqs[i].Expiration})
	}
}

func (c *steadyChurn) put(expires time.Time) {
	writer, key := c.writers[c.rng.IntN(len(c.writers))], c.newKey()
	c.ops.Go(func() {
		began := time.Now()
		_, err := writer.Store(c.t.Context(), dht.StoreRequest{Key: key, Value: make([]byte, valueBytes), Expiration: expires})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.outcome.stores++
		if err != nil {
			c.outcome.failed++
			return
		}
		c.outcome.tookStore = append(c.outcome.tookStore, time.Since(began))
		c.values = append(c.values, storedValue{key, expires})
	})
}

// get reads a random value, and now and then one that has expired.
func (c *steadyChurn) get() {
	reader := c.someone()
	c.mu.Lock()
	v := c.values[c.rng.IntN(len(c.values))]
	c.mu.Unlock()
	c.ops.Go(func() {
		began := time.Now()
		_, err := reader.Get(c.t.Context(), v.key)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case reader.gone.Load(): // nobody is left to know
		case !began.Before(v.expires):
			c.outcome.late++
			if !errors.Is(err, dht.ErrNotFound) {
				c.outcome.expired++
			}
		case err == nil:
			c.outcome.gets++
			c.outcome.found++
			c.outcome.took = append(c.outcome.took, time.Since(began))
		case time.Now().Before(v.expires):
			c.outcome.gets++
			c.outcome.lost[v.key]++
		}
	})
}

// run replaces hosts and puts and gets values for a time.
func (c *steadyChurn) run(d time.Duration) {
	end := time.Now().Add(d)
	put, get := time.Now(), time.Now()
	for now := time.Now(); now.Before(end); now = time.Now() {
		for h, at := range c.leaves {
			if at.After(now) {
				continue
			}
			delete(c.leaves, h)
			c.kill(h)
			c.leaves[c.start()] = now.Add(c.session())
			c.outcome.left++
		}
		for ; !put.After(now); put = put.Add(time.Duration(c.rng.ExpFloat64() * float64(c.storePause))) {
			c.put(now.Add(valueLifetime))
		}
		for ; !get.After(now); get = get.Add(time.Duration(c.rng.ExpFloat64() * float64(c.storePause) / 10)) {
			c.get()
		}
		c.forgetExpired(now)
		time.Sleep(20 * time.Millisecond)
	}
}

// forgetExpired keeps the expired values of one minute to read in vain.
func (c *steadyChurn) forgetExpired(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values = slices.DeleteFunc(c.values, func(v storedValue) bool { return now.Sub(v.expires) > time.Minute })
}

// measure counts while the swarm runs for a time, and judges.
func (c *steadyChurn) measure(d time.Duration) {
	c.mu.Lock()
	c.outcome = churnOutcome{lost: make(map[record.Key]int)}
	c.mu.Unlock()
	c.tally.take()
	sent := c.net.Sent()
	c.run(d)
	bytes, wire := c.tally.take(), c.net.Sent().Sub(sent)
	contacts, dead, neighbours := c.health()
	c.ops.Wait()

	o := &c.outcome
	slices.Sort(o.took)
	slices.Sort(o.tookStore)
	rate := func(n int64) float64 { return float64(n) / d.Seconds() / float64(len(c.hosts)) }
	c.t.Logf("%d hosts, %d of them replaced in %v", len(c.hosts), o.left, d)
	c.t.Logf("%d of %d gets found their value (%.2f %%), p50 %v, p99 %v; %d keys lost; %d of %d gets found one that had expired",
		o.found, o.gets, 100*float64(o.found)/float64(o.gets), quantile(o.took, 0.5), quantile(o.took, 0.99), len(o.lost), o.expired, o.late)
	c.t.Logf("%d of %d stores failed, p50 %v, p99 %v", o.failed, o.stores, quantile(o.tookStore, 0.5), quantile(o.tookStore, 0.99))
	c.t.Logf("bytes per second and host: upkeep %.0f (checks %.0f, joins and refreshes %.0f, hand-over and republication %.0f), gets %.0f",
		rate(bytes.upkeep()), rate(bytes.checks), rate(bytes.searches), rate(bytes.repairs), rate(bytes.gets))
	c.t.Logf("on the wire, with everything: %.0f bytes in %.1f packets", rate(int64(wire.Bytes)), rate(int64(wire.Packets))) //nolint:gosec // counts
	c.t.Logf("a table has %.0f contacts, %.0f %% of them gone, and knows %.0f %% of its nearest", contacts, 100*dead, 100*neighbours)
	if o.gets == 0 || float64(o.found) < 0.99*float64(o.gets) {
		c.t.Errorf("%d of %d gets found their value, want 99 %%", o.found, o.gets)
	}
	if o.expired > 0 {
		c.t.Errorf("%d values were found after their expiration", o.expired)
	}
	limit := 900.0
	if d < 10*time.Minute { // the hosts are new to each other: 890 to 970, from run to run
		limit = 1100
	}
	if up := rate(bytes.upkeep()); up > limit {
		c.t.Errorf("upkeep of %.0f B/s per host, want %.0f", up, limit)
	}
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Round(time.Millisecond)
}
