package substrate

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
	"github.com/hypertensor-blockchain/mesh/identity/account"
)

// SignatureScheme says how an account signs.
type SignatureScheme = account.Scheme

// Signer signs transactions of one account. [account.Account] is one.
type Signer interface {
	AccountID() chain.AccountID
	Scheme() SignatureScheme
	// Sign signs a payload of any length. It MUST be deterministic or at least safe to be used for several payloads.
	Sign(payload []byte) ([]byte, error)
}

// Addresser is what a Signer implements whose account is not the 20 bytes of AccountID: Address is the account as the chain
// keeps it, such as 32 bytes of public key. AccountID then only needs to differ from account to account.
type Addresser interface {
	Address() []byte
}

// addressOf is a signer's account as the chain keeps it.
func addressOf(s Signer) []byte {
	if a, ok := s.(Addresser); ok {
		return a.Address()
	}
	id := s.AccountID()
	return id[:]
}

const (
	extrinsicVersion = 4
	signedBit        = 0x80
)

// txContext is what a transaction is signed for.
type txContext struct {
	nonce     uint32
	tip       u128.U128
	era       [2]byte
	eraLen    int // 1 for immortal
	birth     chain.Hash
	genesis   chain.Hash
	specV     uint32
	txVersion uint32
}

// extension is one signed extension of the chain at hand with what we put into it.
type extension struct {
	name       string
	typ        metadata.TypeID
	additional metadata.TypeID
	extra      func(*txContext) any // nil for nothing
	signed     func(*txContext) any // nil for nothing
}

// knownExtension returns what to put into an extension.
func knownExtension(name string) (extra, signed func(*txContext) any, ok bool) {
	none := func(*txContext) any { return metadata.Raw{0} } // an absent option, or a mode that is off
	switch name {
	case "CheckNonZeroSender", "CheckWeight", "StorageWeightReclaim", "WeightReclaim":
		return nil, nil, true
	case "CheckSpecVersion":
		return nil, func(x *txContext) any { return uint64(x.specV) }, true
	case "CheckTxVersion":
		return nil, func(x *txContext) any { return uint64(x.txVersion) }, true
	case "CheckGenesis":
		return nil, func(x *txContext) any { return x.genesis[:] }, true
	case "CheckMortality", "CheckEra":
		return func(x *txContext) any { return metadata.Raw(x.era[:x.eraLen]) }, func(x *txContext) any { return x.birth[:] }, true
	case "CheckNonce":
		return func(x *txContext) any { return uint64(x.nonce) }, nil, true
	case "ChargeTransactionPayment":
		return func(x *txContext) any { return x.tip }, nil, true
	case "ChargeAssetTxPayment":
		return func(x *txContext) any { return metadata.Tuple{x.tip, nil} }, nil, true
	case "CheckMetadataHash":
		return none, none, true // disabled
	}
	return nil, nil, false
}

// planExtensions looks up the extensions of a chain. One that we do not know makes signing impossible: it may change what a
// signature means.
func planExtensions(r *metadata.Registry) ([]extension, error) {
	list := r.Metadata().Extrinsic.SignedExtensions
	out := make([]extension, 0, len(list))
	for _, s := range list {
		extra, signed, ok := knownExtension(s.Identifier)
		if !ok {
			return nil, fmt.Errorf("%w %q (carries %s, signs %s)", ErrUnknownExtension, s.Identifier, r.TypeName(s.Type), r.TypeName(s.Additional))
		}
		if extra == nil && !r.IsEmpty(s.Type) || signed == nil && !r.IsEmpty(s.Additional) {
			return nil, fmt.Errorf("%w: %q carries %s and signs %s here", ErrUnknownExtension, s.Identifier, r.TypeName(s.Type), r.TypeName(s.Additional))
		}
		out = append(out, extension{s.Identifier, s.Type, s.Additional, extra, signed})
	}
	return out, nil
}

// mortalEra encodes an era of a period (a power of two) that begins at a block.
func mortalEra(period uint32, birth chain.BlockNumber) [2]byte {
	phase := uint32(birth) % period
	quantum := max(period>>12, 1)
	low := uint16(min(15, max(1, bits.TrailingZeros32(period)-1)))
	v := low | uint16(phase/quantum)<<4
	return [2]byte{byte(v), byte(v >> 8)}
}

