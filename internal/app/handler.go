package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ingest/alertmanager"
	"github.com/norn-aiops/norn/internal/ingest/past"
	"github.com/norn-aiops/norn/internal/ingest/remotewrite"
	"github.com/norn-aiops/norn/internal/ingest/tools"
	ingestweb "github.com/norn-aiops/norn/internal/ingest/web"
	"github.com/norn-aiops/norn/web"
)

// routes are served beside the API's own; they are named here so that they
// are in the OpenAPI document too.
func routes() []api.Route {
	return []api.Route{
		{Method: http.MethodPost, Path: "/api/v1/write", Summary: "Prometheus remote write 1.0 and 2.0"},
		{Method: http.MethodPost, Path: "/api/v2/alerts", Summary: "Alerts as Alertmanager's API v2 takes them"},
		{Method: http.MethodGet, Path: "/api/v2/status", Summary: "Status as Alertmanager's API v2 gives it"},
		{Method: http.MethodPost, Path: "/api/v1/alerts/{tool}", Summary: "Alerts by the webhooks of grafana, pagerduty (Events API v2), zabbix, nagios (and Icinga)"},
		{Method: http.MethodPost, Path: "/v2/enqueue", Summary: "Events as PagerDuty's Events API v2 takes them"},
		{Method: http.MethodGet, Path: "/api/v2/silences", Summary: "Silences as Alertmanager's API v2 lists them; ?filter= takes matchers", Tag: "notify"},
		{Method: http.MethodPost, Path: "/api/v2/silences", Summary: "Add or change a silence, as Alertmanager's API v2 does", Tag: "notify"},
		{Method: http.MethodGet, Path: "/api/v2/silence/{id}", Summary: "One silence", Tag: "notify"},
		{Method: http.MethodDelete, Path: "/api/v2/silence/{id}", Summary: "Expire a silence", Tag: "notify"},
		{Method: http.MethodPost, Path: "/api/v1/changes", Summary: "Deploys, configuration changes, scaling, flags"},
		{Method: http.MethodPost, Path: "/api/v1/import/logs", Summary: "Log records as JSON lines; with ?history=true they are the past: no limit of age but the store's, and no alarm"},
		{Method: http.MethodPost, Path: "/api/v1/import/metrics", Summary: "Metrics as CSV"},
		{Method: http.MethodPost, Path: "/api/v1/import/history", Summary: "Metrics of the past, as Prometheus' remote read streams them: models learn from them and raise nothing"},
		{Method: http.MethodGet, Path: "/prometheus/api/v1/{path}", Summary: "Prometheus' HTTP API, for Grafana and other readers", Tag: "prometheus"},
		{Method: http.MethodGet, Path: "/metrics", Summary: "Norn's own metrics", Tag: "status"},
		{Method: http.MethodGet, Path: "/-/healthy", Summary: "200 while the process is up", Tag: "status"},
		{Method: http.MethodGet, Path: "/-/ready", Summary: "200 when telemetry is taken in", Tag: "status"},
	}
}

// handler is everything that is served on the main address.
func (a *App) handler(ctx context.Context) (http.Handler, error) {
	st := a.stores.contracts()
	a.tests = newBacktests(a.opts.Config, a.pipe, a.stores.metrics, st.State)
	a.parts = append(a.parts, part{name: "backtests", run: a.tests.run})
	seen := newOperators()
	hands, err := a.remedies(seen)
	if err != nil {
		return nil, err
	}
	a.parts = append(a.parts, part{name: "remedies", run: hands.Run})
	var srv *api.Server
	if err := a.bindNotify(ctx, func(ctx context.Context, id string) ([]byte, error) { return srv.Chart(ctx, id) }); err != nil {
		return nil, err
	}
	srv = api.New(api.Options{
		Live:    &live{backtests: a.tests, pipe: a.pipe, registry: a.reg, log: a.log, started: time.Now(), plugins: a.plugins},
		Metrics: st.Metrics, Logs: st.Logs, Traces: st.Traces, State: st.State,
		Notify:   notifier{a.outbox, a.opts.Config.Notify.Receivers},
		Remedies: hands, Console: web.Dist(), Extra: routes(), Version: a.opts.Version,
		Token: a.opts.Config.Server.Token.Reveal(), Log: a.log,
	})
	mux := http.NewServeMux()
	mux.Handle("/", seen.watch(srv))
	protect := func(pattern string, h http.Handler) { mux.Handle(pattern, srv.Protect(h)) }
	protect("POST /api/v1/write", remotewrite.New(remotewrite.Options{
		Metrics: a.stores.metrics, Limits: a.limits(), Counters: a.counters, Logger: a.log,
	}))
	am := alertmanager.New(alertmanager.Options{Sink: a.pipe, Limits: a.limits(), Counters: a.counters, Logger: a.log})
	firing, err := st.State.Alerts(ctx, time.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("cannot load the alerts that fire: %w", err)
	}
	am.Watch(firing)
	a.parts = append(a.parts, part{name: "alertmanager", run: am.Run})
	protect("/api/v2/", am)
	others := tools.New(tools.Options{Sink: a.pipe, Limits: a.limits(), Counters: a.counters, Logger: a.log})
	others.Watch(firing)
	protect("POST /api/v1/alerts/", others)
	protect("POST /v2/enqueue", others)
	silences := a.outbox.Handler()
	protect("/api/v2/silences", silences)
	protect("/api/v2/silence/", silences)
	in := ingestweb.New(ingestweb.Options{
		Sink: a.pipe, Metrics: a.stores.metrics, Limits: a.limits(), Counters: a.counters, Logger: a.log,
	})
	protect("POST /api/v1/import/", in)
	protect("POST /api/v1/changes", in)
	protect("POST /api/v1/import/history", past.NewHandler(past.HandlerOptions{Begin: a.beginImport, Counters: a.counters, Logger: a.log}))
	protect("/prometheus/", a.stores.metrics.PrometheusAPI("/prometheus", a.opts.Version))
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{}))
	well := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Norn is up.\n")) }
	mux.HandleFunc("GET /-/healthy", well)
	mux.HandleFunc("GET /-/ready", well)
	return mux, nil
}
