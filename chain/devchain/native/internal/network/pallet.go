package network

import (
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Index is the pallet's index in the runtime.
const Index = 23

// reservedSlots are the first blocks of an epoch, which belong to no subnet.
const reservedSlots = 3

// Config is what the pallet needs to know of its chain.
type Config struct {
	EpochLength uint32 // blocks
	// Elect chooses one of the candidates, which are never empty.
	Elect func(subnet, epoch, block uint32, candidates []uint32) int
}

// Pallet is the pallet.
type Pallet struct {
	items
	cfg      Config
	system   *frame.System
	balances *frame.Balances
	treasury chain.AccountID
	handlers map[string]handler
}

// New describes the pallet as m declares it.
func New(m *metadata.Metadata, y *frame.System, b *frame.Balances, cfg Config) *Pallet {
	p := &Pallet{items: newItems(m), cfg: cfg, system: y, balances: b, treasury: TreasuryAccount()}
	p.handlers = map[string]handler{}
	for _, table := range []map[string]handler{
		subnetCalls(), nodeCalls(), stakeCalls(), delegateCalls(), consensusCalls(), p.ownerCalls(), overwatchCalls(), keyCalls(), p.adminCalls(),
	} {
		for name, h := range table {
			p.handlers[name] = h
		}
	}
	return p
}

// TreasuryAccount is the account of the treasury pallet.
func TreasuryAccount() (a chain.AccountID) {
	copy(a[:], "modlpy/trsry")
	return a
}

// EpochsPerYear is the number of epochs of a length in a year of six-second
// blocks.
func EpochsPerYear(epochLength uint32) uint32 { return 5_256_000 / epochLength }

// OverwatchEmissions is what the overwatch nodes share in one epoch.
func OverwatchEmissions(epochLength uint32) u128.U128 {
	return tensor(10_000).Div(u128.From64(uint64(EpochsPerYear(epochLength))))
}

func tensor(n uint64) u128.U128 { return u128.From64(n).SatMul(one()) }

// exec is the pallet at work on a State within a block. It is a State itself,
// so that storage items take it.
type exec struct {
	frame.State
	*Pallet
	block uint32
}

func (p *Pallet) on(s frame.State) *exec { return &exec{s, p, p.system.Number.Get(s)} }

// Action is a decoded call. It reports whether the caller's fee is waived.
type Action func(s frame.State, o frame.Origin) (free bool, err error)

// handler decodes the arguments of a call.
type handler func(d *scale.Decoder) action

type action func(x *exec, o frame.Origin) (free bool, err error)

// Call decodes the arguments of a call; ok is false when the pallet does not
// implement it. The Action may be run only when d has no error.
func (p *Pallet) Call(name string, d *scale.Decoder) (run Action, ok bool) {
	h := p.handlers[name]
	if h == nil {
		return nil, false
	}
	act := h(d)
	return func(s frame.State, o frame.Origin) (bool, error) { return act(p.on(s), o) }, true
}

// signed is an action of an account, refused while the pallet is paused.
func signed(f func(x *exec, who chain.AccountID) error) action {
	return func(x *exec, o frame.Origin) (bool, error) {
		who, err := o.EnsureSigned()
		if err != nil {
			return false, err
		}
		if x.TxPause.Get(x) {
			return false, fail(ErrPaused)
		}
		return false, f(x, who)
	}
}

// checked is signed, with a check before the one for a signer.
func checked(check func(x *exec) error, f func(x *exec, who chain.AccountID) error) action {
	act := signed(f)
	return func(x *exec, o frame.Origin) (bool, error) {
		if !x.TxPause.Get(x) {
			if err := check(x); err != nil {
				return false, err
			}
		}
		return act(x, o)
	}
}

// waived is signed, with the fee waived on success.
func waived(f func(x *exec, who chain.AccountID) error) action {
	act := signed(f)
	return func(x *exec, o frame.Origin) (bool, error) {
		_, err := act(x, o)
		return err == nil, err
	}
}

// root is an action of governance, which is the sudo key here.
func root(f func(x *exec) error) action {
	return func(x *exec, o frame.Origin) (bool, error) {
		if err := o.EnsureRoot(); err != nil {
			return false, err
		}
		return false, f(x)
	}
}

func fail(e Error) error { return frame.Module(Index, uint8(e)) }

// ensure is nil when ok, else the error.
func ensure(ok bool, e Error) error {
	if ok {
		return nil
	}
	return fail(e)
}

// first returns the first error of checks that have been made.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// raw is an encoded event field.
type raw []byte

// encoded encodes an event field.
func encoded[T any](c frame.Codec[T], v T) raw { return c.Encode(v) }

// emit deposits an event.
func (x *exec) emit(ev event, fields ...any) {
	e := frame.NewEvent(Index, uint8(ev))
	for _, f := range fields {
		switch v := f.(type) {
		case uint32:
			e.U32(v)
		case uint64:
			e.U64(v)
		case uint8:
			e.U8(v)
		case bool:
			e.Bool(v)
		case u128.U128:
			e.U128(v)
		case chain.AccountID:
			e.Raw(v[:])
		case string:
			e.Text(v)
		case raw:
			e.Raw(v)
		default:
			panic(fmt.Sprintf("network: event field of type %T", f))
		}
	}
	x.system.Deposit(x, e.Buf)
}

// Counters.

func add1(n uint32) uint32 { return n + 1 }

func sub1(n uint32) uint32 { return max(n, 1) - 1 }

func plus(by u128.U128) func(u128.U128) u128.U128 {
	return func(v u128.U128) u128.U128 { return v.SatAdd(by) }
}

func minus(by u128.U128) func(u128.U128) u128.U128 {
	return func(v u128.U128) u128.U128 { return v.SatSub(by) }
}

// Time.

func (x *exec) epoch() uint32 { return x.block / x.cfg.EpochLength }

func (x *exec) overwatchLength() uint32 {
	return x.cfg.EpochLength * x.OverwatchEpochLengthMultiplier.Get(x)
}

func (x *exec) overwatchEpoch() uint32 { return x.block / max(x.overwatchLength(), 1) }

// subnetEpoch is the epoch of a subnet, 0 before its first slot and for a
// subnet without slot.
func (x *exec) subnetEpoch(sid uint32) uint32 {
	slot, ok := x.SubnetSlot.Find(x, sid)
	if !ok || slot == 0 || x.block < slot {
		return 0
	}
	return (x.block - slot) / x.cfg.EpochLength
}

// subnetProgress is the epoch of a subnet and how much of it has passed.
func (x *exec) subnetProgress(sid uint32) (epoch uint32, progress u128.U128, ok bool) {
	slot, ok := x.SubnetSlot.Find(x, sid)
	if !ok || slot == 0 || x.block < slot {
		return 0, u128.U128{}, false
	}
	at := x.block - slot
	return at / x.cfg.EpochLength, ratio(at%x.cfg.EpochLength, x.cfg.EpochLength), true
}
