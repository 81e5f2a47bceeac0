package kad

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Table is the routing table of one node. The zero value is not usable; see NewTable.
// It is not safe for concurrent use, but the methods that say "reads only" may run
// concurrently with each other.
type Table struct {
	cfg     TableConfig
	rng     *rand.Rand
	root    *node
	buckets []*bucket // leaves in the order of the space
	peers   map[peer.ID]*entry
	groups  map[groupKey]int
	live    int
	rtt     RTT       // of all peers
	near    []Contact // scratch of oldestNear

	fastNext, slowNext, nearNext int64
	pace                         float64 // 1..MaxPace, divides the intervals

	byStatus          [statusCount]uint64
	evicted, promoted uint64
}

// NewTable returns an empty table.
func NewTable(cfg TableConfig) *Table {
	b := &bucket{}
	return &Table{
		cfg:     cfg.withDefaults(),
		rng:     rand.New(rand.NewPCG(cfg.Seed, binary.BigEndian.Uint64(cfg.Self[:]))), // seeded on purpose
		root:    &node{bucket: b},
		buckets: []*bucket{b},
		peers:   make(map[peer.ID]*entry),
		groups:  make(map[groupKey]int),
		pace:    1,
	}
}

// Self returns the owner's ID.
func (t *Table) Self() ID { return t.cfg.Self }

// Len returns the number of live contacts, those restored but not yet verified included.
// Reads only.
func (t *Table) Len() int { return t.live }

// Add records that a contact answered a question of ours just now.
//
// It MUST be called only when contact.Peer itself, over a channel that proved its
// identity and in answer to a question that we asked, said that its ID is contact.ID.
// What others say about a contact, and what a peer says in a question of its own, is
// reported with Offer.
//
// A bound contact takes the place of a free one when the bucket is full; nothing else
// displaces a live contact.
func (t *Table) Add(c Contact, now time.Time) AddResult {
	at := nanos(now)
	old := t.peers[c.Peer]
	if old != nil && old.ID == c.ID && old.verified {
		return t.count(t.touch(old, c, at))
	}
	bound := c.Bound()
	if status, ok := t.admissible(c, bound); !ok {
		return t.count(AddResult{Status: status})
	}
	// Only a free ID can have two claimants. The holder keeps it while it is in good
	// standing, unless the claimant is the one peer whose identity gives this ID.
	holder := t.holder(c.ID, c.Peer)
	if holder != nil && !bound && holder.verified {
		return t.count(t.refuse(c, RefusedRemap, now))
	}
	g := t.group(c)
	if g != 0 && t.cfg.GroupPerTable > 0 && t.groups[g] >= t.cfg.GroupPerTable && (old == nil || old.group != g) {
		return t.count(t.refuse(c, RefusedTableGroup, now))
	}
	if holder != nil {
		t.drop(holder)
	}
	if old != nil && old.ID == c.ID {
		return t.count(t.touch(old, c, at))
	}
	if old != nil { // the peer itself says that it moved
		t.drop(old)
	}
	e := &entry{Contact: c, group: g, first: at, last: at, checked: at, verified: true, bound: bound, fast: true}
	return t.count(t.place(e, now))
}

// Offer records hearsay: a contact that asked us something, or that somebody told us
// about. It never changes an entry that the table has: not its ID, its peer, its address
// or its last sighting. A new contact waits in the replacement list until it answered a
// check; the result asks for one when the bucket has room.
func (t *Table) Offer(c Contact, now time.Time) AddResult {
	at := nanos(now)
	if e := t.peers[c.Peer]; e != nil {
		switch {
		case e.ID != c.ID:
			return t.count(t.refuse(c, RefusedMoved, now))
		case e.lost && at-e.checked >= int64(t.cfg.FastInterval):
			// It speaks again: worth asking before the next scheduled check.
			e.checked = at
			return t.count(AddResult{Status: Known, Check: e.Contact, HasCheck: true})
		}
		return t.count(AddResult{Status: Known})
	}
	bound := c.Bound()
	if status, ok := t.admissible(c, bound); !ok {
		return t.count(AddResult{Status: status})
	}
	if !bound && t.holder(c.ID, c.Peer) != nil {
		return t.count(t.refuse(c, RefusedRemap, now))
	}
	b := t.root.leaf(c.ID).bucket
	g := t.group(c)
	if status, ok := t.groupRoom(g, b); !ok {
		return t.count(t.refuse(c, status, now))
	}
	if len(b.spare) >= t.cfg.Replacements {
		victim := b.worstSpare(bound)
		if victim == nil || !victim.lost {
			return t.count(t.refuse(c, RefusedFull, now))
		}
		t.drop(victim)
	}
	e := &entry{Contact: c, group: g, last: at, bound: bound, next: at + int64(t.cfg.FastInterval)}
	t.insert(e, b, false)
	r := AddResult{Status: Spare}
	if len(b.live) < t.cfg.BucketSize || t.splittable(b) {
		r.Check, r.HasCheck = c, true
	}
	return t.count(r)
}

