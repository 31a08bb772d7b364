package past

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
)

// protocol is the name in counters.
const protocol = "history"

// frameTimeout is how long the sender may leave the server waiting.
const frameTimeout = 2 * time.Minute

// Session is one import on the server's side. It belongs to one goroutine.
type Session interface {
	Sink
	// Finish stores what is still in memory and teaches the models.
	Finish(ctx context.Context, learning Progress) error
}

// HandlerOptions say who takes imports.
type HandlerOptions struct {
	// Begin begins an import; sum is what it reports into.
	Begin    func(ctx context.Context, source string, sum *Summary) (Session, error)
	Counters *ingest.Counters
	Logger   *slog.Logger // nil discards
}

// Handler takes streams of chunks.
type Handler struct {
	opts HandlerOptions
	busy sync.Mutex
}

// NewHandler makes a handler.
func NewHandler(o HandlerOptions) *Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{opts: o}
}

// ServeHTTP implements [http.Handler]. It answers lines of JSON: how far
// learning is, and at last what became of the import. A stream that breaks off
// is kept as far as it came. 409 says that another import is under way, 415 that
// the body is no stream of chunks.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/x-streamed-protobuf" {
		h.refuse(w, http.StatusUnsupportedMediaType, "bad_content_type", fmt.Errorf("the body must be %s", ContentType))
		return
	}
	if !h.busy.TryLock() {
		h.refuse(w, http.StatusConflict, "busy", errors.New("another import is under way: try again when it has ended"))
		return
	}
	defer h.busy.Unlock()
	source := ingest.Clean(r.URL.Query().Get("source"))
	// Learning goes on when the sender has gone: what was stored would be history
	// that nobody knows.
	ctx := context.WithoutCancel(r.Context())
	var sum Summary
	s, err := h.opts.Begin(ctx, source, &sum)
	if err != nil {
		h.refuse(w, http.StatusServiceUnavailable, "not_ready", err)
		return
	}
	rc := http.NewResponseController(w)
	streamErr := Read(r.Context(), r.Body, s, &sum, func() { _ = rc.SetReadDeadline(time.Now().Add(frameTimeout)) })
	_ = rc.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, last := json.NewEncoder(w), time.Time{}
	err = s.Finish(ctx, func(share float64) {
		if now := time.Now(); now.Sub(last) > time.Second/4 {
			last = now
			_ = enc.Encode(Event{Learning: &share}) // the sender may have gone
			_ = rc.Flush()
		}
	})
	if err = errors.Join(streamErr, err); err != nil {
		sum.Error = ingest.Clean(err.Error())
	}
	h.count(&sum)
	h.opts.Logger.Info("history imported", "source", source, "samples", sum.Samples, "duplicates", sum.Duplicates, "series", sum.Series, "learned", sum.Learned, "err", err)
	if sum.Problems == nil {
		sum.Problems = []Problem{}
	}
	_ = enc.Encode(Event{Summary: &sum})
}

func (h *Handler) count(sum *Summary) {
	h.opts.Counters.Items(protocol, ingest.OutcomeAccepted, sum.Samples)
	for reason, n := range sum.Refused {
		h.opts.Counters.Reject(protocol, reason, n)
	}
}

func (h *Handler) refuse(w http.ResponseWriter, status int, reason string, err error) {
	h.opts.Counters.Reason(protocol, reason, 1)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Connection", "close") // the rest of the stream is not wanted
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Event{Summary: &Summary{Error: err.Error(), Problems: []Problem{}}})
}
