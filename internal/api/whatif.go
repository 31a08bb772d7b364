package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/forecast"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/simulate"
	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type whatifInput struct {
	Range
	Kind      string  `query:"kind" required:"true" enum:"surge,users,ddos,loss,slow"`
	Entity    string  `query:"entity" doc:"kind/name; needed for ddos, loss and slow. Without it a surge is of all traffic."`
	Operation string  `query:"operation" maxLength:"500" doc:"One endpoint of the entity, as in its series, for surge and ddos."`
	Factor    float64 `query:"factor" default:"2" doc:"Of surge and users: times the usual peak."`
	RPS       float64 `query:"rps" doc:"Of ddos: requests a second more."`
	By        string  `query:"by" doc:"Of slow: how much longer, such as 200ms."`
	Limit     float64 `query:"limit" default:"3" doc:"Own time that counts as broken, as a multiple of the usual."`
	Horizon   string  `query:"horizon" doc:"How far the load is forecast to say when, such as 30d; at most 1y. Without it nothing is forecast."`
	Seed      uint64  `query:"seed" default:"1" doc:"Of the intervals' bootstrap; the same seed gives the same answer."`
}

// maxServices bounds the services that one answer is worked out for.
const maxServices = 5000

// maxUtilisations bounds the series of utilisation that one answer reads, and
// maxInstances those of one thing.
const (
	maxUtilisations = 4000
	maxInstances    = 50
)

func (s *Server) whatif(ctx context.Context, in *whatifInput) (*body[simulate.Answer], error) {
	from, to, err := in.resolve(s.now(), 14*24*time.Hour)
	if err != nil {
		return nil, err
	}
	q := simulate.Question{Kind: simulate.Kind(in.Kind), Entity: telemetry.ParseEntity(in.Entity), Operation: in.Operation,
		Factor: in.Factor, Extra: in.RPS, Limit: in.Limit, Seed: in.Seed}
	by, err := parseSpan("by", in.By)
	if err != nil {
		return nil, err
	}
	q.By = by.Seconds()
	horizon, err := parseSpan("horizon", in.Horizon)
	if err != nil {
		return nil, err
	}
	if horizon > 366*24*time.Hour {
		return nil, fmt.Errorf("%w: horizon %s is more than a year", errBadRequest, in.Horizon)
	}
	g := newPastGrid(from, to)
	e, err := s.estateOf(ctx, g, &q)
	if err != nil {
		return nil, err
	}
	if horizon > 0 {
		if e.Outlook, err = s.outlook(ctx, g, horizon); err != nil {
			return nil, err
		}
	}
	q.Draws = min(200, max(30, 20_000/max(1, len(e.Services))))
	a, err := simulate.Ask(e, q)
	if errors.Is(err, simulate.ErrQuestion) {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if err != nil {
		return nil, err
	}
	return ok(a), nil
}

// parseSpan reads a duration such as 30d; "" is none.
func parseSpan(name, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%w: %s=%q is not a duration such as 200ms or 30d", errBadRequest, name, text)
	}
	return time.Duration(d), nil
}

// pastGrid is the moments at which the past is read; each value is the mean
// of the step before.
type pastGrid struct {
	from, step int64
	n          int
}

func newPastGrid(from, to int64) pastGrid {
	step := max(60_000, (to-from)/600/1000*1000)
	return pastGrid{from: to - (to-from)/step*step, step: step, n: int((to-from)/step) + 1}
}

// read evaluates a selector's means on the grid, by the given labels joined
// with a blank. Values of equal labels are averaged.
func (s *Server) readGrid(ctx context.Context, g pastGrid, expr string, by ...string) (map[string][]float64, error) {
	list, err := s.metrics.QueryRange(ctx, expr, g.from, g.from+int64(g.n-1)*g.step, g.step)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, blameQuery(ctx, err))
	}
	sums, counts := map[string][]float64{}, map[string][]float64{}
	for _, sd := range list {
		words := make([]string, len(by))
		for i, l := range by {
			words[i] = sd.Labels.Get(l)
		}
		key := strings.Join(words, " ")
		if sums[key] == nil {
			sums[key], counts[key] = make([]float64, g.n), make([]float64, g.n)
		}
		for _, p := range sd.Samples {
			if i := int((p.T - g.from) / g.step); i >= 0 && i < g.n && !math.IsNaN(p.V) && !math.IsInf(p.V, 0) {
				sums[key][i] += p.V
				counts[key][i]++
			}
		}
	}
	for key, col := range sums {
		for i := range col {
			col[i] /= counts[key][i] // 0/0: NaN, not known
		}
	}
	return sums, nil
}

func (g pastGrid) mean(selector string) string {
	return fmt.Sprintf("avg_over_time(%s[%dms])", selector, g.step)
}

