// Package alertmanager receives other tools' alerts by the API v2 of
// Prometheus' Alertmanager, so that a Prometheus can be pointed at Norn.
//
// It takes POST /api/v2/alerts and answers the status and readiness that
// senders ask for. As in Alertmanager, an alert that its sender stops repeating
// ends when the end that it was last given has passed: [Handler.Run] sees to
// that. It does not group, silence, notify or judge.
//
// Alerts are answered 200 only after the sink returned. Bad ones beside good
// ones give 400 that names them, as in Alertmanager; the good ones are kept.
//
// The main type is [Handler]; it is safe for concurrent use.
package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	protocol = "alertmanager"
	// maxOpen bounds the firing alerts whose end is watched.
	maxOpen = 100_000
	// expiryEvery is how often ends are looked at.
	expiryEvery = 5 * time.Second
)

// Options say whom to hand alerts to.
type Options struct {
	Sink     ingest.Sink
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
	// ResolveTimeout ends alerts that came without an end; 0 means 5 min, as in
	// Alertmanager.
	ResolveTimeout time.Duration
}

// Handler answers senders of alerts. Mount it so that it sees the paths
// /api/v2/..., /-/ready and /-/healthy (strip a prefix before).
type Handler struct {
	opts   Options
	limits ingest.Limits
	mux    *http.ServeMux
	began  time.Time

	mu   sync.Mutex
	open map[string]firing // by fingerprint
}

// firing is an alert that ends by itself unless it is repeated.
type firing struct {
	alert telemetry.Alert
	until time.Time
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ResolveTimeout <= 0 {
		o.ResolveTimeout = 5 * time.Minute
	}
	h := &Handler{opts: o, limits: o.Limits.WithDefaults(), mux: http.NewServeMux(), began: o.Now(), open: map[string]firing{}}
	h.mux.HandleFunc("POST /api/v2/alerts", h.alerts)
	h.mux.HandleFunc("GET /api/v2/status", h.status)
	h.mux.HandleFunc("GET /-/ready", ok)
	h.mux.HandleFunc("GET /-/healthy", ok)
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func ok(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") }

func (h *Handler) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"cluster":     map[string]any{"status": "disabled", "peers": []any{}},
		"config":      map[string]any{"original": ""},
		"uptime":      h.began.UTC().Format(time.RFC3339Nano),
		"versionInfo": map[string]string{"branch": "", "buildDate": "", "buildUser": "", "goVersion": "", "revision": "", "version": "0.28.0"},
	})
}

