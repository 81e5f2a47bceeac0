package wire

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// IDSize is the length in bytes of a node ID and of a key.
const IDSize = 20

// Bits of FindRequest.Want.
const (
	WantAddrs   uint64 = 1 << iota // the addresses of the nearest peers
	WantPages                      // a cursor for a dictionary that does not fit
	WantNearest                    // the nearest peers only, no values
)

// ErrMalformed is wrapped by every decoding error: the bytes are no valid message, or go beyond a limit.
var ErrMalformed = errors.New("malformed DHT message")

// ErrLimit is wrapped, together with ErrMalformed, when a message goes beyond a limit of this node.
var ErrLimit = errors.New("beyond a limit")

// Limits bound what a decoder accepts. Zero fields take the defaults of DefaultLimits.
type Limits struct {
	Keys    int // keys or records per request, results per response
	Nearest int // nearest peers per result
	Subkey  int // bytes of a subkey
	Value   int // bytes of a value; for the dictionary form: of the whole dictionary
	PeerID  int // bytes of a peer ID
	Addrs   int // bytes of the addresses of one peer
}

// DefaultLimits are generous for honest peers: the frame limit of 4 MiB binds first in most cases.
func DefaultLimits() Limits {
	return Limits{
		Keys:    1024,    // the original sends at most 16 per find, but a hand-over is one call for everything
		Nearest: 256,     // 20 in practice; the largest bucket the original's tests use is 50
		Subkey:  4 << 10, // an RSA owner's subkey has about 500 bytes
		Value:   4 << 20, // the frame limit; records have their own, lower limit
		PeerID:  64,      // 34 for sha2-256, 38 for Ed25519
		Addrs:   1 << 10, // about 20 addresses
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, p := range []struct{ have, def *int }{
		{&l.Keys, &d.Keys}, {&l.Nearest, &d.Nearest}, {&l.Subkey, &d.Subkey},
		{&l.Value, &d.Value}, {&l.PeerID, &d.PeerID}, {&l.Addrs, &d.Addrs},
	} {
		if *p.have <= 0 {
			*p.have = *p.def
		}
	}
	return l
}

// NodeInfo says who speaks. An empty ID means client mode: do not add me to your table.
type NodeInfo struct {
	ID []byte // empty or IDSize bytes
}

// field is one decoded protobuf field. data is set for the bytes type, num for the fixed and varint types.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	data []byte
	bits uint64
}

// next consumes one field of b.
func next(b []byte) (field, []byte, error) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return field{}, nil, malformed("tag: %v", protowire.ParseError(n))
	}
	b = b[n:]
	f := field{num: num, typ: typ}
	switch typ {
	case protowire.BytesType:
		f.data, n = protowire.ConsumeBytes(b)
	case protowire.VarintType:
		f.bits, n = protowire.ConsumeVarint(b)
	case protowire.Fixed64Type:
		f.bits, n = protowire.ConsumeFixed64(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		f.bits = uint64(v)
	case protowire.StartGroupType, protowire.EndGroupType:
		return field{}, nil, malformed("field %d: groups are not supported", num)
	default:
		return field{}, nil, malformed("field %d: unknown wire type %d", num, typ)
	}
	if n < 0 {
		return field{}, nil, malformed("field %d: %v", num, protowire.ParseError(n))
	}
	return f, b[n:], nil
}

