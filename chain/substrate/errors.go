package substrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

var (
	// ErrProtocol says that an endpoint sent what no node sends: a frame that is not JSON-RPC, an answer of the wrong shape,
	// or more than Config.MaxMessage.
	ErrProtocol = errors.New("substrate: protocol violated by the endpoint")
	// ErrWrongChain says that an endpoint serves another chain than the one pinned.
	ErrWrongChain = errors.New("substrate: endpoint of another chain")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("substrate: client closed")
	// ErrExpired says that a transaction did not get into a block while its era lasted. It never can from now on, so it is
	// safe to submit the call anew.
	ErrExpired = errors.New("substrate: transaction expired before it was included")
	// ErrUsurped says that another transaction of the same account took the nonce. The call was not executed.
	ErrUsurped = errors.New("substrate: another transaction took the nonce")
	// ErrUnknownExtension says that transactions of this chain need a signed extension that this client does not know.
	ErrUnknownExtension = errors.New("substrate: unknown signed extension")
)

// RPCError is an error that the node answered.
type RPCError struct {
	Method  string // what was called
	Code    int
	Message string
	Data    string // the node's detail, as text
}

// Error is "method: message: data (code)".
func (e *RPCError) Error() string {
	s := e.Method + ": " + e.Message
	if e.Data != "" {
		s += ": " + e.Data
	}
	return fmt.Sprintf("%s (%d)", s, e.Code)
}

// The codes of JSON-RPC and of the transaction pool.
const (
	codeMethodNotFound  = -32601
	codeVerification    = 1002
	codeInvalidTx       = 1010
	codeUnknownValidity = 1011
	codeBanned          = 1012
	codeAlreadyImported = 1013
	codeTooLowPriority  = 1014
	codeCycle           = 1015
	codeImmediatelyDrop = 1016
)

// wireError is the error object of JSON-RPC.
type wireError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

func (w *wireError) toError(method string) *RPCError {
	e := &RPCError{Method: method, Code: w.Code, Message: clip(w.Message)}
	if len(w.Data) > 0 {
		if json.Unmarshal(w.Data, &e.Data) != nil {
			e.Data = string(w.Data)
		}
		e.Data = clip(e.Data)
	}
	return e
}

// clip bounds text that a node sent.
func clip(s string) string {
	const most = 512
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// isCode reports whether err is a node's error with one of the codes.
func isCode(err error, codes ...int) bool {
	var e *RPCError
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// poolError turns the pool's refusal of a transaction into a chain.InvalidTxError; other errors stay as they are.
func poolError(err error) error {
	var e *RPCError
	if !errors.As(err, &e) {
		return err
	}
	text := e.Data
	if text == "" {
		text = e.Message
	}
	var kind string
	switch e.Code {
	case codeVerification:
		kind = "Undecodable"
	case codeInvalidTx:
		kind = invalidKind(e.Data + " " + e.Message)
	case codeUnknownValidity:
		kind = "UnknownValidity"
	case codeBanned:
		kind = "Banned"
	case codeAlreadyImported:
		kind = "AlreadyImported"
	case codeTooLowPriority:
		kind = "TooLowPriority"
	case codeCycle, codeImmediatelyDrop:
		kind = "Dropped"
	default:
		return err
	}
	return &chain.InvalidTxError{Kind: kind, Text: text}
}

// invalidKind recognises the texts that nodes give for the reasons of invalidity.
func invalidKind(text string) string {
	for _, k := range []struct{ part, kind string }{
		{"outdated", "Stale"},
		{"bad signature", "BadProof"},
		{"balance too low", "Payment"},
		{"will be valid in the future", "Future"},
		{"ancient birth block", "AncientBirthBlock"},
		{"exhaust the resources", "ExhaustsResources"},
		{"not expected", "Call"},
		{"mandatory", "BadMandatory"},
		{"signer", "BadSigner"},
	} {
		if strings.Contains(text, k.part) {
			return k.kind
		}
	}
	return "Invalid"
}

// unavailable wraps an error that kept us from asking the chain.
func unavailable(what string, err error) error {
	if errors.Is(err, chain.ErrUnavailable) {
		return fmt.Errorf("substrate: %s: %w", what, err)
	}
	return fmt.Errorf("substrate: %s: %w: %w", what, chain.ErrUnavailable, err)
}

// absent turns metadata.ErrUnknown into chain.ErrNotOnThisChain.
func absent(err error) error {
	if errors.Is(err, metadata.ErrUnknown) {
		return fmt.Errorf("%w: %w", chain.ErrNotOnThisChain, err)
	}
	return err
}

// isDispatch reports whether err is of a call that was executed and failed.
func isDispatch(err error) bool {
	var e *chain.DispatchError
	return errors.As(err, &e)
}

// isOver reports whether err says that a transaction was not executed and never will be.
func isOver(err error) bool {
	var e *chain.InvalidTxError
	return errors.Is(err, ErrExpired) || errors.Is(err, ErrUsurped) || errors.As(err, &e)
}
