package record

import (
	"fmt"
	"reflect"
	"regexp"
	"unicode/utf8"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// Shape is the type of a value: what a JSON Schema or a Go type says. See ParseShape and ShapeOf. A nil Shape
// matches everything. Shapes are immutable.
type Shape struct {
	kinds valueKind

	minimum, maximum     *float64
	exclusiveLow         bool
	exclusiveHigh        bool
	signed               bool // integers must fit int64, which float limits cannot say
	minLength, maxLength int  // of text in characters, of bytes, items or properties; maxLength -1 is none
	pattern              *regexp.Regexp
	owner                bool // text or bytes that contain one readable owner marker

	items      *Shape   // of every item after the prefix
	prefix     []*Shape // of the first items
	onlyPrefix bool     // no items after the prefix

	properties map[string]*Shape
	required   []string
	additional *Shape // of other properties
	closed     bool   // no other properties

	enum  [][]byte // packed values of which the value must be one
	anyOf []*Shape
	allOf []*Shape
}

func newShape() *Shape { return &Shape{kinds: kindAny, maxLength: -1} }

// Match returns nil if a decoded value has the shape, or an error that says where it has not.
func (s *Shape) Match(v any) error {
	if s == nil {
		return nil
	}
	if k := kindOf(v); k&s.kinds == 0 {
		return mismatch("%s instead of %s", k, s.kinds)
	}
	if err := s.matchContent(v); err != nil {
		return err
	}
	if s.enum != nil && !s.listed(v) {
		return mismatch("not one of the %d values listed", len(s.enum))
	}
	for _, all := range s.allOf {
		if err := all.Match(v); err != nil {
			return err
		}
	}
	return s.matchOne(v)
}

func (s *Shape) matchOne(v any) error {
	if len(s.anyOf) == 0 {
		return nil
	}
	var last error
	for _, one := range s.anyOf {
		if last = one.Match(v); last == nil {
			return nil
		}
	}
	return mismatch("none of %d alternatives; the last: %v", len(s.anyOf), last)
}

// MatchPacked decodes a value and matches it.
func (s *Shape) MatchPacked(packed []byte) error {
	v, err := msgpack.Unmarshal(packed)
	if err != nil {
		return err
	}
	return s.Match(v)
}

func (s *Shape) matchContent(v any) error {
	switch v := v.(type) {
	case int64, uint64, float64:
		return s.matchNumber(v)
	case string:
		if err := s.matchLength(utf8.RuneCountInString(v)); err != nil {
			return err
		}
		return s.matchText([]byte(v))
	case []byte:
		if err := s.matchLength(len(v)); err != nil {
			return err
		}
		return s.matchText(v)
	case []any:
		return s.matchItems(v)
	case msgpack.Tuple:
		return s.matchItems(v)
	case msgpack.Map:
		return s.matchMap(v)
	}
	return nil
}

func (s *Shape) matchNumber(v any) error {
	n, ok := numeric(v)
	if _, big := v.(uint64); big && s.signed {
		return mismatch("%v is too large", v)
	}
	limited := s.minimum != nil || s.maximum != nil
	switch {
	case !limited:
		return nil
	case !ok:
		return mismatch("%v has no place between limits", v)
	case s.minimum != nil && (n < *s.minimum || s.exclusiveLow && n == *s.minimum):
		return mismatch("%v is too small", v)
	case s.maximum != nil && (n > *s.maximum || s.exclusiveHigh && n == *s.maximum):
		return mismatch("%v is too large", v)
	}
	return nil
}

func (s *Shape) matchLength(n int) error {
	if n < s.minLength {
		return mismatch("length %d, at least %d", n, s.minLength)
	}
	if s.maxLength >= 0 && n > s.maxLength {
		return mismatch("length %d, at most %d", n, s.maxLength)
	}
	return nil
}

func (s *Shape) matchText(v []byte) error {
	if s.pattern != nil && !s.pattern.Match(v) {
		return mismatch("does not match %q", s.pattern)
	}
	if s.owner {
		if owner, err := OwnerOf(v); err != nil || owner == nil {
			return mismatch("names no owner")
		}
	}
	return nil
}

func (s *Shape) matchItems(list []any) error {
	if err := s.matchLength(len(list)); err != nil {
		return err
	}
	if s.onlyPrefix && len(list) > len(s.prefix) {
		return mismatch("%d items, at most %d", len(list), len(s.prefix))
	}
	for i, item := range list {
		shape := s.items
		if i < len(s.prefix) {
			shape = s.prefix[i]
		}
		if err := shape.Match(item); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	return nil
}

func (s *Shape) matchMap(m msgpack.Map) error {
	if err := s.matchLength(len(m)); err != nil {
		return err
	}
	for _, name := range s.required {
		if _, ok := m.Get(name); !ok {
			return mismatch("%q is missing", name)
		}
	}
	if s.properties == nil && s.additional == nil && !s.closed {
		return nil
	}
	for _, e := range m {
		name, ok := e.Key.(string)
		if !ok {
			return mismatch("a name is %s", kindOf(e.Key))
		}
		shape, known := s.properties[name]
		if !known {
			if s.closed {
				return mismatch("unknown name %q", name)
			}
			shape = s.additional
		}
		if err := shape.Match(e.Value); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

func (s *Shape) listed(v any) bool {
	packed, err := msgpack.Marshal(v)
	if err != nil {
		return false
	}
	for _, one := range s.enum {
		if string(one) == string(packed) {
			return true
		}
	}
	return false
}

// Anything returns a shape that every value has.
func Anything() *Shape { return newShape() }

// OwnerName returns the shape of subkeys that name their owner: text or bytes with an owner marker in it.
func OwnerName() *Shape {
	s := newShape()
	s.kinds, s.owner = kindText|kindBytes, true
	return s
}

// AnyOf returns the shape of values that have at least one of the given shapes.
func AnyOf(shapes ...*Shape) *Shape {
	s := newShape()
	s.anyOf = shapes
	return s
}

// ShapeOf returns the shape of a Go type:
//
//	bool, string, []byte, float64        exactly that
//	integers                             an integer in the type's range
//	[]T, [N]T                            a list of any or of N items
//	map[string]T                         a map
//	struct                               a map with the fields' names, all required, no others; names come from
//	                                     `msgpack:"name"` or the Go name, ",omitempty" makes one optional, "-"
//	                                     leaves it out
//	*T                                   T or null
//	msgpack.Tuple, msgpack.Map, any      any tuple, any map, anything
//
// float32 counts as float64. Other types, and types that contain themselves, are errors.
func ShapeOf[T any]() (*Shape, error) {
	s, err := shapeOfType(reflect.TypeFor[T](), 0)
	if err != nil {
		return nil, fmt.Errorf("record: shape: %w", err)
	}
	return s, nil
}
