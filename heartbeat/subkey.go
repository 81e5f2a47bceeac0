package heartbeat

import (
	"cmp"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record"
	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// KeyName is the application's key of all heartbeats of a subnet. Dashboards and overwatch nodes read it.
const KeyName = "heartbeat"

// Key returns the hashed key.
func Key() record.Key { return record.KeyOfText(KeyName) }

// Name returns the subkey of a node before packing: its peer ID in base58 followed by its owner marker.
func Name(key crypto.PubKey) ([]byte, error) {
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return nil, &Error{Field: "subkey", Text: "peer ID", Err: err}
	}
	return []byte(id.String() + record.OwnerMarker(key)), nil
}

// Subkey returns the packed subkey of a node.
func Subkey(key crypto.PubKey) ([]byte, error) {
	name, err := Name(key)
	if err != nil {
		return nil, err
	}
	return msgpack.AppendBytes(make([]byte, 0, len(name)+3), name), nil
}

// ParseSubkey returns the peer and the key that a packed subkey names. The peer ID is derived from the key; the
// text before the marker must say the same, so that a key has exactly one subkey.
func ParseSubkey(packed []byte) (peer.ID, crypto.PubKey, error) {
	owner, err := record.OwnerOf(packed)
	if err != nil {
		return "", nil, &Error{Field: "subkey", Text: "owner", Err: err}
	}
	if owner == nil {
		return "", nil, bad("subkey", "names no owner")
	}
	if err := matchOwner(packed, owner); err != nil {
		return "", nil, err
	}
	return owner.Peer, owner.Key, nil
}

func matchOwner(packed []byte, owner *record.Owner) error {
	v, err := record.ParseSubkey(packed)
	if err != nil {
		return &Error{Field: "subkey", Text: "not readable", Err: err}
	}
	name, ok := v.([]byte)
	if !ok {
		return bad("subkey", "%s instead of bytes", kind(v))
	}
	id, ok := strings.CutSuffix(string(name), "[owner:"+owner.Text+"]")
	if !ok || id != owner.Peer.String() {
		return bad("subkey", "is not the owner's peer ID and marker")
	}
	return nil
}

// Check refuses heartbeats that a reader could not use: their value must parse and their subkey must be the one
// of their owner. It is a record.Check, to be used behind a signature validator.
func Check(r record.Record, q record.Request) error {
	owner, err := q.Owner(r)
	if err == nil && owner == nil {
		err = bad("subkey", "names no owner")
	}
	if err == nil {
		err = matchOwner(r.Subkey, owner)
	}
	if err == nil {
		_, err = Parse(r.Value)
	}
	if err != nil {
		return &record.Fault{Side: record.SideAuthor, Code: record.CodeSchema, Reason: "heartbeat", Err: err}
	}
	return nil
}

// Sighting is one node's heartbeat as a reader sees it.
type Sighting struct {
	Peer       peer.ID
	Key        crypto.PubKey
	Info       Info
	Expiration record.Expiration
}

// List reads the heartbeats in a dictionary whose entries were validated and stripped, ordered by peer ID. Entries
// that are no heartbeats are left out, with their reasons in skipped; of several by one peer the newest counts.
func List(d record.Dictionary) (sightings []Sighting, skipped []error) {
	newest := make(map[peer.ID]Sighting, len(d.Entries))
	for _, e := range d.Entries {
		id, key, err := ParseSubkey(e.Subkey)
		if err != nil {
			skipped = append(skipped, err)
			continue
		}
		info, err := Parse(e.Value)
		if err != nil {
			skipped = append(skipped, err)
			continue
		}
		if have, ok := newest[id]; !ok || have.Expiration < e.Expiration {
			newest[id] = Sighting{Peer: id, Key: key, Info: info, Expiration: e.Expiration}
		}
	}
	for _, s := range newest {
		sightings = append(sightings, s)
	}
	slices.SortFunc(sightings, func(a, b Sighting) int { return cmp.Compare(a.Peer, b.Peer) })
	return sightings, skipped
}
