package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func ms(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// The sample's 40 traces go from the frontend to the database, one every 15 s.
func TestSpansAreFoundByServiceLengthAndFailure(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	srv := api.New(s.options())
	end := ms(sampleEnd.Add(time.Minute)) // the newest trace goes on after the end of the sample

	list := read[api.SpanList](t, srv, "/api/v1/traces?service=orders&limit=5").Spans
	if len(list) != 5 || !slices.IsSortedFunc(list, func(a, b telemetry.Span) int { return int(b.Start - a.Start) }) {
		t.Fatalf("%d spans, want the newest 5, newest first", len(list))
	}
	for _, sp := range list {
		if sp.Entity.Name != "orders" {
			t.Errorf("a span of %v", sp.Entity)
		}
	}
	all := read[api.SpanList](t, srv, "/api/v1/traces?limit=1000&from=-1h&to="+end)
	if len(all.Spans) != 160 || all.Total != 160 {
		t.Errorf("%d spans in all, total %d, want 160", len(all.Spans), all.Total)
	}
	for _, sp := range read[api.SpanList](t, srv, "/api/v1/traces?min_duration_seconds=0.09&limit=1000").Spans {
		if sp.End-sp.Start < 90e6 {
			t.Errorf("a span of %d ns", sp.End-sp.Start)
		}
	}
	failed := read[api.SpanList](t, srv, "/api/v1/traces?only_errors=true&service=orders-db&limit=1000&from=-1h&to="+end).Spans
	if len(failed) != 5 { // every ninth of 40
		t.Errorf("%d failed spans, want 5", len(failed))
	}
	old := read[api.SpanList](t, srv, "/api/v1/traces?from=-3h&to=-2h")
	if len(old.Spans) != 0 || !strings.Contains(ask(t, srv, "GET", "/api/v1/traces?from=-3h&to=-2h", "").body, `"spans":[]`) {
		t.Errorf("%d spans before the first", len(old.Spans))
	}
}

func TestATraceIsWholeAndInOrder(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	srv := api.New(s.options())
	id := fmt.Sprintf("%032x", 0xabc000+7)
	for _, spelling := range []string{id, strings.ToUpper(id)} {
		tr := read[api.SpanList](t, srv, "/api/v1/traces/"+spelling)
		var names []string
		for _, sp := range tr.Spans {
			names = append(names, sp.Entity.Name)
		}
		if want := []string{"frontend", "gateway", "orders", "orders-db"}; !slices.Equal(names, want) || tr.Total != 4 {
			t.Errorf("trace of %v, total %d, want %v", names, tr.Total, want)
		}
		if tr.Spans[0].ParentID != "" || tr.Spans[1].ParentID != tr.Spans[0].SpanID {
			t.Errorf("parents are lost: %+v", tr.Spans[:2])
		}
	}
}

func TestLogLinesAreSearched(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	list := read[api.LogList](t, srv, "/api/v1/logs?from=-3h&limit=10")
	if len(list.Lines) != 10 || !list.More {
		t.Fatalf("%d lines, more %v; want 10 of more", len(list.Lines), list.More)
	}
	if !slices.IsSortedFunc(list.Lines, func(a, b api.LogLine) int { return strings.Compare(b.Time, a.Time) }) {
		t.Error("lines are not newest first")
	}
	errs := read[api.LogList](t, srv, "/api/v1/logs?from=-3h&limit=2000&query="+escape(`severity:=error service:=orders`))
	if len(errs.Lines) != 120 || errs.More {
		t.Fatalf("%d error lines of orders, more %v; want the fault's 120", len(errs.Lines), errs.More)
	}
	for _, l := range errs.Lines {
		if l.Service != "orders" || l.Severity != "error" || l.Template != "5" || !strings.HasPrefix(l.Message, "statement timeout after ") || l.Fields["http.route"] == "" && len(l.Fields) == 0 {
			t.Fatalf("line %+v", l)
		}
	}
	counted := read[api.LogList](t, srv, "/api/v1/logs?from=-3h&query="+escape(`service:=orders severity:=error | stats count() n`))
	if len(counted.Lines) != 1 || counted.Lines[0].Fields["n"] != "120" || counted.Lines[0].Time != "" {
		t.Errorf("counted %+v", counted.Lines)
	}
	if none := ask(t, srv, "GET", "/api/v1/logs?query="+escape(`service:=nobody`), ""); !strings.Contains(none.body, `"lines":[]`) {
		t.Errorf("no match is %s", none.body)
	}
}

func TestChangesAreListedByTime(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	list := read[api.ChangeList](t, srv, "/api/v1/changes").Changes
	if len(list) != 1 || list[0].Kind != telemetry.ChangeDeploy || list[0].Actor != "alice" || list[0].Entity.Name != "orders" {
		t.Fatalf("changes %+v", list)
	}
	if before := ask(t, srv, "GET", "/api/v1/changes?to=-30m", ""); !strings.Contains(before.body, `"changes":[]`) {
		t.Errorf("before the deploy: %s", before.body)
	}
}

func TestAnomaliesAreListedByTimeAndEntity(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	all := read[api.AnomalyList](t, srv, "/api/v1/anomalies").Anomalies
	if len(all) != 4 || !slices.IsSortedFunc(all, func(a, b ops.Anomaly) int { return int(a.Onset - b.Onset) }) {
		t.Fatalf("%d anomalies, want the path's 4, oldest first", len(all))
	}
	db := read[api.AnomalyList](t, srv, "/api/v1/anomalies?entity=database/orders-db").Anomalies
	if len(db) != 1 || db[0].Entity.Name != "orders-db" || db[0].Observed <= db[0].High {
		t.Errorf("anomalies of the database: %+v", db)
	}
	if one := read[api.AnomalyList](t, srv, "/api/v1/anomalies?limit=1").Anomalies; len(one) != 1 {
		t.Errorf("%d anomalies with limit 1", len(one))
	}
	if none := read[api.AnomalyList](t, srv, "/api/v1/anomalies?to=-2h&from=-3h").Anomalies; len(none) != 0 {
		t.Errorf("%d anomalies before the fault", len(none))
	}
}

// A dependency that was given up an hour ago is in the graph of two hours ago
// and not in today's.
func TestTheGraphIsReadAsOfAPastTime(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	frontend, old := telemetry.Entity{Kind: telemetry.KindService, Name: "frontend"}, telemetry.Entity{Kind: telemetry.KindService, Name: "old-search"}
	for at := s.end - 3*3600_000; at < s.end-3600_000; at += 60_000 {
		s.live.graph.Observe(frontend, old, graph.Calls, at, 2)
	}
	srv := api.New(s.options())
	has := func(g api.Graph) bool {
		return slices.ContainsFunc(g.Edges, func(e graph.Edge) bool { return e.To == old && e.From == frontend && e.Kind == graph.Calls })
	}
	now := read[api.Graph](t, srv, "/api/v1/graph")
	past := read[api.Graph](t, srv, "/api/v1/graph?at=-2h")
	exact := read[api.Graph](t, srv, "/api/v1/graph?at="+ms(sampleEnd.Add(-2*time.Hour)))
	if has(now) || !has(past) || !has(exact) || past.At != exact.At {
		t.Errorf("now %v, two hours ago %v and %v", has(now), has(past), has(exact))
	}
	if len(now.Edges) < 10 || now.At != s.end {
		t.Errorf("%d edges at %d", len(now.Edges), now.At)
	}
	if none := ask(t, srv, "GET", "/api/v1/graph?at=-10d", ""); !strings.Contains(none.body, `"edges":[]`) {
		t.Errorf("before everything: %s", none.body)
	}
}

func TestAQueryGivesCurvesAndTheBandOfASeries(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	db := s.live.find(s.byName["orders-db"].e, telemetry.SignalLatency)
	path := "/api/v1/query?from=-30m&points=100&series=" + strconv.FormatUint(uint64(db.meta.ID), 10) + "&expr=" + escape(db.meta.Expr)
	q := read[api.QueryResult](t, srv, path)
	if len(q.Result) != 1 || q.Total != 1 || q.Result[0].Labels["entity"] != "database/orders-db" {
		t.Fatalf("result %+v", q.Result)
	}
	v := q.Result[0].Values
	if n := len(v.T); n < 90 || n > 110 || len(v.V) != n || !slices.IsSorted(v.T) || v.T[0] < q.From || v.T[n-1] > q.To {
		t.Errorf("%d points from %d to %d, range %d to %d", n, v.T[0], v.T[n-1], q.From, q.To)
	}
	first, last := *v.V[0], *v.V[len(v.V)-1]
	if last < 10*first {
		t.Errorf("the fault is not in the curve: %g then %g", first, last)
	}
	if n := len(q.Band.T); n < 50 || len(q.Band.Low) != n || *q.Band.Low[0] >= *q.Band.High[0] {
		t.Errorf("band of %d points", n)
	}
	sum := read[api.QueryResult](t, srv, "/api/v1/query?expr="+escape("sum(norn_request_rate)"))
	if len(sum.Result) != 1 || len(sum.Band.T) != 0 {
		t.Errorf("sum gives %d curves, band of %d", len(sum.Result), len(sum.Band.T))
	}
	// Shorter than a step: evaluated at its end, not refused.
	at := ms(sampleEnd.Add(-999 * time.Millisecond))
	if p := read[api.QueryResult](t, srv, "/api/v1/query?expr=vector(1)&from="+at+"&to="+at); len(p.Result) != 1 {
		t.Errorf("a moment gives %d curves", len(p.Result))
	}
	if none := ask(t, srv, "GET", "/api/v1/query?expr=nothing_of_that_name", ""); none.code != 200 || !strings.Contains(none.body, `"result":[]`) {
		t.Errorf("no series: %d %s", none.code, none.body)
	}
}

func TestASeriesHasValuesBandAndAnomalies(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	db := s.live.find(s.byName["orders-db"].e, telemetry.SignalLatency)
	id := strconv.FormatUint(uint64(db.meta.ID), 10)
	found := read[api.SeriesList](t, srv, "/api/v1/series?q=latency+orders-db&signal=latency&entity=database/orders-db")
	if found.Total != 1 || found.Series[0].ID != id || found.Series[0].AnomalyID == "" {
		t.Fatalf("found %+v", found)
	}
	detail := read[api.SeriesDetail](t, srv, "/api/v1/series/"+id)
	if detail.Explanation.Sentence == "" || len(detail.Explanation.Members) == 0 || detail.Explanation.AnomalyID != found.Series[0].AnomalyID {
		t.Errorf("explanation %+v", detail.Explanation)
	}
	for _, span := range []string{"from=-3h&points=50", "from=-10m&points=5000", "from=0", "from=-1s"} {
		d := read[api.SeriesData](t, srv, "/api/v1/series/"+id+"/data?"+span)
		if len(d.Values.T) == 0 && span != "from=-1s" {
			t.Errorf("%s: no values", span)
		}
		if len(d.Values.T) != len(d.Values.V) || !slices.IsSorted(d.Values.T) || len(d.Values.T) > 5000+100 {
			t.Errorf("%s: %d times, %d values", span, len(d.Values.T), len(d.Values.V))
		}
		if len(d.Anomalies) != 1 || d.Anomalies[0].SeriesID != db.meta.ID {
			t.Errorf("%s: anomalies %+v", span, d.Anomalies)
		}
	}
	if d := read[api.SeriesData](t, srv, "/api/v1/series/"+id+"/data?from=-3h&points=50"); len(d.Values.T) > 60 || len(d.Band.T) == 0 {
		t.Errorf("thinned to %d points, band of %d", len(d.Values.T), len(d.Band.T))
	}
}

// The fault's error line is new in the last quarter of an hour; the others go
// on as before.
func TestLogPatternsAreComparedWithTheTimeBefore(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	list := read[api.PatternList](t, srv, "/api/v1/logs/patterns?from=-15m")
	if list.Total != 5 || len(list.Patterns) != 5 {
		t.Fatalf("%d patterns, total %d, want 5", len(list.Patterns), list.Total)
	}
	first := list.Patterns[0] // what changed most stands first
	if first.ID != "5" || first.Count != 120 || first.Before != 0 || first.Change != nil || !first.New || first.Severity != "error" {
		t.Errorf("the new pattern: %+v", first)
	}
	for _, p := range list.Patterns[1:] {
		if p.New || p.Change == nil || *p.Change < 0.5 || *p.Change > 2 {
			t.Errorf("%q goes on as before: %d then %d, new %v", p.Text, p.Before, p.Count, p.New)
		}
	}
	one := read[api.PatternList](t, srv, "/api/v1/logs/patterns?from=-15m&entity=service/users&limit=1")
	if len(one.Patterns) != 1 || one.Patterns[0].Entity.Name != "users" {
		t.Errorf("patterns of users: %+v", one.Patterns)
	}
	if none := ask(t, srv, "GET", "/api/v1/logs/patterns?from=-30d&to=-29d", ""); !strings.Contains(none.body, `"patterns":[]`) {
		t.Errorf("before everything: %s", none.body)
	}
}

func TestTheGridShowsTheWorstFirstWithItsNumbers(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	list := read[api.ServiceList](t, srv, "/api/v1/services").Services
	if len(list) != 14 || list[0].Entity.Name != "orders-db" || list[0].State != "failing" || list[0].IncidentID != "inc-000" {
		t.Fatalf("%d cells, first %+v", len(list), list[0])
	}
	if !slices.IsSortedFunc(list, func(a, b api.Service) int { return int(100*a.Health) - int(100*b.Health) }) {
		t.Error("the worst does not stand first")
	}
	for _, c := range list {
		if c.RequestRate == nil || *c.RequestRate <= 0 || c.P95 == nil || *c.P95 <= 0 || c.ErrorRatio == nil || len(c.Spark) != 30 {
			t.Errorf("%s lacks numbers: %+v", c.Entity, c)
		}
	}
}

func TestIncidentsAreFilteredAndRanked(t *testing.T) {
	s := openSample(t, 8, false, sampleEnd)
	srv := api.New(s.options())
	must(t, closeOne(t, srv, "inc-000"))
	open := read[api.IncidentList](t, srv, "/api/v1/incidents?state=active&sort=rank").Incidents
	if len(open) != 7 {
		t.Fatalf("%d open, want 7", len(open))
	}
	worth := func(i api.Summary) float64 { return max(i.Impact, 0.01) * max(i.Confidence, 0.05) }
	for i := 1; i < len(open); i++ {
		if worth(open[i]) > worth(open[i-1]) {
			t.Errorf("%s stands after %s", open[i].Title, open[i-1].Title)
		}
	}
	ranked := read[api.IncidentList](t, srv, "/api/v1/incidents?sort=rank&limit=8").Incidents
	if last := ranked[len(ranked)-1]; last.ID != "inc-000" || last.State != ops.StateResolved {
		t.Errorf("what is over stands last, not %s (%s)", last.ID, last.State)
	}
	newest := read[api.IncidentList](t, srv, "/api/v1/incidents?limit=3").Incidents
	if len(newest) != 3 || newest[0].Onset < newest[1].Onset || newest[1].Onset < newest[2].Onset {
		t.Errorf("the newest 3 by onset: %+v", newest)
	}
	if done := read[api.IncidentList](t, srv, "/api/v1/incidents?state=resolved").Incidents; len(done) != 1 || done[0].ID != "inc-000" {
		t.Errorf("resolved: %+v", done)
	}
}

func closeOne(t *testing.T, srv *api.Server, id string) error {
	t.Helper()
	if a := ask(t, srv, "POST", "/api/v1/incidents/"+id+"/resolve", `{}`); a.code != 200 {
		return fmt.Errorf("resolve %s: %d %s", id, a.code, a.body)
	}
	return nil
}
