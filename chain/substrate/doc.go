// Package substrate is the client of Hypertensor chains: JSON-RPC over WebSocket, driven by the metadata of the chain at hand.
//
// [Dial] connects to one of several endpoints and returns a [Client], which stays usable for the life of the process: it
// reconnects with back-off and jitter, prefers healthy endpoints, refuses endpoints of another chain, resumes subscriptions,
// and reloads the metadata when the runtime is upgraded. A Client implements [chain.HeadSource], [chain.SubnetReader] and
// [chain.RoundReader]; [Client.Writer] with a [Signer] is a [chain.RoundWriter].
//
// # Generations
//
// The chain exists in incompatible generations that all report the same version. No index of a call, error or event is
// written down here: names and types are looked up in the metadata, and the few differences of meaning sit in thin adapters
// chosen by fingerprint (generation.go). What a generation lacks is [chain.ErrNotOnThisChain].
//
// # Submission
//
// [Client.Submit] signs once, with a mortal era, and tracks those bytes until they are in a block, finalized, refused or
// expired. After a lost connection the same bytes are looked for in the blocks and broadcast again if they are not there;
// nothing is ever signed a second time for one call. Nonces are handed out by one writer per account.
//
// # Failure
//
// Every method takes a context, and Config bounds what a caller without a deadline waits for. A chain that cannot be reached
// is [chain.ErrUnavailable]; what a node answers is bounded in size and checked before use ([ErrProtocol], [ErrWrongChain],
// [scale.ErrMalformed]); a call that failed in its block is a [chain.DispatchError] with the runtime's own documentation.
//
// A Client owns a supervising goroutine, two per connection and one per subscription; [Client.Close] waits for all of them.
// All methods are safe for concurrent use.
package substrate
