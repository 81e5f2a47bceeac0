// Package auth holds the interceptors that decide whether a call may pass: signed messages, proof of stake,
// rate limits and bans.
//
// Between Go nodes the channel already proves who the peer is, so the default costs nothing per message.
// Signature is for swarms with Python nodes: every request and response carries a signed token in its field
// 1. It checks signature, time window, replay and, by default, that the signer is the peer at the other end
// of the channel; it never changes the caller's message.
//
// Stake asks a Checker about the authenticated peer, RateLimit spends tokens per peer and per method, Ban
// refuses peers until a ban expires. Each refusal is an *rpc.Error with a fixed text, wraps a *Rejection that
// names the reason, and is counted.
//
// Interceptors hold bounded state under leaf locks, start no goroutine and are safe for concurrent use.
package auth