// Failed records that a contact left a question of ours unanswered. Both its ID and its
// peer must match an entry, or nothing happens; so a question provoked by a spoofed claim
// harms nobody. It reports whether the contact lost its place.
func (t *Table) Failed(c Contact, now time.Time) (evicted bool) {
	e := t.peers[c.Peer]
	if e == nil || e.ID != c.ID {
		return false
	}
	at := nanos(now)
	t.probed(e, false)
	e.rtt.Expired()
	e.failures = min(e.failures+1, 1000)
	e.fast = true
	switch {
	case e.live && int(e.failures) >= t.cfg.MaxFailures:
		t.evict(e, at)
		return true
	case e.live:
	case e.lost:
		if at-e.last > int64(t.cfg.ForgetAfter) {
			t.drop(e)
			break
		}
		e.next = at + t.retry(e)
	case !e.verified:
		t.drop(e) // it never answered anything
	case int(e.failures) >= t.cfg.MaxFailures:
		t.lose(e, at)
	}
	return false
}

// Remove takes a peer out of the table at once (it said goodbye, was banned or lost its
// stake), without keeping it as a spare. It reports whether it was there.
func (t *Table) Remove(p peer.ID, now time.Time) bool {
	e := t.peers[p]
	if e == nil {
		return false
	}
	b, wasLive := e.bucket, e.live
	t.drop(e)
	if wasLive {
		t.promote(b, nanos(now))
	}
	return true
}

// touch records an answer of a known contact.
func (t *Table) touch(e *entry, c Contact, at int64) AddResult {
	t.probed(e, true)
	e.last, e.checked, e.failures = at, at, 0
	if e.first == 0 {
		e.first = at
	}
	e.pinged, e.lost = false, false
	e.fast = !e.verified // the first answer earns a second, early check
	e.verified = true
	t.move(e, c)
	b := e.bucket
	b.updated = at
	if e.live {
		b.live = append(without(b.live, e), e)
		return AddResult{Status: Updated}
	}
	// Out of the spare list and in again: into the live one if there is room.
	t.unlink(e)
	return t.place(e, timeOf(at))
}

// move takes over a new address of a contact, unless its new IP group has its share.
func (t *Table) move(e *entry, c Contact) {
	if e.Addr == c.Addr {
		return
	}
	g := t.group(c)
	if g != e.group {
		if _, ok := t.groupRoom(g, e.bucket); !ok {
			return // the old address stays, and counts
		}
		t.ungroup(e.group)
		e.group = g
		t.groups[g]++
	}
	e.Addr = c.Addr
}

// place puts a verified contact that is in no list into its bucket, splitting on the way.
func (t *Table) place(e *entry, now time.Time) AddResult {
	leaf := t.root.leaf(e.ID)
	for len(leaf.bucket.live) >= t.cfg.BucketSize && t.splittable(leaf.bucket) {
		t.split(leaf)
		leaf = leaf.child[e.ID.Bit(leaf.depth)]
	}
	b := leaf.bucket
	if status, ok := t.groupRoom(e.group, b); !ok {
		return t.refuse(e.Contact, status, now)
	}
	b.updated = nanos(now)
	if len(b.live) < t.cfg.BucketSize {
		t.insert(e, b, true)
		return AddResult{Status: Added}
	}
	if e.bound {
		if free := b.oldestFree(); free != nil {
			t.unlink(free)
			t.insert(e, b, true)
			t.spare(free, b)
			return AddResult{Status: Added}
		}
	}
	r := AddResult{Status: Spare}
	if !t.spare(e, b) {
		r = t.refuse(e.Contact, RefusedFull, now)
	}
	r.Check, r.HasCheck = b.oldest()
	return r
}

// spare puts a verified contact into the replacement list, giving up a worse one if need
// be. The contact is forgotten when there is none.
func (t *Table) spare(e *entry, b *bucket) bool {
	if len(b.spare) >= t.cfg.Replacements {
		victim := b.worstSpare(e.bound)
		if victim == nil {
			return false
		}
		t.drop(victim)
	}
	t.insert(e, b, false)
	return true
}

func (t *Table) splittable(b *bucket) bool {
	return b.depth < IDBits && (b.covers(t.cfg.Self) || b.depth%t.cfg.DepthModulo != 0)
}

