package shop

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// watchProcess reports the process's own use of the machine: the share of one
// core since the last report, resident memory, goroutines. The points carry the
// given attributes.
func watchProcess(m metric.Meter, mark ...attribute.KeyValue) error {
	with := metric.WithAttributes(mark...)
	cpu, err := m.Float64ObservableGauge("process.cpu.utilization", metric.WithUnit("1"),
		metric.WithDescription("Share of one core that the process used since the last report."))
	if err != nil {
		return err
	}
	mem, err := m.Int64ObservableGauge("process.memory.usage", metric.WithUnit("By"),
		metric.WithDescription("Resident memory of the process."))
	if err != nil {
		return err
	}
	gor, err := m.Int64ObservableGauge("go.goroutine.count", metric.WithUnit("{goroutine}"),
		metric.WithDescription("Live goroutines."))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lastCPU, lastAt := cpuTime(), time.Now()
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		mu.Lock()
		defer mu.Unlock()
		now, used := time.Now(), cpuTime()
		if dt := now.Sub(lastAt); dt > 0 {
			o.ObserveFloat64(cpu, float64(used-lastCPU)/float64(dt), with)
		}
		lastCPU, lastAt = used, now
		o.ObserveInt64(mem, residentMemory(), with)
		o.ObserveInt64(gor, int64(runtime.NumGoroutine()), with)
		return nil
	}, cpu, mem, gor)
	return err
}

// cpuTime is the processor time that the process has used, user and system.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// residentMemory is the resident set in bytes; where the system has no
// /proc, what the Go runtime took from the system.
func residentMemory() int64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return int64(ms.Sys)
}
