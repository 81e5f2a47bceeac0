package consensus

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hypertensor-blockchain/mesh/chain"
)

var (
	simSeed   = flag.Uint64("seed", 0, "run only this seed of the simulation")
	simEpochs = flag.Int("epochs", 2000, "epochs of one simulation")
)

// TestSimulation plays many epochs of one subnet with faulty chains, crashes and a minority of adversaries, and checks after each
// what the package promises.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1, 2}
	if *simSeed != 0 {
		seeds = []uint64{*simSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(seed, 10, 3)
			for range *simEpochs {
				w.playEpoch()
				if len(w.broken) > 0 {
					t.Fatalf("%s\nreplay: go test ./consensus -run TestSimulation -seed %d -epochs %d", w.broken[0], seed, *simEpochs)
				}
			}
			t.Logf("seed %d: %d epochs, %d proposed by honest nodes while the chain answered, %d of those in consensus; lies %d, reorganisations %d, crashes %d, lost receipts %d, lost submissions %d",
				seed, *simEpochs, w.honest, w.consensus, w.lies, w.reorgs, w.crashes, w.lostReceipts, w.lostCalls)
			if w.honest < *simEpochs/3 || w.lies == 0 || w.reorgs == 0 || w.crashes == 0 {
				t.Error("the simulation did not exercise what it should")
			}
			if w.consensus < w.honest*95/100 { // each of the seven honest votes is needed, and some crash
				t.Errorf("only %d of %d honest proposals reached two thirds", w.consensus, w.honest)
			}
		})
	}
}

// TestSameEventsSameActions plays one seed twice and compares every action.
func TestSameEventsSameActions(t *testing.T) {
	t.Parallel()
	play := func() string {
		w := newWorld(9, 7, 2)
		w.trace = sha256.New()
		for range 200 {
			w.playEpoch()
		}
		return hex.EncodeToString(w.trace.Sum(nil))
	}
	if a, b := play(), play(); a != b {
		t.Errorf("traces %s and %s", a, b)
	}
}

type behaviour int

const (
	honest behaviour = iota
	absent
	late
	lying
	equivocating
)

type simNode struct {
	id      chain.NodeID
	how     behaviour
	m       *Machine
	journal []Entry
	queue   []simEvent // answers under way
	said    map[decision]Digest
	view    *chain.Submission // of the last view
	down    int               // blocks until it is back after a crash
	was     bool              // crashed in this epoch
}

type simEvent struct {
	due chain.BlockNumber
	ev  Event
}

type pooled struct {
	node   chain.NodeID
	digest Digest // of the proposal that is attested; a real chain does not know it
	scores []chain.NodeScore
	kind   Kind
}

type world struct {
	rng    *rand.Rand
	nodes  []*simNode
	params chain.Params
	subnet chain.Subnet
	block  chain.BlockNumber
	epoch  chain.Epoch
	now    time.Time

	elected chain.NodeID
	sub     *chain.Submission
	pool    []pooled
	alive   map[chain.NodeID]bool // truth of this epoch
	flux    chain.NodeID          // came or went at the boundary; 0 none
	silent  bool                  // the chain answers nobody
	lossy   bool                  // the chain loses calls in this epoch
	quiet   bool                  // the chain was silent at some time in this epoch
	reorged bool

	honest, consensus, lies, reorgs, crashes, lostReceipts, lostCalls int
	broken                                                            []string
	trace                                                             hash.Hash // of all actions; nil for none
}

func newWorld(seed uint64, n, bad int) *world {
	w := &world{
		rng:    rand.New(rand.NewPCG(seed, 7)),
		params: chain.Params{EpochLength: 20, BlockTime: 6 * time.Second},
		subnet: chain.Subnet{ID: 7, Slot: 3, State: chain.SubnetActive},
		now:    time.Unix(1_700_000_000, 0), block: 22,
	}
	for i := range n {
		s := &simNode{id: chain.NodeID(i + 1), said: map[decision]Digest{}}
		if i >= n-bad {
			s.how = behaviour(1 + (i+bad-n)%4)
		}
		w.nodes = append(w.nodes, s)
		w.boot(s)
	}
	return w
}

