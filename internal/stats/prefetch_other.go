//go:build !amd64

package stats

import "unsafe"

// Prefetch does nothing: this processor fetches when it needs.
func Prefetch(unsafe.Pointer) {}
