package kad

import (
	"fmt"
	"slices"
	"time"
)

// BucketInfo describes a bucket, for people and tools.
type BucketInfo struct {
	// Prefix and Depth name the range of the bucket: all IDs that share their first Depth
	// bits with Prefix.
	Prefix ID  `json:"prefix"`
	Depth  int `json:"depth"`
	// Live and Spare are its contacts, least recently seen first.
	Live  []EntryInfo `json:"live"`
	Spare []EntryInfo `json:"spare"`
	// Updated is when a contact of the bucket last answered.
	Updated time.Time `json:"updated"`
	// Refused are the latest refusals, oldest first, at most a handful.
	Refused []Refusal `json:"refused"`
}

// EntryInfo describes a contact of the table.
type EntryInfo struct {
	Contact   Contact       `json:"contact"`
	Bound     bool          `json:"bound"`
	Verified  bool          `json:"verified"`
	Lost      bool          `json:"lost"`
	FirstSeen time.Time     `json:"first_seen"` // zero before the first answer
	LastSeen  time.Time     `json:"last_seen"`
	Failures  int           `json:"failures"`
	RTT       time.Duration `json:"rtt"`
}

// Refusal is a contact that was not let in, when and why.
type Refusal struct {
	Contact Contact   `json:"contact"`
	Reason  Status    `json:"reason"`
	At      time.Time `json:"at"`
}

// TableStats counts what happened to a table since its creation.
type TableStats struct {
	Live    int `json:"live"`
	Spare   int `json:"spare"`
	Buckets int `json:"buckets"`
	// ByStatus counts the outcomes of Add and Offer.
	ByStatus map[Status]uint64 `json:"by_status"`
	// Evicted counts contacts that lost their place by failures, Promoted those that got
	// one from the replacement list.
	Evicted  uint64 `json:"evicted"`
	Promoted uint64 `json:"promoted"`
	// Pace is how many times faster than in a calm swarm contacts are checked.
	Pace float64 `json:"pace"`
}

// Buckets returns a copy of the table, in the order of the space. Reads only.
func (t *Table) Buckets() []BucketInfo {
	out := make([]BucketInfo, len(t.buckets))
	for i, b := range t.buckets {
		out[i] = BucketInfo{
			Prefix: b.prefix, Depth: b.depth, Updated: timeOf(b.updated),
			Live: infos(b.live), Spare: infos(b.spare), Refused: slices.Clone(b.refused),
		}
	}
	return out
}

func infos(list []*entry) []EntryInfo {
	out := make([]EntryInfo, len(list))
	for i, e := range list {
		out[i] = EntryInfo{
			Contact: e.Contact, Bound: e.bound, Verified: e.verified, Lost: e.lost,
			FirstSeen: timeOf(e.first), LastSeen: timeOf(e.last), Failures: int(e.failures), RTT: e.rtt.Mean(),
		}
	}
	return out
}

// Stats returns the counters. Reads only.
func (t *Table) Stats() TableStats {
	s := TableStats{
		Live: t.live, Spare: len(t.peers) - t.live, Buckets: len(t.buckets),
		ByStatus: make(map[Status]uint64), Evicted: t.evicted, Promoted: t.promoted, Pace: t.pace,
	}
	for i, n := range t.byStatus {
		if n > 0 {
			s.ByStatus[Status(i)] = n
		}
	}
	return s
}

// String returns the name used in logs, metrics and JSON.
func (s Status) String() string {
	switch s {
	case Added:
		return "added"
	case Updated:
		return "updated"
	case Spare:
		return "spare"
	case Known:
		return "known"
	case RefusedSelf:
		return "refused-self"
	case RefusedFree:
		return "refused-free-id"
	case RefusedRemap:
		return "refused-id-taken"
	case RefusedMoved:
		return "refused-peer-has-other-id"
	case RefusedBucketGroup:
		return "refused-ip-group-bucket"
	case RefusedTableGroup:
		return "refused-ip-group-table"
	case RefusedFull:
		return "refused-full"
	}
	return fmt.Sprintf("status-%d", uint8(s))
}

// MarshalText returns the name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Refused reports whether the table did not take the contact.
func (s Status) Refused() bool { return s >= RefusedSelf }

// String returns the name used in logs and metrics.
func (r CheckReason) String() string {
	switch r {
	case CheckNew:
		return "new"
	case CheckFast:
		return "fast"
	case CheckSlow:
		return "slow"
	case CheckNear:
		return "near"
	case CheckLost:
		return "lost"
	}
	return fmt.Sprintf("check-%d", uint8(r))
}
