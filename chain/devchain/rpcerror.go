package devchain

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// The codes of a Substrate node's namespaces.
const (
	codeRuntime        = 1 // network_*, payment_*: the runtime API failed
	codeAuthorFormat   = 1001
	codeAuthorVerify   = 1002
	codePoolInvalid    = 1010
	codePoolUnknown    = 1011
	codePoolBanned     = 1012
	codePoolImported   = 1013
	codePoolPriority   = 1014
	codePoolCycle      = 1015
	codePoolDropped    = 1016
	codeStateCount     = 4002
	codeStateClient    = 4003
	codeDev            = 7000
	errUnknownBlock    = "Client error: UnknownBlock: "
	errUnknownBlockAPI = "Client error: Api called for an unknown Block: "
)

// rpcError gives an error of a method the form that a Substrate node gives it.
func (s *Server) rpcError(name string, err error) *RPCError {
	var e *RPCError
	if errors.As(err, &e) {
		return e
	}
	var block *BlockError
	switch {
	case strings.HasPrefix(name, "author_"):
		return poolError(err)
	case errors.As(err, &block):
		prefix := errUnknownBlock
		if name == "state_call" || name == "state_getMetadata" || name == "state_getRuntimeVersion" {
			prefix = errUnknownBlockAPI
		}
		return &RPCError{Code: codeStateClient, Message: prefix + block.Error()}
	case strings.HasPrefix(name, "dev_"):
		return &RPCError{Code: codeDev, Message: err.Error()}
	case strings.HasPrefix(name, "state_"), strings.HasPrefix(name, "chain_"):
		return &RPCError{Code: codeStateClient, Message: "Client error: " + err.Error()}
	}
	s.log.Error("method failed", "method", name, "err", err)
	return &RPCError{Code: codeInternal, Message: "Internal error"}
}

// executionError is what a failed runtime API call looks like.
func executionError(name string, err error) error {
	var block *BlockError
	if errors.As(err, &block) {
		return err
	}
	if errors.Is(err, ErrUnknownMethod) {
		err = fmt.Errorf("Other: Exported method %s is not found", name) //nolint:staticcheck // the node's words
	}
	return fmt.Errorf("Execution failed: %w", err) //nolint:staticcheck // the node's words
}

// poolError gives a refusal of the pool its code and text.
func poolError(err error) *RPCError {
	var tx *TxError
	var prio *PriorityError
	switch {
	case errors.As(err, &tx) && tx.Kind == TxUndecodable:
		return &RPCError{Code: codeAuthorVerify, Message: "Verification Error: Runtime error: Execution failed: " + tx.Text(), Data: tx.Text()}
	case errors.As(err, &tx) && tx.Invalid():
		return &RPCError{Code: codePoolInvalid, Message: "Invalid Transaction", Data: tx.Text()}
	case errors.As(err, &tx):
		return &RPCError{Code: codePoolUnknown, Message: "Unknown Transaction Validity", Data: tx.Text()}
	case errors.As(err, &prio):
		return &RPCError{
			Code: codePoolPriority, Message: fmt.Sprintf("Priority is too low: (%d vs %d)", prio.Old, prio.New),
			Data: "The transaction has too low priority to replace another transaction already in the pool.",
		}
	case errors.Is(err, ErrTxBanned):
		return &RPCError{Code: codePoolBanned, Message: "Transaction is temporarily banned"}
	case errors.Is(err, ErrTxImported):
		return &RPCError{Code: codePoolImported, Message: "Transaction Already Imported"}
	case errors.Is(err, ErrTxCycle):
		return &RPCError{Code: codePoolCycle, Message: "Cycle Detected"}
	case errors.Is(err, ErrTxDropped):
		return &RPCError{
			Code: codePoolDropped, Message: "Immediately Dropped",
			Data: "The transaction couldn't enter the pool because of the limit",
		}
	case errors.Is(err, ErrTxMalformed):
		return &RPCError{Code: codeAuthorFormat, Message: "Extrinsic has invalid format: " + err.Error()}
	}
	return &RPCError{Code: codeAuthorVerify, Message: "Verification Error: " + err.Error(), Data: err.Error()}
}

// hexBytes is a byte string as 0x and hex digits.
type hexBytes []byte

// MarshalJSON implements json.Marshaler.
func (b hexBytes) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 2*len(b)+4)
	out = append(out, '"', '0', 'x')
	out = hex.AppendEncode(out, b)
	return append(out, '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *hexBytes) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return errors.New("want a hex string that starts with 0x")
	}
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return errors.New("want a hex string that starts with 0x")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return err
	}
	*b = raw
	return nil
}

// byteArray is a byte string as a JSON array of numbers, the way serde writes a
// Vec<u8>. It is read from hex as well.
type byteArray []byte

// MarshalJSON implements json.Marshaler.
func (b byteArray) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 4*len(b)+2)
	out = append(out, '[')
	for i, v := range b {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(v), 10)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *byteArray) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return (*hexBytes)(b).UnmarshalJSON(text)
	}
	var list []uint16
	if err := json.Unmarshal(text, &list); err != nil {
		return errors.New("want an array of bytes")
	}
	*b = make([]byte, len(list))
	for i, v := range list {
		if v > 255 {
			return fmt.Errorf("%d is no byte", v)
		}
		(*b)[i] = byte(v)
	}
	return nil
}

// number is an unsigned integer written as a number, as decimal text or as hex.
type number struct{ big.Int }

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	s := strings.Trim(string(text), `"`)
	base := 10
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		s, base = digits, 16
	}
	if len(s) > 80 || strings.HasPrefix(s, "+") {
		return errors.New("want an unsigned integer")
	}
	if _, ok := n.SetString(s, base); !ok || n.Sign() < 0 {
		return errors.New("want an unsigned integer")
	}
	return nil
}

// uint returns the value when it fits into bits.
func (n *number) uint(bits int) (uint64, bool) {
	return n.Uint64(), n.BitLen() <= bits
}
