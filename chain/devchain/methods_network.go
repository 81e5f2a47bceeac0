package devchain

import (
	"encoding/binary"
	"errors"

	"github.com/hypertensor-blockchain/mesh/chain"
)

// argKind is the type of a parameter of a network_ method.
type argKind uint8

const (
	argU32 argKind = iota
	argU8
	argAccount // 0x and hex digits
	argBytes   // an array of numbers
	argOptU128 // a number or null; the last parameter
)

// networkMethod maps a custom method of the chain's nodes to its runtime API.
type networkMethod struct {
	api  string
	args []argKind
	what string // "Unable to get <what>"
}

func networkTable() map[string]networkMethod {
	u32 := []argKind{argU32}
	two := []argKind{argU32, argU32}
	who := []argKind{argAccount}
	return map[string]networkMethod{
		"network_getSubnetInfo":                      {"get_subnet_info", u32, "subnet info"},
		"network_getAllSubnetsInfo":                  {"get_all_subnets_info", nil, "all subnets info"},
		"network_getSubnetNodeInfo":                  {"get_subnet_node_info", two, "subnet node info"},
		"network_getSubnetNodesInfo":                 {"get_subnet_nodes_info", u32, "subnet nodes info"},
		"network_getAllSubnetNodesInfo":              {"get_all_subnet_nodes_info", nil, "all subnet nodes info"},
		"network_proofOfStake":                       {"proof_of_stake", []argKind{argU32, argBytes, argU8, argOptU128}, "proof of stake"},
		"network_getBootnodes":                       {"get_bootnodes", u32, "bootnodes"},
		"network_getColdkeySubnetNodesInfo":          {"get_coldkey_subnet_nodes_info", who, "coldkey subnet nodes info"},
		"network_getColdkeyStakes":                   {"get_coldkey_stakes", who, "coldkey stakes"},
		"network_getValidatorSubnetNodesInfo":        {"get_validator_subnet_nodes_info", u32, "validator subnet nodes info"},
		"network_getValidatorStakes":                 {"get_validator_stakes", u32, "validator stakes"},
		"network_getDelegateStakes":                  {"get_delegate_stakes", who, "delegate stakes"},
		"network_getNodeDelegateStakes":              {"get_node_delegate_stakes", who, "node delegate stakes"},
		"network_getOverwatchCommitsForEpochAndNode": {"get_overwatch_commits_for_epoch_and_node", two, "overwatch commits"},
		"network_getOverwatchRevealsForEpochAndNode": {"get_overwatch_reveals_for_epoch_and_node", two, "overwatch reveals"},
		"network_getElectedValidatorInfo":            {"get_elected_validator_info", two, "elected validator info"},
		"network_getValidatorsAndAttestors":          {"get_validators_and_attestors", u32, "validators and attestors"},
		"network_getAllOverwatchNodesInfo":           {"get_all_overwatch_nodes_info", nil, "all overwatch nodes info"},
	}
}

func (s *Server) networkMethods() map[string]method {
	out := map[string]method{}
	for name, m := range networkTable() {
		out[name] = func(c *call) (any, error) { return s.network(c, m) }
	}
	return out
}

// network calls a NetworkRuntimeApi function. All but proof_of_stake return a
// Vec<u8> that holds SCALE once more; it is sent as an array of numbers.
func (s *Server) network(c *call, m networkMethod) (any, error) {
	args, err := c.encode(m.args)
	if err != nil {
		return nil, err
	}
	at, err := c.at(len(m.args))
	if err != nil {
		return nil, err
	}
	name := "NetworkRuntimeApi_" + m.api
	out, err := s.chain.Call(at, name, args)
	var block *BlockError
	if err != nil && !errors.As(err, &block) && len(m.args) > 0 && m.args[len(m.args)-1] == argOptU128 && args[len(args)-1] == 0 {
		out, err = s.chain.Call(at, name, args[:len(args)-1]) // the oldest generation lacks the last parameter
	}
	if err != nil {
		return nil, &RPCError{Code: codeRuntime, Message: "Unable to get " + m.what + ".", Data: executionError(name, err).Error()}
	}
	if m.api == "proof_of_stake" {
		return len(out) == 1 && out[0] == 1, nil
	}
	n, size := readCompact(out)
	if size == 0 || n != uint64(len(out)-size) {
		return nil, &RPCError{Code: codeRuntime, Message: "Unable to get " + m.what + ".", Data: "malformed answer of the runtime"}
	}
	return byteArray(out[size:]), nil
}

// encode turns the parameters into the SCALE arguments of a runtime API.
func (c *call) encode(kinds []argKind) ([]byte, error) {
	var b []byte
	for i, kind := range kinds {
		switch kind {
		case argU32:
			v, err := arg[uint32](c, i, "u32")
			if err != nil {
				return nil, err
			}
			b = binary.LittleEndian.AppendUint32(b, v)
		case argU8:
			v, err := arg[uint8](c, i, "u8")
			if err != nil {
				return nil, err
			}
			b = append(b, v)
		case argAccount:
			v, err := arg[chain.AccountID](c, i, "account")
			if err != nil {
				return nil, err
			}
			b = append(b, v[:]...)
		case argBytes:
			v, err := arg[byteArray](c, i, "bytes")
			if err != nil {
				return nil, err
			}
			b = append(appendCompact(b, uint64(len(v))), v...)
		case argOptU128:
			v, ok, err := optArg[number](c, i, "u128")
			if err != nil {
				return nil, err
			}
			if !ok {
				b = append(b, 0)
				continue
			}
			if _, fits := v.uint(128); !fits {
				return nil, paramsError("parameter %d (u128) is too large", i+1)
			}
			le := make([]byte, 16)
			v.FillBytes(le)
			for l, r := 0, 15; l < r; l, r = l+1, r-1 {
				le[l], le[r] = le[r], le[l]
			}
			b = append(append(b, 1), le...)
		}
	}
	return b, nil
}
