package network

import (
	"math/big"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/devchain/native/internal/frame"
	"github.com/hypertensor-blockchain/mesh/chain/scale"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// deadShares are minted with the first deposit of a pool and belong to nobody.
func deadShares() u128.U128 { return u128.From64(1000) }

func delegateCalls() map[string]handler {
	return map[string]handler{
		"add_to_delegate_stake": func(d *scale.Decoder) action {
			sid, amount := d.U32(), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.delegate(who, sid, amount) })
		},
		"remove_delegate_stake": func(d *scale.Decoder) action {
			sid, shares := d.U32(), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.undelegate(who, sid, shares) })
		},
		"transfer_delegate_stake": func(d *scale.Decoder) action {
			sid, to, shares := d.U32(), frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.transferShares(who, sid, to, shares) })
		},
		"donate_delegate_stake": func(d *scale.Decoder) action {
			sid, amount := d.U32(), d.U128()
			return signed(func(x *exec, who chain.AccountID) error {
				if !x.SubnetsData.Has(x, sid) {
					return fail(ErrInvalidSubnetId)
				}
				if err := x.donate(who, amount); err != nil {
					return err
				}
				x.growPool(sid, amount)
				return nil
			})
		},
		"add_to_node_delegate_stake": func(d *scale.Decoder) action {
			sid, nid, amount := d.U32(), d.U32(), d.U128()
			return checked(func(x *exec) error { return x.ensureNode(sid, nid) },
				func(x *exec, who chain.AccountID) error { return x.delegateToNode(who, sid, nid, amount) })
		},
		"remove_node_delegate_stake": func(d *scale.Decoder) action {
			sid, nid, shares := d.U32(), d.U32(), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.undelegateFromNode(who, sid, nid, shares) })
		},
		"transfer_node_delegate_stake": func(d *scale.Decoder) action {
			sid, nid, to, shares := d.U32(), d.U32(), frame.Account().Dec(d), d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.transferNodeShares(who, sid, nid, to, shares) })
		},
		"donate_node_delegate_stake": func(d *scale.Decoder) action {
			sid, nid, amount := d.U32(), d.U32(), d.U128()
			return signed(func(x *exec, who chain.AccountID) error {
				if !x.SubnetNodesData.Has(x, sid, nid) {
					return fail(ErrInvalidSubnetNodeId)
				}
				if err := x.donate(who, amount); err != nil {
					return err
				}
				x.growNodePool(sid, nid, amount)
				return nil
			})
		},
		"remove_delegate_balance": func(d *scale.Decoder) action {
			amount := d.U128()
			return signed(func(x *exec, who chain.AccountID) error { return x.removeDelegateBalance(who, amount) })
		},
		"swap_delegate_stake": func(d *scale.Decoder) action {
			from, to, shares := d.U32(), d.U32(), d.U128()
			return swapped(Swap{Subnet: to}, func(x *exec, to Swap) error { return x.swapFromSubnet(from, shares, to) })
		},
		"swap_from_subnet_to_node": func(d *scale.Decoder) action {
			from, to, nid, shares := d.U32(), d.U32(), d.U32(), d.U128()
			return swapped(Swap{Subnet: to, Node: frame.Some(nid)}, func(x *exec, to Swap) error { return x.swapFromSubnet(from, shares, to) })
		},
		"swap_node_delegate_stake": func(d *scale.Decoder) action {
			from, fromNode, to, nid, shares := d.U32(), d.U32(), d.U32(), d.U32(), d.U128()
			return swapped(Swap{Subnet: to, Node: frame.Some(nid)}, func(x *exec, to Swap) error { return x.swapFromNode(from, fromNode, shares, to) })
		},
		"swap_from_node_to_subnet": func(d *scale.Decoder) action {
			from, fromNode, to, shares := d.U32(), d.U32(), d.U32(), d.U128()
			return swapped(Swap{Subnet: to}, func(x *exec, to Swap) error { return x.swapFromNode(from, fromNode, shares, to) })
		},
		"update_swap_queue": func(d *scale.Decoder) action {
			id, next := d.U32(), swap().Dec(d)
			return func(x *exec, o frame.Origin) (bool, error) { // also while paused
				who, err := o.EnsureSigned()
				if err != nil {
					return false, err
				}
				return false, x.updateSwap(who, id, next)
			}
		},
	}
}

