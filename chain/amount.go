package chain

import (
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Balance is an amount in planck; [OneTensor] planck are 1 TENSOR.
type Balance = u128.U128

// Score is the weight that a validator gives to a node; only ratios matter, and 1e18 is the usual whole.
type Score = u128.U128

const decimals = 18 // of TENSOR

// OneTensor is 1 TENSOR in planck, and 100 % where a share is meant.
func OneTensor() Balance { return u128.From64(1e18) }

// Tensor is n whole TENSOR in planck.
func Tensor(n uint64) Balance { return u128.From64(n).SatMul(OneTensor()) }

// ParseTensor reads an exact decimal amount: "100", "0.5", "1.25 TENSOR". More than 18 decimals, signs, exponents and
// separators are refused with [ErrSyntax], because rounding somebody's money is not ours to do.
func ParseTensor(s string) (Balance, error) {
	bad := func(why string) (Balance, error) {
		return Balance{}, fmt.Errorf("%w amount %.60q: %s", ErrSyntax, s, why)
	}
	text := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "TENSOR"))
	whole, fraction, dotted := strings.Cut(text, ".")
	if whole == "" || dotted && fraction == "" {
		return bad(`want digits such as 1.5`)
	}
	if len(fraction) > decimals {
		return bad("at most 18 decimals")
	}
	x, err := u128.Parse(strings.TrimLeft(whole+fraction+strings.Repeat("0", decimals-len(fraction)), "0"))
	if err != nil {
		if strings.Trim(whole+fraction, "0") == "" {
			return Balance{}, nil
		}
		return bad("want digits such as 1.5, below 2^128 planck")
	}
	return x, nil
}

// FormatTensor writes an amount exactly, without trailing zeros and with its unit: "1.5 TENSOR".
func FormatTensor(b Balance) string {
	whole, fraction := b.DivMod(OneTensor())
	if fraction.IsZero() {
		return whole.String() + " TENSOR"
	}
	return fmt.Sprintf("%s.%s TENSOR", whole, strings.TrimRight(fmt.Sprintf("%018d", fraction.Lo), "0"))
}