// estateOf reads what the past says of everything that serves requests.
func (s *Server) estateOf(ctx context.Context, g pastGrid, q *simulate.Question) (*simulate.Estate, error) {
	cols := make([]map[string][]float64, 4)
	for i, r := range []struct{ selector, by string }{
		{"norn_request_rate", "entity"}, {"norn_self_time_mean_seconds", "entity"}, {"norn_latency_mean_seconds", "entity"}, {"norn_edge_request_rate", "entity peer"},
	} {
		var err error
		if cols[i], err = s.readGrid(ctx, g, g.mean(r.selector), strings.Fields(r.by)...); err != nil {
			return nil, err
		}
	}
	e := &simulate.Estate{}
	s.places(e, g.from+int64(g.n-1)*g.step)
	parts := map[telemetry.Entity]int{}
	for _, p := range e.Parts {
		parts[p.On]++
	}
	used, err := s.utilisations(ctx, g)
	if err != nil {
		return nil, err
	}
	for _, key := range keysOf(cols[0]) {
		who := telemetry.ParseEntity(key)
		x := simulate.Service{Entity: who, Load: cols[0][key], Latency: cols[1][key], Whole: cols[2][key], Instances: max(1, parts[who])}
		if x.Latency == nil {
			x.Latency = x.Whole
		}
		x.Utilisation = simulate.Scarcest(x.Load, used[who])
		if who == q.Entity && q.Operation != "" {
			if x.Operations, err = s.operations(ctx, g, who); err != nil {
				return nil, err
			}
		}
		e.Services = append(e.Services, x)
	}
	if len(e.Services) > maxServices {
		return nil, fmt.Errorf("%w: %d things serve requests, at most %d are worked out at once", errBadRequest, len(e.Services), maxServices)
	}
	for _, key := range keysOf(cols[3]) {
		from, to, _ := strings.Cut(key, " ")
		e.Calls = append(e.Calls, simulate.Call{From: telemetry.ParseEntity(from), To: telemetry.ParseEntity(to), Rate: cols[3][key]})
	}
	return e, nil
}

// places takes from the graph what runs where.
func (s *Server) places(e *simulate.Estate, at int64) {
	view := s.live.GraphAt(at)
	if view == nil {
		return
	}
	for _, x := range view.Edges() {
		switch x.Kind {
		case graph.PartOf:
			e.Parts = append(e.Parts, simulate.Place{What: x.To, On: x.From})
		case graph.RunsOn:
			e.Places = append(e.Places, simulate.Place{What: x.From, On: x.To})
		}
	}
}

func (s *Server) operations(ctx context.Context, g pastGrid, e telemetry.Entity) ([]simulate.Operation, error) {
	cols, err := s.readGrid(ctx, g, g.mean(fmt.Sprintf("norn_operation_request_rate{entity=%q}", e.String())), "operation")
	if err != nil {
		return nil, err
	}
	var out []simulate.Operation
	for _, key := range keysOf(cols) {
		out = append(out, simulate.Operation{Name: key, Load: cols[key]})
	}
	return out, nil
}

// utilisations reads what is measured as a share of a limit, by entity: the
// mean of an entity's instances, a column for each metric's name.
func (s *Server) utilisations(ctx context.Context, g pastGrid) (map[telemetry.Entity][][]float64, error) {
	list, _ := s.live.Series(SeriesMatch{Signal: telemetry.SignalSaturation, Limit: maxUtilisations})
	terms := map[telemetry.Entity]map[string][]string{}
	for i := range list {
		m := list[i].Meta
		name := m.Labels.Get(model.MetricNameLabel)
		if m.Unit != "1" || m.Derived || name == "" {
			continue
		}
		if terms[m.Entity] == nil {
			terms[m.Entity] = map[string][]string{}
		}
		if len(terms[m.Entity][name]) < maxInstances {
			terms[m.Entity][name] = append(terms[m.Entity][name], g.mean(m.Labels.String()))
		}
	}
	out := map[telemetry.Entity][][]float64{}
	for e, names := range terms {
		for _, name := range keysOf(names) {
			cols, err := s.readGrid(ctx, g, "avg("+strings.Join(names[name], " or ")+")")
			if err != nil {
				return nil, err
			}
			if col := cols[""]; col != nil && stats.Quantile(col, 1) <= 1.2 { // else it is no share
				out[e] = append(out[e], col)
			}
		}
	}
	return out, nil
}

// outlook forecasts the estate's load as a multiple of its usual peak.
func (s *Server) outlook(ctx context.Context, g pastGrid, horizon time.Duration) (*simulate.Outlook, error) {
	cols, err := s.readGrid(ctx, g, "sum("+g.mean("norn_request_rate")+")")
	if err != nil {
		return nil, err
	}
	vals := cols[""]
	n := int(min(horizon.Milliseconds()/g.step, 5000))
	if len(vals) < 3 || n < 1 {
		return nil, nil //nolint:nilnil // nothing to forecast is no error: the answer has no "when"
	}
	zero := 0.0
	f, err := forecast.Make(forecast.Input{Values: vals, Step: g.step, Horizon: n, Low: &zero})
	if errors.Is(err, forecast.ErrTooShort) {
		return nil, nil //nolint:nilnil // as above
	}
	if err != nil {
		return nil, fmt.Errorf("forecast the load: %w", err)
	}
	peak := stats.Quantile(vals, .95)
	o := &simulate.Outlook{}
	for i := range f.Mean {
		o.Times = append(o.Times, g.from+int64(g.n+i)*g.step)
		o.P10, o.P50, o.P90 = append(o.P10, f.Bands[0].Low[i]/peak), append(o.P50, f.Mean[i]/peak), append(o.P90, f.Bands[0].High[i]/peak)
	}
	return o, nil
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