// split splits a leaf and lets spare contacts fill the halves.
func (t *Table) split(leaf *node) {
	i := slices.Index(t.buckets, leaf.bucket)
	leaf.split()
	left, right := leaf.child[0].bucket, leaf.child[1].bucket
	t.buckets[i] = left
	t.buckets = slices.Insert(t.buckets, i+1, right)
	t.promote(left, left.updated)
	t.promote(right, right.updated)
}

// promote fills the room of a bucket with verified spare contacts. Without one, those that
// are not yet verified are due for a check at once.
func (t *Table) promote(b *bucket, at int64) {
	for len(b.live) < t.cfg.BucketSize {
		e := b.bestSpare()
		if e == nil {
			for _, e := range b.spare {
				if !e.lost {
					e.next = min(e.next, at)
				}
			}
			return
		}
		b.spare = without(b.spare, e)
		b.live = append(b.live, e)
		e.live, e.fast = true, true
		t.live++
		t.promoted++
	}
}

// evict moves a live contact that failed too often to the replacement list.
func (t *Table) evict(e *entry, at int64) {
	b := e.bucket
	t.evicted++
	t.unlink(e)
	t.promote(b, at)
	e.verified = false
	if t.spare(e, b) {
		t.lose(e, at)
	}
}

// lose marks a spare contact as lost, to be asked again at growing intervals.
func (t *Table) lose(e *entry, at int64) {
	e.lost, e.verified = true, false
	e.next = at + t.retry(e)
}

// retry is the pause before the next check of a lost contact: four slow intervals, then twice as long each time. Most are
// gone for good, and asking costs an attempt to connect; who is back will speak itself.
func (t *Table) retry(e *entry) int64 {
	n := min(max(int(e.failures)-t.cfg.MaxFailures, 0)+2, 20)
	return t.jitter(min(t.cfg.SlowInterval<<n, t.cfg.RetryMax))
}

// insert adds an entry that is in no list to one of a bucket, and to the indices.
func (t *Table) insert(e *entry, b *bucket, live bool) {
	e.bucket, e.live = b, live
	if live {
		b.live = append(b.live, e)
		t.live++
	} else {
		b.spare = append(b.spare, e)
	}
	t.peers[e.Peer] = e
	if e.group != 0 {
		t.groups[e.group]++
	}
}

// unlink is the inverse of insert.
func (t *Table) unlink(e *entry) {
	if e.live {
		e.bucket.live = without(e.bucket.live, e)
		t.live--
	} else {
		e.bucket.spare = without(e.bucket.spare, e)
	}
	e.live = false
	delete(t.peers, e.Peer)
	t.ungroup(e.group)
}

func (t *Table) drop(e *entry) { t.unlink(e) }

func (t *Table) ungroup(g groupKey) {
	if g == 0 {
		return
	}
	if t.groups[g]--; t.groups[g] <= 0 {
		delete(t.groups, g)
	}
}

// holder returns the entry of another peer that has an ID, spare ones included.
func (t *Table) holder(id ID, but peer.ID) *entry {
	b := t.root.leaf(id).bucket
	for _, list := range [2][]*entry{b.live, b.spare} {
		for _, e := range list {
			if e.ID == id && e.Peer != but {
				return e
			}
		}
	}
	return nil
}

func (t *Table) admissible(c Contact, bound bool) (Status, bool) {
	switch {
	case c.ID == t.cfg.Self:
		return RefusedSelf, false
	case !bound && !t.cfg.AllowFree:
		return RefusedFree, false
	}
	return Added, true
}

// group returns the IP group that a contact counts against, 0 for none.
func (t *Table) group(c Contact) groupKey {
	if t.cfg.LimitLocal {
		return groupKeyOf(rawGroup(c.Addr))
	}
	return groupKeyOf(GroupOf(c.Addr))
}

func (t *Table) groupRoom(g groupKey, b *bucket) (Status, bool) {
	if g == 0 {
		return Added, true
	}
	if t.cfg.GroupPerTable > 0 && t.groups[g] >= t.cfg.GroupPerTable {
		return RefusedTableGroup, false
	}
	if t.cfg.GroupPerBucket > 0 && b.inGroup(g) >= t.cfg.GroupPerBucket {
		return RefusedBucketGroup, false
	}
	return Added, true
}

func (t *Table) refuse(c Contact, why Status, now time.Time) AddResult {
	t.root.leaf(c.ID).bucket.refuse(Refusal{Contact: c, Reason: why, At: now})
	return AddResult{Status: why}
}

func (t *Table) count(r AddResult) AddResult {
	t.byStatus[r.Status]++
	return r
}
