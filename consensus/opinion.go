package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// maxValues bounds how many different scores one node may have been given within an epoch before new ones are ignored.
const maxValues = 16

// ErrScoreOverflow is an opinion whose scores do not add up within 128 bits; the chain would refuse it.
var ErrScoreOverflow = errors.New("the sum of the scores does not fit 128 bits")

// Round is what a [Scorer] is asked about: an epoch and its snapshot. Every question about one epoch carries the same snapshot.
type Round struct {
	Subnet chain.SubnetID
	Epoch  chain.Epoch
	Began  time.Time    // when the epoch began by the local clock: the snapshot point
	At     chain.Head   // the first block of the epoch that this node saw
	Nodes  []chain.Node // all nodes as of At, sorted by ID; shared, not to be changed
	Try    int          // 1 for the first question of the epoch
}

// Scorable lists the nodes whose scores count in this round: those of class included and above. The chain drops all others.
func (r Round) Scorable() []chain.Node {
	var out []chain.Node
	for _, n := range r.Nodes {
		if n.Holds(chain.ClassIncluded, r.Epoch) {
			out = append(out, n)
		}
	}
	return out
}

// Opinion is what a node thinks of the others in one round.
type Opinion struct {
	// Scores is what this node would propose. A node that is left out was not seen; only the ratios matter to the chain.
	Scores []chain.NodeScore
	// InFlux lists nodes that came or went around the snapshot point, where honest nodes may differ: a proposal may name them
	// with exactly this score, or leave them out.
	InFlux []chain.NodeScore
	// Prioritize and Remove list the queued nodes that a proposal may move to the front, or remove. Empty: none.
	Prioritize []chain.NodeID
	Remove     []chain.NodeID
	// Final says that the opinion on this round will not change, so that it is not asked for again.
	Final bool
}

// Scorer is the judgement of a subnet. Score MUST give the same answer on all honest nodes for one round, as far as they saw the
// same; it MUST return when ctx ends. It is called by one goroutine at a time.
type Scorer interface {
	Score(ctx context.Context, r Round) (Opinion, error)
}

// ScorerFunc is a function as [Scorer].
type ScorerFunc func(ctx context.Context, r Round) (Opinion, error)

// Score calls f.
func (f ScorerFunc) Score(ctx context.Context, r Round) (Opinion, error) { return f(ctx, r) }

// normalise does to scores what the chain does when it takes a proposal: nodes that do not count are dropped, duplicates
// collapse to the lowest score, the rest is sorted by node. The result is a new slice.
func normalise(scores []chain.NodeScore, counts func(chain.NodeID) bool) ([]chain.NodeScore, error) {
	out := make([]chain.NodeScore, 0, len(scores))
	for _, s := range scores {
		if counts(s.Node) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b chain.NodeScore) int {
		if a.Node != b.Node {
			return int(int64(a.Node) - int64(b.Node))
		}
		return a.Score.Cmp(b.Score)
	})
	out = slices.CompactFunc(out, func(a, b chain.NodeScore) bool { return a.Node == b.Node })
	var sum chain.Score
	for _, s := range out {
		var over bool
		if sum, over = sum.Add(s.Score); over {
			return nil, ErrScoreOverflow
		}
	}
	return out, nil
}

// verdict is what one node may be given by a proposal without objection.
type verdict struct {
	node   chain.NodeID
	absent bool // leaving it out is fine
	values []chain.Score
}

func (v *verdict) allow(s chain.Score) {
	if !slices.Contains(v.values, s) && len(v.values) < maxValues {
		v.values = append(v.values, s)
	}
}

func (v *verdict) String() string {
	switch {
	case len(v.values) == 0:
		return "absent"
	case v.absent:
		return fmt.Sprintf("absent or %v", v.values[0])
	}
	return v.values[0].String()
}

// verdicts collects the opinions of one round, sorted by node: all that was ever seen is acceptable.
type verdicts []verdict

// newVerdicts has one row per node that counts; the IDs must be sorted.
func newVerdicts(ids []chain.NodeID) verdicts {
	vs := make(verdicts, len(ids))
	for i, id := range ids {
		vs[i].node = id
	}
	return vs
}

func (vs verdicts) row(id chain.NodeID) *verdict {
	i, ok := slices.BinarySearchFunc(vs, id, func(v verdict, id chain.NodeID) int { return int(int64(v.node) - int64(id)) })
	if !ok {
		return nil
	}
	return &vs[i]
}

// add merges one more opinion; scores and flux are normalised.
func (vs verdicts) add(scores, flux []chain.NodeScore) {
	i := 0
	for k := range vs {
		for i < len(scores) && scores[i].Node < vs[k].node {
			i++
		}
		if i < len(scores) && scores[i].Node == vs[k].node {
			vs[k].allow(scores[i].Score)
		} else {
			vs[k].absent = true
		}
	}
	for _, f := range flux {
		if v := vs.row(f.Node); v != nil {
			v.absent = true
			v.allow(f.Score)
		}
	}
}

// objection is "" when proposal, sorted by node, is acceptable throughout, and otherwise names the first difference.
// Nodes that gone reports have left the chain since the snapshot and may be missing.
func (vs verdicts) objection(proposal []chain.NodeScore, gone func(chain.NodeID) bool) string {
	i := 0
	for k := range vs {
		v := &vs[k]
		if i < len(proposal) && proposal[i].Node < v.node {
			break
		}
		if i < len(proposal) && proposal[i].Node == v.node {
			if !slices.Contains(v.values, proposal[i].Score) {
				return fmt.Sprintf("node %d: proposed %v, own view %v", v.node, proposal[i].Score, v)
			}
			i++
			continue
		}
		if !v.absent && !gone(v.node) {
			return fmt.Sprintf("node %d: left out, own view %v", v.node, v)
		}
	}
	if i < len(proposal) {
		return fmt.Sprintf("node %d: proposed %v, but it does not count in this epoch", proposal[i].Node, proposal[i].Score)
	}
	return ""
}
