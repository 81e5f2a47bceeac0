// Package dhtbench measures a swarm of DHT nodes in one process, on loopback.
//
// There are two measurements. [Bulk] stores many keys in batches at one node and reads them in batches at another: the
// parameters of hivemind's published benchmark. [Rounds] lets workers store a dictionary with one subkey per peer and read
// it at other peers, round after round, while some peers are switched off: the benchmark that the Python mesh brings.
//
// Both build a swarm of real hosts with real connections, measure, and take everything down again before they return. The
// random choices follow a seed; times are those of the machine. It is the engine of `mesh bench dht`.
//
// A process needs two file descriptors per TCP connection within it, so that peers of a large swarm keep fewer connections
// than they would on machines of their own, and make new ones more often. QUIC needs one descriptor per peer, and more
// memory and computing time per connection.
package dhtbench
