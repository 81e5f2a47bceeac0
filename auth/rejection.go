package auth

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hypertensor-blockchain/mesh/rpc"
)

// Reason says why a call was refused.
type Reason uint8

// The reasons.
const (
	Unsigned       Reason = iota // no authentication part
	Malformed                    // an authentication part that cannot be read
	WrongKey                     // a key that is none, or of an unsupported kind
	WrongPeer                    // the signer is not the peer at the other end
	WrongRecipient               // the message was signed for somebody else
	WrongTime                    // outside the time window
	Replayed                     // seen before
	WrongSignature               // the signature does not belong to key and message
	WrongNonce                   // a response to another request
	MemoryFull                   // too many requests to remember; refused rather than accepted twice
	NotStaked                    // the checker does not admit the peer
	TooFast                      // out of tokens
	Banned                       // refused until a ban ends

	reasonCount
)

var reasonTexts = [reasonCount]string{
	"message is not signed", "malformed authentication", "unsupported key", "signer is not the peer of the channel",
	"signed for another recipient", "clocks differ or message is old", "message was seen before", "wrong signature",
	"answer to another request", "too many signed requests", "not admitted", "too many requests", "banned",
}

// String returns the fixed text that peers are told.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonTexts[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// code is what the peer is told beside the text.
func (r Reason) code() rpc.Code {
	switch r {
	case NotStaked, Banned:
		return rpc.PermissionDenied
	case MemoryFull, TooFast:
		return rpc.ResourceExhausted
	default:
		return rpc.Unauthenticated
	}
}

// Rejection is the cause of an error that an interceptor of this package returns.
type Rejection struct { //nolint:errname // the noun of the package; RejectionError would stutter
	Reason Reason
	Detail string // for people here; never sent to the peer
}

// Error returns reason and detail.
func (r *Rejection) Error() string {
	if r.Detail == "" {
		return "auth: " + r.Reason.String()
	}
	return "auth: " + r.Reason.String() + ": " + r.Detail
}

// ReasonOf returns why an interceptor of this node refused a call; ok is false for other errors, among them
// refusals by the peer.
func ReasonOf(err error) (reason Reason, ok bool) {
	var r *Rejection
	if !errors.As(err, &r) {
		return 0, false
	}
	return r.Reason, true
}

// tally counts rejections by reason.
type tally [reasonCount]atomic.Uint64

// reject counts a rejection and makes the error of it. The peer reads the fixed text of the reason.
func (t *tally) reject(reason Reason, detail string) error {
	t[reason].Add(1)
	return rpc.Wrap(reason.code(), reason.String(), &Rejection{Reason: reason, Detail: detail})
}

// Rejections returns how often each reason was given; reasons never given are left out.
func (t *tally) Rejections() map[Reason]uint64 {
	counts := make(map[Reason]uint64)
	for i := range t {
		if n := t[i].Load(); n > 0 {
			counts[Reason(i)] = n
		}
	}
	return counts
}
