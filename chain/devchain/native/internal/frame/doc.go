// Package frame is the kernel under the pallets of the native engine: typed
// storage over a devchain.State, codecs, dispatch errors and origins, and the
// two pallets that all others stand on, System (accounts, events, block
// bookkeeping) and Balances.
//
// Storage items ([Value], [Map], [Map2], [Map3]) are immutable descriptions: the
// name, hashers, codec and default. Each method takes the State to work on, so
// one set of items serves any number of chains. A value that does not decode is
// a broken invariant, because only this engine writes it, and panics.
//
// Behaviour follows the pallets of the same names: the order of events, which
// keys exist, when an account is created or reaped, and which error wins are
// part of what clients observe.
//
// Nothing here starts a goroutine or keeps state between calls.
package frame
