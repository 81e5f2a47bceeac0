package kad

import "time"

// BucketInfo describes a bucket, for people and tools.
type BucketInfo struct {
	// Prefix and Depth name the range of the bucket: all IDs that share their first Depth
	// bits with Prefix.
	Prefix ID
	Depth  int
	// Live and Spare are its contacts, least recently seen first.
	Live, Spare []EntryInfo
	// Updated is when a contact of the bucket was last heard.
	Updated time.Time
	// Refused are the latest refusals, oldest first, at most a handful.
	Refused []Refusal
}

// EntryInfo describes a contact of the table.
type EntryInfo struct {
	Contact   Contact
	Bound     bool
	Verified  bool
	FirstSeen time.Time
	LastSeen  time.Time
	Failures  int
	RTT       time.Duration
}

// Refusal is a contact that was not let in, when and why.
type Refusal struct {
	Contact Contact
	Reason  Status
	At      time.Time
}

// TableStats counts what happened to a table since its creation.
type TableStats struct {
	Live, Spare, Buckets int
	// ByStatus counts the outcomes of Add and Offer.
	ByStatus map[Status]uint64
	// Evicted counts contacts that lost their place by failures, Promoted those that got
	// one from the replacement list.
	Evicted, Promoted uint64
}

// Buckets returns a copy of the table, in the order of the space. Reads only.
func (t *Table) Buckets() []BucketInfo { return nil }

// Stats returns the counters. Reads only.
func (t *Table) Stats() TableStats { return TableStats{} }
