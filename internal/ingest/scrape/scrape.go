// Package scrape pulls metrics from Prometheus targets, with static, file and
// HTTP service discovery.
//
// It wraps the scrape and discovery managers of Prometheus around a
// [storage.AppendableV2] and adds counters. It does not store, normalise or
// judge; bad samples are left out by Prometheus' own rules, the scrape goes on.
//
// The main type is [Scraper]; its methods are safe for concurrent use.
package scrape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/file" // file_sd_configs
	_ "github.com/prometheus/prometheus/discovery/http" // http_sd_configs
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/logging"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/ingest"
)

const protocol = "scrape"

// Secret is a text that fmt and slog do not print.
type Secret string

// String hides the text.
func (Secret) String() string { return "<redacted>" }

// GoString hides the text from %#v.
func (Secret) GoString() string { return "<redacted>" }

// LogValue hides the text from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("<redacted>") }

// Job mirrors one entry of Prometheus' scrape_configs.
type Job struct {
	JobName         string        // required, unique
	ScrapeInterval  time.Duration // 0 means 15 s
	ScrapeTimeout   time.Duration // 0 means the interval, at most 10 s
	MetricsPath     string        // "" means /metrics
	Scheme          string        // http (default) or https
	HonorLabels     bool
	HonorTimestamps *bool // nil means true
	Params          map[string][]string
	BasicAuth       *BasicAuth
	BearerToken     Secret
	StaticConfigs   []StaticConfig
	FileSDConfigs   []FileSDConfig
	HTTPSDConfigs   []HTTPSDConfig
}

// BasicAuth is a user name and a password.
type BasicAuth struct {
	Username string
	Password Secret
}

// StaticConfig is a list of host:port targets with labels.
type StaticConfig struct {
	Targets []string
	Labels  map[string]string
}

// FileSDConfig reads targets from JSON or YAML files; the last part of a path
// may hold one *.
type FileSDConfig struct {
	Files           []string
	RefreshInterval time.Duration // 0 means 5 min; changes are seen at once all the same
}

// HTTPSDConfig reads targets from a URL.
type HTTPSDConfig struct {
	URL             string
	RefreshInterval time.Duration // 0 means 1 min
}

// Options say what to scrape and whom to hand samples to.
type Options struct {
	Jobs     []Job
	Metrics  storage.AppendableV2
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger          // nil discards
	Registry prometheus.Registerer // of Prometheus' own scrape metrics; nil keeps them unregistered
	// Reload is how often found targets are taken over; 0 means 5 s. The first
	// targets are taken over at once.
	Reload time.Duration
}

// Scraper scrapes until its context ends.
type Scraper struct {
	cfg     *config.Config
	opts    Options
	manager *scrape.Manager
	reg     prometheus.Registerer
}

// New checks the jobs. It fails on the first that Prometheus would not accept,
// naming it.
func New(o Options) (*Scraper, error) {
	if o.Metrics == nil {
		return nil, errors.New("start scraping: a metrics store is needed")
	}
	if o.Logger == nil {
		o.Logger = promslog.NewNopLogger()
	}
	if o.Reload <= 0 {
		o.Reload = 5 * time.Second
	}
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	s := &Scraper{cfg: cfg, opts: o, reg: o.Registry}
	if s.reg == nil {
		s.reg = prometheus.NewRegistry()
	}
	s.manager, err = scrape.NewManager(&scrape.Options{
		DiscoveryReloadInterval:  model.Duration(o.Reload),
		DiscoveryReloadOnStartup: true,
		AppendMetadata:           true,
	}, o.Logger, logging.NewJSONFileLogger, nil, counted{o.Metrics, o.Counters}, s.reg)
	if err != nil {
		return nil, fmt.Errorf("create scrape manager: %w", err)
	}
	if err := s.manager.ApplyConfig(cfg); err != nil {
		return nil, fmt.Errorf("apply scrape jobs: %w", err)
	}
	return s, nil
}

