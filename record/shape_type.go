package record

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

const maxShapeDepth = 32 // as deep as values may nest

// shapeOfType builds the shape of a Go type.
func shapeOfType(t reflect.Type, depth int) (*Shape, error) {
	if depth > maxShapeDepth {
		return nil, fmt.Errorf("%s contains itself or nests too deep", t)
	}
	s := newShape()
	switch t {
	case reflect.TypeFor[msgpack.Tuple]():
		s.kinds = kindTuple
		return s, nil
	case reflect.TypeFor[msgpack.Map]():
		s.kinds = kindMap
		return s, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		s.kinds = kindBool
	case reflect.String:
		s.kinds = kindText
	case reflect.Float32, reflect.Float64:
		s.kinds = kindFloat
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.kinds, s.signed = kindInt, true
		bits := t.Bits()
		s.between(-math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)-1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kinds = kindInt
		s.between(0, math.Ldexp(1, t.Bits())-1)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return nil, fmt.Errorf("%s has no shape", t)
		}
	case reflect.Slice, reflect.Array:
		return shapeOfList(s, t, depth)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%s: keys are not text", t)
		}
		elem, err := shapeOfType(t.Elem(), depth+1)
		s.kinds, s.additional = kindMap, elem
		return s, err
	case reflect.Struct:
		return shapeOfStruct(s, t, depth)
	case reflect.Pointer:
		elem, err := shapeOfType(t.Elem(), depth+1)
		if err != nil {
			return nil, err
		}
		null := newShape()
		null.kinds = kindNil
		s.anyOf = []*Shape{elem, null}
	default:
		return nil, fmt.Errorf("%s has no shape", t)
	}
	return s, nil
}

func (s *Shape) between(low, high float64) { s.minimum, s.maximum = &low, &high }

func shapeOfList(s *Shape, t reflect.Type, depth int) (*Shape, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		s.kinds = kindBytes
	} else {
		elem, err := shapeOfType(t.Elem(), depth+1)
		if err != nil {
			return nil, err
		}
		s.kinds, s.items = kindList, elem
	}
	if t.Kind() == reflect.Array {
		s.minLength, s.maxLength = t.Len(), t.Len()
	}
	return s, nil
}

func shapeOfStruct(s *Shape, t reflect.Type, depth int) (*Shape, error) {
	s.kinds, s.closed = kindMap, true
	s.properties = make(map[string]*Shape, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		shape, err := shapeOfType(f.Type, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if _, again := s.properties[name]; again {
			return nil, fmt.Errorf("%s: two fields named %q", t, name)
		}
		s.properties[name] = shape
		if options != "omitempty" {
			s.required = append(s.required, name)
		}
	}
	return s, nil
}
