// Package config is the YAML tree of `norn serve`.
//
// It exists so that every setting has one name, one default and one place
// where it is checked. Unknown keys are refused. It opens nothing but the
// configuration file itself and the files that secrets point at. Values are
// plain data; after [Load] nobody changes them, so they may be shared.
package config

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/norn-aiops/norn/internal/capacity"
	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/slo"
)

// defaultYAML is the commented reference; a test holds it equal to [Default].
//
//go:embed default.yaml
var defaultYAML []byte

// Config is the whole tree.
type Config struct {
	Server    Server     `yaml:"server"`
	Storage   Storage    `yaml:"storage"`
	Ingest    Ingest     `yaml:"ingest"`
	Scrape    []Scrape   `yaml:"scrape_configs"`
	Normalize Normalize  `yaml:"normalize"`
	Topology  Topology   `yaml:"topology"`
	Detect    Detect     `yaml:"detection"`
	Incident  Incident   `yaml:"incident"`
	Alerts    Alerts     `yaml:"alerts"`
	Teams     []Team     `yaml:"teams"`
	SLOs      []SLO      `yaml:"slos"`
	Capacity  []Capacity `yaml:"capacity"`
	Remedy    Remedy     `yaml:"remedy"`
	Notify    Notify     `yaml:"notify"`
	Log       Log        `yaml:"log"`
}

// Duration is a length of time written like Prometheus does: 90s, 30m, 14d.
type Duration = model.Duration

// Server says where the console and the API are served.
type Server struct {
	Listen      string `yaml:"listen"`
	ExternalURL string `yaml:"external_url"`
	Token       Secret `yaml:"token"`
	TLS         TLS    `yaml:"tls"`
}

// TLS names a certificate and its key; both empty means no TLS.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Storage says where data is kept and for how long.
type Storage struct {
	Dir     string         `yaml:"dir"`
	Metrics MetricsStorage `yaml:"metrics"`
	Logs    LogStorage     `yaml:"logs"`
	Traces  LogStorage     `yaml:"traces"`
	State   Secret         `yaml:"state"`
}

// MetricsStorage bounds the time series database.
type MetricsStorage struct {
	Retention        Duration `yaml:"retention"`
	OutOfOrderWindow Duration `yaml:"out_of_order_window"`
	BlockDuration    Duration `yaml:"block_duration"`
}

// LogStorage bounds the log or the span database.
type LogStorage struct {
	Retention   Duration `yaml:"retention"`
	DedupWindow Duration `yaml:"dedup_window"`
}

// Ingest says which receivers listen where; an empty address turns one off.
type Ingest struct {
	Limits  Limits  `yaml:"limits"`
	OTLP    OTLP    `yaml:"otlp"`
	Syslog  Syslog  `yaml:"syslog"`
	Elastic Elastic `yaml:"elastic"`
	Files   []Files `yaml:"files"`
}

// Files are logs that are followed as they are written.
type Files struct {
	Paths    []string `yaml:"paths"`
	Service  string   `yaml:"service"`
	Format   string   `yaml:"format"`
	Timezone string   `yaml:"timezone"`
	Start    string   `yaml:"start"` // beginning or end
}

// Limits bound what one request or connection may bring.
type Limits struct {
	Bytes       int64 `yaml:"bytes"`
	Batch       int   `yaml:"batch"`
	Line        int   `yaml:"line_bytes"`
	Labels      int   `yaml:"labels"`
	LabelBytes  int   `yaml:"label_bytes"`
	Connections int   `yaml:"connections"`
	Series      int   `yaml:"series"`
}

// OTLP is the OpenTelemetry protocol.
type OTLP struct {
	GRPC string `yaml:"grpc"`
	HTTP string `yaml:"http"`
}

// Syslog is RFC 5424 and RFC 3164.
type Syslog struct {
	UDP      string    `yaml:"udp"`
	TCP      string    `yaml:"tcp"`
	TLS      SyslogTLS `yaml:"tls"`
	Timezone string    `yaml:"timezone"`
}

