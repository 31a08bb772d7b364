package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/report"
)

func TestTheReportIsOfTheStoredIncidents(t *testing.T) {
	s := openSample(t, 8, false, sampleEnd)
	srv := api.New(s.options())
	r := read[report.Report](t, srv, "/api/v1/report?by=service")
	if r.Whole.Incidents != 8 || len(r.Groups) != 8 || r.By != "service" {
		t.Errorf("%d incidents in %d groups", r.Whole.Incidents, len(r.Groups))
	}
	if r.Groups[0].Measures.LostHours < r.Groups[7].Measures.LostHours || r.Groups[7].Sum < .999 {
		t.Error("the most lost time is not first, or the shares do not add up")
	}
	for _, tr := range r.Trends[1:] {
		if tr.Verdict != "too few to tell" {
			t.Errorf("%+v", tr)
		}
	}
	early := read[report.Report](t, srv, "/api/v1/report?from=-90d&to=-30d")
	if early.Whole.Incidents != 0 || len(early.Groups) != 0 {
		t.Errorf("before the first: %+v", early.Whole)
	}
	for _, q := range []string{"by=colour", "from=now&to=-1d", "from=now&to=now"} {
		if a := ask(t, srv, "GET", "/api/v1/report?"+q, ""); a.code != http.StatusBadRequest && a.code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", q, a.code)
		}
	}
}

func TestTheReportsPageIsHTML(t *testing.T) {
	s := openSample(t, 8, true, sampleEnd)
	a := ask(t, api.New(s.options()), "GET", "/api/v1/report.html?by=team", "")
	if a.code != http.StatusOK || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", a.code, a.header.Get("Content-Type"))
	}
	if !strings.HasPrefix(a.body, "<!doctype html>") || !strings.Contains(a.body, "<svg") || strings.Contains(a.body, "<script") {
		t.Errorf("%.300s", a.body)
	}
}
