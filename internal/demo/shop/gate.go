package shop

import (
	"context"
	"sync/atomic"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// gate keeps telemetry back until the process is told to connect. Norn meets
// a shop that has been open for a while, not one whose every connection and
// cache is cold; nothing from before the connection is sent later. Safe for
// concurrent use.
type gate struct {
	since atomic.Int64 // Unix nanoseconds, 0 while closed
}

func (g *gate) open(t time.Time) { g.since.CompareAndSwap(0, t.UnixNano()) }

// from is when the gate opened.
func (g *gate) from() (time.Time, bool) {
	ns := g.since.Load()
	return time.Unix(0, ns), ns != 0
}

type spanGate struct {
	sdktrace.SpanExporter
	g *gate
}

// ExportSpans sends the spans that ended after the gate opened.
func (e *spanGate) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	from, open := e.g.from()
	if !open {
		return nil
	}
	kept := make([]sdktrace.ReadOnlySpan, 0, len(spans))
	for _, s := range spans {
		if !s.EndTime().Before(from) {
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return e.SpanExporter.ExportSpans(ctx, kept)
}

type logGate struct {
	sdklog.Exporter
	g *gate
}

// Export sends the records that were made after the gate opened.
func (e *logGate) Export(ctx context.Context, recs []sdklog.Record) error {
	from, open := e.g.from()
	if !open {
		return nil
	}
	kept := make([]sdklog.Record, 0, len(recs))
	for i := range recs {
		if !recs[i].Timestamp().Before(from) {
			kept = append(kept, recs[i])
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return e.Exporter.Export(ctx, kept)
}

type metricGate struct {
	sdkmetric.Exporter
	g *gate
}

// Export sends a collection once the gate is open.
func (e *metricGate) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	if _, open := e.g.from(); !open {
		return nil
	}
	return e.Exporter.Export(ctx, rm)
}
