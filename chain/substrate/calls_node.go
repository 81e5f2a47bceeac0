package substrate

import "github.com/hypertensor-blockchain/mesh/chain"

// DelegateAccount receives a share of a node's rewards; Rate has 1e18 for 100 %.
type DelegateAccount struct {
	AccountID chain.AccountID
	Rate      chain.Balance
}

// NodeRegistration describes a node to be registered.
type NodeRegistration struct {
	Subnet             chain.SubnetID
	Hotkey             chain.AccountID // signs for the node; on G3 the zero account stands for the validator's own
	Validator          uint32          // whose node it is (G3)
	Peer               chain.PeerAddr
	Bootnode, Client   *chain.PeerAddr // further identities of the same operator; G1 wants all three, and different ones
	DelegateRewardRate chain.Balance   // share of the rewards for delegators (G1, G2)
	Stake              chain.Balance
	Unique, NonUnique  []byte           // free parameters; nil for none
	DelegateAccount    *DelegateAccount // G2
	MaxBurn            chain.Balance    // the most that the registration may burn
}

// RegisterSubnetNode registers a node with its stake; the signer is the coldkey. There is no event of its own: the node's ID
// is found by [Client.NodeByPeer].
func RegisterSubnetNode(r NodeRegistration) Call {
	peer, bootnode, client := toPeerInfo(&r.Peer), toPeerInfo(r.Bootnode), toPeerInfo(r.Client)
	g2 := network("register_subnet_node", "subnet_id", r.Subnet, "hotkey", r.Hotkey, "peer_info", *peer,
		"bootnode_peer_info", bootnode, "client_peer_info", client, "delegate_reward_rate", r.DelegateRewardRate,
		"stake_to_be_added", r.Stake, "unique", option(r.Unique), "non_unique", option(r.NonUnique),
		"delegate_account", r.DelegateAccount, "max_burn_amount", r.MaxBurn)
	g3 := network("register_subnet_node", "validator_id", r.Validator, "subnet_id", r.Subnet, "hotkey", orNil(r.Hotkey), "peer_info", *peer,
		"bootnode_peer_info", bootnode, "client_peer_info", client,
		"stake_to_be_added", r.Stake, "unique", option(r.Unique), "non_unique", option(r.NonUnique), "max_burn_amount", r.MaxBurn)
	address := r.Peer.Multiaddr
	if r.Bootnode != nil {
		address = r.Bootnode.Multiaddr
	}
	g1 := network("register_subnet_node", "subnet_id", r.Subnet, "hotkey", r.Hotkey, "peer_id", r.Peer.PeerID,
		"bootnode_peer_id", peerIDOf(r.Bootnode), "client_peer_id", peerIDOf(r.Client), "bootnode", option(address),
		"delegate_reward_rate", r.DelegateRewardRate, "stake_to_be_added", r.Stake,
		"unique", option(r.Unique), "non_unique", option(r.NonUnique), "max_burn_amount", r.MaxBurn)
	return g2.or(g3).or(g1)
}

func toPeerInfo(a *chain.PeerAddr) *peerInfo {
	if a == nil {
		return nil
	}
	return &peerInfo{PeerID: a.PeerID, Multiaddr: option(a.Multiaddr)}
}

func peerIDOf(a *chain.PeerAddr) string {
	if a == nil {
		return ""
	}
	return a.PeerID
}

// option is an optional byte string; nil is none.
func option(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}

// orNil is an optional account; the zero account is none.
func orNil(a chain.AccountID) *chain.AccountID {
	if a.IsZero() {
		return nil
	}
	return &a
}

// RemoveSubnetNode removes a node. Its stake stays and can be taken out by RemoveStake.
func RemoveSubnetNode(id chain.SubnetID, node chain.NodeID) Call {
	return network("remove_subnet_node", "subnet_id", id, "subnet_node_id", node)
}

// UpdateNodePeer changes the peer of a node.
func UpdateNodePeer(id chain.SubnetID, node chain.NodeID, peer chain.PeerAddr) Call {
	info := *toPeerInfo(&peer)
	return network("update_peer_info", "subnet_id", id, "subnet_node_id", node, "new_peer_info", info).
		or(network("update_node_peer_info", "subnet_id", id, "subnet_node_id", node, "new_peer_info", info)).
		or(network("update_peer_id", "subnet_id", id, "subnet_node_id", node, "new_peer_id", peer.PeerID))
}

// UpdateNodeBootnode changes the bootnode identity of a node; nil removes it (G2, G3).
func UpdateNodeBootnode(id chain.SubnetID, node chain.NodeID, peer *chain.PeerAddr) Call {
	return network("update_bootnode_peer_info", "subnet_id", id, "subnet_node_id", node, "new_peer_info", toPeerInfo(peer)).
		or(network("update_node_bootnode_peer_info", "subnet_id", id, "subnet_node_id", node, "new_peer_info", toPeerInfo(peer)))
}

