package app

import "time"

// ThreadCPU is the processor time that the calling thread has taken; benchmarks
// lock their goroutine to it.
func ThreadCPU() time.Duration { return threadCPU() }
