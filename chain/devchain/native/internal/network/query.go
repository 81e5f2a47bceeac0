package network

import (
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// query answers one function of the runtime API: arguments in, result out.
type query func(x *exec, d *scale.Decoder, e *scale.Encoder)

// Query answers a function of NetworkRuntimeApi, such as "get_subnet_info". ok
// is false for an unknown name. Results other than that of proof_of_stake are
// wrapped in one more byte string, as the chain does.
func (p *Pallet) Query(s frame.State, name string, d *scale.Decoder) (result []byte, ok bool) {
	q := queries()[name]
	if q == nil {
		return nil, false
	}
	var e, out scale.Encoder
	q(p.on(s), d, &e)
	if name == "proof_of_stake" {
		return e.Buf, true
	}
	out.Bytes(e.Buf)
	return out.Buf, true
}

func queries() map[string]query {
	return map[string]query{
		"get_subnet_info": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			sid := d.U32()
			s, ok := x.SubnetsData.Find(x, sid)
			e.Bool(ok)
			if ok {
				x.encodeSubnet(e, sid, &s)
			}
		},
		"get_all_subnets_info": func(x *exec, _ *scale.Decoder, e *scale.Encoder) {
			all := x.SubnetsData.All(x)
			e.Len(len(all))
			for i := range all {
				x.encodeSubnet(e, all[i].A, &all[i].B)
			}
		},
		"get_subnet_node_info": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			x.encodeNodeOption(e, d.U32(), d.U32())
		},
		"get_subnet_nodes_info": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			x.encodeNodes(e, x.hotkeyNodes(d.U32()))
		},
		"get_all_subnet_nodes_info": func(x *exec, _ *scale.Decoder, e *scale.Encoder) {
			var all []nodeRef
			for _, s := range x.SubnetsData.All(x) {
				all = append(all, x.hotkeyNodes(s.A)...)
			}
			x.encodeNodes(e, all)
		},
		"get_elected_validator_info": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			sid := d.U32()
			if nid, ok := x.SubnetElectedValidator.Find(x, sid, d.U32()); ok {
				x.encodeNodeOption(e, sid, nid)
				return
			}
			e.None()
		},
		"get_validators_and_attestors": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			sid := d.U32()
			list := x.SubnetNodeElectionSlots.Get(x, sid)
			if em, ok := x.EmergencySubnetNodeElectionData.Find(x, sid); ok {
				list = em.Nodes
			}
			var refs []nodeRef
			for _, nid := range list {
				refs = append(refs, nodeRef{sid, nid})
			}
			x.encodeNodes(e, refs)
		},
		"get_coldkey_subnet_nodes_info": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			var refs []nodeRef
			for _, hotkey := range frame.SortedKeys(x.ColdkeyHotkeys.Get(x, frame.Account().Dec(d)), frame.CompareAccounts) {
				sid, ok := x.HotkeySubnetId.Find(x, hotkey)
				nid, isNode := x.HotkeySubnetNodeId.Find(x, sid, hotkey)
				if ok && isNode {
					refs = append(refs, nodeRef{sid, nid})
				}
			}
			x.encodeNodes(e, refs)
		},
		"proof_of_stake": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			sid, peer, class := d.U32(), frame.Bytes().Dec(d), d.U8()
			least := frame.Option(frame.U128()).Dec(d)
			e.Bool(d.Err() == nil && x.proofOfStake(sid, peer, class, least))
		},
		"get_bootnodes":                (*exec).encodeBootnodes,
		"get_coldkey_stakes":           (*exec).encodeColdkeyStakes,
		"get_delegate_stakes":          (*exec).encodeDelegateStakes,
		"get_node_delegate_stakes":     (*exec).encodeNodeDelegateStakes,
		"get_all_overwatch_nodes_info": (*exec).encodeOverwatchNodes,
		"get_overwatch_commits_for_epoch_and_node": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			frame.Vec(frame.PairOf(frame.U32(), frame.Hash()), 36).Enc(e, x.OverwatchCommits.Under2(x, d.U32(), d.U32()))
		},
		// The chain reads the reveals with the node where the subnet should be.
		"get_overwatch_reveals_for_epoch_and_node": func(x *exec, d *scale.Decoder, e *scale.Encoder) {
			frame.Vec(frame.PairOf(frame.U32(), frame.U128()), 20).Enc(e, x.OverwatchReveals.Under2(x, d.U32(), d.U32()))
		},
	}
}

