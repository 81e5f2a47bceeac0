package network

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

type peerIndex = frame.Map2[uint32, string, uint32]

// checkPeer checks that a peer ID and its address are well-formed and free.
func (x *exec) checkPeer(sid uint32, info PeerInfo) error {
	if !validPeerID(info.ID) {
		return fail(ErrInvalidPeerId)
	}
	if x.peerTaken(sid, info.ID) {
		return fail(ErrPeerIdExist)
	}
	if !info.Multiaddr.OK {
		return nil
	}
	if err := checkMultiaddr(info.Multiaddr.V); err != nil {
		return err
	}
	return ensure(!x.MultiaddrSubnetNodeId.Has(x, sid, info.Multiaddr.V), ErrMultiaddrExist)
}

// peerTaken reports whether a node or overwatch node of the subnet has the peer
// ID.
func (x *exec) peerTaken(sid uint32, id string) bool {
	return x.PeerIdSubnetNodeId.Has(x, sid, id) || x.BootnodePeerIdSubnetNodeId.Has(x, sid, id) ||
		x.ClientPeerIdSubnetNodeId.Has(x, sid, id) || x.PeerIdOverwatchNodeId.Has(x, sid, id)
}

func (x *exec) indexPeer(index *peerIndex, sid, nid uint32, info PeerInfo) {
	index.Set(x, sid, info.ID, nid)
	if info.Multiaddr.OK {
		x.MultiaddrSubnetNodeId.Set(x, sid, info.Multiaddr.V, nid)
	}
}

func (x *exec) unindexPeer(index *peerIndex, sid uint32, info frame.Opt[PeerInfo]) {
	if !info.OK {
		return
	}
	index.Delete(x, sid, info.V.ID)
	if info.V.Multiaddr.OK {
		x.MultiaddrSubnetNodeId.Delete(x, sid, info.V.Multiaddr.V)
	}
}

// replacePeer changes a node's bootnode or client peer.
func (x *exec) replacePeer(index *peerIndex, sid, nid uint32, current *frame.Opt[PeerInfo], info frame.Opt[PeerInfo]) error {
	if info.OK {
		if err := x.checkPeer(sid, info.V); err != nil {
			return err
		}
	}
	x.unindexPeer(index, sid, *current)
	if info.OK {
		x.indexPeer(index, sid, nid, info.V)
	}
	*current = info
	return nil
}

// updateNode changes an active or queued node.
func (x *exec) updateNode(sid, nid uint32, f func(n *Node) error) error {
	for _, m := range []*frame.Map2[uint32, uint32, Node]{x.SubnetNodesData, x.RegisteredSubnetNodesData} {
		n, ok := m.Find(x, sid, nid)
		if !ok {
			continue
		}
		if err := f(&n); err != nil {
			return err
		}
		m.Set(x, sid, nid, n)
		return nil
	}
	return fail(ErrInvalidSubnetNodeId)
}

func (x *exec) updatePeer(sid, nid uint32, info PeerInfo) error {
	return x.updateNode(sid, nid, func(n *Node) error {
		current := frame.Some(n.Peer)
		if err := x.replacePeer(x.PeerIdSubnetNodeId, sid, nid, &current, frame.Some(info)); err != nil {
			return err
		}
		n.Peer = info
		x.emit(evSubnetNodeUpdatePeerInfo, sid, nid, encoded(peerInfo(), info))
		return nil
	})
}

func (x *exec) updateRewardRate(sid, nid uint32, rate u128.U128) error {
	if one().Less(rate) || x.MaxDelegateStakePercentage.Get(x).Less(rate) {
		return fail(ErrInvalidDelegateRewardRate)
	}
	return x.updateNode(sid, nid, func(n *Node) error {
		old := n.DelegateRewardRate
		if err := first(
			ensure(x.block-n.LastRewardRateUpdate >= x.NodeRewardRateUpdatePeriod.Get(x), ErrMaxRewardRateUpdates),
			ensure(rate != old, ErrNoDelegateRewardRateChange),
			ensure(!x.MaxRewardRateDecrease.Get(x).Less(old.SatSub(rate)), ErrSurpassesMaxRewardRateDecrease),
		); err != nil {
			return err
		}
		n.LastRewardRateUpdate, n.DelegateRewardRate = x.block, rate
		x.emit(evSubnetNodeUpdateDelegateRewardRate, sid, nid, rate)
		return nil
	})
}

func (x *exec) updateUnique(sid, nid uint32, v frame.Opt[string]) error {
	return x.updateNode(sid, nid, func(n *Node) error {
		if n.Unique.OK {
			x.UniqueParamSubnetNodeId.Delete(x, sid, n.Unique.V)
		}
		if v.OK {
			if holder, taken := x.UniqueParamSubnetNodeId.Find(x, sid, v.V); taken && holder != nid {
				return fail(ErrUniqueParameterTaken)
			}
			x.UniqueParamSubnetNodeId.Set(x, sid, v.V, nid)
		}
		n.Unique = v
		x.emit(evSubnetNodeUpdateUnique, sid, nid, encoded(param(), v))
		return nil
	})
}

func (x *exec) updateDelegateAccount(sid, nid uint32, id frame.Opt[chain.AccountID], rate frame.Opt[u128.U128]) error {
	return x.updateNode(sid, nid, func(n *Node) error {
		if !id.OK && !rate.OK {
			return fail(ErrInvalidDelegateAccountParameters)
		}
		current := n.DelegateAccount
		if err := first(
			ensure(id.OK || current.OK, ErrDelegateAccountIdIsNone),
			ensure(rate.OK || current.OK, ErrDelegateAccountRateIsNone),
		); err != nil {
			return err
		}
		next := current.V
		if id.OK {
			next.Account = id.V
		}
		if rate.OK {
			next.Rate = rate.V
		}
		if err := checkDelegateAccount(next, n.Hotkey, x.HotkeyOwner.Get(x, n.Hotkey)); err != nil {
			return err
		}
		n.DelegateAccount = frame.Some(next)
		x.emit(evSubnetNodeUpdateDelegateAccount, sid, nid, encoded(frame.Option(delegateAccount()), n.DelegateAccount))
		return nil
	})
}

func checkDelegateAccount(a DelegateAccount, hotkey, coldkey chain.AccountID) error {
	return first(
		ensure(a.Account != hotkey, ErrDelegateAccountCannotBeHotkey),
		ensure(a.Account != coldkey, ErrDelegateAccountCannotBeColdkey),
		ensure(!a.Rate.IsZero() && !one().Less(a.Rate), ErrInvalidDelegateAccountRate),
	)
}
