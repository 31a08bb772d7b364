package api

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/remediate"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options says what a [Server] reads from. Live and the stores are required.
type Options struct {
	Live    Live
	Metrics store.Metrics
	Logs    store.Logs
	Traces  store.Traces
	State   store.State
	Notify  Notifier // who tells people

	Remedies *remediate.Manager

	Console fs.FS            // the built console (web.Dist); nil serves no console
	Extra   []Route          // routes that others mount beside this server, for the document only
	Version string           // of Norn; "dev" when empty
	Token   string           // bearer token; "" asks for none
	Now     func() time.Time // the pipeline's clock; nil is the wall clock
	Log     *slog.Logger     // nil discards
}

// Route documents a route that is served elsewhere.
type Route struct {
	Method  string // GET, POST...
	Path    string // as in OpenAPI: /api/v1/import/{kind}
	Summary string
	Tag     string // "ingest" when empty
}

// Server answers the API and serves the console. It implements http.Handler
// and is meant to be mounted at "/"; more specific patterns of the same
// ServeMux (Prometheus API, ingest) go before it by themselves.
type Server struct {
	live    Live
	metrics store.Metrics
	logs    store.Logs
	traces  store.Traces
	state   store.State
	notify  Notifier

	remedies *remediate.Manager

	version string
	token   string
	now     func() time.Time
	log     *slog.Logger

	mux   *recordingMux
	api   huma.API
	root  http.Handler
	cells cellCache
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{
		live: o.Live, metrics: o.Metrics, logs: o.Logs, traces: o.Traces, state: o.State, remedies: o.Remedies, notify: o.Notify,
		version: o.Version, token: o.Token, now: o.Now, log: o.Log,
		mux: &recordingMux{ServeMux: http.NewServeMux()},
	}
	if s.version == "" {
		s.version = "dev"
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.api = humago.New(s.mux, s.humaConfig())
	s.routes()
	s.document(o.Extra)
	s.mux.HandleFunc("GET /api/openapi.json", s.serveDocument)
	s.mux.HandleFunc("/api/", notFound)
	if o.Console != nil {
		s.mux.Handle("/", consoleHandler(o.Console))
	}
	s.root = s.chain(s.mux)
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.root.ServeHTTP(w, r) }

// OpenAPI returns the document as indented JSON, always the same for the same
// program and Extra routes.
func (s *Server) OpenAPI() ([]byte, error) { return documentJSON(s.api) }

// Protect puts the same token check before a handler that others mount.
func (s *Server) Protect(next http.Handler) http.Handler { return s.requireToken(next) }

// chain wraps the router: recover, security headers, cross-site protection,
// token, compression.
func (s *Server) chain(h http.Handler) http.Handler {
	zip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ExceptContentTypes([]string{
		"text/event-stream", "image/png", "font/woff2", "application/octet-stream"}))
	if err == nil { // wrong options only, which are constants here
		h = zip(h)
	}
	h = s.requireToken(h)
	h = http.NewCrossOriginProtection().Handler(h)
	h = securityHeaders(h)
	return s.recoverPanics(h)
}

// recordingMux remembers the patterns it was given, so that a test can hold
// them against the document.
type recordingMux struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc registers and remembers.
func (m *recordingMux) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, h)
}

// Handle registers and remembers.
func (m *recordingMux) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

func (s *Server) humaConfig() huma.Config {
	reg := huma.NewMapRegistry("#/components/schemas/", schemaName)
	// Numbers of 64 bits do not fit JavaScript's: they travel as text.
	reg.RegisterTypeAlias(reflect.TypeFor[telemetry.SeriesID](), reflect.TypeFor[string]())
	reg.RegisterTypeAlias(reflect.TypeFor[model.Duration](), reflect.TypeFor[string]())
	jsonFormat := huma.Format{Marshal: marshalJSON, Unmarshal: huma.DefaultJSONFormat.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:    "3.1.0",
			Info:       &huma.Info{Title: "Norn", Version: "v1", Description: documentIntro},
			Components: &huma.Components{Schemas: reg},
		},
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat: "application/json",
	}
}

