package identity

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxEncoded bounds an encoded private key; RSA keys of 8192 bits take less than 5 KiB.
const maxEncoded = 16 << 10

// ErrMalformed reports bytes or text that are no key.
var ErrMalformed = errors.New("malformed key")

// Numbers of the libp2p key message: field 1 is the kind, field 2 the data.
const (
	fieldType = 1
	fieldData = 2

	wireRSA     = 0
	wireEd25519 = 1
)

// Marshal encodes a private key as identity files hold it: the libp2p message with PKCS#1 for RSA, and seed
// and public key (64 bytes) for Ed25519. Both Python generations and their daemon read this form.
func Marshal(key crypto.PrivKey) ([]byte, error) {
	if _, err := TypeOf(key); err != nil {
		return nil, err
	}
	b, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("identity: marshal: %w", err)
	}
	return b, nil
}

// Unmarshal decodes a private key. Besides the form of Marshal it reads the two older ones of Ed25519: the
// bare seed (32 bytes) and seed with the public key twice (96 bytes). A public part that does not belong to
// the seed is refused.
func Unmarshal(b []byte) (crypto.PrivKey, error) {
	kind, data, err := splitMessage(b)
	if err != nil {
		return nil, err
	}
	switch kind {
	case wireEd25519:
		return unmarshalEd25519(data)
	case wireRSA:
		key, err := crypto.UnmarshalRsaPrivateKey(data)
		if err != nil {
			return nil, fmt.Errorf("identity: %w: RSA: %w", ErrMalformed, err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("identity: %w: number %d", ErrKeyType, kind)
}

func unmarshalEd25519(data []byte) (crypto.PrivKey, error) {
	const seed, pub = ed25519.SeedSize, ed25519.PublicKeySize
	switch len(data) {
	case seed, seed + pub, seed + 2*pub:
	default:
		return nil, fmt.Errorf("identity: %w: Ed25519 of %d bytes (want 32, 64 or 96)", ErrMalformed, len(data))
	}
	full := ed25519.NewKeyFromSeed(data[:seed])
	for rest := data[seed:]; len(rest) > 0; rest = rest[pub:] {
		if !bytes.Equal(rest[:pub], full[seed:]) {
			return nil, fmt.Errorf("identity: %w: Ed25519 public part belongs to another key", ErrMalformed)
		}
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(full)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrMalformed, err)
	}
	return key, nil
}

// splitMessage reads the two required fields of a key message; others are refused.
func splitMessage(b []byte) (kind uint64, data []byte, err error) {
	if len(b) > maxEncoded {
		return 0, nil, fmt.Errorf("identity: %w: %d bytes are too many", ErrMalformed, len(b))
	}
	haveKind, haveData := false, false
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, nil, fmt.Errorf("identity: %w: no key file", ErrMalformed)
		}
		b = b[n:]
		switch {
		case num == fieldType && typ == protowire.VarintType:
			kind, n = protowire.ConsumeVarint(b)
			haveKind = true
		case num == fieldData && typ == protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
			haveData = true
		default:
			return 0, nil, fmt.Errorf("identity: %w: unknown field %d", ErrMalformed, num)
		}
		if n < 0 {
			return 0, nil, fmt.Errorf("identity: %w: cut short", ErrMalformed)
		}
		b = b[n:]
	}
	if !haveKind || !haveData {
		return 0, nil, fmt.Errorf("identity: %w: no key file", ErrMalformed)
	}
	return kind, data, nil
}
