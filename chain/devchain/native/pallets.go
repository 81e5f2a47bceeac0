package native

import (
	"errors"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const timestampIndex = 1

// timestamp is the pallet of that name.
type timestamp struct {
	now       *frame.Value[uint64]
	didUpdate *frame.Value[bool]
}

func newTimestamp(m *metadata.Metadata) *timestamp {
	it := frame.NewItems(m, "Timestamp")
	return &timestamp{frame.NewValue(it, "Now", frame.U64()), frame.NewValue(it, "DidUpdate", frame.Bool())}
}

var errTimestamp = errors.New("timestamp set twice, not at all, or backwards")

func (t *timestamp) set(st frame.State, now uint64) error {
	if t.didUpdate.Get(st) || now < t.now.Get(st) {
		return errTimestamp
	}
	t.now.Set(st, now)
	t.didUpdate.Set(st, true)
	return nil
}

func (t *timestamp) onFinalize(st frame.State) error {
	if !t.didUpdate.Get(st) {
		return errTimestamp
	}
	t.didUpdate.Delete(st)
	return nil
}

// aura is the part of the pallet of that name that says whose turn it is.
type aura struct {
	authorities *frame.Value[[][32]byte]
	slot        *frame.Value[uint64]
}

func newAura(m *metadata.Metadata) *aura {
	it := frame.NewItems(m, "Aura")
	key := frame.Codec[[32]byte]{
		Enc: func(e *scale.Encoder, v [32]byte) { e.Raw(v[:]) },
		Dec: func(d *scale.Decoder) (v [32]byte) { d.Raw(v[:]); return v },
	}
	return &aura{
		frame.NewValue(it, "Authorities", frame.Vec(key, 32)), frame.NewValue(it, "CurrentSlot", frame.U64()),
	}
}

func (a *aura) genesis(st frame.State, authorities [][32]byte) {
	if len(authorities) > 0 {
		a.authorities.Set(st, authorities)
	}
}

func (a *aura) onInitialize(st frame.State, slot uint64) { a.slot.Set(st, slot) }

// author is the account of the authority whose slot it is: 20 bytes from the
// middle of its key.
func (a *aura) author(st frame.State, slot uint64) (chain.AccountID, bool) {
	keys := a.authorities.Get(st)
	if len(keys) == 0 {
		return chain.AccountID{}, false
	}
	key := keys[slot%uint64(len(keys))]
	return chain.AccountID(key[4:24]), true
}

const authorSubsidyIndex = 24

// authorSubsidy is 1000 TENSOR a year, per block.
func authorSubsidy() u128.U128 { return u128.From64(190_258_751_902_587) }

// paySubsidy pays the author of the block.
func (e *Engine) paySubsidy(st frame.State, who chain.AccountID) {
	e.balances.Deposit(st, who, authorSubsidy())
	ev := frame.NewEvent(authorSubsidyIndex, 0)
	ev.Raw(who[:])
	ev.U128(authorSubsidy())
	e.system.Deposit(st, ev.Buf)
}

// flip is the pallet that keeps recent block hashes for weak randomness.
type flip struct{ material *frame.Value[[]chain.Hash] }

const flipHashes = 81

func newFlip(m *metadata.Metadata) *flip {
	it := frame.NewItems(m, "InsecureRandomnessCollectiveFlip")
	return &flip{frame.NewValue(it, "RandomMaterial", frame.Vec(frame.Hash(), 32))}
}

func (f *flip) onInitialize(st frame.State, number uint32, parent chain.Hash) {
	hashes := f.material.Get(st)
	if len(hashes) < flipHashes {
		hashes = append(hashes, parent)
	} else {
		hashes[(number-1)%flipHashes] = parent
	}
	f.material.Set(st, hashes)
}

// transferOf is a transfer that was asked for.
type transferOf struct {
	to        chain.AccountID
	amount    u128.U128
	all, keep bool
}
