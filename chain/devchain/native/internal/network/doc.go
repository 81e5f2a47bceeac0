// Package network is the chain's pallet Network in generation G2: subnets and
// their nodes, stake and delegation, the validator's consensus round, rewards
// and slashes, reputations, the registration queue, overwatch nodes.
//
// [Pallet] describes it; its storage lies in the State that each method takes.
// The runtime calls [Pallet.Call] for a transaction, [Pallet.OnInitialize] at the
// start of a block, and [Pallet.Query] for the runtime API.
//
// Arithmetic is the chain's: percentages are integers of which 1e18 is one
// whole, products are taken through 256 bits and rounded down, additions
// saturate, and the few floating-point formulas go through package libm. Which
// storage keys exist, the order of events and the order of checks follow the
// chain as well, because clients can see them.
//
// The pallet is immutable and safe for concurrent use on different States.
package network
