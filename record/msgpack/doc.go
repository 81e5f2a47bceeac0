// Package msgpack is the form of keys, subkeys and values in the DHT: MessagePack as the Python mesh writes
// it, byte for byte, because keys are hashes of these bytes and signatures cover them.
//
// What the Python side fixes: integers take the smallest form, floats are always 64 bits wide, text and
// bytes are different types, maps keep their order, and a tuple is not a list: it is the extension 0x40
// around the packed list. Other extensions pass through unread as [Ext].
//
// The mapping to Go:
//
//	nil   bool   int64 (uint64 above its range)   float64   string   []byte
//	[]any (list)   Tuple   Map (ordered)   Ext
//
// [Marshal] also takes the other integer kinds, float32, map[string]any (sorted by key) and [Raw].
//
// Reading is strict: trailing bytes, text that is not UTF-8, the reserved code c1, repeated keys in one map
// and map keys that Python refuses to read back (anything but text and bytes) are errors, and depth, size and
// number of elements are bounded before anything is allocated. [Valid] is the same check without building
// the value. Whatever Unmarshal accepts, Marshal can write.
//
// The package is pure: no state, no goroutines; all functions are safe for concurrent use. Decoded byte
// slices are copies, never views of the input.
package msgpack
