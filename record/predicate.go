package record

import (
	"fmt"
	"slices"
)

// Check is a rule about records: nil admits r, a *Fault or any other error refuses it. It sees the value without
// its signature. It MUST be safe for concurrent use.
type Check func(r Record, q Request) error

// Predicate runs any number of checks; a record must pass all.
type Predicate struct {
	checks []namedCheck
}

type namedCheck struct {
	name  string
	check Check
}

// NewPredicate returns a predicate of one check. The name appears in faults.
func NewPredicate(name string, check Check) *Predicate {
	return &Predicate{checks: []namedCheck{{name: name, check: check}}}
}

// Names returns the names of the checks in the order in which they run.
func (p *Predicate) Names() []string {
	names := make([]string, len(p.checks))
	for i, c := range p.checks {
		names[i] = c.name
	}
	return names
}

// Priority returns PriorityPredicate.
func (p *Predicate) Priority() int { return PriorityPredicate }

// Sign returns the value unchanged.
func (p *Predicate) Sign(r Record) ([]byte, error) { return r.Value, nil }

// Strip returns the value unchanged.
func (p *Predicate) Strip(r Record) []byte { return r.Value }

// Validate runs the checks in order until one refuses. A check that panics refuses too, as our own fault.
func (p *Predicate) Validate(r Record, q Request) error {
	for _, c := range p.checks {
		if err := c.run(r, q); err != nil {
			return err
		}
	}
	return nil
}

func (c namedCheck) run(r Record, q Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault(SideOurs, CodeInternal, "check %q panicked: %v", c.name, p)
		}
	}()
	if err := c.check(r, q); err != nil {
		return q.asFault(r, fmt.Errorf("check %q: %w", c.name, err))
	}
	return nil
}

// Merge returns a predicate that runs the checks of both, those of p first.
func (p *Predicate) Merge(other Validator) (Validator, bool) {
	o, ok := other.(*Predicate)
	if !ok {
		return nil, false
	}
	return &Predicate{checks: slices.Concat(p.checks, o.checks)}, true
}
