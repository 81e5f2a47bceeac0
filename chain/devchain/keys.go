package devchain

import (
	"encoding/binary"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// systemKey is the storage prefix of an item of the pallet System, which every
// Substrate runtime has.
func systemKey(item string) []byte {
	return metadata.Twox128.Append(metadata.Twox128.Append(nil, []byte("System")), []byte(item))
}

// withHead enters the hash of a block under System.BlockHash on top of its own
// state. A runtime only learns the hash of a block when the next one begins, but
// a mortal transaction may be born in the best block.
func withHead(b *Block) *Overlay {
	st := newOverlay(b.state)
	n := binary.LittleEndian.AppendUint32(nil, uint32(b.Number()))
	st.Set(metadata.Twox64Concat.Append(systemKey("BlockHash"), n), b.Hash[:])
	return st
}

// HeadHash returns the hash of the block on whose state a transaction is
// validated; see [Engine].
func HeadHash(st State) (h chain.Hash, ok bool) {
	n := st.Get(systemKey("Number"))
	if n == nil { // the genesis
		n = make([]byte, 4)
	}
	v := st.Get(metadata.Twox64Concat.Append(systemKey("BlockHash"), n))
	return h, copy(h[:], v) == len(h)
}