type nodeRef struct{ subnet, node uint32 }

// hotkeyNodes lists the nodes of a subnet in the order of their hashed hotkeys.
func (x *exec) hotkeyNodes(sid uint32) []nodeRef {
	var out []nodeRef
	for _, e := range x.HotkeySubnetNodeId.Under(x, sid) {
		out = append(out, nodeRef{sid, e.B})
	}
	return out
}

// encodeNodes encodes the nodes of refs that exist.
func (x *exec) encodeNodes(e *scale.Encoder, refs []nodeRef) {
	refs = slices.DeleteFunc(refs, func(r nodeRef) bool { _, ok := x.nodeAny(r.subnet, r.node); return !ok })
	e.Len(len(refs))
	for _, r := range refs {
		n, _ := x.nodeAny(r.subnet, r.node)
		x.encodeNode(e, r.subnet, &n)
	}
}

func (x *exec) encodeNodeOption(e *scale.Encoder, sid, nid uint32) {
	n, ok := x.nodeAny(sid, nid)
	e.Bool(ok)
	if ok {
		x.encodeNode(e, sid, &n)
	}
}

func (x *exec) encodeNode(e *scale.Encoder, sid uint32, n *Node) {
	coldkey := x.HotkeyOwner.Get(x, n.Hotkey)
	e.U32(sid)
	e.U32(n.ID)
	e.Raw(coldkey[:])
	e.Raw(n.Hotkey[:])
	peerInfo().Enc(e, n.Peer)
	frame.Option(peerInfo()).Enc(e, n.Bootnode)
	frame.Option(peerInfo()).Enc(e, n.Client)
	frame.Option(delegateAccount()).Enc(e, n.DelegateAccount)
	identity().Enc(e, x.ColdkeyIdentity.Get(x, coldkey))
	e.U8(uint8(n.Class.Class))
	e.U32(n.Class.StartEpoch)
	e.U128(n.DelegateRewardRate)
	e.U32(n.LastRewardRateUpdate)
	param().Enc(e, n.Unique)
	param().Enc(e, n.NonUnique)
	e.U128(x.AccountSubnetStake.Get(x, n.Hotkey, sid))
	e.U128(x.TotalNodeDelegateStakeShares.Get(x, sid, n.ID))
	e.U128(x.TotalNodeDelegateStakeBalance.Get(x, sid, n.ID))
	reputation().Enc(e, x.ColdkeyReputation.Get(x, coldkey))
	e.U128(x.SubnetNodeReputation.Get(x, sid, n.ID))
	find2(x, e, x.NodeSlotIndex, sid, n.ID)
	e.U32(x.SubnetNodeIdleConsecutiveEpochs.Get(x, sid, n.ID))
	e.U32(x.SubnetNodeConsecutiveIncludedEpochs.Get(x, sid, n.ID))
}

func find2(x *exec, e *scale.Encoder, m *frame.Map2[uint32, uint32, uint32], a, b uint32) {
	v, ok := m.Find(x, a, b)
	e.Bool(ok)
	if ok {
		e.U32(v)
	}
}

// find encodes what is under sid as an option.
func find[T any](x *exec, e *scale.Encoder, m *frame.Map[uint32, T], c frame.Codec[T], sid uint32) {
	v, ok := m.Find(x, sid)
	frame.Option(c).Enc(e, frame.Opt[T]{V: v, OK: ok})
}

