package tsdb

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/notifications"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
)

// PrometheusAPI answers the read side of Prometheus's HTTP API below
// prefix + "/api/v1/" (prefix without a trailing slash, for example
// "/prometheus"), so that Grafana takes Norn for a Prometheus. Writing, admin
// and remote-write routes are not served. version is what status/buildinfo
// says.
func (d *DB) PrometheusAPI(prefix, version string) http.Handler {
	ready := func(f http.HandlerFunc) http.HandlerFunc { return f }
	q := d.queryable()
	none := noTargets{}
	// The 44 parameters change with every Prometheus release; they are named
	// here and nowhere else.
	api := apiv1.NewAPI(
		d.engine,
		q,
		nil, // no appender: the read side only
		q,
		func(context.Context) apiv1.ScrapePoolsRetriever { return none },
		func(context.Context) apiv1.TargetRetriever { return none },
		func(context.Context) apiv1.AlertmanagerRetriever { return none },
		func() config.Config { return config.DefaultConfig },
		map[string]string{},
		apiv1.GlobalURLOptions{},
		ready,
		adminStats{d.db},
		d.dir,
		false, // admin
		false, // search
		0,
		d.opts.Logger,
		func(context.Context) apiv1.RulesRetriever { return none },
		50_000_000, // remote read: samples
		10,         // remote read: concurrent requests
		1<<20,      // remote read: bytes in a frame
		false,      // agent
		regexp.MustCompile("^$"),
		func() (apiv1.RuntimeInfo, error) {
			return apiv1.RuntimeInfo{ServerTime: time.Now(), GoroutineCount: runtime.NumGoroutine(), StorageRetention: d.opts.Retention.String()}, nil
		},
		&apiv1.PrometheusVersion{Version: version, GoVersion: runtime.Version()},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, func() {}, false },
		prometheus.NewRegistry(),
		prometheus.NewRegistry(),
		nil,   // statistics renderer
		false, // remote write
		nil,
		false, false, false, // OTLP
		5*time.Minute,
		false, // type and unit labels
		false, // metadata in the write-ahead log
		nil,
		nil,
		apiv1.OpenAPIOptions{Version: version},
		d.parser,
		false, // query cost
		d.opts.QueryTimeout,
	)
	r := route.New()
	api.Register(r)
	base := strings.TrimSuffix(prefix, "/") + "/api/v1"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"/metadata", d.serveMetadata)
	mux.Handle(base+"/", http.StripPrefix(base, r))
	return mux
}

// serveMetadata answers from what senders said with their samples, because
// there are no scrape targets to ask.
func (d *DB) serveMetadata(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Type string `json:"type"`
		Help string `json:"help"`
		Unit string `json:"unit"`
	}
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit <= 0 {
		limit = -1
	}
	only := r.FormValue("metric")
	data := map[string][]entry{}
	d.metaMu.RLock()
	for name, m := range d.meta {
		if limit >= 0 && len(data) >= limit {
			break
		}
		if only != "" && only != name {
			continue
		}
		if m.Type == "" {
			m.Type = model.MetricTypeUnknown
		}
		data[name] = []entry{{Type: string(m.Type), Help: m.Help, Unit: m.Unit}}
	}
	d.metaMu.RUnlock()
	w.Header().Set("Content-Type", "application/json")
	body := map[string]any{"status": "success", "data": data}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		d.opts.Logger.Debug("cannot write the answer", "route", "metadata", "err", err)
	}
}

// adminStats gives the API its view of the database's blocks; the methods
// that change data are not routed (admin is off).
type adminStats struct{ *tsdb.DB }

// Stats describes the head's cardinality.
func (a adminStats) Stats(label string, limit int) (*tsdb.Stats, error) {
	return a.Head().Stats(label, limit), nil
}

// WALReplayStatus says that replay is over: Open returned.
func (a adminStats) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}

// BlockMetas lists the blocks.
func (a adminStats) BlockMetas() ([]tsdb.BlockMeta, error) { return a.DB.BlockMetas(), nil }

// noTargets says that this Prometheus scrapes and alerts nothing.
type noTargets struct{}

func (noTargets) ScrapePools() []string                       { return []string{} }
func (noTargets) TargetsActive() map[string][]*scrape.Target  { return nil }
func (noTargets) TargetsDropped() map[string][]*scrape.Target { return nil }
func (noTargets) TargetsDroppedCounts() map[string]int        { return nil }
func (noTargets) Alertmanagers() []*url.URL                   { return nil }
func (noTargets) DroppedAlertmanagers() []*url.URL            { return nil }
func (noTargets) RuleGroups() []*rules.Group                  { return nil }
func (noTargets) AlertingRules() []*rules.AlertingRule        { return nil }
func (noTargets) ScrapePoolConfig(string) (*config.ScrapeConfig, error) {
	return &config.ScrapeConfig{}, nil
}
