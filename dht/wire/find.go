package wire

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// ResultType says what a find result holds.
type ResultType uint32

// The result types; values are part of the wire format.
const (
	NotFound ResultType = iota
	FoundRegular
	FoundDictionary
)

// FindRequest asks for the values of keys and for the peers nearest to them.
type FindRequest struct {
	Keys  [][]byte
	Peer  NodeInfo
	Want  uint64   // WantAddrs | WantPages
	After [][]byte // empty, or one cursor per key, empty to begin
}

// Append appends the encoded message to dst.
func (m *FindRequest) Append(dst []byte) []byte {
	for _, k := range m.Keys {
		dst = appendBytes(dst, 2, k)
	}
	dst = appendNodeInfo(dst, 3, m.Peer)
	if m.Want != 0 {
		dst = protowire.AppendTag(dst, 16, protowire.VarintType)
		dst = protowire.AppendVarint(dst, m.Want)
	}
	for _, a := range m.After {
		dst = appendBytes(dst, 17, a)
	}
	return dst
}

// Decode replaces m by the message in b.
func (m *FindRequest) Decode(b []byte, limits Limits) error {
	limits = limits.orDefault()
	*m = FindRequest{}
	n, err := count(b, 2, limits.Keys)
	if err != nil {
		return err
	}
	m.Keys = make([][]byte, 0, n)
	err = walk(b, func(f field) (err error) {
		switch f.num {
		case 2:
			var k []byte
			k, err = f.keyOf("key")
			m.Keys = append(m.Keys, k)
		case 3:
			m.Peer, err = f.nodeInfo()
		case 16:
			if f.typ != protowire.VarintType {
				return malformed("want: wire type %d", f.typ)
			}
			m.Want = f.bits
		case 17:
			m.After, err = appendList(m.After, f, "after", limits.Subkey, n)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(m.After) != 0 && len(m.After) != n {
		return malformed("%d cursors for %d keys", len(m.After), n)
	}
	return nil
}

// FindResult is the answer for one key: a value if there is one, and the nearest peers in any case.
type FindResult struct {
	Type         ResultType
	Value        []byte // the value, or the msgpack form of the dictionary
	Expiration   float64
	NearestIDs   [][]byte
	NearestPeers [][]byte
	NearestAddrs [][]byte // empty, or one per peer: see Addrs
	Nearest      []byte   // for encoding only: what AppendNearest made, instead of the three lists above
	Cursor       []byte   // not empty: the dictionary goes on
}

// size is the length of the encoded result without its tag and length.
func (r *FindResult) size() int {
	n := 0
	if r.Type != NotFound {
		n += 1 + protowire.SizeVarint(uint64(r.Type))
	}
	if len(r.Value) > 0 {
		n += 1 + protowire.SizeBytes(len(r.Value))
	}
	if math.Float64bits(r.Expiration) != 0 {
		n += 1 + 8
	}
	n += len(r.Nearest)
	for _, l := range [...][][]byte{r.NearestIDs, r.NearestPeers} {
		for _, b := range l {
			n += 1 + protowire.SizeBytes(len(b))
		}
	}
	for _, b := range r.NearestAddrs {
		n += 2 + protowire.SizeBytes(len(b))
	}
	if len(r.Cursor) > 0 {
		n += 2 + protowire.SizeBytes(len(r.Cursor))
	}
	return n
}

func (r *FindResult) append(dst []byte) []byte {
	if r.Type != NotFound {
		dst = protowire.AppendTag(dst, 1, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(r.Type))
	}
	if len(r.Value) > 0 {
		dst = appendBytes(dst, 2, r.Value)
	}
	dst = appendDouble(dst, 3, r.Expiration)
	dst = append(dst, r.Nearest...)
	for _, b := range r.NearestIDs {
		dst = appendBytes(dst, 4, b)
	}
	for _, b := range r.NearestPeers {
		dst = appendBytes(dst, 5, b)
	}
	for _, b := range r.NearestAddrs {
		dst = appendBytes(dst, 16, b)
	}
	if len(r.Cursor) > 0 {
		dst = appendBytes(dst, 17, r.Cursor)
	}
	return dst
}

func (r *FindResult) decode(b []byte, limits Limits) error {
	n, err := count(b, 4, limits.Nearest)
	if err != nil {
		return err
	}
	if n > 0 {
		lists := make([][]byte, 2*n)
		r.NearestIDs, r.NearestPeers = lists[:0:n], lists[n:n:2*n]
	}
	err = walk(b, func(f field) (err error) {
		switch f.num {
		case 1:
			if f.typ != protowire.VarintType || f.bits > uint64(FoundDictionary) {
				return malformed("type: unknown")
			}
			r.Type = ResultType(f.bits)
		case 2:
			r.Value, err = f.bytesOf("value", limits.Value)
		case 3:
			r.Expiration, err = f.doubleOf("expiration_time")
		case 4:
			var id []byte
			id, err = f.keyOf("nearest_node_id")
			r.NearestIDs = append(r.NearestIDs, id)
		case 5:
			r.NearestPeers, err = appendList(r.NearestPeers, f, "nearest_peer_id", limits.PeerID, n)
		case 16:
			if r.NearestAddrs == nil {
				r.NearestAddrs = make([][]byte, 0, n)
			}
			r.NearestAddrs, err = appendList(r.NearestAddrs, f, "nearest_addrs", limits.Addrs, n)
		case 17:
			r.Cursor, err = f.bytesOf("cursor", limits.Subkey)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(r.NearestPeers) != n || (len(r.NearestAddrs) != 0 && len(r.NearestAddrs) != n) {
		return malformed("%d nearest IDs, %d peers, %d addresses", n, len(r.NearestPeers), len(r.NearestAddrs))
	}
	return nil
}

// FindResponse holds one result per key of the request, in its order.
type FindResponse struct {
	Results []FindResult
	Peer    NodeInfo
}

// Size is the length of the encoded message.
func (m *FindResponse) Size() int {
	n := 1 + protowire.SizeBytes(0)
	if len(m.Peer.ID) > 0 {
		n = 1 + protowire.SizeBytes(1+protowire.SizeBytes(len(m.Peer.ID)))
	}
	for i := range m.Results {
		n += 1 + protowire.SizeBytes(m.Results[i].size())
	}
	return n
}

// Append appends the encoded message to dst.
func (m *FindResponse) Append(dst []byte) []byte {
	for i := range m.Results {
		dst = protowire.AppendTag(dst, 2, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(m.Results[i].size()))
		dst = m.Results[i].append(dst)
	}
	return appendNodeInfo(dst, 3, m.Peer)
}

// Decode replaces m by the message in b.
func (m *FindResponse) Decode(b []byte, limits Limits) error {
	limits = limits.orDefault()
	*m = FindResponse{}
	n, err := count(b, 2, limits.Keys)
	if err != nil {
		return err
	}
	m.Results = make([]FindResult, n)
	i := 0
	return walk(b, func(f field) (err error) {
		switch f.num {
		case 2:
			if f.typ != protowire.BytesType {
				return malformed("results: wire type %d", f.typ)
			}
			err = m.Results[i].decode(f.data, limits)
			i++
		case 3:
			m.Peer, err = f.nodeInfo()
		}
		return err
	})
}

// Neighbour is one of the nearest peers, for AppendNearest.
type Neighbour struct {
	ID    [IDSize]byte
	Peer  string // binary peer ID
	Addrs []byte // see AppendAddr
}

// AppendNearest appends the nearest peers of a result as they are encoded, with their addresses or without, for
// FindResult.Nearest. It spares the answering side the lists.
func AppendNearest(dst []byte, near []Neighbour, addrs bool) []byte {
	for i := range near {
		dst = append(dst, 4<<3|2, IDSize)
		dst = append(dst, near[i].ID[:]...)
	}
	for i := range near {
		dst = append(dst, 5<<3|2)
		dst = protowire.AppendVarint(dst, uint64(len(near[i].Peer)))
		dst = append(dst, near[i].Peer...)
	}
	if addrs {
		for i := range near {
			dst = appendBytes(dst, 16, near[i].Addrs)
		}
	}
	return dst
}

// AppendAddr appends one binary multiaddress to the addresses of a peer, the form of FindResult.NearestAddrs.
func AppendAddr(dst, addr []byte) []byte { return protowire.AppendBytes(dst, addr) }

// Addrs calls yield for each binary multiaddress in b until it returns false or b ends, well-formed or not.
func Addrs(b []byte, yield func(addr []byte) bool) {
	for len(b) > 0 {
		a, n := protowire.ConsumeBytes(b)
		if n < 0 || !yield(a) {
			return
		}
		b = b[n:]
	}
}
