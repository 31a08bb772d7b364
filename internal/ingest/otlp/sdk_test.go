package otlp

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// The real OpenTelemetry SDK sends all three signals.
func TestTheRealSDKIsUnderstood(t *testing.T) {
	w := start(t, nil)
	ctx := t.Context()
	res := resource.NewSchemaless(attribute.String("service.name", "cart"), attribute.String("service.instance.id", "cart-1"))
	addr := w.GRPCAddr()

	te, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(addr), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	me, err2 := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure())
	le, err3 := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(addr), otlploggrpc.WithInsecure())
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(te), sdktrace.WithResource(res))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(me)), sdkmetric.WithResource(res))
	lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(le)), sdklog.WithResource(res))

	tctx, parent := tp.Tracer("t").Start(ctx, "GET /cart", trace.WithSpanKind(trace.SpanKindServer))
	_, child := tp.Tracer("t").Start(tctx, "SELECT", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.String("db.system", "sqlite")))
	child.RecordError(errors.New("table is locked"))
	child.SetStatus(codes.Error, "locked")
	child.End()
	slog.New(otelslog.NewHandler("shop", otelslog.WithLoggerProvider(lp))).ErrorContext(tctx, "query failed", "table", "orders")
	parent.End()
	counter, _ := mp.Meter("m").Int64Counter("orders", metric.WithUnit("{order}"))
	counter.Add(ctx, 3)
	hist, _ := mp.Meter("m").Float64Histogram("wait", metric.WithUnit("s"))
	hist.Record(ctx, 0.2)
	for _, stop := range []func(context.Context) error{tp.Shutdown, mp.Shutdown, lp.Shutdown} {
		if err := stop(ctx); err != nil {
			t.Fatal(err) // shutting down exports what is left; a refusal is an error
		}
	}

	if len(w.sink.spans) != 2 || len(w.sink.logs) != 1 {
		t.Fatalf("%d spans and %d log records arrived, want 2 and 1", len(w.sink.spans), len(w.sink.logs))
	}
	sel := w.sink.spans[0]
	if sel.Name != "SELECT" || sel.Kind != telemetry.SpanClient || !sel.Error || sel.StatusMessage != "locked" ||
		sel.ParentID != parent.SpanContext().SpanID().String() || telemetry.Get(sel.Resource, "service.name") != "cart" ||
		telemetry.Get(sel.Attributes, "exception.message") != "table is locked" || telemetry.Get(sel.Attributes, "db.system") != "sqlite" {
		t.Errorf("client span arrived as %+v", sel)
	}
	rec := w.sink.logs[0]
	if rec.Body != "query failed" || rec.Severity != telemetry.SeverityError || rec.TraceID != parent.SpanContext().TraceID().String() ||
		telemetry.Get(rec.Attributes, "table") != "orders" || !rec.Retryable || time.Since(time.Unix(0, rec.Time)) > time.Minute {
		t.Errorf("log record arrived as %+v", rec)
	}
	got := w.stored(t)
	if got["orders_total"] != "3" || got["wait_seconds_count"] != "1" {
		t.Errorf("metrics arrived as %v", got)
	}
}
