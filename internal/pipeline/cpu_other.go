//go:build !linux

package pipeline

import "time"

// threadTime gives the time of day where no clock of a thread's own is known:
// an upper bound.
func threadTime() (begin int64, done func() int64) {
	start := time.Now()
	return 0, func() int64 { return int64(time.Since(start)) }
}
