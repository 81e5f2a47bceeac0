// Package heartbeat is the sign of life that every node of a subnet writes: a record under the key
// "heartbeat", with a subkey that names the writer and protects it with the writer's key, and a value that
// says what the node is and how it is.
//
// The value is the tuple (state, role, throughput, {"public_name", "version", "using_relay", "next_pings", ...})
// that Python nodes write and read; Python ignores further names in it, and so do we: they are kept in
// [Info.Extra], with [Info.Epoch] as the one that Go nodes add.
//
// Reading is strict where the network fixes a type and never panics: a heartbeat is foreign input, and [Check]
// refuses a bad one before it is stored, so that one broken node cannot break the readers of all.
//
// The package is pure: no clock, no network, no goroutines.
//
//	subkey := heartbeat.Subkey(publicKey)
//	value, err := heartbeat.Info{State: heartbeat.Online, Role: heartbeat.RoleValidator}.Marshal()
//	peerID, key, err := heartbeat.ParseSubkey(subkey)
package heartbeat
