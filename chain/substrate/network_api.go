package substrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// definitions are the structs that the runtime API of a generation returns as opaque bytes, so that no metadata has them.
func (g Generation) definitions() []metadata.Definition {
	const (
		subnetHead = `{id: u32, friendly_id: Option<u32>, name: Vec<u8>, repo: Vec<u8>, description: Vec<u8>, misc: Vec<u8>,
			state: SubnetState, start_epoch: u32, churn_limit: u32, churn_limit_multiplier: u32, min_stake: u128, max_stake: u128,
			queue_immunity_epochs: u32, target_node_registrations_per_epoch: u32, node_registrations_this_epoch: u32,
			subnet_node_queue_epochs: u32, idle_classification_epochs: u32, included_classification_epochs: u32,
			delegate_stake_percentage: u128, last_delegate_stake_rewards_update: u32, node_burn_rate_alpha: u128, current_node_burn_rate: u128,`
		subnetMiddle = `max_registered_nodes: u32, owner: Option<AccountId20>, pending_owner: Option<AccountId20>, registration_epoch: Option<u32>,
			prev_pause_epoch: u32,`
		subnetLater = `slot_index: Option<u32>, slot_assignment: Option<u32>,
			subnet_node_min_weight_decrease_reputation_threshold: u128, reputation: u128, min_subnet_node_reputation: u128,
			absent_decrease_reputation_factor: u128, included_increase_reputation_factor: u128,
			below_min_weight_decrease_reputation_factor: u128, non_attestor_decrease_reputation_factor: u128,
			non_consensus_attestor_decrease_reputation_factor: u128, validator_absent_subnet_node_reputation_factor: u128,
			validator_non_consensus_subnet_node_reputation_factor: u128,`
		bootnodes  = `bootnode_access: BTreeSet<AccountId20>, bootnodes: BTreeMap<Vec<u8>,Vec<u8>>,`
		subnetTail = `total_nodes: u32, total_active_nodes: u32, total_electable_nodes: u32, current_min_delegate_stake: u128, total_subnet_stake: u128,
			total_subnet_delegate_stake_shares: u128, total_subnet_delegate_stake_balance: u128}`
	)
	const (
		identity = `identity: {name: Vec<u8>, url: Vec<u8>, image: Vec<u8>, discord: Vec<u8>, x: Vec<u8>, telegram: Vec<u8>,
			github: Vec<u8>, hugging_face: Vec<u8>, description: Vec<u8>, misc: Vec<u8>},`
		rates = `delegate_reward_rate: u128, last_delegate_reward_rate_update: u32,
			unique: Option<Vec<u8>>, non_unique: Option<Vec<u8>>, stake_balance: u128,
			total_node_delegate_stake_shares: u128, node_delegate_stake_balance: u128,
			coldkey_reputation: Reputation, subnet_node_reputation: u128,
			node_slot_index: Option<u32>, consecutive_idle_epochs: u32, consecutive_included_epochs: u32}`
		peers    = `peer_info: PeerInfo, bootnode_peer_info: Option<PeerInfo>, client_peer_info: Option<PeerInfo>,`
		coldkeys = `initial_coldkeys: Option<BTreeMap<AccountId20,u32>>, initial_coldkey_data: Option<BTreeMap<AccountId20,u32>>,`
		stake    = `{subnet_id: Option<u32>, subnet_node_id: Option<u32>, hotkey: AccountId20, balance: u128}`
		entries  = `{subnet_bootnodes: BTreeMap<Vec<u8>,Vec<u8>>,
			node_bootnodes: BTreeMap<Vec<u8>,Option<Vec<u8>>>, registered_bootnodes: BTreeMap<Vec<u8>,Option<Vec<u8>>>}`
	)
	defs := []metadata.Definition{
		{Name: "DelegateStakeInfo", Expr: `{subnet_id: u32, shares: u128, balance: u128}`},
		{Name: "NodeDelegateStakeInfo", Expr: `{subnet_id: u32, subnet_node_id: u32, shares: u128, balance: u128}`},
	}
	add := func(name, expr string) { defs = append(defs, metadata.Definition{Name: name, Expr: expr}) }
	switch g {
	case G1:
		add("SubnetNodeInfo", `{subnet_id: u32, subnet_node_id: u32, coldkey: AccountId20, hotkey: AccountId20,
			peer_id: Vec<u8>, bootnode_peer_id: Vec<u8>, client_peer_id: Vec<u8>, bootnode: Option<Vec<u8>>,`+identity+
			`classification: SubnetNodeClassification,`+rates)
		add("SubnetInfo", subnetHead+coldkeys+subnetMiddle+`key_types: BTreeSet<KeyType>,`+subnetLater+
			`bootnode_access: BTreeSet<AccountId20>, bootnodes: BTreeSet<Vec<u8>>,`+subnetTail)
		add("NodeStakeInfo", stake)
		add("AllSubnetBootnodes", `{bootnodes: BTreeSet<Vec<u8>>, node_bootnodes: BTreeSet<Vec<u8>>}`)
		add("OverwatchNodeInfo", `{overwatch_node_id: u32, coldkey: AccountId20, hotkey: AccountId20, peer_ids: Vec<Vec<u8>>, reputation: Reputation}`)
	case G2:
		add("SubnetNodeInfo", `{subnet_id: u32, subnet_node_id: u32, coldkey: AccountId20, hotkey: AccountId20,`+peers+
			`delegate_account: Option<{account_id: AccountId20, rate: u128}>,`+identity+`classification: SubnetNodeClassification,`+rates)
		add("SubnetInfo", subnetHead+coldkeys+subnetMiddle+subnetLater+bootnodes+subnetTail)
		add("NodeStakeInfo", stake)
		add("AllSubnetBootnodes", entries)
		add("OverwatchNodeInfo", `{overwatch_node_id: u32, coldkey: AccountId20, hotkey: Option<AccountId20>,
			peer_ids: BTreeMap<u32,Vec<u8>>, reputation: Reputation, account_overwatch_stake: u128}`)
	case G3, G3b:
		add("SubnetNodeInfo", `{validator_id: Option<u32>, subnet_id: u32, subnet_node_id: u32, coldkey: AccountId20, hotkey: AccountId20,`+peers+
			`classification: SubnetNodeClassification, unique: Option<Vec<u8>>, non_unique: Option<Vec<u8>>,
			stake_balance: u128, reputation: Option<u128>,
			node_slot_index: Option<u32>, consecutive_idle_epochs: u32, consecutive_included_epochs: u32}`)
		add("SubnetInfo", subnetHead+`initial_validators: Option<BTreeMap<u32,u32>>, initial_validator_data: Option<BTreeMap<u32,u32>>,`+
			subnetMiddle+subnetLater+`pending_reputation_factors: Option<{effective_subnet_epoch: u32,
			factors: {absent_decrease: u128, included_increase: u128, below_min_weight_decrease: u128, non_attestor_decrease: u128,
			non_consensus_attestor_decrease: u128, validator_absent_decrease: u128, validator_non_consensus_decrease: u128}}>,`+bootnodes+subnetTail)
		add("NodeStakeInfo", `{subnet_id: Option<u32>, subnet_node_id: Option<u32>, balance: u128}`)
		add("AllSubnetBootnodes", entries)
		add("OverwatchNodeInfo", `{overwatch_node_id: u32, hotkey: Option<AccountId20>,
			peer_ids: BTreeMap<u32,Vec<u8>>, reputation: Reputation, account_overwatch_stake: u128}`)
	default:
		return nil
	}
	return defs
}