// postable is one alert as it is sent.
type postable struct {
	StartsAt     string            `json:"startsAt"`
	EndsAt       string            `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
}

func (h *Handler) alerts(w http.ResponseWriter, r *http.Request) {
	sent, err := h.decode(r)
	if err != nil {
		var re *ingest.RequestError
		if !errors.As(err, &re) {
			re = &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_json", Err: err}
		}
		h.opts.Counters.Reason(protocol, re.Reason, 1)
		answer(w, re.Status, ingest.Clean(re.Error()))
		return
	}
	now := h.opts.Now()
	var good []firing
	var bad []string
	for i := range sent {
		f, ref := h.convert(&sent[i], now)
		if ref != nil {
			h.opts.Counters.Reject(protocol, ref.Code, 1)
			bad = append(bad, fmt.Sprintf("alert %d: %s", i, ref.Detail))
			continue
		}
		good = append(good, f)
	}
	rejected, err := h.deliver(r.Context(), good)
	if err != nil {
		answer(w, http.StatusServiceUnavailable, "store alerts: "+ingest.Clean(err.Error()))
		return
	}
	if bad = append(bad, rejected...); len(bad) > 0 {
		answer(w, http.StatusBadRequest, ingest.Clean(strings.Join(bad[:min(len(bad), 20)], "; ")))
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (h *Handler) decode(r *http.Request) ([]postable, error) {
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "application/json" {
			return nil, &ingest.RequestError{Status: http.StatusUnsupportedMediaType, Reason: "unsupported_media_type",
				Err: fmt.Errorf("unsupported media type %.100q, only application/json is allowed", ct)}
		}
	}
	body, err := ingest.ReadBody(r, h.limits.Bytes)
	if err != nil {
		return nil, err
	}
	return parse(body, h.limits.Batch)
}

func parse(body []byte, limit int) ([]postable, error) {
	var sent []postable
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&sent); err != nil {
		return nil, fmt.Errorf("parse alerts: %w", err)
	}
	if dec.More() {
		return nil, errors.New("parse alerts: something follows the array")
	}
	if len(sent) > limit {
		return nil, &ingest.RequestError{Status: http.StatusRequestEntityTooLarge, Reason: "batch_too_large",
			Err: fmt.Errorf("%d alerts in one request, the limit is %d", len(sent), limit)}
	}
	return sent, nil
}

// convert checks one alert. Labels without a value are left out, as Alertmanager
// does.
func (h *Handler) convert(p *postable, now time.Time) (firing, *ingest.Refusal) {
	ls := model.LabelSet{}
	for k, v := range p.Labels {
		if !model.LabelName(k).IsValid() { //nolint:staticcheck // UTF-8 names are fine
			return firing{}, &ingest.Refusal{Code: "invalid_labels", Detail: fmt.Sprintf("label name %.100q is not valid", k)}
		}
		if v != "" {
			ls[model.LabelName(k)] = model.LabelValue(ingest.Clean(v))
		}
	}
	if len(ls) == 0 {
		return firing{}, &ingest.Refusal{Code: "invalid_labels", Detail: "at least one label is needed"}
	}
	if ref := h.tooBig(p); ref != nil {
		return firing{}, ref
	}
	start, err1 := when("startsAt", p.StartsAt)
	end, err2 := when("endsAt", p.EndsAt)
	if err := errors.Join(err1, err2); err != nil {
		return firing{}, &ingest.Refusal{Code: "bad_timestamp", Detail: err.Error()}
	}
	if start.IsZero() {
		if start = now; !end.IsZero() && end.Before(now) {
			start = end
		}
	}
	if !end.IsZero() && end.Before(start) {
		return firing{}, &ingest.Refusal{Code: "bad_timestamp", Detail: "endsAt lies before startsAt"}
	}
	return h.firing(p, ls, start, end, now), nil
}

func (h *Handler) firing(p *postable, ls model.LabelSet, start, end, now time.Time) firing {
	a := telemetry.Alert{
		Fingerprint: ls.Fingerprint().String(),
		Source:      protocol,
		Name:        string(ls[model.AlertNameLabel]),
		Labels:      map[string]string{},
		Severity:    string(ls["severity"]),
		StartsAt:    start.UnixMilli(),
		Link:        ingest.Clean(p.GeneratorURL),
	}
	for k, v := range ls {
		a.Labels[string(k)] = string(v)
	}
	for k, v := range p.Annotations {
		if a.Annotations == nil {
			a.Annotations = map[string]string{}
		}
		a.Annotations[ingest.Clean(k)] = ingest.Clean(v)
	}
	f := firing{alert: a, until: end}
	switch {
	case end.IsZero():
		f.until = now.Add(h.opts.ResolveTimeout)
	case !end.After(now):
		f.alert.EndsAt = end.UnixMilli()
	}
	return f
}

func (h *Handler) tooBig(p *postable) *ingest.Refusal {
	for _, set := range []map[string]string{p.Labels, p.Annotations} {
		if len(set) > h.limits.Labels {
			return &ingest.Refusal{Code: "too_many_labels", Detail: fmt.Sprintf("%d labels or annotations, the limit is %d", len(set), h.limits.Labels)}
		}
		for k, v := range set {
			if len(k)+len(v) > h.limits.LabelBytes {
				return &ingest.Refusal{Code: "label_too_long", Detail: fmt.Sprintf("label or annotation %.100q is longer than %d bytes", k, h.limits.LabelBytes)}
			}
		}
	}
	if len(p.GeneratorURL) > h.limits.LabelBytes {
		return &ingest.Refusal{Code: "label_too_long", Detail: fmt.Sprintf("generatorURL is longer than %d bytes", h.limits.LabelBytes)}
	}
	return nil
}

// when reads a time; "" and the year 1, which Go senders write for none, give
// the zero time.
func when(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s %.50q is not RFC 3339", field, s)
	}
	if t.Year() <= 1 {
		return time.Time{}, nil
	}
	if t.Year() < 1970 || t.Year() > 2261 {
		return time.Time{}, fmt.Errorf("%s %.50q is out of range", field, s)
	}
	return t, nil
}

// deliver hands alerts over and, once they are kept, watches their ends. It
// tells which were refused.
func (h *Handler) deliver(ctx context.Context, fs []firing) (refused []string, err error) {
	if len(fs) == 0 {
		return nil, nil
	}
	alerts := make([]telemetry.Alert, len(fs))
	for i := range fs {
		alerts[i] = clone(fs[i].alert)
	}
	res, err := h.opts.Sink.Alerts(ctx, alerts)
	if err != nil {
		h.opts.Counters.Items(protocol, ingest.OutcomeFailed, len(fs))
		h.opts.Counters.Reason(protocol, "not_durable", 1)
		return nil, err
	}
	h.opts.Counters.Result(protocol, res)
	drop := map[int]bool{}
	for _, rej := range res.Rejected {
		drop[rej.Index] = true
		refused = append(refused, rej.Detail)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, f := range fs {
		key := f.alert.Fingerprint
		_, known := h.open[key]
		switch {
		case drop[i]:
		case f.alert.EndsAt != 0:
			delete(h.open, key)
		case known || len(h.open) < maxOpen:
			h.open[key] = f
		default:
			h.opts.Counters.Reason(protocol, "end_not_watched", 1)
		}
	}
	return refused, nil
}

// clone copies an alert: the sink owns what it is given.
func clone(a telemetry.Alert) telemetry.Alert {
	copyMap := func(m map[string]string) map[string]string {
		if m == nil {
			return nil
		}
		out := make(map[string]string, len(m))
		for k, v := range m {
			out[k] = v
		}
		return out
	}
	a.Labels, a.Annotations = copyMap(a.Labels), copyMap(a.Annotations)
	return a
}

// Watch takes over alerts that fired before a restart: they end after the
// resolve timeout unless their sender repeats them.
func (h *Handler) Watch(alerts []telemetry.Alert) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range alerts {
		if a.Source == protocol && a.EndsAt == 0 && len(h.open) < maxOpen {
			h.open[a.Fingerprint] = firing{clone(a), h.opts.Now().Add(h.opts.ResolveTimeout)}
		}
	}
}

// Run ends alerts whose end has passed, until ctx ends.
func (h *Handler) Run(ctx context.Context) error {
	tick := time.NewTicker(expiryEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			h.expire(ctx)
		}
	}
}

func (h *Handler) expire(ctx context.Context) {
	now := h.opts.Now()
	var over []firing
	h.mu.Lock()
	for _, f := range h.open {
		if !f.until.After(now) {
			f.alert.EndsAt = max(f.until.UnixMilli(), f.alert.StartsAt)
			over = append(over, f)
		}
	}
	h.mu.Unlock()
	// An alert that is repeated meanwhile fires again with its next repetition.
	if _, err := h.deliver(ctx, over); err != nil {
		h.opts.Logger.Warn("cannot end alerts that are no longer sent, trying again", "alerts", len(over), "error", err)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // only maps and strings of ours
		status, b = http.StatusInternalServerError, []byte(`""`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the peer is gone: nobody to tell
}
