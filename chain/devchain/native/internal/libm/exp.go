package libm

import "math"

// Coefficients of the approximation of x*(exp(x)+1)/(exp(x)-1) on [0, ln2/2],
// shared by Exp and Pow.
const (
	p1 = 1.66666666666666019037e-01
	p2 = -2.77777777770155933842e-03
	p3 = 6.61375632143793436117e-05
	p4 = -1.65339022054652515390e-06
	p5 = 4.13813679705723846039e-08
)

// remez evaluates the polynomial t*(p1 + t*(p2 + ...)).
func remez(t float64) float64 {
	r := p4 + float64(t*p5)
	r = p3 + float64(t*r)
	r = p2 + float64(t*r)
	r = p1 + float64(t*r)
	return float64(t * r)
}

// Exp returns e**x.
func Exp(x float64) float64 {
	const (
		ln2Hi  = 6.93147180369123816490e-01
		ln2Lo  = 1.90821492927058770002e-10
		invLn2 = 1.44269504088896338700e+00
	)
	bits := math.Float64bits(x)
	negative := bits>>63 != 0
	high := uint32(bits>>32) & 0x7fffffff
	if high >= 0x4086232b { // |x| >= 708.39...
		switch {
		case math.IsNaN(x):
			return x
		case x > 709.782712893383973096:
			return math.Inf(1)
		case x < -745.13321910194110842:
			return 0
		}
	}
	var hi, lo float64
	k := 0
	switch {
	case high > 0x3fd62e42: // |x| > ln2/2
		switch {
		case high < 0x3ff0a2b2 && negative: // |x| < 1.5 ln2
			k = -1
		case high < 0x3ff0a2b2:
			k = 1
		case negative:
			k = int(float64(invLn2*x) - 0.5)
		default:
			k = int(float64(invLn2*x) + 0.5)
		}
		hi = x - float64(float64(k)*ln2Hi)
		lo = float64(float64(k) * ln2Lo)
		x = hi - lo
	case high > 0x3e300000: // |x| > 2**-28
		hi = x
	default:
		return 1 + x
	}
	c := x - remez(float64(x*x))
	y := 1 + (float64(x*c)/(2-c) - lo + hi)
	if k == 0 {
		return y
	}
	return math.Ldexp(y, k)
}
