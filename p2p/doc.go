// Package p2p assembles the libp2p host of a node: identity, transports, secure channels, relays, limits and
// the admission gate.
//
// A Host admits a connection in the order of cost: rate and number of connections per address, libp2p's
// resource limits, then, after the handshake has proven who the remote is, the Gate. The gate fails closed:
// if it panics, the stranger is refused. Refused peers are counted by reason and the last ones are kept for
// people to look at.
//
// Addresses of peers come from dialling, from identify, from the small address book that survives restarts,
// and from peer routing: connected peers are asked who knows the address of a peer ID. Between Go nodes that
// runs over a protocol named after the subnet, with Config.PythonCompat also over the one that Python daemons
// speak.
//
// What it is not: it knows no DHT records, no RPC and no chain; the gate is an interface.
//
// New returns a host that listens already; libp2p's goroutines belong to it and end in Close. Run keeps the
// address book fresh and is optional.
package p2p
