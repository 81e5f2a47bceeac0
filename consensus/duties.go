package consensus

import (
	"fmt"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// decide looks at all that is known and does the next thing. It is called after everything that changed something.
func (m *Machine) decide() {
	r := m.r
	if r == nil || !r.self {
		return
	}
	m.askAgain()
	switch s := r.view.Submission; {
	case s != nil:
		m.judge(s)
	case r.view.Elected == 0:
		r.why = "nobody was elected"
		m.say(WaitingElected, false, "epoch %d: nobody elected yet", r.epoch)
	case r.view.Elected == m.cfg.Node:
		m.propose()
	default:
		r.why = fmt.Sprintf("node %d did not propose", r.view.Elected)
		m.say(WaitingProposal, false, "epoch %d: waiting for the proposal of node %d", r.epoch, r.view.Elected)
	}
}

// askAgain asks for the opinion when there is none or when it may still change, once per block.
func (m *Machine) askAgain() {
	r := m.r
	if r.asking != 0 || r.asked == r.view.At.Number && r.ask.Try > 0 {
		return
	}
	if r.scored && (r.last.Final || !m.open() || r.view.Submission != nil && attestedBy(r.view.Submission, m.cfg.Node)) {
		return
	}
	m.seq++
	r.asking, r.asked = m.seq, r.view.At.Number
	r.ask.Try++
	m.do(Ask{Seq: m.seq, Round: r.ask})
}

// open reports whether the opinion may still be asked for again.
func (m *Machine) open() bool {
	r := m.r
	length := uint64(r.view.Params.EpochLength)
	share := uint64(m.cfg.Reevaluate)
	at := uint64(r.view.Params.Offset(r.view.At.Number, r.view.Subnet.Slot))
	if at*1000 < share*length {
		return true
	}
	if s := r.view.Submission; s != nil {
		from := uint64(r.view.Params.Offset(s.Block, r.view.Subnet.Slot))
		return from <= at && (at-from)*1000 < share*(length-from)
	}
	return false
}

// propose is the duty of the elected validator while nothing is on the chain.
func (m *Machine) propose() {
	r := m.r
	e, ok := m.decided[decision{r.epoch, Proposal}]
	if !ok {
		switch {
		case r.scored:
			m.append(Entry{Epoch: r.epoch, Kind: Proposal, Digest: DigestOf(m.cfg.Node, r.own, 0, 0), Scores: r.own})
		case r.scoreErr != nil:
			r.why = fmt.Sprintf("no scores to propose: %v", r.scoreErr)
		default:
			r.why = "the own scores came too late"
			m.say(ElectedSelf, false, "epoch %d: elected to propose", r.epoch)
		}
		return
	}
	if !m.maySubmit() {
		return
	}
	m.submit()
	r.why = "the proposal did not land"
	m.say(Proposing, r.tries > 1, "epoch %d: proposing scores of %d nodes%s", r.epoch, len(e.Scores), r.again())
	m.do(Propose{Seq: r.pending, Epoch: r.epoch, Scores: slices.Clone(e.Scores)})
}

// judge is the duty of everybody once something is on the chain.
func (m *Machine) judge(s *chain.Submission) {
	r := m.r
	digest := DigestOf(s.Proposer, s.Scores, s.PrioritizeQueue, s.RemoveQueue)
	if s.Proposer == m.cfg.Node {
		if e, ok := m.decided[decision{r.epoch, Proposal}]; !ok || !within(s.Scores, e.Scores) {
			m.say(Foreign, true, "epoch %d: the chain has a proposal by this node that this process did not make; is the hotkey in use elsewhere?", r.epoch)
			return
		}
		m.say(Proposed, false, "epoch %d: proposal is in block %d", r.epoch, s.Block)
		return
	}
	if attestedBy(s, m.cfg.Node) {
		m.say(Attested, false, "epoch %d: attested the proposal of node %d", r.epoch, s.Proposer)
		return
	}
	if _, listed := slices.BinarySearch(s.Validators, m.cfg.Node); !listed {
		r.why = "not among the validators of the round"
		m.say(NotEligible, false, "epoch %d: the chain does not list this node among the %d validators of the round", r.epoch, len(s.Validators))
		return
	}
	e, ok := m.decided[decision{r.epoch, Attestation}]
	switch {
	case ok && e.Digest != digest:
		r.why = "the proposal was exchanged after it was attested"
		m.say(RefusesChanged, true, "epoch %d: node %d proposed something else than what this node attested before, not attesting twice", r.epoch, s.Proposer)
		return
	case !ok:
		if m.agrees(s) {
			m.append(Entry{Epoch: r.epoch, Kind: Attestation, Digest: digest})
		}
		return
	}
	if !m.maySubmit() {
		return
	}
	m.submit()
	r.why = "the attestation did not land"
	m.say(Attesting, r.tries > 1, "epoch %d: attesting the proposal of node %d%s", r.epoch, s.Proposer, r.again())
	m.do(Attest{Seq: r.pending, Epoch: r.epoch})
}

// agrees compares a proposal with all opinions of this round and says why not.
func (m *Machine) agrees(s *chain.Submission) bool {
	r := m.r
	if id := s.PrioritizeQueue; id != 0 && !slices.Contains(r.last.Prioritize, id) {
		r.why = fmt.Sprintf("the proposal moves queued node %d to the front", id)
		m.say(RefusesQueue, true, "epoch %d: not attesting, %s and the scorer did not ask for it", r.epoch, r.why)
		return false
	}
	if id := s.RemoveQueue; id != 0 && !slices.Contains(r.last.Remove, id) {
		r.why = fmt.Sprintf("the proposal removes queued node %d", id)
		m.say(RefusesQueue, true, "epoch %d: not attesting, %s and the scorer did not ask for it", r.epoch, r.why)
		return false
	}
	if !r.scored {
		r.why = "the own scores came too late"
		if r.scoreErr != nil {
			r.why = fmt.Sprintf("no scores to compare: %v", r.scoreErr)
		}
		return false
	}
	gone := func(id chain.NodeID) bool {
		_, found := slices.BinarySearchFunc(r.view.Nodes, id, func(n chain.Node, id chain.NodeID) int { return int(int64(n.ID) - int64(id)) })
		return !found
	}
	if why := r.seen.objection(s.Scores, gone); why != "" {
		r.why = why
		m.say(Disagrees, false, "epoch %d: not attesting the proposal of node %d: %s", r.epoch, s.Proposer, why)
		return false
	}
	return true
}

// maySubmit reports whether the next submission is due: none is outstanding, the last one had its blocks, and a block is left.
func (m *Machine) maySubmit() bool {
	r := m.r
	offset := r.view.Params.Offset(r.view.At.Number, r.view.Subnet.Slot)
	if r.pending != 0 || m.appended || offset+1 >= r.view.Params.EpochLength {
		return false
	}
	if r.tries == 0 {
		return true
	}
	return uint64(r.view.At.Number) >= uint64(r.tried)+uint64(m.cfg.RetryBlocks)*uint64(min(r.tries, 4))
}

func (m *Machine) submit() {
	m.seq++
	m.r.pending = m.seq
	m.r.tried = m.r.view.At.Number
	m.r.tries++
}

func (r *round) again() string {
	if r.tries <= 1 {
		return ""
	}
	if r.failed != nil {
		return fmt.Sprintf(", attempt %d (%v)", r.tries, r.failed)
	}
	return fmt.Sprintf(", attempt %d", r.tries)
}

// within reports whether every score of part is in all; the chain may have dropped nodes that left meanwhile. Both are sorted.
func within(part, all []chain.NodeScore) bool {
	i := 0
	for _, s := range part {
		for i < len(all) && all[i].Node < s.Node {
			i++
		}
		if i == len(all) || all[i] != s {
			return false
		}
	}
	return true
}

func attestedBy(s *chain.Submission, id chain.NodeID) bool {
	_, ok := slices.BinarySearchFunc(s.Attests, id, func(a chain.Attest, id chain.NodeID) int { return int(int64(a.Node) - int64(id)) })
	return ok
}
