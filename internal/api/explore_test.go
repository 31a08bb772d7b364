package api_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Pages give every line once and in order, in both directions.
func TestPagesOfLogLinesJoinWithoutGapsOrRepeats(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	whole := read[api.LogList](t, srv, "/api/v1/logs?from=-3h&limit=2000")
	for _, order := range []string{"newest", "oldest"} {
		var got []api.LogLine
		after := ""
		for pages := 0; ; pages++ {
			p := read[api.LogList](t, srv, "/api/v1/logs?from=-3h&limit=97&order="+order+"&after="+after)
			got = append(got, p.Lines...)
			if after = p.Next; after == "" || pages > 50 {
				break
			}
		}
		if len(got) != len(whole.Lines) || len(got) != 1020 {
			t.Fatalf("%s: %d lines by pages, %d at once, want 1020", order, len(got), len(whole.Lines))
		}
		for i := range got {
			want := whole.Lines[i]
			if order == "oldest" {
				want = whole.Lines[len(whole.Lines)-1-i]
			}
			if got[i].ID == "" || got[i].ID != want.ID {
				t.Fatalf("%s: line %d is %s, want %s", order, i, got[i].ID, want.ID)
			}
		}
	}
	if a := ask(t, srv, "GET", "/api/v1/logs?after=nonsense", ""); a.code != 400 || !strings.Contains(a.body, "nonsense") {
		t.Errorf("a made-up id: %d %s", a.code, a.body)
	}
}

func TestALineStandsBetweenItsNeighboursOfTheSameStream(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	orders := read[api.LogList](t, srv, "/api/v1/logs?from=-3h&limit=2000&order=oldest&query="+escape("service:=orders")).Lines
	mid := orders[100]
	c := read[api.LogContext](t, srv, "/api/v1/logs/context?before=3&after=4&id="+mid.ID)
	if len(c.Lines) != 8 || c.Index != 3 {
		t.Fatalf("%d lines, the line itself at %d; want 8 and 3", len(c.Lines), c.Index)
	}
	for i, l := range c.Lines {
		if l.ID != orders[97+i].ID {
			t.Errorf("neighbour %d is %s %q, want %s", i-3, l.ID, l.Message, orders[97+i].ID)
		}
	}
	first := read[api.LogContext](t, srv, "/api/v1/logs/context?before=3&after=0&id="+orders[0].ID)
	if len(first.Lines) != 1 || first.Index != 0 {
		t.Errorf("before the first stand %d lines", len(first.Lines)-1)
	}
	if a := ask(t, srv, "GET", "/api/v1/logs/context?id=1.999999", ""); a.code != 404 {
		t.Errorf("a line that does not exist: %d %s", a.code, a.body)
	}
}

func TestFacetsAndHistogramCountTheSameLines(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	all := read[api.FacetList](t, srv, "/api/v1/logs/facets?from=-3h")
	if len(all.Facets) < 4 || all.Facets[0].Field != "severity" || all.Facets[1].Field != "service" {
		t.Fatalf("facets %+v", all.Facets)
	}
	bySeverity := map[string]uint64{}
	total := uint64(0)
	for _, v := range all.Facets[0].Values {
		bySeverity[v.Value] = v.Count
		total += v.Count
	}
	if total != 1020 || bySeverity["error"] != 120 {
		t.Errorf("%d lines, %d errors by facets; want 1020 and 120", total, bySeverity["error"])
	}
	h := read[api.LogHistogram](t, srv, "/api/v1/logs/histogram?from=-3h")
	if h.Total != 1020 || h.Groups[0].Value != "error" || h.Groups[0].Total != 120 {
		t.Errorf("histogram of %d lines, first %s with %d", h.Total, h.Groups[0].Value, h.Groups[0].Total)
	}
	for _, g := range h.Groups {
		n := uint64(0)
		for _, c := range g.Counts {
			n += c
		}
		if len(g.Counts) != len(h.T) || n != g.Total || g.Total != bySeverity[g.Value] {
			t.Errorf("%s: %d columns of %d, %d lines, total %d, facet %d", g.Value, len(g.Counts), len(h.T), n, g.Total, bySeverity[g.Value])
		}
	}
	one := read[api.FacetList](t, srv, "/api/v1/logs/facets?from=-3h&field=service&limit=2&query="+escape("severity:=error"))
	if len(one.Facets) != 1 || len(one.Facets[0].Values) != 1 || one.Facets[0].Values[0] != (api.FacetValue{Value: "orders", Count: 120}) {
		t.Errorf("services with errors: %+v", one.Facets)
	}
	whole := read[api.FacetList](t, srv, "/api/v1/logs/facets?field=service&from=-3h&query=")
	lines := uint64(0)
	for _, v := range whole.Facets[0].Values {
		lines += v.Count
	}
	if lines != 1020 || len(whole.Facets[0].Values) != 4 {
		t.Errorf("one field without a query: %+v", whole.Facets)
	}
	many := read[api.LogHistogram](t, srv, "/api/v1/logs/histogram?from=-3h&by=trace_id&points=2")
	if len(many.Groups) != 12 || many.Groups[11].Value != "other" || many.Total != 1020 {
		t.Errorf("%d groups, last %q", len(many.Groups), many.Groups[len(many.Groups)-1].Value)
	}
	if a := ask(t, srv, "GET", "/api/v1/logs/facets?query="+escape("((("), ""); a.code != 400 {
		t.Errorf("a broken query: %d", a.code)
	}
}

