package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/capacity"
	"github.com/norn-aiops/norn/internal/holiday"
	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/slo"
)

// Validate checks every value and returns all faults at once, each naming its
// key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	c.checkAddresses(bad)
	c.checkStorage(bad)
	c.checkLimits(bad)
	c.checkStages(bad)
	c.checkPlugins(bad)
	c.checkFiles(bad)
	c.checkTeams(bad)
	c.Remedy.check(bad)
	c.checkNotify(bad)
	slo.Check(c.SLOs, selector, bad)
	capacity.Check(c.Capacity, bad)
	for i := range c.Scrape {
		c.Scrape[i].check(fmt.Sprintf("scrape_configs[%d]", i), bad)
	}
	return errors.Join(errs...)
}

type report func(key, format string, args ...any)

func (c *Config) checkAddresses(bad report) {
	for _, a := range []struct{ key, addr string }{
		{"server.listen", c.Server.Listen},
		{"ingest.otlp.grpc", c.Ingest.OTLP.GRPC},
		{"ingest.otlp.http", c.Ingest.OTLP.HTTP},
		{"ingest.syslog.udp", c.Ingest.Syslog.UDP},
		{"ingest.syslog.tcp", c.Ingest.Syslog.TCP},
		{"ingest.syslog.tls.listen", c.Ingest.Syslog.TLS.Listen},
		{"ingest.elastic.listen", c.Ingest.Elastic.Listen},
	} {
		if a.addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			bad(a.key, "%q is not host:port", a.addr)
		}
	}
	if c.Server.Listen == "" {
		bad("server.listen", "must not be empty")
	}
	if (c.Server.TLS.CertFile == "") != (c.Server.TLS.KeyFile == "") {
		bad("server.tls", "cert_file and key_file belong together")
	}
	if t := c.Ingest.Syslog.TLS; t.Listen != "" && (t.CertFile == "" || t.KeyFile == "") {
		bad("ingest.syslog.tls", "cert_file and key_file are needed")
	}
	if u, err := url.Parse(c.Server.ExternalURL); err != nil || (c.Server.ExternalURL != "" && u.Host == "") {
		bad("server.external_url", "%q is not a URL", c.Server.ExternalURL)
	}
	if _, err := time.LoadLocation(c.Ingest.Syslog.Timezone); err != nil {
		bad("ingest.syslog.timezone", "%q is not a time zone", c.Ingest.Syslog.Timezone)
	}
}

func (c *Config) checkFiles(bad report) {
	for i, f := range c.Ingest.Files {
		key := fmt.Sprintf("ingest.files[%d]", i)
		if len(f.Paths) == 0 {
			bad(key+".paths", "must name at least one file or pattern")
		}
		for _, p := range f.Paths {
			if _, err := filepath.Match(p, ""); err != nil {
				bad(key+".paths", "%q is not a pattern", p)
			}
		}
		if !slices.Contains(logread.Formats(), f.Format) {
			bad(key+".format", "%q is not one of %s", f.Format, strings.Join(logread.Formats(), ", "))
		}
		if _, err := time.LoadLocation(f.Timezone); err != nil {
			bad(key+".timezone", "%q is not a time zone", f.Timezone)
		}
		if f.Start != "beginning" && f.Start != "end" {
			bad(key+".start", "%q is not one of beginning, end", f.Start)
		}
	}
}

func (c *Config) checkStorage(bad report) {
	if c.Storage.Dir == "" {
		bad("storage.dir", "must not be empty")
	}
	for _, d := range []struct {
		key string
		v   Duration
	}{
		{"storage.metrics.retention", c.Storage.Metrics.Retention},
		{"storage.metrics.block_duration", c.Storage.Metrics.BlockDuration},
		{"storage.logs.retention", c.Storage.Logs.Retention},
		{"storage.traces.retention", c.Storage.Traces.Retention},
		{"normalize.max_log_age", c.Normalize.MaxLogAge},
		{"normalize.max_future", c.Normalize.MaxFuture},
		{"topology.window", c.Topology.Window},
		{"topology.expiry", c.Topology.Expiry},
		{"incident.quiet_period", c.Incident.QuietPeriod},
	} {
		if d.v <= 0 {
			bad(d.key, "must be longer than 0")
		}
	}
	s := c.Storage.State.Reveal()
	if s != "sqlite" && !strings.HasPrefix(s, "sqlite:") && !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		bad("storage.state", "must be sqlite, sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
	}
}

func (c *Config) checkLimits(bad report) {
	l := c.Ingest.Limits
	for _, n := range []struct {
		key string
		v   int64
	}{
		{"bytes", l.Bytes}, {"batch", int64(l.Batch)}, {"line_bytes", int64(l.Line)}, {"labels", int64(l.Labels)},
		{"label_bytes", int64(l.LabelBytes)}, {"connections", int64(l.Connections)}, {"series", int64(l.Series)},
	} {
		if n.v <= 0 {
			bad("ingest.limits."+n.key, "must be above 0")
		}
	}
}

