package substrate

import (
	"bytes"
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/metadata"
)

// SubnetRegistration describes a subnet to be registered. Stakes are in planck, DelegateStakePercentage has 1e18 for 100 %.
type SubnetRegistration struct {
	Name, Repo, Description, Misc string
	MinStake, MaxStake            chain.Balance
	DelegateStakePercentage       chain.Balance
	// Who may register how many nodes before the activation: coldkeys (G1, G2) or validators (G3). At least three.
	InitialColdkeys   map[chain.AccountID]uint32
	InitialValidators map[uint32]uint32
	// Bootnodes are official entry points: peer ID to binary multiaddr that ends in /p2p. At least one.
	Bootnodes map[string][]byte
	// KeyTypes are the kinds of peer keys that G1 admits; none stands for Ed25519.
	KeyTypes []KeyType
}

// KeyType is a kind of peer key, which G1 wants to know.
type KeyType uint8

// The kinds of peer keys.
const (
	KeyRSA KeyType = iota
	KeyEd25519
	KeySecp256k1
	KeyECDSA
)

// RegisterSubnet registers a subnet for at most maxCost. The event Network.SubnetRegistered carries its ID.
func RegisterSubnet(maxCost chain.Balance, r SubnetRegistration) Call {
	common := metadata.Fields{
		{Name: "name", Value: []byte(r.Name)}, {Name: "repo", Value: []byte(r.Repo)}, {Name: "description", Value: []byte(r.Description)},
		{Name: "misc", Value: []byte(r.Misc)}, {Name: "min_stake", Value: r.MinStake}, {Name: "max_stake", Value: r.MaxStake},
		{Name: "delegate_stake_percentage", Value: r.DelegateStakePercentage},
	}
	with := func(more ...metadata.NamedValue) Call {
		return network("register_subnet", "max_cost", maxCost, "subnet_data", append(slices.Clone(common), more...))
	}
	kinds := slices.Clone(r.KeyTypes)
	if len(kinds) == 0 {
		kinds = []KeyType{KeyEd25519}
	}
	slices.Sort(kinds)
	coldkeys := metadata.NamedValue{Name: "initial_coldkeys", Value: orEmpty(r.InitialColdkeys)}
	validators := metadata.NamedValue{Name: "initial_validators", Value: orEmpty(r.InitialValidators)}
	bootnodes := metadata.NamedValue{Name: "bootnodes", Value: orEmpty(r.Bootnodes)}
	addresses := metadata.NamedValue{Name: "bootnodes", Value: addressSet(r.Bootnodes)}
	return with(coldkeys, bootnodes).or(with(validators, bootnodes)).or(with(coldkeys, metadata.NamedValue{Name: "key_types", Value: kinds}, addresses))
}

