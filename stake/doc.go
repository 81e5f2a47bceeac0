// Package stake knows who belongs to a subnet: which peers the chain lists, in which class, with enough at stake.
//
// A [Snapshot] is the membership at one block, by peer ID: the main, bootnode and client identities of every node that holds the
// wanted class, has reached its start epoch and has the subnet's minimum at stake, and the subnet's official bootnodes. A [Set]
// holds the snapshot in force, follows the heads and replaces it; [Set.Admit] is the gate of package p2p: one map lookup, no
// allocation, no RPC.
//
// # When the chain does not answer
//
// Silence changes nothing. The last snapshot stays in force, so members stay connected and strangers are refused, for as long as it
// takes; with a file it even survives a restart. A node that was removed is refused with the first block that this node sees
// without it. A block that shows most of the members gone at once is not believed before it is confirmed by later blocks:
// endpoints that lag, lie or lost their database look like that. Nor is a block below the one in force, until a few more confirm that
// the chain went back: a short reorganisation or a switch to a lagging endpoint brings no removed node back.
//
// Before there is any snapshot nobody is admitted, except peers that are allowed by name.
//
// The rule is that of the chain's own proof of stake, computed from one read per block instead of one RPC per peer.
package stake
