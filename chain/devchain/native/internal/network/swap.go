package network

import (
	"slices"

	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

const maxSwapQueue = 1000

// checkSwapTarget checks that the subnet or node that a swap goes to exists.
func (x *exec) checkSwapTarget(to Swap) error {
	if !to.Node.OK {
		return ensure(x.SubnetsData.Has(x, to.Subnet), ErrInvalidSubnetId)
	}
	return x.ensureNode(to.Subnet, to.Node.V)
}

// swapped is a call that moves delegated stake to another place, which must
// exist.
func swapped(to Swap, f func(x *exec, to Swap) error) action {
	return checked(func(x *exec) error { return x.checkSwapTarget(to) }, func(x *exec, who chain.AccountID) error {
		to := to
		to.Account = who
		return f(x, to)
	})
}

func (x *exec) swapFromSubnet(from uint32, shares u128.U128, to Swap) error {
	who := to.Account
	amount, err := x.leavePool(who, from, shares)
	if err != nil {
		return err
	}
	to.Balance = amount
	x.queueSwap(to)
	if to.Node.OK {
		x.emit(evSubnetDelegateToNodeDelegateStakeSwapped, who, from, to.Subnet, to.Node.V, amount)
	}
	return nil
}

func (x *exec) swapFromNode(from, fromNode uint32, shares u128.U128, to Swap) error {
	who := to.Account
	amount, err := x.leaveNodePool(who, from, fromNode, shares)
	if err != nil {
		return err
	}
	to.Balance = amount
	x.queueSwap(to)
	if to.Node.OK {
		x.emit(evDelegateNodeStakeSwapped, who, from, fromNode, to.Subnet, to.Node.V, amount)
	} else {
		x.emit(evDelegateNodeToSubnetDelegateStakeSwapped, who, from, fromNode, to.Subnet, amount)
	}
	return nil
}

// queueSwap lets a swap wait for an epoch.
func (x *exec) queueSwap(s Swap) {
	id := x.NextSwapQueueId.Get(x)
	x.SwapCallQueue.Set(x, id, QueuedSwap{id, s, x.block, x.cfg.EpochLength})
	order := x.SwapQueueOrder.Get(x)
	if len(order) < maxSwapQueue {
		order = append(order, id)
	}
	x.SwapQueueOrder.Set(x, order)
	x.NextSwapQueueId.Set(x, id+1)
	x.emit(evSwapCallQueued, id, s.Account, encoded(swap(), s))
}

func (x *exec) updateSwap(who chain.AccountID, id uint32, next Swap) error {
	item, ok := x.SwapCallQueue.Find(x, id)
	if !ok {
		return fail(ErrSwapCallNotFound)
	}
	if next.Account != who {
		return fail(ErrNotKeyOwner)
	}
	if err := x.checkSwapTarget(next); err != nil {
		return err
	}
	next.Balance = item.Call.Balance
	item.Call = next
	x.SwapCallQueue.Set(x, id, item)
	x.emit(evSwapCallQueueUpdated, id, who, encoded(swap(), next))
	return nil
}

// runSwaps executes what has waited long enough.
func (x *exec) runSwaps() {
	for range x.MaxSwapQueueCallsPerBlock.Get(x) {
		order := x.SwapQueueOrder.Get(x)
		if len(order) == 0 {
			x.SwapQueueOrder.Set(x, order)
			return
		}
		item, ok := x.SwapCallQueue.Find(x, order[0])
		if !ok || x.block-min(item.QueuedAt, x.block) < item.After {
			x.SwapQueueOrder.Set(x, order)
			return
		}
		s := item.Call
		// A deposit that is too small for a share is lost, as on the chain.
		if s.Node.OK {
			_ = x.enterNodePool(s.Account, s.Subnet, s.Node.V, s.Balance)
		} else {
			_ = x.enterPool(s.Account, s.Subnet, s.Balance)
		}
		x.SwapCallQueue.Delete(x, item.ID)
		x.SwapQueueOrder.Set(x, slices.Delete(order, 0, 1))
	}
}
