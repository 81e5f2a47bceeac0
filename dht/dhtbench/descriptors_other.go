//go:build !unix

package dhtbench

// descriptors returns the number of files that this process may have open: where the system sets no limit, enough.
func descriptors() int { return 1 << 16 }
