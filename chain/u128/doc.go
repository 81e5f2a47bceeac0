// Package u128 is the 128-bit unsigned integer in which the chain counts: planck amounts, scores, shares and percentages.
//
// A [U128] is a comparable value of two words; arithmetic never allocates. Operations that can leave the range come in two
// forms: Add and Sub report it, SatAdd, SatSub and SatMul stop at the bounds as the chain's runtime does. [U128.MulDiv]
// computes floor(x*m/d) through 256 bits, which is the runtime's percentage multiplication.
//
// Conversions to and from float64 follow the runtime as well: to float rounds to nearest even, from float truncates and
// saturates, and NaN is zero. Nothing here depends on the platform's floating point beyond those two functions.
//
// In text and JSON a U128 is a decimal string, because JSON numbers lose digits past 2^53.
package u128
