// Package falsealarms counts what Norn raises where nothing is wrong: days of
// the demo's traffic, with its days, nights and weekends but without a fault,
// go through the whole pipeline on the data's own clock.
//
// It exists because a limit on the alarms of one series says nothing of the
// pages that a person gets from a fleet. The traffic is made by the demo's
// model of its shop (package model), as many shops as the wished number of
// series needs; nothing is measured live and nothing uses the network. It
// knows no engine: the pipeline is given as a [Target]. One run uses one
// goroutine.
package falsealarms

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/demo/model"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/ops"
)

// Pipeline is what is watched at work.
type Pipeline interface {
	ObserveEdges(edges []graph.Edge)
	Quiet(on bool)
	Tick(ctx context.Context, now int64) error
	Suppressed() ([]ops.Suppressed, ops.Budget)
	Grouping() incident.Stats
}

// Target is the pipeline with its stores.
type Target struct {
	Pipeline  Pipeline
	Metrics   storage.AppendableV2
	Anomalies func() uint64 // opened so far
	Watched   func() int    // series
	Incidents func(ctx context.Context) ([]ops.Incident, error)
}

// Options says how much traffic there is. Zero means the default in brackets.
type Options struct {
	Series   int     // at least so many [2,000]
	Days     float64 // that are watched [7]
	Learn    float64 // days before, in which models learn and nothing is raised [7]
	Step     int     // seconds between samples, 60 or 10 [60]
	Seed     uint64
	Progress func(share float64)
}

func (o Options) withDefaults() Options {
	if o.Series <= 0 {
		o.Series = 2000
	}
	if o.Days <= 0 {
		o.Days = 7
	}
	if o.Learn <= 0 {
		o.Learn = 7
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
	if o.Step != 10 {
		o.Step = 60
	}
	return o
}

// fine makes the model's steps what is wished.
func (o Options) fine() time.Duration {
	if o.Step == 10 {
		return 10 * 365 * 24 * time.Hour
	}
	return 0
}

func days(n float64) time.Duration { return time.Duration(n * 24 * float64(time.Hour)) }

// Report is the result; JSON names are stable.
type Report struct {
	Series     int     `json:"series"`         // stored
	Watched    int     `json:"series_watched"` // by detection
	Shops      int     `json:"shops"`
	Days       float64 `json:"days"`
	LearnDays  float64 `json:"learn_days"`
	Step       int     `json:"step_seconds"`
	Samples    int     `json:"samples"`
	Anomalies  uint64  `json:"anomalies"`  // of single series
	Candidates int     `json:"candidates"` // groups of anomalies
	Wished     int     `json:"wished"`     // candidates that cause analysis would have opened
	Suppressed int     `json:"suppressed"` // of them, held back by the budget when they first asked
	Incidents  int     `json:"incidents"`
	Budget     float64 `json:"budget"` // false incidents allowed in so many days
	Within     bool    `json:"within_budget"`
	Seconds    float64 `json:"seconds"` // of the run
	Opened     []Line  `json:"opened"`
	Held       []Line  `json:"held"`
}

// Line is an incident, or a candidate that was held back.
type Line struct {
	At    int64   `json:"at_unix_ms"`
	Title string  `json:"title"`
	P     float64 `json:"p_value,omitempty"` // of what was held back
	Level float64 `json:"level,omitempty"`
	Text  string  `json:"text"`
}

// start is when the days begin: a Monday, so that the seven watched days hold
// one of each.
func start() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

// Start is the first moment of the data (Unix ms).
func (o Options) Start() int64 { return start().Add(-days(o.withDefaults().Learn)).UnixMilli() }

// Run makes the traffic and drives it through the target.
func Run(ctx context.Context, o Options, t Target) (Report, error) {
	o = o.withDefaults()
	began := time.Now()
	from := time.UnixMilli(o.Start()).UTC()
	shops, err := fleet(o, from)
	if err != nil {
		return Report{}, err
	}
	last := shops[len(shops)-1]
	d := &drive{o: o, to: t, shops: shops, refs: make([]storage.SeriesRef, last.first+last.gen.Len())}
	if err := d.run(ctx, from, start().Add(days(o.Days))); err != nil {
		return Report{}, err
	}
	r := Report{Series: len(d.refs), Watched: t.Watched(), Shops: len(shops), Days: o.Days, LearnDays: o.Learn, Step: o.Step,
		Samples: d.samples, Anomalies: t.Anomalies(), Seconds: math.Round(time.Since(began).Seconds())}
	return r, r.fill(ctx, t)
}

// fleet makes as many shops as the series need.
func fleet(o Options, from time.Time) ([]*shop, error) {
	var out []*shop
	for n := 0; n < o.Series; {
		s, err := newShop(len(out), n, o, from)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		n += s.gen.Len()
	}
	return out, nil
}

func (r *Report) fill(ctx context.Context, t Target) error {
	all, err := t.Incidents(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the incidents: %w", err)
	}
	for i := range all {
		if in := &all[i]; in.MergedInto == "" {
			r.Opened = append(r.Opened, Line{At: in.Opened, Title: in.Title, Text: in.Sentence})
		}
	}
	held, budget := t.Pipeline.Suppressed()
	for i := range held {
		h := &held[i]
		r.Held = append(r.Held, Line{At: h.First, Title: h.Title, P: h.P, Level: h.Level, Text: h.Why})
	}
	byTime := func(a, b Line) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Title, b.Title)) }
	slices.SortFunc(r.Opened, byTime)
	slices.SortFunc(r.Held, byTime)
	g := t.Pipeline.Grouping()
	r.Candidates, r.Suppressed, r.Incidents = g.Founded, g.Suppressed, len(r.Opened)
	r.Wished = r.Incidents + len(r.Held)
	r.Budget = budget.PagesPerWeek * r.Days / 7
	r.Within = budget.PagesPerWeek == 0 || float64(r.Incidents) <= r.Budget
	return nil
}

