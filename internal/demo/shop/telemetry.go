package shop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/norn-aiops/norn/internal/demo/plan"
)

// scope is the instrumentation scope of everything that the shop itself
// records.
const scope = "norn-demo-shop"

// signals are one process's three ways to tell what it does. All of it is
// safe for concurrent use.
type signals struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
	tracer  trace.Tracer
	meter   metric.Meter
	log     *slog.Logger
	prop    propagation.TextMapPropagator
	gate    *gate
}

// startTelemetry sets up traces, metrics and logs over OTLP gRPC. Nothing is
// registered globally. Every span is sampled.
func startTelemetry(ctx context.Context, c *Config, svc *plan.Service) (*signals, error) {
	res, err := describe(c, svc)
	if err != nil {
		return nil, fmt.Errorf("cannot describe %s: %w", c.Instance, err)
	}
	g := &gate{}
	if c.OTLP != "" {
		if err := g.connect(ctx, Connection{OTLP: c.OTLP}); err != nil {
			return nil, err
		}
	}
	s := &signals{
		gate: g,
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()),
			sdktrace.WithBatcher(spanGate{g}, sdktrace.WithBatchTimeout(c.flush()), sdktrace.WithMaxQueueSize(4096))),
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithView(views()...),
			sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricGate{g}, sdkmetric.WithInterval(c.metricInterval())))),
		logs: sdklog.NewLoggerProvider(sdklog.WithResource(res),
			sdklog.WithProcessor(sdklog.NewBatchProcessor(logGate{g}, sdklog.WithExportInterval(c.flush())))),
		prop: propagation.TraceContext{},
	}
	s.tracer = s.traces.Tracer(scope)
	s.meter = s.metrics.Meter(scope)
	s.log = otelslog.NewLogger(scope, otelslog.WithLoggerProvider(s.logs))
	return s, nil
}

// describe is what a process says about itself. The cache, the broker and the
// databases are described as a collector would describe a Redis or a RabbitMQ
// that it watches: by what they are, not as one of our services.
func describe(c *Config, svc *plan.Service) (*resource.Resource, error) {
	common := []attribute.KeyValue{
		attribute.String("service.instance.id", c.Instance),
		attribute.String("deployment.environment.name", "demo"),
	}
	switch svc.Role {
	case plan.RoleCache:
		return resource.NewSchemaless(append(common, attribute.String("db.system.name", "redis"), attribute.String("db.namespace", svc.Name))...), nil
	case plan.RoleDB:
		return resource.NewSchemaless(append(common, attribute.String("db.system.name", "sqlite"), attribute.String("db.namespace", svc.Name))...), nil
	case plan.RoleQueue:
		return resource.NewSchemaless(append(common, attribute.String("messaging.system", "rabbitmq"), queueAttr())...), nil
	}
	host := c.Host
	if host == "" {
		h, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("cannot read the host's name: %w", err)
		}
		host = h
	}
	return resource.NewSchemaless(append(common,
		attribute.String("service.name", c.Service),
		attribute.String("service.version", c.Version),
		attribute.String("service.namespace", "shop"),
		attribute.String("host.name", host))...), nil
}

// queueAttr names the queue. The broker puts it on every point, because
// resource attributes of messaging are not carried into labels.
func queueAttr() attribute.KeyValue {
	return attribute.String("messaging.destination.name", plan.QueueName)
}

// views keep the number of series small: durations of the server by route and
// status in a few buckets; sizes and client durations are dropped, the spans
// tell them.
func views() []sdkmetric.View {
	drop := func(name string) sdkmetric.View {
		return sdkmetric.NewView(sdkmetric.Instrument{Name: name}, sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}})
	}
	return []sdkmetric.View{
		sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.request.duration"}, sdkmetric.Stream{
			Aggregation:     sdkmetric.AggregationExplicitBucketHistogram{Boundaries: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}, NoMinMax: true},
			AttributeFilter: attribute.NewAllowKeysFilter("http.route", "http.request.method", "http.response.status_code"),
		}),
		drop("http.server.request.body.size"), drop("http.server.response.body.size"),
		drop("http.client.request.body.size"), drop("http.client.request.duration"),
	}
}

// stop sends what is left, within the context's time.
func (s *signals) stop(ctx context.Context) error {
	return errors.Join(s.traces.Shutdown(ctx), s.logs.Shutdown(ctx), s.metrics.Shutdown(ctx), s.gate.close(ctx))
}

func (c *Config) flush() time.Duration {
	if c.FlushMS > 0 {
		return time.Duration(c.FlushMS) * time.Millisecond
	}
	return 2 * time.Second
}

func (c *Config) metricInterval() time.Duration {
	if c.MetricMS > 0 {
		return time.Duration(c.MetricMS) * time.Millisecond
	}
	return 10 * time.Second
}
