package dht_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/internal/virtualnet"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
)

const partitionSpan = 10 * time.Minute

// TestTenMinutesApart cuts a swarm with the default configuration in two for ten minutes while both sides write, and joins
// it again. Three minutes later nobody leaves anybody out any more. Two refresh periods later every host reads the freshest
// value of each key, the entries of both sides in one dictionary, and the same of two versions that expire together; and
// those that should hold a value do. At no time does any host return or accept what has expired, whether it comes by a get,
// from a cache, by a hand-over or by republication.
func TestTenMinutesApart(t *testing.T) {
	hosts := 24
	if testing.Short() {
		hosts = 12
	}
	synctest.Test(t, func(t *testing.T) {
		p := &longPartition{virtualSwarm: newVirtualSwarm(t, virtualLatency, dht.Config{}), known: make(map[record.Key]*knownKey)}
		p.grow(hosts)
		for _, h := range p.hosts {
			p.watch(h)
		}
		time.Sleep(time.Minute)
		left, right := p.hosts[:hosts/2], p.hosts[hosts/2:]
		healed := time.Now().Add(partitionSpan)

		// What expires soon, before anything else is known of these keys.
		for i := range 10 {
			p.put(p.someone(), fmt.Sprint("ends while apart ", i), nil, "old", healed.Add(-5*time.Minute))
			p.put(p.someone(), fmt.Sprint("ends while apart, later on the left ", i), nil, "old", healed.Add(-time.Minute))
			p.put(p.someone(), fmt.Sprint("ends after ", i), nil, "old", healed.Add(time.Duration(i)*time.Minute))
			p.put(p.someone(), fmt.Sprint("common ", i), nil, "old", healed.Add(time.Hour))
		}
		p.net.Split(func(m *virtualnet.Machine) int32 {
			if slices.ContainsFunc(left, func(h *virtualHost) bool { return h.machine == m }) {
				return 1
			}
			return 0
		})
		for minute := range 9 {
			p.readFor(time.Minute)
			for i := range 10 {
				// Both sides renew the same keys, the even ones for longer on the left, the odd ones on the right.
				ahead, behind := left, right
				if i%2 == 1 {
					ahead, behind = right, left
				}
				name, until := fmt.Sprint("common ", i), healed.Add(time.Hour+time.Duration(minute+1)*time.Minute)
				p.put(p.oneOf(ahead), name, nil, fmt.Sprint("fresh ", minute), until)
				p.put(p.oneOf(behind), name, nil, fmt.Sprint("stale ", minute), until.Add(-time.Second))
			}
			for side, members := range [][]*virtualHost{left, right} {
				who := fmt.Sprint(side, " in minute ", minute)
				p.put(p.oneOf(members), fmt.Sprint("only of side ", who), nil, who, healed.Add(time.Hour))
				p.put(p.oneOf(members), "board", who, who, healed.Add(time.Hour+time.Duration(minute)*time.Second))
				p.put(p.oneOf(members), fmt.Sprint("tie ", minute), nil, who, healed.Add(time.Hour))
			}
			p.put(p.oneOf(left), fmt.Sprint("ends while apart, later on the left ", minute), nil, "renewed", healed.Add(3*time.Minute))
		}
		p.readFor(time.Until(healed))

		p.net.Heal()
		t.Logf("healed: reads that ask for the freshest found it everywhere after %v", p.untilFresh())
		time.Sleep(time.Until(healed.Add(3 * time.Minute)))
		for i, h := range p.hosts {
			if s := h.Stats(); s.Banned > 0 {
				t.Errorf("host %d still leaves out %d hosts", i, s.Banned)
			}
		}
		p.readFor(time.Until(healed.Add(2 * dht.Defaults().RefreshInterval)))
		p.verify()
	})
}

// longPartition is a virtual swarm and what is known of each key by somebody who sees both sides of the cut.
type longPartition struct {
	*virtualSwarm
	keys  []record.Key
	reads sync.WaitGroup

	mu    sync.Mutex // guards known, which those who watch the hosts read
	known map[record.Key]*knownKey
}

// knownKey is the freshest that was ever stored under a key.
type knownKey struct {
	name    string
	value   string // regular ones
	entries map[string]string
	latest  time.Time
}

func (p *longPartition) oneOf(hosts []*virtualHost) *virtualHost {
	return hosts[p.rng.IntN(len(hosts))]
}

// put stores a value and notes it if it is the freshest; of two that expire together, the larger one counts.
func (p *longPartition) put(h *virtualHost, name string, subkey any, value string, until time.Time) {
	p.t.Helper()
	key := record.KeyOfText(name)
	p.mu.Lock()
	k := p.known[key]
	if k == nil {
		k = &knownKey{name: name, entries: make(map[string]string)}
		p.known[key] = k
		p.keys = append(p.keys, key)
	}
	switch {
	case subkey != nil:
		k.entries[fmt.Sprint(subkey)] = value
	case until.After(k.latest), until.Equal(k.latest) && value > k.value:
		k.value = value
	}
	if until.After(k.latest) {
		k.latest = until
	}
	p.mu.Unlock()
	if _, err := h.Store(p.t.Context(), dht.StoreRequest{Key: key, Subkey: subkey, Value: value, Expiration: until}); err != nil {
		p.t.Errorf("store %q: %v", name, err)
	}
}

