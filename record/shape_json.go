package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// ParseShape reads a JSON Schema. It knows this part of the language:
//
//	type                       one or several of null, boolean, integer, float, number, string, bytes, array,
//	                           tuple, object; number is integer or float
//	enum, const                values as JSON; numbers with a point are floats, {"bytes": "BASE64"} are bytes
//	minimum, maximum, exclusiveMinimum, exclusiveMaximum
//	minLength, maxLength, pattern, minItems, maxItems, minProperties, maxProperties
//	items (a schema or false), prefixItems, properties, required, additionalProperties (a schema or a boolean)
//	anyOf, allOf
//	owner                      true: text or bytes that contain the marker of an owner
//
// and passes over $schema, $id, $comment, title, description, default and examples. Any other keyword is an error:
// a rule that is not understood must not be dropped. Lengths bound whatever the value is: characters of text, bytes,
// items or properties. float, bytes, tuple and owner are ours, since records have
// these types. Nothing is converted: 1 is an integer and no float, 1.0 a float and no integer. true is a schema
// that everything has.
func ParseShape(text []byte) (*Shape, error) {
	s, err := parseShape(text, 0)
	if err != nil {
		return nil, fmt.Errorf("record: shape: %w", err)
	}
	return s, nil
}

// keyword sets one rule of a shape from its JSON value.
type keyword func(s *Shape, v json.RawMessage, depth int) error

func keywords() map[string]keyword {
	skip := func(*Shape, json.RawMessage, int) error { return nil }
	return map[string]keyword{
		"$schema": skip, "$id": skip, "$comment": skip, "title": skip, "description": skip, "default": skip, "examples": skip,
		"type":                 setTypes,
		"enum":                 func(s *Shape, v json.RawMessage, _ int) error { return setEnum(s, v) },
		"const":                func(s *Shape, v json.RawMessage, _ int) error { return setConst(s, v) },
		"minimum":              func(s *Shape, v json.RawMessage, _ int) error { return setLow(s, v, false) },
		"exclusiveMinimum":     func(s *Shape, v json.RawMessage, _ int) error { return setLow(s, v, true) },
		"maximum":              func(s *Shape, v json.RawMessage, _ int) error { return setHigh(s, v, false) },
		"exclusiveMaximum":     func(s *Shape, v json.RawMessage, _ int) error { return setHigh(s, v, true) },
		"minLength":            setShortest,
		"minItems":             setShortest,
		"minProperties":        setShortest,
		"maxLength":            setLongest,
		"maxItems":             setLongest,
		"maxProperties":        setLongest,
		"pattern":              setPattern,
		"owner":                func(s *Shape, v json.RawMessage, _ int) error { return json.Unmarshal(v, &s.owner) },
		"items":                setItems,
		"prefixItems":          func(s *Shape, v json.RawMessage, d int) (err error) { s.prefix, err = parseShapes(v, d); return err },
		"properties":           setProperties,
		"required":             func(s *Shape, v json.RawMessage, _ int) error { return json.Unmarshal(v, &s.required) },
		"additionalProperties": setAdditional,
		"anyOf":                func(s *Shape, v json.RawMessage, d int) (err error) { s.anyOf, err = parseShapes(v, d); return err },
		"allOf":                func(s *Shape, v json.RawMessage, d int) (err error) { s.allOf, err = parseShapes(v, d); return err },
	}
}

func parseShape(text []byte, depth int) (*Shape, error) {
	if depth > maxShapeDepth {
		return nil, errors.New("nested too deep")
	}
	s := newShape()
	var anything bool
	if json.Unmarshal(text, &anything) == nil {
		if !anything {
			s.kinds = 0
		}
		return s, nil
	}
	var rules map[string]json.RawMessage
	if err := json.Unmarshal(text, &rules); err != nil {
		return nil, err
	}
	known := keywords()
	for name, v := range rules {
		set, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("unknown keyword %q", name)
		}
		if err := set(s, v, depth+1); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, s.checkLengths(rules)
}

// checkLengths refuses two length rules of which only one could be kept.
func (s *Shape) checkLengths(rules map[string]json.RawMessage) error {
	for _, bound := range []string{"min", "max"} {
		n := 0
		for _, of := range []string{"Length", "Items", "Properties"} {
			if _, ok := rules[bound+of]; ok {
				n++
			}
		}
		if n > 1 {
			return fmt.Errorf("several of %sLength, %sItems, %sProperties: use anyOf", bound, bound, bound)
		}
	}
	for _, pair := range [][2]string{{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}, {"enum", "const"}} {
		if rules[pair[0]] != nil && rules[pair[1]] != nil {
			return fmt.Errorf("%s and %s: use one", pair[0], pair[1])
		}
	}
	return nil
}

