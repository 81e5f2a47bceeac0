package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/dht"
	"github.com/hypertensor-blockchain/mesh/heartbeat"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

const (
	pingSample = 5   // peers whose round trip is measured in each period
	pingAlpha  = 0.2 // weight of a new round trip in the smoothed one
	lifeFactor = 2   // a heartbeat lives that many periods, so that one may be lost

	minLife = 3 * time.Second // of a heartbeat: a busy machine may keep a process waiting for a second or two
)

// beats announces this node and watches the others: one goroutine, started by Node.Run.
type beats struct {
	dht     *dht.Node
	key     crypto.PrivKey
	self    peer.ID
	period  time.Duration // between own heartbeats
	look    time.Duration // between looks at the others
	name    []byte        // subkey
	epoch   func() (uint32, bool)
	members func() []peer.ID
	relayed func() bool // nobody can dial this node but through a relay
	log     *slog.Logger
	wake    chan struct{} // the state changed
	looking chan struct{} // full while somebody looks at the others

	mu      sync.Mutex // guards the fields below
	info    heartbeat.Info
	live    liveness
	looked  time.Time // last look that worked
	failing bool
}

func newBeats(d *dht.Node, key crypto.PrivKey, self peer.ID, info heartbeat.Info, log *slog.Logger) (*beats, error) {
	name, err := heartbeat.Name(key.GetPublic())
	if err != nil {
		return nil, err
	}
	return &beats{dht: d, key: key, self: self, name: name, info: info, log: log, wake: make(chan struct{}, 1), looking: make(chan struct{}, 1)}, nil
}

// run beats until ctx ends; it does not say OFFLINE, see leave.
func (b *beats) run(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	looks := time.NewTicker(b.look)
	defer looks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
			next.Reset(0)
			continue
		case <-looks.C:
			if err := b.refresh(ctx, b.look); err != nil && ctx.Err() == nil {
				b.log.Debug("heartbeats not read", "err", err)
			}
			continue
		case <-next.C:
		}
		began := time.Now()
		b.ping(ctx)
		b.beat(ctx)
		if took := time.Since(began); took > b.period && ctx.Err() == nil {
			b.log.Warn("a heartbeat takes longer than the time between two; consider a longer --update-period", "took", took, "period", b.period)
		}
		next.Reset(b.period - min(b.period/2, time.Since(began)))
	}
}

// set changes the announced state and announces it at once.
func (b *beats) set(s heartbeat.State) {
	b.mu.Lock()
	b.info.State = s
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // announced soon anyway
	}
}

// leave says OFFLINE. The record lives as long as any other: whoever looks in that time knows that the node left on purpose.
func (b *beats) leave(ctx context.Context) error {
	b.mu.Lock()
	b.info.State = heartbeat.Offline
	b.info.NextPings = nil
	b.mu.Unlock()
	return b.store(ctx)
}

func (b *beats) beat(ctx context.Context) {
	err := b.store(ctx)
	b.mu.Lock()
	was := b.failing
	b.failing = err != nil && ctx.Err() == nil
	now := b.failing
	b.mu.Unlock()
	switch {
	case now && !was:
		b.log.Warn("heartbeat not stored", "err", err)
	case was && !now:
		b.log.Info("heartbeats are stored again")
	}
}

func (b *beats) store(ctx context.Context) error {
	b.mu.Lock()
	info := b.info
	b.mu.Unlock()
	info.Epoch, info.HasEpoch = b.epoch()
	info.UsingRelay = b.relayed()
	value, err := info.Marshal()
	if err != nil {
		return fmt.Errorf("store heartbeat: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, max(b.period, time.Second))
	defer cancel()
	expires := time.Now().Add(max(lifeFactor*b.period, minLife)).Truncate(time.Microsecond)
	r, err := b.dht.Store(ctx, dht.StoreRequest{Key: heartbeat.Key(), Subkey: b.name, Value: msgpack.Raw(value), Expiration: expires})
	if err == nil {
		err = r.Failure()
	}
	if err != nil {
		return fmt.Errorf("store heartbeat: %w", err)
	}
	return nil
}

// ping measures the round trip to a few members.
func (b *beats) ping(ctx context.Context) {
	members := b.members()
	rand.Shuffle(len(members), func(i, k int) { members[i], members[k] = members[k], members[i] })
	type sample struct {
		id  peer.ID
		rtt time.Duration
		err error
	}
	results := make(chan sample, pingSample)
	asked := 0
	ctx, cancel := context.WithTimeout(ctx, max(b.period/2, 200*time.Millisecond))
	defer cancel()
	for _, id := range members {
		if id == b.self || asked == pingSample {
			continue
		}
		asked++
		go func() { // all of them are received below
			r, err := b.dht.Ping(ctx, id, false)
			results <- sample{id, r.RTT, err}
		}()
	}
	b.mu.Lock()
	old := b.info.NextPings
	b.mu.Unlock()
	fresh := make(map[peer.ID]time.Duration, len(members))
	for _, id := range members { // peers that are gone drop out
		if rtt, ok := old[id]; ok {
			fresh[id] = rtt
		}
	}
	for range asked {
		s := <-results
		switch smooth, known := fresh[s.id]; {
		case s.err != nil:
			delete(fresh, s.id) // not measured is not the same as near
		case known:
			fresh[s.id] = time.Duration(pingAlpha*float64(s.rtt) + (1-pingAlpha)*float64(smooth))
		default:
			fresh[s.id] = s.rtt
		}
	}
	b.mu.Lock()
	b.info.NextPings = fresh
	b.mu.Unlock()
}

// refresh looks at the heartbeats of all nodes, unless somebody did within the age given. One look is made at a time.
func (b *beats) refresh(ctx context.Context, age time.Duration) error {
	select {
	case b.looking <- struct{}{}:
		defer func() { <-b.looking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	recent := time.Since(b.looked) < age
	b.mu.Unlock()
	if recent {
		return nil
	}
	v, err := b.dht.Get(ctx, heartbeat.Key(), dht.Latest(), dht.NoCache())
	var sightings []heartbeat.Sighting
	switch {
	case errors.Is(err, dht.ErrNotFound): // nobody is alive
	case err != nil:
		return err
	default:
		var d record.Dictionary
		for _, e := range v.Entries {
			d.Entries = append(d.Entries, record.Entry{Subkey: e.Subkey, Value: e.Raw, Expiration: e.Expiration})
		}
		var skipped []error
		sightings, skipped = heartbeat.List(d)
		for _, err := range skipped {
			b.log.Debug("heartbeat left out", "err", err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looked = time.Now()
	b.live.observe(b.looked, sightings)
	return nil
}

func (b *beats) opinion(peers []Peer, t time.Time, margin time.Duration) Opinion {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live.opinion(peers, t, margin)
}

func (b *beats) online() []peer.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live.online(time.Now())
}
