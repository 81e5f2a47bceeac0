package kad

// What a path does about lists that cannot be true. A source is doubted when the contacts
// that it alone named do not answer, or when it named half of a beam that is too sparse for
// the size of the swarm. Contacts that only doubted sources name are asked last, and so are
// those of a beam that is too dense; nothing is thrown away, because the judgement may be
// wrong: half of the swarm may have died a moment ago.

const (
	lieAfter     = 3 // failed contacts of one source, and none alive, until it is doubted
	maxRestarts  = 4 // of one path; then it takes what there is
	judgeAtLeast = 8 // contacts of a beam that is judged; fewer scatter too much
	// Of ten random points the farthest lies beyond 2.5 times or within 0.2 of its expected
	// distance once in 20,000 (the tails of a Gamma distribution with shape 10).
	tooSparse = 2.5
	tooDense  = 0.2
)

// doubted reports whether what the candidate says is not to be relied on.
func (c *cand) doubted() bool {
	return c.liar || c.fails >= lieAfter && c.fails > lieAfter*c.oks
}

// hearsay reports whether only doubted sources name a candidate.
func (s *search) hearsay(n *cand) bool {
	if n.seed || len(n.sources) == 0 {
		return false
	}
	for _, src := range n.sources {
		if !s.nodes[src].doubted() {
			return false
		}
	}
	return true
}

// suspect reports whether a candidate is asked only when nobody else is left: it is one of
// an implausible crowd, or only doubted sources name it.
func (s *search) suspect(n *cand) bool { return n.crowd || s.hearsay(n) }

// judge compares the beam of a path with the density of the swarm, and reports whether it
// put something aside: of a beam too sparse the lists of the sources that named half of it
// or more, of one too dense its contacts themselves, because honest nodes name Sybils too.
func (s *search) judge(l *Lookup, p *path) bool {
	if l.cfg.NetworkSize <= 0 || p.restarts >= maxRestarts || p.judged == p.answers {
		return false
	}
	p.judged = p.answers
	beam := make([]int32, 0, 32)
	for _, i := range p.list {
		n := &s.nodes[i]
		if n.state != stateFailed && !s.suspect(n) {
			if beam = append(beam, i); len(beam) == l.cfg.Beam {
				break
			}
		}
	}
	if len(beam) < max(judgeAtLeast, l.cfg.Want) {
		return false
	}
	// The nearer half tells more than the rim, which even honest contacts know in part only.
	beam = beam[:max(judgeAtLeast, len(beam)/2)]
	far := l.contacts[s.nodes[beam[len(beam)-1]].contact].ID
	expected := l.cfg.NetworkSize * s.target.Xor(far).Fraction() / float64(len(beam))
	sparse, dense := expected/l.cfg.SizeMargin > tooSparse, expected*l.cfg.SizeMargin < tooDense
	if !sparse && !dense {
		return false
	}
	if dense {
		s.disperse(l, p)
		p.restarts++
		if l.cfg.StopOnLies {
			s.stop(l, StopLies)
		}
		return true
	}
	dropped := false
	named := make(map[int32]int)
	for _, i := range beam {
		for _, src := range s.nodes[i].sources {
			if named[src]++; 2*named[src] >= len(beam) && !s.nodes[src].liar {
				s.nodes[src].liar = true
				dropped = true
			}
		}
	}
	if dropped {
		p.restarts++
		if l.cfg.StopOnLies {
			s.stop(l, StopLies)
		}
	}
	return dropped
}

// disperse marks the crowd at the head of a path: all contacts up to the last one within
// which the density is implausible.
func (s *search) disperse(l *Lookup, p *path) {
	var members []int32
	last := 0
	for _, i := range p.list {
		n := &s.nodes[i]
		if n.state == stateFailed || s.suspect(n) {
			continue
		}
		members = append(members, i)
		dist := s.target.Xor(l.contacts[n.contact].ID).Fraction()
		if l.cfg.NetworkSize*l.cfg.SizeMargin*dist < tooDense*float64(len(members)) {
			last = len(members)
		}
	}
	for _, i := range members[:last] {
		s.nodes[i].crowd = true
	}
}
