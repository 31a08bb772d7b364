package vlogs_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/vlogs"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkAppendLogs takes batches of 1,000 lines of about 200 bytes, with a
// trace id of their own, through dedup, spool and storage, checkpoints
// included; an iteration ends when the store holds the batch.
func BenchmarkAppendLogs(b *testing.B) {
	l, err := vlogs.OpenLogs(b.TempDir(), vlogs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	const size = 1000
	n := uint64(0)
	now := time.Now().UnixNano()
	before := cpuSeconds(b)
	b.ReportAllocs()
	for b.Loop() {
		recs := make([]telemetry.LogRecord, size)
		for i := range recs {
			n++
			recs[i] = telemetry.LogRecord{
				Time: now + int64(n)*1000, Severity: telemetry.SeverityInfo, Source: "otlp", Retryable: true, Hash: n * 0x9e3779b97f4a7c15,
				Body:       fmt.Sprintf("request %d of user %d finished in %d ms with status %d", n, n%1000, n%337, 200+n%5),
				Entity:     telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprint("service", n%10)},
				Instance:   telemetry.Entity{Kind: telemetry.KindInstance, Name: fmt.Sprint("pod", n%10)},
				TraceID:    fmt.Sprintf("%016x%016x", n*0x9e3779b97f4a7c15, n*0xbf58476d1ce4e5b9),
				Attributes: []telemetry.Attr{{Key: "http.method", Value: "GET"}, {Key: "http.route", Value: "/cart/{id}"}},
				Resource:   []telemetry.Attr{{Key: "host.name", Value: "host1"}},
				Template:   n%20 + 1,
			}
		}
		if _, err := l.AppendLogs(b.Context(), recs); err != nil {
			b.Fatal(err)
		}
	}
	l.FlushLogs()
	rows := float64(b.N) * size
	b.ReportMetric(rows/(cpuSeconds(b)-before), "rows/cpu-s")
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	s := l.Stats()
	b.ReportMetric(float64(s.Bytes)/float64(s.Rows), "B/row")
	if s.Appended != uint64(rows) || s.Rows != uint64(rows) {
		b.Fatalf("%d rows appended, %d stored, want %g", s.Appended, s.Rows, rows)
	}
}

// BenchmarkSearchLogs asks a store of 500,000 lines for the newest 100.
func BenchmarkSearchLogs(b *testing.B) {
	l, err := vlogs.OpenLogs(b.TempDir(), vlogs.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	now := time.Now().UnixNano()
	for n := 0; n < 500_000; n += 1000 {
		recs := make([]telemetry.LogRecord, 1000)
		for i := range recs {
			k := n + i
			recs[i] = telemetry.LogRecord{
				Time: now - int64(k)*20_000_000, Severity: telemetry.SeverityInfo, Body: fmt.Sprintf("request %d finished in %d ms", k, k%337),
				Entity: telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprint("service", k%10)},
			}
		}
		if _, err := l.AppendLogs(b.Context(), recs); err != nil {
			b.Fatal(err)
		}
	}
	l.FlushLogs()
	for _, q := range []string{"*", "service:=service3", `"request 499999"`, "* | stats by (service) count()"} {
		b.Run(q, func(b *testing.B) {
			for b.Loop() {
				n := 0
				err := l.SearchLogs(b.Context(), store.LogQuery{Query: q, Limit: 100}, func(store.Row) bool { n++; return true })
				if err != nil || n == 0 {
					b.Fatalf("%d rows, %v", n, err)
				}
			}
		})
	}
}
