package vlogs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
	"github.com/cespare/xxhash/v2"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var _ store.Traces = (*Traces)(nil)

// Traces is a store of spans. Make one with [OpenTraces].
type Traces struct{ e *engine }

// OpenTraces opens or creates a span store in dir, which no other store may
// use. What the last run left in the spool is in the storage when it returns.
func OpenTraces(dir string, o Options) (*Traces, error) {
	e, err := openEngine("trace store", dir, o)
	if err != nil {
		return nil, err
	}
	return &Traces{e}, nil
}

// AppendSpans returns when the spans are in the spool: they survive SIGKILL.
// A span whose trace and span id were seen within the dedup window, or before
// in the same batch, is dropped; so is one outside the retention. It blocks
// while the storage is behind; a ctx that ends then gives an error, and
// nothing was taken.
func (t *Traces) AppendSpans(ctx context.Context, spans []telemetry.Span) ([]bool, error) {
	rows := make([]row, 0, len(spans))
	at := make([]int, 0, len(spans))
	seen := make(map[uint64]struct{}, len(spans))
	for i := range spans {
		r, clipped, err := spanRow(&spans[i])
		if err != nil {
			return make([]bool, len(spans)), fmt.Errorf("trace store: cannot encode span %s of trace %s: %w", spans[i].SpanID, spans[i].TraceID, err)
		}
		if clipped {
			t.e.shortened.Add(1)
		}
		if r.id != 0 {
			if _, ok := seen[r.id]; ok {
				t.e.duplicates.Add(1)
				continue
			}
			seen[r.id] = struct{}{}
		}
		rows, at = append(rows, r), append(at, i)
	}
	took, err := t.e.append(ctx, rows)
	accepted := make([]bool, len(spans))
	for k, i := range at {
		accepted[i] = took[k]
	}
	return accepted, err
}

// Trace returns the spans of one trace, earliest start first; a trace without
// spans gives store.ErrNotFound.
func (t *Traces) Trace(ctx context.Context, traceID string) ([]telemetry.Span, error) {
	var out []telemetry.Span
	var bad error
	err := t.e.run(ctx, "trace_id:="+strconv.Quote(traceID), math.MinInt64, math.MaxInt64, nil, func(r map[string]string) bool {
		s, err := spanOf(r)
		if err != nil {
			bad = err
			return false
		}
		out = append(out, s)
		return true
	})
	if err = cmp.Or(err, bad); err != nil {
		return nil, fmt.Errorf("trace store: cannot read trace %q: %w", traceID, err)
	}
	if traceID == "" || len(out) == 0 {
		return nil, fmt.Errorf("trace store: trace %q: %w", traceID, store.ErrNotFound)
	}
	slices.SortFunc(out, func(a, b telemetry.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.SpanID, b.SpanID))
	})
	return out, nil
}

