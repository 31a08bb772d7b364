package api_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/norn-aiops/norn/internal/api"
)

func builtConsole() fstest.MapFS {
	return fstest.MapFS{
		"index.html":              {Data: []byte("<!doctype html><title>Norn</title>")},
		"norn.svg":                {Data: []byte("<svg xmlns='http://www.w3.org/2000/svg'/>")},
		"assets/index-Ab12.js":    {Data: []byte("console.log(1)" + strings.Repeat(" // long enough to be worth compressing", 100))},
		"assets/nested/x-Cd34.js": {Data: []byte("1")},
		".gitkeep":                {Data: []byte("secret")},
	}
}

func TestTheConsolesFiles(t *testing.T) {
	srv := api.New(api.Options{Console: builtConsole()})
	const page, forever, ask0 = "text/html; charset=utf-8", "public, max-age=31536000, immutable", "no-cache"
	for _, c := range []struct {
		path                   string
		code                   int
		kind, caching, content string
	}{
		{"/", 200, page, ask0, "<title>Norn"},
		{"/index.html", 200, page, ask0, "<title>Norn"},
		{"/incidents/01ABC", 200, page, ask0, "<title>Norn"},   // a page of the application
		{"/explore?tab=logs", 200, page, ask0, "<title>Norn"},  // another
		{"/no/such/page.html", 200, page, ask0, "<title>Norn"}, // the application says that there is none
		{"/norn.svg", 200, "image/svg+xml", ask0, "<svg"},      // may change with the next build
		{"/assets/index-Ab12.js", 200, "text/javascript; charset=utf-8", forever, "console.log"},
		{"/assets/index-0ld.js", 404, "text/plain; charset=utf-8", "", "404"}, // a page would not parse as a script
		{"/assets/", 200, page, ask0, "<title>Norn"},                          // never a listing
		{"/assets/nested", 404, "", "", ""},
		{"/assets/nested/", 404, "", "", ""},
		{"/.gitkeep", 200, page, ask0, "<title>Norn"},
		{"/assets/..%2f..%2fetc%2fpasswd", 200, page, ask0, "<title>Norn"},
		{"/api/v2/none", 404, "application/problem+json", "no-store", "no such endpoint"},
	} {
		a := ask(t, srv, "GET", c.path, "")
		if a.code != c.code || !strings.Contains(a.body, c.content) {
			t.Errorf("GET %s: %d %.80q, want %d with %q", c.path, a.code, a.body, c.code, c.content)
		}
		if c.kind != "" && a.header.Get("Content-Type") != c.kind {
			t.Errorf("GET %s is %q, want %q", c.path, a.header.Get("Content-Type"), c.kind)
		}
		if c.caching != "" && a.header.Get("Cache-Control") != c.caching {
			t.Errorf("GET %s may be kept as %q, want %q", c.path, a.header.Get("Cache-Control"), c.caching)
		}
		if strings.Contains(a.body, "secret") || strings.Contains(a.body, "index-Ab12.js\">") || strings.Contains(a.body, "root:") {
			t.Errorf("GET %s gives away %.80q", c.path, a.body)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("GET %s lacks the security headers: %v", c.path, a.header)
		}
	}
}

func TestTheConsoleTakesNothingIn(t *testing.T) {
	srv := api.New(api.Options{Console: builtConsole()})
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if a := ask(t, srv, method, "/incidents", ""); a.code != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, a.code, a.header.Get("Allow"))
		}
	}
}

func TestABinaryWithoutConsoleSaysHowToBuildIt(t *testing.T) {
	srv := api.New(api.Options{Console: fstest.MapFS{".gitkeep": {}}})
	if a := ask(t, srv, "GET", "/", ""); a.code != 200 || !strings.Contains(a.body, "make ui") {
		t.Errorf("%d %s", a.code, a.body)
	}
}

func TestLargeFilesAreCompressedForThoseWhoCanReadThem(t *testing.T) {
	url := serve(t, api.Options{Console: builtConsole()})
	r, err := http.NewRequest("GET", url+"/assets/index-Ab12.js", nil)
	must(t, err)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(resp.Header.Get("Vary"), "Accept-Encoding") {
		t.Errorf("headers %v", resp.Header)
	}
}