func (w *world) boot(s *simNode) {
	m, err := NewMachine(MachineConfig{Subnet: 7, Node: s.id}, s.journal)
	if err != nil {
		panic(err)
	}
	s.m, s.queue = m, nil
}

func (w *world) breakf(format string, args ...any) {
	w.broken = append(w.broken, fmt.Sprintf("block %d, epoch %d: ", w.block, w.epoch)+fmt.Sprintf(format, args...))
}

func (w *world) chance(permille int) bool { return w.rng.IntN(1000) < permille }

func (w *world) playEpoch() {
	for offset := range w.params.EpochLength {
		w.block++
		w.now = w.now.Add(w.params.BlockTime)
		if offset == 0 {
			w.beginEpoch()
		}
		w.playBlock(int(offset))
	}
	w.endEpoch()
}

func (w *world) beginEpoch() {
	w.epoch = w.params.EpochAt(w.block, w.subnet.Slot)
	w.elected = w.nodes[w.rng.IntN(len(w.nodes))].id
	if w.chance(50) {
		w.elected = 0 // elected a few blocks late
	}
	w.sub, w.pool, w.reorged = nil, nil, false
	w.silent, w.quiet, w.lossy = false, false, w.chance(200)
	w.alive = map[chain.NodeID]bool{}
	for _, s := range w.nodes {
		w.alive[s.id] = w.chance(950)
		s.was = s.down > 0
		if s.how != honest && w.chance(100) {
			s.how = behaviour(1 + w.rng.IntN(4))
		}
	}
	w.flux = 0
	if w.chance(300) {
		w.flux = w.nodes[w.rng.IntN(len(w.nodes))].id
	}
}

// opinion is what a node sees at this moment: the truth, but for the one in flux, on which the first looks differ. Later looks
// know that it came or went around the snapshot point.
func (w *world) opinion(s *simNode, offset int) Opinion {
	var o Opinion
	for _, n := range w.nodes {
		seen := w.alive[n.id]
		if n.id == w.flux && offset < 2 {
			seen = (s.id+chain.NodeID(offset))%2 == 0
		}
		if seen {
			o.Scores = append(o.Scores, chain.NodeScore{Node: n.id, Score: chain.OneTensor()})
		}
	}
	if w.flux != 0 && offset >= 2 {
		o.InFlux = []chain.NodeScore{{Node: w.flux, Score: chain.OneTensor()}}
	}
	return o
}

func (w *world) playBlock(offset int) {
	if w.elected == 0 && offset == 3 {
		w.elected = w.nodes[w.rng.IntN(len(w.nodes))].id
	}
	w.include()
	w.adversaries(offset)
	if offset > 2 && offset < 12 && w.sub != nil && !w.reorged && w.chance(30) {
		w.reorg()
	}
	if w.chance(10) {
		w.silent = !w.silent
	}
	w.quiet = w.quiet || w.silent
	order := w.rng.Perm(len(w.nodes))
	for _, i := range order {
		w.playNode(w.nodes[i], offset)
	}
}

func (w *world) playNode(s *simNode, offset int) {
	if s.how != honest {
		return
	}
	if s.down > 0 {
		if s.down--; s.down == 0 {
			w.boot(s)
		}
		return
	}
	if w.chance(3) {
		w.crashes++
		s.down, s.was = 1+w.rng.IntN(3), true
		return
	}
	events := []Event{Tick{}}
	rest := s.queue[:0]
	for _, q := range s.queue {
		if q.due <= w.block {
			events = append(events, q.ev)
		} else {
			rest = append(rest, q)
		}
	}
	s.queue = rest
	if !w.silent && w.chance(950) {
		events = append(events, NewHead{Head: w.head()})
	}
	for len(events) > 0 {
		ev := events[0]
		events = events[1:]
		for _, a := range s.m.Step(w.now, ev) {
			if w.trace != nil {
				fmt.Fprintf(w.trace, "%d %d %+v\n", w.block, s.id, a)
			}
			events = append(events, w.perform(s, a, offset)...)
			if s.down > 0 {
				return // crashed between two actions
			}
		}
	}
}

