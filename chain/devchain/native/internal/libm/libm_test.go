package libm_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/libm"
)

// ulps is the distance of two floats in units of the last place.
func ulps(a, b float64) uint64 {
	x, y := math.Float64bits(a), math.Float64bits(b)
	if x > y {
		return x - y
	}
	return y - x
}

// The results stay within a few units of the last place of Go's own functions,
// which are about as exact.
func TestAgainstMath(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		x := r.NormFloat64() * 50
		if got, want := libm.Exp(x), math.Exp(x); ulps(got, want) > 2 {
			t.Fatalf("Exp(%v) = %v, math says %v", x, got, want)
		}
		x, y := r.ExpFloat64()*math.Pow(10, float64(r.IntN(24))), r.NormFloat64()*4
		if r.IntN(2) == 0 {
			x = r.Float64()
		}
		// math.Pow multiplies repeatedly and drifts.
		if got, want := libm.Pow(x, y), math.Pow(x, y); ulps(got, want) > 40 {
			t.Fatalf("Pow(%v, %v) = %v, math says %v", x, y, got, want)
		}
	}
}

func TestSpecialValues(t *testing.T) {
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1e300, -1e300, 1e-310, math.Inf(1), math.Inf(-1), math.NaN(),
		math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 4503599627370497.5, 1 + 1e-10, 1 - 1e-10, 5e9, -5e9, 1e20, -1e20,
	}
	same := func(a, b float64) bool {
		return math.IsNaN(a) && math.IsNaN(b) || a == b && math.Signbit(a) == math.Signbit(b) || math.Abs(a-b) <= 1e-8*math.Abs(b)
	}
	for _, x := range values {
		if got, want := libm.Exp(x), math.Exp(x); !same(got, want) {
			t.Errorf("Exp(%v) = %v, want %v", x, got, want)
		}
		for _, y := range values {
			if got, want := libm.Pow(x, y), math.Pow(x, y); !same(got, want) {
				t.Errorf("Pow(%v, %v) = %v, want %v", x, y, got, want)
			}
		}
	}
}

// The first value is the proposer's reward factor one tenth into an epoch as
// the chain computed it; the second an attester's.
func ExampleExp() {
	d := libm.Exp(20 * 0.4)
	fmt.Println(uint64(d / (1 + d) * 1e18))
	p, least := 111111111111111111/1e18, 0.33
	fmt.Println(uint64((least + (1-least)*(1-libm.Pow(p, 10))) * 1e18))
	// Output:
	// 999664649869533568
	// 999999999807845760
}
