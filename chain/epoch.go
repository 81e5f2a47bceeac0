package chain

import "time"

// Epoch is a subnet's own epoch, see [Params.EpochAt].
type Epoch uint32

// Slot is the block offset within an epoch at which a subnet's own epochs begin. 0 means that the subnet has none yet.
type Slot uint32

// Params are the constants of a running chain.
type Params struct {
	Genesis     Hash
	EpochLength uint32        // blocks in an epoch, at least 1
	BlockTime   time.Duration // what the chain aims at, an estimate on a development chain
	Generation  string        // "G1", "G2", "G3", or "?" when the fingerprint is unknown
}

// EpochAt is the subnet epoch of block b for a subnet in slot s. Before block s, and without a slot, it is 0.
func (p Params) EpochAt(b BlockNumber, s Slot) Epoch {
	if s == 0 || p.EpochLength == 0 || uint32(b) < uint32(s) {
		return 0
	}
	return Epoch((uint32(b) - uint32(s)) / p.EpochLength)
}

// FirstBlock is the first block of epoch e for a subnet in slot s: the block in which its validator is elected.
func (p Params) FirstBlock(e Epoch, s Slot) BlockNumber {
	return BlockNumber(uint32(e)*p.EpochLength + uint32(s))
}

// Offset is the number of blocks of the epoch that lie before b, in 0..EpochLength-1.
func (p Params) Offset(b BlockNumber, s Slot) uint32 {
	if p.EpochLength == 0 || uint32(b) < uint32(s) {
		return 0
	}
	return (uint32(b) - uint32(s)) % p.EpochLength
}

// Permille is how far block b is into its subnet epoch, in thousandths, rounded down. Integers, because nodes compare it.
func (p Params) Permille(b BlockNumber, s Slot) uint32 {
	if p.EpochLength == 0 {
		return 0
	}
	return uint32(uint64(p.Offset(b, s)) * 1000 / uint64(p.EpochLength))
}

// GeneralEpoch is the chain-wide epoch of block b, which has no offset. Start epochs of subnets count in it.
func (p Params) GeneralEpoch(b BlockNumber) Epoch {
	if p.EpochLength == 0 {
		return 0
	}
	return Epoch(uint32(b) / p.EpochLength)
}