// routes is the list of everything that is served under /api/v1.
func (s *Server) routes() {
	get(s, "status", "status", "What Norn watches, what it refused and what it raised", s.getStatus)
	get(s, "list-incidents", "incidents", "List incidents", s.listIncidents)
	get(s, "list-suppressed", "suppressed", "Incident candidates that the budget of false pages holds back, and why", s.listSuppressed)
	get(s, "list-slos", "slos", "Service level objectives: how they are kept, how fast error budgets go", s.listSLOs)
	get(s, "get-incident", "incidents/{id}", "One incident with causes, evidence and timeline", s.getIncident)
	get(s, "why", "incidents/{id}/why", "Why an anomaly is in the incident", s.getWhy)
	post(s, "acknowledge", "incidents/{id}/acknowledge", "Acknowledge an incident", s.act(Live.Acknowledge))
	post(s, "mitigate", "incidents/{id}/mitigate", "Say that somebody undoes an incident's harm", s.act(Live.Mitigate))
	post(s, "merge", "incidents/{id}/merge", "Merge an incident into another", s.mergeIncident)
	post(s, "split", "incidents/{id}/split", "Split anomalies off an incident into a new one", s.splitIncident)
	post(s, "resolve", "incidents/{id}/resolve", "Resolve an incident by hand", s.act(Live.Resolve))
	post(s, "comment", "incidents/{id}/comment", "Comment on an incident", s.act(needText(Live.Comment)))
	post(s, "mark", "incidents/{id}/mark", "Mark an incident as real or as noise, for backtests", s.markIncident)
	get(s, "list-services", "services", "Health of every service", s.listServices)
	get(s, "get-graph", "graph", "The dependency graph as of a time", s.getGraph)
	get(s, "list-series", "series", "Find watched series", s.listSeries)
	get(s, "get-series", "series/{id}", "One series and how it is judged", s.getSeries)
	get(s, "get-series-data", "series/{id}/data", "Values, expected band and anomalies of a series", s.getSeriesData)
	get(s, "list-alerts", "alerts", "Other tools' alerts, also those that no entity was found for", s.listAlerts)
	get(s, "drilldown", "drilldown", "The combination of labels, log fields or span attributes that a deviation comes from", s.drilldown)
	get(s, "query", "query", "Evaluate PromQL over a range", s.query)
	s.registerLogs()
	get(s, "what-changed", "changed", "What is different within a window: metrics and log patterns, the surest first", s.whatChanged)
	get(s, "list-operations", "operations", "Operations of services by how slow, failing or busy they are", s.listOperations)
	get(s, "forecast", "forecast", "How the results of a PromQL query go on, with intervals", s.forecast)
	get(s, "list-capacity", "capacity", "Things with limits, and when they will reach them, the most urgent first", s.listCapacity)
	get(s, "plan-capacity", "capacity/plan", "A weekly schedule of replicas for a demand", s.planCapacity)
	get(s, "search-traces", "traces", "Search spans", s.searchTraces)
	get(s, "get-trace", "traces/{id}", "All spans of one trace", s.getTrace)
	get(s, "list-changes", "changes", "Deploys, configuration and other changes", s.listChanges)
	get(s, "list-anomalies", "anomalies", "Anomalies of a time range", s.listAnomalies)
	get(s, "whatif", "whatif", "What breaks first, at what load, and what to add, when something happens", s.whatif)
	get(s, "report", "report", "How operations fare: times to detect, acknowledge and repair, trends, where effort pays", s.getReport)
	get(s, "report-page", "report.html", "The report as one page that can be printed and sent", s.getReportPage)
	s.registerRemedies()
	s.registerDetection()
	s.registerBacktests()
	s.registerNotify()
	s.registerEvents()
	s.registerLogin()
}

const apiPrefix = "/api/v1/"

func get[I, O any](s *Server, id, path, summary string, h func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: apiPrefix + path, Summary: summary, Tags: []string{tagOf(path)},
	}, mapErrors(s, h))
}

func post[I, O any](s *Server, id, path, summary string, h func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, huma.Operation{
		OperationID: id, Method: http.MethodPost, Path: apiPrefix + path, Summary: summary, Tags: []string{tagOf(path)},
		MaxBodyBytes: 64 << 10,
	}, mapErrors(s, h))
}

func tagOf(path string) string {
	for i := range path {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return path
}

// body is a response with a JSON body.
type body[T any] struct {
	Body T
}

func ok[T any](v T) *body[T] { return &body[T]{Body: v} }

// sortedCounts turns counters by name into a list, largest first.
func sortedCounts[N int | uint64](m map[string]N) []Count {
	out := make([]Count, 0, len(m))
	for k, v := range m {
		out = append(out, Count{Name: k, Count: uint64(v)})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Count != out[j].Count {
			return out[i].Count > out[j].Count
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// Count is a counter with a name.
type Count struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// cellCache keeps the numbers of the health grid for a moment, so that many
// open consoles cost one query.
type cellCache struct {
	mu   sync.Mutex
	at   time.Time
	rows []Service
}

// schemaName keeps the stream's Event apart from a timeline's (ops.Event).
func schemaName(t reflect.Type, hint string) string {
	if t == reflect.TypeFor[Event]() {
		return "StreamEvent"
	}
	of := t
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if strings.HasSuffix(of.PkgPath(), "/internal/simulate") {
		return "WhatIf" + of.Name()
	}
	if strings.HasSuffix(of.PkgPath(), "/internal/report") && of.Name() != "Report" {
		return "Report" + of.Name()
	}
	if strings.HasSuffix(of.PkgPath(), "/internal/backtest") {
		return "Backtest" + of.Name()
	}
	return huma.DefaultSchemaNamer(t, hint)
}