func parseShapes(v json.RawMessage, depth int) ([]*Shape, error) {
	var texts []json.RawMessage
	if err := json.Unmarshal(v, &texts); err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, errors.New("empty list")
	}
	shapes := make([]*Shape, len(texts))
	for i, text := range texts {
		s, err := parseShape(text, depth)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		shapes[i] = s
	}
	return shapes, nil
}

func setTypes(s *Shape, v json.RawMessage, _ int) error {
	var names []string
	if err := json.Unmarshal(v, &names); err != nil {
		var name string
		if err := json.Unmarshal(v, &name); err != nil {
			return err
		}
		names = []string{name}
	}
	s.kinds = 0
	for _, name := range names {
		k, err := kindNamed(name)
		if err != nil {
			return err
		}
		s.kinds |= k
	}
	return nil
}

func kindNamed(name string) (valueKind, error) {
	if name == "number" {
		return kindInt | kindFloat, nil
	}
	for i, known := range kindNames {
		if name == known && 1<<i != kindExt {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", name)
}

func setLow(s *Shape, v json.RawMessage, exclusive bool) error {
	s.exclusiveLow = exclusive
	return json.Unmarshal(v, &s.minimum)
}

func setHigh(s *Shape, v json.RawMessage, exclusive bool) error {
	s.exclusiveHigh = exclusive
	return json.Unmarshal(v, &s.maximum)
}

func length(v json.RawMessage) (int, error) {
	var n int
	if err := json.Unmarshal(v, &n); err != nil {
		return 0, err
	}
	if n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%d is no length", n)
	}
	return n, nil
}

func setShortest(s *Shape, v json.RawMessage, _ int) (err error) {
	s.minLength, err = length(v)
	return err
}

func setLongest(s *Shape, v json.RawMessage, _ int) (err error) {
	s.maxLength, err = length(v)
	return err
}

func setPattern(s *Shape, v json.RawMessage, _ int) error {
	var text string
	if err := json.Unmarshal(v, &text); err != nil {
		return err
	}
	var err error
	s.pattern, err = regexp.Compile(text)
	return err
}

func setItems(s *Shape, v json.RawMessage, depth int) error {
	if string(bytes.TrimSpace(v)) == "false" {
		s.onlyPrefix = true
		return nil
	}
	var err error
	s.items, err = parseShape(v, depth)
	return err
}

func setProperties(s *Shape, v json.RawMessage, depth int) error {
	var texts map[string]json.RawMessage
	if err := json.Unmarshal(v, &texts); err != nil {
		return err
	}
	s.properties = make(map[string]*Shape, len(texts))
	for name, text := range texts {
		shape, err := parseShape(text, depth)
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		s.properties[name] = shape
	}
	return nil
}

func setAdditional(s *Shape, v json.RawMessage, depth int) error {
	if string(bytes.TrimSpace(v)) == "false" {
		s.closed = true
		return nil
	}
	var err error
	s.additional, err = parseShape(v, depth)
	return err
}

func setEnum(s *Shape, v json.RawMessage) error {
	var values []json.RawMessage
	if err := json.Unmarshal(v, &values); err != nil {
		return err
	}
	if len(values) == 0 {
		return errors.New("empty list")
	}
	for _, value := range values {
		if err := setConst(s, value); err != nil {
			return err
		}
	}
	return nil
}

func setConst(s *Shape, v json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(v))
	d.UseNumber()
	var decoded any
	if err := d.Decode(&decoded); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	value, err := fromJSON(decoded)
	if err != nil {
		return err
	}
	packed, err := msgpack.Marshal(value)
	if err != nil {
		return err
	}
	s.enum = append(s.enum, packed)
	return nil
}

// fromJSON turns a JSON value into what a record would hold.
func fromJSON(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return v.Float64()
		}
		return v.Int64()
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			var err error
			if list[i], err = fromJSON(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		if text, ok := v["bytes"].(string); ok && len(v) == 1 {
			return base64.StdEncoding.DecodeString(text)
		}
		return nil, errors.New("objects cannot be listed")
	}
	return v, nil
}
