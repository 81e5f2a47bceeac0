package kad

import (
	"slices"
	"time"
)

// begin marks a node as asked by a path.
func (s *search) begin(l *Lookup, number int, node int32, seq uint32, now time.Time) int32 {
	n, p := &s.nodes[node], &s.paths[number]
	s.learn(l, p, node) // a seed is drawn
	if i := slices.Index(s.pool, node); i >= 0 {
		s.pool = slices.Delete(s.pool, i, i+1)
	}
	n.state = stateFlying
	s.pathOf[node] = int8(number) // at most maxPaths
	p.active++
	s.active++
	s.flying++
	s.asked++
	step := Step{Seq: seq, Contact: l.contacts[n.contact].Contact, Path: number, Hop: int(n.hop), Asked: now}
	if len(n.sources) > 0 {
		step.From = l.contacts[s.nodes[n.sources[0]].contact].ID
	}
	s.steps = append(s.steps, step)
	return int32(len(s.steps) - 1) // at most MaxAsks
}

// land takes a question out of flight.
func (s *search) land(p part, stalled bool) {
	s.flying--
	if stalled {
		if src := s.soleSource(p.node); src != nil {
			src.late--
		}
		return
	}
	s.active--
	s.paths[s.pathOf[p.node]].active--
}

// stalled takes an overdue question off its path.
func (s *search) stalled(l *Lookup, node int32) {
	p := &s.paths[s.pathOf[node]]
	s.nodes[node].state = stateStalled
	s.active--
	p.active--
	p.late++
	if src := s.soleSource(node); src != nil {
		src.late++
		s.caught(l, src)
	}
}

// soleSource returns the only node that named a contact, nil for one that others named or
// the asker knew.
func (s *search) soleSource(node int32) *cand {
	if n := &s.nodes[node]; len(n.sources) == 1 && !n.seed {
		return &s.nodes[n.sources[0]]
	}
	return nil
}

// caught ends the search if a source lies and that is enough. Who is late counts half: most
// strangers are, because connecting takes longer than answering.
func (s *search) caught(l *Lookup, src *cand) {
	if bad := src.fails + src.late/2; l.cfg.StopOnLies && bad >= lieAfter && bad > lieAfter*src.oks {
		s.stop(l, StopLies)
	}
}

// answered takes the list of an answer into the path that asked, and returns how many
// contacts were new to it.
func (s *search) answered(l *Lookup, pt part, stalled bool, ids []int32, now time.Time) int {
	s.land(pt, stalled)
	s.answers++
	p := &s.paths[s.pathOf[pt.node]]
	p.answers++
	from := &s.nodes[pt.node]
	from.state = stateAnswered
	hop := from.hop
	s.hops = max(s.hops, int(hop))
	for _, src := range from.sources {
		s.nodes[src].oks++
	}
	step := &s.steps[pt.step]
	step.Ended, step.Answered = now, true
	for _, c := range ids {
		node := s.add(l, c)
		n := &s.nodes[node]
		if node == pt.node {
			continue
		}
		if n.hop == 0 {
			n.hop = hop + 1
		}
		if len(n.sources) < maxSources && !slices.Contains(n.sources, pt.node) {
			n.sources = append(n.sources, pt.node)
		}
		if s.learn(l, p, node) {
			step.Learned++
			if n.head < s.nodes[pt.node].head {
				step.Nearer++
			}
		}
	}
	return step.Learned
}

// failed records that a question got no usable answer.
func (s *search) failed(l *Lookup, pt part, stalled bool, why FailReason, now time.Time) {
	s.land(pt, stalled)
	n := &s.nodes[pt.node]
	step := &s.steps[pt.step]
	step.Ended, step.Failure = now, why
	n.state = stateFailed
	s.failures++
	if why == FailCanceled {
		return
	}
	if !stalled {
		s.paths[s.pathOf[pt.node]].fails++
	}
	if src := s.soleSource(pt.node); src != nil {
		src.fails++
		s.caught(l, src)
	}
}
