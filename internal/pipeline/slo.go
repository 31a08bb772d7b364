package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/slo"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	sloLag      = 20_000 // ms until the windows of a minute are stored
	sloSlice    = 6 * 60 // minutes of history that one tick reads at most
	sloPatience = 10     // minutes until an objective without requests is told
	maxPasts    = 500    // entities whose objectives are inferred
	maxMatched  = 500    // entities of declared objectives that match
	maxHarms    = 5      // objectives told with one incident
	sloTimeout  = 10 * time.Second
	minuteMS    = 60_000
	sloLongest  = 30 * 24 * 60 // minutes of history that are read back
)

// sloBook keeps the service level objectives. The goroutine that ticks owns it,
// but for what others look at.
type sloBook struct {
	declared []*declaration
	members  *membership // of the declarations that match, by their place in matching
	pasts    map[telemetry.Entity]*slo.Past
	window   float64 // s that one sample of Norn's own rates stands for
	done     int64   // newest minute that was counted; 0 before the first
	begun    int64   // minute of the first tick
	hour     int64   // of the last learning
	saved    int64   // hour of the last save

	log       *slog.Logger
	errors    *prometheus.CounterVec
	unmatched *prometheus.GaugeVec
	left      *prometheus.GaugeVec

	mu     sync.Mutex
	states []ops.SLO
}

// declaration is one declared objective, for each of its entities.
type declaration struct {
	slo.Config
	place  int                 // in members, -1 for that of one entity
	reads  [][]*labels.Matcher // selectors of its expressions
	of     map[telemetry.Entity]*slo.Objective
	next   int64 // of expressions: first minute that was not evaluated
	note   string
	failed bool
}

func (b *sloBook) init(cfg Config, reg prometheus.Registerer, log *slog.Logger) (err error) {
	b.pasts, b.log, b.window = map[telemetry.Entity]*slo.Past{}, log, cmp.Or(cfg.Topology.Window, 10*time.Second).Seconds()
	f := promauto.With(reg)
	b.errors = f.NewCounterVec(prometheus.CounterOpts{Name: "norn_slo_errors_total", Help: "Evaluations of an objective's expressions that failed."}, []string{"slo"})
	b.unmatched = f.NewGaugeVec(prometheus.GaugeOpts{Name: "norn_slo_unmatched", Help: "1 for a declared objective that no request was ever seen of."}, []string{"slo"})
	b.left = f.NewGaugeVec(prometheus.GaugeOpts{Name: "norn_slo_budget_left_ratio", Help: "Share of a declared objective's error budget that is left."}, []string{"slo", "entity"})
	var selectors [][]string
	for _, c := range cfg.SLOs {
		d := &declaration{Config: c, place: -1, of: map[telemetry.Entity]*slo.Objective{}, reads: namedBy(&c)}
		if c.Match != "" {
			d.place = len(selectors)
			selectors = append(selectors, []string{c.Match})
		} else {
			d.objective(telemetry.ParseEntity(c.Entity))
		}
		b.declared = append(b.declared, d)
	}
	if b.members, err = newMembership(selectors); err != nil {
		return fmt.Errorf("slos: %w", err)
	}
	return nil
}

func (d *declaration) objective(e telemetry.Entity) *slo.Objective {
	o := d.of[e]
	if o == nil && len(d.of) < maxMatched {
		threshold := 0.0
		if d.Kind() == slo.Slow {
			threshold = time.Duration(d.Latency.Below).Seconds()
		}
		o = slo.New(d.Name, e, d.Kind(), d.Objective, threshold, d.Length())
		d.of[e] = o
	}
	return o
}

// SLOs lists the objectives, declared ones first, those with the least budget
// left before the others.
func (p *Pipeline) SLOs() []ops.SLO {
	p.slos.mu.Lock()
	defer p.slos.mu.Unlock()
	out := slices.Clone(p.slos.states)
	for i := range out {
		out[i].Burns = slices.Clone(out[i].Burns)
	}
	return out
}

