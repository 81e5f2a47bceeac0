package frame

import (
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// AccountData is the balance part of an account.
type AccountData struct {
	Free, Reserved, Frozen, Flags u128.U128
}

// newLogic is the flag that every account of this runtime carries.
func newLogic() u128.U128 { return u128.U128{Hi: 1 << 63} }

// AccountInfo is an account as System stores it.
type AccountInfo struct {
	Nonce, Consumers, Providers, Sufficients uint32
	Data                                     AccountData
}

func accountInfo() Codec[AccountInfo] {
	return Codec[AccountInfo]{
		func(e *scale.Encoder, a AccountInfo) {
			e.U32(a.Nonce)
			e.U32(a.Consumers)
			e.U32(a.Providers)
			e.U32(a.Sufficients)
			e.U128(a.Data.Free)
			e.U128(a.Data.Reserved)
			e.U128(a.Data.Frozen)
			e.U128(a.Data.Flags)
		},
		func(d *scale.Decoder) AccountInfo {
			return AccountInfo{
				d.U32(), d.U32(), d.U32(), d.U32(), AccountData{d.U128(), d.U128(), d.U128(), d.U128()},
			}
		},
	}
}

// Phase values as ExecutionPhase stores them.
const (
	phaseApply          = 0
	phaseFinalization   = 1
	phaseInitialization = 2
)

// BlockHashCount is how many block hashes are kept, and with that the longest
// life of a mortal transaction.
const BlockHashCount = 256

// System is the pallet of that name. Its fields are its storage items.
type System struct {
	Account          *Map[chain.AccountID, AccountInfo]
	ExtrinsicCount   *Value[uint32]
	AllExtrinsicsLen *Value[uint32]
	BlockHash        *Map[uint32, chain.Hash]
	Number           *Value[uint32]
	ParentHash       *Value[chain.Hash]
	EventCount       *Value[uint32]
	InherentsApplied *Value[bool]

	extrinsicData  *Map[uint32, string]
	events         []byte // keys
	digest         []byte
	phase          []byte
	extrinsicIndex []byte
}

// ExtrinsicIndexKey is the well-known key of the index of the extrinsic that is
// being applied.
const ExtrinsicIndexKey = ":extrinsic_index"

// NewSystem describes the pallet as m declares it.
func NewSystem(m *metadata.Metadata) *System {
	it := NewItems(m, "System")
	return &System{
		Account:          NewMap(it, "Account", Account(), accountInfo()),
		ExtrinsicCount:   NewValue(it, "ExtrinsicCount", U32()),
		AllExtrinsicsLen: NewValue(it, "AllExtrinsicsLen", U32()),
		BlockHash:        NewMap(it, "BlockHash", U32(), Hash()),
		Number:           NewValue(it, "Number", U32()),
		ParentHash:       NewValue(it, "ParentHash", Hash()),
		EventCount:       NewValue(it, "EventCount", U32()),
		InherentsApplied: NewValue(it, "InherentsApplied", Bool()),
		extrinsicData:    NewMap(it, "ExtrinsicData", U32(), Bytes()),
		events:           it.Key("Events"),
		digest:           it.Key("Digest"),
		phase:            it.Key("ExecutionPhase"),
		extrinsicIndex:   []byte(ExtrinsicIndexKey),
	}
}

// Begin starts block number on top of parent with these digest logs.
func (y *System) Begin(s State, number uint32, parent chain.Hash, logs [][]byte) {
	s.Delete(y.events)
	y.EventCount.Delete(s)
	s.Set(y.phase, []byte{phaseInitialization})
	s.Set(y.extrinsicIndex, []byte{0, 0, 0, 0})
	y.Number.Set(s, number)
	var e scale.Encoder
	e.Len(len(logs))
	for _, log := range logs {
		e.Raw(log)
	}
	s.Set(y.digest, e.Buf)
	y.ParentHash.Set(s, parent)
	y.BlockHash.Set(s, number-1, parent)
}

// Applying notes that the extrinsic xt is about to be dispatched.
func (y *System) Applying(s State, xt []byte) {
	y.extrinsicData.Set(s, y.Index(s), string(xt))
	y.AllExtrinsicsLen.Update(s, func(n uint32) uint32 { return n + uint32(len(xt)) })
}

// Index is the index of the extrinsic being applied.
func (y *System) Index(s State) uint32 {
	b := s.Get(y.extrinsicIndex)
	if len(b) != 4 {
		return 0
	}
	return scale.NewDecoder(b).U32()
}

// StartExtrinsics ends the initialization phase.
func (y *System) StartExtrinsics(s State) { y.setApply(s, 0) }

func (y *System) setApply(s State, index uint32) {
	e := scale.Encoder{Buf: []byte{phaseApply}}
	e.U32(index)
	s.Set(y.phase, e.Buf)
}

// Applied notes that an extrinsic has been dispatched.
func (y *System) Applied(s State) {
	next := y.Index(s) + 1
	s.Set(y.extrinsicIndex, U32().Encode(next))
	y.setApply(s, next)
}

// StartFinalization ends the extrinsics.
func (y *System) StartFinalization(s State) {
	y.ExtrinsicCount.Set(s, y.Index(s))
	s.Delete(y.extrinsicIndex)
	s.Set(y.phase, []byte{phaseFinalization})
}

// Finish removes what lives for one block only and returns the encoded
// extrinsics and digest logs.
func (y *System) Finish(s State) (xts [][]byte, digest []byte) {
	s.Delete(y.phase)
	y.AllExtrinsicsLen.Delete(s)
	y.InherentsApplied.Delete(s)
	n := y.ExtrinsicCount.Get(s)
	y.ExtrinsicCount.Delete(s)
	for i := range n {
		xt, _ := y.extrinsicData.Take(s, i)
		xts = append(xts, []byte(xt))
	}
	if number := y.Number.Get(s); number > BlockHashCount+1 {
		y.BlockHash.Delete(s, number-BlockHashCount-1)
	}
	return xts, s.Get(y.digest)
}

// Deposit appends an event, which is the pallet's index followed by the
// encoded event. Genesis has no events.
func (y *System) Deposit(s State, event []byte) {
	if y.Number.Get(s) == 0 {
		return
	}
	n := y.EventCount.Get(s)
	y.EventCount.Set(s, n+1)
	var e scale.Encoder
	e.Compact(uint64(n) + 1)
	old := s.Get(y.events)
	if old != nil {
		d := scale.NewDecoder(old)
		d.Compact()
		old = old[d.Pos():]
	}
	buf := append(make([]byte, 0, len(old)+len(event)+16), e.Buf...)
	buf = append(buf, old...)
	phase := s.Get(y.phase)
	if phase == nil {
		phase = []byte{phaseInitialization}
	}
	buf = append(buf, phase...)
	buf = append(buf, event...)
	s.Set(y.events, append(buf, 0)) // no topics
}

// NewEvent starts an event of a pallet.
func NewEvent(pallet, index uint8) *scale.Encoder { return &scale.Encoder{Buf: []byte{pallet, index}} }

// Indices of pallets that others name.
const (
	SystemIndex   = 0
	BalancesIndex = 4
)

func (y *System) accountEvent(s State, index uint8, who chain.AccountID) {
	e := NewEvent(SystemIndex, index)
	e.Raw(who[:])
	y.Deposit(s, e.Buf)
}

// Remarked deposits the event of a remark.
func (y *System) Remarked(s State, who chain.AccountID, remark string) {
	e := NewEvent(SystemIndex, 5)
	e.Raw(who[:])
	hash := blake2b.Sum256([]byte(remark))
	e.Raw(hash[:])
	y.Deposit(s, e.Buf)
}

// incProviders adds a reason for the account to exist.
func (y *System) incProviders(s State, who chain.AccountID) {
	a := y.Account.Get(s, who)
	created := a.Providers+a.Sufficients == 0
	a.Providers++
	y.Account.Set(s, who, a)
	if created {
		y.accountEvent(s, 3, who)
	}
}

// decProviders removes a reason for the account to exist; the last one removes
// the account.
func (y *System) decProviders(s State, who chain.AccountID) error {
	a := y.Account.Get(s, who)
	switch {
	case a.Providers == 1 && a.Consumers > 0:
		return DispatchError{Kind: KindConsumerRemaining}
	case a.Providers <= 1 && a.Sufficients == 0:
		y.Account.Delete(s, who)
		y.accountEvent(s, 4, who)
	default:
		a.Providers = max(a.Providers, 1) - 1
		y.Account.Set(s, who, a)
	}
	return nil
}

// canDecProviders reports whether decProviders would succeed.
func (a AccountInfo) canDecProviders() bool { return a.Consumers == 0 || a.Providers > 1 }

// Genesis writes the state of System in block 0.
func (y *System) Genesis(s State, specName string, specVersion uint32) {
	var parent chain.Hash // a fixed pattern stands for the parent of block 0
	for i := range parent {
		parent[i] = 0x45
	}
	y.ParentHash.Set(s, parent)
	y.BlockHash.Set(s, 0, parent)
	s.Set(Prefix("System", "UpgradedToU32RefCount"), []byte{1})
	s.Set(Prefix("System", "UpgradedToTripleRefCount"), []byte{1})
	var e scale.Encoder
	e.Compact(uint64(specVersion))
	e.Text(specName)
	s.Set(Prefix("System", "LastRuntimeUpgrade"), e.Buf)
}
