package metadata

import (
	"fmt"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// magic opens metadata: "meta", little-endian.
const magic = 0x6174656d

// EncodeV14 returns the metadata in version 14. What only version 15 carries is left out.
func (m *Metadata) EncodeV14() ([]byte, error) { return m.encode(14) }

// EncodeV15 returns the metadata in version 15.
func (m *Metadata) EncodeV15() ([]byte, error) { return m.encode(15) }

func (m *Metadata) encode(version uint8) ([]byte, error) {
	w := encoder{types: len(m.Types), Encoder: scale.Encoder{Buf: make([]byte, 0, 1<<18)}}
	w.U32(magic)
	w.U8(version)
	w.Len(len(m.Types))
	for i := range m.Types {
		w.at = func() string { return fmt.Sprintf("type %d (%s)", i, m.Types[i].name()) }
		w.Compact(uint64(i))
		w.typ(&m.Types[i])
	}
	w.Len(len(m.Pallets))
	for i := range m.Pallets {
		w.at = func() string { return "pallet " + m.Pallets[i].Name }
		w.pallet(&m.Pallets[i], version)
	}
	w.at = func() string { return "extrinsic" }
	w.extrinsic(&m.Extrinsic, version)
	w.id(m.Runtime)
	if version >= 15 {
		w.at = func() string { return "runtime APIs" }
		w.Len(len(m.APIs))
		for i := range m.APIs {
			w.api(&m.APIs[i])
		}
		w.at = func() string { return "outer enums" }
		w.id(m.Outer.Call)
		w.id(m.Outer.Event)
		w.id(m.Outer.Error)
		w.Len(len(m.Custom))
		for i := range m.Custom {
			w.Text(m.Custom[i].Name)
			w.id(m.Custom[i].Type)
			w.Bytes(m.Custom[i].Value)
		}
	}
	if w.err != nil {
		return nil, fmt.Errorf("metadata: encode: %w", w.err)
	}
	return w.Buf, nil
}

// encoder writes metadata and keeps the first reference to a type that does not exist.
type encoder struct {
	scale.Encoder
	types int
	at    func() string // where we are, for the error
	err   error
}

func (w *encoder) id(t TypeID) {
	if uint64(t) >= uint64(w.types) && w.err == nil {
		w.err = fmt.Errorf("%s refers to type %d of %d", w.at(), t, w.types)
	}
	w.Compact(uint64(t))
}

func (w *encoder) optionalID(t TypeID) {
	if t == NoType {
		w.None()
		return
	}
	w.Some()
	w.id(t)
}

func (w *encoder) optionalText(s string) {
	if s == "" {
		w.None()
		return
	}
	w.Some()
	w.Text(s)
}

func (w *encoder) texts(ss []string) {
	w.Len(len(ss))
	for _, s := range ss {
		w.Text(s)
	}
}

func (w *encoder) typ(t *Type) {
	w.texts(t.Path)
	w.Len(len(t.Params))
	for _, p := range t.Params {
		w.Text(p.Name)
		w.optionalID(p.Type)
	}
	w.U8(uint8(t.Kind))
	switch t.Kind {
	case KindComposite:
		w.fields(t.Fields)
	case KindVariant:
		w.Len(len(t.Variants))
		for i := range t.Variants {
			v := &t.Variants[i]
			w.Text(v.Name)
			w.fields(v.Fields)
			w.U8(v.Index)
			w.texts(v.Docs)
		}
	case KindSequence, KindCompact:
		w.id(t.Elem)
	case KindArray:
		w.U32(t.Len)
		w.id(t.Elem)
	case KindTuple:
		w.Len(len(t.Tuple))
		for _, id := range t.Tuple {
			w.id(id)
		}
	case KindPrimitive:
		w.U8(uint8(t.Primitive))
	case KindBitSequence:
		w.id(t.Elem)
		w.id(t.BitOrder)
	default:
		if w.err == nil {
			w.err = fmt.Errorf("%s has unknown kind %d", w.at(), t.Kind)
		}
	}
	w.texts(t.Docs)
}

func (w *encoder) fields(fs []Field) {
	w.Len(len(fs))
	for i := range fs {
		w.optionalText(fs[i].Name)
		w.id(fs[i].Type)
		w.optionalText(fs[i].TypeName)
		w.texts(fs[i].Docs)
	}
}

func (w *encoder) pallet(p *Pallet, version uint8) {
	w.Text(p.Name)
	if p.Storage == nil {
		w.None()
	} else {
		w.Some()
		w.Text(p.Storage.Prefix)
		w.Len(len(p.Storage.Entries))
		for i := range p.Storage.Entries {
			w.entry(&p.Storage.Entries[i])
		}
	}
	w.optionalID(p.Calls)
	w.optionalID(p.Event)
	w.Len(len(p.Constants))
	for i := range p.Constants {
		c := &p.Constants[i]
		w.Text(c.Name)
		w.id(c.Type)
		w.Bytes(c.Value)
		w.texts(c.Docs)
	}
	w.optionalID(p.Error)
	w.U8(p.Index)
	if version >= 15 {
		w.texts(p.Docs)
	}
}

func (w *encoder) entry(s *StorageEntry) {
	w.Text(s.Name)
	w.U8(uint8(s.Modifier))
	if len(s.Hashers) == 0 {
		w.U8(0)
		w.id(s.Value)
	} else {
		w.U8(1)
		w.Len(len(s.Hashers))
		for _, h := range s.Hashers {
			w.U8(uint8(h))
		}
		w.id(s.Key)
		w.id(s.Value)
	}
	w.Bytes(s.Default)
	w.texts(s.Docs)
}

func (w *encoder) extrinsic(x *Extrinsic, version uint8) {
	if version >= 15 {
		w.U8(x.Version)
		w.id(x.Address)
		w.id(x.Call)
		w.id(x.Signature)
		w.id(x.Extra)
	} else {
		w.id(x.Type)
		w.U8(x.Version)
	}
	w.Len(len(x.SignedExtensions))
	for i := range x.SignedExtensions {
		s := &x.SignedExtensions[i]
		w.Text(s.Identifier)
		w.id(s.Type)
		w.id(s.Additional)
	}
}

func (w *encoder) api(a *API) {
	w.Text(a.Name)
	w.Len(len(a.Methods))
	for i := range a.Methods {
		m := &a.Methods[i]
		w.Text(m.Name)
		w.Len(len(m.Inputs))
		for _, in := range m.Inputs {
			w.Text(in.Name)
			w.id(in.Type)
		}
		w.id(m.Output)
		w.texts(m.Docs)
	}
	w.texts(a.Docs)
}
