package metadata

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// ErrMismatch says that a Go type and a type of the runtime do not fit.
var ErrMismatch = errors.New("metadata: Go type does not fit")

// ErrValue says that a Go value cannot be encoded as the type asked for: out of range, of the wrong length, of no known variant.
var ErrValue = errors.New("metadata: value does not fit")

// Codec codes values of T as the runtime's type that it was bound to. It is immutable and safe for concurrent use.
type Codec[T any] struct {
	r    *Registry
	plan *plan
}

// Bind checks T against a type of the runtime and returns the codec. Go types fit as follows:
//
//	bool, string           bool, str; a string also Vec<u8>
//	uint8 ... uint64       unsigned integers and Compact of at most that width; the index of an enum without data
//	int8 ... int64         signed integers of at most that width
//	u128.U128              unsigned integers and Compact up to u128
//	[]byte, [n]byte        Vec<u8>, [u8; n]
//	[]E, [n]E              Vec<E>, [E; n]; a set is a sorted Vec
//	map[K]V                BTreeMap; written in the order of K
//	*E                     Option<E>
//	struct                 a struct, by field name; a tuple, by position
//	struct with a field    any enum: one pointer field per variant, named like it, exactly one of which is not nil
//	  _ struct{} `scale:",enum"`
//	Raw                    anything: its encoding as it is
//	any                    anything: a dynamic value
//
// Wrappers of one unnamed field (BoundedVec, H256, AccountId20) are looked through. A struct field is named by its tag
// `scale:"name"`, else by its Go name in snake case; "-" leaves it out. Every Go field must exist in the runtime, unless its
// tag says `scale:"name,optional"`: then decoding leaves it zero, and encoding refuses it unless it is zero. With
// `scale:"name,drop"` encoding drops it whatever it is. Fields that only the runtime has are skipped when decoding and make the
// type unfit for encoding.
func Bind[T any](r *Registry, id TypeID) (*Codec[T], error) {
	p, err := r.compile(reflect.TypeFor[T](), id)
	if err != nil {
		return nil, err
	}
	return &Codec[T]{r, p}, nil
}

// BindFields is Bind for the fields of a variant: a call, an event, an error. T is a struct or a slice of any.
func BindFields[T any](r *Registry, v *Variant) (*Codec[T], error) {
	p, err := r.compileFields(reflect.TypeFor[T](), v.Fields, v.Name)
	if err != nil {
		return nil, err
	}
	return &Codec[T]{r, p}, nil
}

// Decode reads one value, which must be all of b.
func (c *Codec[T]) Decode(b []byte) (T, error) {
	d := scale.NewDecoder(b)
	var v T
	c.DecodeFrom(d, &v)
	return v, d.Finish()
}

// DecodeFrom reads one value into v, which should be zero. Errors are the decoder's.
func (c *Codec[T]) DecodeFrom(d *scale.Decoder, v *T) { c.plan.dec(d, reflect.ValueOf(v).Elem()) }

// CanEncode tells why T cannot be encoded, or returns nil: the runtime has fields that T lacks.
func (c *Codec[T]) CanEncode() error { return c.plan.unfit }

// Append appends the encoding of v. The error wraps [ErrValue] or [ErrMismatch].
func (c *Codec[T]) Append(dst []byte, v *T) ([]byte, error) {
	if c.plan.unfit != nil {
		return dst, c.plan.unfit
	}
	e := encodeState{Encoder: scale.Encoder{Buf: dst}}
	c.plan.enc(&e, reflect.ValueOf(v).Elem())
	if e.err != nil {
		return dst, e.err
	}
	return e.Buf, nil
}

// FitsFields tells why values of a Go type cannot be encoded as the fields of a variant, or returns nil.
func (r *Registry) FitsFields(t reflect.Type, v *Variant) error {
	p, err := r.compileFields(t, v.Fields, v.Name)
	if err != nil {
		return err
	}
	return p.unfit
}

