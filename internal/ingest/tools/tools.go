// Package tools receives alerts by the webhooks of other tools: Grafana,
// PagerDuty's Events API v2, Zabbix, Nagios and Icinga.
//
// It exists so that a tool which cannot speak Alertmanager's API is pointed at
// Norn as it is. It turns each tool's words into [telemetry.Alert]; it does not
// group, notify or judge, and an alert lasts until its tool says that it is over.
// A word that ends an alert may be shorter than the one that began it: the labels
// of what fires are remembered, at most 100,000 alerts, the rest is counted.
//
// A request is acknowledged after the sink returned. The main type is
// [Handler]; it is safe for concurrent use.
package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// maxOpen bounds the firing alerts that are remembered.
const maxOpen = 100_000

// Options say whom to hand alerts to.
type Options struct {
	Sink     ingest.Sink
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
}

// Handler answers POST /api/v1/alerts/{tool}, and POST /v2/enqueue as PagerDuty
// has it.
type Handler struct {
	opts   Options
	limits ingest.Limits
	mux    *http.ServeMux

	mu   sync.Mutex
	open map[string]telemetry.Alert // by fingerprint
}

// reader turns one request's body into alerts. What is wrong with single ones
// is refused beside the others.
type reader func(body []byte, now time.Time, limit int) (alerts []telemetry.Alert, refused []ingest.Refusal, err error)

// New makes a handler.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Handler{opts: o, limits: o.Limits.WithDefaults(), mux: http.NewServeMux(), open: map[string]telemetry.Alert{}}
	for tool, read := range map[string]reader{"grafana": grafana, "zabbix": zabbix, "nagios": nagios} {
		h.mux.HandleFunc("POST /api/v1/alerts/"+tool, h.serve(tool, read, http.StatusOK))
	}
	h.mux.HandleFunc("POST /api/v1/alerts/pagerduty", h.serve("pagerduty", pagerduty, http.StatusAccepted))
	h.mux.HandleFunc("POST /v2/enqueue", h.serve("pagerduty", pagerduty, http.StatusAccepted))
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Watch takes over alerts that fired before a restart.
func (h *Handler) Watch(alerts []telemetry.Alert) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range alerts {
		if slices.Contains([]string{"grafana", "zabbix", "nagios", "pagerduty"}, a.Source) && a.EndsAt == 0 && len(h.open) < maxOpen {
			h.open[a.Fingerprint] = clone(a)
		}
	}
}

