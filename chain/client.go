package chain

import (
	"context"
	"errors"
	"fmt"
)

// Errors that callers branch on. A read that finds nothing returns ErrNotFound, one that could not be asked ErrUnavailable.
var (
	ErrNotFound       = errors.New("not found on the chain")
	ErrNotOnThisChain = errors.New("this generation of the chain does not have it")
	ErrUnavailable    = errors.New("chain unavailable")
)

// DispatchError is a call that was included in a block and failed there; its fee is spent.
type DispatchError struct {
	Pallet string // "" for errors that belong to no pallet, such as BadOrigin
	Name   string
	Docs   string // the chain's own words, may be empty
}

// Error is "Pallet.Name: docs".
func (e *DispatchError) Error() string {
	s := e.Name
	if e.Pallet != "" {
		s = e.Pallet + "." + s
	}
	if e.Docs != "" {
		s += ": " + e.Docs
	}
	return s
}

// InvalidTxError is an extrinsic that the chain refused to take in; nothing was spent.
type InvalidTxError struct {
	Kind string // "Stale", "Future", "BadProof", "Payment", "AncientBirthBlock" ...
	Text string // what the node said
}

// Error is the node's own sentence with the kind.
func (e *InvalidTxError) Error() string {
	if e.Text == "" {
		return "invalid transaction: " + e.Kind
	}
	return fmt.Sprintf("invalid transaction: %s (%s)", e.Text, e.Kind)
}

// HeadSource follows the best chain.
type HeadSource interface {
	// SubscribeHeads sends the best head now and each new one. The channel holds one head and always the newest: a slow
	// reader misses heads, it never delays them. Implementations MUST resume after a lost connection and MUST close the
	// channel when ctx ends, and only then. The error is of the first attempt.
	SubscribeHeads(ctx context.Context) (<-chan Head, error)
}

// SubnetReader reads subnets and their nodes.
type SubnetReader interface {
	Params(ctx context.Context) (Params, error)
	// Subnet returns [ErrNotFound] for an ID that is not registered at that block.
	Subnet(ctx context.Context, at Hash, id SubnetID) (Subnet, error)
	// Nodes lists active and queued nodes, sorted by ID. A subnet that does not exist has none.
	Nodes(ctx context.Context, at Hash, id SubnetID) ([]Node, error)
}

// RoundReader reads the consensus round of an epoch.
type RoundReader interface {
	// Elected is the validator of the epoch; false while there is none, which is normal before the epoch's first block.
	Elected(ctx context.Context, at Hash, id SubnetID, e Epoch) (NodeID, bool, error)
	// Submission is nil without error while nothing was proposed.
	Submission(ctx context.Context, at Hash, id SubnetID, e Epoch) (*Submission, error)
}

// RoundWriter signs and submits with one node's hotkey. Both calls return when the extrinsic is in a block, and return a
// [DispatchError] or [InvalidTxError] when the chain refused it. They MUST NOT submit twice for one call.
type RoundWriter interface {
	Propose(ctx context.Context, id SubnetID, proposer NodeID, scores []NodeScore) (Receipt, error)
	Attest(ctx context.Context, id SubnetID, attester NodeID) (Receipt, error)
}
