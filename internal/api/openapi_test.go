package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/api"
)

var update = flag.Bool("update", false, "write web/openapi.json instead of comparing with it")

const documentPath = "../../web/openapi.json"

// The console's types are generated from the committed document, so it must be
// the one that the server serves.
func TestCommittedDocumentIsTheServedOne(t *testing.T) {
	got, err := api.New(api.Options{}).OpenAPI()
	must(t, err)
	if *update {
		must(t, os.WriteFile(documentPath, got, 0o644))
	}
	want, err := os.ReadFile(documentPath)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Fatal("web/openapi.json is out of date: go test ./internal/api -run Document -update, then npm --prefix web run types")
	}
}

func TestEveryRouteIsDocumentedAndEveryDocumentedRouteExists(t *testing.T) {
	srv := api.New(api.Options{})
	served := map[string]bool{}
	for _, p := range api.Patterns(srv) {
		if p != "/" && p != "/api/" { // the console and the answer to unknown paths
			served[p] = true
		}
	}
	documented := documentedRoutes(t, srv)
	for p := range served {
		if !documented[p] {
			t.Errorf("%s is served but not documented", p)
		}
	}
	for p := range documented {
		if !served[p] {
			t.Errorf("%s is documented but not served", p)
		}
	}
	if len(served) < 20 {
		t.Errorf("only %d routes: the test does not see them all", len(served))
	}
}

func TestRoutesOfOthersAreDocumentedToo(t *testing.T) {
	srv := api.New(api.Options{Extra: []api.Route{{Method: "POST", Path: "/api/v1/changes", Summary: "Report changes"}}})
	doc := documentedRoutes(t, srv)
	if !doc["POST /api/v1/changes"] || !doc["GET /api/v1/changes"] {
		t.Error("POST /api/v1/changes must stand beside GET /api/v1/changes")
	}
}

func documentedRoutes(t *testing.T, srv *api.Server) map[string]bool {
	t.Helper()
	raw, err := srv.OpenAPI()
	must(t, err)
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	must(t, json.Unmarshal(raw, &doc))
	out := map[string]bool{}
	for path, methods := range doc.Paths {
		for m := range methods {
			out[strings.ToUpper(m)+" "+path] = true
		}
	}
	return out
}
