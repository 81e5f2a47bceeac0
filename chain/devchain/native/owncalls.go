package native

import (
	"errors"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// Weights of calls, which are part of their fees. One read of the database
// costs 25,000,000, one write 100,000,000.
const (
	weightTransfer = 165_655_000
)

// ownCalls are the calls outside pallet Network, by name.
func (e *Engine) ownCalls() map[string]callDecl {
	all := map[string]callDecl{}
	for _, table := range []map[string]callDecl{e.systemCalls(), e.balanceCalls(), e.sudoCalls(), e.utilityCalls()} {
		for name, decl := range table {
			all[name] = decl
		}
	}
	return all
}

// plain is a call without anything special about its outcome.
func plain(w weight, run func(st frame.State, o frame.Origin) error) *call {
	return &call{weight: w, run: func(st frame.State, o frame.Origin) (outcome, error) { return outcome{}, run(st, o) }}
}

func (e *Engine) systemCalls() map[string]callDecl {
	return map[string]callDecl{
		"Timestamp.set": func(d *scale.Decoder) *call {
			now := d.Compact()
			c := plain(0, func(st frame.State, o frame.Origin) error {
				if o.Kind != frame.OriginNone {
					return frame.BadOrigin()
				}
				return e.timestamp.set(st, now)
			})
			c.class = classMandatory
			return c
		},
		"System.remark": func(d *scale.Decoder) *call {
			d.BytesView()
			return plain(0, func(_ frame.State, o frame.Origin) error {
				if o.Kind == frame.OriginNone {
					return frame.BadOrigin()
				}
				return nil
			})
		},
		"System.remark_with_event": func(d *scale.Decoder) *call {
			remark := frame.Bytes().Dec(d)
			return plain(0, func(st frame.State, o frame.Origin) error {
				who, err := o.EnsureSigned()
				if err != nil {
					return err
				}
				e.system.Remarked(st, who, remark)
				return nil
			})
		},
	}
}

func (e *Engine) balanceCalls() map[string]callDecl {
	transfer := func(p frame.Preservation) callDecl {
		return func(d *scale.Decoder) *call {
			to, amount := frame.Account().Dec(d), d.CompactU128()
			return plain(weightTransfer, func(st frame.State, o frame.Origin) error {
				who, err := o.EnsureSigned()
				if err != nil {
					return err
				}
				return e.balances.Transfer(st, who, to, amount, p)
			})
		}
	}
	return map[string]callDecl{
		"Balances.transfer_allow_death": transfer(frame.Expendable),
		"Balances.transfer_keep_alive":  transfer(frame.Preserve),
		"Balances.transfer_all": func(d *scale.Decoder) *call {
			to, keep := frame.Account().Dec(d), d.Bool()
			return plain(weightTransfer, func(st frame.State, o frame.Origin) error {
				who, err := o.EnsureSigned()
				if err != nil {
					return err
				}
				p := frame.Expendable
				if keep {
					p = frame.Preserve
				}
				return e.balances.Transfer(st, who, to, e.balances.Reducible(st, who, p), p)
			})
		},
		"Balances.force_transfer": func(d *scale.Decoder) *call {
			from, to, amount := frame.Account().Dec(d), frame.Account().Dec(d), d.CompactU128()
			return plain(weightTransfer, func(st frame.State, o frame.Origin) error {
				if err := o.EnsureRoot(); err != nil {
					return err
				}
				return e.balances.Transfer(st, from, to, amount, frame.Expendable)
			})
		},
		"Balances.force_set_balance": func(d *scale.Decoder) *call {
			who, free := frame.Account().Dec(d), d.CompactU128()
			return plain(weightTransfer, func(st frame.State, o frame.Origin) error {
				if err := o.EnsureRoot(); err != nil {
					return err
				}
				return e.balances.ForceSet(st, who, free)
			})
		},
	}
}

// encodeResult appends a Result<(), DispatchError>.
func encodeResult(w *scale.Encoder, err error) {
	w.Bool(err != nil)
	if err != nil {
		dispatchError(err).Encode(w)
	}
}

func dispatchError(err error) frame.DispatchError {
	var e frame.DispatchError
	errors.As(err, &e)
	return e
}

func (e *Engine) sudoCalls() map[string]callDecl {
	as := func(c *call, event uint8, origin frame.Origin) *call {
		return &call{weight: c.weight, class: c.class, run: func(st frame.State, o frame.Origin) (outcome, error) {
			if err := e.sudo.ensure(st, o); err != nil {
				return outcome{}, err
			}
			_, err := c.dispatch(st, origin)
			ev := frame.NewEvent(sudoIndex, event)
			encodeResult(ev, err)
			e.system.Deposit(st, ev.Buf)
			return outcome{free: true}, nil
		}}
	}
	// inner decodes the call that is dispatched; nil leaves d with an error.
	inner := func(d *scale.Decoder, wrap func(c *call) *call) *call {
		c := e.decodeCall(d)
		if c == nil {
			return nil
		}
		return wrap(c)
	}
	setKey := func(next frame.Opt[chain.AccountID]) *call {
		return &call{run: func(st frame.State, o frame.Origin) (outcome, error) {
			if err := e.sudo.ensure(st, o); err != nil {
				return outcome{}, err
			}
			if !next.OK {
				e.sudo.key.Delete(st)
				e.system.Deposit(st, frame.NewEvent(sudoIndex, 2).Buf)
				return outcome{free: true}, nil
			}
			old, ok := e.sudo.key.Find(st)
			e.sudo.key.Set(st, next.V)
			ev := frame.NewEvent(sudoIndex, 1)
			frame.Option(frame.Account()).Enc(ev, frame.Opt[chain.AccountID]{V: old, OK: ok})
			ev.Raw(next.V[:])
			e.system.Deposit(st, ev.Buf)
			return outcome{free: true}, nil
		}}
	}
	return map[string]callDecl{
		"Sudo.sudo": func(d *scale.Decoder) *call {
			return inner(d, func(c *call) *call { return as(c, 0, frame.Root()) })
		},
		"Sudo.sudo_unchecked_weight": func(d *scale.Decoder) *call {
			c := e.decodeCall(d)
			d.Compact()
			d.Compact()
			if c == nil {
				return nil
			}
			return as(c, 0, frame.Root())
		},
		"Sudo.sudo_as": func(d *scale.Decoder) *call {
			who := frame.Account().Dec(d)
			return inner(d, func(c *call) *call { return as(c, 3, frame.Signed(who)) })
		},
		"Sudo.set_key":    func(d *scale.Decoder) *call { return setKey(frame.Some(frame.Account().Dec(d))) },
		"Sudo.remove_key": func(*scale.Decoder) *call { return setKey(frame.Opt[chain.AccountID]{}) },
	}
}

const (
	utilityIndex    = 15
	maxBatch        = 10_922
	errTooManyCalls = 0
)

// batchKind says what a batch does when a call fails.
type batchKind uint8

const (
	batchStop  batchKind = iota // stops, keeps what was done
	batchAll                    // fails as a whole
	batchForce                  // goes on
)

func (e *Engine) utilityCalls() map[string]callDecl {
	batch := func(kind batchKind) callDecl {
		return func(d *scale.Decoder) *call {
			n := d.Len(2)
			calls := make([]*call, 0, min(n, 64))
			c := &call{}
			for range n {
				inner := e.decodeCall(d)
				if inner == nil {
					return nil
				}
				c.weight += inner.weight
				calls = append(calls, inner)
			}
			c.run = func(st frame.State, o frame.Origin) (outcome, error) { return e.runBatch(st, o, kind, calls) }
			return c
		}
	}
	return map[string]callDecl{
		"Utility.batch":       batch(batchStop),
		"Utility.batch_all":   batch(batchAll),
		"Utility.force_batch": batch(batchForce),
	}
}

func (e *Engine) utilityEvent(st frame.State, index uint8, fill func(w *scale.Encoder)) {
	ev := frame.NewEvent(utilityIndex, index)
	if fill != nil {
		fill(ev)
	}
	e.system.Deposit(st, ev.Buf)
}

func (e *Engine) runBatch(st frame.State, o frame.Origin, kind batchKind, calls []*call) (outcome, error) {
	if o.Kind == frame.OriginNone {
		return outcome{}, frame.BadOrigin()
	}
	if len(calls) > maxBatch {
		return outcome{}, frame.Module(utilityIndex, errTooManyCalls)
	}
	failed := false
	for i, c := range calls {
		_, err := c.dispatch(st, o)
		switch {
		case err == nil:
			e.utilityEvent(st, 3, nil)
		case kind == batchAll:
			return outcome{}, err
		case kind == batchStop:
			e.utilityEvent(st, 0, func(w *scale.Encoder) {
				w.U32(uint32(i)) //nolint:gosec // below maxBatch
				dispatchError(err).Encode(w)
			})
			return outcome{}, nil
		default:
			failed = true
			e.utilityEvent(st, 4, func(w *scale.Encoder) { dispatchError(err).Encode(w) })
		}
	}
	done := uint8(1)
	if failed {
		done = 2
	}
	e.utilityEvent(st, done, nil)
	return outcome{}, nil
}

var _ = u128.U128{}
