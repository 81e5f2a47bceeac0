package metadata

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// primitive returns the primitive that id is, looking through a Compact, and whether there was one.
func (c *compiler) primitive(id TypeID) (p Primitive, compact bool, err error) {
	t := &c.r.m.Types[id]
	if t.Kind == KindCompact {
		compact = true
		t = &c.r.m.Types[c.r.compactElem(t.Elem)]
	}
	if t.Kind != KindPrimitive {
		return 0, false, errors.New("want a primitive")
	}
	return t.Primitive, compact, nil
}

func (c *compiler) boolean(id TypeID) (*plan, error) {
	if p, compact, err := c.primitive(id); err != nil || compact || p != Bool {
		return nil, errors.New("want bool")
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) { e.Bool(v.Bool()) },
		dec: func(d *scale.Decoder, v reflect.Value) { v.SetBool(d.Bool()) },
	}, nil
}

func (c *compiler) text(id TypeID) (*plan, error) {
	p, compact, err := c.primitive(id)
	isText := err == nil && !compact && p == Str
	if !isText && (!c.r.bytes[id] || c.r.m.Types[id].Kind != KindSequence) {
		return nil, errors.New("want str or Vec<u8>")
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			if isText && !utf8.ValidString(v.String()) {
				e.fail("text is not UTF-8")
			}
			e.Text(v.String())
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			if isText {
				v.SetString(d.Text())
			} else if b := d.BytesView(); d.Charge(len(b), 1) {
				v.SetString(string(b))
			}
		},
	}, nil
}

// unsigned binds an unsigned Go integer to an integer, a compact integer, or an enum without data.
func (c *compiler) unsigned(t reflect.Type, id TypeID) (*plan, error) {
	if x := &c.r.m.Types[id]; x.plain() {
		return &plan{
			enc: func(e *encodeState, v reflect.Value) {
				if n := v.Uint(); n > 255 || x.variant(uint8(n)) == nil {
					e.fail("%s has no variant %d", x.name(), n)
				}
				e.U8(uint8(v.Uint()))
			},
			dec: func(d *scale.Decoder, v reflect.Value) {
				n := d.U8()
				if x.variant(n) == nil {
					d.Fail(scale.ErrMalformed, "unknown variant of "+x.name())
				}
				v.SetUint(uint64(n))
			},
		}, nil
	}
	p, compact, err := c.primitive(id)
	if err != nil || p < U8 || p > U64 || p.width() > int(t.Size()) {
		return nil, errors.New("want an unsigned integer of at most that width")
	}
	limit := uint64(1)<<(8*p.width()) - 1 // for 8 bytes the shift gives 0 and this all ones
	check := func(e *encodeState, v reflect.Value) uint64 {
		if v.Uint() > limit {
			e.fail("%d is above %s", v.Uint(), p)
		}
		return v.Uint()
	}
	if compact {
		return &plan{
			enc: func(e *encodeState, v reflect.Value) { e.Compact(check(e, v)) },
			dec: func(d *scale.Decoder, v reflect.Value) {
				n := d.Compact()
				if n > limit {
					d.Fail(scale.ErrMalformed, "compact integer above its type")
				}
				v.SetUint(n)
			},
		}, nil
	}
	switch p {
	case U8:
		return &plan{
			enc: func(e *encodeState, v reflect.Value) { e.U8(uint8(check(e, v))) },
			dec: func(d *scale.Decoder, v reflect.Value) { v.SetUint(uint64(d.U8())) },
		}, nil
	case U16:
		return &plan{
			enc: func(e *encodeState, v reflect.Value) { e.U16(uint16(check(e, v))) },
			dec: func(d *scale.Decoder, v reflect.Value) { v.SetUint(uint64(d.U16())) },
		}, nil
	case U32:
		return &plan{
			enc: func(e *encodeState, v reflect.Value) { e.U32(uint32(check(e, v))) },
			dec: func(d *scale.Decoder, v reflect.Value) { v.SetUint(uint64(d.U32())) },
		}, nil
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) { e.U64(v.Uint()) },
		dec: func(d *scale.Decoder, v reflect.Value) { v.SetUint(d.U64()) },
	}, nil
}

func (c *compiler) signed(t reflect.Type, id TypeID) (*plan, error) {
	p, compact, err := c.primitive(id)
	if err != nil || compact || p < I8 || p > I64 || p.width() > int(t.Size()) {
		return nil, errors.New("want a signed integer of at most that width")
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) { e.signed(p, v.Int()) },
		dec: func(d *scale.Decoder, v reflect.Value) {
			n, _ := decodePrimitive(d, p).(int64)
			v.SetInt(n)
		},
	}, nil
}

// signed appends a signed integer.
func (e *encodeState) signed(p Primitive, n int64) {
	w := p.width()
	if w < 8 && (n < -1<<(8*w-1) || n > 1<<(8*w-1)-1) {
		e.fail("%d is out of the range of %s", n, p)
	}
	for range w {
		e.U8(uint8(n))
		n >>= 8
	}
}

// wide binds a U128.
func (c *compiler) wide(id TypeID) (*plan, error) {
	p, compact, err := c.primitive(c.r.inner(id))
	if err != nil || p < U8 || p > U128 {
		return nil, errors.New("want an unsigned integer of at most 128 bits")
	}
	if p == U128 && !compact {
		return &plan{
			enc: func(e *encodeState, v reflect.Value) { e.U128(toWide(v)) },
			dec: func(d *scale.Decoder, v reflect.Value) { setWide(v, d.U128()) },
		}, nil
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) { e.unsigned(p, compact, toWide(v)) },
		dec: func(d *scale.Decoder, v reflect.Value) {
			var x any
			if compact {
				x = c.r.decodeCompact(d, c.r.m.Types[c.r.inner(id)].Elem)
			} else {
				x = decodePrimitive(d, p)
			}
			switch x := x.(type) {
			case uint64:
				setWide(v, u128.From64(x))
			case u128.U128:
				setWide(v, x)
			}
		},
	}, nil
}

