package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/capacity"
	"github.com/norn-aiops/norn/internal/forecast"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	hourMS           = 3_600_000
	maxLimits        = 100_000       // series with limits
	limitsLook       = 15 * minuteMS // between two looks at what there is
	limitsEvery      = 6 * hourMS    // a forecast is this old at most
	limitsPast       = 90 * dayMS    // history that is read
	limitsGone       = dayMS         // a series that was not seen for so long is forgotten
	limitsTimeout    = 20 * time.Second
	limitsSeries     = 500  // results of a declared query
	limitsEase       = 1.25 // times the lead time at which an urgent one is not so any more
	limitsCheckpoint = 5 * minuteMS
)

// limit is one thing with a limit, as the schedule keeps it.
type limit struct {
	State  ops.Capacity `json:"state"`
	Rule   string       `json:"rule"` // its query, so that a changed rule begins anew
	Seen   int64        `json:"seen"`
	Low    float64      `json:"low"` // what was expected until the next computation
	High   float64      `json:"high"`
	Onset  int64        `json:"onset"`
	labels labels.Labels
	rule   *capacity.Rule
}

// limits is the durable schedule of forecasts and their results. One goroutine
// computes ([Pipeline.Forecast]); what others read is guarded by mu.
type limits struct {
	rules    []capacity.Rule
	log      *slog.Logger
	computed prometheus.Counter
	took     prometheus.Histogram
	one      sync.Mutex // one round at a time
	looked   int64      // Unix ms of the last look at what there is
	reminded int64
	saved    int64
	dirty    bool
	open     bool

	mu    sync.Mutex
	of    map[string]*limit
	state ops.CapacityState
}

func (l *limits) init(list []capacity.Config, reg prometheus.Registerer, log *slog.Logger) {
	l.of, l.log, l.rules = map[string]*limit{}, log, capacity.Conventions()
	for i := range list {
		l.rules = append(l.rules, list[i].Rule())
	}
	f := promauto.With(reg)
	l.computed = f.NewCounter(prometheus.CounterOpts{Name: "norn_capacity_forecasts_total", Help: "Forecasts of limits that were computed."})
	l.took = f.NewHistogram(prometheus.HistogramOpts{Name: "norn_capacity_forecast_seconds", Help: "Time that one forecast of a limit took, reading included.", Buckets: prometheus.ExponentialBuckets(.001, 2, 14)})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "norn_capacity_waiting", Help: "Series with limits whose forecast is due."}, func() float64 {
		l.mu.Lock()
		defer l.mu.Unlock()
		return float64(l.state.Waiting)
	})
}

// Capacity lists what has a limit, the most urgent first, and how forecasting
// goes.
func (p *Pipeline) Capacity() ([]ops.Capacity, ops.CapacityState) {
	l := &p.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]ops.Capacity, 0, len(l.of))
	for _, x := range l.of {
		out = append(out, x.State)
	}
	slices.SortFunc(out, moreUrgent)
	st := l.state
	st.Series, st.Errors = len(out), append([]string{}, l.state.Errors...)
	return out, st
}

// moreUrgent orders by P50, then by P10, then by how near the limit is.
func moreUrgent(a, b ops.Capacity) int {
	date := func(t *int64) int64 {
		if t == nil {
			return math.MaxInt64
		}
		return *t
	}
	return cmp.Or(cmp.Compare(date(a.P50), date(b.P50)), cmp.Compare(date(a.P10), date(b.P10)),
		cmp.Compare(b.InLead, a.InLead), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.ID, b.ID))
}

