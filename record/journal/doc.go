// Package journal keeps the records of a node on disk, so that a restart loses nothing that was acknowledged.
//
// A journal is one file to which records are appended, each in a frame with its own checksum. Reading it back
// gives every intact record: a torn end, left by a crash in the middle of a write, is cut off, and damage in the
// middle costs the frames that it hit and no more, since reading finds the next frame behind it. Compact
// replaces the file by one that holds the live records only, atomically.
//
// The journal does not decide what is stored: it returns whatever was appended, older versions of a record
// included, and the caller stores it again under the store's own rules (newest wins, expired is refused) and may
// validate it again.
//
// The checksums find damage, not forgery; whoever can write the file can write records. A record cannot forge
// frames from inside, though: checksums depend on random bytes in the file's header.
//
// A Journal starts no goroutine and belongs to one goroutine or mutex of its owner. Its methods block on the
// disk.
//
//	j, report, err := journal.Open(path, journal.Config{Sync: true}, func(h record.Held) {
//		_ = storage.Store(h.Record, h.Author, now) // refusals are stale versions
//	})
//	err = j.Append(record.Held{Record: rec, Author: author})
//	err = j.Compact(storage.All(now))
package journal
