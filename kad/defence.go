package kad

import "fmt"

// Doubt is a reason not to believe what a look found without another one. The zero value is
// none.
type Doubt uint8

// Reasons to look again, the weightier ones later.
const (
	DoubtNone Doubt = iota
	// DoubtUnsure is that one path is too few to believe: it found no value, or a place for one
	// that is mostly the word of others, while the size of the swarm is a guess.
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
	LookFirst  = 0 // one path, or two to a place: all that honest nodes need
	LookPaths  = 1 // disjoint paths, on which all must answer
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

// Defence decides how widely an operation on a key searches. It begins with one path, or two
// to the place of a record, which is all that honest nodes need, and judges what that
// brought. A value that is valid needs no second opinion. A value that is missing does, and
// so does the place of a new one when something is odd about it: then disjoint paths are
// searched, and if that is odd too the whole region of the key, subtree by subtree, because
// Sybils may crowd its core.
//
// Package dht and the simulator decide by the same Defence.
type Defence struct {
	// Paths is the number of disjoint paths of a second look. With 1 there is none: the first
	// look is believed.
	Paths int
	// Replicas and Beam are the number of holders of a record and Kademlia's k.
	Replicas, Beam int
	// Size is the estimated number of nodes, 0 when unknown, and Sure says whether it rests
	// on enough lookups. When it does not, half of what the first look finds has to be contacts
	// that the asker knew itself, and later looks are judged with a margin.
	Size float64
	Sure bool
}

// Look returns the look of an operation at a depth. last is the doubt about the one before.
func (d Defence) Look(key ID, depth int, write bool, last Doubt) Look {
	few := min(max(d.Replicas, minObserved), d.Beam) // enough to judge by
	look := Look{Depth: depth, Write: write, Targets: []ID{key}, Paths: 1, Want: few}
	switch {
	case depth == LookFirst && write: // the store itself shows who is there: the nearest need not all have answered
		look.Paths, look.Want = min(d.Paths, 2), min(d.Replicas, confirmFew)
	case depth == LookFirst:
		look.Want = d.Beam
	case depth == LookPaths:
		if look.Paths = d.Paths; !write {
			look.Want = d.Beam
		}
	case depth == LookRegion && write && last == DoubtCrowd:
		look.Paths, look.Want = d.Paths, d.Beam // all of each subtree
		look.Targets = d.region(key)
	case depth == LookRegion:
		look.Paths = max(d.Paths, min(2*d.Paths, manyPaths))
		if !write { // of a store nobody crowds the others out: they are hidden, and more paths lead to them
			look.Targets = d.region(key)
		}
	}
	return look
}

func (d Defence) region(key ID) []ID {
	if d.Size <= 0 {
		return []ID{key}
	}
	return RegionOf(key, d.Size, d.Replicas).Targets(regionTargets)
}

// Config returns the configuration of a look, to which the caller adds who asks, how fast,
// and whom not. heard is that of the operation.
func (d Defence) Config(look Look, heard *Heard) LookupConfig {
	cfg := LookupConfig{
		Heard: heard, Targets: look.Targets, Beam: d.Beam, Want: look.Want, Paths: look.Paths, Hurry: hurry,
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

// Judge returns the weightiest reason to doubt what a look brought; own is what the caller
// doubts about the answers themselves. When all that anybody knows have answered there is
// none, because nobody else is left to ask.
func (d Defence) Judge(l *Lookup, key ID, look Look, own Doubt) Doubt {
	near := make([]Contact, 0, d.Beam)
	if look.Write && look.Depth == LookFirst {
		near = l.Known(near, key, d.Beam)
	} else {
		near = l.Nearest(near, key, look.Want)
	}
	crowd, gap, margin := oddCrowd, oddGap, 1.0
	if look.Depth > LookFirst { // the next look is a dear one
		margin = d.margin()
		crowd, gap = crowd/3, gap/3
		if len(near) > 2*minObserved { // enough to tell
			gap /= 3
		}
	}
	var found Doubt
	st := l.Stats(key)
	switch {
	case st.Reason == StopExhausted && st.Failed == 0:
		return DoubtNone
	case d.Size > 0 && d.Size <= float64(d.Beam): // one answer names everybody: places tell nothing
		found = oddAnswers(st)
	case crowdOdds(key, near, d.Size*margin) < crowd:
		found = DoubtCrowd
	case gapOdds(key, near, d.Size/margin, min(d.Replicas, d.Beam)) < gap:
		found = DoubtGap
	default:
		found = oddAnswers(st)
	}
	if look.Depth == LookFirst && (!look.Write || !d.Sure && 2*l.strangers(key, minObserved) > minObserved) {
		found = max(found, DoubtUnsure)
	}
	return max(own, found)
}

// oddAnswers returns what the answers and failures of a lookup say against it.
func oddAnswers(st TargetStats) Doubt {
	switch {
	case st.Liars > 0 || st.Restarts > 0 || st.Reason == StopLies:
		return DoubtLies
	case st.Reason == StopMaxAsks || st.Failed >= lieAfter && 2*st.Failed > st.Answered:
		return DoubtSilence
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

// Crowded reports whether contacts, sorted by their distance from key, lie so near to it that
// somebody must have chosen their places.
func (d Defence) Crowded(key ID, nearest []Contact) bool {
	return Crowded(key, nearest, d.Size*d.margin())
}

// margin is the factor by which Size may be wrong either way.
func (d Defence) margin() float64 {
	if d.Sure {
		return 1
	}
	return maxDrift
}
