package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
)

// A person comments, acknowledges and resolves; each step is in the answer,
// in the store and in the timeline, with who did it.
func TestAPersonWorksOnAnIncident(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	do := func(verb, body string) ops.Incident {
		t.Helper()
		a := ask(t, srv, "POST", "/api/v1/incidents/inc-000/"+verb, body)
		if a.code != 200 {
			t.Fatalf("%s: %d %s", verb, a.code, a.body)
		}
		var in ops.Incident
		must(t, json.Unmarshal([]byte(a.body), &in))
		return in
	}
	if in := do("comment", `{"who":" bo ","text":" index is missing "}`); in.State != ops.StateOpen || in.Timeline[len(in.Timeline)-1].Text != "bo: index is missing" {
		t.Errorf("comment: %s, %+v", in.State, in.Timeline[len(in.Timeline)-1])
	}
	if in := do("acknowledge", `{}`); in.State != ops.StateAcknowledged || !strings.HasPrefix(in.Timeline[len(in.Timeline)-1].Text, "console") {
		t.Errorf("acknowledge without a name: %s, %+v", in.State, in.Timeline[len(in.Timeline)-1])
	}
	if in := do("resolve", `{"who":"bo","text":"index is back"}`); in.State != ops.StateResolved || in.Resolved != s.end {
		t.Errorf("resolve: %s at %d", in.State, in.Resolved)
	}
	kept := read[ops.Incident](t, srv, "/api/v1/incidents/inc-000")
	if kept.State != ops.StateResolved || kept.Timeline[len(kept.Timeline)-1].Kind != "resolved" {
		t.Errorf("kept as %s with %+v", kept.State, kept.Timeline[len(kept.Timeline)-1])
	}
	if n := read[api.Status](t, srv, "/api/v1/status").IncidentsOpen; n != 0 {
		t.Errorf("%d open", n)
	}
	for verb, code := range map[string]int{"resolve": 409, "acknowledge": 409} {
		if a := ask(t, srv, "POST", "/api/v1/incidents/inc-000/"+verb, `{}`); a.code != code || !strings.Contains(a.body, "resolved") {
			t.Errorf("%s again: %d %s, want %d and why", verb, a.code, a.body, code)
		}
	}
	// What is over may still be talked about.
	do("comment", `{"text":"see the review"}`)
}