// UpdateNodeClient changes the client identity of a node; nil removes it (G2, G3).
func UpdateNodeClient(id chain.SubnetID, node chain.NodeID, peer *chain.PeerAddr) Call {
	return network("update_client_peer_info", "subnet_id", id, "subnet_node_id", node, "new_peer_info", toPeerInfo(peer)).
		or(network("update_node_client_peer_info", "subnet_id", id, "subnet_node_id", node, "new_peer_info", toPeerInfo(peer)))
}

// UpdateNodeUnique changes the parameter that no other node of the subnet may have; nil removes it.
func UpdateNodeUnique(id chain.SubnetID, node chain.NodeID, value []byte) Call {
	return network("update_unique", "subnet_id", id, "subnet_node_id", node, "unique", option(value)).
		or(network("update_node_unique", "subnet_id", id, "subnet_node_id", node, "unique", option(value)))
}

// UpdateNodeNonUnique changes the free parameter of a node; nil removes it.
func UpdateNodeNonUnique(id chain.SubnetID, node chain.NodeID, value []byte) Call {
	return network("update_non_unique", "subnet_id", id, "subnet_node_id", node, "non_unique", option(value)).
		or(network("update_node_non_unique", "subnet_id", id, "subnet_node_id", node, "non_unique", option(value)))
}

// UpdateNodeRewardRate changes the delegators' share of a node's rewards (G1, G2).
func UpdateNodeRewardRate(id chain.SubnetID, node chain.NodeID, rate chain.Balance) Call {
	return network("update_node_delegate_reward_rate", "subnet_id", id, "subnet_node_id", node, "new_delegate_reward_rate", rate)
}

// UpdateDelegateAccount changes who receives a share of a node's rewards; nil values stay as they are (G2).
func UpdateDelegateAccount(id chain.SubnetID, node chain.NodeID, who *chain.AccountID, rate *chain.Balance) Call {
	return network("update_delegate_account", "subnet_id", id, "subnet_node_id", node, "delegate_account_id", who, "delegate_rate", rate)
}

// UpdateHotkey replaces a hotkey (G1, G2).
func UpdateHotkey(old, replacement chain.AccountID) Call {
	return network("update_hotkey", "old_hotkey", old, "new_hotkey", replacement)
}

// UpdateNodeHotkey gives a node a hotkey of its own; nil returns to the validator's (G3).
func UpdateNodeHotkey(id chain.SubnetID, node chain.NodeID, hotkey *chain.AccountID) Call {
	return network("update_node_hotkey", "subnet_id", id, "subnet_node_id", node, "new_hotkey", hotkey)
}

// UpdateColdkey moves all that belongs to a hotkey to another coldkey (G1, G2).
func UpdateColdkey(hotkey, coldkey chain.AccountID) Call {
	return network("update_coldkey", "hotkey", hotkey, "new_coldkey", coldkey)
}

// Propose submits the scores of an epoch; the signer is the hotkey of the elected node.
func Propose(id chain.SubnetID, node chain.NodeID, scores []chain.NodeScore) Call {
	return ProposeWith(id, node, scores, ProposalExtras{})
}

// ProposalExtras are the optional parts of a proposal.
type ProposalExtras struct {
	Prioritize, Remove *chain.NodeID // queued nodes to bring forward or to remove
	Args, AttestData   []byte        // free data; nil for none
}

// ProposeWith is Propose with optional parts.
func ProposeWith(id chain.SubnetID, node chain.NodeID, scores []chain.NodeScore, x ProposalExtras) Call {
	data := make([]nodeScore, len(scores))
	for i := range scores {
		data[i] = nodeScore(scores[i])
	}
	return network("propose_attestation", "subnet_id", id, "data", data, "prioritize_queue_node_id", x.Prioritize,
		"remove_queue_node_id", x.Remove, "args", option(x.Args), "attest_data", option(x.AttestData)).
		or(network("propose_attestation", "subnet_id", id, "subnet_node_id", node, "data", data, "prioritize_queue_node_id", x.Prioritize,
			"remove_queue_node_id", x.Remove, "args", option(x.Args), "attest_data", option(x.AttestData)))
}

// Attest votes for the submission of the present epoch; the signer is the node's hotkey.
func Attest(id chain.SubnetID, node chain.NodeID, data []byte) Call {
	return network("attest", "subnet_id", id, "attest_data", option(data)).
		or(network("attest", "subnet_id", id, "subnet_node_id", node, "data", option(data)))
}
