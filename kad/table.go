package kad

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// TableConfig is the configuration of a Table. The zero value of each field means its
// default.
type TableConfig struct {
	// Self is the ID of the owner of the table. It is never a member of the table, and the
	// buckets around it are split to any depth. Required.
	Self ID
	// BucketSize is the number of live contacts of a bucket. Default 20 (Kademlia's k).
	// Fewer make lookups longer and fragile, more cost revalidation traffic.
	BucketSize int
	// DepthModulo is the split rule of the original: a full bucket is split when it holds
	// Self or when its depth is not a multiple of DepthModulo. Default 5, which gives
	// some 50 buckets in a swarm of 10,000. 1 splits only around Self.
	DepthModulo int
	// Replacements bounds the spare contacts kept per bucket. Default 10.
	Replacements int
	// AllowFree accepts contacts whose ID is not bound to their peer identity, as those of
	// Python nodes. Off by default: then such contacts are refused with RefusedFree.
	AllowFree bool
	// GroupPerBucket and GroupPerTable bound the contacts (spare ones included) that share
	// one /24 or /48. Defaults 2 and 10, the limits that ended the eclipse attacks on
	// Ethereum with two addresses. A negative value is no limit.
	GroupPerBucket, GroupPerTable int
	// LimitLocal applies the limits to loopback, private and link-local addresses too.
	LimitLocal bool
	// MaxFailures is the number of questions in a row that a contact may leave unanswered
	// before it loses its place. Default 3. 1 evicts a peer for one lost packet.
	MaxFailures int
	// FastInterval is the pause between two checks of contacts that are new or failed
	// lately, SlowInterval of all others; each pause is multiplied by a random 0.5..1.5.
	// Defaults 3 s and 9 s. They fix the upkeep traffic, whatever the size of the table.
	FastInterval, SlowInterval time.Duration
	// RetryMax bounds the growing pause between checks of contacts that lost their place,
	// so that a healed partition is noticed. Default 2 min.
	RetryMax time.Duration
	// ForgetAfter is how long a spare contact is kept that never answers. Default 1 h.
	ForgetAfter time.Duration
	// Seed makes the schedule and the refresh targets unpredictable to others. The same
	// seed and the same calls give the same table. Production MUST draw it at random.
	Seed uint64
}

// Status says what the table did with a contact.
type Status uint8

// Statuses. All that start with Refused leave the table unchanged.
const (
	// Added means that the contact is live now and is returned by Nearest.
	Added Status = iota
	// Updated means that the contact was live already; its last sighting is now.
	Updated
	// Spare means that the bucket is full (or the contact not yet verified) and the contact
	// waits in the replacement list.
	Spare
	// Known means that hearsay named a contact that the table has; nothing changed.
	Known
	// RefusedSelf is the owner's own ID or peer.
	RefusedSelf
	// RefusedFree is an ID that is not bound to its peer while AllowFree is off.
	RefusedFree
	// RefusedRemap is an ID that another peer holds: a claim never takes it over.
	RefusedRemap
	// RefusedMoved is hearsay that gives a known peer another ID.
	RefusedMoved
	// RefusedBucketGroup means that the IP group has its share of the bucket.
	RefusedBucketGroup
	// RefusedTableGroup means that the IP group has its share of the table.
	RefusedTableGroup
	// RefusedFull means that the bucket and its replacement list hold better contacts.
	RefusedFull
	statusCount
)

// AddResult is the outcome of Add or Offer.
type AddResult struct {
	Status Status
	// Check, when HasCheck is set, is a contact that the caller should ask (a ping) now:
	// the least recently seen one of a full bucket, or an offered contact that is worth
	// verifying. The answer is reported with Add, its absence with Failed.
	Check    Contact
	HasCheck bool
}

// CheckReason says why a check is due.
type CheckReason uint8

