package libm

import "math"

const lowWord = 1<<32 - 1

// head clears the low 32 bits of x.
func head(x float64) float64 { return math.Float64frombits(math.Float64bits(x) &^ lowWord) }

// fromHigh is the number with these high 32 bits.
func fromHigh(h uint32) float64 { return math.Float64frombits(uint64(h) << 32) }

// Pow returns x**y.
func Pow(x, y float64) float64 {
	hx, lx := uint32(math.Float64bits(x)>>32), uint32(math.Float64bits(x))
	hy, ly := uint32(math.Float64bits(y)>>32), uint32(math.Float64bits(y))
	ix, iy := hx&0x7fffffff, hy&0x7fffffff
	switch {
	case y == 0 || x == 1:
		return 1
	case math.IsNaN(x) || math.IsNaN(y):
		return x + y
	}
	if ly == 0 {
		switch {
		case iy == 0x7ff00000: // infinite
			switch {
			case ix == 0x3ff00000 && lx == 0:
				return 1
			case ix >= 0x3ff00000 == (hy>>31 == 0):
				return math.Inf(1)
			}
			return 0
		case hy == 0x3ff00000:
			return x
		case hy == 0xbff00000:
			return 1 / x
		case hy == 0x40000000:
			return float64(x * x)
		case hy == 0x3fe00000 && hx>>31 == 0:
			return math.Sqrt(x)
		}
	}
	ax := math.Abs(x)
	sign := 1.0
	if hx>>31 != 0 {
		switch parity(iy, ly) {
		case odd:
			sign = -1
		case fraction:
			if ix != 0 && ix != 0x7ff00000 {
				return math.NaN()
			}
		}
	}
	if lx == 0 && (ix == 0x7ff00000 || ix == 0 || ix == 0x3ff00000) { // infinite, 0, -1
		if hy>>31 != 0 {
			ax = 1 / ax
		}
		return sign * ax
	}
	var t1, t2 float64
	if iy > 0x41e00000 { // |y| > 2**31
		switch {
		case ix < 0x3fefffff || ix <= 0x3fefffff && iy > 0x43f00000:
			return sign * overflow(hy>>31 != 0)
		case ix > 0x3ff00000 || ix >= 0x3ff00000 && iy > 0x43f00000:
			return sign * overflow(hy>>31 == 0)
		}
		t1, t2 = log2Near1(ax)
	} else {
		t1, t2 = log2(ax, ix)
	}
	// (y1+y2)*(t1+t2)
	y1 := head(y)
	pl := float64((y-y1)*t1) + float64(y*t2)
	return sign * exp2(float64(y1*t1), pl)
}

// overflow is an infinity or a zero.
func overflow(over bool) float64 {
	if over {
		return math.Inf(1)
	}
	return 0
}

type parityKind uint8

const (
	fraction parityKind = iota
	odd
	even
)

// parity says whether a number with these words, sign removed, is an odd or
// even integer or none.
func parity(high, low uint32) parityKind {
	bits := uint64(high)<<32 | uint64(low)
	exponent := int(bits>>52) - 1023
	switch {
	case exponent > 52:
		return even
	case exponent < 0:
		return fraction
	}
	mantissa := bits&(1<<52-1) | 1<<52
	if mantissa&(1<<(52-exponent)-1) != 0 {
		return fraction
	}
	if mantissa>>(52-exponent)&1 != 0 {
		return odd
	}
	return even
}

// log2Near1 returns log2(ax) in two parts for ax within 2**-20 of 1.
func log2Near1(ax float64) (t1, t2 float64) {
	const (
		ivLn2  = 1.44269504088896338700e+00
		ivLn2H = 1.44269502162933349609e+00
		ivLn2L = 1.92596299112661746887e-08
	)
	t := ax - 1
	w := float64(float64(t*t) * (0.5 - float64(t*(0.3333333333333333333333-float64(t*0.25)))))
	u := float64(ivLn2H * t)
	v := float64(t*ivLn2L) - float64(w*ivLn2)
	t1 = head(u + v)
	return t1, v - (t1 - u)
}

