// Package elastic receives logs by the Elasticsearch bulk API.
//
// It answers what shippers ask before they send (version, health, license,
// templates, policies), takes index and create actions, and gives each item its
// own status. It is no search engine: templates, policies and pipelines are
// acknowledged and forgotten, updates and deletes are refused item by item. It
// does not normalise or judge.
//
// Items are answered 201 only after the sink returned. When the sink fails, the
// whole request gets 503, which shippers retry.
//
// The main type is [Handler]; it is safe for concurrent use.
package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
)

const (
	protocol = "elastic"
	// apiVersion is what shippers are told; it decides which dialect they speak.
	apiVersion = "8.15.0"
)

// Options say whom to hand records to.
type Options struct {
	Sink     ingest.Sink
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
}

// Handler answers Elasticsearch clients. Give it a listener of its own with
// [ingest.Listen]: it owns the root path.
type Handler struct {
	opts   Options
	limits ingest.Limits
	parse  sync.Pool // *ingest.JSONLogs
	ids    atomic.Uint64
	idBase int64
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{opts: o, limits: o.Limits.WithDefaults(), idBase: o.Now().UnixNano()}
	h.parse.New = func() any { return new(ingest.JSONLogs) }
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	last := parts[len(parts)-1]
	switch {
	case last == "_bulk" && len(parts) <= 2:
		if r.Method != http.MethodPost && r.Method != http.MethodPut {
			h.refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "illegal_argument_exception",
				fmt.Sprintf("Incorrect HTTP method for uri [%s] and method [%s], allowed: [POST, PUT]", r.URL.Path, r.Method))
			return
		}
		index := ""
		if len(parts) == 2 {
			index = parts[0]
		}
		h.bulk(w, r, index)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		h.ask(w, r, parts)
	case r.Method == http.MethodPut && manageable(parts[0]), r.Method == http.MethodPost && parts[0] == "_ilm":
		h.acknowledge(w, r)
	default:
		h.unknown(w, r)
	}
}

// manageable tells the things that shippers install before they send.
func manageable(first string) bool {
	switch first {
	case "_index_template", "_component_template", "_template", "_ilm", "_data_stream", "_ingest", "_cluster":
		return true
	}
	return first != "" && !strings.HasPrefix(first, "_") // an index
}

// acknowledge takes a template, policy or index and forgets it.
func (h *Handler) acknowledge(w http.ResponseWriter, r *http.Request) {
	if _, err := ingest.ReadBody(r, h.limits.Bytes); err != nil {
		h.refuseRequest(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"acknowledged": true})
}

func (h *Handler) ask(w http.ResponseWriter, r *http.Request, parts []string) {
	path := strings.Join(parts, "/")
	switch {
	case path == "":
		writeJSON(w, http.StatusOK, map[string]any{
			"name": "norn", "cluster_name": "norn", "cluster_uuid": "bm9ybi1jbHVzdGVyLXV1aQ",
			"version": map[string]any{
				"number": apiVersion, "build_flavor": "default", "build_type": "tar", "build_snapshot": false,
				"lucene_version": "9.11.1", "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
			},
			"tagline": "You Know, for Search",
		})
	case path == "_cat/health":
		h.catHealth(w, r)
	case strings.HasPrefix(path, "_cluster/health"):
		writeJSON(w, http.StatusOK, map[string]any{
			"cluster_name": "norn", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
			"active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
		})
	case path == "_license" || path == "_xpack":
		writeJSON(w, http.StatusOK, map[string]any{"license": map[string]any{
			"status": "active", "uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "mode": "basic",
			"issued_to": "norn", "issuer": "norn", "max_nodes": 1, "start_date_in_millis": -1,
		}})
	case parts[0] == "_index_template":
		writeJSON(w, http.StatusOK, map[string]any{"index_templates": []any{}})
	case parts[0] == "_component_template":
		writeJSON(w, http.StatusOK, map[string]any{"component_templates": []any{}})
	case parts[0] == "_data_stream":
		writeJSON(w, http.StatusOK, map[string]any{"data_streams": []any{}})
	case path == "_nodes" || strings.HasPrefix(path, "_nodes/"):
		writeJSON(w, http.StatusOK, map[string]any{"cluster_name": "norn", "nodes": map[string]any{}})
	case parts[0] == "_template" || parts[0] == "_ilm" || parts[0] == "_ingest", r.Method == http.MethodHead && manageable(parts[0]):
		writeJSON(w, http.StatusOK, map[string]any{})
	default:
		h.unknown(w, r)
	}
}

func (h *Handler) catHealth(w http.ResponseWriter, r *http.Request) {
	now := h.opts.Now().UTC()
	if r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, []map[string]string{{"epoch": fmt.Sprint(now.Unix()), "timestamp": now.Format("15:04:05"),
			"cluster": "norn", "status": "green", "node.total": "1", "node.data": "1", "shards": "1", "pri": "1",
			"relo": "0", "init": "0", "unassign": "0", "pending_tasks": "0", "max_task_wait_time": "-", "active_shards_percent": "100.0%"}})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	fmt.Fprintf(w, "%d %s norn green 1 1 1 1 0 0 0 0 - 100.0%%\n", now.Unix(), now.Format("15:04:05"))
}

func (h *Handler) unknown(w http.ResponseWriter, r *http.Request) {
	h.refuse(w, http.StatusNotFound, "unknown_path", "illegal_argument_exception",
		fmt.Sprintf("no handler found for uri [%s] and method [%s]", r.URL.Path, r.Method))
}

// refuse answers a whole request in Elasticsearch's own error form.
func (h *Handler) refuse(w http.ResponseWriter, status int, reason, kind, text string) {
	h.opts.Counters.Reason(protocol, reason, 1)
	cause := errorBody{kind, ingest.Clean(text)}
	writeJSON(w, status, map[string]any{
		"error":  map[string]any{"root_cause": []errorBody{cause}, "type": cause.Type, "reason": cause.Reason},
		"status": status,
	})
}

func (h *Handler) refuseRequest(w http.ResponseWriter, err error) {
	var re *ingest.RequestError
	if !errors.As(err, &re) {
		re = &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_request", Err: err}
	}
	kind := "parse_exception"
	if re.Status == http.StatusRequestEntityTooLarge {
		kind = "content_too_long_exception"
	}
	h.refuse(w, re.Status, re.Reason, kind, re.Error())
}

type errorBody struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// writeJSON answers in the given status. HEAD requests get the header only; the
// HTTP server sees to that.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // only maps, strings and numbers of ours
		status, b = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the peer is gone: nobody to tell
}

// contentType refuses what Elasticsearch refuses; no type at all is taken.
func contentType(r *http.Request) error {
	ct := r.Header.Get("Content-Type")
	if ct == "" {
		return nil
	}
	mt, _, err := mime.ParseMediaType(ct)
	if err == nil {
		switch mt {
		case "application/json", "application/x-ndjson", "application/vnd.elasticsearch+json", "application/vnd.elasticsearch+x-ndjson":
			return nil
		}
	}
	return &ingest.RequestError{Status: http.StatusNotAcceptable, Reason: "unsupported_media_type",
		Err: fmt.Errorf("Content-Type header [%.100s] is not supported", ct)} //nolint:staticcheck // Elasticsearch's own words
}
