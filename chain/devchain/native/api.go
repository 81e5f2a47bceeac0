package native

import (
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// slotDuration is what AuraApi names, in milliseconds. The embedded chain's
// blocks may come faster.
const slotDuration = 6000

// Call implements devchain.Engine.
func (e *Engine) Call(st devchain.State, method string, args []byte) ([]byte, error) {
	d := scale.NewLimitedDecoder(args, maxCallDepth, maxCallAlloc)
	if name, ok := strings.CutPrefix(method, "NetworkRuntimeApi_"); ok {
		result, known := e.network.Query(st, name, d)
		if known {
			return result, argumentError(method, d.Finish())
		}
	}
	run := e.apiMethods()[method]
	if run == nil {
		return nil, fmt.Errorf("%s: %w", method, devchain.ErrUnknownMethod)
	}
	var out scale.Encoder
	if err := run(st, d, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return out.Buf, argumentError(method, d.Err())
}

func argumentError(method string, err error) error {
	if err != nil {
		return fmt.Errorf("arguments of %s: %w", method, err)
	}
	return nil
}

// apiMethod is a runtime API function.
type apiMethod func(st devchain.State, d *scale.Decoder, out *scale.Encoder) error

func (e *Engine) apiMethods() map[string]apiMethod {
	return map[string]apiMethod{
		"Core_version": func(_ devchain.State, _ *scale.Decoder, out *scale.Encoder) error {
			out.Raw(encodeVersion(e.version))
			return nil
		},
		"Core_initialize_block": func(st devchain.State, d *scale.Decoder, out *scale.Encoder) error {
			h, err := devchain.DecodeHeader(d.View(d.Left()))
			if err != nil {
				return err
			}
			out.U8(0) // all extrinsics are welcome
			return e.InitBlock(st, devchain.BlockHeader{Number: h.Number, Parent: h.Parent, Slot: slotOf(h)})
		},
		"Metadata_metadata": func(_ devchain.State, _ *scale.Decoder, out *scale.Encoder) error {
			out.Bytes(e.meta[14])
			return nil
		},
		"Metadata_metadata_at_version": func(_ devchain.State, d *scale.Decoder, out *scale.Encoder) error {
			b, ok := e.meta[d.U32()]
			out.Bool(ok)
			if ok {
				out.Bytes(b)
			}
			return nil
		},
		"Metadata_metadata_versions": func(_ devchain.State, _ *scale.Decoder, out *scale.Encoder) error {
			out.Len(2)
			out.U32(14)
			out.U32(15)
			return nil
		},
		"AccountNonceApi_account_nonce": func(st devchain.State, d *scale.Decoder, out *scale.Encoder) error {
			out.U32(e.system.Account.Get(st, frame.Account().Dec(d)).Nonce)
			return nil
		},
		"AuraApi_slot_duration": func(_ devchain.State, _ *scale.Decoder, out *scale.Encoder) error {
			out.U64(slotDuration)
			return nil
		},
		"AuraApi_authorities": func(st devchain.State, _ *scale.Decoder, out *scale.Encoder) error {
			keys := e.aura.authorities.Get(st)
			out.Len(len(keys))
			for _, k := range keys {
				out.Raw(k[:])
			}
			return nil
		},
		"TransactionPaymentApi_query_info":        e.queryInfo,
		"TransactionPaymentApi_query_fee_details": e.queryFeeDetails,
		"TransactionPaymentApi_query_length_to_fee": func(_ devchain.State, d *scale.Decoder, out *scale.Encoder) error {
			out.U128(u128.From64(uint64(d.U32())))
			return nil
		},
		"TransactionPaymentApi_query_weight_to_fee": func(_ devchain.State, d *scale.Decoder, out *scale.Encoder) error {
			out.U128(u128.From64(d.Compact()))
			d.Compact()
			return nil
		},
		"BlockBuilder_apply_extrinsic": func(st devchain.State, d *scale.Decoder, out *scale.Encoder) error {
			r, err := e.ApplyExtrinsic(st, d.View(d.Left()))
			out.Raw(r)
			return err
		},
		"BlockBuilder_finalize_block": func(st devchain.State, _ *scale.Decoder, out *scale.Encoder) error {
			h, err := e.FinalizeBlock(st)
			out.Raw(h.Encode())
			return err
		},
		"BlockBuilder_inherent_extrinsics":            e.inherentExtrinsics,
		"TaggedTransactionQueue_validate_transaction": e.validateTransaction,
	}
}

// slotOf reads the slot from a header's Aura digest; 0 when it has none.
func slotOf(h devchain.Header) uint64 {
	for _, log := range h.Digest {
		d := scale.NewDecoder(log)
		if d.U8() == 6 && string(d.View(4)) == "aura" {
			if b := d.BytesView(); len(b) == 8 {
				return scale.NewDecoder(b).U64()
			}
		}
	}
	return 0
}

// queryArgs reads an extrinsic and the length that a caller claims for it.
func (e *Engine) queryArgs(d *scale.Decoder) (*extrinsic, error) {
	start := d.Pos()
	body := d.BytesView()
	size := d.Pos() - start
	xt, err := e.decodeExtrinsic(withLength(body))
	if err != nil {
		return nil, err
	}
	xt.size = size
	if claimed := d.U32(); d.Err() == nil {
		xt.size = int(claimed)
	}
	return xt, d.Err()
}

func withLength(body []byte) []byte {
	var e scale.Encoder
	e.Bytes(body)
	return e.Buf
}

func (e *Engine) queryInfo(_ devchain.State, d *scale.Decoder, out *scale.Encoder) error {
	xt, err := e.queryArgs(d)
	if err != nil {
		return err
	}
	out.Compact(xt.call.weight.ref)
	out.Compact(xt.call.weight.proof)
	out.U8(uint8(xt.call.class))
	partial := u128.U128{}
	if xt.signed {
		partial = fees(xt).inclusion()
	}
	out.U128(partial)
	return nil
}

func (e *Engine) queryFeeDetails(_ devchain.State, d *scale.Decoder, out *scale.Encoder) error {
	xt, err := e.queryArgs(d)
	if err != nil {
		return err
	}
	f := fees(xt)
	out.Bool(xt.signed && !xt.call.free)
	if xt.signed && !xt.call.free {
		out.U128(f.base)
		out.U128(f.length)
		out.U128(f.weight)
	}
	out.U128(u128.U128{}) // the tip is not in what was asked
	return nil
}

func (e *Engine) inherentExtrinsics(st devchain.State, d *scale.Decoder, out *scale.Encoder) error {
	var now uint64
	for range d.Len(8) {
		id := string(d.View(8))
		data := d.BytesView()
		if id == "timstap0" && len(data) == 8 {
			now = scale.NewDecoder(data).U64()
		}
	}
	xts, err := e.Inherents(st, now)
	if err != nil {
		return err
	}
	out.Len(len(xts))
	for _, xt := range xts {
		out.Raw(xt)
	}
	return nil
}

func (e *Engine) validateTransaction(st devchain.State, d *scale.Decoder, out *scale.Encoder) error {
	d.U8()
	body := d.BytesView()
	hash := frame.Hash().Dec(d)
	if d.Err() != nil {
		return d.Err()
	}
	e.system.BlockHash.Set(st, e.system.Number.Get(st), hash)
	v, err := e.ValidateTx(st, withLength(body))
	if refused, ok := asTxError(err); ok {
		out.U8(1)
		out.Raw(refused.Raw)
		return nil
	}
	if err != nil {
		return err
	}
	tags := frame.Vec(frame.Bytes(), 1)
	text := func(list [][]byte) (s []string) {
		for _, b := range list {
			s = append(s, string(b))
		}
		return s
	}
	out.U8(0)
	out.U64(v.Priority)
	tags.Enc(out, text(v.Requires))
	tags.Enc(out, text(v.Provides))
	out.U64(v.Longevity)
	out.Bool(v.Propagate)
	return nil
}
