package rpc

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// The envelope in which Python daemons carry a unary call, each way one message behind its length:
//
//	callId(1) bytes, callUnary(3) { peer(1), proto(2), data(3) }          from the caller
//	callId(1) bytes, unaryResponse(4) { response(1) | error(2) }          from the server
//
// Written by hand, it costs no allocation beyond the data; package p2pdpb is what the tests compare it with.
const (
	pyCallID   = 1
	pyRequest  = 3
	pyResponse = 4

	pyPeer  = 1
	pyProto = 2
	pyData  = 3

	pyOK    = 1
	pyError = 2

	callIDSize = 16
	pyOverhead = 5*6 + callIDSize + maxMethod + 64 // tags, lengths and names around the data
)

// appendPyRequestHead appends the frame of a request up to the data.
func appendPyRequestHead(dst []byte, id [callIDSize]byte, peer string, m Method, dataLen int) []byte {
	inner := bytesField(len(peer)) + bytesField(len(m)) + bytesField(dataLen)
	dst = binary.AppendUvarint(dst, uint64(bytesField(callIDSize)+bytesField(inner)))
	dst = appendBytesHead(dst, pyCallID, callIDSize)
	dst = append(dst, id[:]...)
	dst = appendBytesHead(dst, pyRequest, inner)
	dst = append(appendBytesHead(dst, pyPeer, len(peer)), peer...)
	dst = append(appendBytesHead(dst, pyProto, len(m)), m...)
	return appendBytesHead(dst, pyData, dataLen)
}

// appendPyResponseHead appends the frame of a response up to the data, an answer or the text of an error.
func appendPyResponseHead(dst, id []byte, failed bool, dataLen int) []byte {
	field := protowire.Number(pyOK)
	if failed {
		field = pyError
	}
	inner := bytesField(dataLen)
	dst = binary.AppendUvarint(dst, uint64(bytesField(len(id))+bytesField(inner)))
	dst = append(appendBytesHead(dst, pyCallID, len(id)), id...)
	dst = appendBytesHead(dst, pyResponse, inner)
	return appendBytesHead(dst, field, dataLen)
}

// bytesField is the size of a field of n bytes with a one-byte tag.
func bytesField(n int) int { return 1 + uvarintLen(uint64(n)) + n }

func appendBytesHead(dst []byte, field protowire.Number, n int) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return binary.AppendUvarint(dst, uint64(n))
}

// splitPyRequest takes a request apart. The results are parts of b.
func splitPyRequest(b []byte) (id, data []byte, err error) {
	var inner, peer, name []byte
	err = bytesFields(b, func(num protowire.Number, v []byte) {
		switch num {
		case pyCallID:
			id = v
		case pyRequest:
			inner = v
		}
	})
	if err != nil || len(id) != callIDSize || inner == nil {
		return nil, nil, errFrame
	}
	err = bytesFields(inner, func(num protowire.Number, v []byte) {
		switch num {
		case pyPeer:
			peer = v
		case pyProto:
			name = v
		case pyData:
			data = v
		}
	})
	if err != nil || peer == nil || name == nil || data == nil {
		return nil, nil, errFrame
	}
	return id, data, nil
}

// splitPyResponse takes a response apart. data is part of b.
func splitPyResponse(b []byte) (failed bool, data []byte, err error) {
	var inner []byte
	err = bytesFields(b, func(num protowire.Number, v []byte) {
		if num == pyResponse {
			inner = v
		}
	})
	if err != nil || inner == nil {
		return false, nil, errFrame
	}
	err = bytesFields(inner, func(num protowire.Number, v []byte) {
		switch num {
		case pyOK, pyError:
			failed, data = num == pyError, v
		}
	})
	if err != nil || data == nil {
		return false, nil, errFrame
	}
	return failed, data, nil
}

// bytesFields calls f for each field of bytes, with non-nil bytes, and skips the others.
func bytesFields(b []byte, f func(num protowire.Number, v []byte)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errFrame
		}
		b = b[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return errFrame
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errFrame
		}
		f(num, v[:len(v):len(v)])
		b = b[n:]
	}
	return nil
}