func orEmpty[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

// addressSet is the sorted set of the addresses, as G1 keeps bootnodes.
func addressSet(m map[string][]byte) [][]byte {
	out := make([][]byte, 0, len(m))
	for _, a := range m {
		out = append(out, a)
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// ActivateSubnet ends a subnet's registration. An unready subnet in its enactment period is removed instead, and the call
// succeeds: look for the event Network.SubnetActivated.
func ActivateSubnet(id chain.SubnetID) Call { return network("activate_subnet", "subnet_id", id) }

// PauseSubnet stops a subnet.
func PauseSubnet(id chain.SubnetID) Call { return network("owner_pause_subnet", "subnet_id", id) }

// UnpauseSubnet lets a paused subnet go on from the next epoch.
func UnpauseSubnet(id chain.SubnetID) Call { return network("owner_unpause_subnet", "subnet_id", id) }

// DeactivateSubnet removes a subnet for good.
func DeactivateSubnet(id chain.SubnetID) Call {
	return network("owner_deactivate_subnet", "subnet_id", id)
}

// SubnetText is a text of a subnet that its owner may change.
type SubnetText string

// The texts of a subnet.
const (
	SubnetName        SubnetText = "owner_update_name"
	SubnetRepo        SubnetText = "owner_update_repo"
	SubnetDescription SubnetText = "owner_update_description"
	SubnetMisc        SubnetText = "owner_update_misc"
)

// UpdateSubnetText changes a text of a subnet. Name and repository must be unique.
func UpdateSubnetText(id chain.SubnetID, which SubnetText, value string) Call {
	return network(string(which), "subnet_id", id, "value", value)
}

// SubnetNumber is a whole number of a subnet that its owner may change.
type SubnetNumber string

// The numbers of a subnet.
const (
	ChurnLimit                   SubnetNumber = "owner_update_churn_limit"
	ChurnLimitMultiplier         SubnetNumber = "owner_update_churn_limit_multiplier" // not in G1
	RegistrationQueueEpochs      SubnetNumber = "owner_update_registration_queue_epochs"
	IdleClassificationEpochs     SubnetNumber = "owner_update_idle_classification_epochs"
	IncludedClassificationEpochs SubnetNumber = "owner_update_included_classification_epochs"
	MaxRegisteredNodes           SubnetNumber = "owner_update_max_registered_nodes"
	TargetNodeRegistrations      SubnetNumber = "owner_update_target_node_registrations_per_epoch"
	QueueImmunityEpochs          SubnetNumber = "owner_update_queue_immunity_epochs"
)

// UpdateSubnetNumber changes a number of a subnet.
func UpdateSubnetNumber(id chain.SubnetID, which SubnetNumber, value uint32) Call {
	return network(string(which), "subnet_id", id, "value", value)
}

// SubnetShare is a share of a subnet, 1e18 for 100 %, that its owner may change.
type SubnetShare string

// The shares of a subnet. G3 changes the reputation factors together, by UpdateReputationFactors.
const (
	DelegateStakePercentage       SubnetShare = "owner_update_delegate_stake_percentage"
	NodeBurnRateAlpha             SubnetShare = "owner_update_node_burn_rate_alpha"
	MinNodeReputation             SubnetShare = "owner_update_min_subnet_node_reputation"
	MinWeightThreshold            SubnetShare = "owner_update_subnet_node_min_weight_decrease_reputation_threshold"
	AbsentDecrease                SubnetShare = "owner_update_absent_decrease_reputation_factor"
	IncludedIncrease              SubnetShare = "owner_update_included_increase_reputation_factor"
	BelowMinWeightDecrease        SubnetShare = "owner_update_below_min_weight_decrease_reputation_factor"
	NonAttestorDecrease           SubnetShare = "owner_update_non_attestor_decrease_reputation_factor"
	NonConsensusAttestorDecrease  SubnetShare = "owner_update_non_consensus_attestor_decrease_reputation_factor"
	ValidatorAbsentDecrease       SubnetShare = "owner_update_validator_absent_decrease_reputation_factor"
	ValidatorNonConsensusDecrease SubnetShare = "owner_update_validator_non_consensus_decrease_reputation_factor"
)

// UpdateSubnetShare changes a share of a subnet.
func UpdateSubnetShare(id chain.SubnetID, which SubnetShare, value chain.Balance) Call {
	return network(string(which), "subnet_id", id, "value", value)
}

// UpdateReputationFactors changes several reputation factors from the next epoch on (G3). updates is a struct or
// metadata.Fields with the runtime's names.
func UpdateReputationFactors(id chain.SubnetID, updates any) Call {
	return network("owner_update_reputation_factors", "subnet_id", id, "updates", updates)
}

// UpdateStakeRange changes the least and the most stake of a node.
func UpdateStakeRange(id chain.SubnetID, least, most chain.Balance) Call {
	return network("owner_update_min_max_stake", "subnet_id", id, "min", least, "max", most)
}

// AddInitialColdkeys lets coldkeys register so many nodes each before the activation (G1, G2).
func AddInitialColdkeys(id chain.SubnetID, coldkeys map[chain.AccountID]uint32) Call {
	return network("owner_add_or_update_initial_coldkeys", "subnet_id", id, "coldkeys", orEmpty(coldkeys))
}

// RemoveInitialColdkeys takes that right from coldkeys (G1, G2).
func RemoveInitialColdkeys(id chain.SubnetID, coldkeys []chain.AccountID) Call {
	set := slices.Clone(coldkeys)
	slices.SortFunc(set, func(a, b chain.AccountID) int { return bytes.Compare(a[:], b[:]) })
	return network("owner_remove_initial_coldkeys", "subnet_id", id, "coldkeys", slices.Compact(set))
}

// AddInitialValidators lets validators register so many nodes each before the activation (G3).
func AddInitialValidators(id chain.SubnetID, validators map[uint32]uint32) Call {
	return network("owner_add_or_update_initial_validators", "subnet_id", id, "validators", orEmpty(validators))
}

// RemoveInitialValidators takes that right from validators (G3).
func RemoveInitialValidators(id chain.SubnetID, validators []uint32) Call {
	return network("owner_remove_initial_validators", "subnet_id", id, "validators", sortedSet(validators))
}

func sortedSet(list []uint32) []uint32 {
	set := slices.Clone(list)
	slices.Sort(set)
	return slices.Compact(set)
}

// SetEmergencyValidators appoints the validators of a paused subnet.
func SetEmergencyValidators(id chain.SubnetID, nodes []chain.NodeID) Call {
	return network("owner_set_emergency_validator_set", "subnet_id", id, "subnet_node_ids", nodes)
}

// RevertEmergencyValidators ends the appointment.
func RevertEmergencyValidators(id chain.SubnetID) Call {
	return network("owner_revert_emergency_validator_set", "subnet_id", id)
}

// TransferSubnetOwnership offers a subnet to an account, which must accept it.
func TransferSubnetOwnership(id chain.SubnetID, to chain.AccountID) Call {
	return network("transfer_subnet_ownership", "subnet_id", id, "new_owner", to)
}

// AcceptSubnetOwnership accepts a subnet that was offered to the signer.
func AcceptSubnetOwnership(id chain.SubnetID) Call {
	return network("accept_subnet_ownership", "subnet_id", id)
}

// AddBootnodeAccess lets an account change the subnet's bootnodes.
func AddBootnodeAccess(id chain.SubnetID, who chain.AccountID) Call {
	return network("owner_add_bootnode_access", "subnet_id", id, "new_account", who)
}

// RemoveBootnodeAccess takes that right from an account.
func RemoveBootnodeAccess(id chain.SubnetID, who chain.AccountID) Call {
	return network("owner_remove_bootnode_access", "subnet_id", id, "remove_account", who)
}

// UpdateBootnodes adds official entry points (peer ID to binary multiaddr) and removes others by peer ID. On G1, which knows
// addresses only, removing is by address: pass those instead of peer IDs.
func UpdateBootnodes(id chain.SubnetID, add map[string][]byte, remove []string) Call {
	gone := slices.Clone(remove)
	slices.Sort(gone)
	gone = slices.Compact(gone)
	if gone == nil {
		gone = []string{}
	}
	return network("update_bootnodes", "subnet_id", id, "add", orEmpty(add), "remove", gone).
		or(network("update_bootnodes", "subnet_id", id, "add", addressSet(add), "remove", gone))
}
