package devchain

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/hypertensor-blockchain/mesh/chain"
	"golang.org/x/crypto/blake2b"
)

// fixed is a method that takes no notice of its parameters.
func fixed(f func() any) method { return func(*call) (any, error) { return f(), nil } }

type health struct {
	Peers           int  `json:"peers"`
	IsSyncing       bool `json:"isSyncing"`
	ShouldHavePeers bool `json:"shouldHavePeers"`
}

func healthOf() health { return health{} }

// hexNumber is a block number as the JSON of headers has it.
func hexNumber[N ~uint32 | ~uint64](n N) string { return "0x" + strconv.FormatUint(uint64(n), 16) }

func (s *Server) systemMethods() map[string]method {
	empty := fixed(func() any { return []string{} })
	genesis := fixed(func() any { return s.chain.Genesis().Hash })
	name := fixed(func() any { return s.cfg.ChainName })
	props := fixed(func() any { return s.cfg.Properties })
	nonce := func(c *call) (any, error) {
		who, err := arg[hexBytes](c, 0, "account")
		if err != nil {
			return nil, err
		}
		if len(who) != 20 && len(who) != 32 {
			return nil, paramsError("an account has 20 or 32 bytes, not %d", len(who))
		}
		n, err := s.chain.NextNonce(who)
		if err != nil {
			return nil, &RPCError{Code: codeRuntime, Message: "Unable to query nonce.", Data: err.Error()}
		}
		return n, nil
	}
	return map[string]method{
		"rpc_methods":                 fixed(func() any { return map[string]any{"methods": s.methodNames()} }),
		"system_chain":                name,
		"system_name":                 fixed(func() any { return s.cfg.ImplName }),
		"system_version":              fixed(func() any { return s.cfg.ImplVersion }),
		"system_properties":           props,
		"system_health":               fixed(func() any { return healthOf() }),
		"system_chainType":            fixed(func() any { return "Development" }),
		"system_nodeRoles":            fixed(func() any { return []string{"Authority"} }),
		"system_localListenAddresses": empty,
		"system_localPeerId":          fixed(func() any { return "" }),
		"system_peers":                empty,
		"system_reservedPeers":        empty,
		"system_syncState": fixed(func() any {
			n := s.best().Number()
			return map[string]any{"startingBlock": 0, "currentBlock": n, "highestBlock": n}
		}),
		"system_accountNextIndex":  nonce,
		"account_nextIndex":        nonce,
		"system_dryRun":            s.dryRun,
		"system_dryRunAt":          s.dryRun,
		"chainSpec_v1_chainName":   name,
		"chainSpec_v1_genesisHash": genesis,
		"chainSpec_v1_properties":  props,
		"payment_queryInfo":        s.queryInfo,
		"payment_queryFeeDetails":  s.queryFeeDetails,
	}
}

// dryRun applies an extrinsic and throws the result away.
func (s *Server) dryRun(c *call) (any, error) {
	xt, err := arg[hexBytes](c, 0, "extrinsic")
	if err != nil {
		return nil, err
	}
	at, err := c.at(1)
	if err != nil {
		return nil, err
	}
	res, err := s.chain.DryRun(at, xt)
	if err != nil {
		return nil, &RPCError{Code: 8000, Message: "Unable to dry run extrinsic.", Data: err.Error()}
	}
	return hexBytes(res), nil
}

func (s *Server) feeArgs(c *call) (chain.Hash, []byte, error) {
	xt, err := arg[hexBytes](c, 0, "extrinsic")
	if err != nil {
		return chain.Hash{}, nil, err
	}
	at, err := c.at(1)
	if err != nil {
		return at, nil, err
	}
	n := len(xt)
	return at, append(append([]byte{}, xt...), byte(n), byte(n>>8), byte(n>>16), byte(n>>24)), nil
}