// checkDeposit takes a deposit from an account.
func (x *exec) takeDeposit(who chain.AccountID, amount u128.U128, tooSmall Error) error {
	if err := first(
		ensure(!amount.Less(x.MinDelegateStakeDeposit.Get(x)), tooSmall),
		ensure(x.canPay(who, amount), ErrNotEnoughBalanceToStake),
		ensure(!x.rateLimited(who), ErrTxRateLimitExceeded),
	); err != nil {
		return err
	}
	return ensure(x.pay(who, amount), ErrBalanceWithdrawalError)
}

// donate takes a gift to a pool from an account.
func (x *exec) donate(who chain.AccountID, amount u128.U128) error {
	if err := first(
		ensure(!amount.Less(x.MinDelegateStakeDeposit.Get(x)), ErrMinDelegateStake),
		ensure(x.canPay(who, amount), ErrNotEnoughBalance),
	); err != nil {
		return err
	}
	return ensure(x.pay(who, amount), ErrBalanceWithdrawalError)
}

func (x *exec) delegate(who chain.AccountID, sid uint32, amount u128.U128) error {
	if !x.SubnetsData.Has(x, sid) {
		return fail(ErrInvalidSubnetId)
	}
	if err := x.takeDeposit(who, amount, ErrMinDelegateStakeDepositNotReached); err != nil {
		return err
	}
	if err := x.enterPool(who, sid, amount); err != nil {
		return err
	}
	x.LastTxBlock.Set(x, who, x.block)
	x.emit(evSubnetDelegateStakeAdded, sid, who, amount)
	return nil
}

// enterPool gives an account shares of a subnet's pool.
func (x *exec) enterPool(who chain.AccountID, sid uint32, amount u128.U128) error {
	total := x.TotalSubnetDelegateStakeShares.Get(x, sid)
	if total.IsZero() {
		x.TotalSubnetDelegateStakeShares.Set(x, sid, deadShares())
	}
	shares := toShares(amount, total, x.TotalSubnetDelegateStakeBalance.Get(x, sid))
	if shares.IsZero() {
		return fail(ErrCouldNotConvertToShares)
	}
	x.AccountSubnetDelegateStakeShares.Update(x, who, sid, plus(shares))
	x.TotalSubnetDelegateStakeBalance.Update(x, sid, plus(amount))
	x.TotalSubnetDelegateStakeShares.Update(x, sid, plus(shares))
	x.TotalDelegateStake.Update(x, plus(amount))
	x.flow(sid, amount, false)
	return nil
}

// flow adds to, or takes from, what a subnet drew in this epoch.
func (x *exec) flow(sid uint32, amount u128.U128, out bool) {
	x.SubnetNetFlow.Update(x, sid, func(f *big.Int) *big.Int {
		by := amount.Big()
		if out {
			by.Neg(by)
		}
		limit := new(big.Int).Lsh(big.NewInt(1), 127)
		sum := by.Add(by, f)
		if sum.Cmp(limit) >= 0 {
			return limit.Sub(limit, big.NewInt(1))
		}
		if low := new(big.Int).Neg(limit); sum.Cmp(low) < 0 {
			return low
		}
		return sum
	})
}

