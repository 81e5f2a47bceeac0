package record

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// epochMark in a field's name stands for the number of an epoch.
const epochMark = "{epoch}"

// Field describes the records under one key of an application.
type Field struct {
	// Name is the application's key, a text. "{epoch}" in it stands for the current epoch and the ones before
	// it, as in "commit_epoch_{epoch}".
	Name string
	// Subkey is the shape of subkeys. nil: the key has none and holds one regular value. Otherwise regular
	// values are refused, also a whole map written as one.
	Subkey *Shape
	// Value is the shape of the value, of each subkey if there are any. nil: any value.
	Value *Shape
}

// SchemaConfig describes the keys of an application.
type SchemaConfig struct {
	Fields []Field
	// AllowExtra admits keys that are not in Fields.
	AllowExtra bool
	// Prefix is put before every name, with an underscore, so that two applications can use the same names.
	Prefix string
	// Epochs is how many epochs before the current one "{epoch}" also matches. Default 5.
	Epochs uint32
}

const defaultEpochs = 5 // Python nodes keep as many

// Schema checks types: integers, floats, text, bytes and so on are never converted into each other, and what a shape
// does not mention is refused. Several schemas in one chain are merged into one: a record is admitted if any of them
// admits it, and extra keys are if any allows them.
type Schema struct {
	fixed      map[Key][]Field
	numbered   []numberedField
	allowExtra bool

	mu    sync.Mutex
	epoch map[Key][]Field // numbered fields around the epoch at
	at    uint32
}

type numberedField struct {
	Field
	epochs uint32
}

// NewSchema returns a Schema. It fails for a field without name.
func NewSchema(config SchemaConfig) (*Schema, error) {
	if config.Epochs == 0 {
		config.Epochs = defaultEpochs
	}
	s := &Schema{fixed: make(map[Key][]Field), allowExtra: config.AllowExtra}
	for _, f := range config.Fields {
		if f.Name == "" {
			return nil, errors.New("record: schema: field without name")
		}
		if config.Prefix != "" {
			f.Name = config.Prefix + "_" + f.Name
		}
		if strings.Contains(f.Name, epochMark) {
			s.numbered = append(s.numbered, numberedField{Field: f, epochs: config.Epochs})
			continue
		}
		key := KeyOfText(f.Name)
		s.fixed[key] = append(s.fixed[key], f)
	}
	return s, nil
}

// Priority returns PrioritySchema.
func (*Schema) Priority() int { return PrioritySchema }

// Strip returns the value unchanged.
func (*Schema) Strip(r Record) []byte { return r.Value }

// Sign refuses what other nodes with this schema would refuse, as far as that does not depend on the epoch.
func (s *Schema) Sign(r Record) ([]byte, error) {
	if fields := s.fixed[r.Key]; len(fields) > 0 {
		return r.Value, matchAny(fields, r, Request{})
	}
	return r.Value, nil
}

// Validate decodes subkey and value and compares them with the shapes of the key.
func (s *Schema) Validate(r Record, q Request) error {
	fields := s.fields(r.Key, q.Phase)
	if len(fields) == 0 {
		if s.allowExtra {
			return nil
		}
		return fault(q.blame(r), CodeSchema, "no such key")
	}
	return matchAny(fields, r, q)
}

// fields returns the fields of a key in the current epoch.
func (s *Schema) fields(key Key, phase Phase) []Field {
	fields := s.fixed[key]
	if len(s.numbered) == 0 || !phase.Known {
		return fields
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == nil || s.at != phase.Epoch {
		s.epoch, s.at = s.number(phase.Epoch), phase.Epoch
	}
	if more := s.epoch[key]; len(more) > 0 {
		return slices.Concat(fields, more)
	}
	return fields
}

func (s *Schema) number(current uint32) map[Key][]Field {
	keys := make(map[Key][]Field)
	for _, f := range s.numbered {
		for back := uint32(0); back <= f.epochs && back <= current; back++ {
			key := KeyOfText(strings.ReplaceAll(f.Name, epochMark, strconv.FormatUint(uint64(current-back), 10)))
			keys[key] = append(keys[key], f.Field)
		}
	}
	return keys
}

// matchAny admits r if one of the fields does.
func matchAny(fields []Field, r Record, q Request) error {
	value, err := msgpack.Unmarshal(r.Value)
	if err != nil {
		return &Fault{Side: q.blame(r), Code: CodeMalformed, Reason: "value", Err: err}
	}
	subkey, err := ParseSubkey(r.Subkey)
	if err != nil {
		return &Fault{Side: q.blame(r), Code: CodeMalformed, Reason: "subkey", Err: err}
	}
	var reasons []error
	for _, f := range fields {
		err := f.match(r, subkey, value)
		if err == nil {
			return nil
		}
		reasons = append(reasons, err)
	}
	return &Fault{Side: q.blame(r), Code: CodeSchema, Reason: "key " + fields[0].Name, Err: errors.Join(reasons...)}
}

func (f Field) match(r Record, subkey, value any) error {
	switch {
	case f.Subkey == nil && !r.Regular():
		return errors.New("the key has no subkeys")
	case f.Subkey != nil && r.Regular():
		return errors.New("the key has subkeys only")
	}
	if err := f.Subkey.Match(subkey); err != nil {
		return fmt.Errorf("subkey: %w", err)
	}
	if err := f.Value.Match(value); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	return nil
}

// Merge returns a schema that admits what either admits: fields of both, extra keys if one allows them.
func (s *Schema) Merge(other Validator) (Validator, bool) {
	o, ok := other.(*Schema)
	if !ok {
		return nil, false
	}
	merged := &Schema{
		fixed:      make(map[Key][]Field, len(s.fixed)+len(o.fixed)),
		numbered:   slices.Concat(s.numbered, o.numbered),
		allowExtra: s.allowExtra || o.allowExtra,
	}
	for key, fields := range s.fixed {
		merged.fixed[key] = slices.Clone(fields)
	}
	for key, fields := range o.fixed {
		merged.fixed[key] = append(merged.fixed[key], fields...)
	}
	return merged, true
}

// kinds of values a shape can ask for.
type valueKind uint16

const (
	kindNil valueKind = 1 << iota
	kindBool
	kindInt
	kindFloat
	kindText
	kindBytes
	kindList
	kindTuple
	kindMap
	kindExt
	kindAny = 1<<iota - 1
)

var errShape = errors.New("does not have the shape")

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errShape, fmt.Sprintf(format, args...))
}

func kindOf(v any) valueKind {
	switch v.(type) {
	case nil:
		return kindNil
	case bool:
		return kindBool
	case int64, uint64:
		return kindInt
	case float64:
		return kindFloat
	case string:
		return kindText
	case []byte:
		return kindBytes
	case []any:
		return kindList
	case msgpack.Tuple:
		return kindTuple
	case msgpack.Map:
		return kindMap
	}
	return kindExt
}

var kindNames = [...]string{"null", "boolean", "integer", "float", "string", "bytes", "array", "tuple", "object", "extension"}

func (k valueKind) String() string {
	if k == kindAny {
		return "anything"
	}
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// numeric returns a number as a float for comparing with limits; big integers lose precision there, which limits
// written as JSON numbers have lost as well.
func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v)
	}
	return 0, false
}
