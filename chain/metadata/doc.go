// Package metadata describes a Substrate runtime: its types, pallets, calls, storage, events, errors, constants, signed
// extensions and runtime APIs.
//
// [Metadata] is a plain value. [Decode] reads it from the bytes a node hands out (versions 14 and 15); [Metadata.EncodeV14] and
// [Metadata.EncodeV15] write those bytes, so that a node can describe itself with the same value. Nothing in this package
// knows a pallet or a call by number: everything is found by name, because the numbers differ in every generation of the
// chain while all of them report the same runtime version.
//
// [Registry] is the indexed, read-only view of a Metadata that a client uses. It is safe for concurrent use and answers
//
//   - lookups by name: pallets, calls, storage entries, constants, errors, events, runtime APIs;
//   - dynamic coding: any type id to and from Go values ([Registry.EncodeValue], [Registry.DecodeValue]);
//   - static coding: [Bind] checks a Go type against a type id once and yields a codec without further checks;
//   - storage keys: [StorageEntry.Key] and its hashers.
//
// Every decoder here takes foreign bytes: depth, counts and memory are bounded before anything is allocated, and malformed
// input is an error that wraps [scale.ErrMalformed] or [scale.ErrLimit], never a panic.
//
// The package starts no goroutine and does no I/O.
package metadata