func (x *exec) encodeSubnet(e *scale.Encoder, sid uint32, s *Subnet) {
	u32, account := frame.U32(), frame.Account()
	e.U32(s.ID)
	find(x, e, x.SubnetIdFriendlyUid, u32, sid)
	e.Text(s.Name)
	e.Text(s.Repo)
	e.Text(s.Description)
	e.Text(s.Misc)
	e.U8(uint8(s.State))
	e.U32(s.StartEpoch)
	e.U32(x.ChurnLimit.Get(x, sid))
	e.U32(x.ChurnLimitMultiplier.Get(x, sid))
	e.U128(x.SubnetMinStakeBalance.Get(x, sid))
	e.U128(x.SubnetMaxStakeBalance.Get(x, sid))
	e.U32(x.QueueImmunityEpochs.Get(x, sid))
	e.U32(x.TargetNodeRegistrationsPerEpoch.Get(x, sid))
	e.U32(x.NodeRegistrationsThisEpoch.Get(x, sid))
	e.U32(x.SubnetNodeQueueEpochs.Get(x, sid))
	e.U32(x.IdleClassificationEpochs.Get(x, sid))
	e.U32(x.IncludedClassificationEpochs.Get(x, sid))
	e.U128(x.SubnetDelegateStakeRewardsPercentage.Get(x, sid))
	e.U32(x.LastSubnetDelegateStakeRewardsUpdate.Get(x, sid))
	e.U128(x.NodeBurnRateAlpha.Get(x, sid))
	e.U128(x.CurrentNodeBurnRate.Get(x, sid))
	find(x, e, x.SubnetRegistrationInitialColdkeys, accountCounts(), sid)
	find(x, e, x.InitialColdkeyData, accountCounts(), sid)
	e.U32(x.MaxRegisteredNodes.Get(x, sid))
	find(x, e, x.SubnetOwner, account, sid)
	find(x, e, x.PendingSubnetOwner, account, sid)
	find(x, e, x.SubnetRegistrationEpoch, u32, sid)
	e.U32(x.PreviousSubnetPauseEpoch.Get(x, sid))
	find(x, e, x.SubnetSlot, u32, sid)
	find(x, e, x.SlotAssignment, u32, sid) // the chain's own mistake: the key is a slot
	for _, m := range []*frame.Map[uint32, u128.U128]{
		x.SubnetNodeMinWeightDecreaseReputationThreshold, x.SubnetReputation, x.MinSubnetNodeReputation,
		x.AbsentDecreaseReputationFactor, x.IncludedIncreaseReputationFactor, x.BelowMinWeightDecreaseReputationFactor,
		x.NonAttestorDecreaseReputationFactor, x.NonConsensusAttestorDecreaseReputationFactor,
		x.ValidatorAbsentDecreaseReputationFactor, x.ValidatorNonConsensusSubnetNodeReputationFactor,
	} {
		e.U128(m.Get(x, sid))
	}
	accountSet().Enc(e, x.SubnetBootnodeAccess.Get(x, sid))
	bootnodes().Enc(e, x.SubnetBootnodes.Get(x, sid))
	e.U32(x.TotalSubnetNodes.Get(x, sid))
	e.U32(x.TotalActiveSubnetNodes.Get(x, sid))
	e.U32(x.TotalSubnetElectableNodes.Get(x, sid))
	e.U128(x.minDelegateStake(sid))
	e.U128(x.TotalSubnetStake.Get(x, sid))
	e.U128(x.TotalSubnetDelegateStakeShares.Get(x, sid))
	e.U128(x.TotalSubnetDelegateStakeBalance.Get(x, sid))
}

