package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/norn-aiops/norn/internal/store"
)

type queryInput struct {
	Range
	Expr   string `query:"expr" required:"true" maxLength:"10000" doc:"PromQL."`
	Points int    `query:"points" minimum:"10" maximum:"5000" default:"600"`
	Series string `query:"series" maxLength:"20" doc:"Id of a watched series whose expected band is wanted as well."`
}

// maxCurves bounds the curves of one answer; nobody can read more.
const maxCurves = 100

// LabelledCurve is one series of a query's result.
type LabelledCurve struct {
	Labels map[string]string `json:"labels"`
	Values Curve             `json:"values"`
}

// QueryResult is the result of a PromQL range query.
type QueryResult struct {
	From   int64           `json:"from_unix_ms"`
	To     int64           `json:"to_unix_ms"`
	StepMS int64           `json:"step_ms"`
	Result []LabelledCurve `json:"result" nullable:"false"`
	Total  int             `json:"total" doc:"Series in the full result; at most 100 are sent."`
	Band   BandCurve       `json:"band"`
}

// blameQuery marks an error as the caller's unless it is a store's or a
// deadline's: what remains is that the expression cannot be evaluated on these
// series (many-to-many matching, too many samples).
func blameQuery(ctx context.Context, err error) error {
	_, stored := errors.AsType[promql.ErrStorage](err)
	_, late := errors.AsType[promql.ErrQueryTimeout](err)
	_, gone := errors.AsType[promql.ErrQueryCanceled](err)
	switch {
	case late:
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case stored || gone || ctx.Err() != nil || errors.Is(err, store.ErrBadQuery):
		return err
	}
	return fmt.Errorf("%w: %w", errBadRequest, err)
}

func (s *Server) query(ctx context.Context, in *queryInput) (*body[QueryResult], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	step := fineStep(to - from)
	list, err := s.metrics.QueryRange(ctx, in.Expr, min(alignUp(from, step), to), to, step)
	if err != nil {
		return nil, fmt.Errorf("query: %w", blameQuery(ctx, err))
	}
	out := QueryResult{From: from, To: to, StepMS: step, Total: len(list), Result: []LabelledCurve{}, Band: toBand(nil)}
	for _, sd := range list[:min(len(list), maxCurves)] {
		out.Result = append(out.Result, LabelledCurve{Labels: sd.Labels.Map(), Values: toCurve(breakGaps(thin(sd.Samples, in.Points)))})
	}
	if in.Series != "" {
		id, err := parseSeriesID(in.Series)
		if err != nil {
			return nil, err
		}
		bs := niceStep(to-from, in.Points)
		out.Band = toBand(s.live.Bands(id, alignUp(from, bs), to, bs))
	}
	return ok(out), nil
}