// Reasons of checks.
const (
	// CheckNew is a contact that has not yet answered us.
	CheckNew CheckReason = iota
	// CheckFast is a contact that is new in its bucket or failed lately.
	CheckFast
	// CheckSlow is the routine revalidation.
	CheckSlow
	// CheckLost is a contact that lost its place and may be back.
	CheckLost
)

// Check is a contact to ping, and why.
type Check struct {
	Contact Contact
	Reason  CheckReason
}

// Table is the routing table of one node. The zero value is not usable; see NewTable.
// It is not safe for concurrent use, but the methods that say "reads only" may run
// concurrently with each other.
type Table struct {
	cfg TableConfig
}

// NewTable returns an empty table.
func NewTable(cfg TableConfig) *Table { return &Table{cfg: cfg} }

// Self returns the owner's ID.
func (t *Table) Self() ID { return t.cfg.Self }

// Len returns the number of live contacts. Reads only.
func (t *Table) Len() int { return 0 }

// Add records that a contact answered a question of ours just now.
//
// It MUST be called only when contact.Peer itself, over a channel that proved its
// identity and in answer to a question that we asked, said that its ID is contact.ID.
// What others say about a contact, and what a peer says in a question of its own, is
// reported with Offer.
//
// A bound contact takes the place of a free one when the bucket is full; nothing else
// displaces a live contact.
func (t *Table) Add(c Contact, now time.Time) AddResult { return AddResult{} }

// Offer records hearsay: a contact that asked us something, or that somebody told us
// about. It never changes an entry that the table has: not its ID, its peer, its address
// or its last sighting. A new contact waits in the replacement list until it answered a
// check, which the result or Due asks for.
func (t *Table) Offer(c Contact, now time.Time) AddResult { return AddResult{} }

// Failed records that a contact left a question of ours unanswered. Both its ID and its
// peer must match an entry, or nothing happens; so a question provoked by a spoofed claim
// harms nobody. It reports whether the contact lost its place.
func (t *Table) Failed(c Contact, now time.Time) (evicted bool) { return false }

// Remove takes a peer out of the table at once (it said goodbye, was banned or lost its
// stake), without keeping it as a spare. It reports whether it was there.
func (t *Table) Remove(p peer.ID, now time.Time) bool { return false }

// Find returns the contact of a peer, spare ones included. Reads only.
func (t *Table) Find(p peer.ID) (c Contact, live, ok bool) { return Contact{}, false, false }

// Nearest appends to dst the k live contacts nearest to target, nearest first, without
// the one whose ID is exclude (the zero ID excludes nobody unless a node has it). It
// allocates nothing when dst has room. Reads only.
func (t *Table) Nearest(dst []Contact, target ID, k int, exclude ID) []Contact { return dst }

// Contacts appends all live contacts to dst, in the order of their IDs. Reads only.
func (t *Table) Contacts(dst []Contact) []Contact { return dst }

// Due appends the checks that are due now and schedules the next ones. The caller pings
// each and reports Add or Failed. At most a few are returned per call.
func (t *Table) Due(dst []Check, now time.Time) []Check { return dst }

// NextDue returns the time of the next check, for a timer; false when none is scheduled.
func (t *Table) NextDue() (time.Time, bool) { return time.Time{}, false }

// Stale appends one random target for each bucket that was not updated within period,
// for refresh lookups, and counts the bucket as updated now.
func (t *Table) Stale(dst []ID, now time.Time, period time.Duration) []ID { return dst }

// ObserveRTT records how long a peer took to answer.
func (t *Table) ObserveRTT(p peer.ID, rtt time.Duration) {}

// Timeout returns how long to wait for an answer of a peer: from its own history when it
// has one, else from that of all peers, else the given maximum. Reads only.
func (t *Table) Timeout(p peer.ID, maximum time.Duration) time.Duration { return maximum }

// SizeEstimate returns the number of nodes in the swarm as the density of contacts around
// Self suggests, 0 while it cannot be told. It is the start value for a SizeEstimator.
// Reads only.
func (t *Table) SizeEstimate() float64 { return 0 }
