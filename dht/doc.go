// Package dht is the distributed hash table of a subnet: expiring records, by many writers under one key, validated on
// every node that touches them.
//
// A [Node] keeps the records whose keys are near its own ID and finds those of others. A record has a key (20 bytes), a
// value (msgpack) and an expiration, which is also its version: a later expiration replaces an earlier one, and after it
// no node returns the value. With a subkey, records of one key form a dictionary in which each entry expires by itself.
//
// The parts come from below: ID, metric, routing table and lookup from kad, records and their validation from record,
// calls from rpc. This package is the shell around them: it owns the clock, the locks and the goroutines, and speaks the
// protocol of the Python swarm (DHTProtocol.rpc_ping, rpc_store, rpc_find; package dht/wire).
//
// What it guarantees:
//
//   - Nothing is stored or returned that the validators refuse, and a refused store changes nothing. One bad record of a
//     request or of an answer never affects another.
//   - A peer enters the routing table only after it answered a question of ours; what others claim about it, or about
//     somebody else, moves nothing. A node's ID is bound to its peer ID, unless Config.Python admits the free IDs of
//     Python nodes, which are never preferred.
//   - Everything a peer controls is bounded before memory is spent on it, and an innocent peer is never blamed for a
//     record that is too large: dictionaries travel in pages.
//   - A store says how many replicas accepted, and why the others did not.
//
// New starts no goroutine and registers the handlers, so the node serves at once. Run joins the swarm, keeps the table
// and the records healthy and blocks until its context ends; Close ends everything and waits. Get, Store, Ping and the
// tools (Trace, Crawl, Table) may be called by any number of goroutines.
//
//	node, err := dht.New(calls, dht.Config{Bootstrap: bootnodes, Validators: validators})
//	if err != nil { ... }
//	defer node.Close()
//	go node.Run(ctx)
//	result, err := node.Store(ctx, dht.StoreRequest{Key: record.KeyOfText("weather"), Value: "fair", Expiration: tomorrow})
//	value, err := node.Get(ctx, record.KeyOfText("weather"), dht.Latest())
package dht
