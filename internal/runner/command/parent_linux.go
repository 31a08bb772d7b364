package command

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the system end the program when Norn is killed.
func dieWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
