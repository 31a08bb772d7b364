package api_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type memLogs struct{ recs []telemetry.LogRecord }

func (m *memLogs) AppendLogs(_ context.Context, r []telemetry.LogRecord) ([]bool, error) {
	m.recs = append(m.recs, r...)
	return make([]bool, len(r)), nil
}
func (m *memLogs) SearchLogs(_ context.Context, q store.LogQuery, visit func(store.Row) bool) error {
	if strings.Contains(q.Query, "((") {
		return fmt.Errorf("%w: unbalanced", store.ErrBadQuery)
	}
	stats := map[[2]string]int{}
	text, isStats := q.Query, strings.Contains(q.Query, "| stats")
	recs := slices.Clone(m.recs)
	slices.SortFunc(recs, func(a, b telemetry.LogRecord) int { return int((b.Time - a.Time) / 1e6) })
	n := 0
	for _, r := range recs {
		if r.Time < q.From || r.Time > q.To {
			continue
		}
		if isStats {
			stats[[2]string{r.Entity.Name, strconv.FormatUint(r.Template, 10)}]++
			continue
		}
		if text != "" && text != "*" && !strings.Contains(r.Body+" "+r.Entity.Name, text) {
			continue
		}
		row := store.Row{"_time": time.Unix(0, r.Time).UTC().Format(time.RFC3339Nano), "_msg": r.Body, "service": r.Entity.Name, "severity": r.Severity.String(),
			"template": strconv.FormatUint(r.Template, 10), "trace_id": r.TraceID}
		for _, a := range append(slices.Clone(r.Resource), r.Attributes...) {
			row[a.Key] = a.Value
		}
		if n++; !visit(row) || n == q.Limit {
			return nil
		}
	}
	for k, v := range stats {
		visit(store.Row{"service": k[0], "template": k[1], "n": strconv.Itoa(v)})
	}
	return nil
}
func (m *memLogs) FlushLogs()   {}
func (m *memLogs) Close() error { return nil }

type memTraces struct{ spans []telemetry.Span }

func (m *memTraces) AppendSpans(_ context.Context, s []telemetry.Span) ([]bool, error) {
	m.spans = append(m.spans, s...)
	return make([]bool, len(s)), nil
}
func (m *memTraces) Trace(_ context.Context, id string) ([]telemetry.Span, error) {
	var out []telemetry.Span
	for _, s := range m.spans {
		if s.TraceID == id {
			out = append(out, s)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("trace: %w", store.ErrNotFound)
	}
	return out, nil
}
func (m *memTraces) SearchSpans(_ context.Context, q store.SpanQuery) ([]telemetry.Span, error) {
	return m.spans[:min(len(m.spans), q.Limit)], nil
}
func (m *memTraces) FlushSpans()  {}
func (m *memTraces) Close() error { return nil }