// SyslogTLS is syslog over TLS (RFC 5425).
type SyslogTLS struct {
	Listen   string `yaml:"listen"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// Elastic is the Elasticsearch bulk API.
type Elastic struct {
	Listen string `yaml:"listen"`
}

// Scrape is one job of Prometheus targets; names are Prometheus' own.
type Scrape struct {
	JobName        string         `yaml:"job_name"`
	ScrapeInterval Duration       `yaml:"scrape_interval"`
	ScrapeTimeout  Duration       `yaml:"scrape_timeout"`
	MetricsPath    string         `yaml:"metrics_path"`
	Scheme         string         `yaml:"scheme"`
	HonorLabels    bool           `yaml:"honor_labels"`
	BasicAuth      BasicAuth      `yaml:"basic_auth"`
	BearerToken    Secret         `yaml:"bearer_token"`
	StaticConfigs  []StaticConfig `yaml:"static_configs"`
	FileSD         []FileSD       `yaml:"file_sd_configs"`
	HTTPSD         []HTTPSD       `yaml:"http_sd_configs"`
}

// BasicAuth is a user name and a password.
type BasicAuth struct {
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
}

// StaticConfig is a list of targets and their labels.
type StaticConfig struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels"`
}

// FileSD reads targets from files.
type FileSD struct {
	Files           []string `yaml:"files"`
	RefreshInterval Duration `yaml:"refresh_interval"`
}

// HTTPSD reads targets from a URL.
type HTTPSD struct {
	URL             string   `yaml:"url"`
	RefreshInterval Duration `yaml:"refresh_interval"`
}

// Normalize says how telemetry is cleaned.
type Normalize struct {
	Mask      Mask     `yaml:"mask"`
	MaxLogAge Duration `yaml:"max_log_age"`
	MaxFuture Duration `yaml:"max_future"`
}

// Mask hides secrets in log bodies and attributes.
type Mask struct {
	Enabled  bool              `yaml:"enabled"`
	Patterns map[string]string `yaml:"patterns"`
}

// Topology says how spans become the dependency graph.
type Topology struct {
	Window Duration `yaml:"window"`
	Lag    Duration `yaml:"lag"`
	Expiry Duration `yaml:"expiry"`
}

// Detect bounds detection and says what is wished of it.
type Detect struct {
	MaxSeries    int     `yaml:"max_series"`
	FullSeries   int     `yaml:"full_series"`
	Memory       int64   `yaml:"memory_bytes"`
	CPU          float64 `yaml:"cpu_cores"`
	Sensitivity  float64 `yaml:"false_alarms_per_series_week"`
	Seasons      Seasons `yaml:"seasons"`
	rules.Config `yaml:",inline"`
	Plugins      []Plugin `yaml:"plugins"`
}

// Plugin is a detector of the user's own: a WebAssembly module.
type Plugin struct {
	Name      string       `yaml:"name"`
	Path      string       `yaml:"path"`
	Match     string       `yaml:"match"`
	Threshold float64      `yaml:"threshold"`
	Weight    float64      `yaml:"weight"`
	Limits    PluginLimits `yaml:"limits"`
}

// PluginLimits bound what a plugin may use.
type PluginLimits struct {
	Memory    int      `yaml:"memory_pages"`
	CallTime  Duration `yaml:"call_timeout"`
	Instances int      `yaml:"instances"`
	Series    int      `yaml:"series"`
}

// Seasons says how the periods of series are followed.
type Seasons struct {
	MaxSeries int    `yaml:"max_series"` // 0: none
	Timezone  string `yaml:"timezone"`   // IANA name, "Local" is the machine's own
	Holidays  string `yaml:"holidays"`   // country, two letters; "" none
}

// Incident says how long an incident lingers.
type Incident struct {
	QuietPeriod Duration `yaml:"quiet_period"`
	MaxOpen     int      `yaml:"max_open"`
}

// Alerts says what may call a person.
type Alerts struct {
	Budget Budget `yaml:"budget"`
}

// Budget is how many false pages are allowed.
type Budget struct {
	FalsePagesPerWeek float64 `yaml:"false_pages_per_week"` // expected at most; 0 holds nothing back
	Per               string  `yaml:"per"`                  // fleet or service
}

// Team looks after the entities that match, or any of whose series does.
type Team struct {
	Name              string   `yaml:"name"`
	Match             []string `yaml:"match"`                // selectors, as in detection rules; any is enough
	FalsePagesPerWeek *float64 `yaml:"false_pages_per_week"` // budget of its own; left out: it shares alerts.budget; 0 bears none
}

// SLO declares a service level objective.
type SLO = slo.Config

// Capacity declares something with a limit.
type Capacity = capacity.Config