// unsigned appends an unsigned integer of at most 128 bits.
func (e *encodeState) unsigned(p Primitive, compact bool, x u128.U128) {
	w := p.width()
	if w < 16 && (x.Hi != 0 || w < 8 && x.Lo>>(8*w) != 0) {
		e.fail("%s is above %s", x, p)
	}
	if compact {
		e.CompactU128(x)
		return
	}
	var b [u128.Size]byte
	x.PutLE(b[:])
	e.Raw(b[:w])
}

func toWide(v reflect.Value) u128.U128 {
	return u128.U128{Hi: v.Field(0).Uint(), Lo: v.Field(1).Uint()}
}

func setWide(v reflect.Value, x u128.U128) {
	v.Field(0).SetUint(x.Hi)
	v.Field(1).SetUint(x.Lo)
}

func (c *compiler) slice(t reflect.Type, id TypeID) (*plan, error) {
	x := &c.r.m.Types[id]
	if x.Kind != KindSequence {
		return nil, errors.New("want a Vec")
	}
	if t.Elem().Kind() == reflect.Uint8 && c.r.bytes[id] {
		return &plan{
			enc: func(e *encodeState, v reflect.Value) { e.Bytes(v.Bytes()) },
			dec: func(d *scale.Decoder, v reflect.Value) { v.SetBytes(d.Bytes()) },
		}, nil
	}
	elem, err := c.plan(t.Elem(), x.Elem)
	if err != nil {
		return nil, err
	}
	size := int(t.Elem().Size())
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			e.Len(v.Len())
			for i := range v.Len() {
				elem.enc(e, v.Index(i))
			}
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			n := d.Len(c.r.least[x.Elem])
			if n == 0 || !d.Charge(n, size) || !d.Enter() {
				return
			}
			v.Set(reflect.MakeSlice(t, n, n))
			for i := 0; i < n && d.Err() == nil; i++ {
				elem.dec(d, v.Index(i))
			}
			d.Leave()
		},
		unfit: elem.unfit,
	}, nil
}

func (c *compiler) array(t reflect.Type, id TypeID) (*plan, error) {
	x := &c.r.m.Types[id]
	if x.Kind != KindArray || int(x.Len) != t.Len() {
		return nil, fmt.Errorf("want an array of %d", t.Len())
	}
	if t.Elem().Kind() == reflect.Uint8 && c.r.bytes[id] {
		return &plan{
			enc: func(e *encodeState, v reflect.Value) {
				if v.CanAddr() {
					e.Raw(v.Bytes())
					return
				}
				for i := range v.Len() {
					e.U8(uint8(v.Index(i).Uint()))
				}
			},
			dec: func(d *scale.Decoder, v reflect.Value) { copy(v.Bytes(), d.View(v.Len())) },
		}, nil
	}
	elem, err := c.plan(t.Elem(), x.Elem)
	if err != nil {
		return nil, err
	}
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			for i := range v.Len() {
				elem.enc(e, v.Index(i))
			}
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			for i := 0; i < v.Len() && d.Err() == nil; i++ {
				elem.dec(d, v.Index(i))
			}
		},
		unfit: elem.unfit,
	}, nil
}

// mapping binds a Go map to a sequence of pairs.
func (c *compiler) mapping(t reflect.Type, id TypeID) (*plan, error) {
	x := &c.r.m.Types[id]
	if x.Kind != KindSequence {
		return nil, errors.New("want a BTreeMap")
	}
	pair := &c.r.m.Types[x.Elem]
	if pair.Kind != KindTuple || len(pair.Tuple) != 2 {
		return nil, errors.New("want a BTreeMap")
	}
	key, err := c.plan(t.Key(), pair.Tuple[0])
	if err != nil {
		return nil, err
	}
	value, err := c.plan(t.Elem(), pair.Tuple[1])
	if err != nil {
		return nil, err
	}
	if err := ordered(t.Key()); err != nil {
		return nil, err
	}
	size := int(t.Key().Size()+t.Elem().Size()) + 16
	return &plan{
		enc: func(e *encodeState, v reflect.Value) {
			e.Len(v.Len())
			keys := v.MapKeys()
			slices.SortFunc(keys, compareKeys)
			for _, k := range keys {
				key.enc(e, k)
				value.enc(e, v.MapIndex(k))
			}
		},
		dec: func(d *scale.Decoder, v reflect.Value) {
			n := d.Len(c.r.least[x.Elem])
			if n == 0 || !d.Charge(n, size) || !d.Enter() {
				return
			}
			v.Set(reflect.MakeMapWithSize(t, n))
			for i := 0; i < n && d.Err() == nil; i++ {
				k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				key.dec(d, k)
				value.dec(d, e)
				v.SetMapIndex(k, e)
			}
			d.Leave()
		},
		unfit: errors.Join(key.unfit, value.unfit),
	}, nil
}

// ordered checks that keys of the type can be brought into the runtime's order.
func ordered(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.String:
		return nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
	}
	return errors.New("map keys must be unsigned integers, strings or byte arrays")
}

func compareKeys(a, b reflect.Value) int {
	switch a.Kind() {
	case reflect.String:
		return strings.Compare(a.String(), b.String())
	case reflect.Array:
		return bytes.Compare(arrayBytes(a), arrayBytes(b))
	}
	return cmp.Compare(a.Uint(), b.Uint())
}

func arrayBytes(v reflect.Value) []byte {
	b := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(b), v)
	return b
}
