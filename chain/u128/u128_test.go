package u128

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// edges are the words where carries and shifts go wrong.
var edges = []uint64{0, 1, 2, 9, 10, 1<<32 - 1, 1 << 32, 1<<53 - 1, 1<<53 + 1, 1e18, 1<<63 - 1, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}

func random(r *rand.Rand) U128 {
	word := func() uint64 {
		if r.IntN(3) == 0 {
			return edges[r.IntN(len(edges))]
		}
		return r.Uint64() >> r.IntN(64)
	}
	return U128{word(), word()}
}

// TestOracle compares every operation with math/big over generated inputs.
func TestOracle(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	mod := new(big.Int).Lsh(big.NewInt(1), 128)
	limit := new(big.Int).Sub(mod, big.NewInt(1))
	sat := func(x *big.Int) *big.Int {
		if x.Sign() < 0 {
			return new(big.Int)
		}
		if x.Cmp(limit) > 0 {
			return limit
		}
		return x
	}
	check := func(op string, got U128, want *big.Int, in ...U128) {
		t.Helper()
		if got.Big().Cmp(want) != 0 {
			t.Fatalf("seed %d: %s%v = %v, want %v", seed, op, in, got, want)
		}
	}
	for range 50_000 {
		x, y, z := random(r), random(r), random(r)
		X, Y, Z := x.Big(), y.Big(), z.Big()
		if got := x.Cmp(y); got != X.Cmp(Y) {
			t.Fatalf("Cmp(%v, %v) = %d", x, y, got)
		}
		sum := new(big.Int).Add(X, Y)
		s, over := x.Add(y)
		check("Add", s, new(big.Int).Mod(sum, mod), x, y)
		if over != (sum.Cmp(limit) > 0) {
			t.Fatalf("Add(%v, %v) overflow = %v", x, y, over)
		}
		check("SatAdd", x.SatAdd(y), sat(sum), x, y)
		diff := new(big.Int).Sub(X, Y)
		d, under := x.Sub(y)
		check("Sub", d, new(big.Int).Mod(diff, mod), x, y)
		if under != (diff.Sign() < 0) {
			t.Fatalf("Sub(%v, %v) underflow = %v", x, y, under)
		}
		check("SatSub", x.SatSub(y), sat(diff), x, y)
		prod := new(big.Int).Mul(X, Y)
		check("SatMul", x.SatMul(y), sat(prod), x, y)
		if !y.IsZero() {
			q, m := new(big.Int).DivMod(X, Y, new(big.Int))
			check("Div", x.Div(y), q, x, y)
			check("Mod", x.Mod(y), m, x, y)
		}
		if !z.IsZero() {
			check("MulDiv", x.MulDiv(y, z), sat(new(big.Int).Div(prod, Z)), x, y, z)
		}
		if got, want := x.String(), X.String(); got != want {
			t.Fatalf("String = %s, want %s", got, want)
		}
		if back, err := Parse(X.String()); err != nil || back != x {
			t.Fatalf("Parse(%s) = %v, %v", X, back, err)
		}
		want, _ := new(big.Float).SetPrec(53).SetMode(big.ToNearestEven).SetInt(X).Float64()
		if got := x.Float64(); got != want {
			t.Fatalf("Float64(%v) = %b, want %b", x, got, want)
		}
		if f := x.Float64(); f < 0x1p128 {
			whole, _ := new(big.Float).SetFloat64(f).Int(nil)
			check("FromFloat64", FromFloat64(f), whole, x)
		}
		if le := FromLE(x.AppendLE(nil)); le != x {
			t.Fatalf("little endian of %v came back as %v", x, le)
		}
		if back, ok := FromBig(X); !ok || back != x {
			t.Fatalf("FromBig(%v) = %v, %v", X, back, ok)
		}
	}
}

func TestFromFloat64Bounds(t *testing.T) {
	for f, want := range map[float64]U128{
		math.Inf(1): Max(), math.Inf(-1): {}, -1: {}, 0: {}, 0.999: {}, 1.999: From64(1), 0x1p128: Max(),
		0x1p127: {1 << 63, 0}, 0x1p64: {1, 0},
	} {
		if got := FromFloat64(f); got != want {
			t.Errorf("FromFloat64(%v) = %v, want %v", f, got, want)
		}
	}
	if got := FromFloat64(math.NaN()); !got.IsZero() {
		t.Errorf("FromFloat64(NaN) = %v", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "-1", "+1", "1.0", " 1", "0x1", "340282366920938463463374607431768211456", "9999999999999999999999999999999999999999"} {
		if x, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, x)
		}
	}
	if x, err := Parse("340282366920938463463374607431768211455"); err != nil || x != Max() {
		t.Errorf("Parse(max) = %v, %v", x, err)
	}
}

func TestJSONIsAString(t *testing.T) {
	b, err := json.Marshal(map[string]U128{"stake": MustParse("100000000000000000000")})
	if err != nil || string(b) != `{"stake":"100000000000000000000"}` {
		t.Fatalf("json = %s, %v", b, err)
	}
	var back map[string]U128
	if err := json.Unmarshal(b, &back); err != nil || back["stake"].String() != "100000000000000000000" {
		t.Fatalf("back = %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"stake":1}`), &back); err == nil {
		t.Error("a JSON number was taken for an amount")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0")
	f.Add("340282366920938463463374607431768211455")
	f.Fuzz(func(t *testing.T, s string) {
		x, err := Parse(s)
		if err != nil {
			return
		}
		if y, err := Parse(x.String()); err != nil || y != x {
			t.Fatalf("%q -> %v -> %v, %v", s, x, y, err)
		}
	})
}

func BenchmarkMulDiv(b *testing.B) {
	b.ReportAllocs()
	x, m, d := MustParse("101052017254498691117"), MustParse("999664649879593343"), MustParse("1000000000000000000")
	for b.Loop() {
		x.MulDiv(m, d)
	}
}

func ExampleU128_MulDiv() {
	stake := MustParse("100000000000000000000") // 100 TENSOR in planck
	percent := MustParse("31250000000000000")   // 3.125 %, where 1e18 is 100 %
	fmt.Println(stake.MulDiv(percent, MustParse("1000000000000000000")))
	// Output: 3125000000000000000
}
