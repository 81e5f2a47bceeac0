package metadata

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
)

// ErrUnknown says that a runtime has no pallet, call, item, constant, type or API of the name asked for.
var ErrUnknown = errors.New("metadata: not in this runtime")

// Registry is an indexed view of a runtime's metadata. It is immutable and safe for concurrent use. What it returns points
// into the metadata and must not be changed.
type Registry struct {
	m       *Metadata
	pallets map[string]*Pallet
	byIndex [256]*Pallet
	entries map[string]*StorageEntry // "Pallet.Item"
	keys    map[*StorageEntry][]byte // the 32-byte prefix of every entry
	named   map[string]TypeID        // last element of the path, unique ones only
	fixed   []int                    // encoded size of each type, -1 when it varies
	least   []int                    // a lower bound of the encoded size
	bytes   []bool                   // sequence or array of u8
	plans   sync.Map                 // planKey -> *plan
}

// NewRegistry indexes m, which must not change any more. Definitions add types that the runtime uses but does not publish:
// each is a name and an expression as [Registry.Define] reads it, and may use those before it.
func NewRegistry(m *Metadata, defs ...Definition) (*Registry, error) {
	r := &Registry{
		m:       m,
		pallets: make(map[string]*Pallet, len(m.Pallets)),
		entries: make(map[string]*StorageEntry),
		keys:    make(map[*StorageEntry][]byte),
		named:   make(map[string]TypeID),
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if r.pallets[p.Name] != nil || r.byIndex[p.Index] != nil {
			return nil, fmt.Errorf("metadata: pallet %s (%d) occurs twice", p.Name, p.Index)
		}
		r.pallets[p.Name], r.byIndex[p.Index] = p, p
		if p.Storage == nil {
			continue
		}
		for k := range p.Storage.Entries {
			e := &p.Storage.Entries[k]
			r.entries[p.Name+"."+e.Name] = e
			r.keys[e] = entryPrefix(p.Storage.Prefix, e.Name)
		}
	}
	for i := range m.Types {
		r.index(TypeID(i))
	}
	if len(defs) > 0 {
		if err := r.define(defs); err != nil {
			return nil, err
		}
	}
	r.measure()
	return r, nil
}

// index remembers the type under the last element of its path; a name that is used twice is not found by name.
func (r *Registry) index(id TypeID) {
	t := &r.m.Types[id]
	if len(t.Path) == 0 {
		return
	}
	name := t.Path[len(t.Path)-1]
	if _, taken := r.named[name]; taken {
		id = NoType
	}
	r.named[name] = id
}

// Metadata returns what the registry indexes. It must not be changed.
func (r *Registry) Metadata() *Metadata { return r.m }

// Type returns the type with that id, or nil.
func (r *Registry) Type(id TypeID) *Type {
	if int(id) >= len(r.m.Types) {
		return nil
	}
	return &r.m.Types[id]
}

// TypeByName finds a type by the last element of its path, "PeerInfo". A name that several types bear is not found.
func (r *Registry) TypeByName(name string) (TypeID, bool) {
	id, ok := r.named[name]
	return id, ok && id != NoType
}

