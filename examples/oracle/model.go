package main

import (
	"errors"
	"iter"
	"math/rand/v2"
	"strconv"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const (
	whole     = 1_000_000       // answers are millionths: what nodes compare must be integers
	largest   = 4 * whole       // answer that there can be
	tolerance = 5 * whole / 100 // ten times what honest answers scatter: honest nodes must not differ about whom to pay
)

// think is the model, and the place for yours: it estimates pi by throwing darts, better with each item. A node always gives the same
// answer to a question, and other nodes give nearly the same.
func think(epoch chain.Epoch, id chain.NodeID) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		darts := rand.New(rand.NewPCG(uint64(epoch), uint64(id)))
		inside := int64(0)
		for n := int64(1); n <= 100_000; n++ {
			if x, y := darts.Float64(), darts.Float64(); x*x+y*y < 1 {
				inside++
			}
			if n%10_000 == 0 && !yield(4*whole*inside/n) {
				return
			}
		}
	}
}

// write and read are the form in which answers travel.
func write(answer int64) []byte { return strconv.AppendInt(nil, answer, 10) }

// read refuses what cannot be an answer.
func read(text []byte) (int64, error) {
	answer, err := strconv.ParseInt(string(text), 10, 64)
	if err == nil && (answer < 0 || answer > largest) {
		err = errors.New("no such answer is possible")
	}
	return answer, err
}
