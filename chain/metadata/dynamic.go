package metadata

import (
	"math/big"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// valueCost is what a decoded dynamic value is charged: an interface and what it points to.
const valueCost = 48

// DecodeValue reads a dynamic value of the type.
func (r *Registry) DecodeValue(d *scale.Decoder, id TypeID) any {
	if !d.Charge(1, valueCost) || !d.Enter() {
		return nil
	}
	defer d.Leave()
	t := &r.m.Types[id]
	switch t.Kind {
	case KindComposite:
		return r.decodeFields(d, t.Fields)
	case KindVariant:
		return r.decodeVariant(d, t)
	case KindSequence:
		if r.bytes[id] {
			return cloneView(d, d.BytesView())
		}
		return r.decodeList(d, t.Elem, d.Len(r.least[t.Elem]))
	case KindArray:
		if r.bytes[id] {
			return cloneView(d, d.View(int(t.Len)))
		}
		return r.decodeList(d, t.Elem, int(t.Len))
	case KindTuple:
		return r.decodeTuple(d, t.Tuple)
	case KindPrimitive:
		return decodePrimitive(d, t.Primitive)
	case KindCompact:
		return r.decodeCompact(d, t.Elem)
	case KindBitSequence:
		return r.decodeBits(d, t)
	}
	return nil
}

func cloneView(d *scale.Decoder, b []byte) any {
	if !d.Charge(len(b), 1) {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

func (r *Registry) decodeFields(d *scale.Decoder, fs []Field) any {
	switch {
	case len(fs) == 0:
		return Tuple{}
	case fs[0].Name == "" && len(fs) == 1:
		return r.DecodeValue(d, fs[0].Type)
	case fs[0].Name == "":
		out := make(Tuple, 0, len(fs))
		for i := range fs {
			out = append(out, r.DecodeValue(d, fs[i].Type))
		}
		return out
	}
	out := make(Fields, 0, len(fs))
	for i := range fs {
		out = append(out, NamedValue{fs[i].Name, r.DecodeValue(d, fs[i].Type)})
	}
	return out
}

func (r *Registry) decodeTuple(d *scale.Decoder, ids []TypeID) any {
	out := make(Tuple, 0, len(ids))
	for _, id := range ids {
		out = append(out, r.DecodeValue(d, id))
	}
	return out
}

func (r *Registry) decodeVariant(d *scale.Decoder, t *Type) any {
	v := t.variant(d.U8())
	if v == nil {
		d.Fail(scale.ErrMalformed, "unknown variant of "+t.name())
		return nil
	}
	if !t.isOption() {
		e := Enum{Name: v.Name}
		if len(v.Fields) > 0 {
			e.Value = r.decodeFields(d, v.Fields)
		}
		return e
	}
	if v.Index == 0 {
		return nil
	}
	x := r.DecodeValue(d, v.Fields[0].Type)
	if r.m.Types[v.Fields[0].Type].isOption() {
		return Enum{Name: v.Name, Value: x}
	}
	return x
}

func (r *Registry) decodeList(d *scale.Decoder, elem TypeID, n int) any {
	if !d.Charge(n, valueCost) {
		return nil
	}
	out := make([]any, 0, n)
	for range n {
		if d.Err() != nil {
			return nil
		}
		out = append(out, r.DecodeValue(d, elem))
	}
	return out
}

func decodePrimitive(d *scale.Decoder, p Primitive) any {
	switch p {
	case Bool:
		return d.Bool()
	case Str:
		return d.Text()
	case U8:
		return uint64(d.U8())
	case U16:
		return uint64(d.U16())
	case U32:
		return uint64(d.U32())
	case U64:
		return d.U64()
	case Char:
		return int64(d.U32())
	case U128:
		return d.U128()
	case I8:
		return int64(int8(d.U8()))
	case I16:
		return int64(int16(d.U16()))
	case I32:
		return int64(int32(d.U32()))
	case I64:
		return int64(d.U64())
	case I128:
		return bigLE(d.View(16), true)
	case U256:
		return bigLE(d.View(32), false)
	case I256:
		return bigLE(d.View(32), true)
	}
	return nil
}

// bigLE reads a little-endian integer.
func bigLE(b []byte, signed bool) *big.Int {
	be := make([]byte, len(b))
	for i, x := range b {
		be[len(b)-1-i] = x
	}
	x := new(big.Int).SetBytes(be)
	if signed && len(be) > 0 && be[0] >= 0x80 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	return x
}

// decodeCompact reads a compact integer, or a compact wrapper of one, or of nothing.
func (r *Registry) decodeCompact(d *scale.Decoder, elem TypeID) any {
	elem = r.compactElem(elem)
	t := &r.m.Types[elem]
	if t.Kind != KindPrimitive {
		if r.fixed[elem] == 0 {
			return Tuple{}
		}
		d.Fail(scale.ErrMalformed, "compact of "+r.TypeName(elem))
		return nil
	}
	switch t.Primitive {
	case U8, U16, U32, U64:
		v := d.Compact()
		if w := t.Primitive.width(); w < 8 && v>>(8*w) != 0 {
			d.Fail(scale.ErrMalformed, "compact integer above its type")
		}
		return v
	case U128:
		return d.CompactU128()
	case U256:
		v := d.CompactBig()
		if v.BitLen() > 256 {
			d.Fail(scale.ErrMalformed, "compact integer above its type")
		}
		return v
	}
	d.Fail(scale.ErrMalformed, "compact of "+r.TypeName(elem))
	return nil
}

// compactElem follows composites of one field, named or not, as compact encoding does.
func (r *Registry) compactElem(id TypeID) TypeID {
	for range 16 {
		t := &r.m.Types[id]
		if t.Kind != KindComposite || len(t.Fields) != 1 {
			break
		}
		id = t.Fields[0].Type
	}
	return id
}

// bitStore says how bits lie in a bit sequence: bytes of a unit, and whether the first bit is the highest.
func (r *Registry) bitStore(t *Type) (width int, msb bool) {
	width = 1
	if s := &r.m.Types[t.Elem]; s.Kind == KindPrimitive {
		width = s.Primitive.width()
	}
	o := &r.m.Types[t.BitOrder]
	return width, len(o.Path) > 0 && o.Path[len(o.Path)-1] == "Msb0"
}

func (r *Registry) decodeBits(d *scale.Decoder, t *Type) any {
	width, msb := r.bitStore(t)
	n := d.Compact()
	if n > uint64(d.Left())*8 {
		d.Fail(scale.ErrMalformed, "bits longer than the input")
		return nil
	}
	unit := 8 * width
	b := d.View((int(n) + unit - 1) / unit * width)
	if !d.Charge(int(n), 1) {
		return nil
	}
	out := make(Bits, n)
	for i := range out {
		k := i % unit
		if msb {
			k = unit - 1 - k
		}
		out[i] = b[i/unit*width+k/8]>>(k%8)&1 == 1
	}
	return out
}

// Skip passes over a value of the type, checking it no more than needed to find its end.
func (r *Registry) Skip(d *scale.Decoder, id TypeID) {
	if n := r.fixed[id]; n >= 0 {
		d.View(n)
		return
	}
	if r.bytes[id] { // of varying length, so a Vec
		d.BytesView()
		return
	}
	if !d.Enter() {
		return
	}
	t := &r.m.Types[id]
	switch t.Kind {
	case KindComposite:
		r.skipFields(d, t.Fields)
	case KindVariant:
		if v := t.variant(d.U8()); v != nil {
			r.skipFields(d, v.Fields)
		} else {
			d.Fail(scale.ErrMalformed, "unknown variant of "+t.name())
		}
	case KindSequence:
		r.skipList(d, t.Elem, d.Len(r.least[t.Elem]))
	case KindArray:
		r.skipList(d, t.Elem, int(t.Len))
	case KindTuple:
		for _, e := range t.Tuple {
			r.Skip(d, e)
		}
	case KindPrimitive: // text; all others are of fixed size
		d.BytesView()
	case KindCompact:
		r.decodeCompact(d, t.Elem)
	case KindBitSequence:
		r.decodeBits(d, t)
	}
	d.Leave()
}

func (r *Registry) skipFields(d *scale.Decoder, fs []Field) {
	for i := range fs {
		r.Skip(d, fs[i].Type)
	}
}

func (r *Registry) skipList(d *scale.Decoder, elem TypeID, n int) {
	if size := r.fixed[elem]; size > 0 {
		if n > d.Left()/size {
			d.Fail(scale.ErrMalformed, "sequence longer than the input")
			return
		}
		d.View(n * size)
		return
	}
	if !d.Charge(n, 1) {
		return
	}
	for range n {
		if d.Err() != nil {
			return
		}
		r.Skip(d, elem)
	}
}
