package kad

import "math"

const (
	minCrowd  = 4    // contacts; fewer lie close together by chance too often
	alarming  = 1e-7 // odds at which nobody needs to ask whether it was chance
	oddCrowd  = 5e-3 // odds at which a place is looked at again; with the next, one honest place in ten
	oddGap    = 0.02 // likewise: colluders that are two in five of all nodes lie only that far apart
	farEnough = 1.4  // times nearer or farther than expected: within it the odds are above all limits
)

// Crowded reports whether contacts, sorted by their distance from target, lie so near to it
// that chance cannot be the reason in a swarm of size nodes: somebody chose their places.
// Not all contacts around target need to be among them.
func Crowded(target ID, nearest []Contact, size float64) bool {
	return crowdOdds(target, nearest, size) < alarming
}

// crowdOdds returns how likely chance puts contacts as near to target as these are, in a
// swarm of size nodes: the smallest of the odds of the nearest 4, 5, 6 and so on, so that
// few very near ones show as well as many that are rather near. It is 1 when nothing is
// remarkable or size is unknown.
func crowdOdds(target ID, nearest []Contact, size float64) float64 {
	odds := 1.0
	if size <= 0 {
		return odds
	}
	for n := minCrowd; n <= len(nearest); n++ {
		if mean := size * target.Xor(nearest[n-1].ID).Fraction(); farEnough*mean < float64(n) {
			odds = min(odds, atLeast(n, mean))
		}
	}
	return odds
}

// crowdAt returns how many of the contacts around target are its crowd: the nearest ones
// whose number is the most surprising, 0 if it is none.
func crowdAt(target ID, nearest []Contact, size float64) (crowd int) {
	least := oddCrowd
	for n := minCrowd; n <= len(nearest) && size > 0; n++ {
		mean := size * target.Xor(nearest[n-1].ID).Fraction()
		if farEnough*mean > float64(n) {
			continue
		}
		if odds := atLeast(n, mean); odds < least {
			least, crowd = odds, n
		}
	}
	return crowd
}

// gapOdds returns how likely chance puts contacts as far from target as these are, likewise
// for the nearest 8 and more. A list shorter than wanted goes on at the end of the space.
func gapOdds(target ID, nearest []Contact, size float64, wanted int) float64 {
	odds := 1.0
	if size <= 0 {
		return odds
	}
	for n := minObserved; n <= len(nearest); n++ {
		if mean := size * target.Xor(nearest[n-1].ID).Fraction(); mean > farEnough*float64(n) {
			odds = min(odds, atMost(n-1, mean))
		}
	}
	if n := len(nearest) + 1; n <= wanted && size > farEnough*float64(n) { // the asker is one, too
		odds = min(odds, atMost(n, size))
	}
	return odds
}

// atLeast returns the probability of n or more random points where mean < n are expected.
func atLeast(n int, mean float64) float64 {
	term := poisson(n, mean)
	sum := term
	for k := n + 1; term > sum/1000; k++ {
		term *= mean / float64(k)
		sum += term
	}
	return sum
}

// atMost returns the probability of n or fewer random points where mean > n are expected.
func atMost(n int, mean float64) float64 {
	term := poisson(n, mean)
	sum := term
	for k := n; k > 0 && term > sum/1000; k-- {
		term *= float64(k) / mean
		sum += term
	}
	return sum
}

// poisson returns the probability of exactly n random points where mean are expected.
func poisson(n int, mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	lg, _ := math.Lgamma(float64(n) + 1)
	return math.Exp(float64(n)*math.Log(mean) - mean - lg)
}