// encodeCall encodes a call: the pallet's index, the call's index, its arguments. Of several forms the first is taken that the
// chain has and that its types take.
func (rt *runtime) encodeCall(call Call) ([]byte, error) {
	var first error
	for form := &call; form != nil; form = form.otherwise {
		p, v, err := rt.reg.Call(form.Pallet, form.Name)
		if err != nil || (!form.fits(v) && (call.otherwise != nil || form != &call)) {
			continue
		}
		args, err := rt.encodeInner(form.Args)
		if err != nil {
			return nil, err
		}
		e := scale.Encoder{Buf: make([]byte, 0, 256)}
		e.U8(p.Index)
		e.U8(v.Index)
		if err = rt.reg.EncodeFields(&e, v, args); err == nil {
			return e.Buf, nil
		}
		if first == nil {
			first = fmt.Errorf("substrate: %s.%s: %w", p.Name, v.Name, err)
		}
	}
	if first == nil {
		first = fmt.Errorf("substrate: call %s.%s: %w", call.Pallet, call.Name, chain.ErrNotOnThisChain)
	}
	return nil, first
}

// encodeInner encodes the calls within a call's arguments.
func (rt *runtime) encodeInner(args any) (any, error) {
	fields, ok := args.(metadata.Fields)
	if !ok {
		return args, nil
	}
	fields = slices.Clone(fields)
	for i := range fields {
		switch x := fields[i].Value.(type) {
		case inner:
			b, err := rt.encodeCall(x.call)
			if err != nil {
				return nil, err
			}
			fields[i].Value = metadata.Raw(b)
		case innerList:
			list := make([]metadata.Raw, len(x))
			for k := range x {
				b, err := rt.encodeCall(x[k])
				if err != nil {
					return nil, err
				}
				list[k] = b
			}
			fields[i].Value = list
		}
	}
	return fields, nil
}

// sign builds a signed transaction of a call.
func (rt *runtime) sign(s Signer, call []byte, x *txContext) ([]byte, error) {
	if rt.extErr != nil {
		return nil, rt.extErr
	}
	var extra, additional scale.Encoder
	for i := range rt.extensions {
		ext := &rt.extensions[i]
		if ext.extra != nil {
			if err := rt.reg.EncodeValue(&extra, ext.typ, ext.extra(x)); err != nil {
				return nil, fmt.Errorf("substrate: extension %s: %w", ext.name, err)
			}
		}
		if ext.signed != nil {
			if err := rt.reg.EncodeValue(&additional, ext.additional, ext.signed(x)); err != nil {
				return nil, fmt.Errorf("substrate: extension %s: %w", ext.name, err)
			}
		}
	}
	payload := make([]byte, 0, len(call)+len(extra.Buf)+len(additional.Buf))
	payload = append(payload, call...)
	payload = append(payload, extra.Buf...)
	payload = append(payload, additional.Buf...)
	sig, err := s.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("substrate: sign: %w", err)
	}
	return rt.assemble(s, sig, extra.Buf, call)
}

// assemble puts a transaction together. Where the chain's addresses and signatures are enums, theirs is the case by name.
func (rt *runtime) assemble(s Signer, sig, extra, call []byte) ([]byte, error) {
	var body scale.Encoder
	body.U8(signedBit | extrinsicVersion)
	if err := rt.enumCase(&body, rt.reg.Metadata().Extrinsic.Address, "Id"); err != nil {
		return nil, err
	}
	body.Raw(addressOf(s))
	scheme := map[SignatureScheme]string{account.Ed25519: "Ed25519", account.Sr25519: "Sr25519", account.ECDSA: "Ecdsa", account.Ethereum: "Eth"}[s.Scheme()]
	if err := rt.enumCase(&body, rt.reg.Metadata().Extrinsic.Signature, scheme); err != nil {
		return nil, err
	}
	body.Raw(sig)
	body.Raw(extra)
	body.Raw(call)
	var out scale.Encoder
	out.Bytes(body.Buf)
	return out.Buf, nil
}

// enumCase writes the index of a case if the type is an enum, and nothing if it is not.
func (rt *runtime) enumCase(e *scale.Encoder, id metadata.TypeID, name string) error {
	t := rt.reg.Type(id)
	if t == nil || t.Kind != metadata.KindVariant {
		return nil
	}
	for i := range t.Variants {
		if t.Variants[i].Name == name {
			e.U8(t.Variants[i].Index)
			return nil
		}
	}
	return fmt.Errorf("substrate: sign: %s has no case %s: %w", rt.reg.TypeName(id), name, chain.ErrNotOnThisChain)
}

// accountParam is an account as JSON-RPC takes it: 0x-hex of 20 bytes, or SS58 with the chain's prefix.
func (rt *runtime) accountParam(address []byte) string {
	if len(address) == len(chain.AccountID{}) {
		return fmt.Sprintf("0x%x", address)
	}
	prefix := uint16(42) // of chains that do not say
	if c, err := rt.reg.Constant("System", "SS58Prefix"); err == nil && len(c.Value) == 2 {
		prefix = binary.LittleEndian.Uint16(c.Value)
	}
	return account.SS58(prefix, address)
}

// hashOf is the hash by which a chain knows an extrinsic.
func hashOf(xt []byte) chain.Hash { return blake2b.Sum256(xt) }
