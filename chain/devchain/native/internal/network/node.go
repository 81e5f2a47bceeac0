package network

import (
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

func param() frame.Codec[frame.Opt[string]] { return frame.Option(frame.BoundedBytes(maxBytes)) }

func nodeCalls() map[string]handler {
	return map[string]handler{
		"register_subnet_node": func(d *scale.Decoder) action {
			r := nodeRegistration{
				subnet: d.U32(), hotkey: frame.Account().Dec(d), peer: peerInfo().Dec(d),
				bootnode: frame.Option(peerInfo()).Dec(d), client: frame.Option(peerInfo()).Dec(d),
				rewardRate: d.U128(), stake: d.U128(), unique: param().Dec(d), nonUnique: param().Dec(d),
				delegate: frame.Option(delegateAccount()).Dec(d), maxBurn: d.U128(),
			}
			return signed(func(x *exec, who chain.AccountID) error { return x.registerNode(who, r) })
		},
		"remove_subnet_node": nodeCall(nothing, anyKey, func(x *exec, sid, nid uint32, _ struct{}) error {
			if winner, ok := x.SubnetElectedValidator.Find(x, sid, x.subnetEpoch(sid)); ok && winner == nid {
				return fail(ErrElectedValidatorCannotRemove)
			}
			x.removeNode(sid, nid)
			return nil
		}),
		"update_peer_info": nodeCall(peerInfo().Dec, coldkeyOnly, (*exec).updatePeer),
		"update_bootnode_peer_info": nodeCall(frame.Option(peerInfo()).Dec, coldkeyOnly,
			func(x *exec, sid, nid uint32, info frame.Opt[PeerInfo]) error {
				return x.updateNode(sid, nid, func(n *Node) error {
					if err := x.replacePeer(x.BootnodePeerIdSubnetNodeId, sid, nid, &n.Bootnode, info); err != nil {
						return err
					}
					x.emit(evSubnetNodeUpdateBootnodePeerInfo, sid, nid, encoded(frame.Option(peerInfo()), info))
					return nil
				})
			}),
		"update_client_peer_info": nodeCall(frame.Option(peerInfo()).Dec, coldkeyOnly,
			func(x *exec, sid, nid uint32, info frame.Opt[PeerInfo]) error {
				return x.updateNode(sid, nid, func(n *Node) error {
					if err := x.replacePeer(x.ClientPeerIdSubnetNodeId, sid, nid, &n.Client, info); err != nil {
						return err
					}
					x.emit(evSubnetNodeUpdateClientPeerInfo, sid, nid, encoded(frame.Option(peerInfo()), info))
					return nil
				})
			}),
		"update_node_delegate_reward_rate": nodeCall((*scale.Decoder).U128, coldkeyOnly, (*exec).updateRewardRate),
		"update_unique":                    nodeCall(param().Dec, anyKey, (*exec).updateUnique),
		"update_non_unique": nodeCall(param().Dec, anyKey, func(x *exec, sid, nid uint32, v frame.Opt[string]) error {
			return x.updateNode(sid, nid, func(n *Node) error {
				n.NonUnique = v
				x.emit(evSubnetNodeUpdateNonUnique, sid, nid, encoded(param(), v))
				return nil
			})
		}),
		"update_delegate_account": nodeCall(
			frame.PairOf(frame.Option(frame.Account()), frame.Option(frame.U128())).Dec, coldkeyOnly,
			func(x *exec, sid, nid uint32, v frame.Pair[frame.Opt[chain.AccountID], frame.Opt[u128.U128]]) error {
				return x.updateDelegateAccount(sid, nid, v.A, v.B)
			}),
		"transfer_delegate_account": func(d *scale.Decoder) action {
			sid, nid, to := d.U32(), d.U32(), frame.Account().Dec(d)
			return signed(func(x *exec, who chain.AccountID) error {
				n, ok := x.nodeAny(sid, nid)
				switch {
				case !ok:
					return fail(ErrInvalidSubnetNodeId)
				case !n.DelegateAccount.OK:
					return fail(ErrNoDelegateAccountSet)
				case n.DelegateAccount.V.Account != who:
					return fail(ErrNotDelegateAccountOwner)
				}
				return x.updateDelegateAccount(sid, nid, frame.Some(to), frame.Some(n.DelegateAccount.V.Rate))
			})
		},
	}
}

func nothing(*scale.Decoder) struct{} { return struct{}{} }

// Who may change a node.
const (
	coldkeyOnly = false
	anyKey      = true // coldkey or hotkey
)

// nodeCall is a call on a node by the holder of one of its keys.
func nodeCall[T any](arg func(*scale.Decoder) T, either bool, f func(x *exec, sid, nid uint32, v T) error) handler {
	return func(d *scale.Decoder) action {
		sid, nid, v := d.U32(), d.U32(), arg(d)
		return signed(func(x *exec, who chain.AccountID) error {
			hotkey, ok := x.SubnetNodeIdHotkey.Find(x, sid, nid)
			coldkey, owned := x.HotkeyOwner.Find(x, hotkey)
			if !ok || !owned || who != coldkey && (!either || who != hotkey) {
				return fail(ErrNotKeyOwner)
			}
			return f(x, sid, nid, v)
		})
	}
}

type nodeRegistration struct {
	subnet            uint32
	hotkey            chain.AccountID
	peer              PeerInfo
	bootnode, client  frame.Opt[PeerInfo]
	rewardRate, stake u128.U128
	unique, nonUnique frame.Opt[string]
	delegate          frame.Opt[DelegateAccount]
	maxBurn           u128.U128
}

func (x *exec) registerNode(coldkey chain.AccountID, r nodeRegistration) error {
	sid := r.subnet
	s, ok := x.SubnetsData.Find(x, sid)
	if !ok {
		return fail(ErrInvalidSubnetId)
	}
	_, enactment := x.periods(&s)
	if err := first(
		ensure(coldkey != r.hotkey, ErrColdkeyMatchesHotkey),
		ensure(s.State != Paused, ErrSubnetIsPaused),
		ensure(!x.HotkeyOwner.Has(x, r.hotkey) && !x.HotkeySubnetId.Has(x, r.hotkey), ErrHotkeyHasOwner),
		ensure(!enactment, ErrSubnetMustBeRegisteringOrActivated),
		x.ensureWhitelisted(coldkey, sid),
		ensure(len(x.SubnetNodeQueue.Get(x, sid)) <= int(x.MaxRegisteredNodes.Get(x, sid)), ErrMaxRegisteredNodes),
	); err != nil {
		return err
	}
	nid := x.TotalSubnetNodeUids.Get(x, sid) + 1
	x.TotalSubnetNodeUids.Set(x, sid, nid)
	if err := x.claimNames(&r, nid); err != nil {
		return err
	}
	if r.delegate.OK {
		if err := checkDelegateAccount(r.delegate.V, r.hotkey, coldkey); err != nil {
			return err
		}
	}
	hotkeys := x.ColdkeyHotkeys.Get(x, coldkey)
	_, known := hotkeys[r.hotkey]
	burn := percentMul(x.BaseNodeBurnAmount.Get(x), x.CurrentNodeBurnRate.Get(x, sid))
	if err := first(
		ensure(x.AccountSubnetStake.Get(x, r.hotkey, sid).IsZero(), ErrMustUnstakeToRegister),
		ensure(!known, ErrHotkeyAlreadyRegisteredToColdkey),
		ensure(!one().Less(r.rewardRate), ErrInvalidDelegateRewardRate),
		ensure(!r.maxBurn.Less(burn), ErrMaxBurnAmountExceeded),
	); err != nil {
		return err
	}
	if !x.pay(coldkey, burn) {
		return fail(ErrBalanceBurnError)
	}
	x.NodeRegistrationsThisEpoch.Update(x, sid, add1)
	if err := x.addStake(coldkey, sid, r.hotkey, r.stake); err != nil {
		return err
	}
	epoch := x.subnetEpoch(sid)
	n := Node{
		ID: nid, Hotkey: r.hotkey, Peer: r.peer, Bootnode: r.bootnode, Client: r.client,
		Class:              Classification{ClassRegistered, epoch + 1},
		DelegateRewardRate: r.rewardRate, Unique: r.unique, NonUnique: r.nonUnique, DelegateAccount: r.delegate,
	}
	if !r.rewardRate.IsZero() {
		n.LastRewardRateUpdate = x.block
	}
	x.linkKeys(coldkey, sid, &n)
	return x.enter(coldkey, &s, n, epoch)
}

// ensureWhitelisted checks the owner's list, which exists until activation.
func (x *exec) ensureWhitelisted(coldkey chain.AccountID, sid uint32) error {
	list, ok := x.SubnetRegistrationInitialColdkeys.Find(x, sid)
	if !ok {
		return nil
	}
	most, ok := list[coldkey]
	if !ok {
		return fail(ErrColdkeyRegistrationWhitelist)
	}
	return ensure(x.InitialColdkeyData.Get(x, sid)[coldkey] < most, ErrMaxRegisteredNodes)
}

// claimNames takes peer IDs, addresses and the unique parameter for a node.
func (x *exec) claimNames(r *nodeRegistration, nid uint32) error {
	sid := r.subnet
	for _, c := range []struct {
		index *frame.Map2[uint32, string, uint32]
		info  frame.Opt[PeerInfo]
	}{
		{x.PeerIdSubnetNodeId, frame.Some(r.peer)},
		{x.BootnodePeerIdSubnetNodeId, r.bootnode},
		{x.ClientPeerIdSubnetNodeId, r.client},
	} {
		if !c.info.OK {
			continue
		}
		if err := x.checkPeer(sid, c.info.V); err != nil {
			return err
		}
		x.indexPeer(c.index, sid, nid, c.info.V)
	}
	if r.unique.OK {
		if x.UniqueParamSubnetNodeId.Has(x, sid, r.unique.V) {
			return fail(ErrSubnetNodeUniqueParamTaken)
		}
		x.UniqueParamSubnetNodeId.Set(x, sid, r.unique.V, nid)
	}
	return nil
}

// linkKeys records who holds the keys of a new node.
func (x *exec) linkKeys(coldkey chain.AccountID, sid uint32, n *Node) {
	x.HotkeySubnetNodeId.Set(x, sid, n.Hotkey, n.ID)
	x.SubnetNodeIdHotkey.Set(x, sid, n.ID, n.Hotkey)
	x.HotkeySubnetId.Set(x, n.Hotkey, sid)
	x.HotkeyOwner.Set(x, n.Hotkey, coldkey)
	x.addHotkey(coldkey, n.Hotkey)
	owned := x.ColdkeySubnetNodes.Get(x, coldkey)
	if owned == nil {
		owned = map[uint32]map[uint32]struct{}{}
	}
	if owned[sid] == nil {
		owned[sid] = map[uint32]struct{}{}
	}
	owned[sid][n.ID] = struct{}{}
	x.ColdkeySubnetNodes.Set(x, coldkey, owned)
	x.TotalSubnetNodes.Update(x, sid, add1)
	x.TotalNodes.Update(x, add1)
	x.cleanColdkey(coldkey)
}

func (x *exec) addHotkey(coldkey, hotkey chain.AccountID) {
	hotkeys := x.ColdkeyHotkeys.Get(x, coldkey)
	if hotkeys == nil {
		hotkeys = map[chain.AccountID]struct{}{}
	}
	hotkeys[hotkey] = struct{}{}
	x.ColdkeyHotkeys.Set(x, coldkey, hotkeys)
}

// cleanColdkey forgets the coldkey's nodes in subnets that are gone.
func (x *exec) cleanColdkey(coldkey chain.AccountID) {
	owned := x.ColdkeySubnetNodes.Get(x, coldkey)
	for sid := range owned {
		if !x.SubnetsData.Has(x, sid) {
			delete(owned, sid)
		}
	}
	x.ColdkeySubnetNodes.Set(x, coldkey, owned)
}

// enter activates a node of a subnet that is registering, or queues it.
func (x *exec) enter(coldkey chain.AccountID, s *Subnet, n Node, epoch uint32) error {
	sid := s.ID
	if s.State != Registered {
		x.RegisteredSubnetNodesData.Set(x, sid, n.ID, n)
		x.SubnetNodeQueue.Set(x, sid, append(x.SubnetNodeQueue.Get(x, sid), n))
		x.emit(evSubnetNodeRegistered, sid, n.ID, coldkey, n.Hotkey, encoded(node(), n))
		return nil
	}
	if x.TotalActiveSubnetNodes.Get(x, sid) >= x.MaxSubnetNodes.Get(x) {
		return fail(ErrMaxRegisteredNodes)
	}
	if !x.insertElectable(sid, n.ID) {
		return fail(ErrElectionSlotInsertFail)
	}
	x.activateNode(sid, n, ClassValidator, epoch)
	counts := x.InitialColdkeyData.Get(x, sid)
	if counts == nil {
		counts = map[chain.AccountID]uint32{}
	}
	counts[coldkey]++
	x.InitialColdkeyData.Set(x, sid, counts)
	return nil
}

// activateNode makes n an active node of a class.
func (x *exec) activateNode(sid uint32, n Node, class Class, epoch uint32) {
	x.RegisteredSubnetNodesData.Delete(x, sid, n.ID)
	n.Class = Classification{class, epoch}
	x.SubnetNodesData.Set(x, sid, n.ID, n)
	x.TotalActiveSubnetNodes.Update(x, sid, add1)
	x.TotalActiveNodes.Update(x, add1)
	x.ColdkeyReputation.Update(x, x.HotkeyOwner.Get(x, n.Hotkey), func(r Reputation) Reputation {
		r.LifetimeNodes++
		r.ActiveNodes++
		return r
	})
	x.emit(evSubnetNodeActivated, sid, n.ID)
}

// insertElectable gives a node a place in the election.
func (x *exec) insertElectable(sid, nid uint32) bool {
	slots := x.SubnetNodeElectionSlots.Get(x, sid)
	if slices.Contains(slots, nid) {
		return false
	}
	x.NodeSlotIndex.Set(x, sid, nid, uint32(len(slots)))
	x.TotalSubnetElectableNodes.Update(x, sid, add1)
	x.TotalElectableNodes.Update(x, add1)
	x.SubnetNodeElectionSlots.Set(x, sid, append(slots, nid))
	return true
}

// removeElectable takes a node out of the election; the last one takes its
// place.
func (x *exec) removeElectable(sid, nid uint32) {
	slots := x.SubnetNodeElectionSlots.Get(x, sid)
	at, last := slices.Index(slots, nid), len(slots)-1
	if at < 0 {
		return
	}
	if at != last {
		slots[at] = slots[last]
		x.NodeSlotIndex.Set(x, sid, slots[at], uint32(at))
	}
	x.NodeSlotIndex.Delete(x, sid, nid)
	x.TotalSubnetElectableNodes.Update(x, sid, sub1)
	x.TotalElectableNodes.Update(x, sub1)
	x.SubnetNodeElectionSlots.Set(x, sid, slots[:last])
}

// nodeAny returns an active or queued node.
func (x *exec) nodeAny(sid, nid uint32) (Node, bool) {
	if n, ok := x.SubnetNodesData.Find(x, sid, nid); ok {
		return n, true
	}
	return x.RegisteredSubnetNodesData.Find(x, sid, nid)
}

// removeNode removes an active or queued node.
func (x *exec) removeNode(sid, nid uint32) {
	if x.SubnetNodesData.Has(x, sid, nid) {
		x.removeActiveNode(sid, nid)
		return
	}
	x.removeQueuedNode(sid, nid)
}

func (x *exec) removeActiveNode(sid, nid uint32) {
	n, ok := x.SubnetNodesData.Take(x, sid, nid)
	if !ok {
		return
	}
	x.forgetNode(sid, &n)
	if n.Class.Class == ClassValidator {
		x.removeElectable(sid, nid)
	}
	x.TotalActiveSubnetNodes.Update(x, sid, sub1)
	x.TotalActiveNodes.Update(x, sub1)
	if e, ok := x.EmergencySubnetNodeElectionData.Find(x, sid); ok {
		e.Nodes = slices.DeleteFunc(e.Nodes, func(id uint32) bool { return id == nid })
		x.EmergencySubnetNodeElectionData.Set(x, sid, e)
	}
}

func (x *exec) removeQueuedNode(sid, nid uint32) {
	n, ok := x.RegisteredSubnetNodesData.Take(x, sid, nid)
	if !ok {
		return
	}
	x.forgetNode(sid, &n)
	queue := x.SubnetNodeQueue.Get(x, sid)
	x.SubnetNodeQueue.Set(x, sid, slices.DeleteFunc(queue, func(n Node) bool { return n.ID == nid }))
}

// forgetNode removes what is recorded about a node beside its data.
func (x *exec) forgetNode(sid uint32, n *Node) {
	if n.Unique.OK {
		x.UniqueParamSubnetNodeId.Delete(x, sid, n.Unique.V)
	}
	x.unindexPeer(x.PeerIdSubnetNodeId, sid, frame.Some(n.Peer))
	x.unindexPeer(x.BootnodePeerIdSubnetNodeId, sid, n.Bootnode)
	x.unindexPeer(x.ClientPeerIdSubnetNodeId, sid, n.Client)
	x.HotkeySubnetNodeId.Delete(x, sid, n.Hotkey)
	x.SubnetNodeIdHotkey.Delete(x, sid, n.ID)
	x.SubnetNodeReputation.Delete(x, sid, n.ID)
	x.SubnetNodeIdleConsecutiveEpochs.Delete(x, sid, n.ID)
	x.SubnetNodeConsecutiveIncludedEpochs.Delete(x, sid, n.ID)
	coldkey := x.HotkeyOwner.Get(x, n.Hotkey)
	owned := x.ColdkeySubnetNodes.Get(x, coldkey)
	if set := owned[sid]; set != nil {
		delete(set, n.ID)
		if len(set) == 0 {
			delete(owned, sid)
		}
	}
	x.ColdkeySubnetNodes.Set(x, coldkey, owned)
	x.ColdkeyReputation.Update(x, coldkey, func(r Reputation) Reputation {
		r.ActiveNodes = sub1(r.ActiveNodes)
		return r
	})
	x.TotalSubnetNodes.Update(x, sid, sub1)
	x.TotalNodes.Update(x, sub1)
	x.emit(evSubnetNodeRemoved, sid, n.ID)
}

// graduate moves an active node to its next class.
func (x *exec) graduate(sid, nid, epoch uint32) bool {
	n, ok := x.SubnetNodesData.Find(x, sid, nid)
	if !ok {
		return false
	}
	n.Class = Classification{min(n.Class.Class+1, ClassValidator), epoch}
	x.SubnetNodesData.Set(x, sid, nid, n)
	x.emit(evNodeClassGraduation, sid, nid, uint8(n.Class.Class), epoch)
	return true
}
