//go:build !amd64

package detect

import "unsafe"

// Other processors fetch when they need.

func prefetchState(_, _ unsafe.Pointer)    {}
func prefetchLines(_, _, _ unsafe.Pointer) {}
func prefetchShape(unsafe.Pointer)         {}
