package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/hypertensor-blockchain/mesh/identity"
)

const (
	signatureOpen = "[signature:"
	maxSignature  = 2048 // longest signature text; RSA-4096 takes 684 bytes
)

// SignatureConfig tunes a Signature. The zero value is usable.
type SignatureConfig struct {
	// Cache is how many verified signatures are remembered, at least (at most twice as many), at 100 bytes
	// each. A record that is answered, handed over or cached again costs a hash instead of a verification.
	// Default 8192; negative: none.
	Cache int
	// Python refuses to sign values that contain the text "[signature:", which Python nodes would reject or
	// damage. Set it in swarms with Python nodes.
	Python bool
}

const defaultSignatureCache = 8192

// Signature protects records that have an owner: whose subkey contains "[owner:KEY]" (see OwnerMarker) can be
// written with that Ed25519 or RSA key only. The signature covers key, subkey, value and expiration and is
// appended to the value as "[signature:BASE64]". Records without a marker pass, and their values are never touched.
//
// Only the last marker of a value, at its very end, is a signature; the same text anywhere else is data. The
// base64 text must be the one that the signature encodes to, so nobody can make a second valid form of a record.
type Signature struct {
	keys   []signingKey
	config SignatureConfig
	seen   *generations[[sha256.Size]byte, struct{}]
	hits   *atomic.Uint64
	misses *atomic.Uint64
}

type signingKey struct {
	key   crypto.PrivKey
	owner string // OpenSSH text
}

// NewSignature returns a validator that signs with key what is marked as owned by it. key may be nil: then it
// only verifies.
func NewSignature(key crypto.PrivKey, config SignatureConfig) *Signature {
	if config.Cache == 0 {
		config.Cache = defaultSignatureCache
	}
	s := &Signature{
		config: config,
		seen:   &generations[[sha256.Size]byte, struct{}]{size: config.Cache},
		hits:   new(atomic.Uint64),
		misses: new(atomic.Uint64),
	}
	if key != nil {
		s.keys = []signingKey{{key: key, owner: identity.OpenSSH(key.GetPublic())}}
	}
	return s
}

// Marker returns the owner marker of the own key, to be put into subkeys, or "" without one.
func (s *Signature) Marker() string {
	if len(s.keys) == 0 {
		return ""
	}
	return ownerOpen + s.keys[0].owner + "]"
}

// Priority returns PrioritySignature.
func (s *Signature) Priority() int { return PrioritySignature }

// Sign appends the signature if one of the own keys owns the record. A record that somebody else owns cannot be
// signed: that is an error, since every node would refuse it.
func (s *Signature) Sign(r Record) ([]byte, error) {
	text, err := ownerText(r.Subkey)
	if err != nil {
		return nil, &Fault{Side: SideOurs, Code: CodeSignature, Reason: "subkey", Err: err}
	}
	if text == nil {
		return r.Value, nil
	}
	for _, k := range s.keys {
		if string(text) == k.owner {
			return s.sign(r, k.key)
		}
	}
	return nil, fault(SideOurs, CodeSignature, "the record is owned by another key: %s", text)
}

func (s *Signature) sign(r Record, key crypto.PrivKey) ([]byte, error) {
	if s.config.Python && bytes.Contains(r.Value, []byte(signatureOpen)) {
		return nil, fault(SideOurs, CodeSignature, "Python nodes cannot store a signed value that contains %q", signatureOpen)
	}
	text, err := identity.SignText(key, r.AppendSigned(make([]byte, 0, r.Size()+64)))
	if err != nil {
		return nil, &Fault{Side: SideOurs, Code: CodeSignature, Reason: "sign", Err: err}
	}
	value := make([]byte, 0, len(r.Value)+len(signatureOpen)+len(text)+1)
	value = append(value, r.Value...)
	value = append(value, signatureOpen...)
	value = append(value, text...)
	return append(value, ']'), nil
}

