package substrate

import (
	_ "embed" // the calls of G3
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
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
