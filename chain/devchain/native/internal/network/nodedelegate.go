package network

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

func (x *exec) ensureNode(sid, nid uint32) error {
	_, ok := x.nodeAny(sid, nid)
	return ensure(ok, ErrInvalidSubnetNodeId)
}

func (x *exec) delegateToNode(who chain.AccountID, sid, nid uint32, amount u128.U128) error {
	if err := x.takeDeposit(who, amount, ErrMinNodeDelegateStakeDepositNotReached); err != nil {
		return err
	}
	if err := x.enterNodePool(who, sid, nid, amount); err != nil {
		return err
	}
	x.LastTxBlock.Set(x, who, x.block)
	x.emit(evDelegateNodeStakeAdded, who, sid, nid, amount)
	return nil
}

// enterNodePool gives an account shares of a node's pool.
func (x *exec) enterNodePool(who chain.AccountID, sid, nid uint32, amount u128.U128) error {
	total := x.TotalNodeDelegateStakeShares.Get(x, sid, nid)
	if total.IsZero() {
		x.TotalNodeDelegateStakeShares.Set(x, sid, nid, deadShares())
	}
	shares := toShares(amount, total, x.TotalNodeDelegateStakeBalance.Get(x, sid, nid))
	if shares.IsZero() {
		return fail(ErrCouldNotConvertToShares)
	}
	x.changeNodePool(who, sid, nid, plus(shares), plus(amount))
	return nil
}

func (x *exec) changeNodePool(who chain.AccountID, sid, nid uint32, shares, amount func(u128.U128) u128.U128) {
	x.AccountNodeDelegateStakeShares.Update(x, who, sid, nid, shares)
	x.TotalNodeDelegateStakeBalance.Update(x, sid, nid, amount)
	x.TotalNodeDelegateStakeShares.Update(x, sid, nid, shares)
	x.TotalNodeDelegateStake.Update(x, amount)
}

// leaveNodePool takes shares back and returns their balance.
func (x *exec) leaveNodePool(who chain.AccountID, sid, nid uint32, shares u128.U128) (u128.U128, error) {
	if err := first(
		ensure(!shares.IsZero(), ErrSharesZero),
		ensure(!x.AccountNodeDelegateStakeShares.Get(x, who, sid, nid).Less(shares), ErrNotEnoughStakeToWithdraw),
		ensure(!x.rateLimited(who), ErrTxRateLimitExceeded),
	); err != nil {
		return u128.U128{}, err
	}
	amount := x.nodePoolBalance(sid, nid, shares)
	x.changeNodePool(who, sid, nid, minus(shares), minus(amount))
	return amount, nil
}

func (x *exec) nodePoolBalance(sid, nid uint32, shares u128.U128) u128.U128 {
	return toBalance(
		shares, x.TotalNodeDelegateStakeShares.Get(x, sid, nid), x.TotalNodeDelegateStakeBalance.Get(x, sid, nid))
}

func (x *exec) undelegateFromNode(who chain.AccountID, sid, nid uint32, shares u128.U128) error {
	amount, err := x.leaveNodePool(who, sid, nid, shares)
	if err != nil {
		return err
	}
	if err := x.unbond(who, amount, x.NodeDelegateStakeCooldownEpochs.Get(x)); err != nil {
		return err
	}
	x.LastTxBlock.Set(x, who, x.block)
	x.emit(evDelegateNodeStakeRemoved, who, sid, nid, amount)
	return nil
}

// transferNodeShares requires that the shares are the sender's, which the chain
// forgets to check.
func (x *exec) transferNodeShares(who chain.AccountID, sid, nid uint32, to chain.AccountID, shares u128.U128) error {
	if err := first(
		ensure(!shares.IsZero(), ErrNotEnoughStakeToWithdraw),
		ensure(!x.AccountNodeDelegateStakeShares.Get(x, who, sid, nid).Less(shares), ErrNotEnoughStakeToWithdraw),
		ensure(!x.nodePoolBalance(sid, nid, shares).Less(x.MinDelegateStakeDeposit.Get(x)), ErrCouldNotConvertToBalance),
	); err != nil {
		return err
	}
	x.changeNodePool(who, sid, nid, minus(shares), minus(u128.U128{}))
	x.changeNodePool(to, sid, nid, plus(shares), plus(u128.U128{}))
	return nil
}

// growNodePool adds to a node's pool without minting shares.
func (x *exec) growNodePool(sid, nid uint32, amount u128.U128) {
	if x.TotalNodeDelegateStakeBalance.Get(x, sid, nid).IsZero() || x.TotalNodeDelegateStakeShares.Get(x, sid, nid).IsZero() {
		x.TotalNodeDelegateStakeShares.Update(x, sid, nid, plus(deadShares()))
	}
	x.TotalNodeDelegateStakeBalance.Update(x, sid, nid, plus(amount))
	x.TotalNodeDelegateStake.Update(x, plus(amount))
}
