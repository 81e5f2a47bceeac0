package kad

import "slices"

// Nearest appends up to k contacts that answered, of all paths, nearest to target first.
// Crowds too dense to be true (see NetworkSize) come last.
func (l *Lookup) Nearest(dst []Contact, target ID, k int) []Contact {
	if s := l.byTarget[target]; s != nil {
		return s.collect(l, dst, k, func(n *cand) bool { return n.state == stateAnswered })
	}
	return dst
}

// Known appends up to k contacts nearest to target that have not failed, whether they
// were asked or not. Those that only inventors of contacts vouch for come last.
func (l *Lookup) Known(dst []Contact, target ID, k int) []Contact {
	if s := l.byTarget[target]; s != nil {
		return s.collect(l, dst, k, func(n *cand) bool { return n.state != stateFailed })
	}
	return dst
}

// Confirmed appends up to k of the contacts nearest to target that answered, as long as no
// nearer one is left that has neither answered nor failed. Unlike Nearest it has no gaps, so
// that it shows the density of the swarm; those that only inventors vouch for are no gaps.
func (l *Lookup) Confirmed(dst []Contact, target ID, k int) []Contact {
	s := l.byTarget[target]
	if s == nil {
		return dst
	}
	for _, i := range s.sorted(l) {
		n := &s.nodes[i]
		switch {
		case k == 0 || n.state != stateAnswered && n.state != stateFailed && !s.suspect(n):
			return dst
		case n.state == stateAnswered:
			dst = append(dst, l.contacts[n.contact].Contact)
			k--
		}
	}
	return dst
}

// core appends up to k of the contacts nearest to target that have not failed, asked or
// not, crowd or not, but without those that only liars vouch for.
func (l *Lookup) core(dst []Contact, target ID, k int) []Contact {
	s := l.byTarget[target]
	if s == nil {
		return dst
	}
	for _, i := range s.sorted(l) {
		n := &s.nodes[i]
		if k == 0 {
			break
		}
		if n.state == stateAnswered || n.state != stateFailed && !s.hearsay(n) {
			dst = append(dst, l.contacts[n.contact].Contact)
			k--
		}
	}
	return dst
}

// strangers returns how many of the k contacts nearest to target that have not failed were
// named by others, rather than known to the asker from the start.
func (l *Lookup) strangers(target ID, k int) (n int) {
	s := l.byTarget[target]
	if s == nil {
		return 0
	}
	for _, i := range s.sorted(l) {
		if k == 0 {
			break
		}
		if s.nodes[i].state != stateFailed {
			k--
			if !s.nodes[i].own {
				n++
			}
		}
	}
	return n
}

// Stats sums up the search for a target.
func (l *Lookup) Stats(target ID) TargetStats {
	s := l.byTarget[target]
	if s == nil {
		return TargetStats{Target: target}
	}
	return s.stats()
}

// Steps returns a copy of the questions asked for a target in their order.
func (l *Lookup) Steps(target ID) []Step {
	if s := l.byTarget[target]; s != nil {
		return slices.Clone(s.steps)
	}
	return nil
}

// collect appends the nearest candidates that satisfy keep, plausible ones first.
func (s *search) collect(l *Lookup, dst []Contact, k int, keep func(*cand) bool) []Contact {
	list := make([]int32, 0, len(s.nodes))
	for i := range s.nodes {
		if keep(&s.nodes[i]) {
			list = append(list, int32(i)) // bounded like the contacts
		}
	}
	slices.SortFunc(list, func(a, b int32) int { return s.compare(l, a, b) })
	for _, crowd := range [2]bool{false, true} {
		for _, i := range list {
			if k <= 0 {
				return dst
			}
			if n := &s.nodes[i]; n.crowd == crowd {
				dst = append(dst, l.contacts[n.contact].Contact)
				k--
			}
		}
	}
	return dst
}

// sorted returns all nodes of the search, nearest first.
func (s *search) sorted(l *Lookup) []int32 {
	list := make([]int32, len(s.nodes))
	for i := range list {
		list[i] = int32(i) // bounded like the contacts
	}
	slices.SortFunc(list, func(a, b int32) int { return s.compare(l, a, b) })
	return list
}

func (s *search) stats() TargetStats {
	st := TargetStats{Target: s.target, Reason: s.reason, Asked: s.asked, Answered: s.answers, Failed: s.failures, Hops: s.hops}
	for i := range s.paths {
		st.Restarts += s.paths[i].restarts
	}
	for i := range s.nodes {
		if s.nodes[i].doubted() {
			st.Liars++
		}
	}
	return st
}
