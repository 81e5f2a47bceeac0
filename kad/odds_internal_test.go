package kad

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The tails are those of the Poisson distribution, summed the plain way.
func TestOddsOracle(t *testing.T) {
	for _, mean := range []float64{0.001, 0.3, 1, 2.5, 7, 13, 29, 60} {
		term, below := math.Exp(-mean), 0.0 // below: fewer than n
		for n := range 80 {
			if n > 0 {
				term *= mean / float64(n)
			}
			if float64(n) > mean && below < 1-1e-9 { // beyond it the difference has no digits left
				if got := atLeast(n, mean); math.Abs(got/(1-below)-1) > 0.01 {
					t.Errorf("%d or more of %v: %g, want %g", n, mean, got, 1-below)
				}
			}
			below += term
			if float64(n) < mean {
				if got := atMost(n, mean); math.Abs(got/below-1) > 0.01 {
					t.Errorf("%d or fewer of %v: %g, want %g", n, mean, got, below)
				}
			}
		}
	}
	if atLeast(5, 0) != 0 {
		t.Error("points where none are expected")
	}
}

// Honest places are rarely remarkable, never alarming; places that somebody chose are.
func TestCrowdAndGap(t *testing.T) {
	const nodes = 1_000
	rng := rand.New(rand.NewPCG(1, 2))
	place := func(key ID, n int, within float64) (list []Contact) {
		for range n {
			var id ID
			for i := range id {
				id[i] = byte(rng.UintN(256))
			}
			for key.Xor(id).Fraction() > within {
				id = key.Xor(FractionID(within * rng.Float64()))
			}
			list = append(list, Contact{ID: id})
		}
		return list
	}
	swarm := place(ID{}, nodes, 1)
	around := func(key ID, more []Contact, k int) []Contact {
		return SortNearest(append(slices.Clone(swarm), more...), key)[:k]
	}
	remarkable := 0
	for range 1_000 {
		key := place(ID{}, 1, 1)[0].ID
		near := around(key, nil, 20)
		if crowdOdds(key, near, nodes) < oddCrowd || gapOdds(key, near, nodes, 8) < oddGap {
			remarkable++
		}
		if Crowded(key, near, nodes) || Crowded(key, near, nodes/1.5) {
			t.Fatalf("an honest place is alarming: %g", crowdOdds(key, near, nodes))
		}
		sybils := place(key, 8, 0.3/nodes) // in a ball where every third key has a node
		if near := around(key, sybils, 20); !Crowded(key, near, nodes) {
			t.Fatalf("eight Sybils: odds %g", crowdOdds(key, near, nodes))
		}
		hidden := around(key, nil, 60)
		for i := range 20 { // every third answers
			hidden[i] = hidden[3*i+2]
		}
		if odds := gapOdds(key, hidden[:20], nodes, 8); odds >= oddGap {
			t.Fatalf("two of three nodes are hidden: odds %g", odds)
		}
	}
	if remarkable > 120 {
		t.Errorf("%d of 1,000 honest places are looked at again", remarkable)
	}
	key := swarm[0].ID
	if crowdOdds(key, around(key, nil, 3), 1) != 1 || gapOdds(key, around(key, nil, 7), 1e9, 7) != 1 {
		t.Error("judged by too few contacts")
	}
	if crowdOdds(key, around(key, nil, 20), 0) != 1 || gapOdds(key, nil, 0, 8) != 1 {
		t.Error("judged without a size")
	}
	if gapOdds(key, around(key, nil, 7), 30, 8) >= oddGap || gapOdds(key, around(key, nil, 7), 8, 8) != 1 {
		t.Error("seven nodes: too few of 30, and all of 8")
	}
}