// Log is Norn's own log.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Default returns the settings that apply when the file says nothing.
func Default() Config {
	d := func(v time.Duration) Duration { return Duration(v) }
	day := 24 * time.Hour
	return Config{
		Server: Server{Listen: "127.0.0.1:7700"},
		Storage: Storage{
			Dir:     "data",
			Metrics: MetricsStorage{Retention: d(30 * day), OutOfOrderWindow: d(30 * time.Minute), BlockDuration: d(2 * time.Hour)},
			Logs:    LogStorage{Retention: d(14 * day), DedupWindow: d(10 * time.Minute)},
			Traces:  LogStorage{Retention: d(3 * day), DedupWindow: d(10 * time.Minute)},
			State:   "sqlite",
		},
		Ingest: Ingest{
			Limits:  Limits{Bytes: 16 << 20, Batch: 50_000, Line: 1 << 20, Labels: 128, LabelBytes: 16 << 10, Connections: 1000, Series: 2_000_000},
			OTLP:    OTLP{GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4318"},
			Syslog:  Syslog{UDP: "127.0.0.1:5514", TCP: "127.0.0.1:5514", Timezone: "UTC"},
			Elastic: Elastic{Listen: "127.0.0.1:9200"},
			Files:   []Files{},
		},
		Scrape: []Scrape{},
		Normalize: Normalize{
			Mask: Mask{Enabled: true, Patterns: map[string]string{}}, MaxLogAge: d(7 * day), MaxFuture: d(10 * time.Minute),
		},
		Topology: Topology{Window: d(10 * time.Second), Lag: d(5 * time.Second), Expiry: d(time.Hour)},
		Detect: Detect{MaxSeries: 1_000_000, FullSeries: 10_000, Memory: 2 << 30, CPU: 1, Sensitivity: 0.05, Seasons: Seasons{MaxSeries: 20_000, Timezone: "Local"},
			Config: rules.Config{Rules: []rules.Rule{}, Mutes: []rules.Mute{}, CustomMetrics: []rules.CustomMetric{}}, Plugins: []Plugin{}},
		Incident: Incident{QuietPeriod: d(2 * time.Minute), MaxOpen: 200},
		Alerts:   Alerts{Budget: Budget{FalsePagesPerWeek: 3, Per: "fleet"}},
		Teams:    []Team{},
		SLOs:     []SLO{},
		Capacity: []Capacity{},
		Remedy:   defaultRemedy(),
		Notify:   defaultNotify(),
		Log:      Log{Level: "info", Format: "text"},
	}
}

// DefaultYAML returns the commented default configuration.
func DefaultYAML() []byte { return bytes.Clone(defaultYAML) }

// Load reads and checks the file at path. An empty path gives [Default].
func Load(path string) (Config, error) {
	if path == "" {
		return Default(), nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	c, err := Parse(raw)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Parse reads a YAML document over the defaults and checks it. Unknown keys,
// values of the wrong kind and values out of range are errors that name the
// key.
func Parse(raw []byte) (Config, error) {
	c := Default()
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("cannot understand the configuration: %w", err)
	}
	c.fillScrape()
	c.fillPlugins()
	c.fillFiles()
	c.fillRemedy()
	c.fillNotify()
	if err := c.resolveSecrets(); err != nil {
		return Config{}, err
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (c *Config) fillFiles() {
	for i := range c.Ingest.Files {
		f := &c.Ingest.Files[i]
		f.Format = cmp.Or(f.Format, logread.FormatAuto)
		f.Timezone = cmp.Or(f.Timezone, "UTC")
		f.Start = cmp.Or(f.Start, "beginning")
	}
}

func (c *Config) fillScrape() {
	for i := range c.Scrape {
		s := &c.Scrape[i]
		if s.ScrapeInterval == 0 {
			s.ScrapeInterval = Duration(15 * time.Second)
		}
		if s.ScrapeTimeout == 0 {
			s.ScrapeTimeout = min(s.ScrapeInterval, Duration(10*time.Second))
		}
		if s.MetricsPath == "" {
			s.MetricsPath = "/metrics"
		}
		if s.Scheme == "" {
			s.Scheme = "http"
		}
		for j := range s.FileSD {
			if s.FileSD[j].RefreshInterval == 0 {
				s.FileSD[j].RefreshInterval = Duration(5 * time.Minute)
			}
		}
		for j := range s.HTTPSD {
			if s.HTTPSD[j].RefreshInterval == 0 {
				s.HTTPSD[j].RefreshInterval = Duration(time.Minute)
			}
		}
	}
}
