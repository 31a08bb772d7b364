//go:build !linux

package app

import "time"

// ThreadCPU stands in where the processor time of one thread cannot be had:
// the clock of the process.
func ThreadCPU() time.Duration { return time.Duration(time.Now().UnixNano()) }

// processCPU is not known here.
func processCPU() time.Duration { return 0 }