// runCapacity forecasts in the background until ctx ends, on half of one core
// at most.
func (p *Pipeline) runCapacity(ctx context.Context) {
	for {
		wait := 20 * time.Second
		began := time.Now()
		more, err := p.Forecast(ctx, p.clock.Load(), 50)
		if err != nil && ctx.Err() == nil {
			p.limits.log.Error("limits cannot be forecast", "err", err)
		}
		if more {
			wait = max(time.Since(began), 10*time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Forecast looks for what has a limit when that is due, and computes at most
// most of the forecasts that are due at now (Unix ms). more reports that
// others wait.
func (p *Pipeline) Forecast(ctx context.Context, now int64, most int) (more bool, err error) {
	l := &p.limits
	l.one.Lock()
	defer l.one.Unlock()
	if !l.open {
		l.open = true
		p.loadLimits(ctx)
	}
	if now-l.looked >= limitsLook {
		l.looked = now
		p.findLimits(ctx, now)
	}
	due := l.due(now)
	for _, x := range due[:min(len(due), most)] {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		began := time.Now()
		p.forecastLimit(ctx, x, now)
		l.took.Observe(time.Since(began).Seconds())
		l.computed.Inc()
	}
	p.remindUrgent(now)
	l.mu.Lock()
	l.state.Waiting = max(0, len(due)-most)
	l.mu.Unlock()
	if l.dirty && (now-l.saved >= limitsCheckpoint || len(due) <= most) {
		if err := p.saveLimits(ctx); err != nil {
			return len(due) > most, err
		}
		l.saved, l.dirty = now, false
	}
	return len(due) > most, nil
}

// due lists what is to be computed, the longest due first.
func (l *limits) due(now int64) []*limit {
	var out []*limit
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.of {
		if x.State.Next <= now && x.rule != nil {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b *limit) int {
		return cmp.Or(cmp.Compare(a.State.Next, b.State.Next), cmp.Compare(a.State.ID, b.State.ID))
	})
	return out
}

// findLimits asks every rule what there is now. Whatever does what was not
// expected is due at once.
func (p *Pipeline) findLimits(ctx context.Context, now int64) {
	l := &p.limits
	faults := []string{}
	refused := 0
	for i := range l.rules {
		r := &l.rules[i]
		found, err := p.evalLimit(ctx, r.Query, now, now, minuteMS)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", r.Name, err))
			continue
		}
		if !r.Own && len(found) > limitsSeries {
			faults = append(faults, fmt.Sprintf("%s: gives %d series, at most %d are taken", r.Name, len(found), limitsSeries))
			found = found[:limitsSeries]
		}
		for _, d := range found {
			if n := len(d.Samples); n > 0 && !math.IsNaN(d.Samples[n-1].V) && !math.IsInf(d.Samples[n-1].V, 0) {
				refused += l.note(r, d.Labels, d.Samples[n-1].V, now)
			}
		}
	}
	var gone []*limit
	l.mu.Lock()
	l.state.Refused, l.state.Errors = refused, faults
	for id, x := range l.of {
		if now-x.Seen > limitsGone {
			gone = append(gone, x)
			delete(l.of, id)
			l.dirty = true
		}
	}
	l.mu.Unlock()
	for _, x := range gone {
		p.endUrgent(x, now)
	}
}

// note takes one result of a rule; 1 when there are too many.
func (l *limits) note(r *capacity.Rule, ls labels.Labels, v float64, now int64) int {
	id := limitID(r, ls)
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.of[id]
	if x == nil || x.Rule != r.Query {
		if len(l.of) >= maxLimits {
			return 1
		}
		x = &limit{Rule: r.Query, State: ops.Capacity{ID: id, Resource: r.Name, Labels: ls.Map(), Lead: r.Lead, Unit: r.Unit, Falling: r.Falling, Drivers: []ops.CapacityShare{}}}
		x.State.Entity, _, x.State.Instance = normalize.EntityOfLabels(ls)
		if r.Entity != "" {
			x.State.Entity = telemetry.ParseEntity(r.Entity)
		}
		l.of[id] = x
		l.dirty = true
	}
	x.rule, x.labels, x.Seen, x.State.Value = r, ls, now, v
	x.State.Lead, x.State.Unit = r.Lead, r.Unit
	if x.State.Computed > 0 && now-x.State.Computed >= hourMS && x.High > x.Low && (v > x.High || v < x.Low) {
		x.State.Next = now
	}
	return 0
}

func limitID(r *capacity.Rule, ls labels.Labels) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s|%s|%s", r.Name, r.Query, ls)
	return fmt.Sprintf("%016x", h.Sum64())
}

func (p *Pipeline) evalLimit(ctx context.Context, expr string, from, to, step int64) ([]store.SeriesData, error) {
	ctx, cancel := context.WithTimeout(ctx, limitsTimeout)
	defer cancel()
	return p.st.Metrics.QueryRange(ctx, expr, from, to, step)
}

// forecastLimit computes one forecast anew and gives news of its anomaly.
func (p *Pipeline) forecastLimit(ctx context.Context, x *limit, now int64) {
	l := &p.limits
	s := x.State
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(s.ID))
	s.Computed, s.Next = now, now+limitsEvery*3/4+int64(hash.Sum32())%(limitsEvery/4)
	var e forecast.Exhaustion
	in, err := p.readLimit(ctx, x, &s, now)
	if err == nil {
		e, err = forecast.Exhaust(in)
	}
	s.Note = ""
	switch {
	case errors.Is(err, forecast.ErrTooShort):
		s.Note, s.Next = "too little is known: "+err.Error(), now+hourMS
	case err != nil:
		s.Note, s.Next = err.Error(), now+hourMS
	}
	s.P10, s.P50, s.P90, s.Reached, s.InLead, s.Growth = nil, nil, nil, false, 0, 0
	low, high := 0.0, 0.0
	if err == nil {
		date := func(in *int64) *int64 {
			if in == nil {
				return nil
			}
			t := now + *in
			return &t
		}
		s.P10, s.P50, s.P90, s.Reached, s.Growth, s.Peak, s.Reason = date(e.P10), date(e.P50), date(e.P90), e.Reached, e.Growth, e.Peak, e.Reason
		s.InLead = e.Probability(s.Lead)
		low, high = usualRange(in.Values, e.Growth)
		p.drive(ctx, x, &s, now)
	}
	s.Sentence = limitSentence(&s, now)
	was := x.State
	s.Urgent = err == nil && (s.InLead >= .5 || was.Urgent && e.Probability(int64(limitsEase*float64(s.Lead))) >= .5)
	if s.Urgent && !was.Urgent {
		x.Onset = now
	}
	l.mu.Lock()
	s.Value, s.AnomalyID = x.State.Value, ""
	if s.Urgent {
		s.AnomalyID = fmt.Sprintf("cap-%s-%d", s.ID, x.Onset)
	}
	x.State, x.Low, x.High = s, low, high
	l.state.Computed++
	l.state.LastMS = now
	l.mu.Unlock()
	l.dirty = true
	if s.Urgent {
		p.queue.push(x.anomaly(now))
	} else if was.Urgent {
		p.endUrgent(x, now)
	}
}

// usualRange is where the next hours' values are expected: the range of the
// newest week and a day's growth, a tenth wider.
func usualRange(vs []float64, growth float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range vs[max(0, len(vs)-7*24):] {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	room := .1*(high-low) + math.Abs(growth) + 1e-3*max(math.Abs(low), math.Abs(high))
	return low - room, high + room
}

// readLimit reads the hourly extremes of the past and the limit.
func (p *Pipeline) readLimit(ctx context.Context, x *limit, s *ops.Capacity, now int64) (forecast.Supply, error) {
	r := x.rule
	expr := r.Query
	if r.Own {
		narrow, err := capacity.Select(r.Query, x.labels)
		if err != nil {
			return forecast.Supply{}, err
		}
		expr = narrow
	}
	s.Expr = expr
	to := now - now%(5*minuteMS)
	found, err := p.evalLimit(ctx, over(r)+"(("+expr+")[1h:5m])", to-limitsPast, to, hourMS)
	if err != nil {
		return forecast.Supply{}, err
	}
	values := hourly(found, x.labels, to-limitsPast, to)
	step := int64(hourMS)
	if known(values) < 24 { // a young series: what it did within the hours
		found, err = p.evalLimit(ctx, expr, to-dayMS, to, 5*minuteMS)
		if err != nil {
			return forecast.Supply{}, err
		}
		step = 5 * minuteMS
		values = spaced(found, x.labels, to-dayMS, to, step)
	}
	s.Limit = r.Limit
	if r.Share {
		ok := false
		if s.Limit, ok = capacity.ShareLimit(values); !ok {
			return forecast.Supply{}, errors.New("named like a share, but above 100")
		}
	}
	if r.LimitExpr != "" {
		if s.Limit, err = p.limitOf(ctx, r, x.labels, now); err != nil {
			return forecast.Supply{}, err
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.ID))
	return forecast.Supply{Values: values, Step: step, Limit: s.Limit, Falling: r.Falling, Seed: h.Sum64()}, nil
}

// over names the function that keeps peaks, or lows.
func over(r *capacity.Rule) string {
	if r.Falling {
		return "min_over_time"
	}
	return "max_over_time"
}

func hourly(found []store.SeriesData, ls labels.Labels, from, to int64) []float64 {
	return spaced(found, ls, from, to, hourMS)
}

// spaced lays the samples of the series with these labels on a grid, NaN where
// there is none, from its first one on.
func spaced(found []store.SeriesData, ls labels.Labels, from, to, step int64) []float64 {
	out := make([]float64, (to-from)/step+1)
	for i := range out {
		out[i] = math.NaN()
	}
	want := labels.NewBuilder(ls).Del(labels.MetricName).Labels()
	first := len(out)
	for _, d := range found {
		if len(found) > 1 && !labels.Equal(labels.NewBuilder(d.Labels).Del(labels.MetricName).Labels(), want) {
			continue
		}
		for _, s := range d.Samples {
			if i := (s.T - from) / step; i >= 0 && int(i) < len(out) {
				out[i] = s.V
				first = min(first, int(i))
			}
		}
	}
	return out[first:]
}

func known(vs []float64) int {
	n := 0
	for _, v := range vs {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// limitOf evaluates a declared limit: the result with the same labels, else
// the only one.
func (p *Pipeline) limitOf(ctx context.Context, r *capacity.Rule, ls labels.Labels, now int64) (float64, error) {
	found, err := p.evalLimit(ctx, r.LimitExpr, now, now, minuteMS)
	if err != nil {
		return 0, fmt.Errorf("limit: %w", err)
	}
	found = slices.DeleteFunc(found, func(d store.SeriesData) bool { return len(d.Samples) == 0 })
	want := labels.NewBuilder(ls).Del(labels.MetricName).Labels()
	for _, d := range found {
		if len(found) == 1 || labels.Equal(labels.NewBuilder(d.Labels).Del(labels.MetricName).Labels(), want) {
			return d.Samples[len(d.Samples)-1].V, nil
		}
	}
	return 0, fmt.Errorf("limit: %d results, none with the labels %s", len(found), want)
}