func (c *Config) checkSeasons(bad report) {
	s := c.Detect.Seasons
	if s.MaxSeries < 0 {
		bad("detection.seasons.max_series", "must not be below 0")
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil {
		bad("detection.seasons.timezone", "%v", err)
	}
	if _, ok := holiday.New(s.Holidays); !ok && s.Holidays != "" {
		bad("detection.seasons.holidays", "no country %q is known; there are %s", s.Holidays, strings.Join(holiday.Countries(), ", "))
	}
}

func (c *Config) checkStages(bad report) {
	for i, p := range c.Normalize.Mask.Patterns {
		if _, err := regexp.Compile(p); err != nil {
			bad("normalize.mask.patterns."+i, "%v", err)
		}
	}
	if c.Topology.Window < Duration(time.Second) || c.Topology.Window > Duration(10*time.Minute) {
		bad("topology.window", "must be between 1s and 10m")
	}
	if c.Detect.MaxSeries <= 0 {
		bad("detection.max_series", "must be above 0")
	}
	if c.Detect.Memory < 0 {
		bad("detection.memory_bytes", "must not be below 0")
	}
	if !(c.Detect.CPU >= 0 && c.Detect.CPU <= 1024) {
		bad("detection.cpu_cores", "must be from 0 to 1024")
	}
	if c.Detect.FullSeries < 0 {
		bad("detection.full_series", "must not be below 0")
	}
	if c.Detect.Sensitivity <= 0 || c.Detect.Sensitivity > 100 {
		bad("detection.false_alarms_per_series_week", "must be above 0 and at most 100")
	}
	c.checkSeasons(bad)
	if _, err := rules.Compile(time.LoadLocation, c.Detect.Config); err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			key, text, _ := strings.Cut(text, ": ")
			bad("detection."+key, "%s", text)
		}
	}
	if c.Incident.MaxOpen <= 0 {
		bad("incident.max_open", "must be above 0")
	}
	if b := c.Alerts.Budget; !(b.FalsePagesPerWeek >= 0 && b.FalsePagesPerWeek <= 10_000) {
		bad("alerts.budget.false_pages_per_week", "must be between 0 and 10000")
	} else if b.Per != "fleet" && b.Per != "service" {
		bad("alerts.budget.per", "%q is not one of fleet, service", b.Per)
	}
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		bad("log.level", "%q is not one of debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format", "%q is not one of text, json", c.Log.Format)
	}
}

// maxTeams bounds the teams of a configuration.
const maxTeams = 200

func (c *Config) checkTeams(bad report) {
	if len(c.Teams) > maxTeams {
		bad("teams", "%d are too many, at most %d", len(c.Teams), maxTeams)
	}
	taken := map[string]bool{}
	for i, t := range c.Teams {
		key := fmt.Sprintf("teams[%d]", i)
		switch {
		case strings.TrimSpace(t.Name) == "":
			bad(key+".name", "must not be empty")
		case taken[t.Name]:
			bad(key+".name", "%q is taken", t.Name)
		}
		taken[t.Name] = true
		if len(t.Match) == 0 {
			bad(key+".match", "must name at least one selector like '{service_name=\"cart\"}'")
		}
		for j, m := range t.Match {
			if err := selector(m); err != nil {
				bad(fmt.Sprintf("%s.match[%d]", key, j), "%v", err)
			}
		}
		if n := t.FalsePagesPerWeek; n != nil && !(*n >= 0 && *n <= 10_000) {
			bad(key+".false_pages_per_week", "must be between 0 and 10000")
		}
	}
}

func selector(text string) error {
	_, err := rules.NewMatcher(text)
	return err
}

func (s *Scrape) check(key string, bad report) {
	if s.JobName == "" {
		bad(key+".job_name", "must not be empty")
	}
	if s.Scheme != "http" && s.Scheme != "https" {
		bad(key+".scheme", "%q is not one of http, https", s.Scheme)
	}
	if s.ScrapeTimeout > s.ScrapeInterval {
		bad(key+".scrape_timeout", "must not be longer than scrape_interval")
	}
	if len(s.StaticConfigs)+len(s.FileSD)+len(s.HTTPSD) == 0 {
		bad(key, "has no targets: give static_configs, file_sd_configs or http_sd_configs")
	}
	for i, h := range s.HTTPSD {
		if u, err := url.Parse(h.URL); err != nil || u.Host == "" {
			bad(fmt.Sprintf("%s.http_sd_configs[%d].url", key, i), "%q is not a URL", h.URL)
		}
	}
}
