package metadata

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// EncodeValue appends v as the type. v is a dynamic value, what [ParseJSON] returns (numbers also as strings, bytes as 0x-hex
// or text, fields as an object, an enum as its name or {"name": value}), or any Go value that [Bind] would take. The error
// wraps [ErrValue] or [ErrMismatch]; e then holds a part of the encoding.
func (r *Registry) EncodeValue(e *scale.Encoder, id TypeID, v any) error {
	s := encodeState{Encoder: *e}
	r.encode(&s, id, v)
	*e = s.Encoder
	return s.err
}

// EncodeFields appends values for the fields of a variant, such as the arguments of a call. v is a struct, Fields or a
// map[string]any with every field by name, or a []any or Tuple by position.
func (r *Registry) EncodeFields(e *scale.Encoder, variant *Variant, v any) error {
	s := encodeState{Encoder: *e}
	r.encodeFields(&s, variant.Fields, v, variant.Name)
	*e = s.Encoder
	return s.err
}

// DecodeFields reads the fields of a variant as Fields, or as a Tuple if they have no names.
func (r *Registry) DecodeFields(d *scale.Decoder, variant *Variant) any {
	if len(variant.Fields) == 1 && variant.Fields[0].Name == "" {
		return Tuple{r.DecodeValue(d, variant.Fields[0].Type)}
	}
	return r.decodeFields(d, variant.Fields)
}

func (r *Registry) encode(e *encodeState, id TypeID, v any) {
	if e.err != nil {
		return
	}
	t := r.Type(id)
	if t == nil {
		e.fail("no type %d", id)
		return
	}
	if !isDynamic(v) {
		p, err := r.compile(reflect.TypeOf(v), id)
		if err == nil {
			err = p.unfit
		}
		if err != nil {
			e.err = err
			return
		}
		p.enc(e, reflect.ValueOf(v))
		return
	}
	switch t.Kind {
	case KindComposite:
		if len(t.Fields) == 1 && t.Fields[0].Name == "" {
			r.encode(e, t.Fields[0].Type, v)
			return
		}
		r.encodeFields(e, t.Fields, v, t.name())
	case KindVariant:
		r.encodeVariant(e, t, v)
	case KindSequence, KindArray:
		r.encodeList(e, t, id, v)
	case KindTuple:
		fs := make([]Field, len(t.Tuple))
		for i := range fs {
			fs[i].Type = t.Tuple[i]
		}
		r.encodeFields(e, fs, v, "tuple")
	case KindPrimitive:
		encodePrimitive(e, t.Primitive, false, v)
	case KindCompact:
		if x := &r.m.Types[r.compactElem(t.Elem)]; x.Kind == KindPrimitive {
			encodePrimitive(e, x.Primitive, true, v)
		}
	case KindBitSequence:
		r.encodeBits(e, t, v)
	}
}

// isDynamic reports whether v is of a form that encode handles itself.
func isDynamic(v any) bool {
	switch v.(type) {
	case nil, bool, string, []byte, uint64, int64, int, float64, json.Number, u128.U128, *big.Int,
		[]any, Tuple, Fields, Enum, Bits, map[string]any:
		return true
	}
	return false
}

func (r *Registry) encodeFields(e *encodeState, fs []Field, v any, what string) {
	switch x := v.(type) {
	case nil:
		if len(fs) == 0 {
			return
		}
	case Fields:
		if len(x) == 0 && len(fs) == 0 {
			return
		}
		m := make(map[string]any, len(x))
		for i := range x {
			m[x[i].Name] = x[i].Value
		}
		r.encodeNamed(e, fs, m, what)
		return
	case map[string]any:
		r.encodeNamed(e, fs, x, what)
		return
	case Tuple:
		r.encodePositional(e, fs, x, what)
		return
	case []any:
		r.encodePositional(e, fs, x, what)
		return
	default:
		if !isDynamic(v) {
			p, err := r.compileFields(reflect.TypeOf(v), fs, what)
			if err == nil {
				err = p.unfit
			}
			if err != nil {
				e.err = err
				return
			}
			p.enc(e, reflect.ValueOf(v))
			return
		}
	}
	e.fail("%s takes %d fields, not %T", what, len(fs), v)
}

func (r *Registry) encodeNamed(e *encodeState, fs []Field, m map[string]any, what string) {
	if len(m) > len(fs) {
		for name := range m {
			if fieldIndex(fs, name) < 0 {
				e.fail("%s has no field %s", what, name)
				return
			}
		}
	}
	for i := range fs {
		v, ok := m[fs[i].Name]
		if !ok && !r.m.Types[fs[i].Type].isOption() {
			e.fail("%s lacks the field %s (%s)", what, fs[i].Name, r.TypeName(fs[i].Type))
			return
		}
		r.encode(e, fs[i].Type, v)
	}
}

func (r *Registry) encodePositional(e *encodeState, fs []Field, list []any, what string) {
	if len(list) != len(fs) {
		e.fail("%s takes %d fields, not %d", what, len(fs), len(list))
		return
	}
	for i := range fs {
		r.encode(e, fs[i].Type, list[i])
	}
}

