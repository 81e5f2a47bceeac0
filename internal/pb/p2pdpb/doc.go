// Package p2pdpb holds the generated code for the envelope in which Python daemons carry unary calls.
//
// The .proto file beside it is the source; "make proto" regenerates the code. Field numbers and types are
// fixed by deployed nodes and must not change. Nothing outside this module should depend on the package:
// the public packages wrap these messages in types of their own.
package p2pdpb
