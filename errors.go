package mesh

import (
	"errors"
	"fmt"
)

// What keeps a node from starting. Each comes wrapped in a [StartError] with the particulars.
var (
	ErrChainUnreachable = errors.New("chain unreachable")
	ErrSubnetUnknown    = errors.New("subnet not on this chain")
	ErrHotkeyUnfunded   = errors.New("hotkey cannot pay fees")
	ErrHotkeyMismatch   = errors.New("hotkey is not the node's")
	ErrFolderInUse      = errors.New("data folder in use")
	ErrAddressInUse     = errors.New("address in use")
	ErrNodeUnknown      = errors.New("node not registered")
)

// StartError is a failed start in words: what did not work, why, and what to do next.
type StartError struct {
	Kind error  // one of the sentinels above
	What string // "cannot reach the chain at ws://..."
	Next string // "start it, or give another address with --rpc"
	Err  error  // the cause; may be nil
}

// Error is what and why in one line.
func (e *StartError) Error() string {
	if e.Err == nil {
		return e.What
	}
	return fmt.Sprintf("%s: %v", e.What, e.Err)
}

// Unwrap gives the sentinel and the cause.
func (e *StartError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
