package dht

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/kad"
)

const (
	checkers        = 2                      // goroutines that ping contacts
	checkPatience   = 3                      // time-outs of a search until a check has failed
	checkMinimum    = time.Second            // of patience: there may be a connection to make, or a busy machine
	bootstrapPause  = 500 * time.Millisecond // after the first failure to join; doubles
	bootstrapMax    = 30 * time.Second       // between attempts to join
	firstMeeting    = time.Second            // until a node that knows few looks around again; doubles
	clockWarning    = time.Second            // offset of our clock that an operator should know of
	clockQuorum     = 3                      // peers that must agree before we doubt our clock
	housekeeping    = 10                     // check intervals between looks at the clock and at what connections are worth
	mergesPerPeriod = 2                      // former peers called per MergeInterval
)

// Run joins the swarm, keeps it healthy and blocks until ctx ends; then it hands its records to others (see
// Config.LeaveTimeout) and returns nil. Joining is retried for ever.
func (n *Node) Run(ctx context.Context) error {
	if n.life.Err() != nil {
		return ErrClosed
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(n.life, cancel) //nolint:contextcheck // Close ends Run too
	defer stop()
	var wg sync.WaitGroup
	for range checkers {
		wg.Go(func() { n.runChecks(running) })
	}
	wg.Go(func() { n.keepTable(running) })
	wg.Go(func() { n.join(running) })
	wg.Go(func() { n.refreshCache(running) })
	if !n.cfg.ClientMode {
		wg.Go(func() { n.keepRecords(running) })
	}
	wg.Wait()
	n.leave() //nolint:contextcheck // ctx has ended, that is why
	return nil
}

// runChecks pings the contacts that the table wants to hear from.
func (n *Node) runChecks(ctx context.Context) {
	for {
		select {
		case c := <-n.checks:
			if n.check(ctx, c.Peer) == nil {
				n.setReadyIfKnown()
			}
		case <-ctx.Done():
			return
		}
	}
}

// check pings a contact. It waits for longer than any search would, but not until the call's own limit: where many nodes
// leave, waiting for the dead would take up all checkers and keep them from finding more of the dead.
func (n *Node) check(ctx context.Context, p peer.ID) error {
	patience := max(checkPatience*n.contacts.timeout(p, n.cfg.CallTimeout), checkMinimum)
	ctx, cancel := context.WithTimeout(ctx, min(patience, n.cfg.CallTimeout))
	defer cancel()
	_, _, err := n.ping(ctx, p, false)
	return err
}

// setReadyIfKnown makes a node ready that others found before it found its bootstrap peers.
func (n *Node) setReadyIfKnown() {
	select {
	case <-n.ready:
	default:
		if n.contacts.len() > 0 {
			n.setReady()
		}
	}
}

// keepTable revalidates contacts on the table's own schedule and refreshes quiet buckets. While it knows fewer than it wanted to
// meet it looks around more often: nodes that join at the same moment may not have heard of each other.
func (n *Node) keepTable(ctx context.Context) {
	refresh := n.now().Add(jitter(n.cfg.RefreshInterval))
	house := n.now().Add(n.cfg.CheckInterval)
	pause := firstMeeting
	meet := n.now().Add(jitter(pause))
	tags := make(map[peer.ID]int)
	defer func() { n.untag(tags) }()
	var due []kad.Check
	var stale []kad.ID
	for ctx.Err() == nil {
		now := n.now()
		n.contacts.mu.Lock()
		due = n.contacts.table.Due(due[:0], now)
		next, ok := n.contacts.table.NextDue()
		stale = stale[:0]
		if !now.Before(refresh) {
			stale = n.contacts.table.Stale(stale, now, n.cfg.RefreshInterval)
		}
		n.contacts.mu.Unlock()
		for _, c := range due {
			n.queueCheck(c.Contact)
		}
		if !now.Before(refresh) {
			refresh = now.Add(jitter(n.cfg.RefreshInterval))
			n.refreshBuckets(ctx, stale)
		}
		if !now.Before(meet) {
			pause = n.meetMore(ctx, pause)
			meet = now.Add(jitter(pause))
		}
		if !now.Before(house) {
			house = now.Add(housekeeping * n.cfg.CheckInterval)
			n.checkClock()
			tags = n.tagContacts(tags)
		}
		if !ok || next.After(now.Add(time.Second)) {
			next = now.Add(time.Second) // an empty table has no schedule; somebody may join meanwhile
		}
		n.sleep(ctx, earliest(next, refresh, house, meet), nil)
	}
}

// meetMore looks around if fewer are known than wanted, and returns the pause until the next time.
func (n *Node) meetMore(ctx context.Context, pause time.Duration) time.Duration {
	known := n.contacts.len()
	if known == 0 {
		return firstMeeting // see join
	}
	if known < n.cfg.Neighbours {
		n.meetNeighbours(ctx)
	}
	return min(2*pause, n.cfg.RefreshInterval)
}

// What a connection is worth to the connection manager, which trims those of least worth: strangers first, neighbours last.
const (
	tagName      = "mesh-dht"
	tagContact   = 5
	tagNeighbour = 20
)

// tagContacts tells the connection manager whom the table knows, and takes back what it was told of others before. It tells
// everything each time: with the last connection of a peer the manager forgets what the peer is worth.
func (n *Node) tagContacts(old map[peer.ID]int) map[peer.ID]int {
	n.contacts.mu.Lock()
	live := n.contacts.table.Contacts(nil)
	near := n.contacts.table.Nearest(nil, n.self, n.cfg.BucketSize, n.self)
	n.contacts.mu.Unlock()
	tags := make(map[peer.ID]int, len(live))
	for _, c := range live {
		tags[c.Peer] = tagContact
	}
	for _, c := range near {
		tags[c.Peer] = tagNeighbour
	}
	manager := n.calls.Host().Libp2p().ConnManager()
	for p, worth := range tags {
		manager.TagPeer(p, tagName, worth)
		delete(old, p)
	}
	n.untag(old)
	return tags
}

func (n *Node) untag(tags map[peer.ID]int) {
	manager := n.calls.Host().Libp2p().ConnManager()
	for p := range tags {
		manager.UntagPeer(p, tagName)
	}
}

func earliest(first time.Time, more ...time.Time) time.Time {
	for _, t := range more {
		if t.Before(first) {
			first = t
		}
	}
	return first
}

// refreshBuckets looks for nodes near the given points and near ourselves.
func (n *Node) refreshBuckets(ctx context.Context, targets []kad.ID) {
	n.findMany(ctx, append(targets, n.self), n.cfg.BucketSize)
}

// findMany searches the want nearest nodes of several points at once; who answers enters the table. It asks a few at a
// time, so that it does not meet more strangers than it must: each costs both sides a handshake.
func (n *Node) findMany(ctx context.Context, targets []kad.ID, want int) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	s := &search{
		n: n, look: kad.LookupConfig{Targets: targets, Paths: 1, Want: want}, nearestOnly: true, gentle: true,
		finished: func(*kad.Lookup, kad.ID) {},
	}
	s.run(ctx)
}