// networkFunction is a function of NetworkRuntimeApi: its argument types, and the type within its opaque result.
type networkFunction struct {
	name   string
	args   string
	result string
}

// networkFunctions lists them for all generations; a generation lacks those whose types it lacks.
func networkFunctions() []networkFunction {
	return []networkFunction{
		{"get_subnet_info", "(u32)", "Option<SubnetInfo>"},
		{"get_all_subnets_info", "()", "Vec<SubnetInfo>"},
		{"get_subnet_node_info", "(u32,u32)", "Option<SubnetNodeInfo>"},
		{"get_subnet_nodes_info", "(u32)", "Vec<SubnetNodeInfo>"},
		{"get_all_subnet_nodes_info", "()", "Vec<SubnetNodeInfo>"},
		{"get_bootnodes", "(u32)", "AllSubnetBootnodes"},
		{"get_coldkey_subnet_nodes_info", "(AccountId20)", "Vec<SubnetNodeInfo>"},
		{"get_validator_subnet_nodes_info", "(u32)", "Vec<SubnetNodeInfo>"},
		{"get_coldkey_stakes", "(AccountId20)", "Vec<NodeStakeInfo>"},
		{"get_validator_stakes", "(u32)", "Vec<NodeStakeInfo>"},
		{"get_delegate_stakes", "(AccountId20)", "Vec<DelegateStakeInfo>"},
		{"get_node_delegate_stakes", "(AccountId20)", "Vec<NodeDelegateStakeInfo>"},
		{"get_overwatch_commits_for_epoch_and_node", "(u32,u32)", "Vec<(u32,H256)>"},
		{"get_overwatch_reveals_for_epoch_and_node", "(u32,u32)", "Vec<(u32,u128)>"},
		{"get_elected_validator_info", "(u32,u32)", "Option<SubnetNodeInfo>"},
		{"get_validators_and_attestors", "(u32)", "Vec<SubnetNodeInfo>"},
		{"get_all_overwatch_nodes_info", "()", "Vec<OverwatchNodeInfo>"}, // not in G1
	}
}