// Pallet finds a pallet by name.
func (r *Registry) Pallet(name string) (*Pallet, error) {
	if p := r.pallets[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: pallet %s", ErrUnknown, name)
}

// Call finds a call. The pallet's index and the variant's index are how a transaction names it.
func (r *Registry) Call(pallet, name string) (*Pallet, *Variant, error) {
	p, err := r.Pallet(pallet)
	if err != nil {
		return nil, nil, err
	}
	if v := r.variantByName(p.Calls, name); v != nil {
		return p, v, nil
	}
	return nil, nil, fmt.Errorf("%w: call %s.%s", ErrUnknown, pallet, name)
}

// CallByIndex finds a call by its place in a transaction.
func (r *Registry) CallByIndex(pallet, call uint8) (*Pallet, *Variant, error) {
	if p := r.byIndex[pallet]; p != nil {
		if v := r.variantByIndex(p.Calls, call); v != nil {
			return p, v, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: call %d of pallet %d", ErrUnknown, call, pallet)
}

// Error finds the error of a pallet by index, as dispatch errors name it.
func (r *Registry) Error(pallet, index uint8) (*Pallet, *Variant, error) {
	if p := r.byIndex[pallet]; p != nil {
		if v := r.variantByIndex(p.Error, index); v != nil {
			return p, v, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: error %d of pallet %d", ErrUnknown, index, pallet)
}

// Event finds an event by name.
func (r *Registry) Event(pallet, name string) (*Pallet, *Variant, error) {
	p, err := r.Pallet(pallet)
	if err != nil {
		return nil, nil, err
	}
	if v := r.variantByName(p.Event, name); v != nil {
		return p, v, nil
	}
	return nil, nil, fmt.Errorf("%w: event %s.%s", ErrUnknown, pallet, name)
}

// Storage finds a storage entry.
func (r *Registry) Storage(pallet, item string) (*StorageEntry, error) {
	if e := r.entries[pallet+"."+item]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("%w: storage %s.%s", ErrUnknown, pallet, item)
}

// Constant finds a constant.
func (r *Registry) Constant(pallet, name string) (*Constant, error) {
	p, err := r.Pallet(pallet)
	if err != nil {
		return nil, err
	}
	for i := range p.Constants {
		if p.Constants[i].Name == name {
			return &p.Constants[i], nil
		}
	}
	return nil, fmt.Errorf("%w: constant %s.%s", ErrUnknown, pallet, name)
}

// APIMethod finds a function of a runtime API. Metadata of version 14 has none.
func (r *Registry) APIMethod(api, method string) (*Method, error) {
	for i := range r.m.APIs {
		if r.m.APIs[i].Name != api {
			continue
		}
		for k := range r.m.APIs[i].Methods {
			if r.m.APIs[i].Methods[k].Name == method {
				return &r.m.APIs[i].Methods[k], nil
			}
		}
	}
	return nil, fmt.Errorf("%w: runtime API %s_%s", ErrUnknown, api, method)
}

func (r *Registry) variantByName(id TypeID, name string) *Variant {
	if t := r.Type(id); t != nil && t.Kind == KindVariant {
		for i := range t.Variants {
			if t.Variants[i].Name == name {
				return &t.Variants[i]
			}
		}
	}
	return nil
}

func (r *Registry) variantByIndex(id TypeID, index uint8) *Variant {
	if t := r.Type(id); t != nil && t.Kind == KindVariant {
		return t.variant(index)
	}
	return nil
}

// variant finds a case by index, which is mostly its position.
func (t *Type) variant(index uint8) *Variant {
	if int(index) < len(t.Variants) && t.Variants[index].Index == index {
		return &t.Variants[index]
	}
	for i := range t.Variants {
		if t.Variants[i].Index == index {
			return &t.Variants[i]
		}
	}
	return nil
}

// isOption reports whether t is the standard Option.
func (t *Type) isOption() bool {
	return t.Kind == KindVariant && len(t.Path) == 1 && t.Path[0] == "Option" && len(t.Variants) == 2 &&
		t.Variants[0].Name == "None" && len(t.Variants[0].Fields) == 0 && t.Variants[0].Index == 0 &&
		t.Variants[1].Name == "Some" && len(t.Variants[1].Fields) == 1 && t.Variants[1].Index == 1
}

// inner follows composites of one unnamed field, such as BoundedVec and BTreeMap, to what they wrap.
func (r *Registry) inner(id TypeID) TypeID {
	for range 16 { // deeper nesting of wrappers is left alone
		t := &r.m.Types[id]
		if t.Kind != KindComposite || len(t.Fields) != 1 || t.Fields[0].Name != "" {
			break
		}
		id = t.Fields[0].Type
	}
	return id
}

// widths of the primitives in bytes; -1 for text.
func (p Primitive) width() int {
	switch p {
	case Bool, U8, I8:
		return 1
	case U16, I16:
		return 2
	case Char, U32, I32:
		return 4
	case U64, I64:
		return 8
	case U128, I128:
		return 16
	case U256, I256:
		return 32
	}
	return -1
}

// measure computes fixed, least and bytes for all types.
func (r *Registry) measure() {
	n := len(r.m.Types)
	r.fixed, r.least, r.bytes = make([]int, n), make([]int, n), make([]bool, n)
	for i := range r.m.Types {
		if t := &r.m.Types[i]; t.Kind == KindSequence || t.Kind == KindArray {
			e := &r.m.Types[t.Elem]
			r.bytes[i] = e.Kind == KindPrimitive && e.Primitive == U8
		}
	}
	state := make([]uint8, n) // 0 new, 1 being measured, 2 done
	for i := range n {
		r.measureType(TypeID(i), state, 0)
	}
}

// measureType returns the exact (or -1) and the least size of a type. A type within itself counts as varying and empty.
func (r *Registry) measureType(id TypeID, state []uint8, depth int) (fixed, least int) {
	switch {
	case state[id] == 2:
		return r.fixed[id], r.least[id]
	case state[id] == 1 || depth > 256:
		return -1, 0
	}
	state[id] = 1
	t := &r.m.Types[id]
	switch t.Kind {
	case KindComposite:
		fixed, least = r.measureFields(t.Fields, state, depth)
	case KindTuple:
		for _, e := range t.Tuple {
			f, l := r.measureType(e, state, depth+1)
			fixed, least = addFixed(fixed, f), addLeast(least, l)
		}
	case KindVariant:
		fixed, least = -1, math.MaxInt32
		for i := range t.Variants {
			_, l := r.measureFields(t.Variants[i].Fields, state, depth)
			least = min(least, addLeast(l, 1))
		}
		if len(t.Variants) == 0 {
			least = 1
		}
		if t.plain() {
			fixed = 1
		}
	case KindArray:
		f, l := r.measureType(t.Elem, state, depth+1)
		if fixed = -1; f >= 0 && (t.Len == 0 || f <= math.MaxInt32/int(t.Len)) {
			fixed = f * int(t.Len)
		}
		if least = math.MaxInt32; t.Len == 0 || l <= math.MaxInt32/int(t.Len) {
			least = l * int(t.Len)
		}
	case KindPrimitive:
		if fixed = t.Primitive.width(); fixed > 0 {
			least = fixed
		} else {
			least = 1
		}
	default: // sequences, compacts, bit sequences
		fixed, least = -1, 1
		if t.Kind == KindCompact {
			if f, _ := r.measureType(t.Elem, state, depth+1); f == 0 {
				fixed, least = 0, 0
			}
		}
	}
	r.fixed[id], r.least[id], state[id] = fixed, least, 2
	return fixed, least
}

func (r *Registry) measureFields(fs []Field, state []uint8, depth int) (fixed, least int) {
	for i := range fs {
		f, l := r.measureType(fs[i].Type, state, depth+1)
		fixed, least = addFixed(fixed, f), addLeast(least, l)
	}
	return fixed, least
}

func addFixed(a, b int) int {
	if a < 0 || b < 0 || a > math.MaxInt32-b {
		return -1
	}
	return a + b
}

func addLeast(a, b int) int { return min(a+b, math.MaxInt32) }

// IsEmpty reports whether values of the type take no bytes.
func (r *Registry) IsEmpty(id TypeID) bool { return int(id) < len(r.fixed) && r.fixed[id] == 0 }

// plain reports whether t is an enumeration without data.
func (t *Type) plain() bool {
	for i := range t.Variants {
		if len(t.Variants[i].Fields) > 0 {
			return false
		}
	}
	return t.Kind == KindVariant && len(t.Variants) > 0
}

// TypeName spells a type for people: "Vec<(u32,u128)>", "Option<PeerInfo>".
func (r *Registry) TypeName(id TypeID) string {
	var b strings.Builder
	r.typeName(&b, id, 0)
	return b.String()
}

func (r *Registry) typeName(b *strings.Builder, id TypeID, depth int) {
	t := r.Type(id)
	if t == nil || depth > 8 || b.Len() > 1024 {
		b.WriteByte('_')
		return
	}
	if n := len(t.Path); n > 0 {
		b.WriteString(t.Path[n-1])
		sep := byte('<')
		for _, p := range t.Params {
			if p.Type != NoType && (p.Name == "T" || p.Name == "K" || p.Name == "V" || p.Name == "E") && n == 1 {
				b.WriteByte(sep)
				r.typeName(b, p.Type, depth+1)
				sep = ','
			}
		}
		if sep == ',' {
			b.WriteByte('>')
		}
		return
	}
	switch t.Kind {
	case KindSequence:
		b.WriteString("Vec<")
		r.typeName(b, t.Elem, depth+1)
		b.WriteByte('>')
	case KindArray:
		b.WriteByte('[')
		r.typeName(b, t.Elem, depth+1)
		fmt.Fprintf(b, ";%d]", t.Len)
	case KindTuple:
		b.WriteByte('(')
		for i, e := range t.Tuple {
			if i > 0 {
				b.WriteByte(',')
			}
			r.typeName(b, e, depth+1)
		}
		b.WriteByte(')')
	case KindCompact:
		b.WriteString("Compact<")
		r.typeName(b, t.Elem, depth+1)
		b.WriteByte('>')
	case KindPrimitive:
		b.WriteString(t.Primitive.String())
	case KindBitSequence:
		b.WriteString("BitVec")
	default:
		b.WriteByte('_')
	}
}

// String is the primitive's name in Rust.
func (p Primitive) String() string {
	names := [...]string{"bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256", "i8", "i16", "i32", "i64", "i128", "i256"}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("primitive(%d)", uint8(p))
}
