package substrate

import "github.com/hypertensor-blockchain/mesh/chain"

// AddStake adds to a node's stake; the signer is the coldkey. hotkey is the node's (not used on G3).
func AddStake(id chain.SubnetID, node chain.NodeID, hotkey chain.AccountID, amount chain.Balance) Call {
	return network("add_stake", "subnet_id", id, "subnet_node_id", node, "hotkey", hotkey, "stake_to_be_added", amount).
		or(network("add_node_stake", "subnet_id", id, "subnet_node_id", node, "stake_to_be_added", amount))
}

// RemoveStake takes from a node's stake. The amount can be claimed after a cooldown, see ClaimUnbondings.
func RemoveStake(id chain.SubnetID, node chain.NodeID, hotkey chain.AccountID, amount chain.Balance) Call {
	return network("remove_stake", "subnet_id", id, "hotkey", hotkey, "stake_to_be_removed", amount).
		or(network("remove_node_stake", "subnet_id", id, "subnet_node_id", node, "stake_to_be_removed", amount))
}

// ClaimUnbondings moves all stake whose cooldown is over to the signer's free balance.
func ClaimUnbondings() Call { return network("claim_unbondings") }

// AddDelegateStake gives an amount to a subnet's pool of delegated stake in exchange for shares.
func AddDelegateStake(id chain.SubnetID, amount chain.Balance) Call {
	return network("add_to_delegate_stake", "subnet_id", id, "stake_to_be_added", amount).
		or(network("add_delegate_stake", "subnet_id", id, "stake_to_be_added", amount)).
		or(network("add_subnet_delegate_stake", "subnet_id", id, "stake_to_be_added", amount))
}

// RemoveDelegateStake gives shares back. What they are worth can be claimed after a cooldown, see ClaimUnbondings.
func RemoveDelegateStake(id chain.SubnetID, shares chain.Balance) Call {
	return network("remove_delegate_stake", "subnet_id", id, "shares_to_be_removed", shares)
}

// SwapDelegateStake moves shares to another subnet; it is executed some blocks later.
func SwapDelegateStake(from, to chain.SubnetID, shares chain.Balance) Call {
	args := []any{"from_subnet_id", from, "to_subnet_id", to, "delegate_stake_shares_to_swap", shares}
	return network("swap_delegate_stake", args...).or(network("swap_from_subnet_to_subnet", args...))
}

// TransferDelegateStake gives shares to another account.
func TransferDelegateStake(id chain.SubnetID, to chain.AccountID, shares chain.Balance) Call {
	return network("transfer_delegate_stake", "subnet_id", id, "to_account_id", to, "delegate_stake_shares_to_transfer", shares)
}

// DonateDelegateStake gives an amount to the pool without taking shares.
func DonateDelegateStake(id chain.SubnetID, amount chain.Balance) Call {
	return network("donate_delegate_stake", "subnet_id", id, "amount", amount)
}

// AddNodeDelegateStake gives an amount to the pool of a node (G1, G2).
func AddNodeDelegateStake(id chain.SubnetID, node chain.NodeID, amount chain.Balance) Call {
	return network("add_to_node_delegate_stake", "subnet_id", id, "subnet_node_id", node, "node_delegate_stake_to_be_added", amount)
}

// RemoveNodeDelegateStake gives shares of a node's pool back (G1, G2).
func RemoveNodeDelegateStake(id chain.SubnetID, node chain.NodeID, shares chain.Balance) Call {
	return network("remove_node_delegate_stake", "subnet_id", id, "subnet_node_id", node, "node_delegate_stake_shares_to_be_removed", shares)
}

// SwapNodeDelegateStake moves shares from one node's pool to another's (G1, G2).
func SwapNodeDelegateStake(from chain.SubnetID, fromNode chain.NodeID, to chain.SubnetID, toNode chain.NodeID, shares chain.Balance) Call {
	return network("swap_node_delegate_stake", "from_subnet_id", from, "from_subnet_node_id", fromNode,
		"to_subnet_id", to, "to_subnet_node_id", toNode, "node_delegate_stake_shares_to_swap", shares)
}

// TransferNodeDelegateStake gives shares of a node's pool to another account (G1, G2).
func TransferNodeDelegateStake(id chain.SubnetID, node chain.NodeID, to chain.AccountID, shares chain.Balance) Call {
	return network("transfer_node_delegate_stake", "subnet_id", id, "subnet_node_id", node,
		"to_account_id", to, "node_delegate_stake_shares_to_transfer", shares)
}

// DonateNodeDelegateStake gives an amount to a node's pool without taking shares (G1, G2).
func DonateNodeDelegateStake(id chain.SubnetID, node chain.NodeID, amount chain.Balance) Call {
	return network("donate_node_delegate_stake", "subnet_id", id, "subnet_node_id", node, "amount", amount)
}

// SwapFromNodeToSubnet moves shares of a node's pool to a subnet's (G1, G2).
func SwapFromNodeToSubnet(from chain.SubnetID, node chain.NodeID, to chain.SubnetID, shares chain.Balance) Call {
	return network("swap_from_node_to_subnet", "from_subnet_id", from, "from_subnet_node_id", node,
		"to_subnet_id", to, "node_delegate_stake_shares_to_swap", shares)
}

// SwapFromSubnetToNode moves shares of a subnet's pool to a node's (G1, G2).
func SwapFromSubnetToNode(from, to chain.SubnetID, node chain.NodeID, shares chain.Balance) Call {
	return network("swap_from_subnet_to_node", "from_subnet_id", from, "to_subnet_id", to,
		"to_subnet_node_id", node, "delegate_stake_shares_to_swap", shares)
}

// RemoveDelegateAccountBalance takes out what a delegate account has received (G2, G3).
func RemoveDelegateAccountBalance(amount chain.Balance) Call {
	return network("remove_delegate_balance", "amount_to_remove", amount).
		or(network("remove_delegate_account_balance", "amount_to_remove", amount))
}

// UpdateSwapQueue replaces a queued swap. newCall is a metadata.Enum with the runtime's names.
func UpdateSwapQueue(id uint32, newCall any) Call {
	return network("update_swap_queue", "id", id, "new_call", newCall)
}
