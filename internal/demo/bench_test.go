package demo

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/demo/shop"
)

// BenchmarkShopAtMeanLoad runs the shop at its mean load for twenty seconds
// and reports what it costs: processor time of all its processes as a share
// of one core, their memory together, spans a second. Run it with -benchtime
// 1x.
func BenchmarkShopAtMeanLoad(b *testing.B) {
	argv, err := selfCommand()
	if err != nil {
		b.Fatal(err)
	}
	rec := record(b)
	p := plan.Shop()
	ps, err := newProcesses(argv, shop.Config{OTLP: rec.addr, Dir: b.TempDir(), Seed: 7}, p, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer ps.Down()
	if err := ps.Up(ctx, ctx, func(float64) {}); err != nil {
		b.Fatal(err)
	}
	us := newUsers(p, 14, 7, ps.peers)
	day := time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC) // demand is about 1 then
	us.now = func() time.Time { return day }
	go us.Run(ctx)
	time.Sleep(5 * time.Second)
	for b.Loop() {
		const length = 20 * time.Second
		cpu, sent, from := 0.0, us.sent.Load(), time.Now()
		for _, pid := range ps.PIDs() {
			cpu -= cpuSeconds(b, pid)
		}
		time.Sleep(length)
		var rss float64
		for _, pid := range ps.PIDs() {
			cpu += cpuSeconds(b, pid)
			rss += rssBytes(b, pid)
		}
		b.ReportMetric(100*cpu/length.Seconds(), "%core")
		b.ReportMetric(rss/(1<<20), "MiB")
		b.ReportMetric(float64(us.sent.Load()-sent)/length.Seconds(), "requests/s")
		b.ReportMetric(float64(len(rec.spans(from, func(*span) bool { return true })))/length.Seconds(), "spans/s")
		b.Logf("demand %.2f, %d processes", plan.Load(day), len(ps.PIDs()))
	}
}

func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	var ticks float64
	for _, s := range f[11:13] {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += v
	}
	return ticks / 100
}

func rssBytes(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	v, err := strconv.ParseFloat(strings.Fields(string(text))[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return v * float64(os.Getpagesize())
}
