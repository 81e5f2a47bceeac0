package devchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// RPCError is the error member of a JSON-RPC answer.
type RPCError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// Error implements error.
func (e *RPCError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// The codes of JSON-RPC and of the server library that Substrate nodes use.
const (
	codeParse         = -32700
	codeInvalid       = -32600
	codeMethod        = -32601
	codeParams        = -32602
	codeInternal      = -32603
	codeSubscriptions = -32006 // too many on one connection
	codeTooBig        = -32007 // request
	codeAnswerTooBig  = -32008
	codeBatchTooBig   = -32010
)

func paramsError(format string, args ...any) *RPCError {
	return &RPCError{Code: codeParams, Message: "Invalid params", Data: fmt.Sprintf(format, args...)}
}

// request is one JSON-RPC call.
type request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

type answer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

type errorAnswer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   *RPCError       `json:"error"`
}

// call is what a method gets.
type call struct {
	ctx    context.Context
	s      *Server
	conn   *wsConn // nil over HTTP
	params []json.RawMessage
	// after is run when the answer has been queued; subscriptions start there.
	after func()
}

// method answers a call with a value for JSON, or with an *RPCError.
type method func(c *call) (any, error)

const (
	maxDepth = 64  // nesting of a request; real ones have five
	maxID    = 256 // bytes of a request's id
	maxArgs  = 64  // parameters of one call
)

// jsonDepth reports whether b nests no deeper than limit. It does not otherwise
// check b.
func jsonDepth(b []byte, limit int) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch ch := b[i]; {
		case inString && ch == '\\':
			i++
		case ch == '"':
			inString = !inString
		case inString:
		case ch == '{' || ch == '[':
			if depth++; depth > limit {
				return false
			}
		case ch == '}' || ch == ']':
			depth--
		}
	}
	return true
}

// handle answers a message: a call or a batch. It returns nil when nothing is
// to be sent, and what is to be run once the answer is on its way.
func (s *Server) handle(ctx context.Context, conn *wsConn, msg []byte) (out []byte, after []func()) {
	msg = bytes.TrimSpace(msg)
	malformed := &RPCError{Code: codeParse, Message: "Parse error"}
	if len(msg) == 0 || !jsonDepth(msg, maxDepth) {
		return fail(nil, malformed), nil
	}
	if msg[0] != '[' {
		return s.handleOne(ctx, conn, msg)
	}
	if !json.Valid(msg) {
		return fail(nil, malformed), nil
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(msg, &batch); err != nil || len(batch) == 0 {
		return fail(nil, &RPCError{Code: codeInvalid, Message: "Invalid request"}), nil
	}
	if len(batch) > s.cfg.MaxBatch {
		return fail(nil, &RPCError{
			Code: codeBatchTooBig, Message: "The batch request was too large",
			Data: fmt.Sprintf("Exceeded max limit of %d", s.cfg.MaxBatch),
		}), nil
	}
	out = append(out, '[')
	for _, one := range batch {
		res, f := s.handleOne(ctx, conn, one)
		after = append(after, f...)
		if res == nil {
			continue
		}
		if len(out)+len(res) > s.cfg.MaxResponse {
			return fail(nil, s.answerTooBig()), after
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, res...)
	}
	if len(out) == 1 {
		return nil, after // only notifications
	}
	return append(out, ']'), after
}

func (s *Server) answerTooBig() *RPCError {
	return &RPCError{
		Code: codeAnswerTooBig, Message: "Response is too big",
		Data: fmt.Sprintf("Exceeded max limit of %d", s.cfg.MaxResponse),
	}
}

func (s *Server) handleOne(ctx context.Context, conn *wsConn, msg []byte) ([]byte, []func()) {
	var req request
	invalid := &RPCError{Code: codeInvalid, Message: "Invalid request"}
	err := json.Unmarshal(msg, &req)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fail(nil, &RPCError{Code: codeParse, Message: "Parse error"}), nil
	}
	if err != nil || req.Version != "2.0" || req.Method == "" || !validID(req.ID) {
		id := req.ID
		if !validID(id) {
			id = nil
		}
		return fail(id, invalid), nil
	}
	f, known := s.methods[req.Method]
	if !known {
		return reply(req.ID, fail(req.ID, &RPCError{Code: codeMethod, Message: "Method not found"})), nil
	}
	c := &call{ctx: ctx, s: s, conn: conn}
	if p := bytes.TrimSpace(req.Params); len(p) > 0 && string(p) != "null" {
		if p[0] == '[' {
			c.params = splitArray(p, maxArgs+1)
		}
		if p[0] != '[' || len(c.params) > maxArgs {
			return reply(req.ID, fail(req.ID, paramsError("want an array of at most %d", maxArgs))), nil
		}
	}
	if err := s.faults.before(ctx, req.Method); err != nil {
		return reply(req.ID, fail(req.ID, err)), nil
	}
	var result any
	err = guard(func() (err error) {
		result, err = f(c)
		return err
	})
	if err != nil {
		return reply(req.ID, fail(req.ID, s.rpcError(req.Method, err))), nil
	}
	out, err := encodeAnswer(req.ID, result)
	switch {
	case err != nil:
		s.log.Error("answer cannot be encoded", "method", req.Method, "err", err)
		out = fail(req.ID, &RPCError{Code: codeInternal, Message: "Internal error"})
	case len(out) > s.cfg.MaxResponse:
		out = fail(req.ID, s.answerTooBig())
	}
	if c.after != nil {
		return reply(req.ID, out), []func(){c.after}
	}
	return reply(req.ID, out), nil
}

// reply drops the answer to a notification.
func reply(id json.RawMessage, out []byte) []byte {
	if id == nil {
		return nil
	}
	return out
}

func validID(id json.RawMessage) bool {
	if len(id) > maxID {
		return false
	}
	return len(id) == 0 || id[0] != '{' && id[0] != '[' && id[0] != 't' && id[0] != 'f'
}

func fail(id json.RawMessage, e *RPCError) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	out, err := json.Marshal(errorAnswer{"2.0", id, e})
	if err != nil { // the data of an error is always a string or nil
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error"}}`)
	}
	return out
}

// arg reads a required parameter.
func arg[T any](c *call, i int, name string) (v T, err error) {
	v, ok, err := optArg[T](c, i, name)
	if err == nil && !ok {
		return v, paramsError("parameter %d (%s) is missing", i+1, name)
	}
	return v, err
}

// optArg reads a parameter that may be missing or null.
func optArg[T any](c *call, i int, name string) (v T, ok bool, err error) {
	if i >= len(c.params) || string(c.params[i]) == "null" {
		return v, false, nil
	}
	if err := json.Unmarshal(c.params[i], &v); err != nil {
		return v, false, paramsError("parameter %d (%s): %v", i+1, name, err)
	}
	return v, true, nil
}

// at reads the optional block hash that ends the parameters of most methods; the
// best block when it is missing.
func (c *call) at(i int) (chain.Hash, error) {
	h, ok, err := optArg[chain.Hash](c, i, "block hash")
	if err != nil {
		return h, err
	}
	if !ok || h.IsZero() {
		return c.s.best().Hash, nil
	}
	return h, nil
}

// methodNames lists what is served.
func (s *Server) methodNames() []string {
	names := make([]string, 0, len(s.methods))
	for name := range s.methods {
		names = append(names, name)
	}
	sort.Strings(names)
	return slices.Compact(names)
}
