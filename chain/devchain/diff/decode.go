package diff

import (
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// name says what a storage key is in words: item is "Pallet.Item", text has the
// key parts as well, "Network.SubnetNodesData(128001, 3)".
func (r *run) name(key []byte) (item, text string, entry *metadata.StorageEntry) {
	hex := fmt.Sprintf("0x%x", key)
	if len(key) < 32 {
		return hex, hex, nil
	}
	item = r.items[string(key[:32])]
	pallet, name, ok := strings.Cut(item, ".")
	if !ok {
		return hex, hex, nil
	}
	entry, err := r.reg.Storage(pallet, name)
	if err != nil || len(entry.Hashers) == 0 {
		return item, item, entry
	}
	parts, err := r.reg.SplitKey(entry, key)
	if err != nil {
		return item, fmt.Sprintf("%s(0x%x)", item, key[32:]), entry
	}
	types := []metadata.TypeID{entry.Key}
	if t := r.reg.Type(entry.Key); len(parts) > 1 && t != nil {
		types = t.Tuple
	}
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = "hashed"
		if p != nil {
			words[i] = r.text(types[i], p)
		}
	}
	return item, item + "(" + strings.Join(words, ", ") + ")", entry
}

// text is an encoded value as JSON, or in hex where it does not decode.
func (r *run) text(id metadata.TypeID, b []byte) string {
	if b == nil {
		return "nothing"
	}
	if id == metadata.NoType {
		return fmt.Sprintf("0x%x", b)
	}
	d := scale.NewDecoder(b)
	v := r.reg.DecodeValue(d, id)
	if d.Finish() == nil {
		if out, err := metadata.AppendJSON(nil, v); err == nil {
			return string(out)
		}
	}
	return fmt.Sprintf("0x%x", b)
}

const (
	lead    = 60  // characters before the first that differs
	excerpt = 400 // characters of a value that are shown
)

// excerpts cuts two texts to where they begin to differ.
func excerpts(a, b string) (string, string) {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	cut := func(s string) string {
		from, to := 0, len(s)
		if len(s) > excerpt {
			from = max(0, min(at-lead, len(s)-excerpt))
			to = from + excerpt
		}
		out := s[from:to]
		if from > 0 {
			out = "…" + out
		}
		if to < len(s) {
			out += "…"
		}
		return out
	}
	return cut(a), cut(b)
}
