package network

import (
	"math"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/libm"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const oneFloat = 1e18 // one whole, as a float

// one is one whole: 100 %, or one TENSOR.
func one() u128.U128 { return u128.From64(1e18) }

// percentMul is x*y/1e18 rounded down.
func percentMul(x, y u128.U128) u128.U128 { return x.MulDiv(y, one()) }

// percentDiv is x*1e18/y rounded down, and 0 when either is 0.
func percentDiv(x, y u128.U128) u128.U128 {
	if y.IsZero() {
		return y
	}
	return x.MulDiv(one(), y)
}

// ratio is percentDiv of counts.
func ratio[T uint32 | int](x, y T) u128.U128 {
	return percentDiv(u128.From64(uint64(x)), u128.From64(uint64(y)))
}

func minU128(a, b u128.U128) u128.U128 {
	if a.Less(b) {
		return a
	}
	return b
}

func maxU128(a, b u128.U128) u128.U128 {
	if a.Less(b) {
		return b
	}
	return a
}

func absDiff(a, b u128.U128) u128.U128 { return a.SatSub(b).SatAdd(b.SatSub(a)) }

// toFloat is a percentage as a fraction.
func toFloat(v u128.U128) float64 { return v.Float64() / oneFloat }

// fromFloat is a fraction as a percentage.
func fromFloat(f float64) u128.U128 { return u128.FromFloat64(float64(f * oneFloat)) }

func clamp(f, low, high float64) float64 {
	switch {
	case f < low:
		return low
	case f > high:
		return high
	}
	return f // NaN stays NaN
}

// sigmoidDecreasing falls from 1 to 0 around mid with steepness k.
func sigmoidDecreasing(x, mid, k float64) float64 {
	e := libm.Exp(float64(k * math.Abs(x-mid)))
	if x > mid {
		return clamp(1/(1+e), 0, 1)
	}
	return clamp(e/(1+e), 0, 1)
}

// concaveDecreasing falls from 1 to least, slowly at first.
func concaveDecreasing(x, least, power float64) float64 {
	if power <= 0 {
		power = 1
	}
	curve := 1 - libm.Pow(x, power)
	return clamp(least+float64((1-least)*curve), least, 1)
}

// toShares converts a balance of a pool into shares of it. The offsets make the
// first depositor's share price unprofitable to manipulate.
func toShares(balance, shares, pool u128.U128) u128.U128 {
	if shares.IsZero() {
		return balance
	}
	return mulDivPlus(balance, shares, 10, pool, 1)
}

// toBalance converts shares of a pool into balance.
func toBalance(amount, shares, pool u128.U128) u128.U128 {
	if shares.IsZero() {
		return amount
	}
	return mulDivPlus(amount, pool, 1, shares, 10)
}

// mulDivPlus is x*(m+dm)/(d+dd), saturating.
func mulDivPlus(x, m u128.U128, dm uint64, d u128.U128, dd uint64) u128.U128 {
	mul, over1 := m.Add(u128.From64(dm))
	div, over2 := d.Add(u128.From64(dd))
	if over1 || over2 { // beyond any supply
		return u128.Max()
	}
	return x.MulDiv(mul, div)
}

// raise moves a reputation towards one by factor of the distance.
func raise(reputation, factor u128.U128) u128.U128 {
	delta := percentMul(one().SatSub(reputation), minU128(factor, one()))
	return minU128(reputation.SatAdd(delta), one())
}

// lower takes factor off a reputation.
func lower(reputation, factor u128.U128) u128.U128 {
	return reputation.SatSub(percentMul(reputation, minU128(factor, one())))
}
