package detect

import "unsafe"

// prefetchState asks the processor to fetch four cache lines from p. It does
// not wait, and p may be anything.
//
//go:noescape
func prefetchState(p unsafe.Pointer)

// prefetchLine asks for the cache line at p.
//
//go:noescape
func prefetchLine(p unsafe.Pointer)

// prefetchShape asks for the whole shape member: sixteen lines from p.
//
//go:noescape
func prefetchShape(p unsafe.Pointer)
