package consensus

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

func TestMachineConfigValidate(t *testing.T) {
	good := MachineConfig{Subnet: 1, Node: 1}
	for name, c := range map[string]MachineConfig{
		"subnet":     {Node: 1},
		"node":       {Subnet: 1},
		"reevaluate": {Subnet: 1, Node: 1, Reevaluate: 1001},
		"retry":      {Subnet: 1, Node: 1, ReadRetry: -1},
	} {
		if _, err := NewMachine(c, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewMachine(good, nil); err != nil {
		t.Error(err)
	}
}

func TestNormalise(t *testing.T) {
	all := func(chain.NodeID) bool { return true }
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) chain.NodeScore {
			return chain.NodeScore{Node: chain.NodeID(rapid.Uint32Range(1, 20).Draw(t, "node")), Score: u128.From64(rapid.Uint64().Draw(t, "score"))}
		}), 0, 40).Draw(t, "scores")
		out, err := normalise(in, all)
		if err != nil {
			t.Fatal(err)
		}
		lowest := map[chain.NodeID]chain.Score{}
		for _, s := range in {
			if old, ok := lowest[s.Node]; !ok || s.Score.Less(old) {
				lowest[s.Node] = s.Score
			}
		}
		if len(out) != len(lowest) {
			t.Fatalf("%d nodes, want %d", len(out), len(lowest))
		}
		for i, s := range out {
			if s.Score != lowest[s.Node] || i > 0 && out[i-1].Node >= s.Node {
				t.Fatalf("wrong at %d: %v", i, out)
			}
		}
	})
	if _, err := normalise([]chain.NodeScore{{Node: 1, Score: u128.Max()}, {Node: 2, Score: u128.From64(1)}}, all); !errors.Is(err, ErrScoreOverflow) {
		t.Errorf("overflow: %v", err)
	}
	if out, err := normalise([]chain.NodeScore{{Node: 9}}, func(chain.NodeID) bool { return false }); err != nil || len(out) != 0 {
		t.Errorf("a node that does not count: %v %v", out, err)
	}
}

// TestVerdictsAgreeWithOracle compares the merged verdicts with the definition: every node of the proposal has a value that some
// opinion gave it, and every node that is missing was missing in some opinion.
func TestVerdictsAgreeWithOracle(t *testing.T) {
	ids := []chain.NodeID{1, 2, 3, 4, 5}
	draw := func(t *rapid.T, name string) []chain.NodeScore {
		var out []chain.NodeScore
		for _, id := range ids {
			if v := rapid.Uint64Range(0, 3).Draw(t, name); v > 0 {
				out = append(out, chain.NodeScore{Node: id, Score: u128.From64(v)})
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		vs := newVerdicts(ids)
		var opinions [][]chain.NodeScore
		for range rapid.IntRange(1, 4).Draw(t, "opinions") {
			o := draw(t, "opinion")
			opinions = append(opinions, o)
			vs.add(o, nil)
		}
		p := draw(t, "proposal")
		want := true
		for _, id := range ids {
			ok := false
			for _, o := range opinions {
				ok = ok || value(o, id) == value(p, id)
			}
			want = want && ok
		}
		if why := vs.objection(p, func(chain.NodeID) bool { return false }); (why == "") != want {
			t.Fatalf("objection %q, want agreement %v; opinions %v proposal %v", why, want, opinions, p)
		}
	})
}

func value(scores []chain.NodeScore, id chain.NodeID) chain.Score {
	for _, s := range scores {
		if s.Node == id {
			return s.Score
		}
	}
	return chain.Score{}
}

func TestValuesAreBounded(t *testing.T) {
	vs := newVerdicts([]chain.NodeID{1})
	for i := range uint64(1000) {
		vs.add([]chain.NodeScore{{Node: 1, Score: u128.From64(i)}}, nil)
	}
	if len(vs[0].values) != maxValues {
		t.Errorf("%d values kept", len(vs[0].values))
	}
}

func TestIgnoresStaleAnswers(t *testing.T) {
	s := newScript(t)
	s.run("nodes 1:validator 2:validator\nelected 2\nview 23")
	old := s.ask
	s.run("view 43")
	if out := s.step(Scored{Seq: old.Seq, Opinion: Opinion{Scores: []chain.NodeScore{{Node: 1}}}}); len(out) != 0 {
		t.Errorf("an answer about the last epoch was used: %q", out)
	}
	if out := s.step(Submitted{Seq: 99}); len(out) != 0 {
		t.Errorf("an unknown submission was used: %q", out)
	}
	s.view.Epoch = 1
	if out := s.step(View{At: s.head("24"), Params: s.view.Params, Exists: true, Subnet: s.view.Subnet, Epoch: 1}); len(out) != 0 && out[0] != "read 43" {
		t.Errorf("a view of the last epoch was used: %q", out)
	}
}

// bigRound is a machine in the middle of a round of n nodes, and the view that makes it compare everything.
func bigRound(tb testing.TB, n int) (*Machine, View) {
	tb.Helper()
	m, err := NewMachine(MachineConfig{Subnet: 7, Node: 2}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	v := View{
		At: chain.Head{Number: 23}, Params: chain.Params{EpochLength: 20}, Exists: true, Epoch: 1, Elected: 1,
		Subnet: chain.Subnet{ID: 7, Slot: 3, State: chain.SubnetActive},
	}
	var scores []chain.NodeScore
	for i := range n {
		id := chain.NodeID(i + 1)
		v.Nodes = append(v.Nodes, chain.Node{ID: id, Class: chain.ClassValidator})
		scores = append(scores, chain.NodeScore{Node: id, Score: chain.OneTensor()})
	}
	var seq uint64
	for _, a := range m.Step(time.Time{}, v) {
		if a, ok := a.(Ask); ok {
			seq = a.Seq
		}
	}
	m.Step(time.Time{}, Scored{Seq: seq, Opinion: Opinion{Scores: scores}})
	other := append([]chain.NodeScore(nil), scores...)
	other[n-1].Score = u128.From64(math.MaxUint64) // disagrees at the very last node, so that each step compares all
	v.Submission = &chain.Submission{Proposer: 1, Block: 23, Scores: other}
	for _, node := range v.Nodes {
		v.Submission.Validators = append(v.Submission.Validators, node.ID)
	}
	return m, v
}

func TestStepIsFast(t *testing.T) {
	m, v := bigRound(t, 512)
	fastest := time.Hour // of many, because others use the processor too
	for range 200 {
		began := time.Now()
		m.Step(time.Time{}, v)
		fastest = min(fastest, time.Since(began))
	}
	if fastest > time.Millisecond {
		t.Errorf("a step with 512 nodes takes %v, more than 1 ms", fastest)
	}
}

func BenchmarkStep512(b *testing.B) {
	m, v := bigRound(b, 512)
	b.ReportAllocs()
	for b.Loop() {
		v.At.Number = 23 + (v.At.Number-22)%19
		for _, a := range m.Step(time.Time{}, v) {
			if a, ok := a.(Ask); ok {
				m.Step(time.Time{}, Scored{Seq: a.Seq, Opinion: Opinion{Scores: v.Submission.Scores[:511]}})
			}
		}
	}
}
