package dht

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	gentleAlpha = 3 // questions at once of upkeep: Kademlia's alpha
	firstAlpha  = 1 // questions at once of a search for the first value; see alpha
	seedBeams   = 3 // beams of own contacts that disjoint paths begin with: they need different ones
)

// search drives one kad.Lookup: one goroutine owns the lookup, every question is a goroutine of its own that reports back
// over a channel. Questions are not cancelled when the search ends early: their answers still tell who is alive, and
// each is bounded by Config.CallTimeout.
type search struct {
	n           *Node
	look        kad.LookupConfig // what is sought and how widely: as kad.Defence decides, or on one path for upkeep
	nearestOnly bool
	gentle      bool // nobody waits for it
	thorough    bool // all of the nearest will be asked anyway: ask many at once

	region bool              // the targets lie around one key
	keys   map[kad.ID]kad.ID // the keys whose values are asked for at targets beside them; nil: each target is its key

	// answered is called with each answer, before the lookup sees it. It returns the keys that need no more answers. Optional.
	answered func(from kad.Contact, keys []kad.ID, a *answer) (enough []kad.ID)
	// failed is called with each question that got no answer. Optional.
	failed func(ask kad.Ask, err error)
	// finished is called once for each target, in the goroutine of run, with the lookup still at hand.
	finished func(l *kad.Lookup, target kad.ID)

	// cancelled brings keys that nobody wants any more. Optional.
	cancelled <-chan kad.ID

	memory *memory // of the operation
}

type outcome struct {
	ask  kad.Ask
	keys []kad.ID // what was asked for: the targets, and keys beside them
	ans  *answer
	err  error
}

// newSearch returns a search that makes a look.
func (n *Node) newSearch(d kad.Defence, look kad.Look, m *memory) *search {
	cfg := d.Config(look, &m.heard)
	cfg.Targets = slices.Clone(look.Targets) // more may be added
	return &search{n: n, look: cfg, memory: m, region: len(look.Targets) > 1}
}

// defence returns what an operation decides by, over so many disjoint paths if it must.
func (n *Node) defence(paths int) kad.Defence {
	d := kad.Defence{Paths: paths, Replicas: n.cfg.Replicas, Beam: n.cfg.BucketSize}
	d.Size, d.Sure = n.contacts.networkSize()
	return d
}

// doubted counts a doubt that makes an operation look again, and tells of it.
func (n *Node) doubted(key kad.ID, doubt kad.Doubt) {
	n.count.doubts.Add(1)
	n.event(Event{Kind: EventDoubt, Key: record.Key(key), Reason: doubt.String()})
}

// run performs the search until all targets are finished or ctx ends.
func (s *search) run(ctx context.Context) {
	n := s.n
	n.count.lookups.Add(uint64(len(s.look.Targets)))
	n.count.searches.Add(1)
	if s.memory == nil {
		s.memory = new(memory)
	}
	defer n.count.searches.Add(-1)

	l := kad.NewLookup(s.config(), s.seeds())
	outcomes := make(chan outcome, n.cfg.Parallel)
	over := make(chan struct{})
	defer close(over) // lets late questions go
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	var finished []kad.ID
	for {
		for _, ask := range l.Next(n.now()) {
			s.send(l, ask, outcomes, over)
		}
		finished = l.Finished(finished[:0])
		for _, target := range finished {
			if !s.region && target != n.self { // places beside a key under attack, and our own, are no sample of the swarm
				n.contacts.observe(l, target)
			}
			s.finished(l, target)
		}
		if l.Done() {
			return
		}
		if l.InFlight() == 0 { // nobody left to ask, and the lookup did not notice: a fault of ours
			l.StopAll(kad.StopExhausted)
			continue
		}
		var wake <-chan time.Time
		if at, ok := l.Wake(); ok {
			pause := at.Sub(n.now())
			if timer == nil {
				timer = time.NewTimer(pause)
			} else {
				timer.Reset(pause)
			}
			wake = timer.C
		}
		select {
		case o := <-outcomes:
			s.take(l, o)
		case key := <-s.cancelled:
			s.stop(l, key, kad.StopCanceled)
		case <-wake:
		case <-ctx.Done():
			why := kad.StopCanceled
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				why = kad.StopDeadline
			}
			l.StopAll(why)
		}
	}
}

func (s *search) config() kad.LookupConfig {
	n, cfg := s.n, s.look
	cfg.Self, cfg.SelfPeer = n.self, n.me
	cfg.Beam, cfg.Alpha = n.cfg.BucketSize, s.alpha()
	cfg.Parallel, cfg.TargetsPerCall, cfg.AllowFree = n.cfg.Parallel, n.cfg.KeysPerCall, n.cfg.Python
	if cfg.MaxAsks == 0 || cfg.MaxAsks > n.cfg.MaxAsks {
		cfg.MaxAsks = n.cfg.MaxAsks
	}
	cfg.Exclude = func(p peer.ID) bool { return n.contacts.isBanned(p, n.now()) }
	cfg.SoftTimeout = func(c kad.Contact) time.Duration { return n.contacts.timeout(c.Peer, n.cfg.CallTimeout) }
	return cfg
}

// stop ends the search at all targets of a key.
func (s *search) stop(l *kad.Lookup, key kad.ID, why kad.StopReason) {
	if s.keys == nil {
		l.Stop(key, why)
		return
	}
	for target, k := range s.keys {
		if k == key {
			l.Stop(target, why)
		}
	}
}

