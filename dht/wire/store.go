package wire

import "google.golang.org/protobuf/encoding/protowire"

// Code says what became of one record of a store request. The zero value comes from peers that send no codes.
type Code uint32

// The codes. Values are part of the wire format.
const (
	CodeNone      Code = iota // not said
	CodeStored                // accepted
	CodeOlder                 // a newer version is held already
	CodeExpired               // expired on arrival
	CodeInvalid               // a validator refused it
	CodeFull                  // no room
	CodeTooBig                // key, subkey or value beyond a limit
	CodeMalformed             // tag, value or dictionary cannot be decoded
	CodePartial               // a dictionary of which some entries were accepted
	CodeBusy                  // not looked at: the node is overloaded
	CodeHeld                  // this very record is held already
	CodeQuota                 // its author has used up what a validator allows
)

var codeNames = [...]string{"none", "stored", "older", "expired", "invalid", "full", "too big", "malformed", "partial", "busy", "held", "quota"}

// String returns the code in words.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "unknown"
}

// StoreRequest asks the receiver to keep records. The lists run in parallel; Subkeys may be shorter only in malformed
// requests of others, which Decode refuses.
type StoreRequest struct {
	Keys       [][]byte
	Subkeys    [][]byte // tag bytes: empty for a whole dictionary, c0 for a regular value, else msgpack(subkey)
	Values     [][]byte
	Expiration []float64 // unix seconds
	InCache    []bool
	Peer       NodeInfo
	WantCodes  bool
}

// Append appends the encoded message to dst.
func (m *StoreRequest) Append(dst []byte) []byte {
	for _, k := range m.Keys {
		dst = appendBytes(dst, 2, k)
	}
	for _, s := range m.Subkeys {
		dst = appendBytes(dst, 3, s)
	}
	for _, v := range m.Values {
		dst = appendBytes(dst, 4, v)
	}
	dst = appendDoubles(dst, 5, m.Expiration)
	dst = appendBools(dst, 6, m.InCache)
	dst = appendNodeInfo(dst, 7, m.Peer)
	return appendBool(dst, 16, m.WantCodes)
}

// Decode replaces m by the message in b. Lists of unequal length are refused.
func (m *StoreRequest) Decode(b []byte, limits Limits) error {
	limits = limits.orDefault()
	*m = StoreRequest{}
	n, err := count(b, 2, limits.Keys)
	if err != nil {
		return err
	}
	if n > 0 {
		lists := make([][]byte, 3*n)
		m.Keys, m.Subkeys, m.Values = lists[:0:n], lists[n:n:2*n], lists[2*n:2*n:3*n]
		m.Expiration, m.InCache = make([]float64, 0, n), make([]bool, 0, n)
	}
	err = walk(b, func(f field) (err error) {
		switch f.num {
		case 2:
			m.Keys, err = appendList(m.Keys, f, "key", IDSize, n)
			if err == nil && len(f.data) != IDSize {
				err = malformed("key: want %d bytes", IDSize)
			}
		case 3:
			m.Subkeys, err = appendList(m.Subkeys, f, "subkey", limits.Subkey, n)
		case 4:
			m.Values, err = appendList(m.Values, f, "value", limits.Value, n)
		case 5:
			m.Expiration, err = f.doubles(m.Expiration, "expirations", n)
		case 6:
			m.InCache, err = varints(f, m.InCache, toBool, "in_cache", n)
		case 7:
			m.Peer, err = f.nodeInfo()
		case 16:
			m.WantCodes, err = f.boolOf("want_codes")
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(m.Subkeys) != n || len(m.Values) != n || len(m.Expiration) != n || len(m.InCache) != n {
		return malformed("lists of unequal length: %d keys, %d subkeys, %d values, %d expirations, %d in_cache",
			n, len(m.Subkeys), len(m.Values), len(m.Expiration), len(m.InCache))
	}
	return nil
}

// StoreResponse answers each record of a store request in order.
type StoreResponse struct {
	OK    []bool
	Codes []Code // empty unless asked for
	Peer  NodeInfo
}

// Append appends the encoded message to dst.
func (m *StoreResponse) Append(dst []byte) []byte {
	dst = appendBools(dst, 2, m.OK)
	dst = appendNodeInfo(dst, 3, m.Peer)
	if len(m.Codes) > 0 {
		size := 0
		for _, c := range m.Codes {
			size += protowire.SizeVarint(uint64(c))
		}
		dst = protowire.AppendTag(dst, 16, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(size))
		for _, c := range m.Codes {
			dst = protowire.AppendVarint(dst, uint64(c))
		}
	}
	return dst
}

// Decode replaces m by the message in b.
func (m *StoreResponse) Decode(b []byte, limits Limits) error {
	limits = limits.orDefault()
	*m = StoreResponse{}
	return walk(b, func(f field) (err error) {
		switch f.num {
		case 2:
			m.OK, err = varints(f, m.OK, toBool, "store_ok", limits.Keys)
		case 3:
			m.Peer, err = f.nodeInfo()
		case 16:
			m.Codes, err = varints(f, m.Codes, func(v uint64) Code { return Code(min(v, 1<<16)) }, "codes", limits.Keys)
		}
		return err
	})
}

// count counts the fields num of b, refusing more than limit.
func count(b []byte, num protowire.Number, limit int) (int, error) {
	n := 0
	err := walk(b, func(f field) error {
		if f.num != num {
			return nil
		}
		if n++; n > limit {
			return beyond("list", n, limit)
		}
		return nil
	})
	return n, err
}

func appendList(dst [][]byte, f field, what string, size, limit int) ([][]byte, error) {
	if len(dst) >= limit {
		return nil, malformed("%s: more than %d", what, limit)
	}
	v, err := f.bytesOf(what, size)
	if err != nil {
		return nil, err
	}
	return append(dst, v), nil
}
