package malformed_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/ingest/alertmanager"
	"github.com/norn-aiops/norn/internal/ingest/elastic"
	"github.com/norn-aiops/norn/internal/ingest/malformed"
	"github.com/norn-aiops/norn/internal/ingest/otlp"
	"github.com/norn-aiops/norn/internal/ingest/remotewrite"
	"github.com/norn-aiops/norn/internal/ingest/syslog"
	"github.com/norn-aiops/norn/internal/ingest/tools"
	"github.com/norn-aiops/norn/internal/ingest/web"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// takes is a sink that takes everything.
type takes struct{}

func (takes) Logs(_ context.Context, r []telemetry.LogRecord) (ingest.Result, error) {
	return ingest.Result{Accepted: len(r)}, nil
}
func (takes) Spans(_ context.Context, r []telemetry.Span) (ingest.Result, error) {
	return ingest.Result{Accepted: len(r)}, nil
}
func (takes) Alerts(_ context.Context, r []telemetry.Alert) (ingest.Result, error) {
	return ingest.Result{Accepted: len(r)}, nil
}
func (takes) Changes(_ context.Context, r []telemetry.Change) (ingest.Result, error) {
	return ingest.Result{Accepted: len(r)}, nil
}

// all starts every receiver that listens or is mounted.
func all(t *testing.T) malformed.Targets {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	var g errgroup.Group
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("the receivers did not end cleanly: %v", err)
		}
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o, err := otlp.New(otlp.Options{GRPCAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Sink: takes{}, Metrics: db})
	must(err)
	must(o.Start(ctx))
	g.Go(func() error { return o.Run(ctx) })
	certs := httptest.NewTLSServer(nil)
	certs.Close()
	s, err := syslog.Listen(syslog.Options{UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", TLSAddr: "127.0.0.1:0", Sink: takes{},
		TLS: &tls.Config{Certificates: certs.TLS.Certificates}})
	must(err)
	g.Go(func() error { return s.Run(ctx) })
	es, err := ingest.Listen(ingest.ServerOptions{Addr: "127.0.0.1:0", Protocol: "elastic", Handler: elastic.New(elastic.Options{Sink: takes{}})})
	must(err)
	g.Go(func() error { return es.Run(ctx) })
	mux := http.NewServeMux()
	mux.Handle("POST /api/v1/write", remotewrite.New(remotewrite.Options{Metrics: db}))
	mux.Handle("POST /api/v2/alerts", alertmanager.New(alertmanager.Options{Sink: takes{}}))
	mux.Handle("POST /api/v1/alerts/", tools.New(tools.Options{Sink: takes{}}))
	mux.Handle("POST /api/v1/", web.New(web.Options{Sink: takes{}, Metrics: db}))
	main, err := ingest.Listen(ingest.ServerOptions{Addr: "127.0.0.1:0", Protocol: "http", Handler: mux})
	must(err)
	g.Go(func() error { return main.Run(ctx) })
	base := "http://" + main.Addr()
	return malformed.Targets{
		OTLPGRPC: o.GRPCAddr(), OTLPHTTP: o.HTTPAddr(), Elastic: es.Addr(), SyslogTCP: s.TCPAddr(), SyslogUDP: s.UDPAddr(), SyslogTLS: s.TLSAddr(),
		RemoteWrite: base + "/api/v1/write", Alerts: base + "/api/v2/alerts", Logs: base + "/api/v1/import/logs",
		Metrics: base + "/api/v1/import/metrics", Changes: base + "/api/v1/changes",
	}
}

func TestEveryReceiverAnswersBrokenRequestsProperly(t *testing.T) {
	const seed = 20260301
	t.Logf("seed %d", seed)
	targets := all(t)
	var g errgroup.Group
	g.SetLimit(8)
	var mu sync.Mutex
	seen := map[string]int{}
	for _, r := range malformed.Requests(seed, 500) {
		g.Go(func() error {
			mu.Lock()
			seen[r.Protocol]++
			mu.Unlock()
			if err := r.Check(t.Context(), targets); err != nil {
				t.Error(err)
			}
			return nil
		})
	}
	_ = g.Wait() // its functions report to t
	if len(seen) != 15 {
		t.Errorf("protocols attacked: %v", seen)
	}
	// Still healthy: good ones are taken.
	for url, body := range map[string]string{
		targets.Logs: `{"msg":"x"}`, targets.Changes: `{"kind":"deploy","entity":"cart"}`, targets.Alerts: `[{"labels":{"alertname":"x"}}]`,
		"http://" + targets.Elastic + "/_bulk": "{\"index\":{}}\n{\"message\":\"x\"}\n", "http://" + targets.OTLPHTTP + "/v1/logs": `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`,
	} {
		resp, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("a good request to %s afterwards: %s %s", url, resp.Status, b)
		}
	}
}

// The checks must be able to fail: a server that answers everything with 200, or
// with 500, is found out.
func TestTheChecksFindABadServer(t *testing.T) {
	for _, code := range []int{200, 500} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(code)
		}))
		found := 0
		for _, r := range malformed.Requests(1, 100) {
			err := r.Check(t.Context(), malformed.Targets{Logs: srv.URL, Changes: srv.URL})
			if err != nil && !errors.Is(err, malformed.ErrNoTarget) {
				found++
			}
		}
		if found < 5 {
			t.Errorf("only %d complaints about a server that always says %d", found, code)
		}
		srv.Close()
	}
}

func TestTheSameSeedGivesTheSameRequests(t *testing.T) {
	a, b := malformed.Requests(7, 200), malformed.Requests(7, 200)
	for i := range a {
		if a[i].Name != b[i].Name {
			t.Fatalf("request %d is %q and %q", i, a[i].Name, b[i].Name)
		}
	}
}