// Every wrong request is answered with 4xx and words that name what is wrong.
func TestWrongInputIsNamed(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	long := strings.Repeat("x", 201)
	for _, c := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"GET", "/api/v1/traces?from=soon", "", 400, `from=\"soon\" is not a time`},
		{"GET", "/api/v1/traces?from=-1h&to=-2h", "", 400, "is after to"},
		{"GET", "/api/v1/traces?to=9999-01-01T00:00:00Z", "", 400, "1970 to 2248"},
		{"GET", "/api/v1/traces?from=1900-01-01T00:00:00Z", "", 400, "1970 to 2248"},
		{"GET", "/api/v1/traces?limit=1001", "", 422, "query.limit"},
		{"GET", "/api/v1/traces?limit=0", "", 422, "query.limit"},
		{"GET", "/api/v1/traces?limit=many", "", 422, "query.limit"},
		{"GET", "/api/v1/traces?min_duration_seconds=-1", "", 422, "query.min_duration_seconds"},
		{"GET", "/api/v1/traces?min_duration_seconds=1e300", "", 422, "query.min_duration_seconds"},
		{"GET", "/api/v1/traces?min_duration_seconds=NaN", "", 400, "min_duration_seconds is not a number"},
		{"GET", "/api/v1/traces?only_errors=perhaps", "", 422, "query.only_errors"},
		{"GET", "/api/v1/traces/xyz", "", 422, "path.id"},
		{"GET", "/api/v1/traces/" + strings.Repeat("a", 33), "", 422, "path.id"},
		{"GET", "/api/v1/traces/0123", "", 404, `trace \"0123\"`},
		{"GET", "/api/v1/logs?query=" + escape("service:=("), "", 400, "search logs"},
		{"GET", "/api/v1/logs?query=" + escape("* | nosuchpipe"), "", 400, "search logs"},
		{"GET", "/api/v1/logs?limit=2001", "", 422, "query.limit"},
		{"GET", "/api/v1/logs?from=99999999999999", "", 400, "is not a time"},
		{"GET", "/api/v1/logs?query=" + strings.Repeat("a", 10_001), "", 422, "query.query"},
		{"GET", "/api/v1/logs/patterns?from=x", "", 400, "is not a time"},
		{"GET", "/api/v1/logs/patterns?limit=-1", "", 422, "query.limit"},
		{"GET", "/api/v1/changes?from=2026-13-01", "", 400, "is not a time"},
		{"GET", "/api/v1/changes?from=now&to=-1h", "", 400, "is after to"},
		{"GET", "/api/v1/anomalies?limit=5001", "", 422, "query.limit"},
		{"GET", "/api/v1/anomalies?to=-", "", 400, "is not a time"},
		{"GET", "/api/v1/graph?at=tomorrow", "", 400, `at=\"tomorrow\" is not a time`},
		{"GET", "/api/v1/query", "", 422, "query.expr"},
		{"GET", "/api/v1/query?expr=up&points=9", "", 422, "query.points"},
		{"GET", "/api/v1/query?expr=up&series=abc", "", 400, "not a decimal number"},
		{"GET", "/api/v1/query?expr=" + escape("norn_request_rate * on(x) norn_request_rate"), "", 400, "match group"},
		{"GET", "/api/v1/series?limit=1001", "", 422, "query.limit"},
		{"GET", "/api/v1/series/-5", "", 400, "not a decimal number"},
		{"GET", "/api/v1/series/99999999999999999999999", "", 422, "path.id"},
		{"GET", "/api/v1/series/5", "", 404, "detection does not hold it"},
		{"GET", "/api/v1/series/5/data?from=x", "", 400, "is not a time"},
		{"GET", "/api/v1/incidents?limit=1001", "", 422, "query.limit"},
		{"GET", "/api/v1/incidents?sort=best", "", 422, "query.sort"},
		{"GET", "/api/v1/incidents?from=x", "", 400, "is not a time"},
		{"GET", "/api/v1/incidents/" + long, "", 422, "path.id"},
		{"GET", "/api/v1/incidents/inc-000/why", "", 422, "query.anomaly"},
		{"GET", "/api/v1/incidents/inc-000/why?anomaly=none", "", 404, `anomaly \"none\"`},
		{"GET", "/api/v1/incidents/none/why?anomaly=a", "", 404, `incident \"none\"`},
		{"POST", "/api/v1/incidents/none/resolve", `{}`, 404, `incident \"none\"`},
		{"POST", "/api/v1/incidents/none/comment", `{"text":"x"}`, 404, `incident \"none\"`},
		{"POST", "/api/v1/incidents/inc-000/comment", `{"text":"  "}`, 400, "text is empty"},
		{"POST", "/api/v1/incidents/inc-000/comment", `{"text":`, 400, "unexpected end"},
		{"POST", "/api/v1/incidents/inc-000/comment", ``, 400, "body is required"},
		{"POST", "/api/v1/incidents/inc-000/comment", `{"txt":"x"}`, 422, "body.txt"},
		{"POST", "/api/v1/incidents/inc-000/comment", `{"text":7}`, 422, "body.text"},
		{"POST", "/api/v1/incidents/inc-000/comment", `{"who":"` + long + `","text":"x"}`, 422, "body.who"},
		{"POST", "/api/v1/incidents/inc-000/comment", `{"text":"` + strings.Repeat("x", 70_000) + `"}`, 413, "too large"},
		{"DELETE", "/api/v1/incidents/inc-000", "", 404, "no such endpoint: DELETE"},
		{"POST", "/api/v1/graph", `{}`, 404, "no such endpoint: POST"},
	} {
		a := ask(t, srv, c.method, c.path, c.body)
		if a.code != c.code || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %.80s: %d %.300s, want %d with %q", c.method, c.path, a.code, a.body, c.code, c.says)
		}
		if kind := a.header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s %.80s answers as %s", c.method, c.path, kind)
		}
	}
	if in := read[ops.Incident](t, srv, "/api/v1/incidents/inc-000"); in.State != ops.StateOpen {
		t.Errorf("wrong requests changed the incident: %s", in.State)
	}
}

// A console that closes a page breaks off its queries: nothing failed, and
// nothing is logged as if it had.
func TestAQueryThatItsCallerGaveUpIsNoError(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	o := s.options()
	var logged bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))
	srv := api.New(o)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"query?expr=" + escape("sum(rate(norn_request_rate[5m]))"), "logs?from=-3h", "traces", "incidents"} {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequestWithContext(gone, "GET", "/api/v1/"+path, nil))
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if logged.Len() > 0 {
		t.Errorf("logged as failed: %s", &logged)
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequestWithContext(late, "GET", "/api/v1/query?expr="+escape("sum(norn_request_rate)"), nil))
	if w.Code != http.StatusGatewayTimeout {
		t.Errorf("a query that took too long: %d %s", w.Code, w.Body)
	}
}
