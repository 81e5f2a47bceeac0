package metadata

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// ErrVersion says that metadata is of a version other than 14 and 15.
var ErrVersion = errors.New("metadata: unsupported version")

// decodeBudget bounds the memory of decoded metadata. The real runtimes' 190 KiB take some 3 MiB.
const decodeBudget = 256 << 20

// Decode reads metadata of version 14 or 15. Every reference to a type is checked, so the result can be used without further
// checks. The error wraps [ErrVersion], [scale.ErrMalformed] or [scale.ErrLimit].
func Decode(b []byte) (*Metadata, error) {
	r := decoder{Decoder: scale.NewLimitedDecoder(b, scale.DefaultDepth, decodeBudget)}
	m := &Metadata{Outer: OuterEnums{NoType, NoType, NoType}}
	if r.U32() != magic {
		r.Fail(scale.ErrMalformed, "does not begin with \"meta\"")
	}
	if m.Version = r.U8(); r.Err() == nil && m.Version != 14 && m.Version != 15 {
		return nil, fmt.Errorf("%w %d", ErrVersion, m.Version)
	}
	r.decode(m)
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("metadata: decode: %w", err)
	}
	if r.maxID >= len(m.Types) {
		return nil, fmt.Errorf("metadata: decode: %w: refers to type %d of %d", scale.ErrMalformed, r.maxID, len(m.Types))
	}
	if m.Version == 14 {
		m.fillOuter()
	}
	return m, nil
}

// decoder reads metadata and keeps the highest type id seen.
type decoder struct {
	*scale.Decoder
	maxID int
}

// list reads a sequence whose elements take at least minSize bytes of input.
func list[T any](r *decoder, minSize int, elem func(*T)) []T {
	n := r.Len(minSize)
	var zero T
	if n == 0 || !r.Charge(n, int(unsafe.Sizeof(zero))) {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		if elem(&out[i]); r.Err() != nil {
			return nil
		}
	}
	return out
}

func (r *decoder) decode(m *Metadata) {
	i := TypeID(0)
	m.Types = list(r, 4, func(t *Type) {
		if id := TypeID(r.CompactU32()); id != i {
			r.Fail(scale.ErrMalformed, "type ids are not consecutive")
		}
		i++
		r.typ(t)
	})
	m.Pallets = list(r, 7, func(p *Pallet) { r.pallet(p, m.Version) })
	x := &m.Extrinsic
	x.Type, x.Address, x.Call, x.Signature, x.Extra = NoType, NoType, NoType, NoType, NoType
	if m.Version >= 15 {
		x.Version = r.U8()
		x.Address, x.Call, x.Signature, x.Extra = r.id(), r.id(), r.id(), r.id()
	} else {
		x.Type = r.id()
		x.Version = r.U8()
	}
	x.SignedExtensions = list(r, 3, func(s *SignedExtension) {
		s.Identifier, s.Type, s.Additional = r.Text(), r.id(), r.id()
	})
	m.Runtime = r.id()
	if m.Version < 15 {
		return
	}
	m.APIs = list(r, 3, func(a *API) {
		a.Name = r.Text()
		a.Methods = list(r, 4, func(f *Method) {
			f.Name = r.Text()
			f.Inputs = list(r, 2, func(in *Input) { in.Name, in.Type = r.Text(), r.id() })
			f.Output, f.Docs = r.id(), r.texts()
		})
		a.Docs = r.texts()
	})
	m.Outer = OuterEnums{Call: r.id(), Event: r.id(), Error: r.id()}
	m.Custom = list(r, 3, func(c *CustomValue) { c.Name, c.Type, c.Value = r.Text(), r.id(), r.Bytes() })
}

func (r *decoder) id() TypeID {
	id := r.CompactU32()
	if id > 1<<24 { // no registry comes near
		r.Fail(scale.ErrMalformed, "type id out of range")
		return 0
	}
	r.maxID = max(r.maxID, int(id))
	return TypeID(id)
}

func (r *decoder) optionalID() TypeID {
	if r.Option() {
		return r.id()
	}
	return NoType
}

func (r *decoder) optionalText() string {
	if r.Option() {
		return r.Text()
	}
	return ""
}

