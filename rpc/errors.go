package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Code says what kind of failure a call met.
type Code uint8

// The codes. Their numbers are part of the native wire form.
const (
	OK                Code = iota
	InvalidArgument        // the request makes no sense
	Unauthenticated        // the message does not prove who sent it
	PermissionDenied       // the sender is known and may not
	NotFound               // the thing asked for does not exist
	ResourceExhausted      // a bound was reached; try later or elsewhere
	DeadlineExceeded       // no answer in time
	Unavailable            // the peer cannot be reached or went away
	Unimplemented          // the peer does not serve the method
	Internal               // a fault of the one who reports it
	Canceled               // the caller gave up
)

var codeNames = [...]string{
	"OK", "InvalidArgument", "Unauthenticated", "PermissionDenied", "NotFound", "ResourceExhausted",
	"DeadlineExceeded", "Unavailable", "Unimplemented", "Internal", "Canceled",
}

// String returns the code's name.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("Code(%d)", uint8(c))
}

// Error is a failed call.
type Error struct {
	Code   Code
	Msg    string
	Remote bool    // the peer said it
	Peer   peer.ID // the other end, if known
	Method Method  // the method, if known
	cause  error
}

// Errorf makes an error that reaches the peer with its code and text when a handler returns it.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), cause: errors.Unwrap(err)}
}

// Error tells code, text and where it came from.
func (e *Error) Error() string {
	where := "rpc"
	if e.Method != "" {
		where += ": " + string(e.Method)
	}
	if e.Remote {
		where += ": remote"
	}
	if e.Msg == "" {
		return where + ": " + e.Code.String()
	}
	return where + ": " + e.Code.String() + ": " + e.Msg
}

// Unwrap returns the local cause, if any.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf returns the code of an error: OK for nil, Internal for errors of other packages.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return Canceled
	}
	return Internal
}

// IsRemote tells whether the peer reported the error, as opposed to this node or the network.
func IsRemote(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Remote
}

// Wrap makes an error that reaches the peer with a code and a text, and keeps a cause for this side.
func Wrap(code Code, text string, cause error) *Error {
	return &Error{Code: code, Msg: text, cause: cause}
}
