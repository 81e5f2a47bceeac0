package cli

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps Ctrl-C away from a child.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
