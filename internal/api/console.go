package api

import (
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

const notBuilt = `<!doctype html><meta charset="utf-8"><title>Norn</title><p>The console was not built into this binary.
Run <code>make ui</code> and build again. The API works: <a href="/api/openapi.json">/api/openapi.json</a>.`

// consoleHandler serves the built console. Files under assets/ carry a hash in
// their names and never change; every path that is not a file is a page of
// the single-page application and gets index.html.
func consoleHandler(dist fs.FS) http.Handler {
	files := http.FileServerFS(dist)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeProblem(w, http.StatusMethodNotAllowed, "the console answers GET and HEAD only")
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		info, err := fs.Stat(dist, name)
		switch {
		case err == nil && !info.IsDir() && name != "index.html" && !strings.HasPrefix(path.Base(name), "."):
			if strings.HasPrefix(name, "assets/") {
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			} else {
				w.Header().Set("Cache-Control", "no-cache")
			}
			files.ServeHTTP(w, r)
		case strings.HasPrefix(name, "assets/"):
			// An old tab asks for a file of an older build: a page would not parse as a script.
			http.NotFound(w, r)
		default:
			serveIndex(w, dist)
		}
	})
}

func serveIndex(w http.ResponseWriter, dist fs.FS) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	page, err := fs.ReadFile(dist, "index.html")
	if errors.Is(err, fs.ErrNotExist) {
		page, err = []byte(notBuilt), nil
	}
	if err != nil {
		http.Error(w, "read the console: "+err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(page) // a failed write means that the client is gone
}
