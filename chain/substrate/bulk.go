package substrate

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// What is said and answered in bulk, a thousand storage values at once, is written and read here without the detours of
// encoding/json, which looks at each byte four times. Whatever does not have the form that nodes send goes the general way.

// hexList is a parameter: an array of 0x-hex strings.
type hexList [][]byte

func (l hexList) appendJSON(dst []byte) []byte {
	size := 2
	for _, b := range l {
		size += 2*len(b) + 5
	}
	dst = append(slices.Grow(dst, size+128), '[') // what follows fits as well
	for i, b := range l {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `"0x`...)
		dst = append(hex.AppendEncode(dst, b), '"')
	}
	return append(dst, ']')
}

// plainBytes is the size from which an answer is worth the shortcut.
const plainBytes = 16 << 10

// plainAnswer splits a frame that is one large answer as nodes write it. The result is not checked: it need not be JSON.
func plainAnswer(b []byte) (id uint64, result json.RawMessage, ok bool) {
	if len(b) < plainBytes || b[len(b)-1] != '}' {
		return 0, nil, false
	}
	rest, ok := bytes.CutPrefix(b, []byte(`{"jsonrpc":"2.0","id":`))
	if !ok {
		return 0, nil, false
	}
	n := 0
	for n < len(rest) && n < 20 && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	id, err := strconv.ParseUint(string(rest[:n]), 10, 64)
	if err != nil {
		return 0, nil, false
	}
	result, ok = bytes.CutPrefix(rest[n:], []byte(`,"result":`))
	return id, result[:max(0, len(result)-1)], ok
}

// readMany asks for the values of several keys at one block.
func (c *Client) readMany(ctx context.Context, at chain.Hash, keys [][]byte) (values [][]byte, err error) {
	var malformed error
	const method = "state_queryStorageAt"
	err = c.do(ctx, method, func(ctx context.Context, cn *conn) error {
		malformed = nil
		b, err := cn.ask(ctx, &request{method: method, answer: make(chan answer, 1), unchecked: true}, []any{hexList(keys), atParam(at)})
		if err != nil {
			return err
		}
		var ok bool
		if values, ok = scanChanges(b, keys); ok {
			return nil
		}
		if !json.Valid(b) {
			err := fmt.Errorf("substrate: %s: %w: an answer that is not JSON", cn.url, ErrProtocol)
			cn.fail(err)
			return err
		}
		values, malformed = decodeChanges(b, keys)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, malformed
}

// scanChanges reads one change set that has the keys in the order in which they were asked for.
func scanChanges(b []byte, keys [][]byte) ([][]byte, bool) {
	const block = 2 + 2*len(chain.Hash{})
	rest, ok := bytes.CutPrefix(b, []byte(`[{"block":"`))
	if !ok || len(rest) < block || bytes.IndexByte(rest[:block], '"') >= 0 || bytes.IndexByte(rest[:block], '\\') >= 0 {
		return nil, false
	}
	if rest, ok = bytes.CutPrefix(rest[block:], []byte(`","changes":[`)); !ok {
		return nil, false
	}
	out := make([][]byte, len(keys))
	var text []byte
	for i, key := range keys {
		text = text[:0]
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, `["0x`...)
		text = append(hex.AppendEncode(text, key), `",`...)
		if rest, ok = bytes.CutPrefix(rest, text); !ok {
			return nil, false
		}
		if after, absent := bytes.CutPrefix(rest, []byte(`null]`)); absent {
			rest = after
			continue
		}
		if rest, ok = bytes.CutPrefix(rest, []byte(`"0x`)); !ok {
			return nil, false
		}
		end := bytes.IndexByte(rest, '"')
		if end < 0 || end+1 >= len(rest) || rest[end+1] != ']' {
			return nil, false
		}
		out[i] = make([]byte, hex.DecodedLen(end))
		if _, err := hex.Decode(out[i], rest[:end]); err != nil {
			return nil, false
		}
		rest = rest[end+2:]
	}
	return out, string(rest) == `]}]`
}

// decodeChanges reads change sets in any form that is JSON.
func decodeChanges(b json.RawMessage, keys [][]byte) ([][]byte, error) {
	var sets []struct {
		Changes [][2]*hexBytes `json:"changes"`
	}
	if err := decodeJSON(b, &sets); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	seen := 0
	for _, s := range sets {
		for _, ch := range s.Changes {
			if ch[0] == nil {
				return nil, fmt.Errorf("%w: storage change without a key", ErrProtocol)
			}
			seen++
			if ch[1] != nil {
				found[string(*ch[0])] = append(make([]byte, 0, len(*ch[1])), *ch[1]...)
			}
		}
	}
	if seen < len(keys) {
		return nil, fmt.Errorf("%w: %d of %d storage values", ErrProtocol, seen, len(keys))
	}
	out := make([][]byte, len(keys))
	for i := range keys {
		out[i] = found[string(keys[i])]
	}
	return out, nil
}
