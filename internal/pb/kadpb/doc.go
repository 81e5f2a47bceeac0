// Package kadpb holds the generated code for the subset of libp2p's Kademlia messages that resolves peer IDs to addresses.
//
// The .proto file beside it is the source; "make proto" regenerates the code. Field numbers and types are
// fixed by deployed nodes and must not change. Nothing outside this module should depend on the package:
// the public packages wrap these messages in types of their own.
package kadpb
