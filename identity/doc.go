// Package identity makes, stores and reads the keys by which peers are known on the network.
//
// A peer is its public key: the peer ID is derived from it and proven by every secure channel. The package
// knows Ed25519 (the default) and RSA keys, the two kinds that Python nodes use. It reads identity files of
// both Python generations, writes them in the one form that all of them accept, and never widens the file's
// permissions or overwrites a key unless told to.
//
// Besides files it speaks the two text forms that records and signed messages carry: the OpenSSH line of a
// public key ("ssh-ed25519 AAAA...") and the base64 text of a signature.
//
// All functions are safe for concurrent use; the package holds no state and starts no goroutine. Keys of
// accounts on the chain (secp256k1) are the business of package identity/account.
//
//	key, err := identity.Generate(identity.Ed25519)
//	err = identity.Save("peer.key", key, false)
//	id, err := identity.PeerID(key)
package identity
