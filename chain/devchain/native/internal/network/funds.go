package network

import (
	"github.com/hypertensor-blockchain/mesh/chain"
	"github.com/hypertensor-blockchain/mesh/chain/u128"
)

// canPay reports whether an account's free balance covers amount; the pallet
// does not look at the existential deposit here.
func (x *exec) canPay(who chain.AccountID, amount u128.U128) bool {
	a := x.system.Account.Get(x, who).Data
	left, under := a.Free.Sub(amount)
	return !under && (amount.IsZero() || !left.Less(a.Frozen))
}

// pay takes amount from an account's free balance.
func (x *exec) pay(who chain.AccountID, amount u128.U128) bool {
	return x.balances.Withdraw(x, who, amount) == nil
}

// rateLimited reports whether an account acts again too soon.
func (x *exec) rateLimited(who chain.AccountID) bool {
	limit, last := x.TxRateLimit.Get(x), x.LastTxBlock.Get(x, who)
	return limit != 0 && last != 0 && x.block-last <= limit
}
