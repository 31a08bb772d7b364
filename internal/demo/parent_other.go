//go:build !linux

package demo

import "syscall"

// dieWithParent can do nothing here: children end when their standard input
// closes, which it does when the parent ends.
func dieWithParent() *syscall.SysProcAttr { return nil }
