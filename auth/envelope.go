package auth

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// An authenticated message carries its authentication part in field 1. The signature covers the message as
// it is with the signature left out, in the order of field numbers; so this package cuts and joins bytes and
// need not know the message's type. Package authpb is what the tests compare it with.
const fieldAuth = 1

// Fields of the parts.
const (
	requestToken     = 1
	requestRecipient = 2
	requestTime      = 3
	requestNonce     = 4
	requestSignature = 5

	responseToken     = 1
	responseNonce     = 2
	responseSignature = 3

	tokenKey       = 2
	tokenExpires   = 3
	tokenSignature = 4
)

const maxNonce = 32 // bytes; Python nodes send 8

// part is an authentication part of a request or a response.
type part struct {
	key       string // OpenSSH text of the signer
	recipient string
	time      float64
	nonce     []byte
	signature string
	unsigned  []byte // the message without the signature
}

// split finds the authentication part. rest is the message without it; nil auth means there is none. A
// second part is malformed: which of them counts would depend on the reader.
func split(msg []byte) (auth, rest []byte, ok bool) {
	for at := 0; at < len(msg); {
		num, typ, n := protowire.ConsumeField(msg[at:])
		if n < 0 {
			return nil, nil, false
		}
		if num == fieldAuth {
			if auth != nil || typ != protowire.BytesType {
				return nil, nil, false
			}
			_, _, head := protowire.ConsumeTag(msg[at:])
			auth, _ = protowire.ConsumeBytes(msg[at+head:])
			if at == 0 {
				rest = msg[n:]
			} else {
				rest = append(append(make([]byte, 0, len(msg)-n), msg[:at]...), msg[at+n:]...)
			}
			if auth == nil {
				auth = []byte{}
			}
		}
		at += n
	}
	if auth == nil {
		rest = msg
	}
	return auth, rest, true
}

// fieldNumbers are those that differ between requests and responses.
type fieldNumbers struct{ token, recipient, time, nonce, signature protowire.Number }

var (
	requestFields  = fieldNumbers{requestToken, requestRecipient, requestTime, requestNonce, requestSignature}
	responseFields = fieldNumbers{token: responseToken, nonce: responseNonce, signature: responseSignature}
)

// parse reads an authentication part and rebuilds what its signature covers.
func parse(auth, rest []byte, f fieldNumbers) (p part, ok bool) {
	bare := make([]byte, 0, len(auth))
	for b := auth; len(b) > 0; {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return part{}, false
		}
		field := b[:n]
		b = b[n:]
		_, _, head := protowire.ConsumeTag(field)
		value := field[head:]
		switch {
		case num == f.signature && typ == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(value)
			p.signature = string(v)
			continue // not part of what is signed
		case num == f.token && typ == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(value)
			if p.key, ok = parseToken(v); !ok {
				return part{}, false
			}
		case num == f.recipient && typ == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(value)
			p.recipient = string(v)
		case num == f.time && typ == protowire.Fixed64Type:
			v, _ := protowire.ConsumeFixed64(value)
			p.time = math.Float64frombits(v)
		case num == f.nonce && typ == protowire.BytesType:
			p.nonce, _ = protowire.ConsumeBytes(value)
		}
		bare = append(bare, field...)
	}
	if len(p.nonce) == 0 || len(p.nonce) > maxNonce || p.key == "" || p.signature == "" {
		return part{}, false
	}
	p.unsigned = append(appendBytes(make([]byte, 0, len(bare)+len(rest)+8), fieldAuth, bare), rest...)
	return p, true
}

// parseToken reads the key of an access token. Expiry and signature of the token itself say nothing that the
// message's time and signature do not; no known node checks them.
func parseToken(b []byte) (key string, ok bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return "", false
		}
		if num == tokenKey && typ == protowire.BytesType {
			_, _, head := protowire.ConsumeTag(b)
			v, _ := protowire.ConsumeBytes(b[head:])
			key = string(v)
		}
		b = b[n:]
	}
	return key, true
}

func appendBytes[T string | []byte](dst []byte, num protowire.Number, v T) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	return append(dst, v...)
}

// appendOptional leaves empty values out, as the format wants it.
func appendOptional[T string | []byte](dst []byte, num protowire.Number, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	return appendBytes(dst, num, v)
}

// requestPart encodes the part of a request without signature.
func requestPart(token []byte, recipient string, seconds float64, nonce []byte) []byte {
	b := appendBytes(make([]byte, 0, len(token)+len(recipient)+len(nonce)+128), requestToken, token)
	b = appendOptional(b, requestRecipient, recipient)
	if bits := math.Float64bits(seconds); bits != 0 {
		b = protowire.AppendTag(b, requestTime, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, bits)
	}
	return appendOptional(b, requestNonce, nonce)
}

// responsePart encodes the part of a response without signature.
func responsePart(token, nonce []byte) []byte {
	b := appendBytes(make([]byte, 0, len(token)+len(nonce)+128), responseToken, token)
	return appendOptional(b, responseNonce, nonce)
}

// join puts a part in front of a message.
func join(auth, rest []byte) []byte {
	return append(appendBytes(make([]byte, 0, len(auth)+len(rest)+8), fieldAuth, auth), rest...)
}
