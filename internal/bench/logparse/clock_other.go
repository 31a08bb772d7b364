//go:build !linux

package logparse

import "time"

// threadTime is the time of day where no clock of a thread's own is known.
func threadTime() int64 { return time.Now().UnixNano() }
