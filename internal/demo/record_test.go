package demo

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
)

// TestMain lets the test binary be a process of the shop.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "demo-service":
			if err := RunService(context.Background()); err != nil {
				_, _ = os.Stderr.WriteString(err.Error() + "\n")
				os.Exit(1)
			}
			os.Exit(0)
		case "demo-parent":
			parentMain()
		}
	}
	os.Exit(m.Run())
}

// span is a recorded span, flat.
type span struct {
	trace, id, parent, service, instance, version, name string
	kind                                                ptrace.SpanKind
	start, end                                          time.Time
	failed                                              bool
	attrs                                               map[string]string
}

func (s *span) seconds() float64 { return s.end.Sub(s.start).Seconds() }

type logLine struct {
	service, severity, body, trace string
}

type point struct {
	name, instance string
	attrs          map[string]string
	v              float64
	at             time.Time // received
}

// recorder is a real OTLP gRPC receiver that keeps what it gets.
type recorder struct {
	addr string
	mu   sync.Mutex
	span []span
	logs []logLine
	pts  []point
}

type (
	traceServer struct {
		ptraceotlp.UnimplementedGRPCServer
		r *recorder
	}
	logServer struct {
		plogotlp.UnimplementedGRPCServer
		r *recorder
	}
	metricServer struct {
		pmetricotlp.UnimplementedGRPCServer
		r *recorder
	}
)

func record(t testing.TB) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{addr: l.Addr().String()}
	srv := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(srv, &traceServer{r: r})
	plogotlp.RegisterGRPCServer(srv, &logServer{r: r})
	pmetricotlp.RegisterGRPCServer(srv, &metricServer{r: r})
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(srv.Stop)
	return r
}

func text(m pcommon.Map) map[string]string {
	out := map[string]string{}
	for k, v := range m.All() {
		out[k] = v.AsString()
	}
	return out
}

func (s *traceServer) Export(_ context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, rs := range req.Traces().ResourceSpans().All() {
		res := text(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			for _, sp := range ss.Spans().All() {
				s.r.span = append(s.r.span, span{
					trace: sp.TraceID().String(), id: sp.SpanID().String(), parent: sp.ParentSpanID().String(),
					service: res["service.name"], instance: res["service.instance.id"], version: res["service.version"],
					name: sp.Name(), kind: sp.Kind(), start: sp.StartTimestamp().AsTime(), end: sp.EndTimestamp().AsTime(),
					failed: sp.Status().Code() == ptrace.StatusCodeError, attrs: text(sp.Attributes()),
				})
			}
		}
	}
	return ptraceotlp.NewExportResponse(), nil
}

func (s *logServer) Export(_ context.Context, req plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, rl := range req.Logs().ResourceLogs().All() {
		res := text(rl.Resource().Attributes())
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				s.r.logs = append(s.r.logs, logLine{res["service.name"], lr.SeverityText(), lr.Body().AsString(), lr.TraceID().String()})
			}
		}
	}
	return plogotlp.NewExportResponse(), nil
}

func (s *metricServer) Export(_ context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	for _, rm := range req.Metrics().ResourceMetrics().All() {
		res := text(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				s.r.keep(m, res["service.instance.id"])
			}
		}
	}
	return pmetricotlp.NewExportResponse(), nil
}

func (r *recorder) keep(m pmetric.Metric, instance string) {
	add := func(dp pmetric.NumberDataPoint) {
		v := dp.DoubleValue()
		if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
			v = float64(dp.IntValue())
		}
		r.pts = append(r.pts, point{m.Name(), instance, text(dp.Attributes()), v, time.Now()})
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, dp := range m.Gauge().DataPoints().All() {
			add(dp)
		}
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			add(dp)
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			r.pts = append(r.pts, point{m.Name(), instance, text(dp.Attributes()), float64(dp.Count()), time.Now()})
		}
	}
}

// spans returns copies of those that match and began at or after from.
func (r *recorder) spans(from time.Time, match func(*span) bool) []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []span
	for i := range r.span {
		if !r.span[i].start.Before(from) && match(&r.span[i]) {
			out = append(out, r.span[i])
		}
	}
	return out
}

func (r *recorder) lines(match func(*logLine) bool) []logLine {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []logLine
	for i := range r.logs {
		if match(&r.logs[i]) {
			out = append(out, r.logs[i])
		}
	}
	return out
}

// latest is the newest value of a metric of an instance received since from.
func (r *recorder) latest(name, instance string, from time.Time) (float64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.pts) - 1; i >= 0; i-- {
		p := &r.pts[i]
		if p.name == name && p.instance == instance && !p.at.Before(from) {
			return p.v, true
		}
	}
	return 0, false
}

// until waits for a condition; the limit is generous, because the machine may
// be busy, and is no part of what is tested.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	end := time.Now().Add(60 * time.Second)
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// fakeNorn answers what the demo asks of Norn's HTTP API, with incidents that
// the test decides on.
type fakeNorn struct {
	mu        sync.Mutex
	series    string // answer to a query
	incidents []map[string]any
	changes   []map[string]any
}

func (f *fakeNorn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/v1/changes":
		var ch map[string]any
		if err := json.NewDecoder(r.Body).Decode(&ch); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.changes = append(f.changes, ch)
	case strings.HasPrefix(r.URL.Path, "/api/v1/incidents"):
		_ = json.NewEncoder(w).Encode(map[string]any{"incidents": f.incidents})
	case r.URL.Path == "/prometheus/api/v1/query":
		_, _ = w.Write([]byte(f.series))
	default:
		http.NotFound(w, r)
	}
}
