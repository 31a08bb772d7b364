package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/ingest/elastic"
	"github.com/norn-aiops/norn/internal/ingest/file"
	"github.com/norn-aiops/norn/internal/ingest/otlp"
	"github.com/norn-aiops/norn/internal/ingest/scrape"
	"github.com/norn-aiops/norn/internal/ingest/syslog"
	"github.com/norn-aiops/norn/internal/normalize"
)

// receivers binds every receiver that the configuration names.
func (a *App) receivers(ctx context.Context) error {
	for _, bind := range []func(context.Context, config.Ingest) error{a.bindOTLP, a.bindSyslog, a.bindElastic, a.bindFiles} {
		if err := bind(ctx, a.opts.Config.Ingest); err != nil {
			return err
		}
	}
	return a.bindScrape()
}

func (a *App) bindOTLP(ctx context.Context, c config.Ingest) error {
	if c.OTLP.GRPC == "" && c.OTLP.HTTP == "" {
		return nil
	}
	cumulator := normalize.NewCumulator(0)
	r, err := otlp.New(otlp.Options{
		GRPCAddr: c.OTLP.GRPC, HTTPAddr: c.OTLP.HTTP, Sink: a.pipe, Metrics: a.stores.metrics,
		Cumulate: func(m pmetric.Metrics) { cumulator.Apply(m) },
		Limits:   a.limits(), Counters: a.counters, Logger: a.log,
	})
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	a.parts = append(a.parts,
		part{name: "otlp-grpc", addr: r.GRPCAddr(), run: r.Run},
		part{name: "otlp-http", addr: r.HTTPAddr(), run: wait})
	return nil
}

// wait is the run of a part that another part runs.
func wait(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (a *App) bindSyslog(_ context.Context, c config.Ingest) error {
	s := c.Syslog
	if s.UDP == "" && s.TCP == "" && s.TLS.Listen == "" {
		return nil
	}
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return fmt.Errorf("cannot load the syslog time zone: %w", err)
	}
	secure, err := tlsConfig(s.TLS.CertFile, s.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("syslog: %w", err)
	}
	r, err := syslog.Listen(syslog.Options{
		UDPAddr: s.UDP, TCPAddr: s.TCP, TLSAddr: s.TLS.Listen, TLS: secure, Location: zone,
		Sink: a.pipe, Limits: a.limits(), Counters: a.counters, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.parts = append(a.parts,
		part{name: "syslog-tcp", addr: r.TCPAddr(), run: r.Run},
		part{name: "syslog-udp", addr: r.UDPAddr(), run: wait},
		part{name: "syslog-tls", addr: r.TLSAddr(), run: wait})
	return nil
}

// tlsConfig loads a certificate; empty names give nil.
func tlsConfig(cert, key string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cannot load the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

func (a *App) bindElastic(_ context.Context, c config.Ingest) error {
	if c.Elastic.Listen == "" {
		return nil
	}
	s, err := ingest.Listen(ingest.ServerOptions{
		Addr: c.Elastic.Listen, Protocol: "elastic", Limits: a.limits(), Counters: a.counters, Logger: a.log,
		Handler: elastic.New(elastic.Options{Sink: a.pipe, Limits: a.limits(), Counters: a.counters, Logger: a.log}),
	})
	if err != nil {
		return err
	}
	a.parts = append(a.parts, part{name: "elastic", addr: s.Addr(), run: s.Run})
	return nil
}

func (a *App) bindFiles(_ context.Context, c config.Ingest) error {
	if len(c.Files) == 0 {
		return nil
	}
	o := file.TailOptions{
		Marks: filepath.Join(a.opts.Config.Storage.Dir, "followed.json"),
		Sink:  a.pipe, Limits: a.limits(), Counters: a.counters, Logger: a.log,
	}
	for _, f := range c.Files {
		zone, err := time.LoadLocation(f.Timezone)
		if err != nil {
			return fmt.Errorf("cannot load the time zone of %v: %w", f.Paths, err)
		}
		o.Files = append(o.Files, file.Followed{Paths: f.Paths, Service: f.Service, Format: f.Format, Zone: zone, FromEnd: f.Start == "end"})
	}
	t, err := file.NewTail(o)
	if err != nil {
		return fmt.Errorf("ingest.files: %w", err)
	}
	a.parts = append(a.parts, part{name: "files", run: t.Run})
	return nil
}

func (a *App) bindScrape() error {
	if len(a.opts.Config.Scrape) == 0 {
		return nil
	}
	var jobs []scrape.Job
	for i := range a.opts.Config.Scrape {
		jobs = append(jobs, scrapeJob(&a.opts.Config.Scrape[i]))
	}
	s, err := scrape.New(scrape.Options{
		Jobs: jobs, Metrics: a.stores.metrics, Limits: a.limits(), Counters: a.counters, Logger: a.log, Registry: a.reg,
	})
	if err != nil {
		return err
	}
	a.parts = append(a.parts, part{name: "scrape", run: s.Run})
	return nil
}

func scrapeJob(c *config.Scrape) scrape.Job {
	j := scrape.Job{
		JobName: c.JobName, ScrapeInterval: time.Duration(c.ScrapeInterval), ScrapeTimeout: time.Duration(c.ScrapeTimeout),
		MetricsPath: c.MetricsPath, Scheme: c.Scheme, HonorLabels: c.HonorLabels, BearerToken: scrape.Secret(c.BearerToken.Reveal()),
	}
	if c.BasicAuth.Username != "" {
		j.BasicAuth = &scrape.BasicAuth{Username: c.BasicAuth.Username, Password: scrape.Secret(c.BasicAuth.Password.Reveal())}
	}
	for _, s := range c.StaticConfigs {
		j.StaticConfigs = append(j.StaticConfigs, scrape.StaticConfig{Targets: s.Targets, Labels: s.Labels})
	}
	for _, s := range c.FileSD {
		j.FileSDConfigs = append(j.FileSDConfigs, scrape.FileSDConfig{Files: s.Files, RefreshInterval: time.Duration(s.RefreshInterval)})
	}
	for _, s := range c.HTTPSD {
		j.HTTPSDConfigs = append(j.HTTPSDConfigs, scrape.HTTPSDConfig{URL: s.URL, RefreshInterval: time.Duration(s.RefreshInterval)})
	}
	return j
}

// closeParts releases the addresses of parts that were bound and never run.
func (a *App) closeParts() error {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	for _, p := range a.parts {
		errs = append(errs, named(p.name, p.run(done)))
	}
	return errors.Join(errs...)
}
