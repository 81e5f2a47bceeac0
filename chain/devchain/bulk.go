package devchain

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// Requests for thousands of keys, and their answers, are read and written here
// without the detours of encoding/json, which looks at each byte several times.

// rawJSON is a result that is encoded already.
type rawJSON []byte

// encodeAnswer is what [json.Marshal] would make of an answer.
func encodeAnswer(id json.RawMessage, result any) ([]byte, error) {
	raw, ok := result.(rawJSON)
	if !ok {
		return json.Marshal(answer{"2.0", id, result})
	}
	if id == nil {
		id = json.RawMessage("null")
	}
	out := make([]byte, 0, len(raw)+len(id)+40)
	out = append(append(out, `{"jsonrpc":"2.0","id":`...), id...)
	out = append(append(out, `,"result":`...), raw...)
	return append(out, '}'), nil
}

// splitArray cuts an array that is valid JSON into its elements; those beyond
// limit are left out.
func splitArray(b []byte, limit int) []json.RawMessage {
	var list []json.RawMessage
	depth, inString, from := 0, false, 1
	end := func(i int) {
		if one := bytes.TrimSpace(b[from:i]); len(one) > 0 {
			list = append(list, one)
		}
		from = i + 1
	}
	for i := 0; i < len(b) && len(list) < limit; i++ {
		switch ch := b[i]; {
		case inString && ch == '\\':
			i++
		case ch == '"':
			inString = !inString
		case inString:
		case ch == '[' || ch == '{':
			depth++
		case ch == ']' || ch == '}':
			if depth--; depth == 0 {
				end(i)
			}
		case ch == ',' && depth == 1:
			end(i)
		}
	}
	return list
}

// hexArray reads an array of 0x-hex strings; ok is false when it has another
// form, which may still be one.
func hexArray(b []byte) (list []hexBytes, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(`["0x`))
	for ok {
		i := bytes.IndexByte(rest, '"')
		if i < 0 {
			return nil, false
		}
		one := make([]byte, hex.DecodedLen(i))
		if _, err := hex.Decode(one, rest[:i]); err != nil {
			return nil, false
		}
		list, rest = append(list, one), rest[i+1:]
		if string(rest) == "]" {
			return list, true
		}
		rest, ok = bytes.CutPrefix(rest, []byte(`,"0x`))
	}
	return nil, false
}

// changeSet is the answer of storage queries and the notice of subscriptions.
type changeSet struct {
	Block   chain.Hash
	Changes []change
}

// change is a key with its value, nil when there is none.
type change struct{ key, value []byte }

func (s changeSet) append(b []byte) []byte {
	size := 128
	for _, c := range s.Changes {
		size += 2*(len(c.key)+len(c.value)) + 16
	}
	b = slices.Grow(b, size)
	b = append(hex.AppendEncode(append(b, `{"block":"0x`...), s.Block[:]), `","changes":[`...)
	for i, c := range s.Changes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(hex.AppendEncode(append(b, `["0x`...), c.key), `",`...)
		if c.value == nil {
			b = append(b, "null]"...)
		} else {
			b = append(hex.AppendEncode(append(b, `"0x`...), c.value), `"]`...)
		}
	}
	return append(b, "]}"...)
}

// MarshalJSON implements json.Marshaler.
func (s changeSet) MarshalJSON() ([]byte, error) { return s.append(nil), nil }
