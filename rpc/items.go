package rpc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Streams carry items, each behind a marker and a length: 8 bytes, big endian, in the form of Python daemons,
// a uvarint natively. A caller ends its input with an empty end mark. A server ends the call with a status
// natively; in the Python form it closes the stream, after an error item if the call failed.
const (
	markItem = 0
	markEnd  = 1 // from the caller: end of input; from the server: status or error
)

// itemForm is a form of streams.
type itemForm interface {
	appendHead(dst []byte, mark byte, n int) []byte
	readHead(r *bufio.Reader) (mark byte, n uint64, err error)
	// appendStatus appends the item that ends the call; nil if there is none.
	appendStatus(dst []byte, fail *Error) []byte
	// status reads the payload of the server's end item; nil means success.
	status(payload []byte) *Error
	// eof tells whether the end of the stream without a status is a success.
	eof() bool
}

// nativeItems is the form between nodes of this package.
type nativeItems struct{}

func (nativeItems) appendHead(dst []byte, mark byte, n int) []byte {
	return binary.AppendUvarint(append(dst, mark), uint64(n))
}

func (nativeItems) readHead(r *bufio.Reader) (byte, uint64, error) {
	mark, err := r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, 0, unexpected(err)
	}
	return mark, n, nil
}

func (f nativeItems) appendStatus(dst []byte, fail *Error) []byte {
	code, text := OK, ""
	if fail != nil {
		code, text = fail.Code, clip(fail.Msg)
	}
	dst = f.appendHead(dst, markEnd, 1+len(text))
	return append(append(dst, byte(code)), text...)
}

func (nativeItems) status(payload []byte) *Error {
	if len(payload) == 0 || int(payload[0]) >= len(codeNames) {
		return &Error{Code: Internal, Msg: "malformed status"}
	}
	if Code(payload[0]) == OK {
		return nil
	}
	return &Error{Code: Code(payload[0]), Msg: clip(string(payload[1:]))}
}

func (nativeItems) eof() bool { return false }

// pyItems is the form of Python daemons.
type pyItems struct{}

func (pyItems) appendHead(dst []byte, mark byte, n int) []byte {
	return binary.BigEndian.AppendUint64(append(dst, mark), uint64(n))
}

func (pyItems) readHead(r *bufio.Reader) (byte, uint64, error) {
	mark, err := r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, 0, unexpected(err)
	}
	return mark, binary.BigEndian.Uint64(b[:]), nil
}

const pyErrorMessage = 1 // field of an error item

func (f pyItems) appendStatus(dst []byte, fail *Error) []byte {
	if fail == nil {
		return nil
	}
	text := pyErrorText(fail)
	dst = f.appendHead(dst, markEnd, bytesField(len(text)))
	return append(appendBytesHead(dst, pyErrorMessage, len(text)), text...)
}

func (pyItems) status(payload []byte) *Error {
	var text []byte
	err := bytesFields(payload, func(num protowire.Number, v []byte) {
		if num == pyErrorMessage {
			text = v
		}
	})
	if err != nil {
		return &Error{Code: Internal, Msg: "malformed status"}
	}
	code, msg := parsePyError(string(text[:min(len(text), maxErrText)]))
	return &Error{Code: code, Msg: msg}
}

func (pyItems) eof() bool { return true }

// itemReader reads the items of one stream direction.
type itemReader struct {
	r     *bufio.Reader
	form  itemForm
	limit int // bytes of one item
	most  int // see readBody
}

// next reads one item, into buf if it is large enough.
func (t *itemReader) next(buf []byte, a admission) (mark byte, payload []byte, err error) {
	mark, n, err := t.form.readHead(t.r)
	if err != nil {
		return 0, nil, err
	}
	if mark > markEnd {
		return 0, nil, errFrame
	}
	if n > uint64(t.limit) {
		return 0, nil, fmt.Errorf("%w: %d bytes", errTooBig, n)
	}
	if !a.reserve(int(n)) {
		return 0, nil, errTooBusy
	}
	if payload, err = readBody(t.r, int(n), nil, buf, &t.most); err != nil {
		a.release(int(n))
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return mark, payload, err
}