// wanted returns the keys of a question: its targets, and what is sought beside them.
func (s *search) wanted(targets []kad.ID) []kad.ID {
	if s.keys == nil {
		return targets
	}
	keys := slices.Clone(targets)
	for _, t := range targets {
		if k := s.keys[t]; !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// alpha is the number of questions in flight per path. A search that ends with the first value asks one at a time, because
// mostly the first knows, and every further question is wasted; who is slower than usual is overtaken by the next.
func (s *search) alpha() int {
	if !s.nearestOnly && !s.thorough {
		return firstAlpha
	}
	if s.gentle {
		return gentleAlpha
	}
	want := s.look.Want
	if want == 0 {
		want = s.n.cfg.BucketSize
	}
	paths := max(s.look.Paths, 1)
	return (max(want/2, gentleAlpha) + paths - 1) / paths // at once, of all paths together, half of what has to answer
}

// seeds returns what our own table knows nearest to the targets.
func (s *search) seeds() []kad.Contact {
	k := s.n.cfg.BucketSize
	if s.look.Paths > 1 {
		k *= seedBeams
	}
	buf := make([]kad.Contact, 0, k)
	if len(s.look.Targets) == 1 {
		return s.n.contacts.nearest(buf, s.look.Targets[0], k, kad.ID{})
	}
	var seeds []kad.Contact
	seen := make(map[peer.ID]struct{})
	for _, t := range s.look.Targets {
		buf = s.n.contacts.nearest(buf[:0], t, k, kad.ID{})
		for _, c := range buf {
			if _, ok := seen[c.Peer]; !ok {
				seen[c.Peer] = struct{}{}
				seeds = append(seeds, c)
			}
		}
	}
	return seeds
}

// send asks one question in a goroutine of its own.
func (s *search) send(l *kad.Lookup, ask kad.Ask, outcomes chan<- outcome, over <-chan struct{}) {
	n := s.n
	n.count.lookupAsks.Add(1)
	if n.calls.Host().Libp2p().Network().Connectedness(ask.Contact.Peer) != network.Connected {
		n.learnAddrs(ask.Contact.Peer, s.memory.addrsOf(ask.Contact.Peer))
	}
	keys := s.wanted(ask.Targets)
	started := n.group.start(func() {
		o := outcome{ask: ask, keys: keys}
		o.ans, o.err = n.find(n.life, ask.Contact, keys, s.nearestOnly)
		select {
		case outcomes <- o:
		case <-over:
		}
	})
	if !started {
		l.Failed(n.now(), ask, kad.FailCanceled)
	}
}

// addrsOf returns the addresses that the answer gives for a peer.
func (a *answer) addrsOf(p peer.ID) []byte {
	for i, list := range a.nearest {
		if len(a.addrs[i]) == 0 {
			continue
		}
		for j := range list {
			if list[j].Peer == p {
				return a.addrs[i][j]
			}
		}
	}
	return nil
}

// take gives an outcome to the caller and to the lookup.
func (s *search) take(l *kad.Lookup, o outcome) {
	n := s.n
	if o.err != nil {
		if s.failed != nil {
			s.failed(o.ask, o.err)
		}
		l.Failed(n.now(), o.ask, failReason(o.err))
		return
	}
	s.memory.keep(o.ans)
	var enough []kad.ID
	if s.answered != nil {
		enough = s.answered(o.ask.Contact, o.keys, o.ans)
	}
	report := l.Answer(n.now(), o.ask, o.ans.nearest)         // what was told of keys beside the targets is for nobody
	if report.Hostile() || report.Free > 0 && !n.cfg.Python { // whoever checks IDs as we do has no such contact
		n.hostile(o.ask.Contact, "list of nearest peers that no honest node sends") //nolint:errcheck // what was good in it is used
	}
	for _, key := range enough {
		s.stop(l, key, kad.StopFound)
	}
}

func failReason(err error) kad.FailReason {
	switch {
	case errors.Is(err, errMismatch):
		return kad.FailMismatch
	}
	switch rpc.CodeOf(err) {
	case rpc.DeadlineExceeded:
		return kad.FailTimeout
	case rpc.Unavailable:
		return kad.FailUnreachable
	case rpc.Canceled:
		return kad.FailCanceled
	default:
		return kad.FailRefused
	}
}

// observe learns from a search that converged how large the swarm is.
func (c *contacts) observe(l *kad.Lookup, target kad.ID) {
	if l.Reason(target) == kad.StopConverged && l.Stats(target).Restarts == 0 {
		c.sample(target, l.Confirmed(nil, target, sampleSize))
	}
}

// sampleSize is how many of the nodes nearest to a point are enough to tell how dense they are.
const sampleSize = 20

// sample learns from the nodes nearest to a point how large the swarm is.
func (c *contacts) sample(point kad.ID, nearest []kad.Contact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size.Observe(point, nearest[:min(len(nearest), sampleSize)])
}

// bounded limits a search of the caller's own to SearchTimeout and to the life of the node.
func (n *Node) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.SearchTimeout)
	stop := context.AfterFunc(n.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// ended says why a context of bounded ended.
func (n *Node) ended(ctx context.Context) error {
	if n.life.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}
