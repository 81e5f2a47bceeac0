package record

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Salt hides the content of a commitment until it is revealed. Draw it from crypto/rand, once per commit.
type Salt [32]byte

// Commitment is the hash that a commit publishes. It covers epoch, author, salt and body, so it cannot be copied by
// another author or kept for another epoch.
type Commitment [sha256.Size]byte

const commitmentDomain = "hypertensor mesh commit-reveal v1\x00"

var (
	errCommitForm = errors.New("a commit is 32 bytes")
	errRevealForm = errors.New("a reveal is a tuple of a 32-byte salt and a body of bytes")
	errMismatch   = errors.New("the reveal does not match the commit")
)

// Commit returns the commitment to body.
func Commit(epoch uint32, author peer.ID, salt Salt, body []byte) Commitment {
	h := sha256.New()
	buf := make([]byte, 0, len(commitmentDomain)+8+len(author)+len(salt))
	buf = append(buf, commitmentDomain...)
	buf = binary.BigEndian.AppendUint32(buf, epoch)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(author))) //nolint:gosec // a peer ID
	buf = append(append(buf, author...), salt[:]...)
	h.Write(buf)
	h.Write(body)
	return Commitment(h.Sum(nil))
}

// Value returns the packed value of a commit record.
func (c Commitment) Value() []byte { return msgpack.AppendBytes(nil, c[:]) }

// ParseCommit reads the value of a commit record, without signature.
func ParseCommit(value []byte) (Commitment, error) {
	s := msgpack.NewScanner(value, msgpack.Limits{})
	b, err := s.Bytes()
	if err == nil {
		err = s.Done()
	}
	if err != nil {
		return Commitment{}, errors.Join(errCommitForm, err)
	}
	if len(b) != sha256.Size {
		return Commitment{}, errCommitForm
	}
	return Commitment(b), nil
}

// RevealValue returns the packed value of a reveal record.
func RevealValue(salt Salt, body []byte) []byte {
	dst := msgpack.AppendListHeader(make([]byte, 0, len(body)+len(salt)+16), 2)
	dst = msgpack.AppendBytes(dst, salt[:])
	dst = msgpack.AppendBytes(dst, body)
	return msgpack.WrapExt(dst, 0, msgpack.CodeTuple)
}

// ParseReveal reads the value of a reveal record, without signature. The body is a view of it.
func ParseReveal(value []byte) (Salt, []byte, error) {
	s := msgpack.NewScanner(value, msgpack.Limits{})
	code, payload, err := s.Ext()
	if err == nil {
		err = s.Done()
	}
	if err != nil || code != msgpack.CodeTuple {
		return Salt{}, nil, errors.Join(errRevealForm, err)
	}
	s = msgpack.NewScanner(payload, msgpack.Limits{})
	n, err := s.List()
	if err != nil || n != 2 {
		return Salt{}, nil, errors.Join(errRevealForm, err)
	}
	salt, err := s.Bytes()
	if err != nil || len(salt) != len(Salt{}) {
		return Salt{}, nil, errors.Join(errRevealForm, err)
	}
	body, err := s.Bytes()
	if err == nil {
		err = s.Done()
	}
	if err != nil {
		return Salt{}, nil, errors.Join(errRevealForm, err)
	}
	return Salt(salt), body, nil
}

// OpenReveal returns the body of a reveal if it matches the commit that the same author published for the epoch. Both
// values are without signature.
func OpenReveal(epoch uint32, author peer.ID, commit, reveal []byte) ([]byte, error) {
	want, err := ParseCommit(commit)
	if err != nil {
		return nil, err
	}
	salt, body, err := ParseReveal(reveal)
	if err != nil {
		return nil, err
	}
	got := Commit(epoch, author, salt, body)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return nil, errMismatch
	}
	return body, nil
}

// Binding makes Phases compare reveals with their commits: same subkey, same author, same epoch.
//
// A node that keeps reveals need not keep the commits, whose key lies elsewhere in the ID space. So the comparison
// happens where the commit is known, and readers compare again with OpenReveal once they have both.
type Binding struct {
	// Lookup returns the value of the commit under a key and packed subkey, without signature, if it is
	// known here. It MUST NOT go to the network; it is called without locks held.
	Lookup func(commits Key, subkey []byte) ([]byte, bool)
	// Require refuses reveals whose commit is not known here.
	Require bool
}

func (b *Binding) check(epoch uint32, r Record, q Request, owner *Owner) error {
	if _, _, err := ParseReveal(r.Value); err != nil {
		return &Fault{Side: q.blame(r), Code: CodeBinding, Reason: "reveal", Err: err}
	}
	var commit []byte
	known := false
	if b.Lookup != nil {
		commit, known = b.Lookup(CommitKey(epoch), r.Subkey)
	}
	if !known {
		if b.Require {
			return fault(SideOurs, CodeBinding, "the commit of this reveal is not known")
		}
		return nil
	}
	if _, err := OpenReveal(epoch, owner.Peer, commit, r.Value); err != nil {
		return &Fault{Side: q.blame(r), Code: CodeBinding, Reason: "reveal", Err: err}
	}
	return nil
}

var errSubkeyName = errors.New("the subkey is not the owner's peer ID and marker")

// onlySubkey admits exactly one packed subkey per owner: its peer ID in base58 followed by its marker, as bytes.
func onlySubkey(packed []byte, owner *Owner) error {
	s := msgpack.NewScanner(packed, msgpack.Limits{})
	name, err := s.Bytes()
	if err == nil {
		err = s.Done()
	}
	if err != nil {
		return errors.Join(errSubkeyName, err)
	}
	if string(name) != owner.name {
		return errSubkeyName
	}
	return nil
}
