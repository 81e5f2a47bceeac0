package frame

import (
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// ErrorKind is the variant of a DispatchError; the values are those of the wire
// form.
type ErrorKind uint8

// The kinds that the engine uses.
const (
	KindOther             ErrorKind = 0
	KindBadOrigin         ErrorKind = 2
	KindModule            ErrorKind = 3
	KindConsumerRemaining ErrorKind = 4
	KindNoProviders       ErrorKind = 5
	KindToken             ErrorKind = 7
	KindArithmetic        ErrorKind = 8
)

// DispatchError is why a call failed. It is comparable.
type DispatchError struct {
	Kind   ErrorKind
	Pallet uint8 // of KindModule
	Code   uint8 // of KindModule, KindToken and KindArithmetic
}

// Error implements error.
func (e DispatchError) Error() string {
	return fmt.Sprintf("dispatch error %d (pallet %d, code %d)", e.Kind, e.Pallet, e.Code)
}

// Encode appends the wire form.
func (e DispatchError) Encode(w *scale.Encoder) {
	w.U8(uint8(e.Kind))
	switch e.Kind {
	case KindModule:
		w.Raw([]byte{e.Pallet, e.Code, 0, 0, 0})
	case KindToken, KindArithmetic:
		w.U8(e.Code)
	}
}

// Errors that pallets share.
const (
	TokenFundsUnavailable = 0
	TokenOnlyProvider     = 1
	TokenBelowMinimum     = 2
	TokenFrozen           = 5
	TokenNotExpendable    = 8

	ArithmeticUnderflow = 0
	ArithmeticOverflow  = 1
)

// BadOrigin is returned when the caller may not make the call.
func BadOrigin() error { return DispatchError{Kind: KindBadOrigin} }

// Token returns a TokenError.
func Token(code uint8) error { return DispatchError{Kind: KindToken, Code: code} }

// Arithmetic returns an ArithmeticError.
func Arithmetic(code uint8) error { return DispatchError{Kind: KindArithmetic, Code: code} }

// Module returns the error of a pallet.
func Module(pallet, code uint8) error {
	return DispatchError{Kind: KindModule, Pallet: pallet, Code: code}
}

// OriginKind says who dispatches a call.
type OriginKind uint8

// The kinds of origins.
const (
	OriginNone OriginKind = iota // an inherent
	OriginSigned
	OriginRoot
)

// Origin is who dispatches a call.
type Origin struct {
	Kind   OriginKind
	Signer chain.AccountID // of OriginSigned
}

// Signed is the origin of an account.
func Signed(who chain.AccountID) Origin { return Origin{OriginSigned, who} }

// Root is the origin that may do everything.
func Root() Origin { return Origin{Kind: OriginRoot} }

// EnsureSigned returns the signer.
func (o Origin) EnsureSigned() (chain.AccountID, error) {
	if o.Kind != OriginSigned {
		return chain.AccountID{}, BadOrigin()
	}
	return o.Signer, nil
}

// EnsureRoot fails for anybody but root.
func (o Origin) EnsureRoot() error {
	if o.Kind != OriginRoot {
		return BadOrigin()
	}
	return nil
}