// Raw is the encoding of a value as it is.
type Raw []byte

// encodeState is an encoder with its first error.
type encodeState struct {
	scale.Encoder
	err error
}

func (e *encodeState) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("%w: "+format, append([]any{ErrValue}, args...)...)
	}
}

// plan codes one Go type as one type of the runtime.
type plan struct {
	enc   func(*encodeState, reflect.Value)
	dec   func(*scale.Decoder, reflect.Value)
	unfit error // why it cannot encode
}

type planKey struct {
	t  reflect.Type
	id TypeID
}

// compile returns the plan for a pair, made once.
func (r *Registry) compile(t reflect.Type, id TypeID) (*plan, error) {
	key := planKey{t, id}
	if p, ok := r.plans.Load(key); ok {
		return p.(*plan), nil
	}
	c := compiler{r: r, made: map[planKey]*plan{}}
	p, err := c.plan(t, id)
	if err != nil {
		return nil, fmt.Errorf("%w: %s as %s: %w", ErrMismatch, t, r.TypeName(id), err)
	}
	r.plans.Store(key, p)
	return p, nil
}

// fieldsKey names a plan for the fields of a variant of this registry's metadata.
type fieldsKey struct {
	t     reflect.Type
	first *Field
}

// compileFields returns the plan for a Go type and the fields of a variant, made once.
func (r *Registry) compileFields(t reflect.Type, fs []Field, what string) (*plan, error) {
	key := fieldsKey{t: t}
	if len(fs) > 0 {
		key.first = &fs[0]
		if p, ok := r.plans.Load(key); ok {
			return p.(*plan), nil
		}
	}
	c := compiler{r: r, made: map[planKey]*plan{}}
	p, err := c.fields(t, fs)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMismatch, what, err)
	}
	if len(fs) > 0 {
		r.plans.Store(key, p)
	}
	return p, nil
}

// compiler makes plans. made breaks cycles of recursive types.
type compiler struct {
	r    *Registry
	made map[planKey]*plan
}

func (c *compiler) plan(t reflect.Type, id TypeID) (*plan, error) {
	if c.r.Type(id) == nil {
		return nil, fmt.Errorf("no type %d", id)
	}
	key := planKey{t, id}
	if p := c.made[key]; p != nil {
		return p, nil
	}
	p := &plan{}
	c.made[key] = p
	made, err := c.make(t, id)
	if err != nil {
		return nil, err
	}
	*p = *made
	return p, nil
}

func (c *compiler) make(t reflect.Type, id TypeID) (*plan, error) {
	switch t {
	case reflect.TypeFor[Raw]():
		return c.raw(id), nil
	case reflect.TypeFor[any]():
		return c.dynamic(id), nil
	case reflect.TypeFor[u128.U128]():
		return c.wide(id)
	}
	if t.Kind() == reflect.Pointer {
		return c.option(t, id)
	}
	if t.Kind() == reflect.Struct {
		return c.structure(t, id)
	}
	id = c.r.inner(id)
	switch t.Kind() {
	case reflect.Bool:
		return c.boolean(id)
	case reflect.String:
		return c.text(id)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return c.unsigned(t, id)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return c.signed(t, id)
	case reflect.Slice:
		return c.slice(t, id)
	case reflect.Array:
		return c.array(t, id)
	case reflect.Map:
		return c.mapping(t, id)
	}
	return nil, errors.New("kind of Go type that nothing fits")
}

func (c *compiler) raw(id TypeID) *plan {
	return &plan{
		enc: func(e *encodeState, v reflect.Value) { e.Raw(v.Bytes()) },
		dec: func(d *scale.Decoder, v reflect.Value) {
			ahead := *d // a copy runs ahead to find the end
			c.r.Skip(&ahead, id)
			if ahead.Err() != nil {
				*d = ahead
				return
			}
			b := d.View(ahead.Pos() - d.Pos())
			if d.Charge(len(b), 1) {
				v.SetBytes(append([]byte(nil), b...))
			}
		},
	}
}

