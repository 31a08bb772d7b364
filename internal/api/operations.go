package api

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

type operationsInput struct {
	Range
	Entity string `query:"entity" doc:"kind/name; empty is all."`
	Sort   string `query:"sort" enum:"time,latency,errors,rate,slower" default:"time" doc:"time: rate times mean self time, what uses most; slower: latency against the time before."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// Operation is one operation of a service in a range.
type Operation struct {
	Entity        telemetry.Entity `json:"entity"`
	Name          string           `json:"operation"`
	Rate          float64          `json:"request_rate" doc:"Requests a second."`
	ErrorRatio    *float64         `json:"error_ratio"`
	P95           *float64         `json:"p95_seconds" doc:"Mean of the windows' 95th percentiles, weighed by requests."`
	SelfTime      *float64         `json:"self_time_seconds" doc:"Mean time of a request in the service itself, its remote calls taken off."`
	BusyRatio     *float64         `json:"busy_ratio" doc:"request_rate times self_time_seconds: seconds of work a second."`
	P95Before     *float64         `json:"p95_before_seconds" doc:"In the range of equal length before."`
	ErrorsBefore  *float64         `json:"error_ratio_before"`
	RateBefore    *float64         `json:"request_rate_before"`
	SlowestQuery  string           `json:"slowest_query" doc:"Parameters of GET /api/v1/traces that find its slow spans."`
	FailuresQuery string           `json:"failures_query" doc:"Parameters of GET /api/v1/traces that find its failed spans."`
}

// OperationList is operations, the worst first in the order that was asked for.
type OperationList struct {
	Operations []Operation `json:"operations" nullable:"false"`
	Total      int         `json:"total"`
}

type operationKey struct{ entity, name string }

func (s *Server) listOperations(ctx context.Context, in *operationsInput) (*body[OperationList], error) {
	from, to, err := in.resolve(s.now(), 15*time.Minute)
	if err != nil {
		return nil, err
	}
	ctx, done := limitTime(ctx)
	defer done()
	match := ""
	if in.Entity != "" {
		match = "{entity=" + strconv.Quote(telemetry.ParseEntity(in.Entity).String()) + "}"
	}
	now, err := s.operationsOf(ctx, match, from, to)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	before, err := s.operationsOf(ctx, match, max(1, 2*from-to), from)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	out := OperationList{Operations: []Operation{}, Total: len(now)}
	for k, o := range now {
		if b := before[k]; b != nil {
			o.P95Before, o.ErrorsBefore, o.RateBefore = b.P95, b.ErrorRatio, &b.Rate
		}
		out.Operations = append(out.Operations, *o)
	}
	slices.SortFunc(out.Operations, func(a, b Operation) int {
		return cmp.Or(cmp.Compare(operationWeight(&b, in.Sort), operationWeight(&a, in.Sort)), cmp.Compare(b.Rate, a.Rate),
			strings.Compare(a.Entity.String(), b.Entity.String()), strings.Compare(a.Name, b.Name))
	})
	out.Operations = out.Operations[:min(len(out.Operations), in.Limit)]
	return ok(out), nil
}

func operationWeight(o *Operation, by string) float64 {
	or := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	switch by {
	case "latency":
		return or(o.P95)
	case "errors":
		return or(o.ErrorRatio)
	case "rate":
		return o.Rate
	case "slower":
		if o.P95 == nil || o.P95Before == nil || *o.P95Before <= 0 {
			return 0
		}
		return *o.P95 / *o.P95Before
	}
	if o.BusyRatio != nil {
		return *o.BusyRatio
	}
	return o.Rate * or(o.P95)
}

// operationsOf reads what the operations' series say of a range. Ratios and
// times are weighed by the requests of their windows.
func (s *Server) operationsOf(ctx context.Context, match string, from, to int64) (map[operationKey]*Operation, error) {
	width := max((to-from)/1000, 30)
	out := map[operationKey]*Operation{}
	rates := fmt.Sprintf("norn_operation_request_rate%s", match)
	ask := func(expr string, put func(o *Operation, v float64)) error {
		list, err := s.metrics.QueryRange(ctx, expr, to, to, 1000)
		if err != nil {
			return fmt.Errorf("read operations: %w", err)
		}
		for _, d := range list {
			k := operationKey{d.Labels.Get("entity"), d.Labels.Get("operation")}
			if len(d.Samples) == 0 {
				continue
			}
			o := out[k]
			if o == nil {
				e := telemetry.ParseEntity(k.entity)
				q := "service=" + url.QueryEscape(e.Name) + "&operation=" + url.QueryEscape(k.name)
				o = &Operation{Entity: e, Name: k.name, FailuresQuery: q + "&only_errors=true", SlowestQuery: q}
				out[k] = o
			}
			put(o, d.Samples[0].V)
		}
		return nil
	}
	// A window of ten seconds without requests has no sample, or one of zero.
	weighed := func(metric string) string {
		return fmt.Sprintf("sum by (entity, operation) (sum_over_time((%[1]s%[2]s * on (entity, operation) %[3]s)[%[4]ds:%[5]ds])) / sum by (entity, operation) (sum_over_time((%[3]s and on (entity, operation) %[1]s%[2]s)[%[4]ds:%[5]ds]))",
			metric, match, rates, width, max(width/500, 10))
	}
	if err := ask(fmt.Sprintf("sum_over_time(%s[%ds]) * 10 / %d", rates, width, width), func(o *Operation, v float64) { o.Rate = v }); err != nil {
		return nil, err
	}
	if err := ask(weighed("norn_operation_error_ratio"), func(o *Operation, v float64) { o.ErrorRatio = finite(v) }); err != nil {
		return nil, err
	}
	if err := ask(weighed("norn_operation_latency_seconds"), func(o *Operation, v float64) {
		o.P95 = finite(v)
		if o.P95 != nil {
			o.SlowestQuery += "&min_duration_seconds=" + strconv.FormatFloat(v, 'g', 4, 64)
		}
	}); err != nil {
		return nil, err
	}
	if err := ask(weighed("norn_operation_self_time_seconds"), func(o *Operation, v float64) { o.SelfTime = finite(v) }); err != nil {
		return nil, err
	}
	for _, o := range out {
		if o.SelfTime != nil {
			busy := *o.SelfTime * o.Rate
			o.BusyRatio = &busy
		}
	}
	return out, nil
}