// walk calls visit for every field of b.
func walk(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		f, rest, err := next(b)
		if err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

func beyond(what string, have, limit int) error {
	return fmt.Errorf("%w: %w: %s %d, limit %d", ErrMalformed, ErrLimit, what, have, limit)
}

// bytesOf returns the content of a bytes field of at most limit bytes.
func (f field) bytesOf(what string, limit int) ([]byte, error) {
	if f.typ != protowire.BytesType {
		return nil, malformed("%s: wire type %d", what, f.typ)
	}
	if len(f.data) > limit {
		return nil, beyond(what+" bytes", len(f.data), limit)
	}
	return f.data, nil
}

func (f field) keyOf(what string) ([]byte, error) {
	if f.typ != protowire.BytesType || len(f.data) != IDSize {
		return nil, malformed("%s: want %d bytes", what, IDSize)
	}
	return f.data, nil
}

func (f field) boolOf(what string) (bool, error) {
	if f.typ != protowire.VarintType {
		return false, malformed("%s: wire type %d", what, f.typ)
	}
	return f.bits != 0, nil
}

func (f field) doubleOf(what string) (float64, error) {
	if f.typ != protowire.Fixed64Type {
		return 0, malformed("%s: wire type %d", what, f.typ)
	}
	return math.Float64frombits(f.bits), nil
}

// doubles appends a packed or a single double to dst, up to limit elements.
func (f field) doubles(dst []float64, what string, limit int) ([]float64, error) {
	switch f.typ {
	case protowire.Fixed64Type:
		if len(dst) >= limit {
			return nil, beyond(what, len(dst)+1, limit)
		}
		return append(dst, math.Float64frombits(f.bits)), nil
	case protowire.BytesType:
		if len(f.data)%8 != 0 {
			return nil, malformed("%s: packed length %d", what, len(f.data))
		}
		if n := len(dst) + len(f.data)/8; n > limit {
			return nil, beyond(what, n, limit)
		}
		for b := f.data; len(b) > 0; b = b[8:] {
			v, _ := protowire.ConsumeFixed64(b)
			dst = append(dst, math.Float64frombits(v))
		}
		return dst, nil
	case protowire.VarintType, protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType:
	}
	return nil, malformed("%s: wire type %d", what, f.typ)
}

// varints appends a packed or a single varint to dst, up to limit elements.
func varints[T any](f field, dst []T, conv func(uint64) T, what string, limit int) ([]T, error) {
	switch f.typ {
	case protowire.VarintType:
		if len(dst) >= limit {
			return nil, beyond(what, len(dst)+1, limit)
		}
		return append(dst, conv(f.bits)), nil
	case protowire.BytesType:
		for b := f.data; len(b) > 0; {
			if len(dst) >= limit {
				return nil, beyond(what, len(dst)+1, limit)
			}
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return nil, malformed("%s: %v", what, protowire.ParseError(n))
			}
			dst, b = append(dst, conv(v)), b[n:]
		}
		return dst, nil
	case protowire.Fixed64Type, protowire.Fixed32Type, protowire.StartGroupType, protowire.EndGroupType:
	}
	return nil, malformed("%s: wire type %d", what, f.typ)
}

func toBool(v uint64) bool { return v != 0 }

// nodeInfo decodes an embedded NodeInfo.
func (f field) nodeInfo() (NodeInfo, error) {
	var info NodeInfo
	if f.typ != protowire.BytesType {
		return info, malformed("peer: wire type %d", f.typ)
	}
	err := walk(f.data, func(g field) error {
		if g.num != 1 {
			return nil
		}
		if g.typ != protowire.BytesType || (len(g.data) != 0 && len(g.data) != IDSize) {
			return malformed("node_id: want none or %d bytes", IDSize)
		}
		info.ID = g.data
		return nil
	})
	return info, err
}

func appendNodeInfo(dst []byte, num protowire.Number, info NodeInfo) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	if len(info.ID) == 0 {
		return append(dst, 0)
	}
	dst = protowire.AppendVarint(dst, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(info.ID))))
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	return protowire.AppendBytes(dst, info.ID)
}

func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}

func appendBool(dst []byte, num protowire.Number, v bool) []byte {
	if !v {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return append(dst, 1)
}

// appendDouble follows proto3: +0 is omitted, -0 is not.
func appendDouble(dst []byte, num protowire.Number, v float64) []byte {
	bits := math.Float64bits(v)
	if bits == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(dst, bits)
}

func appendDoubles(dst []byte, num protowire.Number, vs []float64) []byte {
	if len(vs) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(8*len(vs)))
	for _, v := range vs {
		dst = protowire.AppendFixed64(dst, math.Float64bits(v))
	}
	return dst
}

func appendBools(dst []byte, num protowire.Number, vs []bool) []byte {
	if len(vs) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(len(vs)))
	for _, v := range vs {
		dst = append(dst, byte(protowire.EncodeBool(v)))
	}
	return dst
}
