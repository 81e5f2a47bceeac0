package network

import (
	"errors"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
)

func keyCalls() map[string]handler {
	return map[string]handler{
		"update_coldkey": func(d *scale.Decoder) action {
			hotkey, next := frame.Account().Dec(d), frame.Account().Dec(d)
			return signed(func(x *exec, who chain.AccountID) error { return x.updateColdkey(who, hotkey, next) })
		},
		"update_hotkey": func(d *scale.Decoder) action {
			old, next := frame.Account().Dec(d), frame.Account().Dec(d)
			return signed(func(x *exec, who chain.AccountID) error { return x.updateHotkey(who, old, next) })
		},
		"register_or_update_identity": func(d *scale.Decoder) action {
			hotkey, id := frame.Account().Dec(d), identity().Dec(d)
			return signed(func(x *exec, who chain.AccountID) error { return x.setIdentity(who, hotkey, id) })
		},
		"remove_identity": func(*scale.Decoder) action {
			return func(x *exec, o frame.Origin) (bool, error) { // also while paused
				who, err := o.EnsureSigned()
				if err != nil {
					return false, err
				}
				id, _ := x.ColdkeyIdentity.Take(x, who)
				x.ColdkeyIdentityNameOwner.Delete(x, id[0])
				x.emit(evIdentityRemoved, who, encoded(identity(), id))
				return false, nil
			}
		},
	}
}

func (x *exec) updateColdkey(old, hotkey, next chain.AccountID) error {
	owner, ok := x.HotkeyOwner.Find(x, hotkey)
	if err := first(
		ensure(hotkey != next, ErrColdkeyMatchesHotkey),
		ensure(ok && owner == old, ErrNotKeyOwner),
	); err != nil {
		return err
	}
	x.StakeUnbondingLedger.Swap(x, old, next)
	x.ColdkeyHotkeys.Swap(x, old, next)
	if id, ok := x.ColdkeyIdentity.Find(x, old); ok {
		x.ColdkeyIdentity.Swap(x, old, next)
		x.ColdkeyIdentityNameOwner.Set(x, id[0], next)
	}
	x.ColdkeyReputation.Swap(x, old, next)
	x.ColdkeySubnetNodes.Swap(x, old, next)
	x.HotkeyOwner.Set(x, hotkey, next)
	x.emit(evUpdateColdkey, old, next)
	return nil
}

func (x *exec) updateHotkey(coldkey, old, next chain.AccountID) error {
	owner, ok := x.HotkeyOwner.Find(x, old)
	hotkeys := x.ColdkeyHotkeys.Get(x, coldkey)
	_, hasNext := hotkeys[next]
	_, hasOld := hotkeys[old]
	if err := first(
		ensure(coldkey != next, ErrColdkeyMatchesHotkey),
		ensure(ok && owner == coldkey, ErrNotKeyOwner),
		ensure(!x.HotkeyOwner.Has(x, next), ErrHotkeyHasOwner),
		ensure(!hasNext, ErrHotkeyAlreadyRegisteredToColdkey),
		ensure(hasOld, ErrOldHotkeyNotRegistered),
	); err != nil {
		return err
	}
	delete(hotkeys, old)
	hotkeys[next] = struct{}{}
	x.ColdkeyHotkeys.Set(x, coldkey, hotkeys)
	x.HotkeyOwner.Swap(x, old, next)
	if oid, ok := x.HotkeyOverwatchNodeId.Take(x, old); ok {
		x.OverwatchNodeIdHotkey.Set(x, oid, next)
		x.HotkeyOverwatchNodeId.Set(x, next, oid)
		if n, ok := x.OverwatchNodes.Find(x, oid); ok {
			n.Hotkey = next
			x.OverwatchNodes.Set(x, oid, n)
		}
	}
	if stake, ok := x.AccountOverwatchStake.Find(x, old); ok && !stake.IsZero() {
		x.AccountOverwatchStake.Delete(x, old)
		x.AccountOverwatchStake.Update(x, next, plus(stake))
	}
	if err := x.moveNodeHotkey(old, next); err != nil {
		return err
	}
	for _, s := range x.AccountSubnetStake.Under(x, old) {
		if !s.B.IsZero() {
			x.AccountSubnetStake.Delete(x, old, s.A)
			x.AccountSubnetStake.Update(x, next, s.A, plus(s.B))
		}
	}
	x.emit(evUpdateHotkey, old, next)
	return nil
}

// moveNodeHotkey gives the node of a hotkey another one.
func (x *exec) moveNodeHotkey(old, next chain.AccountID) error {
	sid, ok := x.HotkeySubnetId.Take(x, old)
	if !ok {
		return nil
	}
	if nid, ok := x.HotkeySubnetNodeId.Find(x, sid, old); ok {
		x.SubnetNodeIdHotkey.Set(x, sid, nid, next)
		err := x.updateNode(sid, nid, func(n *Node) error {
			n.Hotkey = next
			if a := n.DelegateAccount; a.OK {
				return first(
					ensure(a.V.Account != old, ErrDelegateAccountCannotBeHotkey),
					ensure(a.V.Account != x.HotkeyOwner.Get(x, old), ErrDelegateAccountCannotBeColdkey),
				)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fail(ErrInvalidSubnetNodeId)) {
			return err
		}
		x.HotkeySubnetNodeId.Swap(x, sid, old, next)
	}
	x.HotkeySubnetId.Set(x, next, sid)
	return nil
}

func (x *exec) setIdentity(coldkey, hotkey chain.AccountID, id Identity) error {
	if x.HotkeyOwner.Get(x, hotkey) != coldkey {
		return fail(ErrNotKeyOwner)
	}
	for _, s := range id {
		if s == "" {
			return fail(ErrIdentityFieldEmpty)
		}
	}
	if owner, ok := x.ColdkeyIdentityNameOwner.Find(x, id[0]); ok && owner != coldkey {
		return fail(ErrIdentityTaken)
	}
	if old, ok := x.ColdkeyIdentity.Find(x, coldkey); ok {
		x.ColdkeyIdentityNameOwner.Delete(x, old[0])
	}
	x.ColdkeyIdentityNameOwner.Set(x, id[0], coldkey)
	x.ColdkeyIdentity.Set(x, coldkey, id)
	x.emit(evIdentityRegistered, coldkey, encoded(identity(), id))
	return nil
}
