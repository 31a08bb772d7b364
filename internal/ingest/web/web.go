// Package web receives what scripts send over HTTP: JSON lines for logs, CSV for
// metrics, and JSON for changes.
//
//	POST /api/v1/import/logs     one JSON object a line
//	POST /api/v1/import/metrics  CSV with a header line, long or wide form
//	POST /api/v1/changes         one change or an array of them
//
// Bodies may be compressed with gzip, deflate or zstd. Good lines are kept and
// bad ones are reported by number: 200 when some were kept, 400 when none was.
// 503 means that nothing is durable and the sender should try again. Everything
// is answered only after the sink or the store returned. It does not listen,
// normalise or judge.
//
// The main type is [Handler]; it is safe for concurrent use.
package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Protocols as counters and records name them.
const (
	protocolLogs    = "json"
	protocolMetrics = "csv"
	protocolChanges = "changes"
)

// maxReported bounds the refusals that one answer lists; all are counted.
const maxReported = 100

// Options say whom to hand telemetry to.
type Options struct {
	Sink     ingest.Sink
	Metrics  storage.AppendableV2
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
}

// Handler serves the three routes. Its methods ServeLogs, ServeMetrics and
// ServeChanges can also be mounted one by one, at any path.
type Handler struct {
	opts   Options
	limits ingest.Limits
	mux    *http.ServeMux
	parse  sync.Pool // *ingest.JSONLogs
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{opts: o, limits: o.Limits.WithDefaults(), mux: http.NewServeMux()}
	h.parse.New = func() any { return new(ingest.JSONLogs) }
	h.mux.HandleFunc("POST /api/v1/import/logs", h.ServeLogs)
	h.mux.HandleFunc("POST /api/v1/import/metrics", h.ServeMetrics)
	h.mux.HandleFunc("POST /api/v1/changes", h.ServeChanges)
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Report is the answer to an import.
type Report struct {
	Accepted   int       `json:"accepted"`
	Duplicates int       `json:"duplicates"` // seen before; not kept again
	Rejected   int       `json:"rejected"`
	Errors     []Problem `json:"errors"` // at most 100
	Error      string    `json:"error,omitempty"`
}

// Problem is one refused line or change.
type Problem struct {
	Line   int    `json:"line,omitempty"`  // from 1
	Index  *int   `json:"index,omitempty"` // of a change in the array, from 0
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// reject counts n refusals and lists them while there is room.
func (h *Handler) reject(rep *Report, protocol string, n int, p Problem) {
	h.opts.Counters.Reject(protocol, p.Reason, n)
	rep.Rejected += n
	if len(rep.Errors) < maxReported {
		p.Detail = ingest.Clean(p.Detail)
		rep.Errors = append(rep.Errors, p)
	}
}

// refuse answers a request that cannot be taken at all.
func (h *Handler) refuse(w http.ResponseWriter, protocol string, err error) {
	var re *ingest.RequestError
	if !errors.As(err, &re) {
		re = &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_request", Err: err}
	}
	h.opts.Counters.Reason(protocol, re.Reason, 1)
	writeJSON(w, re.Status, Report{Errors: []Problem{}, Error: ingest.Clean(re.Error())})
}

// tryAgain says that nothing is durable.
func (h *Handler) tryAgain(w http.ResponseWriter, protocol string, n int, err error) {
	h.opts.Counters.Items(protocol, ingest.OutcomeFailed, n)
	h.opts.Counters.Reason(protocol, "not_durable", 1)
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusServiceUnavailable, Report{Errors: []Problem{}, Error: "not stored, try again: " + ingest.Clean(err.Error())})
}

// finish answers with what became of the lines.
func finish(w http.ResponseWriter, rep *Report) {
	status := http.StatusOK
	if rep.Errors == nil {
		rep.Errors = []Problem{}
	}
	switch {
	case rep.Accepted+rep.Duplicates > 0:
	case rep.Rejected > 0:
		status, rep.Error = http.StatusBadRequest, "nothing could be kept"
	default:
		status, rep.Error = http.StatusBadRequest, "the request holds nothing"
	}
	writeJSON(w, status, rep)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // only strings and numbers of ours
		status, b = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the peer is gone: nobody to tell
}

// ServeLogs takes JSON lines. The keys that it understands are those of
// [ingest.JSONLogs]. With the query history=true the records are the past.
func (h *Handler) ServeLogs(w http.ResponseWriter, r *http.Request) {
	body, err := ingest.ReadBody(r, h.limits.Bytes)
	if err != nil {
		h.refuse(w, protocolLogs, err)
		return
	}
	var rep Report
	recs, lines := h.logLines(body, ingest.PeerHost(r.RemoteAddr), &rep)
	if r.URL.Query().Get("history") == "true" {
		for i := range recs {
			recs[i].History = true
		}
	}
	if len(recs) > 0 {
		res, err := h.opts.Sink.Logs(r.Context(), recs)
		if err != nil {
			h.tryAgain(w, protocolLogs, len(recs), err)
			return
		}
		h.opts.Counters.Items(protocolLogs, ingest.OutcomeAccepted, res.Accepted)
		h.opts.Counters.Items(protocolLogs, ingest.OutcomeDuplicate, res.Duplicates)
		rep.Accepted, rep.Duplicates = res.Accepted, res.Duplicates
		for _, rej := range res.Rejected {
			p := Problem{Reason: rej.Reason, Detail: rej.Detail}
			if rej.Index >= 0 && rej.Index < len(lines) {
				p.Line = lines[rej.Index]
			}
			h.reject(&rep, protocolLogs, 1, p)
		}
	}
	finish(w, &rep)
}

// logLines parses the good lines; lines has their numbers.
func (h *Handler) logLines(body []byte, from string, rep *Report) (recs []telemetry.LogRecord, lines []int) {
	parser := h.parse.Get().(*ingest.JSONLogs)
	defer h.parse.Put(parser)
	now := h.opts.Now()
	for n := 1; len(body) > 0; n++ {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte{'\n'})
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var ref *ingest.Refusal
		var rec telemetry.LogRecord
		if len(recs) >= h.limits.Batch {
			ref = &ingest.Refusal{Code: "batch_too_large", Detail: "the request has more lines than the limit"}
		} else if rec, ref = parser.Parse(line, now); ref == nil {
			ref = h.limits.CheckRecord(&rec)
		}
		if ref != nil {
			h.reject(rep, protocolLogs, 1, Problem{Line: n, Reason: ref.Code, Detail: ref.Detail})
			continue
		}
		rec.Source, rec.Sender, rec.Retryable = protocolLogs, from, true
		recs, lines = append(recs, rec), append(lines, n)
	}
	return recs, lines
}
