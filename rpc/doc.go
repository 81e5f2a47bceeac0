// Package rpc calls methods of peers by name, over the authenticated channels of package p2p.
//
// A method is "Service.method", carries bytes, and is unary or streaming in either direction. Every call has
// a deadline and a size limit, is bounded per peer and in total, and is refused at once when a bound is
// reached. Cancelling the caller's context cancels the handler's context at the other end. Errors carry a
// Code; IsRemote tells whether the peer said it.
//
// Two wire forms exist. Between Go nodes calls run over streams that are kept open per peer, one call at a
// time on each. With Config.Python the node also serves and speaks the form of Python daemons: a stream per
// call whose protocol ID is the method's name. The form is chosen per peer by what the peer supports.
//
// Interceptors (package auth) wrap calls on both sides. Calls to oneself are served in the process, without
// the network but with the same interceptors.
//
// A Node starts goroutines only for calls and kept streams; Close ends and awaits them all. All methods are
// safe for concurrent use.
package rpc
