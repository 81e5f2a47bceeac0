// Package mesh is a node of a Hypertensor subnet: it holds stake on a chain, finds its peers through a DHT, admits by stake whom it
// talks to, and takes part in the subnet's consensus epoch after epoch.
//
// A subnet builder implements [App], which registers RPC methods and scores the other nodes, and gives it to [New]; everything else
// is this package's work. [Node.Run] blocks until its context ends:
//
//  1. connects to the chain and reads the subnet; waits until the node is registered and its start epoch has come
//  2. starts the host, whose gate asks the membership for every peer, and joins the DHT by the bootnodes
//  3. announces itself under the DHT key "heartbeat", signed and expiring
//  4. asks the App for scores, proposes when elected, attests what it agrees with
//  5. at the end: stops serving, says OFFLINE, lets a submission on its way land, hands its records over, closes
//
// A whole program around an App, with all commands of mesh, is one call: see package subnet. The smallest complete subnet is
// examples/hello; examples/oracle commits and reveals answers in each epoch and has rules for records of its own.
//
// # Glossary
//
//	epoch       a subnet's round of consensus, a fixed number of blocks
//	slot        the block offset at which a subnet's epochs begin
//	class       what a node may do: registered, idle, included, validator
//	elected     the validator that proposes in an epoch
//	propose     to submit scores of the nodes; attest: to agree with them
//	stake       what a node has put up; membership follows from it
//	record      key, subkey, value, expiration: what the DHT holds
//	hotkey      the account that signs proposals and attestations; coldkey: the one that owns the stake
//	bootnode    a peer by which others join
//
// Node owns all goroutines that it starts, and Run waits for them. The methods of a Node are safe for concurrent use.
package mesh