func (n *Node) checkClock() {
	offset, peers := n.ClockOffset()
	if peers < clockQuorum || offset.Abs() < clockWarning {
		return
	}
	n.event(Event{Kind: EventClockSkew, Duration: offset, Count: peers})
	n.cfg.Logger.Warn("dht: this clock differs from that of the swarm", "ahead_of_us", offset, "peers", peers)
}

// join enters the swarm, and enters it again whenever nobody is left in the table. Now and then it calls peers that it
// knows and that are not in the table: if the swarm was split, that joins the parts.
func (n *Node) join(ctx context.Context) {
	pause := bootstrapPause
	for ctx.Err() == nil {
		if n.contacts.len() == 0 || !n.isReady() {
			err := n.Bootstrap(ctx)
			if err == nil {
				pause = bootstrapPause
				n.setReady()
			} else if ctx.Err() == nil {
				n.cfg.Logger.Warn("dht: cannot join yet", "error", err, "next_attempt", pause)
				n.sleep(ctx, n.now().Add(jitter(pause)), nil)
				pause = min(2*pause, bootstrapMax)
				continue
			}
		}
		n.sleep(ctx, n.now().Add(jitter(n.mergePause())), nil)
		n.merge(ctx)
	}
}

func (n *Node) isReady() bool {
	select {
	case <-n.ready:
		return true
	default:
		return false
	}
}

// mergePause is shorter after more peers were lost in one interval than are known: then a split is likely.
func (n *Node) mergePause() time.Duration {
	since := n.now().Add(-n.cfg.MergeInterval)
	lately := 0
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	for _, at := range n.contacts.lost {
		if at.After(since) {
			lately++
		}
	}
	if lately > n.contacts.table.Len() {
		return max(n.cfg.MergeInterval/8, min(bootstrapPause, n.cfg.MergeInterval))
	}
	return n.cfg.MergeInterval
}

