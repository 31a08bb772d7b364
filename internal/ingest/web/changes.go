package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// planned is how far ahead a change may be announced.
const planned = 24 * time.Hour

var changeKinds = []telemetry.ChangeKind{
	telemetry.ChangeDeploy, telemetry.ChangeConfig, telemetry.ChangeScale, telemetry.ChangeFlag, telemetry.ChangeEvent,
}

var entityKinds = []telemetry.EntityKind{
	telemetry.KindService, telemetry.KindInstance, telemetry.KindHost, telemetry.KindDatabase, telemetry.KindQueue, telemetry.KindCache,
	telemetry.KindFunction, telemetry.KindDevice, telemetry.KindSegment, telemetry.KindExternal, telemetry.KindZone, telemetry.KindApplication,
}

// change is one change as it is sent.
type change struct {
	ID     string          `json:"id"`     // optional; the same id again replaces
	Kind   string          `json:"kind"`   // deploy, config, scale, flag or event
	Entity string          `json:"entity"` // "service/cart", or "cart" for a service
	Time   json.RawMessage `json:"time"`   // RFC 3339 or Unix time; missing is now
	Title  string          `json:"title"`
	Actor  string          `json:"actor"`
	Link   string          `json:"link"` // http or https
}

// ServeChanges takes one change or an array. Each bad one is named with its
// field; the others are kept.
func (h *Handler) ServeChanges(w http.ResponseWriter, r *http.Request) {
	body, err := ingest.ReadBody(r, h.limits.Bytes)
	if err != nil {
		h.refuse(w, protocolChanges, err)
		return
	}
	raws, err := changeDocs(body, h.limits.Batch)
	if err != nil {
		h.refuse(w, protocolChanges, err)
		return
	}
	var rep Report
	var good []telemetry.Change
	var at []int
	now := h.opts.Now()
	for i, raw := range raws {
		ch, p := h.change(raw, now)
		if p != nil {
			p.Index = &i
			h.reject(&rep, protocolChanges, 1, *p)
			continue
		}
		good, at = append(good, ch), append(at, i)
	}
	if len(good) > 0 {
		res, err := h.opts.Sink.Changes(r.Context(), good)
		if err != nil {
			h.tryAgain(w, protocolChanges, len(good), err)
			return
		}
		h.opts.Counters.Items(protocolChanges, ingest.OutcomeAccepted, res.Accepted)
		h.opts.Counters.Items(protocolChanges, ingest.OutcomeDuplicate, res.Duplicates)
		rep.Accepted, rep.Duplicates = res.Accepted, res.Duplicates
		for _, rej := range res.Rejected {
			p := Problem{Reason: rej.Reason, Detail: rej.Detail}
			if rej.Index >= 0 && rej.Index < len(at) {
				p.Index = &at[rej.Index]
			}
			h.reject(&rep, protocolChanges, 1, p)
		}
	}
	finish(w, &rep)
}

// changeDocs splits an array, or wraps a single object.
func changeDocs(body []byte, limit int) ([]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	bad := func(err error) error {
		return &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_json", Err: fmt.Errorf("a JSON object or an array of objects is expected: %w", err)}
	}
	if len(body) == 0 {
		return nil, bad(errors.New("the body is empty"))
	}
	var out []json.RawMessage
	if body[0] != '[' {
		var one json.RawMessage
		if err := json.Unmarshal(body, &one); err != nil {
			return nil, bad(err)
		}
		return append(out, one), nil
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, bad(err)
	}
	if len(out) > limit {
		return nil, &ingest.RequestError{Status: http.StatusRequestEntityTooLarge, Reason: "batch_too_large",
			Err: fmt.Errorf("%d changes in one request, the limit is %d", len(out), limit)}
	}
	return out, nil
}

func (h *Handler) change(raw json.RawMessage, now time.Time) (telemetry.Change, *Problem) {
	var c change
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return telemetry.Change{}, decodeProblem(err)
	}
	for field, s := range map[string]*string{"id": &c.ID, "kind": &c.Kind, "entity": &c.Entity, "title": &c.Title, "actor": &c.Actor, "link": &c.Link} {
		if *s = strings.TrimSpace(ingest.Clean(*s)); len(*s) > h.limits.LabelBytes {
			return telemetry.Change{}, &Problem{Field: field, Reason: "label_too_long", Detail: fmt.Sprintf("longer than %d bytes", h.limits.LabelBytes)}
		}
	}
	ch := telemetry.Change{ID: c.ID, Kind: telemetry.ChangeKind(c.Kind), Title: c.Title, Actor: c.Actor, Link: c.Link}
	var p *Problem
	if !slices.Contains(changeKinds, ch.Kind) {
		return ch, &Problem{Field: "kind", Reason: "bad_kind", Detail: fmt.Sprintf("%.50q is none of deploy, config, scale, flag, event", c.Kind)}
	}
	if ch.Entity, p = entity(c.Entity); p != nil {
		return ch, p
	}
	if ch.Time, p = changeTime(c.Time, now); p != nil {
		return ch, p
	}
	if u, err := url.Parse(c.Link); c.Link != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		return ch, &Problem{Field: "link", Reason: "bad_link", Detail: "a link is an http or https URL"}
	}
	if ch.Title == "" {
		ch.Title = c.Kind + " of " + ch.Entity.Name
	}
	return ch, nil
}

func decodeProblem(err error) *Problem {
	p := &Problem{Reason: "bad_json", Detail: err.Error()}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		p.Field, p.Reason, p.Detail = wrong.Field, "bad_type", fmt.Sprintf("a %s is expected, not a %s", wrong.Type, wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		p.Field, p.Reason, p.Detail = strings.Trim(name, `"`), "unknown_field", "there is no such field"
	}
	if errors.Is(err, io.EOF) {
		p.Detail = "empty"
	}
	return p
}

func entity(s string) (telemetry.Entity, *Problem) {
	e := telemetry.ParseEntity(s)
	if e.Name == "" {
		return e, &Problem{Field: "entity", Reason: "missing_field", Detail: `which thing changed is needed, e.g. "service/cart"`}
	}
	if !slices.Contains(entityKinds, e.Kind) {
		return e, &Problem{Field: "entity", Reason: "bad_entity", Detail: fmt.Sprintf("%.50q is no kind of entity", e.Kind)}
	}
	return e, nil
}

// changeTime reads a JSON string or number into Unix ms; nothing or null is now.
func changeTime(raw json.RawMessage, now time.Time) (int64, *Problem) {
	text := string(raw)
	if text == "" || text == "null" {
		return now.UnixMilli(), nil
	}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, &Problem{Field: "time", Reason: "bad_timestamp", Detail: err.Error()}
		}
	}
	t, err := ingest.ParseTime(text)
	if err != nil {
		return 0, &Problem{Field: "time", Reason: "bad_timestamp", Detail: err.Error()}
	}
	if t.After(now.Add(planned)) {
		return 0, &Problem{Field: "time", Reason: "too_far_in_future", Detail: "a change may be announced one day ahead"}
	}
	return t.UnixMilli(), nil
}