// burns counts the requests of the minutes that are over and gives news of
// declared objectives that burn. Once a minute it costs one selection from the
// store, and two or three queries for each objective of the operator's own
// expressions; between, nothing.
func (p *Pipeline) burns(ctx context.Context, now int64) []ops.Anomaly {
	b := &p.slos
	target := (now-sloLag)/minuteMS - 1
	if target <= b.done {
		return nil
	}
	if b.begun == 0 {
		b.begun = target
	}
	if b.done == 0 {
		b.done = p.sloStart(target)
	}
	upTo := min(target, b.done+sloSlice)
	if err := p.countRequests(ctx, b.done+1, upTo); err != nil {
		b.log.Error("requests cannot be counted for objectives", "err", err)
		return nil
	}
	for _, d := range b.declared {
		if d.Kind() == slo.Ratio {
			p.evaluateRatio(ctx, d, b.done+1, upTo)
		}
	}
	b.done = upTo
	b.advance()
	if upTo < target {
		b.publish("history is being read back")
		return nil
	}
	news := b.judge(now)
	b.complain(target)
	b.publish("")
	return news
}

// sloStart is the minute before the first that is to be counted.
func (p *Pipeline) sloStart(target int64) int64 {
	if h, ok := p.st.Metrics.(History); ok {
		if oldest, _, ok := h.Bounds(); ok {
			longest := int64(sloLongest)
			for _, d := range p.slos.declared {
				longest = max(longest, int64(d.Length()/time.Minute))
			}
			return min(target-1, max(oldest/minuteMS-1, target-longest))
		}
	}
	return target - 1
}

func (b *sloBook) advance() {
	for _, d := range b.declared {
		for _, o := range d.of {
			o.Advance(b.done)
		}
	}
	for _, x := range b.pasts {
		x.Availability.Advance(b.done)
		x.Latency.Advance(b.done)
	}
	if hour := b.done / 60; hour != b.hour {
		b.hour = hour
		for _, x := range b.pasts {
			x.Learn()
		}
	}
}

