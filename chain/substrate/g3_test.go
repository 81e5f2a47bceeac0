package substrate

import (
	_ "embed" // the calls of G3
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

//go:embed testdata/g3-calls.txt
var g3Calls string

// g3Metadata describes generation G3 as far as the client uses it. There is no runtime of G3 to take it from; names and types
// are those of its source.
func g3Metadata(t testing.TB) []byte {
	t.Helper()
	defs := []metadata.Definition{
		{Name: "AccountId20", Expr: "[u8;20]"},
		{Name: "H256", Expr: "[u8;32]"},
		{Name: "EthereumSignature", Expr: "[u8;65]"},
		{Name: "U32", Expr: "u32"},
		{Name: "U128", Expr: "u128"},
		{Name: "Empty", Expr: "()"},
		{Name: "PeerInfo", Expr: "{peer_id: Vec<u8>, multiaddr: Option<Vec<u8>>}"},
		{Name: "DelegateAccount", Expr: "{account_id: AccountId20, rate: u128}"},
		{Name: "IdentityData", Expr: `{name: Option<Vec<u8>>, url: Option<Vec<u8>>, image: Option<Vec<u8>>, discord: Option<Vec<u8>>, x: Option<Vec<u8>>,
			telegram: Option<Vec<u8>>, github: Option<Vec<u8>>, hugging_face: Option<Vec<u8>>, description: Option<Vec<u8>>, misc: Option<Vec<u8>>}`},
		{Name: "RegistrationSubnetData", Expr: `{name: Vec<u8>, repo: Vec<u8>, description: Vec<u8>, misc: Vec<u8>, min_stake: u128, max_stake: u128,
			delegate_stake_percentage: u128, initial_validators: BTreeMap<u32,u32>, bootnodes: BTreeMap<Vec<u8>,Vec<u8>>}`},
		{Name: "SubnetNodeConsensusData", Expr: "{subnet_node_id: u32, score: u128}"},
		{Name: "OverwatchCommit", Expr: "{subnet_id: u32, weight: H256}"},
		{Name: "OverwatchReveal", Expr: "{subnet_id: u32, weight: u128, salt: Vec<u8>}"},
		{Name: "SubnetReputationFactorUpdates", Expr: `{absent_decrease: Option<u128>, included_increase: Option<u128>, below_min_weight_decrease: Option<u128>,
			non_attestor_decrease: Option<u128>, non_consensus_attestor_decrease: Option<u128>, validator_absent_decrease: Option<u128>,
			validator_non_consensus_decrease: Option<u128>}`},
		{Name: "QueuedSwapCall", Expr: "u8"}, // not written here
		{Name: "Reputation", Expr: `{start_epoch: u32, score: u128, lifetime_node_count: u32, total_active_nodes: u32, total_increases: u32, total_decreases: u32,
			average_attestation: u128, last_validator_epoch: u32, ow_score: u128}`},
		{Name: "SubnetNodeClassification", Expr: "{node_class: u8, start_epoch: u32}"},
		{Name: "SubnetState", Expr: "u8"},
		{Name: "SubnetData", Expr: `{id: u32, friendly_id: u32, name: Vec<u8>, repo: Vec<u8>, description: Vec<u8>, misc: Vec<u8>, state: SubnetState, start_epoch: u32}`},
		{Name: "SubnetNode", Expr: `{id: u32, validator_id: u32, peer_info: PeerInfo, bootnode_peer_info: Option<PeerInfo>, client_peer_info: Option<PeerInfo>,
			classification: SubnetNodeClassification, unique: Option<Vec<u8>>, non_unique: Option<Vec<u8>>}`},
		{Name: "AttestEntry", Expr: "{block: u32, attestor_progress: u128, reward_factor: u128, data: Option<Vec<u8>>}"},
		{Name: "ConsensusData", Expr: `{validator_id: u32, block: u32, validator_epoch_progress: u128, validator_reward_factor: u128, validator_ids: Vec<u32>,
			attests: BTreeMap<u32,AttestEntry>, subnet_nodes: Vec<SubnetNode>, prioritize_queue_node_id: Option<u32>, remove_queue_node_id: Option<u32>,
			data: Vec<SubnetNodeConsensusData>, args: Option<Vec<u8>>}`},
		{Name: "AccountInfo", Expr: "{nonce: u32, consumers: u32, providers: u32, sufficients: u32, data: {free: u128, reserved: u128, frozen: u128, flags: u128}}"},
		{Name: "Pair", Expr: "(u32,u32)"},
		{Name: "Nonce", Expr: "Compact<u32>"},
		{Name: "Tip", Expr: "Compact<u128>"},
	}
	var names, args []string
	for line := range strings.Lines(g3Calls) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, "(")
		names = append(names, name)
		args = append(args, "{"+strings.TrimSuffix(rest, ")")+"}")
		defs = append(defs, metadata.Definition{Name: "call " + name, Expr: args[len(args)-1]})
	}
	r, err := metadata.NewRegistry(&metadata.Metadata{}, defs...)
	if err != nil {
		t.Fatal(err)
	}
	m := *r.Metadata()
	id := func(name string) metadata.TypeID {
		id, ok := r.TypeByName(name)
		if !ok {
			t.Fatalf("no type %s", name)
		}
		return id
	}
	for _, name := range []string{"AccountId20", "H256", "SubnetState"} { // structs around one value, as the runtime has them
		at := id(name)
		m.Types = append(m.Types, m.Types[at])
		m.Types[at] = metadata.Type{Path: []string{name}, Kind: metadata.KindComposite, Fields: []metadata.Field{{Type: metadata.TypeID(len(m.Types) - 1)}}}
	}
	var variants []metadata.Variant
	for _, name := range names {
		index, call, _ := strings.Cut(name, " ")
		n, err := strconv.ParseUint(index, 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		variants = append(variants, metadata.Variant{Name: call, Index: uint8(n), Fields: m.Types[id("call "+name)].Fields})
	}
	calls := metadata.TypeID(len(m.Types))
	m.Types = append(m.Types, metadata.Type{Path: []string{"pallet_network", "pallet", "Call"}, Kind: metadata.KindVariant, Variants: variants})
	entry := func(name, value string, hashers ...metadata.Hasher) metadata.StorageEntry {
		key := id("U32")
		if len(hashers) == 2 {
			key = id("Pair")
		}
		return metadata.StorageEntry{Name: name, Hashers: hashers, Key: key, Value: id(value), Default: []byte{0}}
	}
	const ident, blake = metadata.Identity, metadata.Blake2_128Concat
	m.Pallets = []metadata.Pallet{
		{Name: "System", Calls: metadata.NoType, Event: metadata.NoType, Error: metadata.NoType, Storage: &metadata.Storage{Prefix: "System", Entries: []metadata.StorageEntry{
			{Name: "Account", Modifier: metadata.ModifierDefault, Hashers: []metadata.Hasher{blake}, Key: id("AccountId20"), Value: id("AccountInfo"), Default: make([]byte, 80)},
		}}},
		{Name: "Network", Index: 23, Calls: calls, Event: metadata.NoType, Error: metadata.NoType, Storage: &metadata.Storage{Prefix: "Network", Entries: []metadata.StorageEntry{
			entry("SubnetsData", "SubnetData", ident), entry("SubnetNodesData", "SubnetNode", ident, ident), entry("RegisteredSubnetNodesData", "SubnetNode", ident, ident),
			entry("SubnetConsensusSubmission", "ConsensusData", ident, ident), entry("SubnetElectedValidator", "U32", ident, ident),
			entry("NodeSubnetStake", "U128", blake, ident), entry("ValidatorColdkey", "AccountId20", blake), entry("ValidatorIdHotkey", "AccountId20", blake),
			entry("SubnetNodeIdHotkey", "AccountId20", ident, ident), entry("SubnetNodeReputation", "U128", ident, ident),
		}}},
	}
	m.Extrinsic = metadata.Extrinsic{Version: 4, Type: id("Empty"), SignedExtensions: []metadata.SignedExtension{{Identifier: "CheckNonce", Type: id("Nonce"), Additional: id("Empty")}}}
	m.Runtime = id("Empty")
	b, err := m.EncodeV14()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestG3 recognises the generation, binds its types, and encodes every call that it has.
func TestG3(t *testing.T) {
	rt, err := newRuntime(chain.Hash{}, RuntimeVersion{}, g3Metadata(t))
	if err != nil {
		t.Fatal(err)
	}
	if rt.generation != G3 || rt.codecs.subnet == nil || rt.codecs.node == nil || rt.codecs.consensus == nil || rt.codecs.infos == nil {
		t.Fatalf("generation %s, codecs %+v: %v", rt.generation, rt.codecs, rt.codecs.infosError)
	}
	for _, s := range sampleCalls() {
		if p := s.call.Pallet; p != "Network" {
			continue
		}
		_, err := rt.encodeCall(s.call)
		if has := s.has(G3); has != (err == nil) || !has && !errors.Is(err, chain.ErrNotOnThisChain) && !errors.Is(err, metadata.ErrValue) {
			t.Errorf("%s: %v; want it to be there: %v", s.call, err, has)
		}
	}
	// The same call, other indices and arguments than in G2: 70 instead of 66, and the node's ID.
	b, err := rt.encodeCall(Attest(128001, 7, nil))
	if err != nil || !slices.Equal(b, []byte{23, 70, 1, 0xf4, 1, 0, 7, 0, 0, 0, 0}) {
		t.Errorf("attest %x, %v", b, err)
	}
}

// TestG3Submission reads who may attest from the submission itself.
func TestG3Submission(t *testing.T) {
	rt, err := newRuntime(chain.Hash{}, RuntimeVersion{}, g3Metadata(t))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := rt.reg.TypeByName("ConsensusData")
	var e scale.Encoder
	err = rt.reg.EncodeValue(&e, id, map[string]any{
		"validator_id": 3, "block": 45, "validator_epoch_progress": 0, "validator_reward_factor": 0, "validator_ids": []any{1, 3, 4},
		"attests":      []any{metadata.Tuple{3, map[string]any{"block": 45, "attestor_progress": 0, "reward_factor": 0}}},
		"subnet_nodes": []any{}, "data": []any{map[string]any{"subnet_node_id": 1, "score": 5}}, "remove_queue_node_id": 9,
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := rt.codecs.consensus.Decode(e.Buf)
	if err != nil {
		t.Fatal(err)
	}
	s := d.submission(2)
	if s.Proposer != 3 || !slices.Equal(s.Validators, []chain.NodeID{1, 3, 4}) || len(s.Attests) != 1 || s.Attests[0] != (chain.Attest{Node: 3, Block: 45}) ||
		s.RemoveQueue != 9 || s.PrioritizeQueue != 0 || len(s.Scores) != 1 {
		t.Errorf("%+v", s)
	}
}

// TestG3Nodes reads nodes from storage, where stake, keys and reputation belong to validators, and from the runtime API.
func TestG3Nodes(t *testing.T) {
	f := newFakeNode(t)
	f.answer("state_getMetadata", hexBytes(g3Metadata(t)))
	c := dialFake(t, f)
	rt := c.rt.Load()
	const subnet = chain.SubnetID(128001)
	store := map[string][]byte{}
	put := func(item string, v any, parts ...any) {
		t.Helper()
		e, key, err := rt.key(Key{"Network", item, parts})
		if err != nil {
			t.Fatal(err)
		}
		b, err := encodeAny(rt, e.Value, v)
		if err != nil {
			t.Fatal(err)
		}
		store[string(key)] = b
	}
	node := func(id, validator int, class int) map[string]any {
		return map[string]any{
			"id": id, "validator_id": validator, "peer_info": map[string]any{"peer_id": fmt.Sprintf("peer-%d", id)},
			"classification": map[string]any{"node_class": class, "start_epoch": 2},
		}
	}
	cold, hot, own := chain.AccountID{1}, chain.AccountID{2}, chain.AccountID{3}
	put("SubnetNodesData", node(1, 9, 3), subnet, 1)
	put("SubnetNodesData", node(256, 9, 2), subnet, 256)
	put("SubnetNodesData", node(5, 9, 3), subnet+1, 5) // of another subnet
	put("RegisteredSubnetNodesData", node(3, 9, 0), subnet, 3)
	put("ValidatorColdkey", cold[:], 9)
	put("ValidatorIdHotkey", hot[:], 9)
	put("SubnetNodeIdHotkey", own[:], subnet, 256)
	put("NodeSubnetStake", chain.Tensor(100), 1, subnet)
	put("SubnetNodeReputation", uint64(7), subnet, 256)
	serveStorage(f, store)

	got, err := c.Nodes(t.Context(), chain.Hash{5}, subnet)
	if err != nil {
		t.Fatal(err)
	}
	peer := func(id int) chain.PeerAddr { return chain.PeerAddr{PeerID: fmt.Sprintf("peer-%d", id)} }
	want := []chain.Node{
		{Subnet: subnet, ID: 1, Coldkey: cold, Hotkey: hot, Peer: peer(1), Class: chain.ClassValidator, StartEpoch: 2, Stake: chain.Tensor(100), Reputation: chain.OneTensor()},
		{Subnet: subnet, ID: 3, Coldkey: cold, Hotkey: hot, Peer: peer(3), Class: chain.ClassRegistered, StartEpoch: 2, Reputation: chain.OneTensor()},
		{Subnet: subnet, ID: 256, Coldkey: cold, Hotkey: own, Peer: peer(256), Class: chain.ClassIncluded, StartEpoch: 2, Reputation: u128.From64(7)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	id, _ := rt.reg.TypeByName(resultPrefix + "get_subnet_nodes_info")
	body, err := encodeAny(rt, id, []any{map[string]any{
		"validator_id": 9, "subnet_id": subnet, "subnet_node_id": 1, "coldkey": cold[:], "hotkey": hot[:], "peer_info": map[string]any{"peer_id": "peer-1"},
		"classification": map[string]any{"node_class": 3, "start_epoch": 2}, "stake_balance": chain.Tensor(100),
		"consecutive_idle_epochs": 0, "consecutive_included_epochs": 0,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var outer scale.Encoder
	outer.Bytes(body)
	f.answer("state_call", hexBytes(outer.Buf))
	got, err = c.Nodes(t.Context(), chain.Hash{5}, subnet)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[:1], got); diff != "" {
		t.Errorf("by the runtime API: %s", diff)
	}
}

// serveStorage teaches a node to read a map of storage.
func serveStorage(f *fakeNode, store map[string][]byte) {
	keys := slices.Sorted(maps.Keys(store))
	f.handle("state_getStorage", func(_ *fakeConn, params []json.RawMessage) (any, error) {
		var key hexBytes
		if err := json.Unmarshal(params[0], &key); err != nil {
			return nil, err
		}
		if v, ok := store[string(key)]; ok {
			return hexBytes(v), nil
		}
		return nil, nil //nolint:nilnil // null is how a node says that a key is absent
	})
	f.handle("state_queryStorageAt", func(_ *fakeConn, params []json.RawMessage) (any, error) {
		var list []hexBytes
		if err := json.Unmarshal(params[0], &list); err != nil {
			return nil, err
		}
		changes := make([][2]any, len(list))
		for i, k := range list {
			changes[i][0] = k
			if v, ok := store[string(k)]; ok {
				changes[i][1] = hexBytes(v)
			}
		}
		return []any{map[string]any{"block": chain.Hash{5}, "changes": changes}}, nil
	})
	f.handle("state_getKeysPaged", func(_ *fakeConn, params []json.RawMessage) (any, error) {
		var prefix hexBytes
		if err := json.Unmarshal(params[0], &prefix); err != nil {
			return nil, err
		}
		page := []hexBytes{}
		for _, k := range keys {
			if strings.HasPrefix(k, string(prefix)) {
				page = append(page, hexBytes(k))
			}
		}
		return page, nil
	})
}

// TestForgedKeys refuses pages of keys that are out of order or belong elsewhere: they could go on for ever.
func TestForgedKeys(t *testing.T) {
	f := newFakeNode(t)
	c := dialFake(t, f)
	e, prefix, err := c.rt.Load().key(Key{"System", "Account", []any{chain.AccountID{1}}})
	if err != nil {
		t.Fatal(err, e)
	}
	same := make([]hexBytes, keysPage)
	for i := range same {
		same[i] = prefix
	}
	for name, page := range map[string][]hexBytes{"repeated": same, "elsewhere": {[]byte("somewhere else entirely")}, "short": {{1}}} {
		f.answer("state_getKeysPaged", page)
		if _, err := c.Map(t.Context(), chain.Hash{5}, "System", "Account"); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, want ErrProtocol", name, err)
		}
	}
}
