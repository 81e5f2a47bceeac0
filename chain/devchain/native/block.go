package native

import (
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// InitBlock implements devchain.Engine.
func (e *Engine) InitBlock(st devchain.State, h devchain.BlockHeader) error {
	number := uint32(h.Number)
	if number != e.system.Number.Get(st)+1 {
		return fmt.Errorf("block %d does not follow %d", number, e.system.Number.Get(st))
	}
	e.system.Begin(st, number, h.Parent, h.Digest())
	e.aura.onInitialize(st, h.Slot)
	e.flip.onInitialize(st, number, h.Parent)
	e.treasury.onInitialize(st)
	e.network.OnInitialize(st)
	if who, ok := e.aura.author(st, h.Slot); ok {
		e.paySubsidy(st, who)
	}
	e.system.StartExtrinsics(st)
	e.spent.Set(st, blockWeight{classMandatory: hooksWeight()})
	return nil
}

// Inherents implements devchain.Engine.
func (e *Engine) Inherents(st devchain.State, timestampMs uint64) ([][]byte, error) {
	body := scale.Encoder{Buf: []byte{bareVersion, timestampIndex, 0}}
	body.Compact(max(timestampMs, e.timestamp.now.Get(st)))
	var xt scale.Encoder
	xt.Bytes(body.Buf)
	return [][]byte{xt.Buf}, nil
}

// ApplyExtrinsic implements devchain.Engine.
func (e *Engine) ApplyExtrinsic(st devchain.State, b []byte) ([]byte, error) {
	xt, err := e.decodeExtrinsic(b)
	if err != nil {
		return refusalOf(err), nil
	}
	st.Begin()
	var refused *devchain.TxError
	result, err := e.apply(st, xt, b)
	if err != nil {
		st.Rollback()
		if errors.As(err, &refused) {
			return refusal(refused), nil
		}
		return nil, err
	}
	st.Commit()
	return result, nil
}

// refusalOf is the result of an extrinsic that could not be read.
func refusalOf(err error) []byte {
	if refused, ok := asTxError(err); ok && len(refused.Raw) > 0 {
		return refusal(refused)
	}
	return refusal(devchain.NewTxError(devchain.TxCall))
}

// refusal is the result of an extrinsic that is not included.
func refusal(e *devchain.TxError) []byte { return append([]byte{1}, e.Raw...) }

func (e *Engine) apply(st frame.State, xt *extrinsic, b []byte) ([]byte, error) {
	origin := frame.Origin{}
	if xt.signed {
		origin = frame.Signed(xt.signer)
		if _, err := e.check(st, xt, uint64(e.system.Number.Get(st))); err != nil {
			return nil, err
		}
	} else if xt.call.class != classMandatory {
		return nil, devchain.NewTxError(devchain.TxNoUnsigned)
	}
	if xt.signed {
		e.system.InherentsApplied.Set(st, true)
	}
	e.system.Applying(st, b)
	f := fees(xt)
	if xt.signed {
		if err := e.prepare(st, xt, f); err != nil {
			return nil, err
		}
	}
	out, failure := xt.call.dispatch(st, origin)
	if errors.Is(failure, errTimestamp) {
		return nil, devchain.NewTxError(devchain.TxBadMandatory)
	}
	var dispatch frame.DispatchError
	if failure != nil && !errors.As(failure, &dispatch) {
		return nil, failure
	}
	if failure != nil && xt.call.class == classMandatory {
		return nil, devchain.NewTxError(devchain.TxBadMandatory)
	}
	actual := xt.call.weight
	if out.actual {
		actual = actual.min(out.weight)
	}
	free := xt.call.free || failure == nil && out.free
	if xt.signed {
		e.settleFee(st, xt, f, actual, free)
	}
	e.spend(st, xt, actual)
	e.applied(st, xt.call, actual, free, failure, dispatch)
	if failure == nil {
		return []byte{0, 0}, nil
	}
	r := scale.Encoder{Buf: []byte{0, 1}}
	dispatch.Encode(&r)
	return r.Buf, nil
}

// spend counts an extrinsic towards the weight of the block.
func (e *Engine) spend(st frame.State, xt *extrinsic, w weight) {
	total := e.spent.Get(st)
	total[xt.call.class] = total[xt.call.class].plus(w).plus(weight{baseWeight, uint64(xt.size)})
	e.spent.Set(st, total)
}

// applied deposits the event that ends every extrinsic.
func (e *Engine) applied(st frame.State, c *call, w weight, free bool, failure error, dispatch frame.DispatchError) {
	ev := frame.NewEvent(frame.SystemIndex, 0)
	if failure != nil {
		ev = frame.NewEvent(frame.SystemIndex, 1)
		dispatch.Encode(ev)
	}
	ev.Compact(w.ref + baseWeight)
	ev.Compact(w.proof)
	ev.U8(uint8(c.class))
	ev.Bool(free)
	e.system.Deposit(st, ev.Buf)
	e.system.Applied(st)
}

// FinalizeBlock implements devchain.Engine.
func (e *Engine) FinalizeBlock(st devchain.State) (devchain.Header, error) {
	e.system.StartFinalization(st)
	if err := e.timestamp.onFinalize(st); err != nil {
		return devchain.Header{}, err
	}
	_, digest := e.system.Finish(st)
	logs, err := splitDigest(digest)
	if err != nil {
		return devchain.Header{}, err
	}
	return devchain.Header{
		Parent: e.system.ParentHash.Get(st), Number: chain.BlockNumber(e.system.Number.Get(st)), Digest: logs,
	}, nil
}

// splitDigest separates the encoded items of a digest.
func splitDigest(b []byte) ([][]byte, error) {
	d := scale.NewDecoder(b)
	var logs [][]byte
	for range d.Len(1) {
		start := d.Pos()
		switch d.U8() {
		case 4, 5, 6: // consensus, seal, pre-runtime
			d.View(4)
			d.BytesView()
		case 0:
			d.BytesView()
		case 8:
		default:
			d.Fail(scale.ErrMalformed, "digest item")
		}
		if d.Err() == nil {
			logs = append(logs, append([]byte(nil), b[start:d.Pos()]...))
		}
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("stored digest: %w", err)
	}
	return logs, nil
}
