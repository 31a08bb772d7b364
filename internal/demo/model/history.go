// Package model computes the past of the demo's shop: two weeks of the series
// that the real shop and Norn's own stages would have produced, in a few
// seconds.
//
// It exists so that the demo begins with baselines. It evaluates the same
// plan that the real shop performs (package plan) and sets the level of each
// series by what a live run of the real shop was seen to produce, so names,
// labels and levels are those of the live series by construction; the plan
// gives their shape: day and week, counting noise, what moves with what. It
// knows no metric of its own and invents no series. It is pure: time and seed
// are arguments. A [Generator] is for one goroutine.
package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Sample is one value of the past. Series numbers the series from 0, so that
// a receiver can keep references by it.
type Sample struct {
	Series int
	Labels labels.Labels
	T      int64 // Unix milliseconds
	V      float64
}

// Config says what past to make.
type Config struct {
	Plan   *plan.Plan
	Live   []store.SeriesData        // what the real shop produced
	Demand func(t time.Time) float64 // demand while it did, as a factor of the mean
	Rate   float64                   // mean requests a second over the day
	Seed   uint64
	From   time.Time     // beginning of the past
	Fine   time.Duration // the last part, at 10 s steps; the rest is at 60 s
	Zone   *time.Location
	// Opened is when the processes that were measured began: their counters
	// then began at 0. From then on counters have the values that were
	// measured and no others, so that they join the live ones without a
	// break. Zero means that the past's counters end by themselves.
	Opened time.Time
}

// The steps of the past.
const (
	coarseStep = 60 * time.Second
	fineStep   = 10 * time.Second
)

// batch is how many samples go into one call of append.
const batch = 5000

// Generator makes the past step by step.
type Generator struct {
	conf   Config
	world  *world
	series []*series
	last   time.Time
	clock  float64 // seconds since From, for slow waves
}

// New calibrates a generator by the live series. Series that do not belong to
// the shop are left out. It fails when nothing usable is there.
func New(c Config) (*Generator, error) {
	if c.Rate <= 0 {
		return nil, fmt.Errorf("history: the rate must be above 0, it is %g", c.Rate)
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	g := &Generator{conf: c, world: newWorld(c.Plan, c.Rate, c.Seed)}
	live := slices.Clone(c.Live)
	slices.SortFunc(live, func(a, b store.SeriesData) int { return labels.Compare(a.Labels, b.Labels) })
	windows := 0
	for _, d := range live {
		if strings.HasPrefix(d.Labels.Get(labels.MetricName), "norn_") {
			windows = max(windows, len(d.Samples))
		}
	}
	for _, d := range live {
		if len(d.Samples) > 0 && g.ours(d.Labels) && steady(d, windows) {
			g.series = append(g.series, g.calibrate(d))
		}
	}
	if len(g.series) == 0 {
		return nil, errors.New("history: none of the live series belongs to the shop")
	}
	g.bundle()
	return g, nil
}

// Len is the number of series.
func (g *Generator) Len() int { return len(g.series) }

// Until makes the past from where the last call ended up to t (exclusive) and
// hands it over in time order. The slice that add gets is used again. progress
// is called with the share done.
func (g *Generator) Until(ctx context.Context, t time.Time, add func(context.Context, []Sample) error, progress func(float64)) error {
	if g.last.IsZero() {
		g.last = g.conf.From.Truncate(coarseStep)
	}
	begin, total := g.last, t.Sub(g.last)
	fineFrom := t.Add(-g.conf.Fine).Truncate(coarseStep)
	buf := make([]Sample, 0, batch+len(g.series))
	flush := func() error {
		if len(buf) == 0 {
			return nil
		}
		if err := add(ctx, buf); err != nil {
			return fmt.Errorf("history: cannot append: %w", err)
		}
		buf = buf[:0]
		progress(min(1, float64(g.last.Sub(begin))/float64(total)))
		return ctx.Err()
	}
	for {
		step := coarseStep
		if !g.last.Before(fineFrom) {
			step = fineStep
		}
		next := g.last.Add(step)
		if !next.Before(t) {
			break
		}
		g.last = next
		buf = g.step(next, step.Seconds(), buf)
		if len(buf) >= batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// step adds one value of each series that has one: where nobody asked, there
// is no latency.
func (g *Generator) step(t time.Time, dt float64, buf []Sample) []Sample {
	g.clock += dt
	g.world.step(t.In(g.conf.Zone), dt)
	ms := t.UnixMilli()
	opened := !g.conf.Opened.IsZero() && t.After(g.conf.Opened)
	if opened {
		buf = g.measured(ms, buf)
	}
	for i, s := range g.series {
		if s.counter && opened {
			continue
		}
		if v := s.next(g.world, dt); !math.IsNaN(v) {
			buf = append(buf, Sample{Series: i, Labels: s.labels, T: ms, V: v})
		}
	}
	return buf
}

// measured adds the counters' samples up to ms that were not added yet, in
// time order.
func (g *Generator) measured(ms int64, buf []Sample) []Sample {
	from := len(buf)
	for i, s := range g.series {
		for s.counter && len(s.live.Samples) > 0 && s.live.Samples[0].T <= ms {
			v := s.live.Samples[0]
			buf = append(buf, Sample{Series: i, Labels: s.labels, T: v.T, V: v.V})
			s.live.Samples = s.live.Samples[1:]
		}
	}
	slices.SortStableFunc(buf[from:], func(a, b Sample) int { return cmp.Compare(a.T, b.T) })
	return buf
}

// ours reports whether a series belongs to the shop: by entity, service, job
// or by the store that it speaks of.
func (g *Generator) ours(ls labels.Labels) bool {
	if v := ls.Get("entity"); v != "" {
		return g.known(telemetry.ParseEntity(v).Name)
	}
	for _, l := range []string{"service_name", "db_namespace", "messaging_destination_name"} {
		if v := ls.Get(l); v != "" {
			return g.known(v)
		}
	}
	_, name, ok := strings.Cut(ls.Get("job"), "/")
	return ok && g.known(name)
}

// steady reports whether the real shop gives the series all the time. Series
// that come and go with failures (answers of class 5, warnings), and those of
// log templates, whose names depend on the first line that was met, get no
// past: if they did not go on when the shop is live, that would look like
// silence. windows is the number of samples of a complete series of Norn's
// own.
func steady(d store.SeriesData, windows int) bool {
	name := d.Labels.Get(labels.MetricName)
	switch {
	case strings.HasPrefix(d.Labels.Get("http_response_status_code"), "5"):
		return false
	case name == "norn_log_rate" && d.Labels.Get("severity") != "info":
		return false
	case strings.HasPrefix(name, "norn_"):
		return len(d.Samples)*10 >= windows*6
	}
	return true
}

func (g *Generator) known(name string) bool {
	_, ok := g.world.index[name]
	return ok
}
