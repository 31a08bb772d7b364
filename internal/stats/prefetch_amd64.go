package stats

import "unsafe"

// Prefetch asks the processor to fetch the cache line at p. It does not wait,
// and p may be anything; on processors other than amd64 it does nothing.
//
//go:noescape
func Prefetch(p unsafe.Pointer)