func (w *world) head() chain.Head {
	return chain.Head{Number: w.block, Hash: chain.Hash{byte(w.block), byte(w.block >> 8), byte(w.block >> 16), 1}}
}

// perform does one action of a node and returns what happens at once.
func (w *world) perform(s *simNode, a Action, offset int) []Event {
	switch a := a.(type) {
	case Read:
		if w.silent {
			return []Event{ReadFailed{At: a.At, Err: chain.ErrUnavailable}}
		}
		v := View{At: w.head(), Params: w.params, Exists: true, Subnet: w.subnet, Epoch: w.epoch, Elected: w.elected}
		for _, n := range w.nodes {
			v.Nodes = append(v.Nodes, chain.Node{ID: n.id, Class: chain.ClassValidator})
		}
		if w.sub != nil {
			c := *w.sub
			c.Attests = slices.Clone(c.Attests)
			v.Submission = &c
		}
		s.view = v.Submission
		return []Event{v}
	case Ask:
		if a.Round.Epoch != w.epoch {
			w.breakf("node %d asks about epoch %d", s.id, a.Round.Epoch)
		}
		return []Event{Scored{Seq: a.Seq, Opinion: w.opinion(s, offset)}}
	case Append:
		s.journal = append(s.journal, a.Entry)
		if w.chance(20) { // crash with the entry on disk and nothing sent
			w.crashes++
			s.down, s.was = 1, true
			return nil
		}
		return []Event{Appended{Entry: a.Entry}}
	case Propose:
		return w.submit(s, a.Seq, pooled{node: s.id, kind: Proposal, scores: a.Scores, digest: DigestOf(s.id, a.Scores, 0, 0)})
	case Attest:
		if s.view == nil {
			w.breakf("node %d attests what it did not see", s.id)
			return nil
		}
		return w.submit(s, a.Seq, pooled{node: s.id, kind: Attestation, digest: DigestOf(s.view.Proposer, s.view.Scores, 0, 0)})
	}
	return nil
}

// submit is the wire: here the first promise is checked.
func (w *world) submit(s *simNode, seq uint64, p pooled) []Event {
	d := decision{w.epoch, p.kind}
	if old, ok := s.said[d]; ok && old != p.digest {
		w.breakf("node %d said two different things, kind %d", s.id, p.kind)
	}
	s.said[d] = p.digest
	if !slices.ContainsFunc(s.journal, func(e Entry) bool { return e.Epoch == w.epoch && e.Kind == p.kind && e.Digest == p.digest }) {
		w.breakf("node %d said what is not in its journal", s.id)
	}
	lost := w.silent || w.lossy && w.chance(300)
	if lost {
		w.lostCalls++
	} else {
		w.pool = append(w.pool, p)
	}
	if lost || w.chance(100) {
		w.lostReceipts++
		s.queue = append(s.queue, simEvent{w.block + 1 + chain.BlockNumber(w.rng.IntN(3)), Submitted{Seq: seq, Result: Unknown, Err: chain.ErrUnavailable}})
	} else {
		s.queue = append(s.queue, simEvent{w.block + 1, Submitted{Seq: seq, Receipt: chain.Receipt{Block: chain.Head{Number: w.block + 1}}}})
	}
	if w.chance(10) { // crash with the call sent
		w.crashes++
		s.down, s.was = 1, true
	}
	return nil
}