// proofOfStake reports whether a peer belongs to the subnet with at least a
// class and a stake.
func (x *exec) proofOfStake(sid uint32, peer string, class uint8, least frame.Opt[u128.U128]) bool {
	if !x.SubnetsData.Has(x, sid) || class > uint8(ClassValidator) {
		return false
	}
	stake := x.SubnetMinStakeBalance.Get(x, sid)
	if least.OK {
		stake = least.V
	}
	for _, index := range []*peerIndex{x.PeerIdSubnetNodeId, x.BootnodePeerIdSubnetNodeId, x.ClientPeerIdSubnetNodeId} {
		nid, ok := index.Find(x, sid, peer)
		if !ok {
			continue
		}
		n, ok := x.SubnetNodesData.Find(x, sid, nid)
		if !ok && Class(class) == ClassRegistered {
			n, ok = x.RegisteredSubnetNodesData.Find(x, sid, nid)
		}
		if ok && n.has(Class(class), x.subnetEpoch(sid)) && !x.AccountSubnetStake.Get(x, n.Hotkey, sid).Less(stake) {
			return true
		}
	}
	if x.PeerIdOverwatchNodeId.Has(x, sid, peer) {
		return true
	}
	_, ok := x.SubnetBootnodes.Get(x, sid)[peer]
	return ok
}

func (x *exec) encodeBootnodes(d *scale.Decoder, e *scale.Encoder) {
	sid := d.U32()
	bootnodes().Enc(e, x.SubnetBootnodes.Get(x, sid))
	list := frame.Dict(frame.Bytes(), param(), frame.CompareBytes)
	for _, m := range []*frame.Map2[uint32, uint32, Node]{x.SubnetNodesData, x.RegisteredSubnetNodesData} {
		found := map[string]frame.Opt[string]{}
		for _, n := range m.Under(x, sid) {
			if b := n.B.Bootnode; b.OK && b.V.Multiaddr.OK {
				found[b.V.ID] = b.V.Multiaddr
			}
		}
		list.Enc(e, found)
	}
}

func (x *exec) encodeColdkeyStakes(d *scale.Decoder, e *scale.Encoder) {
	var body scale.Encoder
	n := 0
	owned := x.ColdkeySubnetNodes.Get(x, frame.Account().Dec(d))
	for _, sid := range frame.SortedKeys(owned, frame.CompareU32) {
		for _, nid := range frame.SortedKeys(owned[sid], frame.CompareU32) {
			hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, nid)
			if !ok {
				continue
			}
			n++
			body.Some()
			body.U32(sid)
			body.Some()
			body.U32(nid)
			body.Raw(hotkey[:])
			body.U128(x.AccountSubnetStake.Get(x, hotkey, sid))
		}
	}
	e.Len(n)
	e.Raw(body.Buf)
}

func (x *exec) encodeDelegateStakes(d *scale.Decoder, e *scale.Encoder) {
	list := x.AccountSubnetDelegateStakeShares.Under(x, frame.Account().Dec(d))
	e.Len(len(list))
	for _, s := range list {
		e.U32(s.A)
		e.U128(s.B)
		e.U128(toBalance(s.B, x.TotalSubnetDelegateStakeShares.Get(x, s.A), x.TotalSubnetDelegateStakeBalance.Get(x, s.A)))
	}
}

func (x *exec) encodeNodeDelegateStakes(d *scale.Decoder, e *scale.Encoder) {
	list := x.AccountNodeDelegateStakeShares.Under(x, frame.Account().Dec(d))
	e.Len(len(list))
	for _, s := range list {
		e.U32(s.A.A)
		e.U32(s.A.B)
		e.U128(s.B)
		e.U128(x.nodePoolBalance(s.A.A, s.A.B, s.B))
	}
}

func (x *exec) encodeOverwatchNodes(_ *scale.Decoder, e *scale.Encoder) {
	var body scale.Encoder
	n := 0
	for _, o := range x.OverwatchNodes.All(x) {
		hotkey, ok := x.OverwatchNodeIdHotkey.Find(x, o.A)
		if !ok {
			continue
		}
		n++
		coldkey := x.HotkeyOwner.Get(x, hotkey)
		body.U32(o.A)
		body.Raw(coldkey[:])
		frame.Option(frame.Account()).Enc(&body, frame.Some(hotkey))
		peerIDs().Enc(&body, x.OverwatchNodeIndex.Get(x, o.A))
		reputation().Enc(&body, x.ColdkeyReputation.Get(x, coldkey))
		body.U128(x.AccountOverwatchStake.Get(x, hotkey))
	}
	e.Len(n)
	e.Raw(body.Buf)
}
