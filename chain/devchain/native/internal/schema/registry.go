package schema

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// registry numbers types. Equal expressions get one number.
type registry struct {
	doc   *document
	named map[string]*typeDecl
	ids   map[string]metadata.TypeID
	types []metadata.Type
	// pallet enums, by pallet
	calls, events, errors map[string]metadata.TypeID
}

func newRegistry(doc *document) *registry {
	r := &registry{
		doc:    doc,
		named:  map[string]*typeDecl{},
		ids:    map[string]metadata.TypeID{},
		calls:  map[string]metadata.TypeID{},
		events: map[string]metadata.TypeID{},
		errors: map[string]metadata.TypeID{},
	}
	for i := range doc.types {
		d := &doc.types[i]
		if r.named[d.name] != nil {
			panic(syntaxError{"type " + d.name + " is declared twice"})
		}
		r.named[d.name] = d
	}
	slices.SortStableFunc(doc.pallets, func(a, b palletDecl) int { return cmp.Compare(a.index, b.index) })
	return r
}

func (e expr) String() string {
	args := make([]string, len(e.args))
	for i, a := range e.args {
		args[i] = a.String()
	}
	switch e.name {
	case "[]":
		return fmt.Sprintf("[%s;%d]", args[0], e.n)
	case "()":
		return "(" + strings.Join(args, ",") + ")"
	}
	if len(args) == 0 {
		return e.name
	}
	return e.name + "<" + strings.Join(args, ",") + ">"
}

// primitive returns the primitive type of a name.
func primitive(name string) (metadata.Primitive, bool) {
	i := slices.Index([]string{
		"bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256", "i8", "i16", "i32", "i64", "i128", "i256",
	}, name)
	return metadata.Primitive(max(i, 0)), i >= 0
}

// reserve numbers the type of a key; its definition follows by set, so that
// types may refer to themselves.
func (r *registry) reserve(key string) metadata.TypeID {
	id := metadata.TypeID(len(r.types))
	r.ids[key] = id
	r.types = append(r.types, metadata.Type{})
	return id
}

// id returns the number of a type expression.
func (r *registry) id(e expr) metadata.TypeID {
	key := e.String()
	if id, ok := r.ids[key]; ok {
		return id
	}
	id := r.reserve(key)
	r.types[id] = r.define(e)
	return id
}

func (r *registry) define(e expr) metadata.Type {
	arg := func(i int) metadata.TypeID {
		if i >= len(e.args) {
			panic(syntaxError{"type " + e.String() + " lacks an argument"})
		}
		return r.id(e.args[i])
	}
	vec := func(item expr) metadata.TypeID { return r.id(expr{name: "Vec", args: []expr{item}}) }
	switch e.name {
	case "Vec":
		return metadata.Type{Kind: metadata.KindSequence, Elem: arg(0)}
	case "[]":
		return metadata.Type{Kind: metadata.KindArray, Elem: arg(0), Len: e.n}
	case "()":
		t := metadata.Type{Kind: metadata.KindTuple}
		for i := range e.args {
			t.Tuple = append(t.Tuple, arg(i))
		}
		return t
	case "Compact":
		return metadata.Type{Kind: metadata.KindCompact, Elem: arg(0)}
	case "Option":
		return metadata.Type{
			Path: []string{"Option"}, Params: []metadata.Param{{Name: "T", Type: arg(0)}},
			Kind: metadata.KindVariant,
			Variants: []metadata.Variant{
				{Name: "None", Index: 0},
				{Name: "Some", Index: 1, Fields: []metadata.Field{{Type: arg(0)}}},
			},
		}
	case "Result":
		return metadata.Type{
			Path: []string{"Result"}, Params: []metadata.Param{{Name: "T", Type: arg(0)}, {Name: "E", Type: arg(1)}},
			Kind: metadata.KindVariant,
			Variants: []metadata.Variant{
				{Name: "Ok", Index: 0, Fields: []metadata.Field{{Type: arg(0)}}},
				{Name: "Err", Index: 1, Fields: []metadata.Field{{Type: arg(1)}}},
			},
		}
	case "Cow":
		return wrapper([]string{"Cow"}, []metadata.Param{{Name: "T", Type: arg(0)}}, arg(0), "")
	case "BTreeMap":
		pair := expr{name: "()", args: e.args}
		return wrapper([]string{"BTreeMap"},
			[]metadata.Param{{Name: "K", Type: arg(0)}, {Name: "V", Type: arg(1)}}, vec(pair), "")
	case "BTreeSet":
		return wrapper([]string{"BTreeSet"}, []metadata.Param{{Name: "T", Type: arg(0)}}, vec(e.args[0]), "")
	case "BoundedVec", "WeakBoundedVec":
		module := map[string]string{"BoundedVec": "bounded_vec", "WeakBoundedVec": "weak_bounded_vec"}[e.name]
		return wrapper([]string{"bounded_collections", module, e.name},
			[]metadata.Param{{Name: "T", Type: arg(0)}, {Name: "S", Type: metadata.NoType}}, vec(e.args[0]), "Vec<T>")
	case "RuntimeCall", "RuntimeEvent", "RuntimeError":
		return r.outer(e.name)
	case "Era":
		return era(r.id(expr{name: "u8"}))
	}
	if p, ok := primitive(e.name); ok {
		return metadata.Type{Kind: metadata.KindPrimitive, Primitive: p}
	}
	d := r.named[e.name]
	if d == nil {
		panic(syntaxError{"type " + e.name + " is not declared"})
	}
	t := metadata.Type{Path: strings.Split(d.path, "::"), Params: r.params(d.params)}
	if d.enum {
		t.Kind = metadata.KindVariant
		t.Variants = r.variants(d.variants)
	} else {
		t.Fields = r.fields(d.fields)
	}
	return t
}

