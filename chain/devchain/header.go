package devchain

import (
	"errors"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// Header is a Substrate block header over blake2_256 and 32-bit numbers.
type Header struct {
	Parent         chain.Hash
	Number         chain.BlockNumber
	StateRoot      chain.Hash
	ExtrinsicsRoot chain.Hash
	Digest         [][]byte // encoded DigestItems
}

// errHeader is returned for bytes that are no header.
var errHeader = errors.New("malformed block header")

const maxDigestLogs = 64 // a real header has two or three

// Encode returns the SCALE form of the header.
func (h Header) Encode() []byte {
	b := make([]byte, 0, 160)
	b = append(b, h.Parent[:]...)
	b = appendCompact(b, uint64(h.Number))
	b = append(b, h.StateRoot[:]...)
	b = append(b, h.ExtrinsicsRoot[:]...)
	b = appendCompact(b, uint64(len(h.Digest)))
	for _, log := range h.Digest {
		b = append(b, log...)
	}
	return b
}

// Hash is the block hash: blake2_256 of the encoded header.
func (h Header) Hash() chain.Hash { return blake2b.Sum256(h.Encode()) }

// DecodeHeader reads a header and refuses trailing bytes.
func DecodeHeader(b []byte) (Header, error) {
	var h Header
	take := func(n int) []byte {
		if n > len(b) {
			return nil
		}
		p := b[:n]
		b = b[n:]
		return p
	}
	hash := func(dst *chain.Hash) bool { return copy(dst[:], take(32)) == 32 }
	compact := func() (uint64, bool) {
		v, n := readCompact(b)
		if n == 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	if !hash(&h.Parent) {
		return h, errHeader
	}
	num, ok := compact()
	if !ok || num > 1<<32-1 {
		return h, errHeader
	}
	h.Number = chain.BlockNumber(num)
	if !hash(&h.StateRoot) || !hash(&h.ExtrinsicsRoot) {
		return h, errHeader
	}
	logs, ok := compact()
	if !ok || logs > maxDigestLogs {
		return h, errHeader
	}
	for range logs {
		start := b
		kind := take(1)
		if kind == nil {
			return h, errHeader
		}
		switch kind[0] {
		case 4, 5, 6: // Consensus, Seal, PreRuntime: engine id and bytes
			if take(4) == nil {
				return h, errHeader
			}
			fallthrough
		case 0: // Other: bytes
			n, ok := compact()
			if !ok || n > uint64(len(b)) {
				return h, errHeader
			}
			take(int(n))
		case 8: // RuntimeEnvironmentUpdated
		default:
			return h, errHeader
		}
		h.Digest = append(h.Digest, start[:len(start)-len(b)])
	}
	if len(b) != 0 {
		return h, errHeader
	}
	return h, nil
}

// appendCompact appends the SCALE compact form of v.
func appendCompact(b []byte, v uint64) []byte {
	e := scale.Encoder{Buf: b}
	e.Compact(v)
	return e.Buf
}

// readCompact reads a compact integer of up to 64 bits; n is 0 when there is
// none.
func readCompact(b []byte) (v uint64, n int) {
	d := scale.NewDecoder(b)
	v = d.Compact()
	if d.Err() != nil {
		return 0, 0
	}
	return v, d.Pos()
}
