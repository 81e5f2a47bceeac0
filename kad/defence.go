package kad

import "fmt"

// Doubt is a reason not to believe what a look found without another one. The zero value is
// none.
type Doubt uint8

// Reasons to look again, the weightier ones later.
const (
	DoubtNone Doubt = iota
	// DoubtUnsure is too little knowledge to judge by: the size of the swarm is a guess, and
	// most of those found were named by others rather than known to the asker; or what they
	// hold differs.
	DoubtUnsure
	// DoubtSilence is that many of those asked did not answer: they may be the holders.
	DoubtSilence
	// DoubtLies is that somebody named contacts that do not answer, gave a list that cannot be
	// true, or passed on a forged record.
	DoubtLies
	// DoubtGap is that those found are farther from the target than chance puts them: others
	// are hidden.
	DoubtGap
	// DoubtCrowd is that they are nearer than chance puts them: Sybils or inventions.
	DoubtCrowd
)

// String returns the name used in logs, metrics and traces.
func (d Doubt) String() string {
	switch d {
	case DoubtNone:
		return "none"
	case DoubtUnsure:
		return "unsure"
	case DoubtSilence:
		return "silence"
	case DoubtLies:
		return "lies"
	case DoubtGap:
		return "gap"
	case DoubtCrowd:
		return "crowd"
	}
	return fmt.Sprintf("doubt-%d", uint8(d))
}

const (
	confirmFew    = 4  // nearest nodes that must have answered before the first look of a store ends; kad-dht asks 3
	regionTargets = 6  // subtrees that a crowded region is searched in: 64 times its core
	regionAsks    = 60 // questions for each of them
	manyPaths     = 16 // of a last look
	hurry         = 4  // questions at once on a path in trouble
)

// The looks of an operation, by depth.
const (
	LookFirst  = 0 // one path: all that honest nodes need
	LookPaths  = 1 // disjoint paths
	LookRegion = 2 // the whole region of the key, or still more paths
)

// Look is one lookup out of those that an operation makes.
type Look struct {
	// Depth is LookFirst, LookPaths or LookRegion.
	Depth int
	// Write is set for the place of a record, false for its value.
	Write bool
	// Targets are the key, or with it points around it that lead to all of its region.
	Targets []ID
	// Paths and Want are those of LookupConfig.
	Paths, Want int
}

// Defence decides how widely an operation on a key searches. It begins with one path, which
// is all that honest nodes need, and judges what that brought. A value that is valid needs no
// second opinion. A value that is missing or may be outdated, and the place of a new one, do,
// whenever the first look gives a reason for doubt: then disjoint paths are searched, and at
// last the whole region of the key, subtree by subtree, because Sybils may crowd its core.
//
// The simulator decides by it. Package dht does not yet: it makes one look, over as many
// paths as its configuration says.
type Defence struct {
	// Paths is the number of disjoint paths of a second look. With 1 there is none: the first
	// look is believed.
	Paths int
	// Replicas and Beam are the number of holders of a record and Kademlia's k.
	Replicas, Beam int
	// Size is the estimated number of nodes, 0 when unknown, and Sure says whether it rests
	// on enough lookups. When it does not, the density of what is found is judged with a
	// margin, and half of it has to be contacts that the asker knew itself.
	Size float64
	Sure bool
}

// Look returns the look of an operation at a depth. last is the doubt about the one before.
func (d Defence) Look(key ID, depth int, write bool, last Doubt) Look {
	look := Look{Depth: depth, Write: write, Targets: []ID{key}, Paths: 1, Want: d.Beam}
	if write { // the store itself shows who is there: the nearest need not all have answered
		look.Want = min(d.Replicas, confirmFew)
	}
	if depth == LookFirst {
		return look
	}
	look.Paths = d.Paths
	few := min(max(d.Replicas, minObserved), d.Beam) // enough to judge by
	if write {                                       // liars name nodes that are not there
		look.Want = few
	}
	if depth == LookPaths {
		return look
	}
	switch {
	case !write:
		look.Paths, look.Want = min(2*d.Paths, manyPaths), few
	case last == DoubtCrowd:
		look.Want = d.Beam // all of each subtree
	default: // nobody crowds the others out: they are hidden, and more paths lead to them
		look.Paths = min(2*d.Paths, manyPaths)
		return look
	}
	if d.Size > 0 {
		look.Targets = RegionOf(key, d.Size, d.Replicas).Targets(regionTargets)
	}
	return look
}

// Config returns the configuration of a look, to which the caller adds who asks, how fast,
// and whom not.
func (d Defence) Config(look Look) LookupConfig {
	cfg := LookupConfig{
		Targets: look.Targets, Beam: d.Beam, Want: look.Want, Paths: look.Paths, Hurry: hurry,
		StopOnLies: look.Depth == LookFirst && d.Paths > 1,
	}
	if d.Paths > 1 && (d.Sure || look.Write) { // a wrong guess would have a read pass over the true holders
		cfg.NetworkSize, cfg.SizeMargin = d.Size, d.margin()
	}
	if len(look.Targets) > 1 {
		cfg.MaxAsks = regionAsks
	}
	return cfg
}

// Judge returns the weightiest reason to doubt what a look brought.
func (d Defence) Judge(l *Lookup, key ID, look Look) Doubt {
	near := make([]Contact, 0, d.Beam)
	if look.Write && look.Depth == LookFirst {
		near = l.Known(near, key, d.Beam)
	} else {
		near = l.Nearest(near, key, look.Want)
	}
	crowd, gap := oddCrowd, oddGap
	if look.Depth > LookFirst { // the next look is a dear one
		crowd /= 3
		if len(near) > 2*minObserved { // enough to tell
			gap /= 10
		}
	}
	st := l.Stats(key)
	switch {
	case crowdOdds(key, near, d.Size*d.margin()) < crowd:
		return DoubtCrowd
	case gapOdds(key, near, d.Size/d.margin(), min(d.Replicas, d.Beam)) < gap:
		return DoubtGap
	case st.Liars > 0 || st.Restarts > 0 || st.Reason == StopLies:
		return DoubtLies
	case st.Reason == StopMaxAsks || st.Failed >= lieAfter && 2*st.Failed > st.Answered:
		return DoubtSilence
	case !d.Sure && 2*l.strangers(key, minObserved) > minObserved:
		return DoubtUnsure
	}
	return DoubtNone
}

// Deeper reports whether an operation in doubt should make one more look. It is asked only
// by stores, and by gets that found nothing or nothing new enough.
func (d Defence) Deeper(look Look, doubt Doubt) bool {
	switch {
	case doubt == DoubtNone || d.Paths <= 1:
		return false
	case look.Depth == LookPaths: // one honest path is enough for a store to find the nearest
		return doubt >= DoubtGap || !look.Write && doubt > DoubtUnsure
	}
	return look.Depth < LookPaths
}

// margin is the factor by which Size may be wrong either way.
func (d Defence) margin() float64 {
	if d.Sure {
		return 1
	}
	return maxDrift
}
