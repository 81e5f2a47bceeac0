package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The native unary form. Every kept stream carries one call at a time, each way one frame:
//
//	frame    = uvarint(length of body) body
//	request  = flags(1, zero) uvarint(time-out in ms, 0: none) uvarint(length) method data
//	response = code(1) data or text
//
// There is never more than one frame under way in one direction, so bytes after a frame are an error, and a
// reader needs no buffer beyond the start of a frame.
const (
	maxMethod   = 255 // bytes of a method's name
	maxOverhead = 1 + binary.MaxVarintLen64 + binary.MaxVarintLen16 + maxMethod
	window      = 512      // bytes read at once at the start of a frame; most frames fit
	growStep    = 64 << 10 // a body is not allocated further ahead of its arrival than this, or four times what is there
	maxErrText  = 1 << 10  // bytes of an error's text on the wire
)

var errFrame = errors.New("malformed frame")

// requestHead is what precedes the data of a request.
type requestHead struct {
	timeout time.Duration // 0: none
	method  []byte        // part of the frame
}

// appendRequestHead appends the frame up to the data.
func appendRequestHead(dst []byte, timeout time.Duration, m Method, dataLen int) []byte {
	ms := uint64(0)
	if timeout > 0 {
		ms = max(1, uint64(min(timeout, maxTimeout)/time.Millisecond))
	}
	n := 1 + uvarintLen(ms) + uvarintLen(uint64(len(m))) + len(m) + dataLen
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = append(dst, 0)
	dst = binary.AppendUvarint(dst, ms)
	dst = binary.AppendUvarint(dst, uint64(len(m)))
	return append(dst, m...)
}

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// splitRequest takes the body of a request apart. The results are parts of body.
func splitRequest(body []byte) (head requestHead, data []byte, err error) {
	if len(body) == 0 || body[0] != 0 {
		return head, nil, errFrame
	}
	body = body[1:]
	ms, n := binary.Uvarint(body)
	if n <= 0 || ms > uint64(maxTimeout/time.Millisecond) {
		return head, nil, errFrame
	}
	body = body[n:]
	size, n := binary.Uvarint(body)
	if n <= 0 || size > maxMethod || size > uint64(len(body)-n) {
		return head, nil, errFrame
	}
	body = body[n:]
	head.timeout = time.Duration(ms) * time.Millisecond
	head.method = body[:size]
	return head, body[size:], nil
}

const maxTimeout = 24 * time.Hour // on the wire; a server caps it further, see Config.MaxDeadline

// frameReader reads frames of one stream direction. It may hold the first bytes of the next frame.
type frameReader struct {
	buf  [window]byte
	n    int // bytes of buf that are read and not used
	most int // size of the largest body so far: the peer has shown that it sends so much
}

// admission decides about frames before memory is spent on them.
type admission interface {
	// reserve tells whether there is room for a body of n bytes.
	reserve(n int) bool
	// release gives back what was reserved for a body that did not arrive.
	release(n int)
	// slow is called before waiting for the rest of a frame that has begun.
	slow()
}

// admitAll is for frames that this side has asked for.
type admitAll struct{}

func (admitAll) reserve(int) bool { return true }
func (admitAll) release(int)      {}
func (admitAll) slow()            {}

// next reads the body of the next frame. The admission is asked before anything is allocated for it; if it
// refuses, the body is skipped and errTooBusy returned. io.EOF means that the stream ended between frames.
func (f *frameReader) next(r io.Reader, limit int, a admission) ([]byte, error) {
	size, at, err := f.length(r)
	if err != nil {
		return nil, err
	}
	if size > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes", errTooBig, size)
	}
	n := int(size)
	have := f.buf[at:f.n]
	if len(have) > n {
		return nil, fmt.Errorf("%w: bytes after the frame", errFrame)
	}
	f.n = 0
	if len(have) < n {
		a.slow()
	}
	if !a.reserve(n) {
		if _, err := io.CopyN(io.Discard, r, int64(n-len(have))); err != nil {
			return nil, unexpected(err)
		}
		return nil, errTooBusy
	}
	body, err := readBody(r, n, have, nil, &f.most)
	if err != nil {
		a.release(n)
	}
	return body, err
}

var (
	errTooBig  = errors.New("message exceeds the size limit")
	errTooBusy = errors.New("no room for the message")
)

// length reads until the frame's length is complete and returns it with its end in buf.
func (f *frameReader) length(r io.Reader) (size uint64, at int, err error) {
	for {
		if f.n > 0 {
			size, at = binary.Uvarint(f.buf[:f.n])
			if at > 0 {
				return size, at, nil
			}
			if at < 0 || f.n >= binary.MaxVarintLen64 {
				return 0, 0, errFrame
			}
		}
		n, err := r.Read(f.buf[f.n:])
		f.n += n
		if err != nil && n == 0 {
			if f.n > 0 {
				err = unexpected(err)
			}
			return 0, 0, err
		}
	}
}

// readBody reads n bytes, of which the first are there already, into buf if it is large enough. Otherwise
// memory grows with what arrives, unless the peer has sent as much before; most keeps that.
func readBody(r io.Reader, n int, have, buf []byte, most *int) ([]byte, error) {
	body := buf[:min(n, cap(buf))]
	if len(body) < n {
		body = make([]byte, max(len(have), min(n, max(growStep, 2**most))))
	}
	at := copy(body, have)
	for {
		if at < len(body) {
			if _, err := io.ReadFull(r, body[at:]); err != nil {
				return nil, unexpected(err)
			}
		}
		if len(body) == n {
			*most = max(*most, n)
			return body, nil
		}
		at = len(body)
		grown := make([]byte, min(n, 4*len(body)))
		copy(grown, body)
		body = grown
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readUvarint reads a length of at most limit.
func readUvarint(r io.ByteReader, limit int) (int, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, unexpected(err)
	}
	if n > uint64(limit) {
		return 0, errFrame
	}
	return int(n), nil
}
