package kad

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// LookupConfig is the configuration of a Lookup. The zero value of each field means its
// default.
type LookupConfig struct {
	// Self is the asker: it is never asked and its ID is dropped from answers. SelfPeer
	// likewise.
	Self     ID
	SelfPeer peer.ID
	// Targets are the points to search. Duplicates count once. Required.
	Targets []ID
	// Beam is how many of the nearest known contacts each path keeps in view. Default 20.
	// It is also the most contacts taken from one answer per target.
	Beam int
	// Want is how many of the nearest contacts must have answered before a path ends.
	// Default Beam. A store that needs 8 replicas may want 8.
	Want int
	// Paths is the number of disjoint paths per target. Default 1. A peer is never asked by
	// two paths of one target, and what one path learns stays on it.
	Paths int
	// Alpha is the number of questions in flight per path. Default 3 with one path, else 1.
	Alpha int
	// Parallel bounds the questions in flight of the whole lookup. Default 32.
	Parallel int
	// TargetsPerCall bounds the targets packed in one question. Default 16.
	TargetsPerCall int
	// MaxAsks bounds the questions asked for one target. Default 60 per path up to 240.
	MaxAsks int
	// AllowFree takes contacts with unbound IDs from answers. Off by default.
	AllowFree bool
	// Exclude, when set, names peers that must not be asked (banned, blacklisted). It is
	// asked when an answer arrives and again before a question. It MUST be pure and quick.
	Exclude func(peer.ID) bool
	// NetworkSize is the estimated number of nodes, 0 when unknown. With it a path that
	// converged on contacts too sparse to be the truth (colluders that name only each
	// other) is abandoned and started anew from another seed.
	NetworkSize float64
	// SoftTimeout, when set, is how long to wait for a contact before another one is asked
	// as well; a later answer still counts. Unset: a question holds its slot until it is
	// answered or failed.
	SoftTimeout func(Contact) time.Duration
}

// Ask is a question that the caller must send: the contacts that Contact knows nearest to
// each of Targets (and the values, if that is the caller's business). Every Ask MUST be
// given back once, to Answer or to Failed.
type Ask struct {
	// Seq numbers the questions of a lookup from 1.
	Seq     uint32
	Contact Contact
	// Targets MUST not be modified.
	Targets []ID
	// Path and Hop are those of the first target, for traces: hop 1 is a seed.
	Path, Hop int
}

// FailReason says why a question got no usable answer.
type FailReason uint8

// Reasons of failures.
const (
	// FailTimeout is no answer in time.
	FailTimeout FailReason = iota
	// FailUnreachable is a contact that could not be dialled.
	FailUnreachable
	// FailRefused is a contact that answered with an error.
	FailRefused
	// FailMismatch is a contact that turned out to have another ID or identity.
	FailMismatch
	// FailCanceled is a question given up by the caller; nobody is blamed.
	FailCanceled
)

// StopReason says why the search for a target ended.
type StopReason uint8

// Reasons to stop.
const (
	// StopNone means that the search goes on.
	StopNone StopReason = iota
	// StopConverged means that the nearest contacts have all answered.
	StopConverged
	// StopExhausted means that nobody was left to ask.
	StopExhausted
	// StopMaxAsks means that the question limit was reached.
	StopMaxAsks
	// StopFound is the caller's: what was found suffices.
	StopFound
	// StopDeadline is the caller's: time is over.
	StopDeadline
	// StopCanceled is the caller's: nobody wants the result any more.
	StopCanceled
)

// AnswerReport says what was taken from an answer and what was not, for counters and for
// the peer's score.
type AnswerReport struct {
	// Taken is the number of contacts that some search learned.
	Taken int
	// TooMany, Duplicate, Self, Excluded and Free count contacts dropped for that reason.
	TooMany, Duplicate, Self, Excluded, Free int
	// Unexpected is set when the Ask was not in flight; the answer was ignored.
	Unexpected bool
}

// Hostile reports whether an honest node of this implementation could not have sent it.
func (r AnswerReport) Hostile() bool { return r.TooMany > 0 || r.Duplicate > 0 || r.Free > 0 }

// Lookup searches the contacts nearest to one or many targets. It is a step machine: Next
// says whom to ask, Answer and Failed report, until Done. Not safe for concurrent use.
type Lookup struct {
	cfg LookupConfig
}

// NewLookup starts a lookup. Seeds are the contacts that we know ourselves (usually the
// union of Table.Nearest of each target; two or three beams of them make disjoint paths
// robust). They are shared among the paths so that none starts where another did.
func NewLookup(cfg LookupConfig, seeds []Contact) *Lookup { return &Lookup{cfg: cfg} }

// Next returns the questions to send now; nil when all slots are taken or nobody is left.
// The slice is valid until the next call.
func (l *Lookup) Next(now time.Time) []Ask { return nil }

// Wake returns when Next should be called again even if nothing was answered, because a
// question passes its soft time-out; false when there is no such time.
func (l *Lookup) Wake() (time.Time, bool) { return time.Time{}, false }

// Answer reports the contacts that an Ask brought: nearest[i] belongs to ask.Targets[i],
// in any order; missing lists are empty. A hostile list is cut and cleaned, never fatal.
func (l *Lookup) Answer(now time.Time, ask Ask, nearest [][]Contact) AnswerReport {
	return AnswerReport{}
}

// Failed reports that an Ask got no usable answer.
func (l *Lookup) Failed(now time.Time, ask Ask, why FailReason) {}

// Stop ends the search for one target. Answers still in flight are ignored for it.
func (l *Lookup) Stop(target ID, why StopReason) {}

// StopAll ends the search for all targets that still run.
func (l *Lookup) StopAll(why StopReason) {}

// Done reports whether no target is searched any more. Questions may still be in flight;
// the caller cancels them or reports them, both are fine.
func (l *Lookup) Done() bool { return true }

// Finished appends the targets that ended since the last call, each exactly once.
func (l *Lookup) Finished(dst []ID) []ID { return dst }

// Reason returns why the search for a target ended, StopNone while it runs.
func (l *Lookup) Reason(target ID) StopReason { return StopNone }

// InFlight returns the number of questions that wait for their outcome.
func (l *Lookup) InFlight() int { return 0 }

// Nearest appends up to k contacts that answered, nearest to target first, of all paths.
func (l *Lookup) Nearest(dst []Contact, target ID, k int) []Contact { return dst }

// Known appends up to k contacts nearest to target that have not failed, whether they
// were asked or not.
func (l *Lookup) Known(dst []Contact, target ID, k int) []Contact { return dst }

// TargetStats sums up the search for one target.
type TargetStats struct {
	Target   ID
	Reason   StopReason
	Asked    int // questions sent
	Answered int
	Failed   int
	Hops     int // length of the longest chain of answers
	Restarts int // paths abandoned as implausible
}

// Stats sums up the search for a target.
func (l *Lookup) Stats(target ID) TargetStats { return TargetStats{} }

// Step is one question of a search, for traces.
type Step struct {
	Seq      uint32
	Contact  Contact
	Path     int
	Hop      int
	From     ID // who named the contact; the zero ID for a seed
	Asked    time.Time
	Ended    time.Time // zero while in flight
	Failure  FailReason
	Answered bool
	Learned  int // contacts that were new to the path
	Nearer   int // of these, nearer to the target than the contact itself
}

// Steps returns the questions asked for a target in their order.
func (l *Lookup) Steps(target ID) []Step { return nil }
