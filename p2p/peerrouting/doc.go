// Package peerrouting finds the addresses of a peer ID by asking connected peers.
//
// It speaks the part of libp2p's Kademlia protocol that resolves addresses: FIND_NODE and PING, server and
// client, over any protocol ID. Python daemons insist on it under /ipfs/kad/1.0.0: they add a peer to their
// table only if it answers FIND_NODE for its own ID with at least one peer. Between Go nodes the same
// messages run under a protocol named after the subnet.
//
// It is no DHT: there is no table to fill and nothing to attack. The server answers from the peers it is
// connected to, the client asks those that are nearest to the target and follows their answers a bounded
// number of steps. What others say about addresses is a hint; the handshake proves who answers there.
//
// Answers and requests are bounded in size, in peers and in addresses before anything is allocated for them.
// A Router owns the goroutines of its streams; Close ends and awaits them.
package peerrouting