func TestAnExportHoldsEveryLine(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	a := ask(t, srv, "GET", "/api/v1/logs/export?from=-3h", "")
	seen := map[string]bool{}
	for sc := bufio.NewScanner(strings.NewReader(a.body)); sc.Scan(); {
		var l api.LogLine
		must(t, json.Unmarshal(sc.Bytes(), &l))
		seen[l.ID] = true
	}
	if a.code != 200 || len(seen) != 1020 {
		t.Errorf("%d: %d lines, want 1020", a.code, len(seen))
	}
	c := ask(t, srv, "GET", "/api/v1/logs/export?from=-3h&format=csv&fields=http.route&limit=10&query="+escape("severity:=error"), "")
	rows, err := csv.NewReader(strings.NewReader(c.body)).ReadAll()
	must(t, err)
	if len(rows) != 11 || rows[0][8] != "http.route" || rows[1][8] != "/api/items/{id}" || rows[1][4] != "error" {
		t.Errorf("csv: %d rows, %q", len(rows), rows[:min(2, len(rows))])
	}
	if counted := ask(t, srv, "GET", "/api/v1/logs/export?from=-3h&query="+escape("* | stats by (service) count() n"), ""); strings.Count(counted.body, "\n") != 4 {
		t.Errorf("an export of counts: %s", counted.body)
	}
	if bad := ask(t, srv, "GET", "/api/v1/logs/export?query="+escape("((("), ""); bad.code != 400 {
		t.Errorf("a broken query: %d %s", bad.code, bad.body)
	}
}

// A line that arrives is told to who follows, once; others are not.
func TestWhoFollowsSeesMatchingLinesOnce(t *testing.T) {
	s := openSample(t, 0, false, time.Now())
	web := httptest.NewServer(api.New(s.options()))
	defer web.Close()
	resp, err := http.Get(web.URL + "/api/v1/logs/tail?query=" + escape("severity:=error"))
	must(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() (b api.LogTail) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				must(t, json.Unmarshal([]byte(data), &b))
				return b
			}
		}
		t.Fatal("the stream ended")
		return b
	}
	if hello := next(); len(hello.Lines) != 0 || hello.Error != "" {
		t.Fatalf("first event %+v", hello)
	}
	rec := func(body string, sev telemetry.Severity) telemetry.LogRecord {
		return telemetry.LogRecord{Time: time.Now().UnixNano(), Severity: sev, Body: body, Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}}
	}
	_, err = s.logs.AppendLogs(t.Context(), []telemetry.LogRecord{rec("one", telemetry.SeverityError), rec("no", telemetry.SeverityInfo), rec("two", telemetry.SeverityError)})
	must(t, err)
	var got []string
	for len(got) < 2 {
		for _, l := range next().Lines {
			got = append(got, l.Message)
		}
	}
	_, err = s.logs.AppendLogs(t.Context(), []telemetry.LogRecord{rec("three", telemetry.SeverityError)})
	must(t, err)
	for len(got) < 3 {
		for _, l := range next().Lines {
			got = append(got, l.Message)
		}
	}
	if strings.Join(got, " ") != "one two three" {
		t.Errorf("followed %q", got)
	}
	bad, err := http.Get(web.URL + "/api/v1/logs/tail?query=" + escape("* | limit 3"))
	must(t, err)
	defer bad.Body.Close()
	lines = bufio.NewScanner(bad.Body)
	next()
	if b := next(); !strings.Contains(b.Error, "pipes") {
		t.Errorf("pipes in a tail: %+v", b)
	}
}

