package substrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Event is something that the runtime reported while it executed a block.
type Event struct {
	Extrinsic    int // index of the extrinsic that caused it; -1 for the block's own work
	Pallet, Name string
	Fields       any // Fields, or a Tuple where they have no names; nil without any
}

// Field returns a field by name, or by position where fields have no names; nil if there is none.
func (e Event) Field(name string, position int) any {
	switch f := e.Fields.(type) {
	case metadata.Fields:
		return f.Get(name)
	case metadata.Tuple:
		if position >= 0 && position < len(f) {
			return f[position]
		}
	default:
		if position == 0 {
			return f
		}
	}
	return nil
}

// Events reads what happened in a block; the zero hash is the best one.
func (c *Client) Events(ctx context.Context, at chain.Hash) ([]Event, error) {
	values, err := c.Raw(ctx, at, Key{"System", "Events", nil})
	if err != nil {
		return nil, err
	}
	return c.rt.Load().events(values[0])
}

// events decodes System.Events.
func (rt *runtime) events(b []byte) ([]Event, error) {
	entry, err := rt.reg.Storage("System", "Events")
	if err != nil {
		return nil, absent(err)
	}
	d := scale.NewDecoder(b)
	list, ok := rt.reg.DecodeValue(d, entry.Value).([]any)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("substrate: events: %w", err)
	}
	out := make([]Event, 0, len(list))
	for _, x := range list {
		record, isRecord := x.(metadata.Fields)
		phase, isPhase := record.Get("phase").(metadata.Enum)
		outer, isOuter := record.Get("event").(metadata.Enum)
		inner, isInner := outer.Value.(metadata.Enum)
		if !isRecord || !isPhase || !isOuter || !isInner {
			return nil, fmt.Errorf("substrate: events: %w: unknown form of an event record", scale.ErrMalformed)
		}
		e := Event{Extrinsic: -1, Pallet: outer.Name, Name: inner.Name, Fields: inner.Value}
		if i, ok := phase.Value.(uint64); ok && phase.Name == "ApplyExtrinsic" && i < 1<<31 {
			e.Extrinsic = int(i)
		}
		out = append(out, e)
	}
	if !ok && len(b) > 1 {
		return nil, fmt.Errorf("substrate: events: %w", errors.ErrUnsupported)
	}
	return out, nil
}

// outcome is what became of an extrinsic.
type outcome struct {
	known  bool  // there was a verdict
	err    error // a chain.DispatchError
	fee    u128.U128
	events []Event // its own
}

// outcomeOf picks the verdict on one extrinsic out of a block's events.
func (rt *runtime) outcomeOf(events []Event, index int) outcome {
	var o outcome
	for _, e := range events {
		if e.Extrinsic != index {
			continue
		}
		o.events = append(o.events, e)
		switch e.Pallet + "." + e.Name {
		case "System.ExtrinsicSuccess":
			o.known = true
		case "System.ExtrinsicFailed":
			o.known = true
			o.err = rt.dispatchError(e.Field("dispatch_error", 0))
		case "TransactionPayment.TransactionFeePaid":
			if fee, ok := e.Field("actual_fee", 1).(u128.U128); ok {
				o.fee = fee
			}
		}
	}
	return o
}

// dispatchError names an error with the help of the metadata.
func (rt *runtime) dispatchError(v any) error {
	e, ok := v.(metadata.Enum)
	if !ok {
		return &chain.DispatchError{Name: "Unknown"}
	}
	if e.Name != "Module" {
		out := &chain.DispatchError{Name: e.Name}
		if inner, ok := e.Value.(metadata.Enum); ok {
			out.Name += "." + inner.Name
		}
		return out
	}
	m, _ := e.Value.(metadata.Fields)
	index, _ := m.Get("index").(uint64)
	var code uint64
	switch x := m.Get("error").(type) {
	case []byte:
		if len(x) > 0 {
			code = uint64(x[0])
		}
	case uint64:
		code = x
	}
	p, variant, err := rt.reg.Error(uint8(index), uint8(code))
	if err != nil {
		return &chain.DispatchError{Name: fmt.Sprintf("Module error %d of pallet %d", code, index)}
	}
	return &chain.DispatchError{Pallet: p.Name, Name: variant.Name, Docs: joinDocs(variant.Docs)}
}

// joinDocs makes one line of documentation.
func joinDocs(lines []string) string {
	out := ""
	for _, l := range lines {
		if out != "" && l != "" {
			out += " "
		}
		out += l
	}
	return out
}
