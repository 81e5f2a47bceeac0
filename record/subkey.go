package record

import (
	"bytes"
	"errors"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

const (
	subkeyDepth    = 8        // nested tuples; nobody nests deeper
	subkeyElements = 64       // items of tuples in one subkey
	maxSubkey      = 64 << 10 // hard limit before anything is decoded; Bounds sets the real one
)

var (
	errSubkeyType      = errors.New("not usable as a key of a Python dictionary")
	errSubkeyCanonical = errors.New("not in its shortest form")
)

// checkSubkey accepts packed subkeys that have exactly one form and that Python can use as dictionary keys:
// numbers, booleans, text, bytes and tuples of these. nil is not among them: it is the tag of regular records.
func checkSubkey(packed []byte) error {
	if len(packed) > 0 {
		switch c := packed[0]; { // the common forms without decoding twice
		case c == 0xc4:
			if len(packed) >= 2 && len(packed) == 2+int(packed[1]) {
				return nil
			}
		case c < 0x80 || c >= 0xe0:
			if len(packed) == 1 {
				return nil
			}
		}
	}
	v, err := msgpack.UnmarshalLimited(packed, msgpack.Limits{Depth: subkeyDepth, Elements: subkeyElements, Bytes: maxSubkey})
	if err != nil {
		return err
	}
	if v == nil || !hashable(v) {
		return errSubkeyType
	}
	again, err := msgpack.Append(make([]byte, 0, len(packed)), v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, packed) {
		return errSubkeyCanonical
	}
	return nil
}

func hashable(v any) bool {
	switch v := v.(type) {
	case nil, bool, int64, uint64, string, []byte:
		return true
	case float64:
		return v == v // NaN equals nothing, not even itself: it could never be replaced
	case msgpack.Tuple:
		for _, item := range v {
			if !hashable(item) {
				return false
			}
		}
		return true
	}
	return false
}

// checkShape tests what every record must satisfy, whatever the validators.
func checkShape(r Record) error {
	if !r.Expiration.Finite() || r.Expiration <= 0 {
		return fault(SideSender, CodeMalformed, "expiration %v", float64(r.Expiration))
	}
	if r.Regular() {
		return nil
	}
	if err := checkSubkey(r.Subkey); err != nil {
		return &Fault{Side: SideSender, Code: CodeMalformed, Reason: "subkey", Err: err}
	}
	return nil
}