// Run scrapes until ctx ends, then lets running scrapes finish and writes
// staleness markers.
func (s *Scraper) Run(ctx context.Context) error {
	refresh := discovery.NewRefreshMetrics(s.reg)
	mechanisms, err := discovery.RegisterSDMetrics(s.reg, refresh)
	if err != nil {
		return fmt.Errorf("register discovery metrics: %w", err)
	}
	sdCtx, stop := context.WithCancel(ctx)
	defer stop()
	// Targets are few and cheap to take over: no need for the default 5 s.
	sd := discovery.NewManager(sdCtx, s.opts.Logger, s.reg,
		&discovery.SDMetrics{RefreshManager: refresh, MechanismMetrics: mechanisms},
		discovery.Name("norn-scrape"), discovery.Updatert(100*time.Millisecond))
	if sd == nil {
		return errors.New("create discovery manager: its metrics cannot be registered")
	}
	jobs := map[string]discovery.Configs{}
	for _, sc := range s.cfg.ScrapeConfigs {
		jobs[sc.JobName] = sc.ServiceDiscoveryConfigs
	}
	if err := sd.ApplyConfig(jobs); err != nil {
		return fmt.Errorf("apply service discovery: %w", err)
	}
	var g errgroup.Group
	g.Go(func() error { return ignoreCanceled(sd.Run()) })
	g.Go(func() error { return s.manager.Run(sd.SyncCh()) })
	g.Go(func() error {
		<-ctx.Done()
		s.manager.Stop()
		return nil
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("scrape: %w", err)
	}
	return nil
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Target is one scraped endpoint and how it does.
type Target struct {
	Job       string
	URL       string
	Healthy   bool
	LastError string
	LastAt    time.Time
}

// Targets lists the active targets.
func (s *Scraper) Targets() []Target {
	var out []Target
	for job, ts := range s.manager.TargetsActive() {
		for _, t := range ts {
			one := Target{Job: job, URL: t.URL().Redacted(), Healthy: t.Health() == scrape.HealthGood, LastAt: t.LastScrape()}
			if err := t.LastError(); err != nil {
				one.LastError = err.Error()
			}
			out = append(out, one)
		}
	}
	return out
}

// load writes the jobs as the YAML that Prometheus reads, so that its own
// defaults and checks apply.
func load(o Options) (*config.Config, error) {
	limits := o.Limits.WithDefaults()
	var jobs []map[string]any
	for _, j := range o.Jobs {
		if j.Scheme != "" && j.Scheme != "http" && j.Scheme != "https" {
			return nil, fmt.Errorf("scrape job %q: scheme %q is neither http nor https", j.JobName, j.Scheme)
		}
		jobs = append(jobs, j.yaml(limits))
	}
	text, err := yaml.Marshal(map[string]any{
		"global":         map[string]any{"scrape_interval": "15s"},
		"scrape_configs": jobs,
	})
	if err != nil {
		return nil, fmt.Errorf("write scrape jobs: %w", err)
	}
	cfg, err := config.Load(string(text), o.Logger)
	if err != nil {
		return nil, fmt.Errorf("read scrape jobs: %w", err)
	}
	for _, sc := range cfg.ScrapeConfigs {
		if len(sc.ServiceDiscoveryConfigs) == 0 {
			return nil, fmt.Errorf("scrape job %q has no targets and no service discovery", sc.JobName)
		}
	}
	return cfg, nil
}

func (j Job) yaml(limits ingest.Limits) map[string]any {
	m := map[string]any{
		"job_name":                 j.JobName,
		"honor_labels":             j.HonorLabels,
		"body_size_limit":          fmt.Sprintf("%dB", limits.Bytes),
		"sample_limit":             limits.Batch,
		"label_limit":              limits.Labels,
		"label_name_length_limit":  limits.LabelBytes,
		"label_value_length_limit": limits.LabelBytes,
	}
	set := func(key string, value any, given bool) {
		if given {
			m[key] = value
		}
	}
	interval := j.ScrapeInterval
	if interval == 0 {
		interval = 15 * time.Second
	}
	timeout := j.ScrapeTimeout
	if timeout == 0 {
		timeout = min(interval, 10*time.Second)
	}
	m["scrape_interval"], m["scrape_timeout"] = duration(interval), duration(timeout)
	set("metrics_path", j.MetricsPath, j.MetricsPath != "")
	set("scheme", j.Scheme, j.Scheme != "")
	set("params", j.Params, len(j.Params) > 0)
	if j.HonorTimestamps != nil {
		m["honor_timestamps"] = *j.HonorTimestamps
	}
	if j.BasicAuth != nil {
		m["basic_auth"] = map[string]any{"username": j.BasicAuth.Username, "password": string(j.BasicAuth.Password)}
	}
	set("authorization", map[string]any{"credentials": string(j.BearerToken)}, j.BearerToken != "")
	j.discovery(set)
	return m
}

func (j Job) discovery(set func(key string, value any, given bool)) {
	var static, files, urls []map[string]any
	for _, c := range j.StaticConfigs {
		static = append(static, map[string]any{"targets": c.Targets, "labels": c.Labels})
	}
	for _, c := range j.FileSDConfigs {
		one := map[string]any{"files": c.Files}
		if c.RefreshInterval > 0 {
			one["refresh_interval"] = duration(c.RefreshInterval)
		}
		files = append(files, one)
	}
	for _, c := range j.HTTPSDConfigs {
		one := map[string]any{"url": c.URL}
		if c.RefreshInterval > 0 {
			one["refresh_interval"] = duration(c.RefreshInterval)
		}
		urls = append(urls, one)
	}
	set("static_configs", static, len(static) > 0)
	set("file_sd_configs", files, len(files) > 0)
	set("http_sd_configs", urls, len(urls) > 0)
}

func duration(d time.Duration) string { return model.Duration(d).String() }

// counted counts what scrapes append.
type counted struct {
	next     storage.AppendableV2
	counters *ingest.Counters
}

// AppenderV2 implements [storage.AppendableV2].
func (c counted) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return &countingAppender{AppenderV2: c.next.AppenderV2(ctx), counters: c.counters}
}

type countingAppender struct {
	storage.AppenderV2
	counters *ingest.Counters
	n        int
}

// Append implements [storage.AppenderV2].
func (a *countingAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	out, err := a.AppenderV2.Append(ref, ls, st, t, v, h, fh, opts)
	if err == nil || errors.Is(err, (*storage.AppendPartialError)(nil)) {
		a.n++
		return out, err
	}
	if reason, ok := ingest.SampleReason(err); ok {
		a.counters.Reject(protocol, reason, 1)
	}
	return out, err
}

// Commit implements [storage.AppenderTransaction].
func (a *countingAppender) Commit() error {
	err := a.AppenderV2.Commit()
	if err != nil {
		a.counters.Items(protocol, ingest.OutcomeFailed, a.n)
		return err
	}
	a.counters.Items(protocol, ingest.OutcomeAccepted, a.n)
	return nil
}
