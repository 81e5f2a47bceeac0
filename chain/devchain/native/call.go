package native

import (
	"math"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/network"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// class is the class of a call; the values are those of the wire form.
type class uint8

const (
	classNormal class = iota
	classOperational
	classMandatory
)

// weight is what a call costs: time, which is part of the fee, and the size of a
// proof, which is not.
type weight struct{ ref, proof uint64 }

// plus saturates.
func (w weight) plus(v weight) weight { return weight{satAdd(w.ref, v.ref), satAdd(w.proof, v.proof)} }

func satAdd(a, b uint64) uint64 {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}

// above reports whether w exceeds v in either part.
func (w weight) above(v weight) bool { return w.ref > v.ref || w.proof > v.proof }

func (w weight) times(n uint64) weight { return weight{w.ref * n, w.proof * n} }

func (w weight) min(v weight) weight { return weight{min(w.ref, v.ref), min(w.proof, v.proof)} }

// blockWeight is the weight of a block so far, by class.
type blockWeight [3]weight

func blockWeights() frame.Codec[blockWeight] {
	return frame.Codec[blockWeight]{
		Enc: func(e *scale.Encoder, v blockWeight) {
			for _, w := range v {
				e.Compact(w.ref)
				e.Compact(w.proof)
			}
		},
		Dec: func(d *scale.Decoder) (v blockWeight) {
			for i := range v {
				v[i] = weight{d.Compact(), d.Compact()}
			}
			return v
		},
	}
}

// outcome is what is known of a call after it ran.
type outcome struct {
	free   bool   // its fee is waived
	weight weight // what it really cost; used only when actual
	actual bool
}

// call is a decoded call.
type call struct {
	name   string // Pallet.call
	weight weight
	class  class
	free   bool // declared without fee
	run    func(st frame.State, o frame.Origin) (outcome, error)
}

// callDecl decodes the arguments of one call.
type callDecl func(d *scale.Decoder) *call

// errCallFiltered is System's error for a call that this runtime does not
// execute.
const errCallFiltered = 5

// declareCalls lists the calls of the metadata. What no pallet here implements
// decodes, and is refused when dispatched.
func (e *Engine) declareCalls() map[[2]uint8]callDecl {
	own := e.ownCalls()
	out := map[[2]uint8]callDecl{}
	for i := range e.registry.Metadata().Pallets {
		p := &e.registry.Metadata().Pallets[i]
		if p.Calls == metadata.NoType {
			continue
		}
		for _, v := range e.registry.Type(p.Calls).Variants {
			decl, ok := own[p.Name+"."+v.Name]
			if !ok && p.Index == network.Index {
				decl, ok = e.networkCall(v.Name)
			}
			if !ok {
				decl = e.refused(p.Name+"."+v.Name, v.Fields)
			}
			delete(own, p.Name+"."+v.Name)
			out[[2]uint8{p.Index, v.Index}] = decl
		}
	}
	for name := range own {
		panic("native: the metadata has no call " + name)
	}
	return out
}

func (e *Engine) networkCall(name string) (callDecl, bool) {
	if _, ok := e.network.Call(name, scale.NewDecoder(nil)); !ok {
		return nil, false
	}
	return func(d *scale.Decoder) *call {
		run, _ := e.network.Call(name, d)
		return &call{name: "Network." + name, run: func(st frame.State, o frame.Origin) (outcome, error) {
			free, err := run(st, o)
			return outcome{free: free}, err
		}}
	}, true
}

// refused is a call that is declared but not executed.
func (e *Engine) refused(name string, fields []metadata.Field) callDecl {
	return func(d *scale.Decoder) *call {
		for _, f := range fields {
			e.registry.Skip(d, f.Type)
		}
		return &call{name: name, run: func(frame.State, frame.Origin) (outcome, error) {
			return outcome{}, frame.Module(frame.SystemIndex, errCallFiltered)
		}}
	}
}

// decodeCall reads a call; on failure d has an error and the result is nil.
func (e *Engine) decodeCall(d *scale.Decoder) *call {
	if !d.Enter() {
		return nil
	}
	defer d.Leave()
	decl := e.calls[[2]uint8{d.U8(), d.U8()}]
	if d.Err() != nil {
		return nil
	}
	if decl == nil {
		d.Fail(scale.ErrMalformed, "no such call")
		return nil
	}
	c := decl(d)
	if d.Err() != nil {
		return nil
	}
	return c
}

// dispatch runs a call in a layer of its own, so that a failed call leaves
// nothing behind.
func (c *call) dispatch(st frame.State, o frame.Origin) (outcome, error) {
	st.Begin()
	out, err := c.run(st, o)
	if err != nil {
		st.Rollback()
	} else {
		st.Commit()
	}
	return out, err
}