// watch reports every record that a host accepts when no version of it is left that has not expired.
func (p *longPartition) watch(h *virtualHost) {
	events, stop := h.Events()
	p.t.Cleanup(stop)
	p.wg.Go(func() {
		for e := range events {
			if e.Kind != dht.EventRecordStored {
				continue
			}
			p.mu.Lock()
			if k := p.known[e.Key]; !e.Time.Before(k.latest) {
				p.t.Errorf("%q was stored again %v after it expired", k.name, e.Time.Sub(k.latest))
			}
			p.mu.Unlock()
		}
	})
}

// readFor reads a random key at a random host each second, one way or the other.
func (p *longPartition) readFor(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		h, key := p.oneOf(p.hosts), p.keys[p.rng.IntN(len(p.keys))]
		opts := [][]dht.GetOption{nil, {dht.Latest()}, {dht.NoCache()}, {dht.FreshUntil(time.Now().Add(time.Minute))}}[p.rng.IntN(4)]
		p.reads.Go(func() {
			began := time.Now()
			v, err := h.Get(p.t.Context(), key, opts...)
			if err == nil {
				p.alive(v, began)
			}
		})
	}
	p.reads.Wait()
}

// alive reports a value, or an entry of a dictionary, that had expired when it was asked for.
func (p *longPartition) alive(v *dht.Value, asked time.Time) {
	p.t.Helper()
	for _, e := range append(slices.Clone(v.Entries), dht.Entry{Expiration: v.Expiration}) {
		if end := e.Expiration.Time(); !asked.Before(end) {
			p.t.Errorf("%q was found %v after it expired", p.nameOf(v.Key), asked.Sub(end))
		}
	}
}

func (p *longPartition) nameOf(key record.Key) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[key].name
}

// untilFresh returns how long it takes until a host of each side reads the freshest of some keys.
func (p *longPartition) untilFresh() time.Duration {
	began := time.Now()
	for {
		fresh := true
		for i := range 4 {
			key := record.KeyOfText(fmt.Sprint("common ", i))
			for _, h := range []*virtualHost{p.hosts[0], p.hosts[len(p.hosts)-1]} {
				v, err := h.Get(p.t.Context(), key, dht.Latest(), dht.NoCache())
				fresh = fresh && err == nil && must(v.Decode()) == p.known[key].value
			}
		}
		if fresh || time.Since(began) > partitionSpan {
			return time.Since(began).Round(time.Second)
		}
		time.Sleep(5 * time.Second)
	}
}

// verify compares what every host reads, and what those that should hold a key hold, with what is known.
func (p *longPartition) verify() {
	now := time.Now()
	for i, h := range p.hosts {
		for _, r := range h.GetMany(p.t.Context(), p.keys, dht.Latest()) {
			k := p.known[r.Key]
			switch {
			case !now.Before(k.latest):
				if !errors.Is(r.Err, dht.ErrNotFound) {
					p.t.Errorf("host %d finds %q, which has expired: %v", i, k.name, r.Err)
				}
			case r.Err != nil:
				p.t.Errorf("host %d does not find %q: %v", i, k.name, r.Err)
			default:
				p.same(fmt.Sprint("host ", i, " reads"), r.Value, k)
			}
		}
	}
	for _, key := range p.keys {
		k := p.known[key]
		for _, h := range p.nearest(kad.ID(key), dht.Defaults().Replicas) {
			v := h.local(key)
			switch {
			case !now.Before(k.latest):
				if v != nil {
					p.t.Errorf("%q has expired and is held", k.name)
				}
			case v == nil:
				p.t.Errorf("%q is missing where it should be held", k.name)
			default:
				p.same("a holder has", v, k)
			}
		}
	}
}

// same reports a value that is not the freshest, or a dictionary without some of its entries.
func (p *longPartition) same(who string, v *dht.Value, k *knownKey) {
	p.t.Helper()
	if len(k.entries) == 0 {
		if got := must(v.Decode()); got != k.value || v.Expiration.Time().Sub(k.latest).Abs() > time.Millisecond { // as exact as it travels
			p.t.Errorf("%s %q until %v for %q, want %q until %v", who, got, v.Expiration.Time(), k.name, k.value, k.latest)
		}
		return
	}
	for subkey, value := range k.entries {
		if e, ok := v.Entry(subkey); !ok || must(e.Decode()) != value {
			p.t.Errorf("%s a dictionary %q without what was stored under %q", who, k.name, subkey)
		}
	}
}
