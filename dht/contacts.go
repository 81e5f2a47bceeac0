package dht

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/hypertensor-blockchain/mesh/dht/wire"
	"github.com/hypertensor-blockchain/mesh/kad"
	"github.com/hypertensor-blockchain/mesh/p2p"
	"github.com/hypertensor-blockchain/mesh/rpc"
)

const (
	maxBanned       = 4096             // peers in back-off; beyond it the shortest bans go first
	maxAddrs        = 4096             // peers whose encoded addresses are kept
	maxAddrsPerPeer = 8                // addresses of one peer told to others
	addrsAge        = time.Minute      // how long encoded addresses are reused
	maxSince        = 4096             // peers whose entry into the table is remembered; tables are smaller
	maxRemembered   = 256              // peers that once were in the table, to heal a split swarm with
	learnedAddrTTL  = 10 * time.Minute // addresses that others told us; long enough for one search and its stores
)

// contacts is all that the node knows about its peers: the routing table and how it sizes the swarm, who is in back-off,
// and the addresses to tell others. One mutex guards it; nothing is called under it but pure code.
type contacts struct {
	mu     sync.Mutex
	table  *kad.Table
	size   kad.SizeEstimator
	banned map[peer.ID]ban
	addrs  map[peer.ID]addrBlob
	lost   map[peer.ID]time.Time // left the table at; candidates for a merge
	since  map[peer.ID]time.Time // entered the table at
	base   time.Duration
	max    time.Duration
}

type ban struct {
	until    time.Time
	failures int
	shunned  bool // for its conduct, not because it failed
}

// addrBlob is the addresses of a peer as find answers carry them.
type addrBlob struct {
	blob []byte
	at   time.Time
}

func (c *contacts) init(cfg Config, self kad.ID) {
	c.table = kad.NewTable(kad.TableConfig{
		Self: self, BucketSize: cfg.BucketSize, DepthModulo: cfg.DepthModulo, AllowFree: cfg.Python, Seed: cfg.Seed,
		FastInterval: cfg.CheckInterval, SlowInterval: 3 * cfg.CheckInterval,
	})
	c.banned = make(map[peer.ID]ban)
	c.addrs = make(map[peer.ID]addrBlob)
	c.lost = make(map[peer.ID]time.Time)
	c.since = make(map[peer.ID]time.Time)
	c.base, c.max = cfg.BackoffBase, cfg.BackoffMax
}

func (c *contacts) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Len()
}

func (c *contacts) nearest(dst []kad.Contact, target kad.ID, k int, exclude kad.ID) []kad.Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Nearest(dst, target, k, exclude)
}

// nearestSince is nearest that also appends since when each contact is in the table.
func (c *contacts) nearestSince(dst []kad.Contact, since []time.Time, target kad.ID, k int, exclude kad.ID) ([]kad.Contact, []time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dst = c.table.Nearest(dst, target, k, exclude)
	for i := range dst {
		since = append(since, c.since[dst[i].Peer])
	}
	return dst, since
}

// isBanned reports whether a peer is in back-off.
func (c *contacts) isBanned(p peer.ID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.banned[p]
	return ok && now.Before(b.until)
}

// ban puts a peer into back-off and returns for how long.
func (c *contacts) ban(p peer.ID, now time.Time) time.Duration {
	if c.base < 0 {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.banned[p]
	if !ok && len(c.banned) >= maxBanned {
		c.pruneBans(now)
	}
	if now.Before(b.until) {
		return 0 // several questions were in flight when it failed: that is one failure
	}
	pause := c.max
	if b.failures < 30 {
		pause = min(c.base<<b.failures, c.max)
	}
	c.banned[p] = ban{until: now.Add(pause), failures: b.failures + 1}
	return pause
}

// pruneBans makes room: bans that are over go, and if that is not enough, an arbitrary half.
func (c *contacts) pruneBans(now time.Time) {
	for p, b := range c.banned {
		if now.After(b.until) {
			delete(c.banned, p)
		}
	}
	for p, b := range c.banned {
		if len(c.banned) <= maxBanned/2 {
			break
		}
		if !b.shunned {
			delete(c.banned, p)
		}
	}
}

// shun leaves a peer out until a time, and forgets it. It reports whether the peer was in the table.
func (c *contacts) shun(p peer.ID, now, until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.addrs, p)
	delete(c.lost, p)
	if len(c.banned) >= maxBanned {
		c.pruneBans(now)
	}
	c.banned[p] = ban{until: until, failures: c.banned[p].failures + 1, shunned: true}
	return c.table.Remove(p, now)
}

func (c *contacts) pardon(p peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.banned, p)
}

