package where

import (
	"context"
	"fmt"
	"time"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	maxSpans   = 20_000 // read of each of both times, the newest
	maxOfField = 200    // values that an attribute may have
)

// SpanQuery asks for the attributes that the failures or the latency of a
// service's requests come from.
type SpanQuery struct {
	Service   string
	Operation string // only this one; "" means all
	Latency   bool   // mean seconds; else the share of failures
	By        []string
	Limit     int // spans read of each time; 0 means 20,000
	Window
}

// Spans drills down into the requests that a service served: operation,
// instance, attributes and resource attributes. At most 20,000 spans of each
// time are read, the newest.
func Spans(ctx context.Context, tr store.Traces, q SpanQuery) (Answer, error) {
	if err := q.check(); err != nil {
		return Answer{}, err
	}
	if q.Service == "" {
		return Answer{}, fmt.Errorf("%w: spans of which service?", ErrAsked)
	}
	if q.Limit <= 0 || q.Limit > maxSpans {
		q.Limit = maxSpans
	}
	now, err := q.read(ctx, tr, q.From, q.To)
	if err != nil {
		return Answer{}, err
	}
	before, err := q.read(ctx, tr, q.AgainstFrom, q.AgainstTo)
	if err != nil {
		return Answer{}, err
	}
	few := fewValues(append(now[:len(now):len(now)], before...))
	t := newTable(q.By)
	for i, set := range [][]span{now, before} {
		for _, s := range set {
			for k := range s.fields {
				if !few[k] {
					delete(s.fields, k)
				}
			}
			l := t.at(s.fields)
			num, den := &l.now, &l.nowPer
			if i == 1 {
				num, den = &l.before, &l.beforePer
			}
			*den++
			switch {
			case q.Latency:
				*num += s.seconds
			case s.failed:
				*num++
			}
		}
	}
	kind, what := drilldown.Share, "failed requests of "
	if q.Latency {
		kind, what = drilldown.Mean, "seconds of "
	}
	a, err := t.find(kind, 1)
	a.Counted, a.Per = what+q.Service, "requests of "+q.Service
	return a, err
}

// span is what counts of a span.
type span struct {
	fields  map[string]string
	seconds float64
	failed  bool
}

func (q SpanQuery) read(ctx context.Context, tr store.Traces, from, to int64) ([]span, error) {
	got, err := tr.SearchSpans(ctx, store.SpanQuery{Service: q.Service, Operation: q.Operation, From: from * 1e6, To: to*1e6 - 1, Limit: q.Limit})
	if err != nil {
		return nil, fmt.Errorf("cannot read the spans of %s: %w", q.Service, err)
	}
	served := false
	for i := range got {
		served = served || entry(&got[i])
	}
	var out []span
	for i := range got {
		s := &got[i]
		if served && !entry(s) {
			continue
		}
		f := map[string]string{"operation": s.Name, "instance": s.Instance.Name}
		for _, as := range [][]telemetry.Attr{s.Resource, s.Attributes} {
			for _, a := range as {
				f[a.Key] = a.Value
			}
		}
		// What says that it failed is no place where it fails.
		for _, k := range statuses() {
			delete(f, k)
		}
		for _, k := range []string{"http.status_code", "http.response.status_code", "rpc.grpc.status_code", "error.type", "otel.status_code", "otel.status_description"} {
			delete(f, k)
		}
		out = append(out, span{f, time.Duration(s.End - s.Start).Seconds(), s.Error})
	}
	return out, nil
}

func entry(s *telemetry.Span) bool {
	return s.Kind == telemetry.SpanServer || s.Kind == telemetry.SpanConsumer
}

// fewValues finds the fields that part spans into groups: ids do not.
func fewValues(spans []span) map[string]bool {
	values := map[string]map[string]bool{}
	for _, s := range spans {
		for k, v := range s.fields {
			if values[k] == nil {
				values[k] = map[string]bool{}
			}
			if len(values[k]) <= maxOfField {
				values[k][v] = true
			}
		}
	}
	out := map[string]bool{}
	for k, vs := range values {
		out[k] = len(vs) <= maxOfField && (len(vs) <= 10 || len(vs)*5 < len(spans))
	}
	return out
}
