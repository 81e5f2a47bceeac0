package native

import (
	"bytes"
	"errors"

	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/sha3"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const (
	extrinsicVersion = 4 // of signed transactions
	bareVersion      = 5 // of inherents
	signedBit        = 0x80
	maxCallDepth     = 32      // of calls within calls
	maxCallAlloc     = 8 << 20 // bytes while decoding
	maxExtrinsic     = 5 << 20 // bytes of a block
	longPayload      = 256     // above this many bytes the hash is signed
)

// extrinsic is a decoded transaction or inherent.
type extrinsic struct {
	size      int // of the encoded form, with its length
	signed    bool
	signer    chain.AccountID
	signature [65]byte
	era       era
	nonce     uint32
	tip       u128.U128
	call      *call
	payload   []byte // call and extra, which the signer signs
}

// decodeExtrinsic reads an extrinsic with its compact length.
func (e *Engine) decodeExtrinsic(b []byte) (*extrinsic, error) {
	outer := scale.NewLimitedDecoder(b, maxCallDepth, maxCallAlloc)
	body := outer.BytesView()
	if err := outer.Finish(); err != nil || len(b) > maxExtrinsic {
		return nil, devchain.NewTxError(devchain.TxUndecodable)
	}
	d := scale.NewLimitedDecoder(body, maxCallDepth, maxCallAlloc)
	xt := &extrinsic{size: len(b)}
	var extra []byte
	switch d.U8() {
	case extrinsicVersion, bareVersion:
	case extrinsicVersion | signedBit:
		xt.signed = true
		xt.signer = frame.Account().Dec(d)
		d.Raw(xt.signature[:])
		start := d.Pos()
		xt.era = decodeEra(d)
		xt.nonce = d.CompactU32()
		xt.tip = d.CompactU128()
		if d.Err() == nil {
			extra = body[start:d.Pos()]
		}
	default:
		return nil, devchain.NewTxError(devchain.TxUndecodable)
	}
	start := d.Pos()
	xt.call = e.decodeCall(d)
	if err := d.Finish(); errors.Is(err, frame.ErrUnsorted) {
		return nil, devchain.NewTxError(devchain.TxBadProof)
	} else if err != nil {
		return nil, devchain.NewTxError(devchain.TxUndecodable)
	}
	xt.payload = append(append([]byte(nil), body[start:]...), extra...)
	return xt, nil
}

// era is how long a transaction may be included; the zero value is for ever.
type era struct{ period, phase uint64 }

// decodeEra reads one byte for ever, or two for a period and phase.
func decodeEra(d *scale.Decoder) era {
	first := d.U8()
	if first == 0 {
		return era{}
	}
	code := uint64(first) | uint64(d.U8())<<8
	period := uint64(2) << (code % 16)
	phase := (code >> 4) * max(period>>12, 1)
	if period < 4 || phase >= period {
		d.Fail(scale.ErrMalformed, "impossible era")
	}
	return era{period, phase}
}

// birth is the first block in which a transaction seen at current is valid.
func (a era) birth(current uint64) uint64 {
	if a.period == 0 {
		return 0
	}
	return (max(current, a.phase)-a.phase)/a.period*a.period + a.phase
}

// life is how many blocks the transaction has left.
func (a era) life(current uint64) uint64 {
	if a.period == 0 {
		return ^uint64(0) - current
	}
	end := a.birth(current) + a.period
	return end - min(current, end)
}

// checkSignature verifies the signature over call, extra and what the
// transaction signs in addition.
func (xt *extrinsic) checkSignature(v devchain.RuntimeVersion, genesis, birth chain.Hash) bool {
	msg := scale.Encoder{Buf: append([]byte(nil), xt.payload...)}
	msg.U32(v.SpecVersion)
	msg.U32(v.TransactionVersion)
	msg.Raw(genesis[:])
	msg.Raw(birth[:])
	signed := msg.Buf
	if len(signed) > longPayload {
		sum := blake2b.Sum256(signed)
		signed = sum[:]
	}
	who, ok := recoverSigner(keccak256(signed), xt.signature)
	return ok && who == xt.signer
}

// impersonates reports whether the developer let the signer in without a
// signature.
func (xt *extrinsic) impersonates(st devchain.State) bool {
	return bytes.Equal(xt.signature[:], devchain.ImpersonatedSignature()) && st.Get(devchain.ImpersonateKey(xt.signer[:])) != nil
}

func keccak256(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	_, _ = h.Write(b) // never fails
	return h.Sum(nil)
}

// recoverSigner returns the account whose key made a signature r, s, v with v
// from 0 or from 27.
func recoverSigner(hash []byte, sig [65]byte) (chain.AccountID, bool) {
	v := sig[64]
	if v >= 27 {
		v -= 27
	}
	if v > 3 {
		return chain.AccountID{}, false
	}
	compact := append([]byte{27 + v}, sig[:64]...)
	key, _, err := ecdsa.RecoverCompact(compact, hash)
	if err != nil {
		return chain.AccountID{}, false
	}
	return chain.AccountID(keccak256(key.SerializeUncompressed()[1:])[12:]), true
}
