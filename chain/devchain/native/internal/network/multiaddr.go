package network

// Multiaddress protocols that the chain accepts.
const (
	protoIP4     = 4
	protoTCP     = 6
	protoUDP     = 17
	protoIP6     = 41
	protoDNS4    = 54
	protoDNS6    = 55
	protoDNSAddr = 56
	protoP2P     = 421
	protoWS      = 477
	protoWSS     = 478
)

// uvarint reads an unsigned LEB128 number of at most ten bytes; n is 0 when
// there is none.
func uvarint(b string) (v uint64, n int) {
	for i := range min(len(b), 10) {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// checkMultiaddr checks a binary multiaddress, which must end in a peer ID.
func checkMultiaddr(b string) error {
	last := uint64(0)
	for len(b) > 0 {
		proto, n := uvarint(b)
		if n == 0 {
			return fail(ErrMultiaddrInvalidVarint)
		}
		b = b[n:]
		size := uint64(0)
		switch proto {
		case protoIP4:
			size = 4
		case protoIP6:
			size = 16
		case protoTCP, protoUDP:
			size = 2
		case protoWS, protoWSS:
		case protoDNS4, protoDNS6, protoDNSAddr, protoP2P:
			if size, n = uvarint(b); n == 0 {
				return fail(ErrMultiaddrInvalidVarint)
			}
			b = b[n:]
		default:
			return fail(ErrMultiaddrInvalidProtocol)
		}
		if size > uint64(len(b)) {
			return fail(ErrMultiaddrTruncated)
		}
		b = b[size:]
		last = proto
	}
	return ensure(last == protoP2P, ErrMultiaddrInvalidProtocol)
}

// validPeerID looks at the length and first characters of a peer ID's text
// only, as the chain does.
func validPeerID(id string) bool {
	if len(id) < 32 || len(id) > 128 {
		return false
	}
	switch id[0] {
	case '1', 'f', 'b', 'z', 'm':
		return true
	case 'Q':
		return id[1] == 'm'
	}
	return false
}
