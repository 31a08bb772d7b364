// Package remotewrite receives Prometheus remote write 1.0 and 2.0.
//
// It puts limits, counters and the keeping of good samples around the library
// handler of Prometheus, which decodes and appends. It does not listen: the
// handler is mounted on a server. A 2xx is answered only after Commit returned.
//
// What is answered: 204 when all was kept; 400 when some samples were refused
// for good (the others are kept, the text says what was wrong; for 2.0 the
// X-Prometheus-Remote-Write-*-Written headers tell how much was kept); 413, 415
// for what cannot be taken at all; 503 when nothing is durable and the sender
// must try again.
//
// The main type is [Handler]; it is safe for concurrent use.
package remotewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"

	"github.com/norn-aiops/norn/internal/ingest"
)

const protocol = "remote_write"

// Options say whom to hand samples to.
type Options struct {
	Metrics  storage.AppendableV2
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
}

// Handler answers POST requests of remote write senders.
type Handler struct {
	opts   Options
	limits ingest.Limits
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Handler{opts: o, limits: o.Limits.WithDefaults()}
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, err := messageType(r)
	var body []byte
	if err == nil {
		body, err = h.read(r)
	}
	if err != nil {
		var re *ingest.RequestError
		if !errors.As(err, &re) {
			re = &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_request", Err: err}
		}
		h.opts.Counters.Reason(protocol, re.Reason, 1)
		http.Error(w, re.Error(), re.Status)
		return
	}
	out := h.attempt(r, body, version)
	if version == remoteapi.WriteV1MessageType && out.status == http.StatusBadRequest && out.guard.Fatal == nil {
		// The library gives up a whole 1.0 request for one sample in the far
		// future. Take such samples out and try again.
		if fixed, dropped, ok := h.withoutFuture(body); ok {
			out = h.attempt(r, fixed, version)
			out.guard.Reject("too_far_in_future", fmt.Sprintf("%d samples lie more than %s in the future", dropped, ingest.MaxAhead), dropped)
		}
	}
	h.reply(w, out)
}

// read takes the compressed body and checks how large it will become.
func (h *Handler) read(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, h.limits.Bytes))
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return nil, h.tooLarge(err)
	}
	if err != nil {
		return nil, &ingest.RequestError{Status: http.StatusBadRequest, Reason: "truncated_body", Err: fmt.Errorf("read request body: %w", err)}
	}
	if n, err := snappy.DecodedLen(body); err == nil && int64(n) > h.limits.Bytes {
		return nil, h.tooLarge(fmt.Errorf("request body of %d bytes is larger than %d", n, h.limits.Bytes))
	}
	return body, nil
}

func (h *Handler) tooLarge(err error) error {
	return &ingest.RequestError{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Err: err}
}

// messageType says which version a request is of, and refuses other content
// before its body is read.
func messageType(r *http.Request) (remoteapi.WriteMessageType, error) {
	ct := r.Header.Get("Content-Type")
	if ct == "" || r.Method != http.MethodPost {
		return remoteapi.WriteV1MessageType, nil
	}
	t, err := remoteapi.ParseProtoMsg(ct)
	if err != nil {
		return "", &ingest.RequestError{Status: http.StatusUnsupportedMediaType, Reason: "unsupported_media_type", Err: err}
	}
	return t, nil
}

// outcome is what one run of the library handler gave.
type outcome struct {
	guard   *ingest.Guard
	invalid int // samples that the library left out for their labels
	header  http.Header
	status  int
	body    bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (o *outcome) Header() http.Header { return o.header }

// WriteHeader implements [http.ResponseWriter].
func (o *outcome) WriteHeader(code int) {
	if o.status == 0 {
		o.status = code
	}
}

// Write implements [http.ResponseWriter].
func (o *outcome) Write(b []byte) (int, error) {
	o.WriteHeader(http.StatusOK)
	return o.body.Write(b)
}

// attempt runs a library handler made for this request only: that is how the
// samples that it leaves out silently can be told from those of other requests.
func (h *Handler) attempt(r *http.Request, body []byte, version remoteapi.WriteMessageType) *outcome {
	out := &outcome{guard: ingest.NewGuard(h.opts.Metrics, h.limits, h.opts.Now()), header: http.Header{}}
	// 2.0 has partial writes of its own; 1.0 would stop at the first bad sample.
	out.guard.Lenient = version == remoteapi.WriteV1MessageType
	var seen registered
	lib := remote.NewWriteHandler(h.opts.Logger, &seen, out.guard,
		remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}, false, true)
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	again.ContentLength = int64(len(body))
	lib.ServeHTTP(out, again)
	if out.status == 0 {
		out.status = http.StatusOK
	}
	out.invalid = seen.value("remote_write_invalid_labels_samples_total")
	return out
}

// reply counts, and answers as the package comment says.
func (h *Handler) reply(w http.ResponseWriter, out *outcome) {
	g, c := out.guard, h.opts.Counters
	kept := g.Accepted
	failed := g.Fatal != nil
	switch {
	case failed:
		c.Items(protocol, ingest.OutcomeFailed, max(kept, 1))
		c.Reason(protocol, "not_durable", 1)
		kept = 0
	case out.status/100 == 5:
		// Not the store's doing: the request could not be read.
		out.status = http.StatusBadRequest
	}
	if !failed {
		if out.header.Get(writtenSamples) != "" {
			kept = written(out.header)
		}
		c.Items(protocol, ingest.OutcomeAccepted, kept)
		for reason, n := range g.Rejected {
			c.Reject(protocol, reason, n)
		}
		c.Reject(protocol, "invalid_labels", out.invalid)
	}
	refused := g.Total() + out.invalid
	text := ingest.Clean(strings.TrimSpace(out.body.String()))
	switch {
	case failed:
		out.status, text = http.StatusServiceUnavailable, "store samples: "+g.Fatal.Error()
	case out.status/100 == 2 && refused > 0:
		out.status, text = http.StatusBadRequest, fmt.Sprintf("%d samples refused, the others are kept; %s", refused, g.Detail)
	case out.status/100 == 4 && refused == 0:
		c.Reason(protocol, "bad_request", 1)
	}
	for k, v := range out.header {
		if k != "Content-Length" {
			w.Header()[k] = v
		}
	}
	if out.status/100 == 2 {
		w.WriteHeader(out.status)
		return
	}
	http.Error(w, text, out.status)
}

const (
	writtenSamples    = "X-Prometheus-Remote-Write-Samples-Written"
	writtenHistograms = "X-Prometheus-Remote-Write-Histograms-Written"
)

func written(h http.Header) int {
	s, _ := strconv.Atoi(h.Get(writtenSamples))
	n, _ := strconv.Atoi(h.Get(writtenHistograms))
	return s + n
}

// registered is a registry that only holds on to what the library registers.
type registered struct{ all []prometheus.Collector }

// Register implements [prometheus.Registerer].
func (r *registered) Register(c prometheus.Collector) error {
	r.all = append(r.all, c)
	return nil
}

// MustRegister implements [prometheus.Registerer].
func (r *registered) MustRegister(cs ...prometheus.Collector) { r.all = append(r.all, cs...) }

// Unregister implements [prometheus.Registerer].
func (r *registered) Unregister(prometheus.Collector) bool { return false }

// value reads the counter whose name ends with suffix.
func (r *registered) value(suffix string) int {
	for _, c := range r.all {
		m, ok := c.(prometheus.Counter)
		if !ok || !strings.Contains(m.Desc().String(), suffix) {
			continue
		}
		var out dto.Metric
		if m.Write(&out) == nil {
			return int(out.GetCounter().GetValue())
		}
	}
	return 0
}
