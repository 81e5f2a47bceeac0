// Package diff proves that two engines are one: it runs the same transactions
// through a reference and through a subject, block by block, and compares
// whether the pool would take them, what they return, and every storage pair of
// the pallets that matter, events included.
//
// The transactions are a scripted subnet that lives (registration, consensus
// with good and bad epochs, stake) with random calls in between. A random call
// is any call that both engines have, with arguments drawn by type and by name,
// so that most get past the first check and many are wrong in one thing. The
// same seed gives the same run.
//
// An election is random on a real chain. The caller hands the outcome of the
// reference to the subject: see [Elected].
//
// [Run] starts no goroutine and stops at the first block that differs.
package diff
