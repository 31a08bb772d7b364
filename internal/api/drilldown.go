package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/where"
)

type drilldownInput struct {
	Range
	Source  string `query:"source" enum:"metrics,logs,traces" default:"metrics" doc:"metrics: query is a selector or PromQL; logs: a LogsQL filter; traces: the name of a service."`
	Query   string `query:"query" required:"true" maxLength:"10000"`
	Per     string `query:"per" maxLength:"10000" doc:"Denominator, of the same form. Metrics without it take what the query suggests (requests of any status, _count for _sum); 'none' takes none."`
	By      string `query:"by" maxLength:"1000" doc:"Comma-separated dimensions to search; empty means all that vary, at most eight."`
	Measure string `query:"measure" enum:"errors,latency" default:"errors" doc:"Of traces."`
	Against string `query:"against" maxLength:"100" default:"before" doc:"What to compare with: before (six times as long, right before), or an age such as 1d or 1w by which the same window is moved back."`
}

func (in *drilldownInput) window(now time.Time) (where.Window, error) {
	from, to, err := in.resolve(now, 15*time.Minute)
	if err != nil {
		return where.Window{}, err
	}
	if in.Against == "" || in.Against == "before" {
		return where.Before(from, to), nil
	}
	d, err := model.ParseDuration(strings.TrimPrefix(in.Against, "-"))
	if err != nil || d == 0 {
		return where.Window{}, fmt.Errorf("%w: against=%q is neither 'before' nor an age such as 1d", errBadRequest, in.Against)
	}
	return where.Earlier(from, to, time.Duration(d).Milliseconds()), nil
}

// drilldown finds the combination of labels, fields or attributes that a
// deviation comes from.
func (s *Server) drilldown(ctx context.Context, in *drilldownInput) (*body[where.Answer], error) {
	w, err := in.window(s.now())
	if err != nil {
		return nil, err
	}
	var by []string
	for f := range strings.SplitSeq(in.By, ",") {
		if f = strings.TrimSpace(f); f != "" {
			by = append(by, f)
		}
	}
	var a where.Answer
	switch in.Source {
	case "logs":
		a, err = where.Logs(ctx, s.logs, where.LogQuery{Query: in.Query, Per: in.Per, By: by, Window: w})
	case "traces":
		a, err = where.Spans(ctx, s.traces, where.SpanQuery{Service: in.Query, Latency: in.Measure == "latency", By: by, Window: w})
	default:
		if a, err = where.Metrics(ctx, s.metrics, where.MetricQuery{Query: in.Query, Per: in.Per, By: by, Window: w}); err != nil {
			err = blameQuery(ctx, err)
		}
	}
	if errors.Is(err, where.ErrAsked) {
		err = fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if err != nil {
		return nil, fmt.Errorf("drill down: %w", err)
	}
	a.Dims = nonNil(a.Dims)
	return ok(a), nil
}
