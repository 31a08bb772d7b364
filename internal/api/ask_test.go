package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// answer is what came back, read whole.
type answer struct {
	code   int
	header http.Header
	body   string
}

// ask sends one request to the handler; body is JSON, or "" for none.
func ask(t *testing.T, h http.Handler, method, path, body string) answer {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	h.ServeHTTP(w, r)
	return answer{code: w.Code, header: w.Header(), body: w.Body.String()}
}

// read asks with GET, wants 200 and decodes the answer.
func read[T any](t *testing.T, h http.Handler, path string) T {
	t.Helper()
	a := ask(t, h, "GET", path, "")
	if a.code != http.StatusOK {
		t.Fatalf("GET %s: %d %.400s", path, a.code, a.body)
	}
	var v T
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("GET %s: %v in %.400s", path, err, a.body)
	}
	return v
}

// escape makes a text fit for a query parameter.
func escape(s string) string { return url.QueryEscape(s) }
