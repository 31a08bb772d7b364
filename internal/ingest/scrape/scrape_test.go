package scrape

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/norn-aiops/norn/internal/ingest"
)

// target serves one metric in Prometheus' text format and asks for a password
// when one is given.
func target(t *testing.T, name, password string) string {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pw, _ := r.BasicAuth(); pw != password {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(w, "# TYPE %s counter\n%s{path=\"/\"} %d\n", name, name, n.Add(1))
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// await polls the store until all series of a name that end in wanted label
// values are there; the test's own deadline ends it.
func await(t *testing.T, db *tsdb.DB, name string) labels.Labels {
	t.Helper()
	for t.Context().Err() == nil {
		q, err := db.Querier(0, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		ss := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", name))
		if ss.Next() {
			ls := ss.At().Labels()
			q.Close()
			return ls
		}
		q.Close()
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s was never scraped", name)
	return labels.EmptyLabels()
}

func TestStaticFileAndHTTPDiscoveryAllFindTheirTargets(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	file := filepath.Join(t.TempDir(), "targets.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `[{"targets":[%q],"labels":{"team":"blue"}}]`, target(t, "from_file_total", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"targets":[%q],"labels":{"team":"red"}}]`, target(t, "from_http_total", ""))
	}))
	defer web.Close()
	reg := prometheus.NewRegistry()
	counters, err := ingest.NewCounters(reg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Metrics: db, Counters: counters, Registry: reg, Reload: 50 * time.Millisecond, Jobs: []Job{
		{JobName: "static", ScrapeInterval: 100 * time.Millisecond, BasicAuth: &BasicAuth{"norn", "s3cret"},
			StaticConfigs: []StaticConfig{{Targets: []string{target(t, "from_static_total", "s3cret")}, Labels: map[string]string{"team": "green"}}}},
		{JobName: "file", ScrapeInterval: 100 * time.Millisecond, FileSDConfigs: []FileSDConfig{{Files: []string{file}}}},
		{JobName: "http", ScrapeInterval: 100 * time.Millisecond, HTTPSDConfigs: []HTTPSDConfig{{URL: web.URL}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for name, team := range map[string]string{"from_static_total": "green", "from_file_total": "blue", "from_http_total": "red"} {
		if ls := await(t, db, name); ls.Get("team") != team || ls.Get("instance") == "" {
			t.Errorf("%s arrived as %s", name, ls)
		}
	}
	for _, tg := range s.Targets() {
		if !tg.Healthy {
			t.Errorf("target %+v is not healthy", tg)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the scraper did not end cleanly: %v", err)
	}
	if n, err := testutil.GatherAndCount(reg, "norn_ingest_items_total"); err != nil || n != 1 {
		t.Errorf("%d counters, %v; want the accepted items alone", n, err)
	}
}

func TestATargetThatFailsIsDownAndDoesNotHurtOthers(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(Options{Metrics: db, Reload: 50 * time.Millisecond, Jobs: []Job{
		{JobName: "bad", ScrapeInterval: 100 * time.Millisecond, StaticConfigs: []StaticConfig{{Targets: []string{"127.0.0.1:1"}}}},
		{JobName: "good", ScrapeInterval: 100 * time.Millisecond, StaticConfigs: []StaticConfig{{Targets: []string{target(t, "fine_total", "")}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	await(t, db, "fine_total")
	for up := false; !up; { // the failed target writes up 0
		q, _ := db.Querier(0, math.MaxInt64)
		ss := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "up"), labels.MustNewMatcher(labels.MatchEqual, "job", "bad"))
		if ss.Next() {
			it := ss.At().Iterator(nil)
			it.Next()
			if _, v := it.At(); v != 0 {
				t.Errorf("up of a dead target is %v", v)
			}
			up = true
		}
		q.Close()
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBadJobsAreNamed(t *testing.T) {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for want, jobs := range map[string][]Job{
		"lonely":   {{JobName: "lonely"}},
		"job_name": {{StaticConfigs: []StaticConfig{{Targets: []string{"a:1"}}}}},
		`"twice"`:  {{JobName: "twice", StaticConfigs: []StaticConfig{{Targets: []string{"a:1"}}}}, {JobName: "twice", StaticConfigs: []StaticConfig{{Targets: []string{"a:1"}}}}},
		"gopher":   {{JobName: "x", Scheme: "gopher", StaticConfigs: []StaticConfig{{Targets: []string{"a:1"}}}}},
	} {
		if _, err := New(Options{Metrics: db, Jobs: jobs}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("jobs %+v gave %v, want an error with %s", jobs, err, want)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", BasicAuth{"u", "s3cret"}, BasicAuth{"u", "s3cret"}, BasicAuth{"u", "s3cret"}); strings.Contains(got, "s3cret") {
		t.Errorf("the password is printed: %s", got)
	}
}
