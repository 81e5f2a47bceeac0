package consensus

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

var update = flag.Bool("update", false, "rewrite the expected actions in testdata")

// TestScenarios runs the scripts in testdata: a line is an event, the indented lines below it are the actions that must follow.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t).run(string(b))
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(b), got); d != "" {
				t.Errorf("%s: -want +got\n%s", f, d)
			}
		})
	}
}

// script interprets a scenario.
type script struct {
	t       *testing.T
	m       *Machine
	cfg     MachineConfig
	now     time.Time
	view    View
	journal []Entry
	ask     Ask
	entry   Entry
	seq     uint64 // of the last submission
}

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{t: t, cfg: MachineConfig{Subnet: 7, Node: 2}, now: time.Unix(1_700_000_000, 0)}
	s.view.Params = chain.Params{EpochLength: 20, BlockTime: 6 * time.Second}
	s.view.Exists = true
	s.view.Subnet = chain.Subnet{ID: 7, Slot: 3, State: chain.SubnetActive}
	s.restart()
	return s
}

func (s *script) restart() {
	m, err := NewMachine(s.cfg, s.journal)
	if err != nil {
		s.t.Fatal(err)
	}
	s.m = m
}

func (s *script) run(text string) string {
	var out strings.Builder
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		fmt.Fprintln(&out, line)
		cmd, _, _ := strings.Cut(line, "#")
		if f := strings.Fields(cmd); len(f) > 0 {
			for _, a := range s.command(n+1, f[0], f[1:]) {
				fmt.Fprintf(&out, "  %s\n", a)
			}
		}
	}
	return out.String()
}

func (s *script) number(w string) uint32 {
	x, err := strconv.ParseUint(w, 10, 32)
	if err != nil {
		s.t.Fatal(err)
	}
	return uint32(x)
}

func (s *script) scores(words []string) []chain.NodeScore {
	var out []chain.NodeScore
	for _, w := range words {
		id, score, _ := strings.Cut(w, ":")
		x, err := u128.Parse(score)
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, chain.NodeScore{Node: chain.NodeID(s.number(id)), Score: x})
	}
	return out
}

func (s *script) ids(words []string) []chain.NodeID {
	var out []chain.NodeID
	for _, w := range words {
		out = append(out, chain.NodeID(s.number(w)))
	}
	return out
}

func (s *script) head(w string) chain.Head {
	n := s.number(w)
	return chain.Head{Number: chain.BlockNumber(n), Hash: chain.Hash{byte(n), byte(n >> 8), 1}}
}

var classes = map[string]chain.Class{"registered": 0, "idle": 1, "included": 2, "validator": 3}