// judge asks every declared objective whether it burns.
func (b *sloBook) judge(now int64) []ops.Anomaly {
	var out []ops.Anomaly
	for _, d := range b.declared {
		for _, o := range d.of {
			if a, ok := o.Judge(now); ok {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, func(a, b ops.Anomaly) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// complain says of objectives that no request was ever seen of them.
func (b *sloBook) complain(now int64) {
	for _, d := range b.declared {
		seen := false
		for _, o := range d.of {
			seen = seen || o.Seen()
		}
		if seen || d.failed || now-b.begun < sloPatience {
			if seen && !d.failed {
				d.note = ""
				b.unmatched.WithLabelValues(d.Name).Set(0)
			}
			continue
		}
		what := "no requests of " + d.Entity + " were ever seen: is the name right, and does it send spans?"
		switch {
		case d.Kind() == slo.Ratio:
			what = "its expressions have given nothing so far"
		case d.Match != "":
			what = "no entity with requests matches " + d.Match
		}
		if d.note == "" {
			b.log.Warn("objective without requests", "slo", d.Name, "why", what)
		}
		d.note = what
		b.unmatched.WithLabelValues(d.Name).Set(1)
	}
}

func (b *sloBook) publish(note string) {
	var out []ops.SLO
	for _, d := range b.declared {
		for _, o := range d.of {
			s := o.State()
			s.Note = cmp.Or(d.note, note)
			out = append(out, s)
			b.left.WithLabelValues(o.Name, o.Entity.String()).Set(s.Left)
		}
		if len(d.of) == 0 {
			s := slo.New(d.Name, telemetry.Entity{}, d.Kind(), d.Objective, 0, d.Length()).State()
			s.Note = cmp.Or(d.note, note)
			out = append(out, s)
		}
	}
	for e := range b.pasts {
		for _, o := range b.inferred(e) {
			s := o.State()
			s.Note = note
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b ops.SLO) int {
		if a.Inferred != b.Inferred {
			if a.Inferred {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Entity.String(), b.Entity.String()))
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states = out
}

// inferred gives the objectives of a service's own past, where none of their
// kind was declared.
func (b *sloBook) inferred(e telemetry.Entity) []*slo.Objective {
	x := b.pasts[e]
	if x == nil {
		return nil
	}
	return slices.DeleteFunc(x.Known(), func(o *slo.Objective) bool {
		return slices.ContainsFunc(b.declared, func(d *declaration) bool { return d.of[e] != nil && (d.Kind() == o.Kind || d.Kind() == slo.Ratio) })
	})
}

// harm says what an incident does to the objectives of the entities that have
// a part in it, worst first.
func (b *sloBook) harm(onset int64, j *ops.Judgement, entities []telemetry.Entity) ops.Harm {
	part := map[telemetry.Entity]bool{}
	for _, e := range entities {
		part[e] = true
	}
	for i := range j.Causes {
		if j.Causes[i].Role != ops.RoleBystander {
			part[j.Causes[i].Entity] = true
		}
	}
	out := ops.Harm{SLOs: []ops.SLOHarm{}}
	add := func(o *slo.Objective) {
		if h, ok := o.Harm(onset); ok {
			out.SLOs = append(out.SLOs, h)
		}
	}
	for e := range part {
		for _, d := range b.declared {
			if o := d.of[e]; o != nil {
				add(o)
			}
		}
		for _, o := range b.inferred(e) {
			add(o)
		}
	}
	slices.SortFunc(out.SLOs, func(a, b ops.SLOHarm) int {
		if a.Inferred != b.Inferred {
			if a.Inferred {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.Burn, a.Burn), cmp.Compare(a.SLO, b.SLO), cmp.Compare(a.Entity.String(), b.Entity.String()))
	})
	out.SLOs = out.SLOs[:min(len(out.SLOs), maxHarms)]
	return out
}

// evaluateRatio counts what an objective's expressions give, minute by minute.
// After an error the same minutes are tried again, as far as they are kept one
// by one.
func (p *Pipeline) evaluateRatio(ctx context.Context, d *declaration, from, to int64) {
	b := &p.slos
	from = max(min(from, cmp.Or(d.next, from)), to-sloSlice+1)
	counts, err := p.ratio(ctx, d, from, to)
	if err != nil {
		b.errors.WithLabelValues(d.Name).Inc()
		if !d.failed {
			b.log.Warn("objective cannot be evaluated", "slo", d.Name, "err", err)
		}
		d.failed, d.note, d.next = true, "its expressions cannot be evaluated: "+err.Error(), from
		return
	}
	if d.failed {
		d.failed, d.note = false, ""
	}
	d.next = to + 1
	for minute, c := range counts {
		for _, o := range d.of {
			o.Add(minute, c)
		}
	}
}

func (p *Pipeline) ratio(ctx context.Context, d *declaration, from, to int64) (map[int64]slo.Counts, error) {
	ctx, cancel := context.WithTimeout(ctx, sloTimeout)
	defer cancel()
	total, err := p.perMinute(ctx, "total", d.Total, from, to)
	if err != nil {
		return nil, err
	}
	name, text := "bad", d.Bad
	if d.Good != "" {
		name, text = "good", d.Good
	}
	part, err := p.perMinute(ctx, name, text, from, to)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]slo.Counts, len(total))
	for m, n := range total {
		c := slo.Counts{Bad: part[m], Total: n}
		if d.Good != "" {
			c.Bad = max(0, n-part[m])
		}
		out[m] = c
	}
	return out, nil
}

// perMinute gives the sum of all results at the end of each minute, in requests
// of that minute.
func (p *Pipeline) perMinute(ctx context.Context, name, text string, from, to int64) (map[int64]float64, error) {
	found, err := p.st.Metrics.QueryRange(ctx, slo.Expression(text), (from+1)*minuteMS, (to+1)*minuteMS, minuteMS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out := map[int64]float64{}
	for _, s := range found {
		for _, x := range s.Samples {
			if !math.IsNaN(x.V) && !math.IsInf(x.V, 0) {
				out[x.T/minuteMS-1] += x.V * 60
			}
		}
	}
	return out, nil
}