func (r *decoder) texts() []string { return list(r, 1, func(s *string) { *s = r.Text() }) }

func (r *decoder) typ(t *Type) {
	t.Path = r.texts()
	t.Params = list(r, 2, func(p *Param) { p.Name, p.Type = r.Text(), r.optionalID() })
	t.Kind = Kind(r.U8())
	switch t.Kind {
	case KindComposite:
		t.Fields = r.fields()
	case KindVariant:
		t.Variants = list(r, 4, func(v *Variant) {
			v.Name, v.Fields, v.Index, v.Docs = r.Text(), r.fields(), r.U8(), r.texts()
		})
	case KindSequence, KindCompact:
		t.Elem = r.id()
	case KindArray:
		t.Len, t.Elem = r.U32(), r.id()
	case KindTuple:
		t.Tuple = list(r, 1, func(id *TypeID) { *id = r.id() })
	case KindPrimitive:
		if t.Primitive = Primitive(r.U8()); t.Primitive > I256 {
			r.Fail(scale.ErrMalformed, "unknown primitive")
		}
	case KindBitSequence:
		t.Elem, t.BitOrder = r.id(), r.id()
	default:
		r.Fail(scale.ErrMalformed, "unknown kind of type")
	}
	t.Docs = r.texts()
}

func (r *decoder) fields() []Field {
	return list(r, 4, func(f *Field) {
		f.Name, f.Type, f.TypeName, f.Docs = r.optionalText(), r.id(), r.optionalText(), r.texts()
	})
}

func (r *decoder) pallet(p *Pallet, version uint8) {
	p.Name = r.Text()
	if r.Option() && r.Charge(1, int(unsafe.Sizeof(Storage{}))) {
		p.Storage = &Storage{Prefix: r.Text()}
		p.Storage.Entries = list(r, 6, r.entry)
	}
	p.Calls, p.Event = r.optionalID(), r.optionalID()
	p.Constants = list(r, 4, func(c *Constant) {
		c.Name, c.Type, c.Value, c.Docs = r.Text(), r.id(), r.Bytes(), r.texts()
	})
	p.Error, p.Index = r.optionalID(), r.U8()
	if version >= 15 {
		p.Docs = r.texts()
	}
}

func (r *decoder) entry(s *StorageEntry) {
	s.Name = r.Text()
	if s.Modifier = Modifier(r.U8()); s.Modifier > ModifierDefault {
		r.Fail(scale.ErrMalformed, "unknown storage modifier")
	}
	s.Key = NoType
	switch r.U8() {
	case 0:
		s.Value = r.id()
	case 1:
		s.Hashers = list(r, 1, func(h *Hasher) {
			if *h = Hasher(r.U8()); *h > Identity {
				r.Fail(scale.ErrMalformed, "unknown storage hasher")
			}
		})
		s.Key, s.Value = r.id(), r.id()
		if len(s.Hashers) == 0 {
			r.Fail(scale.ErrMalformed, "map without a hasher")
		}
	default:
		r.Fail(scale.ErrMalformed, "unknown kind of storage entry")
	}
	s.Default, s.Docs = r.Bytes(), r.texts()
}

// fillOuter finds what version 14 does not say: the parts of the transaction type and the outer enums.
func (m *Metadata) fillOuter() {
	x := &m.Extrinsic
	for _, p := range m.Types[x.Type].Params {
		switch p.Name {
		case "Address":
			x.Address = p.Type
		case "Call":
			x.Call, m.Outer.Call = p.Type, p.Type
		case "Signature":
			x.Signature = p.Type
		case "Extra":
			x.Extra = p.Type
		}
	}
	for i := range m.Types {
		if t := &m.Types[i]; t.Kind == KindVariant && len(t.Path) > 1 {
			switch t.Path[len(t.Path)-1] {
			case "RuntimeEvent":
				m.Outer.Event = TypeID(i)
			case "RuntimeError":
				m.Outer.Error = TypeID(i)
			}
		}
	}
}

// name is the type's path for messages.
func (t *Type) name() string {
	if len(t.Path) == 0 {
		return "anonymous"
	}
	return strings.Join(t.Path, "::")
}
