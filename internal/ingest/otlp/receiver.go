// Package otlp receives OpenTelemetry metrics, logs and traces over gRPC and
// HTTP (protobuf and JSON; gzip and zstd).
//
// It embeds the OpenTelemetry Collector's otlp receiver, so the protocol is the
// reference implementation's, and gives it consumers that hand metrics to a
// Prometheus appender and logs and spans to an [ingest.Sink]. An export is
// answered only after the store or sink returned. A partly bad batch keeps its
// good part: the receiver itself cannot say so, hence a middleware of ours
// fills in the partial success. It does not normalise or judge.
//
// The main type is [Receiver]; it is safe for concurrent use.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/norn-aiops/norn/internal/ingest"
)

const protocol = "otlp"

// Options say where to listen and whom to hand telemetry to.
type Options struct {
	GRPCAddr string // host:port, "" for no gRPC; port 0 takes a free one
	HTTPAddr string // host:port, "" for no HTTP
	Sink     ingest.Sink
	Metrics  storage.AppendableV2
	// Cumulate turns delta metrics into cumulative ones, in place. It is called
	// concurrently. Without it delta metrics are refused.
	Cumulate func(pmetric.Metrics)
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
	// Timeout bounds the reading of one request; 0 means 30 s.
	Timeout time.Duration
	// NoTargetInfo leaves out the target_info series of each resource.
	NoTargetInfo bool
}

// Receiver is a running OTLP receiver: [New], [Receiver.Start], then
// [Receiver.Run] or [Receiver.Shutdown].
type Receiver struct {
	opts   Options
	limits ingest.Limits
	parts  []component.Component
	fatal  chan error
	ext    component.ID
	mid    *middleware

	pending pending

	mu       sync.Mutex
	grpcAddr string
	httpAddr string
}

// New checks the options and wires the receiver.
func New(o Options) (*Receiver, error) {
	if o.GRPCAddr == "" && o.HTTPAddr == "" {
		return nil, errors.New("start OTLP receiver: neither a gRPC nor an HTTP address given")
	}
	if o.Sink == nil || o.Metrics == nil {
		return nil, errors.New("start OTLP receiver: sink and metrics store are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	r := &Receiver{
		opts:     o,
		limits:   o.Limits.WithDefaults(),
		fatal:    make(chan error, 1),
		ext:      component.MustNewID("norn"),
		grpcAddr: o.GRPCAddr,
		httpAddr: o.HTTPAddr,
	}
	r.mid = newMiddleware(r.limits.Connections, o.Timeout, o.Counters, o.Logger)
	return r, r.wire()
}

// wire creates one receiver component for each signal; the factory makes them
// share the servers because they share the configuration.
func (r *Receiver) wire() error {
	ctx := context.Background()
	factory := otlpreceiver.NewFactory()
	cfg := r.config(factory.CreateDefaultConfig().(*otlpreceiver.Config))
	set := receiver.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         zap.New(newLogCore(r.opts.Logger, r.listening)),
			TracerProvider: tracenoop.NewTracerProvider(),
			MeterProvider:  metricnoop.NewMeterProvider(),
			Resource:       pcommon.NewResource(),
		},
	}
	metrics, errM := consumer.NewMetrics(r.consumeMetrics, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
	logs, errL := consumer.NewLogs(r.consumeLogs)
	traces, errT := consumer.NewTraces(r.consumeTraces)
	if err := errors.Join(errM, errL, errT); err != nil {
		return fmt.Errorf("create OTLP consumers: %w", err)
	}
	mr, errM := factory.CreateMetrics(ctx, set, cfg, metrics)
	lr, errL := factory.CreateLogs(ctx, set, cfg, logs)
	tr, errT := factory.CreateTraces(ctx, set, cfg, traces)
	if err := errors.Join(errM, errL, errT); err != nil {
		return fmt.Errorf("create OTLP receiver: %w", err)
	}
	r.parts = []component.Component{mr, lr, tr}
	return nil
}

func (r *Receiver) config(cfg *otlpreceiver.Config) *otlpreceiver.Config {
	mid := []configmiddleware.Config{{ID: r.ext}}
	if r.opts.GRPCAddr == "" {
		cfg.Protocols.GRPC = configoptional.None[grpcServer]()
	} else {
		g := *cfg.Protocols.GRPC.GetOrInsertDefault()
		g.NetAddr.Endpoint = r.opts.GRPCAddr
		// The collector takes whole MiB: round up.
		g.MaxRecvMsgSizeMiB = int((r.limits.Bytes + 1<<20 - 1) >> 20)
		g.MaxConcurrentStreams = 1000
		g.Middlewares = mid
		cfg.Protocols.GRPC = configoptional.Some(g)
	}
	if r.opts.HTTPAddr == "" {
		cfg.Protocols.HTTP = configoptional.None[otlpreceiver.HTTPConfig]()
		return cfg
	}
	h := *cfg.Protocols.HTTP.GetOrInsertDefault()
	h.ServerConfig.NetAddr.Endpoint = r.opts.HTTPAddr
	h.ServerConfig.MaxRequestBodySize = r.limits.Bytes
	h.ServerConfig.ReadHeaderTimeout = min(10*time.Second, r.opts.Timeout)
	h.ServerConfig.ReadTimeout = r.opts.Timeout
	h.ServerConfig.Middlewares = mid
	cfg.Protocols.HTTP = configoptional.Some(h)
	return cfg
}

// GetExtensions offers our middleware to the collector's servers.
func (r *Receiver) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{r.ext: r.mid}
}

// Report takes the collector's status events; a fatal one ends [Receiver.Run].
func (r *Receiver) Report(ev *componentstatus.Event) {
	if ev.Status() != componentstatus.StatusFatalError {
		return
	}
	select {
	case r.fatal <- ev.Err():
	default:
	}
}

// listening notes a bound address that the collector logged: it has no other
// way to tell it.
func (r *Receiver) listening(server, addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if server == "gRPC" {
		r.grpcAddr = addr
	} else {
		r.httpAddr = addr
	}
}

// GRPCAddr is the bound address of gRPC after Start, "" when there is none.
func (r *Receiver) GRPCAddr() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.grpcAddr
}

// HTTPAddr is the bound address of HTTP after Start, "" when there is none.
func (r *Receiver) HTTPAddr() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.httpAddr
}

// Start binds the addresses and begins to serve.
func (r *Receiver) Start(ctx context.Context) error {
	for i, p := range r.parts {
		if err := p.Start(ctx, r); err != nil {
			for _, started := range r.parts[:i+1] {
				err = errors.Join(err, started.Shutdown(ctx))
			}
			return fmt.Errorf("start OTLP receiver: %w", err)
		}
	}
	return nil
}

// Shutdown stops listening and waits for running exports. When ctx ends first
// it gives up waiting: requests that are still being read end by their timeout.
func (r *Receiver) Shutdown(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		var errs error
		for _, p := range r.parts {
			errs = errors.Join(errs, p.Shutdown(ctx))
		}
		done <- errs
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("shut down OTLP receiver: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut down OTLP receiver: %w", ctx.Err())
	}
}

// Run waits until ctx ends, then shuts down within ten seconds. It returns
// early when a server fails.
func (r *Receiver) Run(ctx context.Context) error {
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-r.fatal:
		failed = fmt.Errorf("serve OTLP: %w", failed)
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(failed, r.Shutdown(grace))
}
