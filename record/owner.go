package record

import (
	"bytes"
	"errors"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/identity"
)

const (
	ownerOpen = "[owner:"
	maxOwner  = 2048 // longest key text; RSA-4096 takes 720 bytes
)

// ErrOwner reports a subkey with a broken owner marker, or with two that differ.
var ErrOwner = errors.New("broken owner marker")

// Owner is the party that a subkey names as the only one to write its record.
type Owner struct {
	Text string // the key's OpenSSH line
	Key  crypto.PubKey
	Peer peer.ID

	name string // peer ID in base58 and marker: the subkey of the owner's heartbeat
}

// OwnerMarker returns the text that protects a record when its subkey contains it: "[owner:ssh-ed25519 ...]".
func OwnerMarker(key crypto.PubKey) string { return ownerOpen + identity.OpenSSH(key) + "]" }

// OwnerOf returns the owner that a packed subkey names, or nil if it contains no marker. Every "[owner:" in a
// subkey must begin a complete marker with a readable key, and all must name the same key: a subkey that some
// reader could take for protected by one key, and another reader for unprotected or protected by a second, is
// an error for all of them.
func OwnerOf(subkey []byte) (*Owner, error) {
	text, err := ownerText(subkey)
	if err != nil || text == nil {
		return nil, err
	}
	return parseOwner(string(text))
}

// ownerText finds the one key text in a subkey, nil if there is no marker.
func ownerText(subkey []byte) ([]byte, error) {
	var found []byte
	for rest := subkey; ; {
		at := bytes.Index(rest, []byte(ownerOpen))
		if at < 0 {
			return found, nil
		}
		rest = rest[at+len(ownerOpen):]
		end := bytes.IndexByte(rest, ']')
		if end <= 0 || end > maxOwner {
			return nil, ErrOwner
		}
		text := rest[:end]
		if found != nil && !bytes.Equal(found, text) {
			return nil, ErrOwner
		}
		found, rest = text, rest[end+1:]
	}
}

func parseOwner(text string) (*Owner, error) {
	key, err := identity.ParseOpenSSH(text)
	if err != nil {
		return nil, errors.Join(ErrOwner, err)
	}
	if identity.OpenSSH(key) != text { // one text per key, or two owners could be one author
		return nil, ErrOwner
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return nil, errors.Join(ErrOwner, err)
	}
	return &Owner{Text: text, Key: key, Peer: id, name: id.String() + ownerOpen + text + "]"}, nil
}

// ownerCache remembers parsed owners, bounded. A nil cache parses every time.
type ownerCache struct {
	owners generations[string, *Owner]
}

const ownerCacheSize = 2048 // owners; a subnet has up to 512 nodes, about 1 KiB each with RSA

func newOwnerCache() *ownerCache {
	return &ownerCache{owners: generations[string, *Owner]{size: ownerCacheSize}}
}

func (c *ownerCache) of(subkey []byte) (*Owner, error) {
	if c == nil {
		return OwnerOf(subkey)
	}
	text, err := ownerText(subkey)
	if err != nil || text == nil {
		return nil, err
	}
	if owner, ok := lookupBytes(&c.owners, text); ok {
		return owner, nil
	}
	owner, err := parseOwner(string(text))
	if err != nil {
		return nil, err
	}
	c.owners.put(owner.Text, owner)
	return owner, nil
}