func (r *Registry) encodeVariant(e *encodeState, t *Type, v any) {
	var name string
	var data any
	switch x := v.(type) {
	case Enum:
		name, data = x.Name, x.Value
	default:
		if t.isOption() {
			if v == nil {
				e.None()
				return
			}
			e.Some()
			r.encode(e, t.Variants[1].Fields[0].Type, v)
			return
		}
		switch x := v.(type) {
		case string:
			name = x
		case map[string]any:
			for k, d := range x {
				name, data = k, d
			}
			if len(x) != 1 {
				e.fail("%s wants one variant, not %d", t.name(), len(x))
				return
			}
		case Fields:
			if len(x) == 1 {
				name, data = x[0].Name, x[0].Value
			}
		}
	}
	c := t.variantNamed(name)
	if c == nil {
		e.fail("%s has no variant %.40q", t.name(), name)
		return
	}
	e.U8(c.Index)
	if len(c.Fields) == 1 && c.Fields[0].Name == "" {
		r.encode(e, c.Fields[0].Type, data)
		return
	}
	r.encodeFields(e, c.Fields, data, name)
}

func (r *Registry) encodeList(e *encodeState, t *Type, id TypeID, v any) {
	if r.bytes[id] {
		b, ok := toBytes(v)
		if ok {
			if t.Kind == KindArray {
				if len(b) != int(t.Len) {
					e.fail("%d bytes for [u8;%d]", len(b), t.Len)
				}
				e.Raw(b)
			} else {
				e.Bytes(b)
			}
			return
		}
	}
	var list []any
	switch x := v.(type) {
	case []any:
		list = x
	case Tuple:
		list = x
	case map[string]any: // a BTreeMap from JSON, whose keys are texts
		list = r.mapPairs(t.Elem, x)
	default:
		e.fail("%s is no %T", r.TypeName(id), v)
		return
	}
	if t.Kind == KindArray && len(list) != int(t.Len) {
		e.fail("%d elements for an array of %d", len(list), t.Len)
		return
	}
	if t.Kind == KindSequence {
		e.Len(len(list))
	}
	for _, x := range list {
		r.encode(e, t.Elem, x)
	}
}

// mapPairs brings the entries of a JSON object into the order of its encoded keys. Integer keys are compared as numbers.
func (r *Registry) mapPairs(elem TypeID, m map[string]any) []any {
	type pair struct {
		order string
		value Tuple
	}
	numeric := false
	if t := r.Type(elem); t != nil && t.Kind == KindTuple && len(t.Tuple) == 2 {
		k := r.Type(r.inner(t.Tuple[0]))
		numeric = k.Kind == KindPrimitive && k.Primitive >= U8 && k.Primitive <= U256
	}
	pairs := make([]pair, 0, len(m))
	for k, v := range m {
		order := k
		if b, ok := toBytes(k); ok && !numeric {
			order = string(b)
		} else if numeric {
			order = fmt.Sprintf("%080s", k)
		}
		pairs = append(pairs, pair{order, Tuple{k, v}})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.order, b.order) })
	out := make([]any, len(pairs))
	for i := range pairs {
		out[i] = pairs[i].value
	}
	return out
}

// toBytes takes bytes as they are, 0x-hex, or text.
func toBytes(v any) ([]byte, bool) {
	switch x := v.(type) {
	case []byte:
		return x, true
	case string:
		if digits, ok := strings.CutPrefix(x, "0x"); ok {
			if b, err := hex.DecodeString(digits); err == nil {
				return b, true
			}
		}
		return []byte(x), true
	}
	return nil, false
}

func encodePrimitive(e *encodeState, p Primitive, compact bool, v any) {
	switch p {
	case Bool:
		if x, ok := v.(bool); ok && !compact {
			e.Bool(x)
			return
		}
	case Str:
		if x, ok := v.(string); ok && !compact && utf8.ValidString(x) {
			e.Text(x)
			return
		}
	default:
		x, ok := toInteger(v)
		if !ok {
			break
		}
		encodeInteger(e, p, compact, x)
		return
	}
	e.fail("%s is no %T", p, v)
}

func encodeInteger(e *encodeState, p Primitive, compact bool, x *big.Int) {
	bits := 8 * p.width()
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if p >= I8 {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	if x.Cmp(low) < 0 || x.Cmp(high) >= 0 {
		e.fail("%s is out of the range of %s", x, p)
		return
	}
	if compact {
		if p > U256 || p < U8 || !e.CompactBig(x) {
			e.fail("no compact form of %s", p)
		}
		return
	}
	if x.Sign() < 0 {
		x = new(big.Int).Add(x, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	}
	b := x.FillBytes(make([]byte, p.width()))
	for i := len(b) - 1; i >= 0; i-- {
		e.U8(b[i])
	}
}

func toInteger(v any) (*big.Int, bool) {
	switch x := v.(type) {
	case uint64:
		return new(big.Int).SetUint64(x), true
	case int64:
		return big.NewInt(x), true
	case int:
		return big.NewInt(int64(x)), true
	case float64:
		if n := int64(x); float64(n) == x && n < 1<<53 && n > -1<<53 {
			return big.NewInt(n), true
		}
	case u128.U128:
		return x.Big(), true
	case *big.Int:
		return x, x != nil
	case json.Number:
		return parseInteger(x.String())
	case string:
		return parseInteger(x)
	}
	return nil, false
}

func parseInteger(s string) (*big.Int, bool) {
	if len(s) > 80 { // 2^256 has 78 digits
		return nil, false
	}
	return new(big.Int).SetString(s, 10)
}

func (r *Registry) encodeBits(e *encodeState, t *Type, v any) {
	bits, ok := v.(Bits)
	if !ok {
		e.fail("bits are no %T", v)
		return
	}
	width, msb := r.bitStore(t)
	unit := 8 * width
	out := make([]byte, (len(bits)+unit-1)/unit*width)
	for i, bit := range bits {
		k := i % unit
		if msb {
			k = unit - 1 - k
		}
		if bit {
			out[i/unit*width+k/8] |= 1 << (k % 8)
		}
	}
	e.Len(len(bits))
	e.Raw(out)
}
