// Package devchain is an embedded development chain that speaks the JSON-RPC
// of a Substrate node: blocks, a transaction pool, storage with history,
// finality, subscriptions, and a dev_ namespace to steer and to disturb it.
//
// It is not a consensus client. There is exactly one author, state roots are
// not Merkle roots, and nothing is verified against other nodes. What the
// chain computes is decided by an [Engine]: package native is the default and
// package wasm executes a real runtime from a chain specification.
//
// A [Chain] owns the state, the pool and the data folder. [New] opens it and
// starts no goroutine; [Chain.Run] authors blocks until its context ends;
// [Chain.Close] releases the folder. A [Server] puts the RPC in front of it.
//
// A block is written and fsynced before anybody hears of it, so a killed
// process never loses a block that a client has seen. Given one clock and one
// order of submissions, the chain is deterministic.
//
//	c, err := devchain.New(devchain.Config{Seal: devchain.SealInstant}, engine)
//	if err != nil { ... }
//	defer c.Close()
//	srv := devchain.NewServer(c, devchain.ServerConfig{Listen: "127.0.0.1:9944"})
//	go c.Run(ctx)
//	err = srv.Serve(ctx)
package devchain
