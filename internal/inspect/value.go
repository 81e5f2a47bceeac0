package inspect

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/hypertensor-blockchain/mesh/record/msgpack"
)

// What JSON has no form for is an object with one of these names.
const (
	nameBytes = "$bytes" // {"$bytes": "00ff"}, hex digits
	nameTuple = "$tuple" // {"$tuple": [1, 2]}
	nameFloat = "$float" // {"$float": "NaN"}, also "+Inf" and "-Inf"
	nameExt   = "$ext"   // {"$ext": 5, "$bytes": "00"}
	nameMap   = "$map"   // {"$map": [[key, value], ...]} where a key is not text, or looks like one of these names
)

const maxDepth = 32 // of values: what msgpack reads

var errDepth = fmt.Errorf("nested deeper than %d", maxDepth)

// ToJSON shows a packed value. Bytes, tuples and whatever else JSON has no form for become objects like {"$bytes": "00ff"}, which
// FromJSON reads again.
func ToJSON(packed []byte) (json.RawMessage, error) {
	v, err := msgpack.UnmarshalLimited(packed, msgpack.Limits{AnyKey: true})
	if err != nil {
		return nil, err
	}
	return appendJSON(nil, v)
}

func appendJSON(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		return appendFloat(b, v), nil
	case string:
		return appendText(b, v)
	case []byte:
		return appendHex(append(b, `{"`+nameBytes+`":`...), v, '}'), nil
	case []any:
		return appendList(b, v)
	case msgpack.Tuple:
		if b, err = appendList(append(b, `{"`+nameTuple+`":`...), v); err != nil {
			return nil, err
		}
		return append(b, '}'), nil
	case msgpack.Ext:
		b = strconv.AppendInt(append(b, `{"`+nameExt+`":`...), int64(v.Code), 10)
		return appendHex(append(b, `,"`+nameBytes+`":`...), v.Data, '}'), nil
	case msgpack.Map:
		return appendMap(b, v)
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(strconv.AppendFloat(append(b, `{"`+nameFloat+`":"`...), f, 'g', -1, 64), `"}`...)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...) // stays a float when it is read again
	}
	return b
}

func appendText(b []byte, s string) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...), nil
}

func appendHex(b, data []byte, end byte) []byte {
	b = hex.AppendEncode(append(b, '"'), data)
	return append(b, '"', end)
}

func appendList(b []byte, list []any) ([]byte, error) {
	b = append(b, '[')
	var err error
	for i, x := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendJSON(b, x); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, m msgpack.Map) ([]byte, error) {
	plain := true
	for _, e := range m {
		s, text := e.Key.(string)
		plain = plain && text && !strings.HasPrefix(s, "$")
	}
	var err error
	if plain {
		b = append(b, '{')
	} else {
		b = append(b, `{"`+nameMap+`":[`...)
	}
	for i, e := range m {
		if i > 0 {
			b = append(b, ',')
		}
		sep := byte(':')
		if !plain {
			b, sep = append(b, '['), ','
		}
		if b, err = appendJSON(b, e.Key); err != nil {
			return nil, err
		}
		if b, err = appendJSON(append(b, sep), e.Value); err != nil {
			return nil, err
		}
		if !plain {
			b = append(b, ']')
		}
	}
	if plain {
		return append(b, '}'), nil
	}
	return append(b, `]}`...), nil
}

// FromJSON packs a JSON text, with the objects that ToJSON writes. Objects keep their order; a number with a point or an exponent is a
// float, any other an integer.
func FromJSON(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more than one value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("no JSON value: %w", err)
	}
	packed, err := msgpack.Marshal(v)
	if err != nil {
		return nil, err
	}
	return packed, msgpack.Valid(packed, msgpack.Limits{}) // repeated names, and keys that readers refuse
}

func readJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return readNumber(t.String())
	case json.Delim:
		if t == '[' {
			list := []any{}
			for d.More() {
				v, err := readJSON(d, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		m := msgpack.Map{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			m = append(m, msgpack.Entry{Key: key, Value: v})
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
		return special(m)
	}
	return t, nil // nil, bool or string
}

func readNumber(s string) (any, error) {
	if strings.ContainsAny(s, ".eE") {
		return strconv.ParseFloat(s, 64)
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit into 64 bits; write it with a point to have a float", s)
	}
	return n, nil
}

// special turns the objects of names with $ into what they stand for.
func special(m msgpack.Map) (any, error) {
	if len(m) == 0 {
		return m, nil
	}
	name, ok := m[0].Key.(string)
	if !ok || !strings.HasPrefix(name, "$") {
		return m, nil
	}
	v := m[0].Value
	if name == nameExt && len(m) == 2 && m[1].Key == nameBytes {
		code, isInt := v.(int64)
		data, err := unhex(m[1].Value)
		if !isInt || err != nil || code != int64(int8(code)) || code == msgpack.CodeTuple {
			return nil, errors.New(`an extension is {"$ext": number, "$bytes": "hex"}`)
		}
		return msgpack.Ext{Code: int8(code), Data: data}, nil
	}
	if len(m) != 1 {
		return nil, fmt.Errorf("an object with %q has other names too", name)
	}
	switch name {
	case nameBytes:
		return unhex(v)
	case nameTuple:
		if list, ok := v.([]any); ok {
			return msgpack.Tuple(list), nil
		}
	case nameFloat:
		switch v {
		case "NaN":
			return math.NaN(), nil
		case "+Inf":
			return math.Inf(1), nil
		case "-Inf":
			return math.Inf(-1), nil
		}
	case nameMap:
		return pairs(v)
	}
	return nil, fmt.Errorf("an object with the name %q is not one of those that stand for what JSON lacks", name)
}

func unhex(v any) ([]byte, error) {
	s, ok := v.(string)
	if !ok {
		return nil, errors.New(`bytes are {"$bytes": "hex"}`)
	}
	return hex.DecodeString(s)
}

func pairs(v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("$map is a list of pairs")
	}
	m := make(msgpack.Map, 0, len(list))
	for _, x := range list {
		pair, ok := x.([]any)
		if !ok || len(pair) != 2 {
			return nil, errors.New("$map is a list of pairs")
		}
		m = append(m, msgpack.Entry{Key: pair[0], Value: pair[1]})
	}
	return m, nil
}
