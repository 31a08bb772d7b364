package pipeline

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// threadTime gives the processor time of this thread in nanoseconds, and a
// function that gives it again and lets the goroutine move on.
func threadTime() (begin int64, done func() int64) {
	runtime.LockOSThread()
	read := func() int64 {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
			return 0
		}
		return t.Nano()
	}
	return read(), func() int64 {
		defer runtime.UnlockOSThread()
		return read()
	}
}
