package kad

// What a path does about lists that cannot be true. A source is doubted when the contacts
// that it alone named do not answer, or when it named half of a beam that is too sparse or
// too dense for the size of the swarm. Contacts that only doubted sources name are asked
// last; nothing is thrown away, because the judgement may be wrong: half of the swarm may
// have died a moment ago.

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

// suspect reports whether only doubted sources name a candidate.
func (s *search) suspect(n *cand) bool {
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

// invented reports whether only sources name a candidate whose lists are too near to the
// target to be true.
func (s *search) invented(n *cand) bool {
	if n.seed || len(n.sources) == 0 {
		return false
	}
	for _, src := range n.sources {
		if !s.nodes[src].inventor {
			return false
		}
	}
	return true
}

// judge compares the beam of a path with the density of the swarm. When the beam is
// implausible it drops the lists of the sources that named half of it or more, and reports
// true.
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
	if expected <= tooSparse && expected >= tooDense {
		return false
	}
	dropped := false
	named := make(map[int32]int)
	for _, i := range beam {
		for _, src := range s.nodes[i].sources {
			if named[src]++; 2*named[src] >= len(beam) && !s.nodes[src].liar {
				s.nodes[src].liar = true
				s.nodes[src].inventor = expected < tooDense
				dropped = true
			}
		}
	}
	if dropped {
		p.restarts++
	}
	return dropped
}
