package native

import (
	"errors"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// ownCalls are the calls outside pallet Network, by name. Their weights are
// facts of the chain: they are part of the fee.
func (e *Engine) ownCalls() map[string]callDecl {
	all := map[string]callDecl{}
	for _, table := range []map[string]callDecl{
		e.systemCalls(), e.storageCalls(), e.balanceCalls(), e.sudoCalls(), e.utilityCalls(), e.txPauseCalls(),
	} {
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

// byRoot is a call of root.
func byRoot(w weight, run func(st frame.State) error) *call {
	return plain(w, func(st frame.State, o frame.Origin) error {
		if err := o.EnsureRoot(); err != nil {
			return err
		}
		return run(st)
	})
}

// dispatchError is the dispatch error in err, which is always there.
func dispatchError(err error) frame.DispatchError {
	var e frame.DispatchError
	errors.As(err, &e)
	return e
}

// encodeResult appends a Result<(), DispatchError>.
func encodeResult(w *scale.Encoder, err error) {
	w.Bool(err != nil)
	if err != nil {
		dispatchError(err).Encode(w)
	}
}

func (e *Engine) systemCalls() map[string]callDecl {
	return map[string]callDecl{
		"Timestamp.set": func(d *scale.Decoder) *call {
			now := d.Compact()
			c := plain(weight{160_560_000, 1493}, func(st frame.State, o frame.Origin) error {
				if o.Kind != frame.OriginNone {
					return frame.BadOrigin()
				}
				return e.timestamp.set(st, now)
			})
			c.class = classMandatory
			return c
		},
		"System.remark": func(d *scale.Decoder) *call {
			n := uint64(len(d.BytesView()))
			return plain(weight{2_169_000 + 387*n, 0}, func(_ frame.State, o frame.Origin) error {
				if o.Kind == frame.OriginNone {
					return frame.BadOrigin()
				}
				return nil
			})
		},
		"System.remark_with_event": func(d *scale.Decoder) *call {
			remark := frame.Bytes().Dec(d)
			return plain(weight{23_611_490 + 1613*uint64(len(remark)), 0}, func(st frame.State, o frame.Origin) error {
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

// storageCalls are root's ways to write to the state.
func (e *Engine) storageCalls() map[string]callDecl {
	return map[string]callDecl{
		"System.set_storage": func(d *scale.Decoder) *call {
			items := frame.Vec(frame.PairOf(frame.Bytes(), frame.Bytes()), 2).Dec(d)
			w := weight{2_239_000, 0}.plus(weight{100_748_304, 0}.times(uint64(len(items))))
			return operational(byRoot(w, func(st frame.State) error {
				for _, it := range items {
					st.Set([]byte(it.A), []byte(it.B))
				}
				return nil
			}))
		},
		"System.kill_storage": func(d *scale.Decoder) *call {
			keys := frame.Vec(frame.Bytes(), 1).Dec(d)
			w := weight{2_188_000, 0}.plus(weight{100_560_728, 0}.times(uint64(len(keys))))
			return operational(byRoot(w, func(st frame.State) error {
				for _, k := range keys {
					st.Delete([]byte(k))
				}
				return nil
			}))
		},
		"System.kill_prefix": func(d *scale.Decoder) *call {
			prefix, keys := frame.Bytes().Dec(d), uint64(d.U32())
			w := weight{4_397_000, 134}.plus(weight{126_307_089, 70}.times(keys + 1))
			return operational(byRoot(w, func(st frame.State) error {
				st.DeletePrefix([]byte(prefix))
				return nil
			}))
		},
	}
}

func operational(c *call) *call {
	c.class = classOperational
	return c
}

func (e *Engine) balanceCalls() map[string]callDecl {
	// transfer is a transfer by its sender of an amount that is known when it
	// happens.
	transfer := func(w weight, p frame.Preservation, decode func(d *scale.Decoder) transferOf) callDecl {
		return func(d *scale.Decoder) *call {
			t, p := decode(d), p
			if t.keep {
				p = frame.Preserve
			}
			return plain(w, func(st frame.State, o frame.Origin) error {
				who, err := o.EnsureSigned()
				if err != nil {
					return err
				}
				amount := t.amount
				if t.all {
					amount = e.balances.Reducible(st, who, p)
				}
				return e.balances.Transfer(st, who, t.to, amount, p)
			})
		}
	}
	some := func(d *scale.Decoder) transferOf {
		return transferOf{to: frame.Account().Dec(d), amount: d.CompactU128()}
	}
	whole := func(d *scale.Decoder) transferOf {
		return transferOf{to: frame.Account().Dec(d), all: true, keep: d.Bool()}
	}
	const proof = 3593
	return map[string]callDecl{
		"Balances.transfer_allow_death": transfer(weight{176_105_000, proof}, frame.Expendable, some),
		"Balances.transfer_keep_alive":  transfer(weight{165_655_000, proof}, frame.Preserve, some),
		"Balances.transfer_all":         transfer(weight{176_205_000, proof}, frame.Expendable, whole),
		"Balances.force_transfer": func(d *scale.Decoder) *call {
			from, to, amount := frame.Account().Dec(d), frame.Account().Dec(d), d.CompactU128()
			return byRoot(weight{302_600_000, 6196}, func(st frame.State) error {
				return e.balances.Transfer(st, from, to, amount, frame.Expendable)
			})
		},
		"Balances.force_set_balance": func(d *scale.Decoder) *call {
			who, free := frame.Account().Dec(d), d.CompactU128()
			return byRoot(weight{147_287_000, proof}, func(st frame.State) error {
				return e.balances.ForceSet(st, who, free)
			})
		},
		"Balances.force_unreserve": func(d *scale.Decoder) *call { // nothing is ever reserved
			who, amount := frame.Account().Dec(d), d.U128()
			return byRoot(weight{143_749_000, proof}, func(st frame.State) error {
				e.balances.Unreserve(st, who, amount)
				return nil
			})
		},
		"Balances.upgrade_accounts": func(d *scale.Decoder) *call { // all are of the newest kind
			n := uint64(len(frame.Vec(frame.Account(), 20).Dec(d)))
			w := weight{17_076_000, 990}.plus(weight{139_834_157, 2603}.times(n))
			return plain(w, func(_ frame.State, o frame.Origin) error {
				_, err := o.EnsureSigned()
				return err
			})
		},
		"Balances.force_adjust_total_issuance": func(d *scale.Decoder) *call {
			direction, delta := d.U8(), d.CompactU128()
			if direction > 1 {
				d.Fail(scale.ErrMalformed, "direction is neither up nor down")
			}
			return byRoot(weight{6_346_000, 0}, func(st frame.State) error {
				return e.balances.AdjustIssuance(st, delta, direction == 0)
			})
		},
		"Balances.burn": func(d *scale.Decoder) *call {
			amount, keep := d.CompactU128(), d.Bool()
			w := weight{21_553_000, 0}
			if keep {
				w.ref = 30_848_000
			}
			return plain(w, func(st frame.State, o frame.Origin) error {
				who, err := o.EnsureSigned()
				if err != nil {
					return err
				}
				return e.balances.BurnFrom(st, who, amount, keep)
			})
		},
	}
}

// txPauseCalls record which calls are paused. The chain does not act on it.
func (e *Engine) txPauseCalls() map[string]callDecl {
	const (
		index        = 21
		errIsPaused  = 0
		errNotPaused = 1
	)
	name := frame.PairOf(frame.BoundedBytes(256), frame.BoundedBytes(256))
	set := func(w weight, pause bool, wrong, event uint8) callDecl {
		return func(d *scale.Decoder) *call {
			full := name.Dec(d)
			return byRoot(w, func(st frame.State) error {
				key := e.pausedCalls.Key(full)
				if (st.Get(key) != nil) == pause {
					return frame.Module(index, wrong)
				}
				if pause {
					st.Set(key, nil)
				} else {
					st.Delete(key)
				}
				ev := frame.NewEvent(index, event)
				name.Enc(ev, full)
				e.system.Deposit(st, ev.Buf)
				return nil
			})
		}
	}
	return map[string]callDecl{
		"TxPause.pause":   set(weight{137_922_000, 3997}, true, errIsPaused, 0),
		"TxPause.unpause": set(weight{145_380_000, 3997}, false, errNotPaused, 1),
	}
}