func (s *Server) queryInfo(c *call) (any, error) {
	at, args, err := s.feeArgs(c)
	if err != nil {
		return nil, err
	}
	out, err := s.chain.Call(at, "TransactionPaymentApi_query_info", args)
	if err != nil {
		return nil, &RPCError{Code: codeRuntime, Message: "Unable to query dispatch info.", Data: executionError("TransactionPaymentApi_query_info", err).Error()}
	}
	ref, n := readCompact(out)
	proof, m := readCompact(out[n:])
	if n == 0 || m == 0 || len(out) != n+m+17 || out[n+m] > 2 {
		return nil, &RPCError{Code: codeRuntime, Message: "Unable to query dispatch info.", Data: "malformed answer of the runtime"}
	}
	return map[string]any{
		"weight":     map[string]uint64{"ref_time": ref, "proof_size": proof},
		"class":      []string{"normal", "operational", "mandatory"}[out[n+m]],
		"partialFee": leUint(out[n+m+1:]).String(),
	}, nil
}

func (s *Server) queryFeeDetails(c *call) (any, error) {
	at, args, err := s.feeArgs(c)
	if err != nil {
		return nil, err
	}
	const failed = "Unable to query fee details."
	out, err := s.chain.Call(at, "TransactionPaymentApi_query_fee_details", args)
	if err != nil {
		return nil, &RPCError{Code: codeRuntime, Message: failed, Data: executionError("TransactionPaymentApi_query_fee_details", err).Error()}
	}
	if len(out) > 0 && out[0] == 0 {
		return map[string]any{"inclusionFee": nil}, nil
	}
	if len(out) < 49 {
		return nil, &RPCError{Code: codeRuntime, Message: failed, Data: "malformed answer of the runtime"}
	}
	fee := map[string]string{}
	for i, name := range []string{"baseFee", "lenFee", "adjustedWeightFee"} {
		fee[name] = "0x" + leUint(out[1+16*i:17+16*i]).Text(16)
	}
	return map[string]any{"inclusionFee": fee}, nil
}

type blockJSON struct {
	Header     headerJSON `json:"header"`
	Extrinsics []hexBytes `json:"extrinsics"`
}

type headerJSON struct {
	Parent         chain.Hash `json:"parentHash"`
	Number         string     `json:"number"`
	StateRoot      chain.Hash `json:"stateRoot"`
	ExtrinsicsRoot chain.Hash `json:"extrinsicsRoot"`
	Digest         struct {
		Logs []hexBytes `json:"logs"`
	} `json:"digest"`
}

func headerOf(h Header) headerJSON {
	j := headerJSON{Parent: h.Parent, Number: hexNumber(h.Number), StateRoot: h.StateRoot, ExtrinsicsRoot: h.ExtrinsicsRoot}
	j.Digest.Logs = hexList(h.Digest)
	return j
}

