package tsdb_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/storetest"
	"github.com/norn-aiops/norn/internal/store/tsdb"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func openMetrics(t *testing.T, dir string) store.Metrics {
	t.Helper()
	return open(t, dir, tsdb.Options{OutOfOrderWindow: 30 * time.Minute})
}

func open(t *testing.T, dir string, o tsdb.Options) *tsdb.DB {
	t.Helper()
	d, err := tsdb.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMetrics(t *testing.T) { storetest.RunMetrics(t, openMetrics) }

func TestMetricsCrash(t *testing.T) { storetest.RunMetricsCrash(t, openMetrics) }

func add(t *testing.T, app storage.AppenderV2, ref storage.SeriesRef, ls labels.Labels, at int64, v float64, o storage.AOptions) storage.SeriesRef {
	t.Helper()
	ref, err := app.Append(ref, ls, 0, at, v, nil, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func commit(t *testing.T, app storage.AppenderV2) {
	t.Helper()
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// What is committed is seen once, with its labels even when the sender gave
// only a ref, with type and unit, and after it can be read.
func TestTapSeesWhatWasCommitted(t *testing.T) {
	var d *tsdb.DB
	var got []store.Committed
	var stale []int64
	d = open(t, t.TempDir(), tsdb.Options{
		OnCommit: func(b []store.Committed) { got = append(got, b...) },
		OnStale:  func(_ storage.SeriesRef, ls labels.Labels, at int64) { stale = append(stale, at) },
	})
	defer d.Close()
	ls := labels.FromStrings("__name__", "http_requests_total", "job", "a")
	now := time.Now().UnixMilli()
	o := storage.AOptions{Metadata: metadata.Metadata{Type: model.MetricTypeCounter, Unit: "requests", Help: "h"}}

	app := d.AppenderV2(t.Context())
	ref := add(t, app, 0, ls, now, 1, o)
	if len(got) != 0 {
		t.Fatal("the tap spoke before Commit")
	}
	commit(t, app)
	if err := app.Rollback(); err == nil && len(got) != 1 {
		t.Errorf("a late Rollback changed what was committed: %v", got)
	}
	app = d.AppenderV2(t.Context())
	add(t, app, ref, labels.EmptyLabels(), now+1, 2, storage.AOptions{})
	add(t, app, ref, labels.EmptyLabels(), now+2, math.Float64frombits(value.StaleNaN), storage.AOptions{})
	add(t, app, ref, labels.EmptyLabels(), now+3, math.NaN(), storage.AOptions{})
	commit(t, app)
	app = d.AppenderV2(t.Context())
	add(t, app, ref, ls, now+4, 5, storage.AOptions{})
	if err := app.Rollback(); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("the tap saw %d samples, want 3: %v", len(got), got)
	}
	for i, at := range []int64{now, now + 1, now + 3} {
		if c := got[i]; c.Ref != ref || !labels.Equal(c.Labels, ls) || c.T != at {
			t.Errorf("sample %d: %+v", i, c)
		}
	}
	if got[0].Type != "counter" || got[0].Unit != "requests" || got[1].Type != "" {
		t.Errorf("type and unit: %+v", got)
	}
	if len(stale) != 1 || stale[0] != now+2 {
		t.Errorf("stale markers at %v, want one at %d", stale, now+2)
	}
	if s := d.Stats(); s.Samples != 4 || s.Stale != 1 || s.Series != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestTapGivesNativeHistograms(t *testing.T) {
	var got []store.Committed
	d := open(t, t.TempDir(), tsdb.Options{OnCommit: func(b []store.Committed) { got = append(got, b...) }})
	defer d.Close()
	ls := labels.FromStrings("__name__", "latency_seconds")
	now := time.Now().UnixMilli()
	// Schema 0: bucket 0 is (0.5, 1], bucket 1 is (1, 2].
	h := func(a, b int64) *histogram.Histogram {
		return &histogram.Histogram{Count: uint64(a + b), Sum: float64(a + 2*b), ZeroThreshold: 0.001,
			PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{a, b - a}}
	}
	app := d.AppenderV2(t.Context())
	hs := []*histogram.Histogram{h(10, 0), h(10, 40), h(1, 1)}
	for i, x := range hs {
		if _, err := app.Append(0, ls, 0, now+int64(i), 0, x, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
		x.PositiveBuckets[0] = 999 // the sender reuses its memory
	}
	if _, err := app.Append(0, ls, 0, now+9, 0, nil, &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}, storage.AOptions{}); err != nil {
		t.Fatal(err)
	}
	commit(t, app)
	if len(got) != 3 {
		t.Fatalf("the tap saw %d samples, want 3", len(got))
	}
	if q := got[0].H.Quantile(1); q > 1 || q <= 0.5 {
		t.Errorf("the largest of ten in (0.5, 1] is %g", q)
	}
	since := got[1].H.Sub(got[0].H)
	if since == nil || since.Count() != 40 || since.Sum() != 80 {
		t.Fatalf("40 observations of 2 came in between: %v", since)
	}
	if q := since.Quantile(0.5); q <= 1 || q > 2 {
		t.Errorf("their median is %g, want in (1, 2]", q)
	}
	if got[2].H.Sub(got[1].H) != nil {
		t.Error("a reset was not told")
	}
	if got[1].H.Count() != 50 {
		t.Error("Sub changed its operand")
	}
}

// A refused sample names the limit, is the sender's error and leaves the rest.
func TestLimits(t *testing.T) {
	seen := 0
	o := tsdb.Options{MaxLabels: 5, MaxLabelBytes: 100, MaxSeries: 3, MaxFuture: time.Minute, OnCommit: func(b []store.Committed) { seen += len(b) }}
	dir := t.TempDir()
	d := open(t, dir, o)
	now := time.Now().UnixMilli()
	ok := labels.FromStrings("__name__", "ok")
	for _, c := range []struct {
		reason string
		ls     labels.Labels
		at     int64
		word   string
	}{
		{tsdb.ReasonFarFuture, ok, now + 3600_000, "future"},
		{tsdb.ReasonTooManyLabels, labels.FromStrings("__name__", "m", "a", "1", "b", "1", "c", "1", "d", "1", "e", "1"), now, "6 labels"},
		{tsdb.ReasonLabelTooLong, labels.FromStrings("__name__", "m", "long", strings.Repeat("x", 101)), now, "\"long\""},
	} {
		app := d.AppenderV2(t.Context())
		add(t, app, 0, ok, now+int64(seen), 1, storage.AOptions{})
		_, err := app.Append(0, c.ls, 0, c.at, 1, nil, nil, storage.AOptions{})
		var refused *tsdb.RefusedError
		if !errors.As(err, &refused) || refused.Reason != c.reason || !errors.Is(err, storage.ErrOutOfBounds) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: got %v", c.reason, err)
		}
		commit(t, app)
		if d.Stats().Refused[c.reason] != 1 {
			t.Errorf("%s was not counted: %v", c.reason, d.Stats().Refused)
		}
	}
	app := d.AppenderV2(t.Context())
	refusals := 0
	for _, n := range []string{"s1", "s2", "s3", "s4"} {
		if _, err := app.Append(0, labels.FromStrings("__name__", n), 0, now, 1, nil, nil, storage.AOptions{}); err != nil {
			refusals++
		}
	}
	commit(t, app)
	if refusals != 2 || seen != 3+2 {
		t.Errorf("with one of three series there, %d of four new ones were refused and %d samples seen", refusals, seen)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// Tighter limits lose nothing that was accepted.
	o.MaxSeries, o.MaxFuture = 1, -1
	d = open(t, dir, o)
	defer d.Close()
	if n := d.Stats().Series; n != 3 {
		t.Errorf("%d series after reopening, want 3", n)
	}
	app = d.AppenderV2(t.Context())
	add(t, app, 0, ok, now+365*24*3600_000, 1, storage.AOptions{}) // the check is off
	commit(t, app)
}

func TestDeletedSeriesAreTold(t *testing.T) {
	var mu sync.Mutex
	gone := map[storage.SeriesRef]bool{}
	d := open(t, t.TempDir(), tsdb.Options{BlockDuration: time.Hour, MaxFuture: -1, OnDelete: func(r storage.SeriesRef) {
		mu.Lock()
		gone[r] = true
		mu.Unlock()
	}})
	defer d.Close()
	base := int64(1_700_000_000_000)
	app := d.AppenderV2(t.Context())
	short := add(t, app, 0, labels.FromStrings("__name__", "short"), base, 1, storage.AOptions{})
	long := storage.SeriesRef(0)
	for i := range int64(300) {
		long = add(t, app, long, labels.FromStrings("__name__", "long"), base+i*60_000, 1, storage.AOptions{})
	}
	commit(t, app)
	if err := d.Compact(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !gone[short] || gone[long] {
		t.Errorf("gone: %v, want %d and not %d", gone, short, long)
	}
	got, err := d.Select(t.Context(), base, base, labels.MustNewMatcher(labels.MatchEqual, "__name__", "short"))
	if err != nil || len(got) != 1 {
		t.Errorf("the block has the series: %v, %v", got, err)
	}
}

func TestSelectAllCatchesUp(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, tsdb.Options{})
	now := time.Now().UnixMilli()
	app := d.AppenderV2(t.Context())
	for s := range 50 {
		for i := range int64(20) {
			add(t, app, 0, labels.FromStrings("__name__", "x", "s", string(rune('A'+s))), now+i, float64(i), storage.AOptions{})
		}
	}
	commit(t, app)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	calls := 0
	d = open(t, dir, tsdb.Options{OnCommit: func([]store.Committed) { calls++ }})
	defer d.Close()
	series, samples := 0, 0
	err := d.SelectAll(t.Context(), now+10, now+1000, func(ls labels.Labels, ss []telemetry.Sample) {
		series++
		samples += len(ss)
		if ss[0].T != now+10 || ls.Get("__name__") != "x" {
			t.Errorf("%s begins at %d", ls, ss[0].T-now)
		}
	})
	if err != nil || series != 50 || samples != 500 {
		t.Errorf("%d series, %d samples, %v; want 50, 500", series, samples, err)
	}
	if calls != 0 {
		t.Error("the tap spoke of replayed samples")
	}
}

// What Grafana's data source for Prometheus asks for.
func TestPrometheusAPI(t *testing.T) {
	d := open(t, t.TempDir(), tsdb.Options{})
	defer d.Close()
	now := time.Now().UnixMilli()
	ls := labels.FromStrings("__name__", "up", "job", "cart")
	app := d.AppenderV2(t.Context())
	ref := add(t, app, 0, ls, now, 1, storage.AOptions{Metadata: metadata.Metadata{Type: model.MetricTypeGauge, Help: "is it up"}})
	ex := []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "abc"), Value: 1, Ts: now, HasTs: true}}
	if _, err := app.(storage.ExemplarAppenderV2).AppendExemplars(ref, ls, ex); err != nil {
		t.Fatal(err)
	}
	commit(t, app)
	mux := http.NewServeMux()
	mux.Handle("/prometheus/", d.PrometheusAPI("/prometheus", "1.2.3"))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	sec := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	rng := url.Values{"query": {"up"}, "start": {sec(now - 60_000)}, "end": {sec(now + 60_000)}, "step": {"15"}}
	for _, c := range []struct {
		method, path string
		form         url.Values
		want         string
	}{
		{"GET", "query", url.Values{"query": {"up"}}, `"job":"cart"`},
		{"POST", "query", url.Values{"query": {"1+1"}}, `"2"`},
		{"GET", "query_range", rng, `"job":"cart"`},
		{"POST", "query_range", rng, `"job":"cart"`},
		{"GET", "labels", nil, `"job"`},
		{"POST", "labels", nil, `"job"`},
		{"GET", "label/job/values", nil, `"cart"`},
		{"GET", "series", url.Values{"match[]": {"up"}}, `"cart"`},
		{"GET", "metadata", nil, `"is it up"`},
		{"GET", "metadata", url.Values{"metric": {"none"}}, `"data":{}`},
		{"GET", "status/buildinfo", nil, `"1.2.3"`},
		{"GET", "status/tsdb", nil, `"numSeries":1`},
		{"GET", "rules", nil, `"groups":[]`},
		{"GET", "alerts", nil, `"alerts":[]`},
		{"GET", "targets", nil, `"activeTargets"`},
		{"GET", "query_exemplars", rng, `"abc"`},
	} {
		var resp *http.Response
		var err error
		u := srv.URL + "/prometheus/api/v1/" + c.path
		if c.method == "POST" {
			resp, err = http.PostForm(u, c.form)
		} else {
			var req *http.Request
			if req, err = http.NewRequest("GET", u+"?"+c.form.Encode(), nil); err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", "http://elsewhere.example")
			resp, err = http.DefaultClient.Do(req)
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !json.Valid(body) || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: %d %.300s, want 200 with %s", c.method, c.path, resp.StatusCode, body, c.want)
		}
		if resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: another site may read the answer", c.path)
		}
	}
	for path, want := range map[string]int{"query?query=((": 400, "write": 405, "admin/tsdb/snapshot": 405, "nosuch": 404} {
		resp, err := http.Get(srv.URL + "/prometheus/api/v1/" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// A warm store allocates nothing for a sample.
func TestTapAllocatesNothingPerSample(t *testing.T) {
	seen := 0
	d := open(t, t.TempDir(), tsdb.Options{OnCommit: func(b []store.Committed) { seen += len(b) }})
	defer d.Close()
	plain := open(t, t.TempDir(), tsdb.Options{})
	defer plain.Close()
	run := func(d *tsdb.DB) float64 {
		now := time.Now().UnixMilli()
		ls := labels.FromStrings("__name__", "x")
		var ref storage.SeriesRef
		return testing.AllocsPerRun(20, func() {
			app := d.AppenderV2(t.Context())
			for range 1000 {
				now++
				ref = add(t, app, ref, ls, now, 1, storage.AOptions{})
			}
			commit(t, app)
		})
	}
	without, with := run(plain), run(d)
	t.Logf("allocations per commit of 1000 samples: %g without a tap's reader, %g with", without, with)
	if with > 200 {
		t.Errorf("%g allocations for 1000 samples", with)
	}
	if seen != 21_000 {
		t.Errorf("the tap saw %d samples, want 21,000", seen)
	}
}

func TestMetadataSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	db, err := tsdb.Open(dir, tsdb.Options{MaxFuture: -1})
	if err != nil {
		t.Fatal(err)
	}
	app := db.AppenderV2(t.Context())
	opts := storage.AOptions{Metadata: metadata.Metadata{Type: model.MetricTypeCounter, Unit: "By"}}
	if _, err := app.Append(0, labels.FromStrings("__name__", "sent"), 0, 1000, 1, nil, nil, opts); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "metadata.jsonl")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(raw, `{"name":"torn","ty`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err = tsdb.Open(dir, tsdb.Options{MaxFuture: -1}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if typ, unit := db.Metadata("sent"); typ != "counter" || unit != "By" {
		t.Errorf("after the restart the metric is a %q in %q, want a counter in By", typ, unit)
	}
	if typ, _ := db.Metadata("torn"); typ != "" {
		t.Errorf("a torn line became metadata: %q", typ)
	}
}
