package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/api"
)

// Each request meets the sample estate with one open incident.
func TestHandlersAnswerOverTheSampleEstate(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	srv := api.New(s.options())
	for _, c := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/api/v1/status", "", 200, `"incidents_open":1`},
		{"GET", "/api/v1/incidents?state=active&sort=rank", "", 200, `"name":"orders-db"`},
		{"GET", "/api/v1/incidents?state=bogus", "", 400, "application/problem+json"},
		{"GET", "/api/v1/incidents/none", "", 404, "not found"},
		{"GET", "/api/v1/incidents/inc-000/why?anomaly=inc-000-a1", "", 200, `"topology"`},
		{"GET", "/api/v1/suppressed?limit=1", "", 200, `"suppressed":[{"id":"held-2"`},
		{"GET", "/api/v1/suppressed", "", 200, `"false_pages_per_week":3`},
		{"GET", "/api/v1/suppressed?team=shop", "", 200, `"suppressed":[{"id":"held-2"`},
		{"GET", "/api/v1/suppressed?team=nobody", "", 200, `"suppressed":[]`},
		{"GET", "/api/v1/slos?entity=orders", "", 200, `"slos":[{"name":"orders answer"`},
		{"GET", "/api/v1/slos?inferred=false&entity=cart", "", 200, `"slos":[]`},
		{"GET", "/api/v1/slos?inferred=perhaps", "", 422, "application/problem+json"},
		{"GET", "/api/v1/incidents?team=nobody", "", 200, `"incidents":[]`},
		{"GET", "/api/v1/suppressed?limit=0", "", 422, "application/problem+json"},
		{"GET", "/api/v1/services", "", 200, `"state":"failing"`},
		{"GET", "/api/v1/query?expr=sum(", "", 400, "application/problem+json"},
		{"GET", "/api/v1/query?expr=norn_request_rate&from=yesterday", "", 400, "not a time"},
		{"GET", "/api/v1/series/x/data", "", 400, "not a decimal number"},
		{"GET", "/api/v1/series/1/data", "", 404, "detection does not hold it"},
		{"GET", "/api/v1/logs/patterns", "", 200, "statement timeout"},
		{"GET", "/api/v1/nothing", "", 404, "no such endpoint"},
		{"POST", "/api/v1/incidents/inc-000/acknowledge", `{"who":"bo"}`, 200, `"state":"acknowledged"`},
		{"POST", "/api/v1/incidents/inc-000/acknowledge", `{"who":"bo"}`, 409, "conflict"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		srv.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Header().Get("Content-Type")+w.Body.String(), c.contains) {
			t.Errorf("%s %s: %d %.300s, want %d with %q", c.method, c.path, w.Code, w.Body, c.status, c.contains)
		}
	}
}

func TestTokenIsAskedForAndCompared(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	o := s.options()
	o.Token = "right"
	srv := api.New(o)
	for token, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "right": http.StatusOK} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/api/v1/status", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		if srv.ServeHTTP(w, r); w.Code != want {
			t.Errorf("token %q: %d, want %d", token, w.Code, want)
		}
	}
}
