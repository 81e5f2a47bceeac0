package peerrouting

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"
)

// Kinds of messages.
const (
	typeFindNode = 4
	typePing     = 5
)

// Field numbers of a message and of a peer in it.
const (
	fieldType    = 1
	fieldKey     = 2
	fieldClosest = 8

	fieldPeerID    = 1
	fieldPeerAddr  = 2
	fieldPeerState = 3
)

const stateConnected = 1

const (
	maxRequest  = 16 << 10  // a request holds one peer ID; real ones take 50 bytes
	maxAnswer   = 256 << 10 // 20 peers with 64 addresses of 64 bytes take 85 KiB
	maxKey      = 512       // bytes of a peer ID
	maxPeers    = 32        // peers read from one answer
	maxPeerAddr = 16        // addresses read and told per peer
	maxAddr     = 512       // bytes of one address
)

// ErrMalformed reports bytes that are no message.
var ErrMalformed = errors.New("malformed routing message")

// message is what both sides send.
type message struct {
	kind    uint64
	key     []byte
	closest []peer.AddrInfo
}

// appendFrame appends the message with its length in front.
func appendFrame(dst []byte, m *message) []byte {
	body := protowire.AppendTag(nil, fieldType, protowire.VarintType)
	body = protowire.AppendVarint(body, m.kind)
	if len(m.key) > 0 {
		body = protowire.AppendTag(body, fieldKey, protowire.BytesType)
		body = protowire.AppendBytes(body, m.key)
	}
	for _, p := range m.closest {
		body = protowire.AppendTag(body, fieldClosest, protowire.BytesType)
		body = protowire.AppendBytes(body, appendPeer(nil, p))
	}
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

func appendPeer(dst []byte, p peer.AddrInfo) []byte {
	dst = protowire.AppendTag(dst, fieldPeerID, protowire.BytesType)
	dst = protowire.AppendBytes(dst, []byte(p.ID))
	for _, a := range p.Addrs[:min(len(p.Addrs), maxPeerAddr)] {
		dst = protowire.AppendTag(dst, fieldPeerAddr, protowire.BytesType)
		dst = protowire.AppendBytes(dst, a.Bytes())
	}
	dst = protowire.AppendTag(dst, fieldPeerState, protowire.VarintType)
	return protowire.AppendVarint(dst, stateConnected)
}

// readFrame reads one frame of at most limit bytes. io.EOF means that the stream ended between frames.
func readFrame(r interface {
	io.Reader
	io.ByteReader
}, limit int) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return body, nil
}

// decode reads a message. Peers and addresses beyond the bounds are skipped, as are those that are malformed:
// a foreign node may know addresses of kinds that this one does not.
func decode(b []byte) (message, error) {
	var m message
	err := fields(b, func(num protowire.Number, v uint64, data []byte) error {
		switch num {
		case fieldType:
			m.kind = v
		case fieldKey:
			if len(data) > maxKey {
				return ErrMalformed
			}
			m.key = data
		case fieldClosest:
			if len(m.closest) == maxPeers || data == nil {
				return nil
			}
			p, err := decodePeer(data)
			if err != nil {
				return err
			}
			if p.ID != "" {
				m.closest = append(m.closest, p)
			}
		}
		return nil
	})
	return m, err
}

func decodePeer(b []byte) (peer.AddrInfo, error) {
	var p peer.AddrInfo
	err := fields(b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case fieldPeerID:
			if id, err := peer.IDFromBytes(data); err == nil && len(data) <= maxKey {
				p.ID = id
			}
		case fieldPeerAddr:
			if len(p.Addrs) == maxPeerAddr || len(data) > maxAddr {
				return nil
			}
			if a, err := multiaddr.NewMultiaddrBytes(data); err == nil {
				p.Addrs = append(p.Addrs, a)
			}
		}
		return nil
	})
	return p, err
}

// fields calls f for each varint and each bytes field; data is non-nil for the latter.
func fields(b []byte, f func(num protowire.Number, v uint64, data []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		var (
			v    uint64
			data []byte
		)
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		if typ == protowire.VarintType || typ == protowire.BytesType {
			if err := f(num, v, data); err != nil {
				return err
			}
		}
	}
	return nil
}
