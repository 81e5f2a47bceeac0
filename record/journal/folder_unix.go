//go:build !windows

package journal

import (
	"errors"
	"os"
)

// syncFolder makes a renaming in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return err
	}
	return errors.Join(syncFile(folder), folder.Close())
}
