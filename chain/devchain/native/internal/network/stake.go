package network

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

func stakeCalls() map[string]handler {
	return map[string]handler{
		"add_stake": func(d *scale.Decoder) action {
			sid, _, hotkey, amount := d.U32(), d.U32(), frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error {
				if err := first(
					ensure(x.SubnetsData.Has(x, sid), ErrInvalidSubnetId),
					ensure(x.HotkeyOwner.Get(x, hotkey) == who, ErrNotKeyOwner),
				); err != nil {
					return err
				}
				return x.addStake(who, sid, hotkey, amount)
			})
		},
		"remove_stake": func(d *scale.Decoder) action {
			sid, hotkey, amount := d.U32(), frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error {
				if x.HotkeyOwner.Get(x, hotkey) != who {
					return fail(ErrNotKeyOwner)
				}
				isNode, err := x.mayUnstake(sid, hotkey)
				if err != nil {
					return err
				}
				return x.removeStake(who, sid, hotkey, isNode, amount)
			})
		},
		"claim_unbondings": func(*scale.Decoder) action {
			return signed(func(x *exec, who chain.AccountID) error {
				return ensure(x.claimUnbondings(who) > 0, ErrNoStakeUnbondingsOrCooldownNotMet)
			})
		},
	}
}

func (x *exec) addStake(coldkey chain.AccountID, sid uint32, hotkey chain.AccountID, amount u128.U128) error {
	total := x.AccountSubnetStake.Get(x, hotkey, sid).SatAdd(amount)
	if err := first(
		ensure(!amount.IsZero(), ErrInvalidAmount),
		ensure(!total.Less(x.SubnetMinStakeBalance.Get(x, sid)), ErrMinStakeNotReached),
		ensure(!x.SubnetMaxStakeBalance.Get(x, sid).Less(total), ErrMaxStakeReached),
		ensure(x.canPay(coldkey, amount), ErrNotEnoughBalanceToStake),
		ensure(!x.rateLimited(coldkey), ErrTxRateLimitExceeded),
	); err != nil {
		return err
	}
	if !x.pay(coldkey, amount) {
		return fail(ErrBalanceWithdrawalError)
	}
	x.increaseStake(hotkey, sid, amount)
	x.LastTxBlock.Set(x, coldkey, x.block)
	x.emit(evStakeAdded, sid, coldkey, hotkey, amount)
	return nil
}

// mayUnstake says whether the hotkey runs a node of the subnet, and why its
// stake is locked.
func (x *exec) mayUnstake(sid uint32, hotkey chain.AccountID) (isNode bool, err error) {
	nid, isNode := x.HotkeySubnetNodeId.Find(x, sid, hotkey)
	if !isNode {
		return false, nil
	}
	epoch := x.subnetEpoch(sid)
	if winner, ok := x.SubnetElectedValidator.Find(x, sid, epoch); ok && winner == nid {
		return true, fail(ErrElectedValidatorCannotUnstake)
	}
	if n, ok := x.SubnetNodesData.Find(x, sid, nid); ok {
		return true, ensure(n.Class.StartEpoch+x.MinActiveNodeStakeEpochs.Get(x) <= epoch, ErrMinActiveNodeStakeEpochs)
	}
	return true, nil
}

func (x *exec) removeStake(coldkey chain.AccountID, sid uint32, hotkey chain.AccountID, isNode bool, amount u128.U128) error {
	stake := x.AccountSubnetStake.Get(x, hotkey, sid)
	left, under := stake.Sub(amount)
	if err := first(
		ensure(!amount.IsZero(), ErrAmountZero),
		ensure(!under, ErrNotEnoughStakeToWithdraw),
		ensure(!isNode || !left.Less(x.SubnetMinStakeBalance.Get(x, sid)), ErrMinStakeNotReached),
	); err != nil {
		return err
	}
	if !isNode && left.IsZero() { // nothing ties the hotkey to the coldkey any more
		x.HotkeySubnetId.Delete(x, hotkey)
		hotkeys := x.ColdkeyHotkeys.Get(x, coldkey)
		delete(hotkeys, hotkey)
		x.ColdkeyHotkeys.Set(x, coldkey, hotkeys)
		x.HotkeyOwner.Delete(x, hotkey)
		x.cleanColdkey(coldkey)
	}
	if x.rateLimited(coldkey) {
		return fail(ErrTxRateLimitExceeded)
	}
	x.decreaseStake(hotkey, sid, amount)
	if err := x.unbond(coldkey, amount, x.StakeCooldownEpochs.Get(x)); err != nil {
		return err
	}
	x.LastTxBlock.Set(x, coldkey, x.block)
	x.emit(evStakeRemoved, sid, coldkey, hotkey, amount)
	return nil
}

func (x *exec) increaseStake(hotkey chain.AccountID, sid uint32, amount u128.U128) {
	x.AccountSubnetStake.Update(x, hotkey, sid, plus(amount))
	x.TotalSubnetStake.Update(x, sid, plus(amount))
	x.TotalStake.Update(x, plus(amount))
}

func (x *exec) decreaseStake(hotkey chain.AccountID, sid uint32, amount u128.U128) {
	x.AccountSubnetStake.Update(x, hotkey, sid, minus(amount))
	x.TotalSubnetStake.Update(x, sid, minus(amount))
	x.TotalStake.Update(x, minus(amount))
}

// unbond puts amount into the ledger of what may be claimed later.
func (x *exec) unbond(who chain.AccountID, amount u128.U128, cooldownEpochs uint32) error {
	most := int(x.MaxUnbondings.Get(x))
	if len(x.StakeUnbondingLedger.Get(x, who)) == most {
		x.claimUnbondings(who)
	}
	ledger := x.StakeUnbondingLedger.Get(x, who)
	if len(ledger) >= most {
		return fail(ErrMaxUnlockingsReached)
	}
	if ledger == nil {
		ledger = map[uint32]u128.U128{}
	}
	at := x.block + cooldownEpochs*x.cfg.EpochLength
	ledger[at] = ledger[at].SatAdd(amount)
	x.StakeUnbondingLedger.Set(x, who, ledger)
	x.TotalUnbondingBalance.Update(x, plus(amount))
	return nil
}

// claimUnbondings pays out what is due and returns the number of entries.
func (x *exec) claimUnbondings(who chain.AccountID) int {
	ledger := x.StakeUnbondingLedger.Get(x, who)
	claimed := 0
	for _, at := range frame.SortedKeys(ledger, frame.CompareU32) {
		if x.block < at {
			break
		}
		x.balances.Deposit(x, who, ledger[at])
		x.TotalUnbondingBalance.Update(x, minus(ledger[at]))
		delete(ledger, at)
		claimed++
	}
	if claimed > 0 {
		x.StakeUnbondingLedger.Set(x, who, ledger)
	}
	return claimed
}
