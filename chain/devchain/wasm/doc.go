// Package wasm is the devchain engine that executes a real Substrate runtime: it
// takes a raw chain specification, or a runtime by itself, and runs it in the
// process with wazero.
//
// The runtime decides everything: metadata, validity, fees, events and errors
// are exactly those of that chain. The package brings what a node's host gives
// to a runtime: storage, hashes, signature recovery, an allocator and logs. Roots
// are not Merkle roots. A host function that the runtime imports and the package
// does not have is listed by [Engine.Missing] and fails when it is called.
//
// Blocks are authored as Aura does it, with the slot in the digest and a
// timestamp inherent. Nobody seals them, and the set of authorities does not
// matter.
//
// No runtime is part of this module: whoever runs this engine brings the file.
//
//	spec, err := wasm.LoadSpec("spec-raw.json")
//	if err != nil { ... }
//	engine, err := wasm.New(ctx, wasm.Config{Spec: spec})
//	if err != nil { ... }
//	defer engine.Close()
//	c, err := devchain.New(devchain.Config{}, engine)
package wasm
