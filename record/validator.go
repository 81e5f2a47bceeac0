package record

import (
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Priorities of the validators of this package. Those that the Python mesh also has keep its numbers.
const (
	PriorityBounds    = 100 // cheapest: before any cryptography
	PrioritySignature = 10
	PriorityPredicate = 9
	PriorityQuota     = 5
	PrioritySchema    = 0
)

// Validator is one rule for records. Implementations MUST be safe for concurrent use, MUST NOT modify or keep
// the record's slices, and MUST decide from their arguments and their own state only.
type Validator interface {
	// Priority places the validator in a chain: the higher, the earlier it validates.
	Priority() int
	// Sign returns the value to store in place of r.Value, or r.Value itself.
	Sign(r Record) ([]byte, error)
	// Validate returns nil or the reason for refusing r; a *Fault says whose fault it is, any other error
	// counts as CodeRefused by the author, or by the sender if no author is proven.
	Validate(r Record, q Request) error
	// Strip returns r.Value without what Sign added. It is called on validated records only.
	Strip(r Record) []byte
	// Merge combines the rules of both into one validator that is at least as strict as each, save where
	// its documentation says otherwise, or returns ok false: then both stay. It MUST NOT drop a rule.
	Merge(other Validator) (merged Validator, ok bool)
}

// Acceptor is a validator that counts which records were stored in the end. Both methods are called under the lock
// of the store: they MUST NOT block or call out.
type Acceptor interface {
	// Admits repeats, just before r is stored, what of Validate depends on the records accepted before: of
	// several that were validated at once, all may have found the last free place.
	Admits(r Record, q Request) error
	// Accepted is called after r, which Validate admitted with q, was stored.
	Accepted(r Record, q Request)
}

// Chain is a composition of validators. It is immutable; the zero value has no validators and still checks the
// shape of records. Copies share caches and counters.
type Chain struct {
	validators []Validator // ascending priority
	owners     *ownerCache
}

// NewChain composes validators: each is merged into the first one that will have it, else added. Validators of
// equal priority keep the given order.
func NewChain(validators ...Validator) Chain {
	return Chain{owners: newOwnerCache()}.With(validators...)
}

// With returns a chain with further validators; c stays as it is.
func (c Chain) With(validators ...Validator) Chain {
	list := slices.Clone(c.validators)
	for _, v := range validators {
		if v != nil {
			list = extend(list, v)
		}
	}
	slices.SortStableFunc(list, func(a, b Validator) int { return a.Priority() - b.Priority() })
	if c.owners == nil {
		c.owners = newOwnerCache()
	}
	c.validators = list
	return c
}

func extend(list []Validator, v Validator) []Validator {
	for i, existing := range list {
		if merged, ok := existing.Merge(v); ok {
			list[i] = merged
			return list
		}
	}
	return append(list, v)
}

// Validators returns the validators by ascending priority, after merging.
func (c Chain) Validators() []Validator { return slices.Clone(c.validators) }

// Sign returns the value to store in place of r.Value: every validator in turn, ascending, sees what the one
// before returned. The value must be MessagePack.
func (c Chain) Sign(r Record) ([]byte, error) {
	if err := checkShape(r); err != nil {
		return nil, ours(err)
	}
	if err := checkPacked(r.Value); err != nil {
		return nil, &Fault{Side: SideOurs, Code: CodeMalformed, Reason: "value", Err: err}
	}
	for _, v := range c.validators {
		signed, err := v.Sign(r)
		if err != nil {
			return nil, ours(err)
		}
		r.Value = signed
	}
	return r.Value, nil
}

// Validate returns nil if every validator admits the record and the innermost value is MessagePack, else a *Fault.
// Nothing is changed by it; see Accepted.
func (c Chain) Validate(r Record, q Request) error {
	_, err := c.Open(r, q)
	return err
}

// Open validates a record and returns its innermost value, a view of r.Value.
func (c Chain) Open(r Record, q Request) ([]byte, error) {
	q.owners = c.owners
	if err := checkShape(r); err != nil {
		return nil, err
	}
	for i := len(c.validators) - 1; i >= 0; i-- {
		v := c.validators[i]
		if err := v.Validate(r, q); err != nil {
			return nil, q.asFault(r, err)
		}
		q.verified = q.verified || verifies(v)
		r.Value = v.Strip(r)
	}
	if err := checkPacked(r.Value); err != nil {
		return nil, &Fault{Side: q.blame(r), Code: CodeMalformed, Reason: "value", Err: err}
	}
	return r.Value, nil
}

// Strip returns the innermost value of a record that was validated before, a view of r.Value.
func (c Chain) Strip(r Record) []byte {
	for i := len(c.validators) - 1; i >= 0; i-- {
		r.Value = c.validators[i].Strip(r)
	}
	return r.Value
}

// Admits repeats for a validated record what depends on the records accepted before, such as quotas. Called together
// with storing the record and Accepted under one lock, it keeps records that arrive at the same time from using one
// free place twice.
func (c Chain) Admits(r Record, q Request) error {
	return c.acceptors(r, q, func(a Acceptor, r Record, q Request) error { return a.Admits(r, q) })
}

// Accepted tells the validators that a record they admitted has been stored. Call it once per stored record,
// never for a refused one.
func (c Chain) Accepted(r Record, q Request) {
	_ = c.acceptors(r, q, func(a Acceptor, r Record, q Request) error {
		a.Accepted(r, q)
		return nil
	})
}

// acceptors visits the validators that count, each with the value as it sees it.
func (c Chain) acceptors(r Record, q Request, visit func(Acceptor, Record, Request) error) error {
	q.owners = c.owners
	for i := len(c.validators) - 1; i >= 0; i-- {
		v := c.validators[i]
		if a, ok := v.(Acceptor); ok {
			if err := visit(a, r, q); err != nil {
				return err
			}
		}
		q.verified = q.verified || verifies(v)
		r.Value = v.Strip(r)
	}
	return nil
}

// Author returns who is answerable for a validated record: the owner that its subkey names if the chain checks
// signatures, else the sender.
func (c Chain) Author(r Record, sender peer.ID) peer.ID {
	q := Request{Sender: sender, owners: c.owners, verified: slices.ContainsFunc(c.validators, verifies)}
	return q.Author(r)
}

func verifies(v Validator) bool {
	_, ok := v.(*Signature)
	return ok
}

// checkPacked makes sure that every reader, in Go or Python, can decode a value.
func checkPacked(value []byte) error { return msgpack.Valid(value, msgpack.Limits{}) }

func (q Request) asFault(r Record, err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	return &Fault{Side: q.blame(r), Code: CodeRefused, Reason: "refused by a validator", Err: err}
}

// ours turns a fault in a record that we are about to send into our own.
func ours(err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return &Fault{Side: SideOurs, Code: f.Code, Reason: f.Reason, Err: f.Err}
	}
	return &Fault{Side: SideOurs, Code: CodeInternal, Reason: "sign", Err: err}
}

// Passive is embedded by validators that only validate: it signs and strips nothing and merges with nobody.
type Passive struct{}

// Sign returns the value unchanged.
func (Passive) Sign(r Record) ([]byte, error) { return r.Value, nil }

// Strip returns the value unchanged.
func (Passive) Strip(r Record) []byte { return r.Value }

// Merge returns false.
func (Passive) Merge(Validator) (Validator, bool) { return nil, false }

// expirationAfter returns the expiration d after now.
func expirationAfter(now time.Time, d time.Duration) Expiration { return ExpirationAt(now.Add(d)) }
