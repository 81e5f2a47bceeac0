package kad

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	snapshotMaxBytes   = 32 << 20 // before decoding
	snapshotMaxEntries = 64 << 10 // sixty times the table of a swarm of 10,000
)

// ErrSnapshot is returned for bytes that are no snapshot of a table.
var ErrSnapshot = errors.New("kad: bad snapshot")

// Snapshot is what a table keeps across a restart. It is plain data for JSON.
type Snapshot struct {
	Self     ID              `json:"self"`
	At       time.Time       `json:"at"`
	Contacts []SnapshotEntry `json:"contacts"`
}

// SnapshotEntry is one verified contact.
type SnapshotEntry struct {
	Contact   Contact   `json:"contact"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
}

// Snapshot returns the verified live contacts, the longest known first. Reads only.
func (t *Table) Snapshot(now time.Time) Snapshot {
	s := Snapshot{Self: t.cfg.Self, At: now.UTC(), Contacts: make([]SnapshotEntry, 0, t.live)}
	for _, b := range t.buckets {
		for _, e := range b.live {
			if e.verified {
				s.Contacts = append(s.Contacts, SnapshotEntry{e.Contact, timeOf(e.first), timeOf(e.last)})
			}
		}
	}
	sortByAge(s.Contacts)
	return s
}

// Restore puts the contacts of a snapshot back into a table, best an empty one. They hold
// their places against newcomers but are not returned by Nearest until they answered a
// check. It returns those taken, the longest known first: the anchors to dial before
// anybody else. Entries that this table would refuse are left out. A snapshot of another
// ID is no error: its contacts serve as well.
func (t *Table) Restore(s Snapshot, now time.Time) []Contact {
	entries := slices.Clone(s.Contacts[:min(len(s.Contacts), snapshotMaxEntries)])
	sortByAge(entries)
	var anchors []Contact
	for _, r := range entries {
		if t.restore(r, nanos(now)) {
			anchors = append(anchors, r.Contact)
		}
	}
	return anchors
}

func (t *Table) restore(r SnapshotEntry, at int64) bool {
	c := r.Contact
	if t.peers[c.Peer] != nil || t.holder(c.ID, c.Peer) != nil {
		return false
	}
	bound := c.Bound()
	if _, ok := t.admissible(c, bound); !ok {
		return false
	}
	g := t.group(c)
	leaf := t.root.leaf(c.ID)
	for len(leaf.bucket.live) >= t.cfg.BucketSize && t.splittable(leaf.bucket) {
		t.split(leaf)
		leaf = leaf.child[c.ID.Bit(leaf.depth)]
	}
	b := leaf.bucket
	if _, ok := t.groupRoom(g, b); !ok || len(b.live) >= t.cfg.BucketSize {
		return false
	}
	e := &entry{Contact: c, group: g, bound: bound, fast: true, first: clampTime(r.FirstSeen, at), last: clampTime(r.LastSeen, at)}
	t.insert(e, b, true)
	return true
}

// clampTime keeps a time of a file from being in the future.
func clampTime(t time.Time, at int64) int64 {
	if t.IsZero() || t.Year() < 1970 {
		return 0
	}
	if t.After(timeOf(at)) {
		return at
	}
	return nanos(t)
}

func sortByAge(list []SnapshotEntry) {
	slices.SortStableFunc(list, func(a, b SnapshotEntry) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), a.Contact.ID.Cmp(b.Contact.ID), cmp.Compare(a.Contact.Peer, b.Contact.Peer))
	})
}

// Encode writes the snapshot as JSON.
func (s Snapshot) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("kad: encode snapshot: %w", err)
	}
	return b, nil
}

// DecodeSnapshot reads a snapshot written by Encode. It refuses more than 32 MiB and more
// than 65,536 contacts, contacts without a peer, and does not trust order or times.
func DecodeSnapshot(b []byte) (Snapshot, error) {
	if len(b) > snapshotMaxBytes {
		return Snapshot{}, fmt.Errorf("%w: %d bytes", ErrSnapshot, len(b))
	}
	var s Snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if len(s.Contacts) > snapshotMaxEntries {
		return Snapshot{}, fmt.Errorf("%w: %d contacts", ErrSnapshot, len(s.Contacts))
	}
	for i, e := range s.Contacts {
		if e.Contact.Peer == "" {
			return Snapshot{}, fmt.Errorf("%w: contact %d has no peer", ErrSnapshot, i)
		}
	}
	return s, nil
}
