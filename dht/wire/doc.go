// Package wire encodes and decodes the six messages of the DHT protocol: ping, store and find, request and response.
//
// The bytes are those of the Python swarm's protobuf messages (dht.proto), in the one form its signatures are made over:
// ascending fields, defaults omitted, packed scalars. They are written and read by hand instead of through generated
// code for two reasons: every count and every length a peer controls is checked before anything is allocated for it, and
// a call costs a handful of allocations. The generated twin in internal/pb/dhtpb is the oracle of the tests.
//
// Four optional fields extend the messages between nodes of this implementation. They are only sent on request, and a
// Python node neither asks for nor sees them:
//
//	FindRequest.want (16)        bits: WantAddrs, WantPages, WantNearest
//	FindRequest.after (17)       one cursor per key: continue a dictionary that did not fit into one answer
//	FindResult.nearest_addrs(16) the addresses of each nearest peer, so that no second DHT is needed to find them
//	FindResult.cursor (17)       there is more of this dictionary: ask again with it in after
//	StoreRequest.want_codes (16) and StoreResponse.codes (16): why each record was or was not stored
//
// Field 1 (auth) belongs to package auth, which adds and removes it around these bytes; decoders skip it and all unknown
// fields. Decoded values alias the input, which the caller must therefore not modify; what is kept must be copied.
//
// The package is pure: no goroutines, no clock, no I/O.
package wire