// drive pushes the shops' samples through the pipeline in order of time.
type drive struct {
	o       Options
	to      Target
	shops   []*shop
	refs    []storage.SeriesRef
	samples int
}

// slice is how much of the past is made at a time.
const slice = 30 * time.Minute

func (d *drive) run(ctx context.Context, from, to time.Time) error {
	d.to.Pipeline.Quiet(true)
	for at := from; at.Before(to); at = at.Add(slice) {
		end := at.Add(slice)
		if end.After(to) {
			end = to
		}
		batch, err := d.make(ctx, end)
		if err != nil {
			return err
		}
		for len(batch) > 0 {
			n := 1
			for n < len(batch) && batch[n].T == batch[0].T {
				n++
			}
			if err := d.step(ctx, batch[:n]); err != nil {
				return err
			}
			batch = batch[n:]
		}
		d.o.Progress(float64(end.Sub(from)) / float64(to.Sub(from)))
	}
	return nil
}

// make gives all shops' samples up to end, in order of time.
func (d *drive) make(ctx context.Context, end time.Time) ([]model.Sample, error) {
	var out []model.Sample
	for _, s := range d.shops {
		err := s.gen.Until(ctx, end, func(_ context.Context, got []model.Sample) error {
			for _, x := range got {
				out = append(out, s.adopt(x))
			}
			return nil
		}, func(float64) {})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b model.Sample) int { return cmp.Compare(a.T, b.T) })
	return out, nil
}

// step takes in the samples of one moment and lets the pipeline do what is
// due then.
func (d *drive) step(ctx context.Context, now []model.Sample) error {
	d.to.Pipeline.Quiet(now[0].T < start().UnixMilli())
	d.to.Pipeline.ObserveEdges(model.Edges(now))
	app := d.to.Metrics.AppenderV2(ctx)
	for i := range now {
		s := &now[i]
		ref, err := app.Append(d.refs[s.Series], s.Labels, 0, s.T, s.V, nil, nil, storage.AOptions{})
		if err != nil {
			return fmt.Errorf("cannot append %s: %w", s.Labels, err)
		}
		d.refs[s.Series] = ref
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("cannot commit %d samples: %w", len(now), err)
	}
	d.samples += len(now)
	return d.to.Pipeline.Tick(ctx, now[0].T)
}

// Print writes the report as a table.
func (r Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "series\t%d stored, %d watched, of %d shops\n", r.Series, r.Watched, r.Shops)
	fmt.Fprintf(tw, "traffic without a fault\t%g days after %g days of learning, a sample every %d s\n", r.Days, r.LearnDays, r.Step)
	fmt.Fprintf(tw, "samples\t%d in %.0f s\n", r.Samples, r.Seconds)
	fmt.Fprintf(tw, "anomalies of single series\t%d (%.3f a series and week)\n", r.Anomalies, float64(r.Anomalies)/float64(max(1, r.Watched))*7/r.Days)
	fmt.Fprintf(tw, "candidates\t%d groups, %d of them wished to open\n", r.Candidates, r.Wished)
	word := "held"
	if !r.Within {
		word = "NOT held"
	}
	fmt.Fprintf(tw, "incidents\t%d; the budget of %.2g in these days is %s\n", r.Incidents, r.Budget, word)
	fmt.Fprintf(tw, "held back by the budget\t%d\n", r.Suppressed)
	for _, l := range r.Opened {
		fmt.Fprintf(tw, "  opened %s\t%s\n", time.UnixMilli(l.At).UTC().Format("Mon 15:04"), l.Text)
	}
	for _, l := range r.Held {
		fmt.Fprintf(tw, "  held back %s\t%s (p %.2g, level %.2g)\n", time.UnixMilli(l.At).UTC().Format("Mon 15:04"), l.Title, l.P, l.Level)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
