// Package app wires Norn: it opens the stores, starts the pipeline and the
// receivers, serves console and API, and stops everything in the right order.
//
// It exists so that tests, the demo and the command run the very same product
// in one process. It contains no logic of its own. [New] opens and binds;
// [App.Run] serves until its context ends; nothing survives it.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/notify/outbox"
	"github.com/norn-aiops/norn/internal/pipeline"
)

// tickEvery is how often the pipeline closes windows and judges.
const tickEvery = 2 * time.Second

// Options says what to run.
type Options struct {
	Config  config.Config
	Version string
	Log     *slog.Logger
}

// App is one running Norn.
type App struct {
	opts     Options
	log      *slog.Logger
	reg      *prometheus.Registry
	counters *ingest.Counters
	pipe     *pipeline.Pipeline
	stores   *engines
	plugins  []loadedPlugin
	server   *ingest.Server
	parts    []part // receivers
	tests    *backtests
	outbox   *outbox.Outbox
}

// part is something that runs until its context ends.
type part struct {
	name string
	addr string
	run  func(context.Context) error
}

// New opens the stores, restores the models and binds every address. When it
// fails, everything it had opened is closed again.
func New(ctx context.Context, o Options) (*App, error) {
	a := &App{opts: o, log: o.Log, reg: prometheus.NewRegistry()}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if a.counters, err = ingest.NewCounters(a.reg); err != nil {
		return nil, fmt.Errorf("cannot register counters: %w", err)
	}
	a.plugins = loadPlugins(ctx, o.Config.Detect.Plugins, o.Log)
	stages := stageConfig(o.Config)
	if stages.Plugins, err = stagePlugins(a.plugins); err != nil {
		return nil, errors.Join(err, closePlugins(a.plugins))
	}
	if a.pipe, err = pipeline.New(stages, o.Log, a.reg); err != nil {
		return nil, errors.Join(err, closePlugins(a.plugins))
	}
	if a.stores, err = openEngines(ctx, o.Config, o.Log, a.reg, a.pipe); err != nil {
		return nil, errors.Join(err, closePlugins(a.plugins))
	}
	if err = a.pipe.Open(ctx, a.stores.contracts(), time.Now().UnixMilli()); err == nil {
		err = a.bind(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, a.stores.close(), closePlugins(a.plugins))
	}
	return a, nil
}

// bind makes the HTTP server and the receivers.
func (a *App) bind(ctx context.Context) error {
	handler, err := a.handler(ctx)
	if err != nil {
		return err
	}
	secure, err := tlsConfig(a.opts.Config.Server.TLS.CertFile, a.opts.Config.Server.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("server.tls: %w", err)
	}
	a.server, err = ingest.Listen(ingest.ServerOptions{
		Addr: a.opts.Config.Server.Listen, Protocol: "http", Handler: handler,
		Limits: a.limits(), Counters: a.counters, Logger: a.log, TLS: secure,
	})
	if err != nil {
		return err
	}
	if err := a.receivers(ctx); err != nil {
		return errors.Join(err, a.server.Close(), a.closeParts())
	}
	return nil
}

// Run serves until ctx ends. It stops the receivers first, lets the pipeline
// save its models, and closes the stores last.
func (a *App) Run(ctx context.Context) error {
	pipeCtx, stopPipe := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPipe()
	pipeDone := make(chan error, 1)
	go func() { pipeDone <- a.pipe.Run(pipeCtx, tickEvery) }()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return named("http", a.server.Run(ctx)) })
	for _, p := range a.parts {
		g.Go(func() error { return named(p.name, p.run(ctx)) })
	}
	g.Go(func() error { return named("rates of imported logs", a.logHistory(ctx)) })
	err := g.Wait()
	stopPipe()
	return errors.Join(err, <-pipeDone, a.stores.close(), closePlugins(a.plugins))
}

func named(name string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// URL is where the console is.
func (a *App) URL() string {
	if u := a.opts.Config.Server.ExternalURL; u != "" {
		return u
	}
	scheme := "http"
	if a.opts.Config.Server.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + a.server.Addr()
}

// Addr is the bound address of a receiver by name (http, otlp-grpc,
// otlp-http, syslog-udp, syslog-tcp, syslog-tls, elastic), "" when it is off.
func (a *App) Addr(name string) string {
	if name == "http" {
		return a.server.Addr()
	}
	for _, p := range a.parts {
		if p.name == name {
			return p.addr
		}
	}
	return ""
}

// Pipeline gives access to the stages, for the demo and for tests.
func (a *App) Pipeline() *pipeline.Pipeline { return a.pipe }

// Stores gives access to the storage contracts, for the demo and for tests.
func (a *App) Stores() pipeline.Stores { return a.stores.contracts() }

func (a *App) limits() ingest.Limits {
	l := a.opts.Config.Ingest.Limits
	return ingest.Limits{Bytes: l.Bytes, Batch: l.Batch, Line: l.Line, Labels: l.Labels, LabelBytes: l.LabelBytes, Connections: l.Connections}
}
