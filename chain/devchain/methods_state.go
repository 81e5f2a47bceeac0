package devchain

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
)

const (
	maxKeysPage  = 1000    // of state_getKeysPaged, as a Substrate node
	maxKeysAll   = 100_000 // of state_getKeys and state_getPairs, which have no pages
	maxQueryKeys = 10_000  // of state_queryStorageAt and a storage subscription
	maxQuerySpan = 1024    // blocks of state_queryStorage
)

func leUint(b []byte) *big.Int {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

func (s *Server) stateMethods() map[string]method {
	// value is a method about one key's value.
	value := func(f func(v []byte) any) method {
		return func(c *call) (any, error) {
			key, err := arg[hexBytes](c, 0, "key")
			if err != nil {
				return nil, err
			}
			st, err := s.stateArg(c, 1)
			if err != nil {
				return nil, err
			}
			v := st.Get(key)
			if v == nil {
				return nil, nil
			}
			return f(v), nil
		}
	}
	get := value(func(v []byte) any { return hexBytes(v) })
	hash := value(func(v []byte) any { return chain.Hash(blake2b.Sum256(v)) })
	size := value(func(v []byte) any { return len(v) })
	return map[string]method{
		"state_getStorage":                get,
		"state_getStorageAt":              get,
		"state_getStorageHash":            hash,
		"state_getStorageHashAt":          hash,
		"state_getStorageSize":            size,
		"state_getStorageSizeAt":          size,
		"state_getMetadata":               s.getMetadata,
		"state_getRuntimeVersion":         s.runtimeVersion,
		"state_call":                      s.stateCall,
		"state_callAt":                    s.stateCall,
		"state_getKeys":                   s.getKeys,
		"state_getPairs":                  s.getPairs,
		"state_getKeysPaged":              s.getKeysPaged,
		"state_getKeysPagedAt":            s.getKeysPaged,
		"state_queryStorageAt":            s.queryStorageAt,
		"state_queryStorage":              s.queryStorage,
		"state_subscribeStorage":          s.subscribeStorage,
		"state_unsubscribeStorage":        unsubscribe,
		"state_subscribeRuntimeVersion":   s.subscribeRuntimeVersion,
		"state_unsubscribeRuntimeVersion": unsubscribe,
	}
}

func (s *Server) stateArg(c *call, i int) (*Overlay, error) {
	at, err := c.at(i)
	if err != nil {
		return nil, err
	}
	return s.chain.StateAt(at)
}

func (s *Server) getMetadata(c *call) (any, error) {
	if _, err := s.stateArg(c, 0); err != nil {
		return nil, err
	}
	meta, err := s.chain.Engine().Metadata(14)
	if err != nil {
		return nil, err
	}
	return s.meta.hex(meta), nil
}

func (s *Server) runtimeVersion(c *call) (any, error) {
	if _, err := s.stateArg(c, 0); err != nil {
		return nil, err
	}
	return versionOf(s.chain.Engine().Version()), nil
}

func (s *Server) stateCall(c *call) (any, error) {
	name, err := arg[string](c, 0, "method")
	if err != nil {
		return nil, err
	}
	args, err := arg[hexBytes](c, 1, "arguments")
	if err != nil {
		return nil, err
	}
	at, err := c.at(2)
	if err != nil {
		return nil, err
	}
	out, err := s.chain.Call(at, name, args)
	if err != nil {
		return nil, executionError(name, err)
	}
	return hexBytes(out), nil
}

// keysFrom lists up to limit keys with a prefix that come after start.
func keysFrom(st State, prefix, start []byte, limit int) []hexBytes {
	keys := []hexBytes{}
	key := st.Next(start)
	if len(start) == 0 || bytes.Compare(start, prefix) < 0 {
		if key = prefix; st.Get(prefix) == nil {
			key = st.Next(prefix)
		}
	}
	for key != nil && bytes.HasPrefix(key, prefix) && len(keys) < limit {
		keys = append(keys, key)
		key = st.Next(key)
	}
	return keys
}

func (s *Server) getKeys(c *call) (any, error) {
	prefix, err := arg[hexBytes](c, 0, "prefix")
	if err != nil {
		return nil, err
	}
	st, err := s.stateArg(c, 1)
	if err != nil {
		return nil, err
	}
	keys := keysFrom(st, prefix, nil, maxKeysAll+1)
	if len(keys) > maxKeysAll {
		return nil, countError(len(keys), maxKeysAll)
	}
	return keys, nil
}

func countError(n, limit int) *RPCError {
	return &RPCError{Code: codeStateCount, Message: fmt.Sprintf("count exceeds maximum value. value: %d, max: %d", n, limit)}
}

func (s *Server) getPairs(c *call) (any, error) {
	prefix, err := arg[hexBytes](c, 0, "prefix")
	if err != nil {
		return nil, err
	}
	st, err := s.stateArg(c, 1)
	if err != nil {
		return nil, err
	}
	keys := keysFrom(st, prefix, nil, maxKeysAll+1)
	if len(keys) > maxKeysAll {
		return nil, countError(len(keys), maxKeysAll)
	}
	pairs := make([][2]hexBytes, len(keys))
	for i, key := range keys {
		pairs[i] = [2]hexBytes{key, st.Get(key)}
	}
	return pairs, nil
}

func (s *Server) getKeysPaged(c *call) (any, error) {
	prefix, _, err := optArg[hexBytes](c, 0, "prefix")
	if err != nil {
		return nil, err
	}
	count, err := arg[uint32](c, 1, "count")
	if err != nil {
		return nil, err
	}
	start, _, err := optArg[hexBytes](c, 2, "start key")
	if err != nil {
		return nil, err
	}
	if count > maxKeysPage {
		return nil, countError(int(count), maxKeysPage)
	}
	st, err := s.stateArg(c, 3)
	if err != nil {
		return nil, err
	}
	return keysFrom(st, prefix, start, int(count)), nil
}

func (s *Server) keysArg(c *call) ([]hexBytes, error) {
	var keys []hexBytes
	var err error
	plain := false
	if len(c.params) > 0 {
		keys, plain = hexArray(c.params[0])
	}
	if !plain {
		keys, err = arg[[]hexBytes](c, 0, "keys")
	}
	if err == nil && len(keys) > maxQueryKeys {
		err = countError(len(keys), maxQueryKeys)
	}
	return keys, err
}

func (s *Server) queryStorageAt(c *call) (any, error) {
	keys, err := s.keysArg(c)
	if err != nil {
		return nil, err
	}
	at, err := c.at(1)
	if err != nil {
		return nil, err
	}
	st, err := s.chain.StateAt(at)
	if err != nil {
		return nil, err
	}
	return rawJSON(append(valuesAt(st, keys, at).append([]byte{'['}), ']')), nil
}

func valuesAt(st State, keys []hexBytes, at chain.Hash) changeSet {
	set := changeSet{Block: at, Changes: make([]change, len(keys))}
	for i, key := range keys {
		set.Changes[i] = change{key, st.Get(key)}
	}
	return set
}

// queryStorage lists the values at the first block of a span and the changes in
// those that follow.
func (s *Server) queryStorage(c *call) (any, error) {
	keys, err := s.keysArg(c)
	if err != nil {
		return nil, err
	}
	from, err := arg[chain.Hash](c, 1, "first block")
	if err != nil {
		return nil, err
	}
	to, err := c.at(2)
	if err != nil {
		return nil, err
	}
	var span []*Block
	for h := to; ; {
		b, err := s.chain.Block(h)
		if err != nil {
			return nil, err
		}
		span = append(span, b)
		if b.Hash == from {
			break
		}
		if b.Number() == 0 || len(span) > maxQuerySpan {
			return nil, &RPCError{Code: 4001, Message: fmt.Sprintf("Cannot resolve a block range ['%s' ... '%s]. from is not an ancestor within %d blocks", from, to, maxQuerySpan)}
		}
		h = b.Header.Parent
	}
	slices.Reverse(span)
	var out []changeSet
	last := map[string][]byte{}
	for i, b := range span {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		st, err := s.chain.StateAt(b.Hash)
		if err != nil {
			return nil, err
		}
		set := changeSet{Block: b.Hash}
		for _, key := range keys {
			v := st.Get(key)
			if old, seen := last[string(key)]; i == 0 || !seen || !bytes.Equal(old, v) || (old == nil) != (v == nil) {
				set.Changes = append(set.Changes, change{key, v})
				last[string(key)] = v
			}
		}
		if len(set.Changes) > 0 {
			out = append(out, set)
		}
	}
	return out, nil
}