// report is the answer to a sender. The first two fields are PagerDuty's.
type report struct {
	Status   string   `json:"status"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Accepted int      `json:"accepted"`
	Errors   []string `json:"errors,omitempty"`
}

func (h *Handler) serve(tool string, read reader, done int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		alerts, refused, err := h.decode(r, read)
		if err != nil {
			var re *ingest.RequestError
			if !errors.As(err, &re) {
				re = &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_json", Err: err}
			}
			h.opts.Counters.Reason(tool, re.Reason, 1)
			answer(w, re.Status, report{Status: "invalid event", Errors: []string{ingest.Clean(re.Error())}})
			return
		}
		rep := report{Status: "success"}
		refuse := func(code, detail string) {
			h.opts.Counters.Reject(tool, code, 1)
			if len(rep.Errors) < 20 {
				rep.Errors = append(rep.Errors, ingest.Clean(detail))
			}
		}
		for _, ref := range refused {
			refuse(ref.Code, ref.Detail)
		}
		var good []telemetry.Alert
		for i := range alerts {
			a := &alerts[i]
			a.Source = tool
			var named *report
			if tool == "pagerduty" {
				named = &rep
			}
			if ref := h.finish(a, named); ref != nil {
				refuse(ref.Code, ref.Detail)
				continue
			}
			good = append(good, *a)
		}
		if err := h.deliver(r.Context(), tool, good, &rep); err != nil {
			answer(w, http.StatusServiceUnavailable, report{Status: "try again", Errors: []string{"store alerts: " + ingest.Clean(err.Error())}})
			return
		}
		status := done
		if len(rep.Errors) > 0 {
			rep.Status, status = "invalid event", http.StatusBadRequest
		}
		answer(w, status, rep)
	}
}

func (h *Handler) decode(r *http.Request, read reader) ([]telemetry.Alert, []ingest.Refusal, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "application/json" {
			return nil, nil, &ingest.RequestError{Status: http.StatusUnsupportedMediaType, Reason: "unsupported_media_type",
				Err: fmt.Errorf("unsupported media type %.100q, only application/json is allowed", ct)}
		}
	}
	body, err := ingest.ReadBody(r, h.limits.Bytes)
	if err != nil {
		return nil, nil, err
	}
	return read(body, h.opts.Now(), h.limits.Batch)
}

// finish checks an alert's size, cleans its texts and, for one that ends, fills
// in what its beginning said.
func (h *Handler) finish(a *telemetry.Alert, rep *report) *ingest.Refusal {
	for _, set := range []*map[string]string{&a.Labels, &a.Annotations} {
		if len(*set) > h.limits.Labels {
			return &ingest.Refusal{Code: "too_many_labels", Detail: fmt.Sprintf("%d labels or annotations, the limit is %d", len(*set), h.limits.Labels)}
		}
		clean := map[string]string{}
		for k, v := range *set {
			if len(k)+len(v) > h.limits.LabelBytes {
				return &ingest.Refusal{Code: "label_too_long", Detail: fmt.Sprintf("%.100q is longer than %d bytes", k, h.limits.LabelBytes)}
			}
			if k != "" && v != "" {
				clean[ingest.Clean(k)] = ingest.Clean(v)
			}
		}
		*set = clean
	}
	if len(a.Name) > h.limits.LabelBytes || len(a.Link) > h.limits.LabelBytes || len(a.Fingerprint) > 1000 {
		return &ingest.Refusal{Code: "label_too_long", Detail: "a name, link or key is too long"}
	}
	a.Name, a.Link = ingest.Clean(a.Name), ingest.Clean(a.Link)
	if a.Fingerprint == "" {
		a.Fingerprint = fmt.Sprintf("%016x", xxhash.Sum64String(a.Name+"\x00"+joined(a.Labels)))
	}
	if rep != nil {
		rep.DedupKey = a.Fingerprint // by which its sender may end it
	}
	// Keys of different tools must not meet.
	a.Fingerprint = fmt.Sprintf("%016x", xxhash.Sum64String(a.Source+"\x00"+a.Fingerprint))
	if a.EndsAt == 0 {
		return nil
	}
	h.mu.Lock()
	was, known := h.open[a.Fingerprint]
	h.mu.Unlock()
	if known {
		end := a.EndsAt
		*a = clone(was)
		a.EndsAt = max(end, a.StartsAt)
	} else if a.Name == "" {
		return &ingest.Refusal{Code: "unknown_alert", Detail: "this ends an alert that is not known"}
	}
	return nil
}

func joined(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k + "\x00" + labels[k] + "\x00")
	}
	return b.String()
}

func (h *Handler) deliver(ctx context.Context, tool string, alerts []telemetry.Alert, rep *report) error {
	if len(alerts) == 0 {
		return nil
	}
	sent := make([]telemetry.Alert, len(alerts))
	for i := range alerts {
		sent[i] = clone(alerts[i]) // the sink owns what it is given
	}
	res, err := h.opts.Sink.Alerts(ctx, sent)
	if err != nil {
		h.opts.Counters.Items(tool, ingest.OutcomeFailed, len(alerts))
		h.opts.Counters.Reason(tool, "not_durable", 1)
		return err
	}
	h.opts.Counters.Result(tool, res)
	rep.Accepted = res.Accepted + res.Duplicates
	drop := map[int]bool{}
	for _, rej := range res.Rejected {
		drop[rej.Index] = true
		rep.Errors = append(rep.Errors, rej.Detail)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, a := range alerts {
		_, known := h.open[a.Fingerprint]
		switch {
		case drop[i]:
		case a.EndsAt != 0:
			delete(h.open, a.Fingerprint)
		case known || len(h.open) < maxOpen:
			h.open[a.Fingerprint] = a
		default:
			h.opts.Counters.Reason(tool, "end_not_watched", 1)
		}
	}
	return nil
}

func clone(a telemetry.Alert) telemetry.Alert {
	a.Labels, a.Annotations = maps.Clone(a.Labels), maps.Clone(a.Annotations)
	return a
}

func answer(w http.ResponseWriter, status int, v report) {
	b, err := json.Marshal(v)
	if err != nil { // only texts and numbers
		status, b = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the peer is gone: nobody to tell
}