func (c *compiler) dynamic(id TypeID) *plan {
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			var x any
			if !v.IsNil() {
				x = v.Interface()
			}
			c.r.encode(e, id, x)
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			if x := c.r.DecodeValue(d, id); x != nil {
				v.Set(reflect.ValueOf(x))
			}
		},
	}
}

func (c *compiler) option(t reflect.Type, id TypeID) (*plan, error) {
	o := &c.r.m.Types[id]
	if !o.isOption() {
		return nil, errors.New("a pointer fits an Option only")
	}
	elem, err := c.plan(t.Elem(), o.Variants[1].Fields[0].Type)
	if err != nil {
		return nil, err
	}
	size := int(t.Elem().Size())
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			if v.IsNil() {
				e.None()
				return
			}
			e.Some()
			elem.enc(e, v.Elem())
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			if !d.Option() || !d.Charge(1, size) || !d.Enter() {
				return
			}
			p := reflect.New(t.Elem())
			elem.dec(d, p.Elem())
			v.Set(p)
			d.Leave()
		},
		unfit: elem.unfit,
	}, nil
}

// fieldTag is the name of a struct field and its options.
func fieldTag(f reflect.StructField) (name, option string) {
	name, option, _ = strings.Cut(f.Tag.Get("scale"), ",")
	if name == "" {
		name = snake(f.Name)
	}
	return name, option
}