// wrapper is a composite of one unnamed field.
func wrapper(path []string, params []metadata.Param, inner metadata.TypeID, typeName string) metadata.Type {
	return metadata.Type{Path: path, Params: params, Fields: []metadata.Field{{Type: inner, TypeName: typeName}}}
}

// era is the mortality of a transaction: one byte for none, else two bytes of
// which the first chooses the variant.
func era(u8 metadata.TypeID) metadata.Type {
	t := metadata.Type{
		Path: []string{"sp_runtime", "generic", "era", "Era"}, Kind: metadata.KindVariant,
		Variants: []metadata.Variant{{Name: "Immortal"}},
	}
	for i := 1; i < 256; i++ {
		t.Variants = append(t.Variants, metadata.Variant{
			Name: fmt.Sprintf("Mortal%d", i), Index: uint8(i), Fields: []metadata.Field{{Type: u8}},
		})
	}
	return t
}

func (r *registry) params(ps []paramDecl) []metadata.Param {
	var out []metadata.Param
	for _, p := range ps {
		q := metadata.Param{Name: p.name, Type: metadata.NoType}
		if p.bound != nil {
			q.Type = r.id(*p.bound)
		}
		out = append(out, q)
	}
	return out
}

func (r *registry) fields(fs []fieldDecl) []metadata.Field {
	var out []metadata.Field
	for _, f := range fs {
		out = append(out, metadata.Field{Name: f.name, Type: r.id(f.typ), TypeName: f.typ.String()})
	}
	return out
}

func (r *registry) variants(vs []variantDecl) []metadata.Variant {
	var out []metadata.Variant
	for _, v := range vs {
		if v.index > 255 {
			panic(syntaxError{"index of " + v.name + " is above 255"})
		}
		out = append(out, metadata.Variant{Name: v.name, Index: uint8(v.index), Fields: r.fields(v.fields)})
	}
	return out
}

// outer is the enumeration over all pallets that have calls, events or errors.
func (r *registry) outer(name string) metadata.Type {
	t := metadata.Type{Path: []string{"hypertensor_runtime", name}, Kind: metadata.KindVariant}
	for i := range r.doc.pallets {
		p := &r.doc.pallets[i]
		var id metadata.TypeID
		switch name {
		case "RuntimeCall":
			id = r.palletEnum(r.calls, p, p.calls, "Call")
		case "RuntimeEvent":
			id = r.palletEnum(r.events, p, p.events, "Event")
		default:
			id = r.palletEnum(r.errors, p, p.errors, "Error")
		}
		if id != metadata.NoType {
			t.Variants = append(t.Variants, metadata.Variant{
				Name: p.name, Index: uint8(p.index), Fields: []metadata.Field{{Type: id}},
			})
		}
	}
	return t
}

// palletEnum numbers the calls, events or errors of a pallet.
func (r *registry) palletEnum(known map[string]metadata.TypeID, p *palletDecl, d *enumDecl, kind string) metadata.TypeID {
	if d == nil {
		return metadata.NoType
	}
	if id, ok := known[p.name]; ok {
		return id
	}
	id := r.reserve(p.name + " " + kind)
	known[p.name] = id
	t := metadata.Type{
		Path: append(strings.Split(d.path, "::"), kind), Params: r.params(d.params), Kind: metadata.KindVariant,
		Variants: r.variants(d.variants),
	}
	if kind == "Error" {
		for i := range t.Variants {
			t.Variants[i].Docs = []string{sentence(t.Variants[i].Name)}
		}
	}
	r.types[id] = t
	return id
}

// sentence spells a CamelCase name as words: "InvalidSubnetId" is "Invalid
// subnet id."
func sentence(name string) string {
	var b strings.Builder
	for i, c := range name {
		if c >= 'A' && c <= 'Z' && i > 0 {
			b.WriteByte(' ')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	b.WriteByte('.')
	return b.String()
}

// value encodes a default or constant: a decimal number, a boolean or hex.
func (r *registry) value(typ expr, text string) []byte {
	p, isPrimitive := primitive(typ.name)
	switch {
	case text == "true" || text == "false":
		return []byte{byte(len(text)&1 ^ 1)} // "true" has an even length
	case strings.HasPrefix(text, "0x"):
		b, err := hex.DecodeString(text[2:])
		if err != nil {
			panic(syntaxError{"bad hex " + text})
		}
		return b
	case isPrimitive && p >= metadata.U8:
		size := map[metadata.Primitive]int{
			metadata.U8: 1, metadata.U16: 2, metadata.U32: 4, metadata.U64: 8, metadata.U128: 16, metadata.I128: 16,
		}[p]
		n, ok := new(big.Int).SetString(text, 10)
		if !ok || size == 0 || n.BitLen() > 8*size {
			panic(syntaxError{"bad number " + text + " for " + typ.name})
		}
		b := n.FillBytes(make([]byte, size))
		slices.Reverse(b)
		return b
	}
	panic(syntaxError{"cannot encode " + text + " as " + typ.String()})
}