// The fault is found by the window alone, without naming what to look at.
func TestWhatChangedFindsTheFaultInMetricsAndLogs(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	got := read[api.Changed](t, srv, "/api/v1/changed?from=-10m&against_from=-2h&against_to=-20m")
	var metric, pattern bool
	for i, f := range got.Findings {
		if i > 0 && f.Score > got.Findings[i-1].Score {
			t.Errorf("finding %d is surer than the one before", i)
		}
		metric = metric || f.Kind == "metric" && f.Entity.Name == "orders-db" && f.Signal == telemetry.SignalLatency && f.Direction == telemetry.UpBad && f.AnomalyID != ""
		pattern = pattern || f.Kind == "pattern" && f.Pattern == "5" && f.Bad && strings.Contains(f.Query, "77")
		if f.Entity.Name == "mailer" {
			t.Errorf("what is well is named: %+v", f)
		}
	}
	if !metric || !pattern || got.Series == 0 || got.Patterns == 0 {
		t.Errorf("latency of orders-db %v, pattern %v, of %d series and %d patterns: %+v", metric, pattern, got.Series, got.Patterns, got.Findings)
	}
	calm := read[api.Changed](t, srv, "/api/v1/changed?from=-90m&to=-80m")
	if len(calm.Findings) != 0 {
		t.Errorf("in a calm window: %+v", calm.Findings)
	}
	if deploy := read[api.Changed](t, srv, "/api/v1/changed?from=-20m"); len(deploy.Changes) != 1 {
		t.Errorf("%d deploys in the window", len(deploy.Changes))
	}
	if a := ask(t, srv, "GET", "/api/v1/changed?against_from=-1m&against_to=-1h", ""); a.code != 400 {
		t.Errorf("a range that is upside down: %d", a.code)
	}
}

func TestOperationsAreRankedByTheTimeTheyUse(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	app := s.metrics.AppenderV2(t.Context())
	for at := s.end - 1800_000; at <= s.end; at += 10_000 {
		for _, o := range []struct {
			name           string
			rate, p95, err float64
		}{{"GET /fast", 50, .01, 0}, {"POST /slow", 2, 1.5, .25}} {
			p95 := o.p95
			if at < s.end-900_000 {
				p95 /= 2
			}
			for metric, v := range map[string]float64{"norn_operation_request_rate": o.rate, "norn_operation_latency_seconds": p95,
				"norn_operation_error_ratio": o.err, "norn_operation_self_time_seconds": o.p95 / 3} {
				_, err := app.Append(0, labels.FromStrings("__name__", metric, "entity", "service/shop", "operation", o.name), 0, at, v, nil, nil, storage.AOptions{})
				must(t, err)
			}
		}
	}
	must(t, app.Commit())
	srv := api.New(s.options())
	list := read[api.OperationList](t, srv, "/api/v1/operations?from=-10m&entity=service/shop").Operations
	if len(list) != 2 || list[0].Name != "POST /slow" {
		t.Fatalf("operations %+v", list)
	}
	near := func(v *float64, want float64) bool { return v != nil && *v > want*.9 && *v < want*1.1 }
	o := list[0]
	if !near(&o.Rate, 2) || !near(o.P95, 1.5) || !near(o.ErrorRatio, .25) || !near(o.SelfTime, .5) || !near(o.BusyRatio, 1) || !near(o.P95Before, 1.125) && !near(o.P95Before, .75) {
		t.Errorf("%+v", o)
	}
	if !strings.Contains(o.SlowestQuery, "operation=POST+%2Fslow") {
		t.Errorf("its slow spans: %s", o.SlowestQuery)
	}
	byRate := read[api.OperationList](t, srv, "/api/v1/operations?from=-10m&sort=rate").Operations
	if byRate[0].Name != "GET /fast" {
		t.Errorf("busiest %+v", byRate[0])
	}
}
