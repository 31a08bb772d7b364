package logparse

import "golang.org/x/sys/unix"

// threadTime is the processor time of this thread in nanoseconds.
func threadTime() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		return 0
	}
	return now.Nano()
}
