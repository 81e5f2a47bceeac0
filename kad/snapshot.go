package kad

import "time"

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
func (t *Table) Snapshot(now time.Time) Snapshot { return Snapshot{} }

// Restore puts the contacts of a snapshot back into an empty table. They hold their
// places against newcomers but are not returned by Nearest until they answered a check.
// It returns them, the longest known first: the anchors to dial before anybody else.
// Entries that this table would refuse are left out; a snapshot of another ID is refused
// only contact by contact.
func (t *Table) Restore(s Snapshot, now time.Time) []Contact { return nil }

// DecodeSnapshot reads a snapshot written as JSON. It refuses more than 64 KiB entries
// and times in the far future, and never trusts the order.
func DecodeSnapshot(b []byte) (Snapshot, error) { return Snapshot{}, nil }

// Encode writes the snapshot as JSON.
func (s Snapshot) Encode() ([]byte, error) { return nil, nil }
