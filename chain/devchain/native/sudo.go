package native

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

const (
	sudoIndex  = 6
	sudoProof  = 1517
	notTheSudo = 0 // RequireSudo
)

// sudo is the pallet of that name.
type sudo struct{ key *frame.Value[chain.AccountID] }

func newSudo(m *metadata.Metadata) *sudo {
	return &sudo{frame.NewValue(frame.NewItems(m, "Sudo"), "Key", frame.Account())}
}

func (s *sudo) genesis(st frame.State, key chain.AccountID) {
	if !key.IsZero() {
		s.key.Set(st, key)
	}
}

// ensure fails for anybody but the holder of the key and root.
func (s *sudo) ensure(st frame.State, o frame.Origin) error {
	key, ok := s.key.Find(st)
	switch {
	case o.Kind == frame.OriginRoot, ok && o.Kind == frame.OriginSigned && o.Signer == key:
		return nil
	case o.Kind == frame.OriginNone:
		return frame.BadOrigin()
	}
	return frame.Module(sudoIndex, notTheSudo)
}

// sudoCall is what the holder of the key does, free of charge.
func (e *Engine) sudoCall(w weight, c class, run func(st frame.State)) *call {
	return &call{weight: w, class: c, run: func(st frame.State, o frame.Origin) (outcome, error) {
		if err := e.sudo.ensure(st, o); err != nil {
			return outcome{}, err
		}
		run(st)
		return outcome{free: true}, nil
	}}
}

// dispatchAs dispatches a call with another origin and deposits the result.
func (e *Engine) dispatchAs(c *call, o frame.Origin, event uint8) func(st frame.State) {
	return func(st frame.State) {
		_, err := c.dispatch(st, o)
		ev := frame.NewEvent(sudoIndex, event)
		encodeResult(ev, err)
		e.system.Deposit(st, ev.Buf)
	}
}

func (e *Engine) sudoCalls() map[string]callDecl {
	return map[string]callDecl{
		"Sudo.sudo": func(d *scale.Decoder) *call {
			c := e.decodeCall(d)
			if c == nil {
				return nil
			}
			return e.sudoCall(c.weight.plus(weight{36_501_000, sudoProof}), c.class, e.dispatchAs(c, frame.Root(), 0))
		},
		"Sudo.sudo_unchecked_weight": func(d *scale.Decoder) *call {
			c := e.decodeCall(d)
			w := weight{d.Compact(), d.Compact()}
			if c == nil {
				return nil
			}
			return e.sudoCall(w, c.class, e.dispatchAs(c, frame.Root(), 0))
		},
		"Sudo.sudo_as": func(d *scale.Decoder) *call {
			who := frame.Account().Dec(d)
			c := e.decodeCall(d)
			if c == nil {
				return nil
			}
			return e.sudoCall(c.weight.plus(weight{36_618_000, sudoProof}), c.class, e.dispatchAs(c, frame.Signed(who), 3))
		},
		"Sudo.set_key": func(d *scale.Decoder) *call {
			next := frame.Account().Dec(d)
			return e.sudoCall(weight{135_822_000, sudoProof}, classNormal, func(st frame.State) {
				old, ok := e.sudo.key.Find(st)
				e.sudo.key.Set(st, next)
				ev := frame.NewEvent(sudoIndex, 1)
				frame.Option(frame.Account()).Enc(ev, frame.Opt[chain.AccountID]{V: old, OK: ok})
				ev.Raw(next[:])
				e.system.Deposit(st, ev.Buf)
			})
		},
		"Sudo.remove_key": func(*scale.Decoder) *call {
			return e.sudoCall(weight{135_092_000, sudoProof}, classNormal, func(st frame.State) {
				e.sudo.key.Delete(st)
				e.system.Deposit(st, frame.NewEvent(sudoIndex, 2).Buf)
			})
		},
	}
}
