package outbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/notify/channel"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// Handler serves the silences of Alertmanager's API v2: GET and POST
// /api/v2/silences, GET and DELETE /api/v2/silence/{id}. amtool and Grafana use
// them.
func (b *Outbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/silences", b.listSilences)
	mux.HandleFunc("POST /api/v2/silences", b.postSilence)
	mux.HandleFunc("GET /api/v2/silence/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, s := range b.Silences() {
			if s.ID == r.PathValue("id") {
				answer(w, http.StatusOK, gettable(s, b.o.Now()))
				return
			}
		}
		answer(w, http.StatusNotFound, "there is no such silence")
	})
	mux.HandleFunc("DELETE /api/v2/silence/{id}", func(w http.ResponseWriter, r *http.Request) {
		switch err := b.ExpireSilence(r.Context(), r.PathValue("id")); {
		case errors.Is(err, store.ErrNotFound):
			answer(w, http.StatusNotFound, "there is no such silence")
		case err != nil:
			answer(w, http.StatusInternalServerError, err.Error())
		default:
			w.WriteHeader(http.StatusOK)
		}
	})
	return mux
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a failed write means that the client is gone
}

// gettable is a silence as API v2 shows it.
func gettable(s notify.Silence, now time.Time) any {
	for i, m := range s.Matchers {
		if m.IsEqual == nil {
			yes := true
			s.Matchers[i].IsEqual = &yes
		}
	}
	return struct {
		notify.Silence
		Status map[string]string `json:"status"`
	}{s, map[string]string{"state": s.State(now)}}
}

func (b *Outbox) listSilences(w http.ResponseWriter, r *http.Request) {
	var filter labels.Matchers
	for _, f := range r.URL.Query()["filter"] {
		m, err := parse.Matcher(f)
		if err != nil {
			answer(w, http.StatusBadRequest, fmt.Sprintf("bad matcher: %v", err))
			return
		}
		filter = append(filter, m)
	}
	out := []any{}
	for _, s := range b.Silences() {
		if silenceHas(&s, filter) {
			out = append(out, gettable(s, b.o.Now()))
		}
	}
	answer(w, http.StatusOK, out)
}

// silenceHas reports whether the silence's own matchers have values that the
// filter accepts, as Alertmanager filters silences.
func silenceHas(s *notify.Silence, filter labels.Matchers) bool {
	for _, f := range filter {
		value := ""
		for _, m := range s.Matchers {
			if m.Name == f.Name {
				value = m.Value
			}
		}
		if !f.Matches(value) {
			return false
		}
	}
	return true
}

const maxSilenceBody = 64 << 10 // bytes

func (b *Outbox) postSilence(w http.ResponseWriter, r *http.Request) {
	var s notify.Silence
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSilenceBody)).Decode(&s); err != nil {
		answer(w, http.StatusBadRequest, fmt.Sprintf("cannot read the silence: %v", err))
		return
	}
	now := b.o.Now()
	if s.StartsAt.IsZero() {
		s.StartsAt = now
	}
	s.UpdatedAt = now
	fresh, code, err := b.placeSilence(&s, now)
	if err != nil {
		answer(w, code, err.Error())
		return
	}
	if fresh {
		s.ID = newID()
	}
	switch err := b.PutSilence(r.Context(), s); {
	case errors.Is(err, errStore):
		answer(w, http.StatusInternalServerError, err.Error())
	case err != nil:
		answer(w, http.StatusBadRequest, err.Error())
	default:
		answer(w, http.StatusOK, map[string]string{"silenceID": s.ID})
	}
}

// placeSilence says whether a silence gets an ID of its own: an expired one that
// is sent again does.
func (b *Outbox) placeSilence(s *notify.Silence, now time.Time) (fresh bool, code int, err error) {
	if !s.EndsAt.After(now) {
		return false, http.StatusBadRequest, errors.New("end time can't be in the past")
	}
	if s.ID == "" {
		return true, 0, nil
	}
	for _, old := range b.Silences() {
		if old.ID == s.ID {
			return old.State(now) == "expired", 0, nil
		}
	}
	return false, http.StatusNotFound, errors.New("there is no such silence")
}

// newID is a random UUID, version 4 (RFC 9562).
func newID() string {
	var x [16]byte
	_, _ = rand.Read(x[:]) // never fails
	x[6], x[8] = x[6]&0x0f|0x40, x[8]&0x3f|0x80
	h := hex.EncodeToString(x[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// SendTest sends a message that says it is a test.
func SendTest(ctx context.Context, r Receiver, now time.Time, base string) error {
	m := ops.Message{Change: ops.NoticeTest, Title: "Norn can reach you here", Severity: ops.LevelInfo, Link: base,
		Sentence: fmt.Sprintf("This is a test of receiver %s, sent at %s. Nothing is wrong.", r.Name, now.UTC().Format(time.RFC3339))}
	_, err := r.Channel.Send(ctx, channel.Note{Key: "test-" + newID(), Message: &m})
	if err != nil {
		return fmt.Errorf("receiver %s (%s): %w", r.Name, r.Kind, err)
	}
	return nil
}