func (s *script) command(line int, name string, args []string) []string {
	switch name {
	case "nodes": // id:class[@start] ...
		s.view.Nodes = nil
		for _, a := range args {
			id, class, _ := strings.Cut(a, ":")
			class, start, _ := strings.Cut(class, "@")
			n := chain.Node{Subnet: 7, ID: chain.NodeID(s.number(id)), Class: classes[class]}
			if start != "" {
				n.StartEpoch = chain.Epoch(s.number(start))
			}
			s.view.Nodes = append(s.view.Nodes, n)
		}
	case "me":
		s.cfg.Node = chain.NodeID(s.number(args[0]))
		s.restart()
	case "subnet":
		s.view.Exists = args[0] != "gone"
		s.view.Subnet.State = map[string]chain.SubnetState{"active": 1, "paused": 2}[args[0]]
	case "elected":
		s.view.Elected = chain.NodeID(s.number(args[0]))
	case "proposal": // by block scores...
		s.view.Submission = &chain.Submission{
			Proposer: chain.NodeID(s.number(args[0])), Block: chain.BlockNumber(s.number(args[1])), Scores: s.scores(args[2:]),
			Attests: []chain.Attest{{Node: chain.NodeID(s.number(args[0]))}},
		}
		for _, n := range s.view.Nodes {
			if n.Class == chain.ClassValidator {
				s.view.Submission.Validators = append(s.view.Submission.Validators, n.ID)
			}
		}
	case "noproposal":
		s.view.Submission = nil
	case "validators":
		s.view.Submission.Validators = s.ids(args)
	case "queue": // prioritize remove
		s.view.Submission.PrioritizeQueue, s.view.Submission.RemoveQueue = chain.NodeID(s.number(args[0])), chain.NodeID(s.number(args[1]))
	case "attests":
		s.view.Submission.Attests = nil
		for _, id := range s.ids(args) {
			s.view.Submission.Attests = append(s.view.Submission.Attests, chain.Attest{Node: id})
		}
	case "restart":
		s.restart()
	case "head":
		return s.step(NewHead{Head: s.head(args[0])})
	case "view":
		v := s.view
		v.At = s.head(args[0])
		v.Epoch = v.Params.EpochAt(v.At.Number, v.Subnet.Slot)
		if v.Submission != nil {
			c := *v.Submission
			v.Submission = &c
		}
		return append(s.step(NewHead{Head: v.At}), s.step(v)...)
	case "readfailed":
		return s.step(ReadFailed{At: s.head(args[0]), Err: errors.New("connection refused")})
	case "scored": // scores... [flux scores...] [prioritize ids...] [remove ids...] [final]
		ev := Scored{Seq: s.ask.Seq}
		if len(args) > 0 && args[len(args)-1] == "final" {
			ev.Opinion.Final, args = true, args[:len(args)-1]
		}
		args, ev.Opinion.Remove = s.tail(args, "remove")
		args, ev.Opinion.Prioritize = s.tail(args, "prioritize")
		if i := slices.Index(args, "flux"); i >= 0 {
			ev.Opinion.InFlux, args = s.scores(args[i+1:]), args[:i]
		}
		ev.Opinion.Scores = s.scores(args)
		return s.step(ev)
	case "scorefailed":
		return s.step(Scored{Seq: s.ask.Seq, Err: errors.New(strings.Join(args, " "))})
	case "appended":
		s.journal = append(s.journal, s.entry)
		return s.step(Appended{Entry: s.entry})
	case "appendfailed":
		return s.step(Appended{Entry: s.entry, Err: errors.New("disk full")})
	case "landed":
		return s.step(Submitted{Seq: s.seq, Receipt: chain.Receipt{Block: s.head(args[0])}})
	case "refused":
		err := &chain.DispatchError{Pallet: "Network", Name: args[0]}
		return s.step(Submitted{Seq: s.seq, Result: ResultOf(err), Err: err})
	case "lost":
		return s.step(Submitted{Seq: s.seq, Result: ResultOf(chain.ErrUnavailable), Err: chain.ErrUnavailable})
	case "tick":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
		return s.step(Tick{})
	default:
		s.t.Fatalf("line %d: unknown command %q", line, name)
	}
	return nil
}

func (s *script) tail(args []string, word string) ([]string, []chain.NodeID) {
	i := slices.Index(args, word)
	if i < 0 {
		return args, nil
	}
	return args[:i], s.ids(args[i+1:])
}

func (s *script) step(ev Event) []string {
	var out []string
	for _, a := range s.m.Step(s.now, ev) {
		switch a := a.(type) {
		case Read:
			out = append(out, fmt.Sprintf("read %d", a.At.Number))
		case Ask:
			s.ask = a
			out = append(out, fmt.Sprintf("ask epoch %d try %d", a.Round.Epoch, a.Round.Try))
		case Append:
			s.entry = a.Entry
			out = append(out, fmt.Sprintf("append epoch %d kind %d scores %v", a.Entry.Epoch, a.Entry.Kind, a.Entry.Scores))
		case Propose:
			s.seq = a.Seq
			out = append(out, fmt.Sprintf("PROPOSE epoch %d %v", a.Epoch, a.Scores))
		case Attest:
			s.seq = a.Seq
			out = append(out, fmt.Sprintf("ATTEST epoch %d", a.Epoch))
		case Notice:
			out = append(out, fmt.Sprintf("%s: %s", a.Code, a.Text))
		case Outcome:
			out = append(out, fmt.Sprintf("outcome epoch %d elected %d proposed %v attested %v, %d of %d %s", a.Epoch, a.Elected, a.Proposed, a.Attested, a.Attests, a.Validators, a.Why))
		}
	}
	return out
}