func (c *contacts) timeout(p peer.ID, maximum time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.table.Timeout(p, maximum)
}

// networkSize returns the estimated number of nodes and whether it rests on enough lookups.
func (c *contacts) networkSize() (float64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size.Anchor(c.table.SizeEstimate())
	return c.size.Size()
}

// remember keeps a peer that left the table as somebody to ask when the swarm may have split.
func (c *contacts) remember(p peer.ID, now time.Time) {
	if len(c.lost) >= maxRemembered {
		oldest := p
		for q, at := range c.lost {
			if o, ok := c.lost[oldest]; !ok || at.Before(o) {
				oldest = q
			}
		}
		delete(c.lost, oldest)
	}
	c.lost[p] = now
}

// entered notes when a contact came into the table.
func (c *contacts) entered(p peer.ID, now time.Time) {
	if len(c.since) >= maxSince { // most of them have left it again
		for q := range c.since {
			if _, live, ok := c.table.Find(q); !ok || !live {
				delete(c.since, q)
			}
		}
	}
	c.since[p] = now
}

// alive records that c.Peer answered a question of ours, saying that its ID is c.ID.
func (n *Node) alive(c kad.Contact, rtt time.Duration) {
	now := n.now()
	if n.conduct.shuns(c.Peer, now) {
		return // it was asked before
	}
	t := &n.contacts
	t.mu.Lock()
	known, live, ok := t.table.Find(c.Peer)
	if ok && live && known.ID == c.ID {
		c.Addr = known.Addr
	} else { // asking the connection is slower than all the rest, and must not happen under the lock
		t.mu.Unlock()
		c.Addr = n.remoteAddr(c.Peer)
		c.Peer = peer.ID(strings.Clone(string(c.Peer))) // the table must not keep the answer that named it
		t.mu.Lock()
	}
	res := t.table.Add(c, now)
	t.table.ObserveRTT(c.Peer, rtt)
	delete(t.banned, c.Peer)
	if res.Status == kad.Added {
		delete(t.lost, c.Peer)
		t.entered(c.Peer, now)
	}
	t.mu.Unlock()

	switch res.Status {
	case kad.Updated, kad.Known, kad.Spare:
	case kad.Added:
		n.count.peersAdded.Add(1)
		n.event(Event{Kind: EventPeerAdded, Peer: c.Peer})
		if !n.cfg.ClientMode {
			select {
			case n.handover <- c:
			default: // the republisher brings the records later
			}
		}
	default:
		n.count.peersRefused.Add(1)
		n.event(Event{Kind: EventPeerRefused, Peer: c.Peer, Reason: res.Status.String()})
	}
	if res.HasCheck {
		n.queueCheck(res.Check)
	}
}

// offer records that somebody claims to be c. The table changes only after c answered a question of ours.
func (n *Node) offer(c kad.Contact) {
	t := &n.contacts
	t.mu.Lock()
	_, live, ok := t.table.Find(c.Peer)
	t.mu.Unlock()
	if ok && live {
		return // the common case: a neighbour asks something
	}
	c.Addr = n.remoteAddr(c.Peer)
	t.mu.Lock()
	res := t.table.Offer(c, n.now())
	t.mu.Unlock()
	if res.HasCheck {
		n.queueCheck(res.Check)
	}
}

// queueCheck asks Run to ping a contact. A full queue forgets it: the table asks again.
func (n *Node) queueCheck(c kad.Contact) {
	select {
	case n.checks <- c:
		n.count.verifyQueued.Add(1)
	default:
		n.count.verifyDropped.Add(1)
	}
}

// failed records that a question got no usable answer, and blames the peer if it is to blame.
func (n *Node) failed(c kad.Contact, err error) {
	now := n.now()
	switch blameFor(err) {
	case blameNobody:
		return
	case blameGone:
		n.contacts.mu.Lock()
		removed := n.contacts.table.Remove(c.Peer, now)
		n.contacts.mu.Unlock()
		if removed {
			n.count.peersRemoved.Add(1)
			n.event(Event{Kind: EventPeerRemoved, Peer: c.Peer, Reason: "does not serve the DHT"})
		}
	case blamePeer:
		n.contacts.mu.Lock()
		evicted := n.contacts.table.Failed(c, now)
		if evicted {
			delete(n.contacts.addrs, c.Peer)
			n.contacts.remember(c.Peer, now)
		}
		n.contacts.mu.Unlock()
		if evicted {
			n.count.peersRemoved.Add(1)
			n.event(Event{Kind: EventPeerRemoved, Peer: c.Peer, Reason: "failed too often"})
		}
	}
	if pause := n.contacts.ban(c.Peer, now); pause > 0 {
		n.count.bans.Add(1)
		n.event(Event{Kind: EventPeerBanned, Peer: c.Peer, Duration: pause, Reason: rpc.CodeOf(err).String()})
	}
}

