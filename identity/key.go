package identity

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// KeyType names a kind of key. The zero value is Ed25519.
type KeyType uint8

// The kinds of keys that peers may have.
const (
	Ed25519 KeyType = iota // 32-byte keys, the default
	RSA                    // 2048 bits; older Python nodes; a handshake costs twice as much
)

const rsaBits = 2048 // what Python nodes generate; go-libp2p refuses less

// ErrKeyType reports a kind of key that no peer may have.
var ErrKeyType = errors.New("unsupported key type")

// ParseKeyType reads "ed25519" or "rsa".
func ParseKeyType(text string) (KeyType, error) {
	switch text {
	case "ed25519":
		return Ed25519, nil
	case "rsa":
		return RSA, nil
	}
	return 0, fmt.Errorf("identity: %w %q (want ed25519 or rsa)", ErrKeyType, text)
}

// String returns "ed25519" or "rsa".
func (t KeyType) String() string {
	switch t {
	case Ed25519:
		return "ed25519"
	case RSA:
		return "rsa"
	}
	return fmt.Sprintf("KeyType(%d)", uint8(t))
}

// TypeOf returns the kind of a key, or ErrKeyType.
func TypeOf(key crypto.Key) (KeyType, error) {
	if key != nil {
		switch int32(key.Type()) {
		case crypto.Ed25519:
			return Ed25519, nil
		case crypto.RSA:
			return RSA, nil
		}
	}
	return 0, fmt.Errorf("identity: %w", ErrKeyType)
}

// Generate makes a new key from the system's randomness.
func Generate(t KeyType) (crypto.PrivKey, error) {
	var (
		key crypto.PrivKey
		err error
	)
	switch t {
	case Ed25519:
		key, _, err = crypto.GenerateEd25519Key(rand.Reader)
	case RSA:
		key, _, err = crypto.GenerateRSAKeyPair(rsaBits, rand.Reader)
	default:
		err = ErrKeyType
	}
	if err != nil {
		return nil, fmt.Errorf("identity: generate: %w", err)
	}
	return key, nil
}

// PeerID returns the peer ID of a private key.
func PeerID(key crypto.PrivKey) (peer.ID, error) {
	if key == nil {
		return "", fmt.Errorf("identity: %w: no key", ErrKeyType)
	}
	return PublicPeerID(key.GetPublic())
}

// PublicPeerID returns the peer ID of a public key.
func PublicPeerID(key crypto.PubKey) (peer.ID, error) {
	if _, err := TypeOf(key); err != nil {
		return "", err
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("identity: peer ID: %w", err)
	}
	return id, nil
}
