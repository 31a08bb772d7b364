//go:build !amd64

package detect

import "unsafe"

// Other processors fetch when they need.

func prefetchState(unsafe.Pointer) {}
func prefetchLine(unsafe.Pointer)  {}
func prefetchShape(unsafe.Pointer) {}
