package native

import (
	"errors"
	"math"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const (
	baseWeight       = 108_157_000 // of every transaction, and with that its least fee in planck
	operationalBonus = 5
)

// blockLimit is the weight that a block may have: two seconds in picoseconds.
func blockLimit() weight { return weight{2_000_000_000_000, math.MaxUint64} }

// classLimits bound what one class of extrinsics may take of a block.
type classLimits struct {
	length int    // bytes of all
	one    weight // one extrinsic
	all    weight // all of them
	spare  weight // what they may take in a full block
}

func limitsOf(c class) classLimits {
	switch c {
	case classNormal:
		return classLimits{
			length: 3_932_160, one: weight{1_299_891_843_000, 0xa666666666666666}, all: weight{1_500_000_000_000, 0xbfffffffffffffff},
		}
	case classOperational:
		return classLimits{
			length: maxExtrinsic, one: weight{1_799_891_843_000, 0xe666666666666666}, all: blockLimit(),
			spare: weight{500_000_000_000, 0x4000000000000000},
		}
	case classMandatory:
	}
	return classLimits{length: maxExtrinsic, one: blockLimit(), all: blockLimit(), spare: blockLimit()}
}

// exhausts reports whether a transaction is too large for any block.
func (xt *extrinsic) exhausts() bool {
	l := limitsOf(xt.call.class)
	return xt.call.weight.above(l.one) || xt.size > l.length
}

// fits reports whether a transaction fits into what is left of the block.
func (e *Engine) fits(st frame.State, xt *extrinsic) bool {
	l := limitsOf(xt.call.class)
	spent := e.spent.Get(st)
	mine := spent[xt.call.class].plus(xt.call.weight).plus(weight{baseWeight, uint64(xt.size)})
	spent[xt.call.class] = mine
	total := spent[classNormal].plus(spent[classOperational]).plus(spent[classMandatory])
	full := total.above(blockLimit()) && mine.above(l.spare)
	return !mine.above(l.all) && !full && int(e.system.AllExtrinsicsLen.Get(st))+xt.size <= l.length
}

// hooksWeight is what every block costs before its first extrinsic: the chain's
// pallets report it whatever they did.
func hooksWeight() weight { return weight{1_472_516_728, 111_976} }

// ValidateTx implements devchain.Engine.
func (e *Engine) ValidateTx(st devchain.State, b []byte) (devchain.Validity, error) {
	xt, err := e.decodeExtrinsic(b)
	if err != nil {
		return devchain.Validity{}, err
	}
	switch {
	case xt.call.class == classMandatory:
		return devchain.Validity{}, devchain.NewTxError(devchain.TxMandatory)
	case !xt.signed:
		return devchain.Validity{}, devchain.NewTxError(devchain.TxNoUnsigned)
	}
	next := uint64(e.system.Number.Get(st)) + 1
	account, err := e.check(st, xt, next)
	if err != nil {
		return devchain.Validity{}, err
	}
	f := fees(xt)
	if !f.total().IsZero() {
		if err := e.balances.CanWithdraw(st, xt.signer, f.total(), true); err != nil {
			return devchain.Validity{}, devchain.NewTxError(devchain.TxPayment)
		}
	}
	v := devchain.Validity{
		Priority: priority(xt), Provides: [][]byte{nonceTag(xt.signer, xt.nonce)}, Longevity: xt.era.life(next), Propagate: true,
	}
	if xt.nonce > account.Nonce {
		v.Requires = [][]byte{nonceTag(xt.signer, xt.nonce-1)}
	}
	return v, nil
}

func nonceTag(who chain.AccountID, nonce uint32) []byte {
	return append(append([]byte(nil), who[:]...), frame.U32().Encode(nonce)...)
}

// check makes the checks that pool and block share, in the order of the
// runtime. number is the block that the transaction would be in.
func (e *Engine) check(st frame.State, xt *extrinsic, number uint64) (frame.AccountInfo, error) {
	birth, born := e.system.BlockHash.Find(st, uint32(xt.era.birth(number)))
	genesis := e.system.BlockHash.Get(st, 0)
	var account frame.AccountInfo
	switch {
	case !born:
		return account, devchain.NewTxError(devchain.TxAncientBirthBlock)
	case !xt.impersonates(st) && !xt.checkSignature(e.version, genesis, birth):
		return account, devchain.NewTxError(devchain.TxBadProof)
	case xt.signer.IsZero():
		return account, devchain.NewTxError(devchain.TxBadSigner)
	}
	account = e.system.Account.Get(st, xt.signer)
	switch {
	case account.Providers == 0 && account.Sufficients == 0: // the nonce could not be kept
		return account, devchain.NewTxError(devchain.TxPayment)
	case xt.nonce < account.Nonce:
		return account, devchain.NewTxError(devchain.TxStale)
	case xt.exhausts():
		return account, devchain.NewTxError(devchain.TxExhausted)
	}
	return account, nil
}

// prepare takes the nonce and the fee.
func (e *Engine) prepare(st frame.State, xt *extrinsic, f fee) error {
	account := e.system.Account.Get(st, xt.signer)
	if !e.fits(st, xt) {
		return devchain.NewTxError(devchain.TxExhausted)
	}
	if xt.nonce > account.Nonce {
		return devchain.NewTxError(devchain.TxFuture)
	}
	account.Nonce++
	e.system.Account.Set(st, xt.signer, account)
	if f.total().IsZero() {
		return nil
	}
	if err := e.balances.TakeFee(st, xt.signer, f.total()); err != nil {
		return devchain.NewTxError(devchain.TxPayment)
	}
	return nil
}

// priority favours transactions of which many fit into a block, scaled by the
// tip, and operational ones also by their fee.
func priority(xt *extrinsic) uint64 {
	w, limit := xt.call.weight, blockLimit()
	longest := uint64(limitsOf(xt.call.class).length)
	perBlock := u128.From64(min(
		limit.ref/min(max(w.ref, 1), limit.ref), limit.proof/max(w.proof, 1), longest/min(max(uint64(xt.size), 1), longest),
	))
	p := xt.tip.SatAdd(u128.From64(1)).SatMul(perBlock)
	if xt.call.class == classOperational {
		p = p.SatAdd(fees(xt).total().SatMul(u128.From64(operationalBonus)).SatMul(perBlock))
	}
	if p.Hi != 0 {
		return math.MaxUint64
	}
	return p.Lo
}

// fee is what a transaction pays: base, length and weight, and the tip.
type fee struct{ base, length, weight, tip u128.U128 }

func (f fee) inclusion() u128.U128 { return f.base.SatAdd(f.length).SatAdd(f.weight) }

func (f fee) total() u128.U128 { return f.inclusion().SatAdd(f.tip) }

func fees(xt *extrinsic) fee {
	f := fee{tip: xt.tip}
	if !xt.call.free {
		f.base = u128.From64(baseWeight)
		f.length = u128.From64(uint64(xt.size))
		f.weight = u128.From64(xt.call.weight.ref)
	}
	return f
}

const transactionPaymentIndex = 5

// settleFee refunds what the call did not cost.
func (e *Engine) settleFee(st frame.State, xt *extrinsic, paid fee, actual weight, free bool) {
	due := paid
	due.weight = u128.From64(actual.ref)
	if free {
		due = fee{tip: paid.tip}
	}
	if !paid.total().IsZero() {
		e.balances.SettleFee(st, xt.signer, paid.total(), due.total())
	}
	ev := frame.NewEvent(transactionPaymentIndex, 0)
	ev.Raw(xt.signer[:])
	ev.U128(due.total())
	ev.U128(due.tip)
	e.system.Deposit(st, ev.Buf)
}

// asTxError is the refusal in err, if any.
func asTxError(err error) (*devchain.TxError, bool) {
	var refused *devchain.TxError
	return refused, errors.As(err, &refused)
}
