package record

import (
	"errors"
	"fmt"
)

// Side says whose fault a refusal is.
type Side uint8

// The sides.
const (
	SideSender Side = iota + 1 // who sent it: an honest node would not have passed it on
	SideAuthor                 // who wrote and signed it
	SideOurs                   // neither: our limits or our own mistake
)

// String returns "sender", "author" or "ours".
func (s Side) String() string {
	switch s {
	case SideSender:
		return "sender"
	case SideAuthor:
		return "author"
	case SideOurs:
		return "ours"
	}
	return fmt.Sprintf("Side(%d)", uint8(s))
}

// Code says why a record was refused.
type Code uint8

// The codes.
const (
	CodeMalformed Code = iota + 1 // not of the form that every record has, or not MessagePack inside
	CodeTooLarge                  // key, subkey, value or dictionary beyond the configured size
	CodeExpired                   // its time has passed
	CodeHorizon                   // expires later than allowed
	CodeSignature                 // signature missing, unreadable or wrong
	CodeSchema                    // type of value or subkey, or unknown key
	CodeRefused                   // a predicate said no
	CodePhase                     // not now in this epoch, or for another epoch
	CodeQuota                     // the author has used up the epoch's share
	CodeBinding                   // a reveal that does not match its commit
	CodeStale                     // an equally fresh or fresher record is stored
	CodeDuplicate                 // exactly this record is stored already
	CodeConflict                  // would displace records that only their owners may displace
	CodeFull                      // no room, in all or for this author
	CodeInternal                  // a validator of ours failed
)

var codeNames = [...]string{"", "malformed", "too large", "expired", "horizon", "signature", "schema", "refused", "phase",
	"quota", "binding", "stale", "duplicate", "conflict", "full", "internal"}

// String returns the code in words.
func (c Code) String() string {
	if c > 0 && int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("Code(%d)", uint8(c))
}

// Fault is a refused record: who is to blame, why, and a text for our own log. The text may quote the record;
// what goes to a peer is the code.
type Fault struct { //nolint:errname // a fault has a side; an error has none
	Side   Side
	Code   Code
	Reason string
	Err    error // cause, if any
}

// Error returns a text with code, side and reason.
func (f *Fault) Error() string {
	if f.Err != nil {
		return fmt.Sprintf("record: %s (%s): %s: %v", f.Code, f.Side, f.Reason, f.Err)
	}
	return fmt.Sprintf("record: %s (%s): %s", f.Code, f.Side, f.Reason)
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Hostile reports whether no honest node with a good clock sends such a record. Faults of timing and of
// capacity happen to honest senders too: their score need not suffer.
func (f *Fault) Hostile() bool {
	switch f.Code {
	case CodeMalformed, CodeTooLarge, CodeHorizon, CodeSignature, CodeBinding, CodeConflict:
		return f.Side != SideOurs
	}
	return false
}

// CodeOf returns the code of the Fault in err's chain, or 0.
func CodeOf(err error) Code {
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return 0
}

// SideOf returns the side of the Fault in err's chain, or 0.
func SideOf(err error) Side {
	var f *Fault
	if errors.As(err, &f) {
		return f.Side
	}
	return 0
}

func fault(side Side, code Code, format string, args ...any) *Fault {
	return &Fault{Side: side, Code: code, Reason: fmt.Sprintf(format, args...)}
}
