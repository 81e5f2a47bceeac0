package consensus

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Kind is what an [Entry] decides.
type Kind uint8

// The kinds.
const (
	Proposal    Kind = 1
	Attestation Kind = 2
)

// Digest identifies a proposal by its content: who proposes which scores and queue changes. The block is not part of it, so
// that the same proposal, included again after a reorganisation, is the same.
type Digest [32]byte

// DigestOf computes the digest; scores must be sorted by node.
func DigestOf(proposer chain.NodeID, scores []chain.NodeScore, prioritize, remove chain.NodeID) Digest {
	b := make([]byte, 0, 32+20*len(scores))
	b = append(b, "mesh/proposal/1\x00"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(proposer))
	b = binary.LittleEndian.AppendUint32(b, uint32(prioritize))
	b = binary.LittleEndian.AppendUint32(b, uint32(remove))
	for _, s := range scores {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.Node))
		b = s.Score.AppendLE(b)
	}
	return sha256.Sum256(b)
}

// Entry is a decision: the one thing that this node says in an epoch as proposer, or as attester.
type Entry struct {
	Epoch  chain.Epoch
	Kind   Kind
	Digest Digest
	Scores []chain.NodeScore // of a Proposal, sorted by node
}
