package substrate

import (
	"golang.org/x/crypto/blake2b"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

// OverwatchID names an overwatch node.
type OverwatchID uint32

// OverwatchCommit is a sealed judgement on a subnet: see CommitHash.
type OverwatchCommit struct {
	SubnetID chain.SubnetID
	Weight   chain.Hash
}

// OverwatchReveal opens a sealed judgement. Weight has 1e18 for the whole.
type OverwatchReveal struct {
	SubnetID chain.SubnetID
	Weight   chain.Score
	Salt     []byte
}

// CommitHash seals a weight with a salt: the blake2_256 of their encoding.
func CommitHash(weight chain.Score, salt []byte) chain.Hash {
	var e scale.Encoder
	e.U128(weight)
	e.Bytes(salt)
	return blake2b.Sum256(e.Buf)
}

// RegisterOverwatchNode registers an overwatch node of the signer's coldkey. hotkey is not used on G3.
func RegisterOverwatchNode(hotkey chain.AccountID, stake chain.Balance) Call {
	return network("register_overwatch_node", "hotkey", hotkey, "stake_to_be_added", stake).
		or(network("register_overwatch_node", "stake_to_be_added", stake))
}

// RemoveOverwatchNode removes an overwatch node. Its stake stays and can be taken out.
func RemoveOverwatchNode(id OverwatchID) Call {
	return network("remove_overwatch_node", "overwatch_node_id", id)
}

// AnyoneRemoveOverwatchNode removes an overwatch node that is no longer qualified (G1, G2).
func AnyoneRemoveOverwatchNode(id OverwatchID) Call {
	return network("anyone_remove_overwatch_node", "overwatch_node_id", id)
}

// UpdateOverwatchHotkey gives an overwatch node a hotkey of its own; nil returns to the validator's (G3).
func UpdateOverwatchHotkey(id OverwatchID, hotkey *chain.AccountID) Call {
	return network("update_overwatch_hotkey", "overwatch_node_id", id, "new_hotkey", hotkey)
}

// SetOverwatchPeer names the peer by which an overwatch node takes part in a subnet.
func SetOverwatchPeer(subnet chain.SubnetID, id OverwatchID, peerID string) Call {
	return network("set_overwatch_node_peer_id", "subnet_id", subnet, "overwatch_node_id", id, "peer_id", peerID)
}

// CommitWeights commits sealed judgements in the first part of an overwatch epoch; the signer is the hotkey.
func CommitWeights(id OverwatchID, commits []OverwatchCommit) Call {
	return network("commit_overwatch_subnet_weights", "overwatch_node_id", id, "commit_weights", commits)
}

// RevealWeights opens them in the last part of the same epoch.
func RevealWeights(id OverwatchID, reveals []OverwatchReveal) Call {
	return network("reveal_overwatch_subnet_weights", "overwatch_node_id", id, "reveals", reveals)
}

// AddOverwatchStake adds to the stake of an overwatch node. hotkey is not used on G3.
func AddOverwatchStake(id OverwatchID, hotkey chain.AccountID, amount chain.Balance) Call {
	return network("add_to_overwatch_stake", "overwatch_node_id", id, "hotkey", hotkey, "stake_to_be_added", amount).
		or(network("add_overwatch_node_stake", "overwatch_node_id", id, "stake_to_be_added", amount))
}

// RemoveOverwatchStake takes from the stake of an overwatch node. id is not used before G3, hotkey is not used on it.
func RemoveOverwatchStake(id OverwatchID, hotkey chain.AccountID, amount chain.Balance) Call {
	return network("remove_overwatch_stake", "hotkey", hotkey, "stake_to_be_removed", amount).
		or(network("remove_overwatch_node_stake", "overwatch_node_id", id, "stake_to_be_removed", amount))
}
