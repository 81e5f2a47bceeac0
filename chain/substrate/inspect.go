package substrate

import (
	"context"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// DecodedCall is a call as people read it.
type DecodedCall struct {
	Pallet, Name string
	Docs         string // the runtime's own words; may be empty
	Args         any    // metadata.Fields, or an empty Tuple for none
}

// Extrinsic is a decoded transaction or inherent.
type Extrinsic struct {
	Hash      chain.Hash
	Signed    bool
	Address   any             // of the signer; a dynamic value
	Signature any             // a dynamic value
	Extra     metadata.Fields // what the signed extensions carry, by their names; those that carry nothing are left out
	Call      DecodedCall
}

// DecodeCall decodes a call, which must be all of b.
func (c *Client) DecodeCall(b []byte) (DecodedCall, error) {
	d := scale.NewDecoder(b)
	call, err := c.rt.Load().decodeCall(d)
	if err == nil {
		err = d.Finish()
	}
	if err != nil {
		return call, fmt.Errorf("substrate: call: %w", err)
	}
	return call, nil
}

// Describe encodes a call for this chain and decodes it again: what would be signed, with all defaults and conversions.
func (c *Client) Describe(call Call) (DecodedCall, error) {
	b, err := c.Encode(call)
	if err != nil {
		return DecodedCall{}, err
	}
	return c.DecodeCall(b)
}

func (rt *runtime) decodeCall(d *scale.Decoder) (DecodedCall, error) {
	pallet, index := d.U8(), d.U8()
	if err := d.Err(); err != nil {
		return DecodedCall{}, err
	}
	p, v, err := rt.reg.CallByIndex(pallet, index)
	if err != nil {
		return DecodedCall{}, err
	}
	return DecodedCall{Pallet: p.Name, Name: v.Name, Docs: joinDocs(v.Docs), Args: rt.reg.DecodeFields(d, v)}, d.Err()
}

// DecodeExtrinsic decodes a transaction or inherent as it lies in a block.
func (c *Client) DecodeExtrinsic(b []byte) (Extrinsic, error) {
	x, err := c.rt.Load().decodeExtrinsic(b)
	if err != nil {
		return x, fmt.Errorf("substrate: extrinsic: %w", err)
	}
	return x, nil
}

func (rt *runtime) decodeExtrinsic(b []byte) (x Extrinsic, err error) {
	x.Hash = hashOf(b)
	outer := scale.NewDecoder(b)
	body := outer.BytesView()
	if err := outer.Finish(); err != nil {
		return x, err
	}
	d := scale.NewDecoder(body)
	version := d.U8()
	if version&^signedBit != extrinsicVersion && d.Err() == nil {
		return x, fmt.Errorf("%w: version %d", scale.ErrMalformed, version&^signedBit)
	}
	if x.Signed = version&signedBit != 0; x.Signed {
		ext := &rt.reg.Metadata().Extrinsic
		if rt.reg.Type(ext.Address) == nil || rt.reg.Type(ext.Signature) == nil {
			return x, fmt.Errorf("%w: the metadata does not say what a signature is", metadata.ErrUnknown)
		}
		x.Address = rt.reg.DecodeValue(d, ext.Address)
		x.Signature = rt.reg.DecodeValue(d, ext.Signature)
		for _, s := range ext.SignedExtensions {
			if v := rt.reg.DecodeValue(d, s.Type); !rt.reg.IsEmpty(s.Type) {
				x.Extra = append(x.Extra, metadata.NamedValue{Name: s.Identifier, Value: v})
			}
		}
	}
	if err := d.Err(); err != nil {
		return x, err
	}
	if x.Call, err = rt.decodeCall(d); err != nil {
		return x, err
	}
	return x, d.Finish()
}

// Extrinsics reads and decodes the extrinsics of a block; the zero hash is the best one.
func (c *Client) Extrinsics(ctx context.Context, at chain.Hash) ([]Extrinsic, error) {
	b, err := c.block(ctx, at)
	if err != nil {
		return nil, err
	}
	out := make([]Extrinsic, len(b.extrinsics))
	for i := range b.extrinsics {
		if out[i], err = c.DecodeExtrinsic(b.extrinsics[i]); err != nil {
			return nil, fmt.Errorf("block %d, extrinsic %d: %w", b.head.Number, i, err)
		}
	}
	return out, nil
}
