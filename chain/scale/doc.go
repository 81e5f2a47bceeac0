// Package scale is the codec of Substrate chains: fixed-width little-endian integers, compact integers, byte strings,
// options and sequences.
//
// [Encoder] appends to a byte slice. [Decoder] is a cursor over a byte slice with a sticky error: after the first failure
// every method returns the zero value, so a decoding function reads straight through and asks [Decoder.Err] or
// [Decoder.Finish] once at the end. There is no reflection here; package metadata builds dynamic and type-checked coding on
// top.
//
// Foreign bytes are bounded before anything is allocated: a sequence's length is compared with the bytes that are left, what
// the caller is about to allocate is charged to a budget, and nesting is counted. The errors are [ErrMalformed] (the bytes
// are not SCALE) and [ErrLimit] (they are, but too deep or too large); both come with the offset.
//
// Values decoded by [Decoder.Bytes] are copies; [Decoder.Raw] and [Decoder.View] alias the input.
//
// The package has no state and starts no goroutine. An Encoder or Decoder belongs to one goroutine.
package scale