// SearchSpans returns matching spans, newest start first.
func (t *Traces) SearchSpans(ctx context.Context, q store.SpanQuery) ([]telemetry.Span, error) {
	var terms []string
	if q.Service != "" {
		terms = append(terms, "service:="+strconv.Quote(q.Service))
	}
	if q.Operation != "" {
		terms = append(terms, "name:="+strconv.Quote(q.Operation))
	}
	if q.MinDuration > 0 {
		terms = append(terms, fmt.Sprintf("duration_ns:>=%d", q.MinDuration.Nanoseconds()))
	}
	if q.OnlyErrors {
		terms = append(terms, "error:=true")
	}
	if len(terms) == 0 {
		terms = append(terms, "*")
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	out := []telemetry.Span{}
	var bad error
	lq := store.LogQuery{Query: strings.Join(terms, " "), From: q.From, To: q.To, Limit: q.Limit}
	err := t.e.search(ctx, lq, func(r map[string]string) bool {
		s, err := spanOf(r)
		if err != nil {
			bad = err
			return false
		}
		out = append(out, s)
		return true
	})
	if err = cmp.Or(err, bad); err != nil {
		return nil, fmt.Errorf("trace store: cannot search spans: %w", err)
	}
	return out, nil
}

// FlushSpans makes everything appended so far visible.
func (t *Traces) FlushSpans() { t.e.flush() }

// Stats returns sizes and counters.
func (t *Traces) Stats() Stats { return t.e.stats() }

// Close feeds what is queued, writes it to files and releases the directory.
// Closing twice is allowed.
func (t *Traces) Close() error { return t.e.close() }

// maxAttrBytes bounds the JSON of a span's attributes, and of its resource;
// longer values are cut so that the JSON stays whole.
const maxAttrBytes = 512 << 10

func spanRow(s *telemetry.Span) (r row, clipped bool, err error) {
	b := builder{fields: make([]logstorage.Field, 0, 16)}
	b.put("service", s.Entity.Name)
	b.put("instance", s.Instance.Name)
	b.put("entity_kind", string(s.Entity.Kind))
	b.put("instance_kind", string(s.Instance.Kind))
	b.put("trace_id", s.TraceID)
	b.put("span_id", s.SpanID)
	b.put("parent_id", s.ParentID)
	b.put("name", s.Name)
	b.put("kind", string(s.Kind))
	b.put("duration_ns", strconv.FormatInt(s.End-s.Start, 10))
	if s.Error {
		b.put("error", "true")
	}
	b.put("status_message", s.StatusMessage)
	for _, part := range []struct {
		name  string
		attrs []telemetry.Attr
	}{{"attributes", s.Attributes}, {"resource", s.Resource}} {
		text, cut, err := attrJSON(part.attrs)
		if err != nil {
			return r, false, err
		}
		b.clipped = b.clipped || cut
		b.put(part.name, text)
	}
	b.fit()
	r = row{time: s.Start, fields: b.fields}
	if s.SpanID != "" {
		r.id = xxhash.Sum64String(s.TraceID + "/" + s.SpanID)
	}
	return r, b.clipped, nil
}

func attrJSON(attrs []telemetry.Attr) (text string, cut bool, err error) {
	if len(attrs) == 0 {
		return "", false, nil
	}
	for limit := 64 << 10; ; limit /= 2 {
		j, err := json.Marshal(attrs)
		if err != nil || len(j) <= maxAttrBytes {
			return string(j), cut, err
		}
		cut = true
		if limit == 0 {
			attrs = attrs[:len(attrs)/2]
			continue
		}
		attrs = slices.Clone(attrs)
		for i := range attrs {
			attrs[i].Value = clip(attrs[i].Value, limit)
		}
	}
}

func spanOf(r map[string]string) (telemetry.Span, error) {
	s := telemetry.Span{
		TraceID: r["trace_id"], SpanID: r["span_id"], ParentID: r["parent_id"],
		Name: r["name"], Kind: telemetry.SpanKind(r["kind"]), Error: r["error"] == "true", StatusMessage: r["status_message"],
		Entity:   telemetry.Entity{Kind: telemetry.EntityKind(r["entity_kind"]), Name: r["service"]},
		Instance: telemetry.Entity{Kind: telemetry.EntityKind(r["instance_kind"]), Name: r["instance"]},
	}
	start, err := time.Parse(time.RFC3339Nano, r["_time"])
	if err != nil {
		return s, fmt.Errorf("stored span %s has no time: %w", s.SpanID, err)
	}
	s.Start = start.UnixNano()
	d, err := strconv.ParseInt(r["duration_ns"], 10, 64)
	if err != nil {
		return s, fmt.Errorf("stored span %s has no duration: %w", s.SpanID, err)
	}
	s.End = s.Start + d
	for name, to := range map[string]*[]telemetry.Attr{"attributes": &s.Attributes, "resource": &s.Resource} {
		if text := r[name]; text != "" {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				return s, fmt.Errorf("stored span %s has damaged %s: %w", s.SpanID, name, err)
			}
		}
	}
	return s, nil
}