// leavePool takes shares back and returns their balance.
func (x *exec) leavePool(who chain.AccountID, sid uint32, shares u128.U128) (u128.U128, error) {
	if err := first(
		ensure(!shares.IsZero(), ErrSharesZero),
		ensure(!x.AccountSubnetDelegateStakeShares.Get(x, who, sid).Less(shares), ErrNotEnoughStakeToWithdraw),
		ensure(!x.rateLimited(who), ErrTxRateLimitExceeded),
	); err != nil {
		return u128.U128{}, err
	}
	amount := toBalance(
		shares, x.TotalSubnetDelegateStakeShares.Get(x, sid), x.TotalSubnetDelegateStakeBalance.Get(x, sid))
	x.AccountSubnetDelegateStakeShares.Update(x, who, sid, minus(shares))
	x.TotalSubnetDelegateStakeBalance.Update(x, sid, minus(amount))
	x.TotalSubnetDelegateStakeShares.Update(x, sid, minus(shares))
	x.TotalDelegateStake.Update(x, minus(amount))
	x.flow(sid, amount, true)
	return amount, nil
}

func (x *exec) undelegate(who chain.AccountID, sid uint32, shares u128.U128) error {
	amount, err := x.leavePool(who, sid, shares)
	if err != nil {
		return err
	}
	if err := x.unbond(who, amount, x.DelegateStakeCooldownEpochs.Get(x)); err != nil {
		return err
	}
	x.LastTxBlock.Set(x, who, x.block)
	x.emit(evSubnetDelegateStakeRemoved, sid, who, amount)
	return nil
}

// transferShares requires that the shares are the sender's, which the chain
// forgets to check.
func (x *exec) transferShares(who chain.AccountID, sid uint32, to chain.AccountID, shares u128.U128) error {
	amount := toBalance(
		shares, x.TotalSubnetDelegateStakeShares.Get(x, sid), x.TotalSubnetDelegateStakeBalance.Get(x, sid))
	if err := first(
		ensure(who != to, ErrTransferToSelfNotAllowed),
		ensure(!shares.IsZero(), ErrNotEnoughStakeToWithdraw),
		ensure(!x.AccountSubnetDelegateStakeShares.Get(x, who, sid).Less(shares), ErrNotEnoughStakeToWithdraw),
		ensure(!amount.Less(x.MinDelegateStakeDeposit.Get(x)), ErrMinDelegateStakeDepositNotReached),
	); err != nil {
		return err
	}
	for _, side := range []struct {
		who    chain.AccountID
		change func(u128.U128) u128.U128
	}{{who, minus(shares)}, {to, plus(shares)}} {
		x.AccountSubnetDelegateStakeShares.Update(x, side.who, sid, side.change)
		x.TotalSubnetDelegateStakeBalance.Update(x, sid, plus(u128.U128{}))
		x.TotalSubnetDelegateStakeShares.Update(x, sid, side.change)
		x.TotalDelegateStake.Update(x, plus(u128.U128{}))
		x.flow(sid, u128.U128{}, false)
	}
	return nil
}

// growPool adds to a subnet's pool without minting shares.
func (x *exec) growPool(sid uint32, amount u128.U128) {
	if x.TotalSubnetDelegateStakeBalance.Get(x, sid).IsZero() || x.TotalSubnetDelegateStakeShares.Get(x, sid).IsZero() {
		x.TotalSubnetDelegateStakeShares.Update(x, sid, plus(deadShares()))
	}
	x.TotalSubnetDelegateStakeBalance.Update(x, sid, plus(amount))
	x.TotalDelegateStake.Update(x, plus(amount))
}

func (x *exec) removeDelegateBalance(who chain.AccountID, amount u128.U128) error {
	if err := first(
		ensure(!amount.IsZero(), ErrAmountZero),
		ensure(!x.AccountDelegateStake.Get(x, who).Less(amount), ErrNotEnoughStakeToWithdraw),
	); err != nil {
		return err
	}
	x.AccountDelegateStake.Update(x, who, minus(amount))
	x.TotalAccountDelegateStake.Update(x, minus(amount))
	if err := x.unbond(who, amount, x.StakeCooldownEpochs.Get(x)); err != nil {
		return err
	}
	x.emit(evDelegateBalanceRemoved, who, amount)
	return nil
}