// log2 returns log2(ax) in two parts; ix is the high word of ax.
func log2(ax float64, ix uint32) (t1, t2 float64) {
	const (
		l1  = 5.99999999999994648725e-01
		l2  = 4.28571428578550184252e-01
		l3  = 3.33333329818377432918e-01
		l4  = 2.72728123808534006489e-01
		l5  = 2.30660745775561754067e-01
		l6  = 2.06975017800338417784e-01
		cp  = 9.61796693925975554329e-01  // 2/(3 ln2)
		cpH = 9.61796700954437255859e-01  // its head
		cpL = -7.02846165095275826516e-09 // its tail
	)
	bp, dpH, dpL := 1.0, 0.0, 0.0
	n := 0
	if ix < 0x00100000 { // subnormal
		ax *= 1 << 53
		n = -53
		ix = uint32(math.Float64bits(ax) >> 32)
	}
	n += int(ix>>20) - 1023
	j := ix & 0x000fffff
	ix = j | 0x3ff00000
	k := uint32(0)
	switch {
	case j <= 0x3988e: // below sqrt(3/2)
	case j < 0xbb67a: // below sqrt(3)
		k = 1
		bp, dpH, dpL = 1.5, 5.84962487220764160156e-01, 1.35003920212974897128e-08
	default:
		n++
		ix -= 0x00100000
	}
	ax = math.Float64frombits(uint64(ix)<<32 | math.Float64bits(ax)&lowWord)
	// ss = sh+sl = (ax-bp)/(ax+bp)
	u := ax - bp
	v := 1 / (ax + bp)
	ss := float64(u * v)
	sh := head(ss)
	th := fromHigh(ix>>1 | 0x20000000 + 0x00080000 + k<<18)
	tl := ax - (th - bp)
	sl := float64(v * ((u - float64(sh*th)) - float64(sh*tl)))
	// log(ax)
	s2 := float64(ss * ss)
	r := l5 + float64(s2*l6)
	r = l4 + float64(s2*r)
	r = l3 + float64(s2*r)
	r = l2 + float64(s2*r)
	r = l1 + float64(s2*r)
	r = float64(float64(s2*s2) * r)
	r += float64(sl * (sh + ss))
	s2 = float64(sh * sh)
	th = head(3 + s2 + r)
	tl = r - ((th - 3) - s2)
	u = float64(sh * th)
	v = float64(sl*th) + float64(tl*ss)
	ph := head(u + v)
	pl := v - (ph - u)
	zh := float64(cpH * ph)
	zl := float64(cpL*ph) + float64(pl*cp) + dpL
	t := float64(n)
	t1 = head(((zh + zl) + dpH) + t)
	return t1, zl - (((t1 - t) - dpH) - zh)
}

// exp2 returns 2**(ph+pl).
func exp2(ph, pl float64) float64 {
	const (
		lg2  = 6.93147180559945286227e-01
		lg2H = 6.93147182464599609375e-01
		lg2L = -1.90465429995776804525e-09
		ovt  = 8.0085662595372944372e-017 // -(1024-log2(overflow+ulp/2))
	)
	z := pl + ph
	j := int32(math.Float64bits(z) >> 32)
	switch {
	case z > 1024 || z == 1024 && pl+ovt > z-ph:
		return math.Inf(1)
	case z < -1075 || z == -1075 && pl <= z-ph:
		return 0
	}
	i := j & 0x7fffffff
	n := int32(0)
	if i > 0x3fe00000 { // |z| > 1/2: n is z rounded
		n = j + 0x00100000>>(i>>20-1023+1)
		k := (n&0x7fffffff)>>20 - 1023
		t := fromHigh(uint32(n &^ (0x000fffff >> k)))
		n = (n&0x000fffff | 0x00100000) >> (20 - k)
		if j < 0 {
			n = -n
		}
		ph -= t
	}
	t := head(pl + ph)
	u := float64(t * lg2H)
	v := float64((pl-(t-ph))*lg2) + float64(t*lg2L)
	z = u + v
	w := v - (z - u)
	t1 := z - remez(float64(z*z))
	r := float64(z*t1)/(t1-2) - (w + float64(z*w))
	return math.Ldexp(1-(r-z), int(n))
}
