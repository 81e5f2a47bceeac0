package schema

import (
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// hasher returns the hasher of a name.
func hasher(name string) metadata.Hasher {
	i := slices.Index([]string{
		"Blake2_128", "Blake2_256", "Blake2_128Concat", "Twox128", "Twox256", "Twox64Concat", "Identity",
	}, name)
	if i < 0 {
		panic(syntaxError{"no hasher " + name})
	}
	return metadata.Hasher(i)
}

func (r *registry) build(dynamic map[string][]byte) *metadata.Metadata {
	m := &metadata.Metadata{Version: 15}
	r.id(expr{name: "AccountId20"}) // number 0, as on the chain
	call := r.id(expr{name: "RuntimeCall"})
	m.Outer = metadata.OuterEnums{
		Call:  call,
		Event: r.id(expr{name: "RuntimeEvent"}),
		Error: r.id(expr{name: "RuntimeError"}),
	}
	for i := range r.doc.pallets {
		m.Pallets = append(m.Pallets, r.pallet(&r.doc.pallets[i], dynamic))
	}
	m.Extrinsic = metadata.Extrinsic{
		Version:   uint8(r.doc.version),
		Type:      r.id(expr{name: "UncheckedExtrinsic"}),
		Address:   r.id(r.doc.address),
		Call:      call,
		Signature: r.id(r.doc.signature),
	}
	extra := expr{name: "()"}
	for _, x := range r.doc.extensions {
		extra.args = append(extra.args, x.extra)
		m.Extrinsic.SignedExtensions = append(m.Extrinsic.SignedExtensions, metadata.SignedExtension{
			Identifier: x.name, Type: r.id(x.extra), Additional: r.id(x.additional),
		})
	}
	m.Extrinsic.Extra = r.id(extra)
	for _, a := range r.doc.apis {
		api := metadata.API{Name: a.name}
		for _, d := range a.methods {
			method := metadata.Method{Name: d.name, Output: r.id(d.output)}
			for _, in := range d.inputs {
				method.Inputs = append(method.Inputs, metadata.Input{Name: in.name, Type: r.id(in.typ)})
			}
			api.Methods = append(api.Methods, method)
		}
		m.APIs = append(m.APIs, api)
	}
	m.Runtime = r.reserve("Runtime")
	r.types[m.Runtime] = metadata.Type{Path: []string{"hypertensor_runtime", "Runtime"}}
	m.Types = r.types
	return m
}

func (r *registry) pallet(d *palletDecl, dynamic map[string][]byte) metadata.Pallet {
	p := metadata.Pallet{
		Name:  d.name,
		Index: uint8(d.index),
		Calls: r.palletEnum(r.calls, d, d.calls, "Call"),
		Event: r.palletEnum(r.events, d, d.events, "Event"),
		Error: r.palletEnum(r.errors, d, d.errors, "Error"),
	}
	for _, c := range d.constants {
		k := metadata.Constant{Name: c.name, Type: r.id(c.typ)}
		if c.value == "dynamic" {
			v, ok := dynamic[d.name+"."+c.name]
			if !ok {
				panic(syntaxError{"no value for the constant " + d.name + "." + c.name})
			}
			k.Value = v
		} else {
			k.Value = r.value(c.typ, c.value)
		}
		p.Constants = append(p.Constants, k)
	}
	if d.prefix == "" {
		return p
	}
	p.Storage = &metadata.Storage{Prefix: d.prefix}
	for _, s := range d.storage {
		e := metadata.StorageEntry{Name: s.name, Key: metadata.NoType, Value: r.id(s.value), Default: []byte{0}}
		if !s.optional {
			e.Modifier = metadata.ModifierDefault
			e.Default = r.value(s.value, s.def)
		}
		for _, h := range s.hashers {
			e.Hashers = append(e.Hashers, hasher(h))
		}
		switch len(s.keys) {
		case 0:
		case 1:
			e.Key = r.id(s.keys[0])
		default:
			e.Key = r.id(expr{name: "()", args: s.keys})
		}
		p.Storage.Entries = append(p.Storage.Entries, e)
	}
	return p
}