const (
	argsPrefix   = "mesh:args:"
	resultPrefix = "mesh:result:"
)

// functionDefinitions are the argument and result types of the functions, under names that no runtime has.
func functionDefinitions() []metadata.Definition {
	var defs []metadata.Definition
	for _, f := range networkFunctions() {
		defs = append(defs, metadata.Definition{Name: argsPrefix + f.name, Expr: f.args}, metadata.Definition{Name: resultPrefix + f.name, Expr: f.result})
	}
	return defs
}

// Network calls a function of the runtime API of pallet Network, such as "get_subnet_info", and returns its result as a
// dynamic value. It asks by state_call and, where a node does not serve that, by the network_* methods of JSON-RPC.
func (c *Client) Network(ctx context.Context, at chain.Hash, function string, args ...any) (any, error) {
	rt := c.rt.Load()
	in, ok1 := rt.reg.TypeByName(argsPrefix + function)
	out, ok2 := rt.reg.TypeByName(resultPrefix + function)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("substrate: %s on %s: %w", function, rt.generation, chain.ErrNotOnThisChain)
	}
	var e scale.Encoder
	if err := rt.reg.EncodeValue(&e, in, metadata.Tuple(args)); err != nil {
		return nil, fmt.Errorf("substrate: %s: %w", function, err)
	}
	b, err := c.StateCall(ctx, at, "NetworkRuntimeApi_"+function, e.Buf)
	if err == nil {
		d := scale.NewDecoder(b) // opaque bytes: encoded once more
		b = d.BytesView()
		err = d.Finish()
	} else if isAnswer(err) {
		b, err = c.networkRPC(ctx, at, function, args)
	}
	if err != nil {
		return nil, fmt.Errorf("substrate: %s: %w", function, err)
	}
	d := scale.NewDecoder(b)
	v := rt.reg.DecodeValue(d, out)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("substrate: %s: %w", function, err)
	}
	return v, nil
}

// networkRPC asks the same by JSON-RPC: get_subnet_info is network_getSubnetInfo.
func (c *Client) networkRPC(ctx context.Context, at chain.Hash, function string, args []any) ([]byte, error) {
	words := strings.Split(function, "_")
	for i := 1; i < len(words); i++ {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	params := append([]any(nil), args...)
	b, err := c.Call(ctx, "network_"+strings.Join(words, ""), append(params, atParam(at))...)
	if err != nil {
		return nil, err
	}
	return bytesAnswer(b)
}
