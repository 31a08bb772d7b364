package detect

import "unsafe"

// prefetchState asks the processor to fetch four cache lines from each of two
// addresses. It does not wait, and they may be anything.
//
//go:noescape
func prefetchState(p, q unsafe.Pointer)

// prefetchLines asks for the cache lines at three addresses.
//
//go:noescape
func prefetchLines(p, q, r unsafe.Pointer)

// prefetchShape asks for the whole shape member: sixteen lines from p.
//
//go:noescape
func prefetchShape(p unsafe.Pointer)