// include puts the pool into the new block, by the rules of the chain.
func (w *world) include() {
	pool := w.pool
	w.pool = nil
	for _, p := range pool {
		switch {
		case p.kind == Proposal && w.sub == nil && p.node == w.elected:
			w.sub = &chain.Submission{Proposer: p.node, Block: w.block, Scores: p.scores, Attests: []chain.Attest{{Node: p.node, Block: w.block}}}
			for _, n := range w.nodes {
				w.sub.Validators = append(w.sub.Validators, n.id)
			}
		case p.kind == Attestation && w.sub != nil && !attestedBy(w.sub, p.node):
			if w.digest() != p.digest && w.node(p.node).how == honest && !w.reorged {
				w.breakf("node %d's vote landed on another proposal", p.node)
			}
			w.sub.Attests = append(w.sub.Attests, chain.Attest{Node: p.node, Block: w.block})
			slices.SortFunc(w.sub.Attests, func(a, b chain.Attest) int { return int(int64(a.Node) - int64(b.Node)) })
		}
	}
}

func (w *world) digest() Digest                { return DigestOf(w.sub.Proposer, w.sub.Scores, 0, 0) }
func (w *world) node(id chain.NodeID) *simNode { return w.nodes[id-1] }
func (w *world) elects(h behaviour) bool       { return w.elected != 0 && w.node(w.elected).how == h }
func (w *world) lie() []chain.NodeScore {
	return []chain.NodeScore{{Node: w.elected, Score: chain.Tensor(1000)}}
}
func (w *world) put(scores []chain.NodeScore) {
	w.pool = append(w.pool, pooled{node: w.elected, kind: Proposal, scores: scores})
}
func (w *world) truth(offset int) []chain.NodeScore {
	return w.opinion(w.node(w.elected), offset).Scores
}

// adversaries act: they propose nothing, late, a lie, or one thing after the other; they attest nothing and everything.
func (w *world) adversaries(offset int) {
	switch {
	case w.sub == nil && w.elects(late) && offset == 13:
		w.put(w.truth(offset))
	case w.sub == nil && w.elects(lying) && offset == 1:
		w.lies++
		w.put(w.lie())
	case w.sub == nil && w.elects(equivocating) && offset == 2:
		w.put(w.truth(offset))
	}
	for _, s := range w.nodes {
		if s.how == lying && w.sub != nil && w.chance(200) {
			w.pool = append(w.pool, pooled{node: s.id, kind: Attestation})
		}
	}
}

// reorg takes the proposal back, with all votes; an equivocating proposer has another one ready, an honest call returns to the pool.
func (w *world) reorg() {
	w.reorgs++
	w.reorged = true
	old := w.sub
	w.sub, w.pool = nil, nil
	if w.elects(equivocating) {
		w.put(w.lie())
	} else {
		w.pool = append(w.pool, pooled{node: old.Proposer, kind: Proposal, scores: old.Scores})
	}
}

// endEpoch checks the second promise.
func (w *world) endEpoch() {
	if w.sub == nil || w.elected == 0 {
		return
	}
	lied := len(w.sub.Scores) == 1 && w.sub.Scores[0].Score == chain.Tensor(1000)
	isHonest := w.node(w.elected).how == honest && !w.quiet
	if isHonest {
		w.honest++
	}
	if isHonest && len(w.sub.Attests)*100 >= 66*len(w.sub.Validators) {
		w.consensus++
	}
	for _, s := range w.nodes {
		if s.how != honest {
			continue
		}
		voted := attestedBy(w.sub, s.id)
		if lied && voted {
			w.breakf("node %d attested a lie", s.id)
		}
		if !lied && !voted && !s.was && !w.quiet && !w.lossy && !w.reorged && w.sub.Block+4 < w.block {
			w.breakf("node %d missed its vote on the proposal of node %d in block %d", s.id, w.sub.Proposer, w.sub.Block)
		}
	}
	if len(w.node(1).journal) > 1000 {
		for _, s := range w.nodes {
			s.journal = recent(s.journal)
			clear(s.said)
		}
	}
}
