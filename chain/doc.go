// Package chain holds the nouns of a Hypertensor chain and the small interfaces through which the rest of mesh talks to one.
//
// It is vocabulary: IDs, classes, amounts, subnets, nodes, submissions, receipts, errors. It connects to nothing and starts
// nothing. Package chain/substrate implements the interfaces over JSON-RPC for the generations G1, G2 and G3 of the chain;
// package chain/devchain is a chain of our own that answers the same RPC.
//
// # Time
//
// The chain counts blocks. A subnet's epochs are EpochLength blocks long and begin at its own offset, its [Slot], so that not
// all subnets settle in one block: subnet epoch e of slot s begins at block e*EpochLength+s. See [Params.EpochAt].
// EpochLength is a constant of the running chain (20 on the public test network, others elsewhere) and is always read from it.
//
// # Amounts
//
// A [Balance] is in planck; 1 TENSOR is 1e18 planck. [ParseTensor] and [FormatTensor] convert exact decimals; no amount ever
// passes through a float. Shares of a whole (scores, percentages, reputations) use the same width with 1e18 for 100 %.
//
// # Consistency
//
// Reads take a block hash: everything that one decision needs is read at one block. The zero [Hash] means the best block.
//
// All types here are plain values, safe to copy; slices in them belong to the receiver.
package chain
