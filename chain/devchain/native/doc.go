// Package native is the embedded chain's own engine: the state transition
// function of generation G2 written in Go.
//
// It is the part of a Substrate runtime that a subnet needs: System, Timestamp,
// Balances, TransactionPayment, Sudo, Utility, Treasury and the whole pallet
// Network, with the real storage keys, SCALE values, metadata, events, errors
// and fees, so that any Substrate client can talk to it through package
// devchain. Other pallets appear in the metadata by name and index only.
//
// What differs from the real runtime, on purpose: the election draws from a
// seed instead of block hashes, hooks are not bounded by weight, state roots are
// not Merkle roots, moving delegate shares requires owning them, and sudo may
// dispatch what the real chain reserves for its collective.
//
// An [Engine] is immutable after [New]; all chain state lies in the
// devchain.State that each method is given. It starts no goroutine, reads no
// clock and logs nothing.
//
//	engine := native.New(native.Config{EpochLength: 20})
//	err := engine.Genesis(state, devchain.Genesis{Accounts: balances, Sudo: alith})
//
// The layers below: libm has the two floating-point functions that must be
// bit-equal to the chain's, schema declares the metadata, frame is the kernel
// that pallets stand on (typed storage, events, accounts and balances), network
// is the pallet.
package native
