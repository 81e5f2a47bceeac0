//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps signals from the terminal away from a child.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
