package demo

import "syscall"

// dieWithParent makes the kernel kill a child when the thread that started it
// ends. The child stays in the parent's process group.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
