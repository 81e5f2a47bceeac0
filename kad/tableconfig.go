package kad

import "time"

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
	// lately, and of the Neighbours nearest to Self; SlowInterval of all others. Each pause
	// is multiplied by a random 0.5..1.5. Defaults 3 s and 9 s. They fix the upkeep traffic
	// of a calm swarm, whatever the size of the table: less than one ping per second.
	FastInterval, SlowInterval time.Duration
	// Neighbours is how many of the nearest contacts are checked more often, because they
	// share the records of this node. Default BucketSize.
	Neighbours int
	// MaxPace bounds how many times faster the checks may become when many of them fail: the
	// pace settles where one check in eight finds a contact gone. Default 4; 1 is a fixed
	// pace.
	MaxPace float64
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
	// CheckNear is a contact among the nearest to Self.
	CheckNear
	// CheckLost is a contact that lost its place and may be back.
	CheckLost
)

// Check is a contact to ping, and why.
type Check struct {
	Contact Contact
	Reason  CheckReason
}

// withDefaults fills in the defaults.
func (c TableConfig) withDefaults() TableConfig {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.BucketSize, 20)    // Kademlia's k
	set(&c.DepthModulo, 5)    // the original's b
	set(&c.Replacements, 10)  // as go-ethereum
	set(&c.GroupPerBucket, 2) // as go-ethereum since 1.8
	set(&c.GroupPerTable, 10) // as go-ethereum since 1.8
	set(&c.MaxFailures, 3)    // one lost packet is no reason
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	span(&c.FastInterval, 3*time.Second)
	span(&c.SlowInterval, 3*c.FastInterval)
	span(&c.RetryMax, 2*time.Minute)
	span(&c.ForgetAfter, time.Hour)
	c.BucketSize = max(c.BucketSize, 1)
	set(&c.Neighbours, c.BucketSize)
	if c.MaxPace <= 0 {
		c.MaxPace = 4 // at most 2 pings per second
	}
	c.MaxPace = max(c.MaxPace, 1)
	c.DepthModulo = max(c.DepthModulo, 1)
	c.Replacements = max(c.Replacements, 1)
	return c
}