// snake spells a Go name as Rust does: "PeerID" is "peer_id".
func snake(s string) string {
	var b strings.Builder
	rs := []rune(s)
	for i, c := range rs {
		if unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// structure binds a Go struct to a struct, a tuple or an enum.
func (c *compiler) structure(t reflect.Type, id TypeID) (*plan, error) {
	x := &c.r.m.Types[id]
	if x.Kind == KindVariant {
		return c.enum(t, x)
	}
	if x.Kind == KindTuple {
		fs := make([]Field, len(x.Tuple))
		for i := range fs {
			fs[i].Type = x.Tuple[i]
		}
		return c.fields(t, fs)
	}
	if x.Kind != KindComposite {
		return nil, errors.New("a struct fits a struct, a tuple or an enum")
	}
	if len(x.Fields) == 1 && x.Fields[0].Name == "" {
		return c.plan(t, x.Fields[0].Type)
	}
	return c.fields(t, x.Fields)
}

// step codes one field of the runtime's struct.
type step struct {
	field int // index in the Go struct, -1 to skip
	plan  *plan
	skip  TypeID
	fixed int // bytes to skip, if that is known; else -1
}

// merge joins neighbouring skips of known size.
func merge(steps []step) []step {
	out := make([]step, 0, len(steps))
	for _, s := range steps {
		if n := len(out); n > 0 && s.field < 0 && s.fixed >= 0 && out[n-1].field < 0 && out[n-1].fixed >= 0 {
			out[n-1].fixed += s.fixed
			continue
		}
		out = append(out, s)
	}
	return out
}

// fields binds a Go struct, or a slice of dynamic values, to a list of fields.
func (c *compiler) fields(t reflect.Type, fs []Field) (*plan, error) {
	if t == reflect.TypeFor[[]any]() {
		return c.positional(fs), nil
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	steps := make([]step, len(fs))
	for i := range fs {
		steps[i] = step{field: -1, skip: fs[i].Type, fixed: c.r.fixed[fs[i].Type]}
	}
	named := len(fs) == 0 || fs[0].Name != ""
	var p plan
	var absent []int // optional Go fields that the runtime does not have
	position := 0
	for i := range t.NumField() {
		f := t.Field(i)
		name, option := fieldTag(f)
		if name == "-" || !f.IsExported() {
			continue
		}
		at := position
		if named {
			at = fieldIndex(fs, name)
		}
		position++
		if at < 0 || at >= len(fs) {
			switch option {
			case "drop":
			case "optional":
				absent = append(absent, i)
			default:
				return nil, fmt.Errorf("the runtime has no field %s", name)
			}
			continue
		}
		fp, err := c.plan(f.Type, fs[at].Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %s as %s: %w", name, f.Type, c.r.TypeName(fs[at].Type), err)
		}
		if fp.unfit != nil && p.unfit == nil {
			p.unfit = fp.unfit
		}
		steps[at] = step{field: i, plan: fp}
	}
	for i := range steps {
		if steps[i].field < 0 && p.unfit == nil {
			p.unfit = fmt.Errorf("%w: %s lacks the field %d %s", ErrMismatch, t, i+1, fs[i].Name)
		}
	}
	merged := merge(steps)
	p.dec = func(d *scale.Decoder, v reflect.Value) {
		for i := range merged {
			switch s := &merged[i]; {
			case s.field >= 0:
				s.plan.dec(d, v.Field(s.field))
			case s.fixed >= 0:
				d.View(s.fixed)
			default:
				c.r.Skip(d, s.skip)
			}
		}
	}
	p.enc = func(e *encodeState, v reflect.Value) {
		for _, i := range absent {
			if !v.Field(i).IsZero() {
				e.fail("the runtime has no field %s", t.Field(i).Name)
			}
		}
		for i := range steps {
			if s := &steps[i]; s.field >= 0 {
				s.plan.enc(e, v.Field(s.field))
			}
		}
	}
	return &p, nil
}

func fieldIndex(fs []Field, name string) int {
	for i := range fs {
		if fs[i].Name == name {
			return i
		}
	}
	return -1
}

func (c *compiler) positional(fs []Field) *plan {
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			if v.Len() != len(fs) {
				e.fail("%d values for %d fields", v.Len(), len(fs))
				return
			}
			for i := range fs {
				c.r.encode(e, fs[i].Type, v.Index(i).Interface())
			}
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			out := make([]any, len(fs))
			for i := range fs {
				out[i] = c.r.DecodeValue(d, fs[i].Type)
			}
			v.Set(reflect.ValueOf(out))
		},
	}
}

// enum binds a struct of pointers to an enum.
func (c *compiler) enum(t reflect.Type, x *Type) (*plan, error) {
	if f, ok := t.FieldByName("_"); !ok || f.Tag.Get("scale") != ",enum" {
		return nil, errors.New("a struct fits an enum only when it says so")
	}
	type branch struct {
		field int
		index uint8
		plan  *plan
	}
	var branches []branch
	byIndex := map[uint8]*branch{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("scale"), ",")
		if name == "" {
			name = f.Name
		}
		v := x.variantNamed(name)
		if v == nil || f.Type.Kind() != reflect.Pointer {
			return nil, fmt.Errorf("%s: want a pointer named like a variant", f.Name)
		}
		p, err := c.fields(f.Type.Elem(), v.Fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		branches = append(branches, branch{i, v.Index, p})
	}
	for i := range branches {
		byIndex[branches[i].index] = &branches[i]
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			done := false
			for i := range branches {
				b := &branches[i]
				if f := v.Field(b.field); !f.IsNil() {
					if done || b.plan.unfit != nil {
						e.fail("%s must have exactly one variant set", t)
						return
					}
					done = true
					e.U8(b.index)
					b.plan.enc(e, f.Elem())
				}
			}
			if !done {
				e.fail("%s must have exactly one variant set", t)
			}
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			b := byIndex[d.U8()]
			if b == nil || !d.Enter() {
				d.Fail(scale.ErrMalformed, "unknown variant of "+x.name())
				return
			}
			p := reflect.New(t.Field(b.field).Type.Elem())
			b.plan.dec(d, p.Elem())
			v.Field(b.field).Set(p)
			d.Leave()
		},
	}, nil
}

func (t *Type) variantNamed(name string) *Variant {
	for i := range t.Variants {
		if t.Variants[i].Name == name {
			return &t.Variants[i]
		}
	}
	return nil
}
