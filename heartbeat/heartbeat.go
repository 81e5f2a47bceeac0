package heartbeat

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// RoleValidator is the role of nodes that take part in consensus.
const RoleValidator = "validator"

// State is what a node says of itself.
type State uint8

// The states.
const (
	Offline State = iota // leaving or gone
	Joining              // started, not serving yet
	Online               // serving
)

// String returns "offline", "joining" or "online".
func (s State) String() string {
	switch s {
	case Offline:
		return "offline"
	case Joining:
		return "joining"
	case Online:
		return "online"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Info is one heartbeat.
type Info struct {
	State      State
	Role       string
	Throughput float64 // requests or tokens per second, whatever the subnet measures; finite, not negative
	PublicName string  // "" if the operator gave none
	Version    string
	UsingRelay bool
	NextPings  map[peer.ID]time.Duration // smoothed round trips to some peers
	Epoch      uint32                    // subnet epoch in which it was written
	HasEpoch   bool                      // whether Epoch is known; Python nodes do not write it
	Extra      msgpack.Map               // further names, text keys only
}

const (
	maxText  = 256  // bytes of role, name or version: what fits a table cell
	maxPings = 64   // Python nodes write five
	maxExtra = 64   // further names
	maxRTT   = 3600 // seconds; nobody waits longer
)

// names of the fields in the wire's map
const (
	fieldName  = "public_name"
	fieldVer   = "version"
	fieldRelay = "using_relay"
	fieldPings = "next_pings"
	fieldEpoch = "epoch"
)

// Error is a heartbeat that does not follow the format.
type Error struct {
	Field string // "state", "role", ... or "" for the whole
	Text  string
	Err   error
}

// Error returns the field and what is wrong with it.
func (e *Error) Error() string {
	text := "heartbeat"
	if e.Field != "" {
		text += ": " + e.Field
	}
	text += ": " + e.Text
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func bad(field, format string, args ...any) error {
	return &Error{Field: field, Text: fmt.Sprintf(format, args...)}
}

// Marshal packs the heartbeat. It fails for values that Parse would refuse.
func (i Info) Marshal() ([]byte, error) {
	var name any
	if i.PublicName != "" {
		name = i.PublicName
	}
	fields := msgpack.Map{
		{Key: fieldName, Value: name},
		{Key: fieldVer, Value: i.Version},
		{Key: fieldRelay, Value: i.UsingRelay},
		{Key: fieldPings, Value: packPings(i.NextPings)},
	}
	if i.HasEpoch {
		fields = append(fields, msgpack.Entry{Key: fieldEpoch, Value: i.Epoch})
	}
	fields = append(fields, i.Extra...)
	packed, err := msgpack.Marshal(msgpack.Tuple{uint8(i.State), i.Role, i.Throughput, fields})
	if err != nil {
		return nil, &Error{Text: "cannot be packed", Err: err}
	}
	if _, err := Parse(packed); err != nil {
		return nil, err
	}
	return packed, nil
}

func packPings(pings map[peer.ID]time.Duration) msgpack.Map {
	packed := make(msgpack.Map, 0, len(pings))
	for id, rtt := range pings {
		packed = append(packed, msgpack.Entry{Key: id.String(), Value: rtt.Seconds()})
	}
	slices.SortFunc(packed, func(a, b msgpack.Entry) int { return strings.Compare(text(a.Key), text(b.Key)) })
	return packed
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// Parse reads a packed heartbeat (without signature). Every error is an *Error. Absent names take their zero
// value, as for Python.
func Parse(packed []byte) (Info, error) {
	v, err := msgpack.UnmarshalLimited(packed, msgpack.Limits{Bytes: 16 << 10, Depth: 8, Elements: 1024})
	if err != nil {
		return Info{}, &Error{Text: "not readable", Err: err}
	}
	tuple, ok := v.(msgpack.Tuple)
	if !ok {
		return Info{}, bad("", "%s instead of a tuple", kind(v))
	}
	if len(tuple) < 3 || len(tuple) > 4 {
		return Info{}, bad("", "%d fields instead of 4", len(tuple))
	}
	var i Info
	if err := i.setFixed(tuple); err != nil {
		return Info{}, err
	}
	if len(tuple) == 4 {
		fields, ok := tuple[3].(msgpack.Map)
		if !ok {
			return Info{}, bad("fields", "%s instead of a map", kind(tuple[3]))
		}
		for _, f := range fields {
			if err := i.setField(f); err != nil {
				return Info{}, err
			}
		}
		if len(i.Extra) > maxExtra {
			return Info{}, bad("fields", "%d further names, limit %d", len(i.Extra), maxExtra)
		}
	}
	return i, nil
}

func (i *Info) setFixed(tuple msgpack.Tuple) error {
	state, ok := tuple[0].(int64)
	if !ok || state < 0 || state > int64(Online) {
		return bad("state", "%s instead of 0, 1 or 2", describe(tuple[0]))
	}
	i.State = State(state)
	var err error
	if i.Role, err = shortText("role", tuple[1]); err != nil {
		return err
	}
	i.Throughput, err = amount("throughput", tuple[2])
	return err
}

func (i *Info) setField(f msgpack.Entry) (err error) {
	name, ok := f.Key.(string)
	if !ok {
		return bad("fields", "%s as a name", kind(f.Key))
	}
	switch name {
	case fieldName:
		if f.Value != nil {
			i.PublicName, err = shortText(name, f.Value)
		}
	case fieldVer:
		if f.Value != nil {
			i.Version, err = shortText(name, f.Value)
		}
	case fieldRelay:
		if f.Value != nil {
			if i.UsingRelay, ok = f.Value.(bool); !ok {
				err = bad(name, "%s instead of a boolean", kind(f.Value))
			}
		}
	case fieldPings:
		if f.Value != nil {
			i.NextPings, err = parsePings(f.Value)
		}
	case fieldEpoch:
		n, ok := f.Value.(int64)
		if !ok || n < 0 || n > math.MaxUint32 {
			return bad(name, "%s instead of an epoch", describe(f.Value))
		}
		i.Epoch, i.HasEpoch = uint32(n), true
	default:
		i.Extra = append(i.Extra, f)
	}
	return err
}

func parsePings(v any) (map[peer.ID]time.Duration, error) {
	entries, ok := v.(msgpack.Map)
	if !ok {
		return nil, bad(fieldPings, "%s instead of a map", kind(v))
	}
	if len(entries) > maxPings {
		return nil, bad(fieldPings, "%d peers, limit %d", len(entries), maxPings)
	}
	pings := make(map[peer.ID]time.Duration, len(entries))
	for _, e := range entries {
		text, ok := e.Key.(string)
		if !ok {
			return nil, bad(fieldPings, "%s instead of a peer ID", kind(e.Key))
		}
		id, err := peer.Decode(text)
		if err != nil {
			return nil, &Error{Field: fieldPings, Text: "peer ID", Err: err}
		}
		seconds, err := rtt(e.Value)
		if err != nil {
			return nil, err
		}
		pings[id] = seconds
	}
	return pings, nil
}

// rtt reads a round trip in seconds. Python writes infinity for a peer that did not answer: the longest here.
func rtt(v any) (time.Duration, error) {
	seconds, ok := v.(float64)
	if !ok || math.IsNaN(seconds) || seconds < 0 {
		return 0, bad(fieldPings, "%s instead of seconds", describe(v))
	}
	return time.Duration(min(seconds, maxRTT) * float64(time.Second)), nil
}

func shortText(field string, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", bad(field, "%s instead of text", kind(v))
	}
	if len(s) > maxText {
		return "", bad(field, "%d bytes, limit %d", len(s), maxText)
	}
	return s, nil
}

func amount(field string, v any) (float64, error) {
	f, ok := v.(float64)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return 0, bad(field, "%s instead of a float that is not negative", describe(v))
	}
	return f, nil
}

func describe(v any) string {
	switch v := v.(type) {
	case int64, uint64, float64, bool:
		return fmt.Sprintf("%v", v)
	}
	return kind(v)
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "nil"
	case bool:
		return "a boolean"
	case int64, uint64:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "text"
	case []byte:
		return "bytes"
	case []any:
		return "a list"
	case msgpack.Tuple:
		return "a tuple"
	case msgpack.Map:
		return "a map"
	}
	return "an extension"
}