// blame says whose fault a failed call is.
type blame uint8

const (
	blameNobody blame = iota // we gave up, are overloaded, or the peer says that it is
	blamePeer                // no answer, or an answer that makes no sense
	blameGone                // the peer is alive and does not serve the DHT
)

func blameFor(err error) blame {
	switch rpc.CodeOf(err) {
	case rpc.Canceled, rpc.ResourceExhausted, rpc.OK:
		return blameNobody
	case rpc.Unimplemented:
		return blameGone
	case rpc.InvalidArgument:
		if !rpc.IsRemote(err) {
			return blameNobody // our own request was no good, for instance too large
		}
		return blamePeer
	default:
		return blamePeer
	}
}

// remoteAddr returns the IP address of the connection to a peer; the zero address if there is none or it is relayed.
func (n *Node) remoteAddr(p peer.ID) netip.Addr {
	for _, conn := range n.calls.Host().Libp2p().Network().ConnsToPeer(p) {
		remote := conn.RemoteMultiaddr()
		if p2p.Relayed(remote) {
			continue
		}
		if ip, err := manet.ToIP(remote); err == nil {
			if addr, ok := netip.AddrFromSlice(ip); ok {
				return addr.Unmap()
			}
		}
	}
	return netip.Addr{}
}

// addrsOf fills in the addresses of peers as find answers carry them. Most are encoded already.
func (n *Node) addrsOf(list []wire.Neighbour, now time.Time) {
	t := &n.contacts
	missing := false
	t.mu.Lock()
	for i := range list {
		have, ok := t.addrs[peer.ID(list[i].Peer)]
		list[i].Addrs = have.blob
		if !ok || now.Sub(have.at) >= addrsAge {
			list[i].Addrs, missing = nil, true
		}
	}
	t.mu.Unlock()
	if !missing {
		return
	}
	for i := range list {
		if list[i].Addrs == nil {
			list[i].Addrs = n.encodeAddrs(peer.ID(list[i].Peer), now)
		}
	}
}

// encodeAddrs encodes the addresses of a peer and keeps the result for a while, unless none is known yet: of a peer that has just
// connected they come a moment later. It is never nil.
func (n *Node) encodeAddrs(p peer.ID, now time.Time) []byte {
	blob := []byte{}
	count := 0
	for _, a := range n.calls.Host().Libp2p().Peerstore().Addrs(p) {
		b := a.Bytes()
		if count == maxAddrsPerPeer || len(blob)+len(b)+2 > 1<<10 {
			break
		}
		blob = wire.AppendAddr(blob, b)
		count++
	}
	if count == 0 {
		return blob
	}
	t := &n.contacts
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.addrs) >= maxAddrs {
		clear(t.addrs)
	}
	t.addrs[p] = addrBlob{blob, now}
	return blob
}

// learnAddrs keeps the addresses that a find answer gave for a peer which we are about to call. The channel proves who
// answers there, so a lie costs one failed dial.
func (n *Node) learnAddrs(p peer.ID, blob []byte) {
	if len(blob) == 0 {
		return
	}
	h := n.calls.Host().Libp2p()
	addrs := make([]multiaddr.Multiaddr, 0, maxAddrsPerPeer)
	wire.Addrs(blob, func(b []byte) bool {
		if a, err := multiaddr.NewMultiaddrBytes(b); err == nil {
			addrs = append(addrs, a)
		}
		return len(addrs) < maxAddrsPerPeer
	})
	if len(addrs) > 0 {
		h.Peerstore().AddAddrs(p, addrs, min(learnedAddrTTL, peerstore.RecentlyConnectedAddrTTL))
	}
}

// Remove takes a peer out of the routing table at once: it was banned or lost its stake.
func (n *Node) Remove(p peer.ID) {
	n.contacts.mu.Lock()
	removed := n.contacts.table.Remove(p, n.now())
	delete(n.contacts.addrs, p)
	delete(n.contacts.lost, p)
	n.contacts.mu.Unlock()
	if removed {
		n.count.peersRemoved.Add(1)
		n.event(Event{Kind: EventPeerRemoved, Peer: p, Reason: "removed by the application"})
	}
}

// Contacts returns the live contacts of the routing table.
func (n *Node) Contacts() []kad.Contact {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	return n.contacts.table.Contacts(nil)
}

// Table returns the buckets of the routing table, for people and tools.
func (n *Node) Table() []kad.BucketInfo {
	n.contacts.mu.Lock()
	defer n.contacts.mu.Unlock()
	return n.contacts.table.Buckets()
}
