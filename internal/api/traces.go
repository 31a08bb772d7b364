package api

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type tracesInput struct {
	Range
	Service     string  `query:"service"`
	Operation   string  `query:"operation"`
	MinDuration float64 `query:"min_duration_seconds" minimum:"0" maximum:"86400"`
	OnlyErrors  bool    `query:"only_errors"`
	Limit       int     `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// SpanList is spans: of a search newest first, of a trace by start.
type SpanList struct {
	Spans []telemetry.Span `json:"spans" nullable:"false"`
	Total int              `json:"total" doc:"Spans in the trace; at most 5000 are sent."`
}

// maxSpans bounds the spans of one trace that are sent.
const maxSpans = 5000

func (s *Server) searchTraces(ctx context.Context, in *tracesInput) (*body[SpanList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(in.MinDuration) { // passes every comparison with a bound
		return nil, fmt.Errorf("%w: min_duration_seconds is not a number", errBadRequest)
	}
	list, err := s.traces.SearchSpans(ctx, store.SpanQuery{Service: in.Service, Operation: in.Operation, From: from * 1e6,
		To: to*1e6 + 999_999, MinDuration: time.Duration(in.MinDuration * float64(time.Second)), OnlyErrors: in.OnlyErrors, Limit: in.Limit})
	if err != nil {
		return nil, fmt.Errorf("search spans: %w", err)
	}
	return ok(SpanList{Spans: nonNil(list), Total: len(list)}), nil
}

type traceInput struct {
	ID string `path:"id" pattern:"^[0-9a-fA-F]{1,32}$"`
}

func (s *Server) getTrace(ctx context.Context, in *traceInput) (*body[SpanList], error) {
	list, err := s.traces.Trace(ctx, strings.ToLower(in.ID)) // as W3C and OTLP write it
	if err != nil {
		return nil, fmt.Errorf("read trace %s: %w", in.ID, err)
	}
	return ok(SpanList{Spans: nonNil(list[:min(len(list), maxSpans)]), Total: len(list)}), nil
}
