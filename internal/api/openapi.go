package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

const documentIntro = "Norn's HTTP API. Times are Unix milliseconds unless a field says otherwise; parameters `from`, `to` and `at` also take " +
	"RFC 3339 and ages such as `-1h`. Units are UCUM base units. Errors are application/problem+json (RFC 9457)."

// document adds what huma cannot know: the token, the document itself and the
// routes that others serve.
func (s *Server) document(extra []Route) {
	doc := s.api.OpenAPI()
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "Only when server.token is set."},
	}
	doc.Security = []map[string][]string{{}, {"bearer": {}}}
	for _, r := range append([]Route{{Method: http.MethodGet, Path: "/api/openapi.json", Summary: "This document", Tag: "status"}}, extra...) {
		if r.Tag == "" {
			r.Tag = "ingest"
		}
		doc.AddOperation(&huma.Operation{Method: r.Method, Path: r.Path, Summary: r.Summary, Tags: []string{r.Tag},
			Responses: map[string]*huma.Response{"200": {Description: "OK"}}})
	}
}

func documentJSON(a huma.API) ([]byte, error) {
	raw, err := json.Marshal(a.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", " "); err != nil {
		return nil, fmt.Errorf("indent the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (s *Server) serveDocument(w http.ResponseWriter, _ *http.Request) {
	doc, err := s.OpenAPI()
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(doc) // a failed write means that the client is gone
}
