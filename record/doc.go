// Package record holds what the DHT stores: records that expire, the rules that admit them, and the store
// that keeps them.
//
// A [Record] is {key, subkey, value, expiration}. The key is 20 bytes, the hash of the application's key
// ([KeyOf]). The subkey is its packed form; [RegularTag] marks a record without one. The value is packed
// MessagePack, perhaps with a signature appended. The expiration is also the version: the later one wins.
//
// A [Chain] composes validators. Each signs, validates and strips; priorities order them: sign ascending,
// validate and strip descending, every validator sees the value without the layers of those above it. Whatever
// validators it holds, a chain always checks the record's shape first and, last, that the innermost value is
// MessagePack, so that no reader ever meets a value it cannot decode. There are:
//
//   - [Signature]: records whose subkey names an owner's key are writable with that key only
//   - [Schema]: types of values and subkeys per key
//   - [Predicate]: any function of record and request; several compose
//   - [Phases]: the rules of a Hypertensor subnet for heartbeat, commit_epoch_N and reveal_epoch_N
//   - [Bounds]: sizes, expiry horizon, clock
//   - [Quota]: records per author and epoch, charged on acceptance only
//
// Refusals are [*Fault] values that say whose fault it is. [Storage] keeps accepted records: newest expiration
// wins, a refused record changes nothing, memory is bounded in all and per author.
//
// The package is pure: time comes in with each call, nothing starts a goroutine or does I/O (package
// record/journal writes a store to disk). Validators and chains are safe for concurrent use; a Storage belongs
// to one goroutine or one mutex of its owner. Slices passed in are copied when kept.
//
//	chain := record.NewChain(record.NewBounds(record.BoundsConfig{}), signature)
//	rec.Value, err = chain.Sign(rec)
//	err = chain.Validate(rec, record.Request{Kind: record.Post, Sender: from, Now: now})
//	// under the lock of the store:
//	err = chain.Admits(rec, request)
//	err = storage.Store(rec, chain.Author(rec, from), now)
//	chain.Accepted(rec, request)
package record