// Validate admits records without owner and those that carry their owner's signature. A missing or wrong
// signature is the sender's fault: nothing proves that the owner had a part in it.
func (s *Signature) Validate(r Record, q Request) error {
	if bytes.Contains(r.Key[:], []byte(ownerOpen)) {
		return fault(SideSender, CodeSignature, "owner marker in the key") // Python reads it as a protected record
	}
	owner, err := q.Owner(r)
	if err != nil {
		return &Fault{Side: SideSender, Code: CodeSignature, Reason: "subkey", Err: err}
	}
	if owner == nil {
		return nil
	}
	body, text, ok := splitSignature(r.Value)
	if !ok {
		return fault(SideSender, CodeSignature, "no signature at the end of the value")
	}
	if s.config.Cache < 0 {
		return s.verify(r, owner, body, text)
	}
	sum := digest(r)
	if _, ok := s.seen.get(sum); ok {
		s.hits.Add(1)
		return nil
	}
	s.misses.Add(1)
	if err := s.verify(r, owner, body, text); err != nil {
		return err
	}
	s.seen.put(sum, struct{}{})
	return nil
}

func (s *Signature) verify(r Record, owner *Owner, body, text []byte) error {
	if !canonicalBase64(text) {
		return fault(SideSender, CodeSignature, "the signature is not base64 in its one form")
	}
	r.Value = body
	msg := r.AppendSigned(make([]byte, 0, r.Size()+64))
	if err := identity.VerifyText(owner.Key, msg, string(text)); err != nil {
		return &Fault{Side: SideSender, Code: CodeSignature, Reason: "not signed by the owner", Err: err}
	}
	return nil
}

// Strip removes the signature of a record with an owner, and nothing from any other.
func (s *Signature) Strip(r Record) []byte {
	if !bytes.Contains(r.Subkey, []byte(ownerOpen)) {
		return r.Value
	}
	body, _, ok := splitSignature(r.Value)
	if !ok {
		return r.Value
	}
	return body
}

// Merge combines two signature validators: the result signs with the keys of both.
func (s *Signature) Merge(other Validator) (Validator, bool) {
	o, ok := other.(*Signature)
	if !ok {
		return nil, false
	}
	merged := *s
	merged.config.Python = s.config.Python || o.config.Python
	merged.keys = append([]signingKey(nil), s.keys...)
	for _, k := range o.keys {
		if !hasKey(merged.keys, k.owner) {
			merged.keys = append(merged.keys, k)
		}
	}
	return &merged, true
}

func hasKey(keys []signingKey, owner string) bool {
	for _, k := range keys {
		if k.owner == owner {
			return true
		}
	}
	return false
}

// CacheStats returns how many verifications the cache answered and how many it did not.
func (s *Signature) CacheStats() (hits, misses uint64) { return s.hits.Load(), s.misses.Load() }

// splitSignature takes a value apart into body and text of the trailing signature. Whether the text is one is for
// canonicalBase64 to say.
func splitSignature(value []byte) (body, text []byte, ok bool) {
	if len(value) == 0 || value[len(value)-1] != ']' {
		return nil, nil, false
	}
	at := bytes.LastIndexByte(value, '[') // base64 has none
	if at < 0 || !bytes.HasPrefix(value[at:], []byte(signatureOpen)) {
		return nil, nil, false
	}
	return value[:at:at], value[at+len(signatureOpen) : len(value)-1], true
}

// canonicalBase64 reports whether text is what some bytes encode to.
func canonicalBase64(text []byte) bool {
	var buf [base64Bytes]byte
	if len(text) == 0 || len(text) > maxSignature || bytes.ContainsAny(text, "\r\n") {
		return false // the decoder would skip line ends
	}
	_, err := base64.StdEncoding.Strict().Decode(buf[:], text)
	return err == nil
}

const base64Bytes = maxSignature / 4 * 3

// digest identifies a record with everything in it, the form of its signature too.
func digest(r Record) [sha256.Size]byte {
	var stack [1024]byte
	return sha256.Sum256(r.AppendSigned(stack[:0]))
}
