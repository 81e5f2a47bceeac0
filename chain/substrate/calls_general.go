package substrate

import "github.com/hypertensor-blockchain/mesh/chain"

// Transfer moves an amount. The sender's account may end by it.
func Transfer(to chain.AccountID, amount chain.Balance) Call {
	return callOf("Balances", "transfer_allow_death", "dest", to, "value", amount)
}

// TransferKeepAlive moves an amount and fails if the sender's account would end by it.
func TransferKeepAlive(to chain.AccountID, amount chain.Balance) Call {
	return callOf("Balances", "transfer_keep_alive", "dest", to, "value", amount)
}

// TransferAll moves everything that can be moved.
func TransferAll(to chain.AccountID, keepAlive bool) Call {
	return callOf("Balances", "transfer_all", "dest", to, "keep_alive", keepAlive)
}

// Remark does nothing and leaves its text in the block.
func Remark(text []byte) Call { return callOf("System", "remark", "remark", text) }

// inner is a call within a call. It is encoded when the chain is known.
type inner struct{ call Call }

type innerList []Call

// Batch executes calls one after the other and stops at the first that fails; those before it stay executed. The event
// Utility.BatchInterrupted tells of the failure.
func Batch(calls ...Call) Call { return callOf("Utility", "batch", "calls", innerList(calls)) }

// BatchAll executes all calls or, if one fails, none.
func BatchAll(calls ...Call) Call { return callOf("Utility", "batch_all", "calls", innerList(calls)) }

// Sudo executes a call as the chain's root. Only the administrator of a development chain may sign it.
func Sudo(call Call) Call { return callOf("Sudo", "sudo", "call", inner{call}) }
