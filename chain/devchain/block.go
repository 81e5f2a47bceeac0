package devchain

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"golang.org/x/crypto/blake2b"
)

// Block is a block of the chain. It does not change once it has been announced.
type Block struct {
	Header     Header
	Hash       chain.Hash
	Timestamp  uint64   // milliseconds, what the timestamp inherent carries
	Slot       uint64   // Aura slot
	Extrinsics [][]byte // each with its compact length prefix; inherents first

	changes []Change     // nil when the block is older than the history window
	state   *tree        // nil when discarded
	hashes  []chain.Hash // of Extrinsics
	set     setHash      // of state
}

// Number is the height of the block.
func (b *Block) Number() chain.BlockNumber { return b.Header.Number }

// Head is the block's number, hash and parent.
func (b *Block) Head() chain.Head {
	return chain.Head{Number: b.Header.Number, Hash: b.Hash, Parent: b.Header.Parent}
}

// Changes lists the storage entries that the block changed, in key order; nil
// when the block is older than the history window. The caller must not modify
// them.
func (b *Block) Changes() []Change { return b.changes }

// ExtrinsicHash is the hash by which an extrinsic is known: blake2_256 of its
// bytes with the length prefix.
func ExtrinsicHash(xt []byte) chain.Hash { return blake2b.Sum256(xt) }

// extrinsicsRoot commits to the extrinsics of a block. It is not the Merkle root
// that a real node computes.
func extrinsicsRoot(xts [][]byte) chain.Hash {
	if len(xts) == 0 {
		return emptyTrieRoot()
	}
	h, err := blake2b.New256(nil)
	if err != nil {
		panic("devchain: blake2b without a key: " + err.Error())
	}
	for _, xt := range xts {
		sum := blake2b.Sum256(xt)
		h.Write(sum[:])
	}
	return chain.Hash(h.Sum(nil))
}

// emptyTrieRoot is the root of a trie without entries: blake2_256 of one zero byte.
func emptyTrieRoot() chain.Hash { return blake2b.Sum256([]byte{0}) }