// merge calls some bootstrap or former peers that are not in the table. One answer is enough to find all its friends.
func (n *Node) merge(ctx context.Context) {
	candidates := slices.DeleteFunc(n.absent(), func(p peer.AddrInfo) bool { return n.conduct.shuns(p.ID, n.now()) })
	rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	found := false
	for _, p := range candidates[:min(len(candidates), mergesPerPeriod)] {
		if err := n.connect(ctx, p); err != nil {
			continue
		}
		if _, c, err := n.ping(ctx, p.ID, false); err == nil && !c.ID.IsZero() {
			found = true
		}
	}
	if found && ctx.Err() == nil {
		n.meetNeighbours(ctx)
	}
}

// meetNeighbours makes this node known to those nearest to it, because they learn of it in no other way.
func (n *Node) meetNeighbours(ctx context.Context) {
	n.findMany(ctx, []kad.ID{n.self}, n.cfg.Neighbours)
}

// absent returns the bootstrap and former peers that are not in the table.
func (n *Node) absent() []peer.AddrInfo {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	var list []peer.AddrInfo
	for _, b := range n.cfg.Bootstrap {
		if _, live, ok := n.contacts.table.Find(b.ID); b.ID != n.me && (!ok || !live) {
			list = append(list, b)
		}
	}
	for p := range n.contacts.lost {
		if _, live, ok := n.contacts.table.Find(p); !ok || !live {
			list = append(list, peer.AddrInfo{ID: p}) // the address book remembers where
		}
	}
	return list
}

func (n *Node) connect(ctx context.Context, p peer.AddrInfo) error {
	if n.calls.Host().Libp2p().Network().Connectedness(p.ID) == network.Connected {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.CallTimeout)
	defer cancel()
	return n.calls.Host().Connect(ctx, p)
}

// Bootstrap joins the swarm once: it calls the bootstrap peers and looks for the node's neighbours. It fails with
// ErrBootstrap, ErrNoDial or ErrClock. Run does the same again and again; call it only to fail early. A node without
// bootstrap peers is the first of its swarm: it succeeds at once.
func (n *Node) Bootstrap(ctx context.Context) error {
	var peers []peer.AddrInfo
	for _, p := range n.cfg.Bootstrap {
		if p.ID != n.me {
			peers = append(peers, p)
		}
	}
	if len(peers) == 0 {
		return nil
	}
	n.count.bootstraps.Add(1)
	errs := make(chan error, len(peers))
	call, stop := context.WithTimeout(ctx, 2*n.cfg.CallTimeout)
	defer stop()
	for _, p := range peers {
		if !n.group.start(func() { errs <- n.greetBootstrap(call, p) }) {
			return ErrClosed
		}
	}
	var failures []error
	joined := 0
	var grace <-chan time.Time
	for range peers {
		select {
		case err := <-errs:
			if err != nil {
				failures = append(failures, err)
				continue
			}
			if joined++; joined == 1 { // the others may be dead: wait no longer than it takes an honest one
				timer := time.NewTimer(n.cfg.CallTimeout / 10)
				defer timer.Stop()
				grace = timer.C
			}
			continue
		case <-grace:
		case <-ctx.Done():
		}
		break
	}
	if joined == 0 {
		n.count.bootstrapsFailed.Add(1)
		err := errors.Join(failures...)
		if err == nil {
			err = ctx.Err()
		}
		if !errors.Is(err, ErrClock) && !errors.Is(err, ErrNoDial) {
			err = fmt.Errorf("%w: %w", ErrBootstrap, err)
		}
		n.event(Event{Kind: EventBootstrap, Reason: err.Error()})
		return err
	}
	n.meetNeighbours(ctx)
	n.event(Event{Kind: EventBootstrap, Reason: "joined", Count: n.contacts.len()})
	return nil
}

// greetBootstrap calls one bootstrap peer, which must reach us and agree with our clock.
func (n *Node) greetBootstrap(ctx context.Context, p peer.AddrInfo) error {
	if err := n.connect(ctx, p); err != nil {
		return fmt.Errorf("%s: %w", p.ID, err)
	}
	res, _, err := n.ping(ctx, p.ID, !n.cfg.ClientMode)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", p.ID, err)
	case res.Offset.Abs() > n.cfg.MaxClockSkew:
		return fmt.Errorf("%s: %w by %v", p.ID, ErrClock, res.Offset.Round(time.Millisecond))
	case !n.cfg.ClientMode && !res.Available:
		return fmt.Errorf("%s: %w", p.ID, ErrNoDial)
	}
	return nil
}
