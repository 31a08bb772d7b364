package shop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Connection says where telemetry goes, and from which moment on: what ended
// before is dropped. An empty OTLP drops everything.
type Connection struct {
	OTLP  string `json:"otlp"`          // host:port of an OTLP gRPC receiver
	Since int64  `json:"since_unix_ms"` // 0 for now
}

// gate stands between the SDK and its exporters, so that a process can be
// connected while it runs: Norn meets a shop that has been open for a while,
// not one whose every connection and cache is cold, and the shop can be shown
// to one receiver after the other. Safe for concurrent use.
type gate struct {
	mu     sync.RWMutex
	since  time.Time
	span   sdktrace.SpanExporter // nil while nothing is connected
	log    sdklog.Exporter
	metric sdkmetric.Exporter
}

// connect replaces the receiver.
func (g *gate) connect(ctx context.Context, c Connection) error {
	var n gate
	n.since = time.UnixMilli(c.Since)
	if c.Since == 0 {
		n.since = time.Now()
	}
	if c.OTLP != "" {
		var err error
		if n.span, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(c.OTLP), otlptracegrpc.WithInsecure()); err != nil {
			return fmt.Errorf("cannot set up the span exporter: %w", err)
		}
		if n.metric, err = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(c.OTLP), otlpmetricgrpc.WithInsecure()); err != nil {
			return fmt.Errorf("cannot set up the metric exporter: %w", err)
		}
		if n.log, err = otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(c.OTLP), otlploggrpc.WithInsecure()); err != nil {
			return fmt.Errorf("cannot set up the log exporter: %w", err)
		}
	}
	g.mu.Lock()
	old := gate{span: g.span, log: g.log, metric: g.metric}
	g.since, g.span, g.log, g.metric = n.since, n.span, n.log, n.metric
	g.mu.Unlock()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = old.close(end) // it had its time
	return nil
}

// close ends the exporters.
func (g *gate) close(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.span == nil {
		return nil
	}
	err := errors.Join(g.span.Shutdown(ctx), g.log.Shutdown(ctx), g.metric.Shutdown(ctx))
	g.span, g.log, g.metric = nil, nil, nil
	return err
}

// spanGate lets through the spans that ended after the connection's begin.
type spanGate struct{ *gate }

// ExportSpans implements the SDK's exporter.
func (g spanGate) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	g.mu.RLock()
	to, since := g.span, g.since
	g.mu.RUnlock()
	kept := make([]sdktrace.ReadOnlySpan, 0, len(spans))
	for _, s := range spans {
		if !s.EndTime().Before(since) {
			kept = append(kept, s)
		}
	}
	if to == nil || len(kept) == 0 {
		return nil
	}
	return to.ExportSpans(ctx, kept)
}

// Shutdown leaves the exporters to the gate.
func (spanGate) Shutdown(context.Context) error { return nil }

// logGate lets through the records made after the connection's begin.
type logGate struct{ *gate }

// Export implements the SDK's exporter.
func (g logGate) Export(ctx context.Context, recs []sdklog.Record) error {
	g.mu.RLock()
	to, since := g.log, g.since
	g.mu.RUnlock()
	kept := make([]sdklog.Record, 0, len(recs))
	for i := range recs {
		if !recs[i].Timestamp().Before(since) {
			kept = append(kept, recs[i])
		}
	}
	if to == nil || len(kept) == 0 {
		return nil
	}
	return to.Export(ctx, kept)
}

// Shutdown leaves the exporters to the gate.
func (logGate) Shutdown(context.Context) error { return nil }

// ForceFlush has nothing to flush.
func (logGate) ForceFlush(context.Context) error { return nil }

// metricGate lets collections through that were made after the connection's
// begin.
type metricGate struct{ *gate }

// Temporality is cumulative, as the SDK has it.
func (metricGate) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

// Aggregation is the SDK's.
func (metricGate) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// Export implements the SDK's exporter.
func (g metricGate) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	g.mu.RLock()
	to, since := g.metric, g.since
	g.mu.RUnlock()
	if to == nil || time.Now().Before(since) {
		return nil
	}
	return to.Export(ctx, rm)
}

// ForceFlush has nothing to flush.
func (metricGate) ForceFlush(context.Context) error { return nil }

// Shutdown leaves the exporters to the gate.
func (metricGate) Shutdown(context.Context) error { return nil }
