package native

import (
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

const (
	utilityIndex    = 15
	maxBatch        = 10_922
	errTooManyCalls = 0
)

// Events of pallet Utility.
const (
	batchInterrupted = iota
	batchCompleted
	batchCompletedWithErrors
	itemCompleted
	itemFailed
	dispatchedAs
)

// batchKind says what a batch does when a call fails.
type batchKind uint8

const (
	batchStop  batchKind = iota // stops, keeps what was done
	batchAll                    // fails as a whole
	batchForce                  // goes on
)

// weight is the cost of a batch of n calls beside that of the calls.
func (k batchKind) weight(n int) weight {
	base := [...]uint64{batchStop: 69_388_813, batchAll: 72_628_420, batchForce: 73_270_604}[k]
	each := [...]uint64{batchStop: 4_591_113, batchAll: 4_797_007, batchForce: 4_570_923}[k]
	return weight{base, 3997}.plus(weight{each, 0}.times(uint64(n)))
}

func (e *Engine) utilityCalls() map[string]callDecl {
	batch := func(kind batchKind) callDecl {
		return func(d *scale.Decoder) *call {
			n := d.Len(2)
			calls := make([]*call, 0, min(n, 64))
			c := &call{class: classOperational, weight: kind.weight(n)}
			for range n {
				inner := e.decodeCall(d)
				if inner == nil {
					return nil
				}
				if inner.class != classOperational {
					c.class = classNormal
				}
				c.weight = c.weight.plus(inner.weight)
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
		"Utility.dispatch_as": func(d *scale.Decoder) *call {
			origin := decodeOrigin(d)
			c := e.decodeCall(d)
			if c == nil {
				return nil
			}
			return &call{weight: c.weight.plus(weight{6_985_000, 0}), class: c.class, run: func(st frame.State, o frame.Origin) (outcome, error) {
				if err := o.EnsureRoot(); err != nil {
					return outcome{}, err
				}
				_, err := c.dispatch(st, origin)
				e.utilityEvent(st, dispatchedAs, func(w *scale.Encoder) { encodeResult(w, err) })
				return outcome{}, nil
			}}
		},
		"Utility.as_derivative": func(d *scale.Decoder) *call {
			index := d.U16()
			c := e.decodeCall(d)
			if c == nil {
				return nil
			}
			own := weight{185_896_000, 3997}
			return &call{weight: c.weight.plus(own), class: c.class, run: func(st frame.State, o frame.Origin) (outcome, error) {
				who, err := o.EnsureSigned()
				if err != nil {
					return outcome{}, err
				}
				out, err := c.dispatch(st, frame.Signed(derivative(who, index)))
				spent := c.weight
				if out.actual {
					spent = out.weight
				}
				return outcome{weight: spent.plus(own), actual: true}, err
			}}
		},
		"Utility.with_weight": func(d *scale.Decoder) *call {
			c := e.decodeCall(d)
			w := weight{d.Compact(), d.Compact()}
			if c == nil {
				return nil
			}
			return &call{weight: w, class: c.class, run: func(st frame.State, o frame.Origin) (outcome, error) {
				if err := o.EnsureRoot(); err != nil {
					return outcome{}, err
				}
				_, err := c.dispatch(st, o)
				return outcome{}, err
			}}
		},
	}
}

// decodeOrigin reads an origin of pallet System, the only one that is offered.
func decodeOrigin(d *scale.Decoder) frame.Origin {
	if d.U8() != 0 {
		d.Fail(scale.ErrMalformed, "origin of another pallet")
	}
	switch d.U8() {
	case 0:
		return frame.Root()
	case 1:
		return frame.Signed(frame.Account().Dec(d))
	case 2:
	default:
		d.Fail(scale.ErrMalformed, "no such origin")
	}
	return frame.Origin{}
}

// derivative is the account that stands for the index-th alter ego of who.
func derivative(who chain.AccountID, index uint16) chain.AccountID {
	w := scale.Encoder{Buf: []byte("modlpy/utilisuba")}
	w.Raw(who[:])
	w.U16(index)
	sum := blake2b.Sum256(w.Buf)
	return chain.AccountID(sum[:20])
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
	var spent weight
	done := outcome{actual: true}
	last := uint8(batchCompleted)
	for i, c := range calls {
		out, err := c.dispatch(st, o)
		if out.actual {
			spent = spent.plus(out.weight)
		} else {
			spent = spent.plus(c.weight)
		}
		switch {
		case err == nil:
			e.utilityEvent(st, itemCompleted, nil)
		case kind == batchAll:
			done.weight = kind.weight(i + 1).plus(spent)
			return done, err
		case kind == batchStop:
			e.utilityEvent(st, batchInterrupted, func(w *scale.Encoder) {
				w.U32(uint32(i))
				dispatchError(err).Encode(w)
			})
			done.weight = kind.weight(i + 1).plus(spent)
			return done, nil
		default:
			last = batchCompletedWithErrors
			e.utilityEvent(st, itemFailed, func(w *scale.Encoder) { dispatchError(err).Encode(w) })
		}
	}
	e.utilityEvent(st, last, nil)
	if kind == batchForce {
		kind = batchStop // what the chain settles it with
	}
	done.weight = kind.weight(len(calls)).plus(spent)
	return done, nil
}
