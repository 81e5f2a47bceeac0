package kad

import (
	"fmt"
	"time"
)

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
	// StopLies means that somebody lied; see LookupConfig.StopOnLies.
	StopLies
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
	// TooMany, Duplicate, Self, Excluded and Free count contacts dropped for that reason:
	// beyond MaxAnswer, named twice in one list, the asker, excluded by the configuration,
	// or with an ID that is not bound to the peer.
	TooMany, Duplicate, Self, Excluded, Free int
	// Unexpected is set when the Ask was not in flight; the answer was ignored.
	Unexpected bool
}

// Hostile reports whether an honest node could not have sent the answer. One with larger
// buckets may well send a longer list.
func (r AnswerReport) Hostile() bool { return r.Duplicate > 0 }

// TargetStats sums up the search for one target.
type TargetStats struct {
	Target   ID
	Reason   StopReason
	Asked    int // questions sent
	Answered int
	Failed   int
	Hops     int // length of the longest chain of answers
	Restarts int // times that a path dropped implausible contacts
	Liars    int // nodes that are doubted: what they named does not answer, or cannot be true
}

// Step is one question of a search, for traces.
type Step struct {
	Seq      uint32
	Contact  Contact
	Path     int
	Hop      int
	From     ID // who named the contact first; the zero ID for a seed
	Asked    time.Time
	Ended    time.Time // zero while in flight
	Failure  FailReason
	Answered bool
	Learned  int // contacts that were new to the path
	Nearer   int // of these, nearer to the target than the contact itself
}

// String returns the name used in logs, metrics and traces.
func (r FailReason) String() string {
	switch r {
	case FailTimeout:
		return "timeout"
	case FailUnreachable:
		return "unreachable"
	case FailRefused:
		return "refused"
	case FailMismatch:
		return "mismatch"
	case FailCanceled:
		return "canceled"
	}
	return fmt.Sprintf("failure-%d", uint8(r))
}

// String returns the name used in logs, metrics and traces.
func (r StopReason) String() string {
	switch r {
	case StopNone:
		return "running"
	case StopConverged:
		return "converged"
	case StopExhausted:
		return "exhausted"
	case StopMaxAsks:
		return "max-asks"
	case StopLies:
		return "lies"
	case StopFound:
		return "found"
	case StopDeadline:
		return "deadline"
	case StopCanceled:
		return "canceled"
	}
	return fmt.Sprintf("stop-%d", uint8(r))
}