func hexList(list [][]byte) []hexBytes {
	out := make([]hexBytes, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}

func (s *Server) chainMethods() map[string]method {
	newHeads := s.subscribeHeads("chain_newHead", EventBest)
	finalHeads := s.subscribeHeads("chain_finalizedHead", EventFinalized)
	finalHead := fixed(func() any { return s.finalized().Hash })
	return map[string]method{
		"chain_getBlockHash":              s.blockHash,
		"chain_getHead":                   s.blockHash,
		"chain_getRuntimeVersion":         s.runtimeVersion,
		"chain_getFinalizedHead":          finalHead,
		"chain_getFinalisedHead":          finalHead,
		"chain_subscribeNewHeads":         newHeads,
		"chain_subscribeNewHead":          newHeads,
		"subscribe_newHead":               newHeads,
		"chain_unsubscribeNewHeads":       unsubscribe,
		"chain_unsubscribeNewHead":        unsubscribe,
		"unsubscribe_newHead":             unsubscribe,
		"chain_subscribeAllHeads":         s.subscribeHeads("chain_allHead", EventImported),
		"chain_unsubscribeAllHeads":       unsubscribe,
		"chain_subscribeFinalizedHeads":   finalHeads,
		"chain_subscribeFinalisedHeads":   finalHeads,
		"chain_unsubscribeFinalizedHeads": unsubscribe,
		"chain_unsubscribeFinalisedHeads": unsubscribe,
		"chain_subscribeRuntimeVersion":   s.subscribeRuntimeVersion,
		"chain_unsubscribeRuntimeVersion": unsubscribe,
		"chain_getHeader": func(c *call) (any, error) {
			b, err := s.blockArg(c)
			if b == nil || err != nil {
				return nil, err
			}
			return headerOf(b.Header), nil
		},
		"chain_getBlock": func(c *call) (any, error) {
			b, err := s.blockArg(c)
			if b == nil || err != nil {
				return nil, err
			}
			return map[string]any{
				"block":          blockJSON{headerOf(b.Header), hexList(b.Extrinsics)},
				"justifications": nil,
			}, nil
		},
	}
}

// blockArg returns the block of the optional hash, nil when it is not known.
func (s *Server) blockArg(c *call) (*Block, error) {
	h, err := c.at(0)
	if err != nil {
		return nil, err
	}
	b, err := s.chain.Block(h)
	if _, unknown := err.(*BlockError); unknown { //nolint:errorlint // Block returns it bare
		return nil, nil
	}
	return b, err
}

// blockHash answers for no number, for one, and for a list.
func (s *Server) blockHash(c *call) (any, error) {
	one := func(n *number) any {
		v, ok := n.uint(32)
		if !ok || v > uint64(s.best().Number()) {
			return nil
		}
		h, ok := s.chain.BlockHash(chain.BlockNumber(v))
		if !ok {
			return nil
		}
		return h
	}
	if len(c.params) > 0 && len(c.params[0]) > 0 && c.params[0][0] == '[' {
		list, err := arg[[]number](c, 0, "block numbers")
		if err != nil {
			return nil, err
		}
		out := make([]any, len(list))
		for i := range list {
			out[i] = one(&list[i])
		}
		return out, nil
	}
	n, ok, err := optArg[number](c, 0, "block number")
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return s.best().Hash, nil
	}
	return one(&n), nil
}

func (s *Server) authorMethods() map[string]method {
	return map[string]method{
		"author_pendingExtrinsics":       fixed(func() any { return hexList(s.chain.Pending()) }),
		"author_submitAndWatchExtrinsic": s.submitAndWatch,
		"author_unwatchExtrinsic":        unsubscribe,
		"author_submitExtrinsic":         s.submitExtrinsic,
	}
}

func (s *Server) submitExtrinsic(c *call) (any, error) {
	xt, err := arg[hexBytes](c, 0, "extrinsic")
	if err != nil {
		return nil, err
	}
	if err := s.faults.refuse(); err != nil {
		return nil, err
	}
	h, err := s.chain.Submit(xt)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// metaCache keeps the hex form of the metadata, which every client asks for.
type metaCache struct {
	mu   sync.Mutex
	hash chain.Hash
	text json.RawMessage
}

func (m *metaCache) hex(meta []byte) json.RawMessage {
	h := blake2b.Sum256(meta)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hash != h {
		m.hash, m.text = h, json.RawMessage(`"0x`+hex.EncodeToString(meta)+`"`)
	}
	return m.text
}

type versionJSON struct {
	SpecName           string   `json:"specName"`
	ImplName           string   `json:"implName"`
	AuthoringVersion   uint32   `json:"authoringVersion"`
	SpecVersion        uint32   `json:"specVersion"`
	ImplVersion        uint32   `json:"implVersion"`
	APIs               [][2]any `json:"apis"`
	TransactionVersion uint32   `json:"transactionVersion"`
	SystemVersion      uint8    `json:"systemVersion"`
	StateVersion       uint8    `json:"stateVersion"`
}

func versionOf(v RuntimeVersion) versionJSON {
	j := versionJSON{
		v.SpecName, v.ImplName, v.AuthoringVersion, v.SpecVersion, v.ImplVersion,
		make([][2]any, len(v.APIs)), v.TransactionVersion, v.StateVersion, v.StateVersion,
	}
	for i, api := range v.APIs {
		j.APIs[i] = [2]any{fmt.Sprintf("0x%x", api.ID), api.Version}
	}
	return j
}
