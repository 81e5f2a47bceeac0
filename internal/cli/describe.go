package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// keyTypes are the types of an entry's key parts.
func keyTypes(r *metadata.Registry, entry *metadata.StorageEntry) []metadata.TypeID {
	if len(entry.Hashers) == 1 {
		return []metadata.TypeID{entry.Key}
	}
	if t := r.Type(entry.Key); t != nil && t.Kind == metadata.KindTuple && len(t.Tuple) == len(entry.Hashers) {
		return t.Tuple
	}
	return make([]metadata.TypeID, len(entry.Hashers))
}

// decodeAs reads a value, or shows its bytes where they do not fit.
func decodeAs(r *metadata.Registry, id metadata.TypeID, b []byte) any {
	d := scale.NewDecoder(b)
	v := r.DecodeValue(d, id)
	if d.Finish() != nil {
		return fmt.Sprintf("0x%x", b)
	}
	return v
}

// jsonValue is a dynamic value as JSON.
func jsonValue(v any) json.RawMessage {
	b, err := metadata.AppendJSON(nil, v)
	if err != nil {
		b, err = json.Marshal(fmt.Sprint(v))
		if err != nil {
			return json.RawMessage("null")
		}
	}
	return b
}

// pretty is a dynamic value for people.
func pretty(v any) string {
	if v == nil {
		return "nothing there"
	}
	b, err := json.MarshalIndent(jsonValue(v), "", "  ")
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// describe lists what a chain's metadata offers, a line each.
func describe(r *metadata.Registry, only string, calls, storage, events, failures, constants, apis bool) []string {
	var out []string
	m := r.Metadata()
	variants := func(pallet, what string, id metadata.TypeID) {
		if id == metadata.NoType {
			return
		}
		t := r.Type(id)
		if t == nil {
			return
		}
		for i := range t.Variants {
			v := &t.Variants[i]
			line := fmt.Sprintf("%s %s.%s", what, pallet, v.Name)
			if what != "error" {
				line += "(" + fieldList(r, v.Fields) + ")"
			}
			if len(v.Docs) > 0 && what == "error" {
				line += ": " + strings.TrimSpace(strings.Join(v.Docs, " "))
			}
			out = append(out, line)
		}
	}
	for i := range m.Pallets {
		p := &m.Pallets[i]
		if only != "" && p.Name != only {
			continue
		}
		if calls {
			variants(p.Name, "call", p.Calls)
		}
		if storage && p.Storage != nil {
			for j := range p.Storage.Entries {
				entry := &p.Storage.Entries[j]
				var keys []string
				for _, k := range keyTypes(r, entry) {
					keys = append(keys, r.TypeName(k))
				}
				if len(entry.Hashers) == 0 {
					keys = nil
				}
				line := fmt.Sprintf("storage %s.%s", p.Name, entry.Name)
				if len(keys) > 0 {
					line += "(" + strings.Join(keys, ", ") + ")"
				}
				line += ": " + r.TypeName(entry.Value)
				if entry.Modifier == metadata.ModifierOptional {
					line += "?"
				}
				out = append(out, line)
			}
		}
		if events {
			variants(p.Name, "event", p.Event)
		}
		if failures {
			variants(p.Name, "error", p.Error)
		}
		if constants {
			for _, x := range p.Constants {
				out = append(out, fmt.Sprintf("constant %s.%s: %s = %s", p.Name, x.Name, r.TypeName(x.Type), valueText(decodeAs(r, x.Type, x.Value))))
			}
		}
	}
	if apis {
		for _, api := range m.APIs {
			for _, method := range api.Methods {
				var in []string
				for _, x := range method.Inputs {
					in = append(in, x.Name+": "+r.TypeName(x.Type))
				}
				out = append(out, fmt.Sprintf("api %s.%s(%s): %s", api.Name, method.Name, strings.Join(in, ", "), r.TypeName(method.Output)))
			}
		}
	}
	return out
}

func fieldList(r *metadata.Registry, fields []metadata.Field) string {
	list := make([]string, 0, len(fields))
	for _, f := range fields {
		text := r.TypeName(f.Type)
		if f.Name != "" {
			text = f.Name + ": " + text
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
