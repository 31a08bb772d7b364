// Package capacity scores forecasts of resources, dates of exhaustion and
// weekly schedules.
//
// It exists so that capacity planning is measured: on traces of data centres
// against the seasonal naive forecast, on made-up supplies whose end is known,
// and by what a schedule costs. It forecasts nothing itself. [Run] reads files
// and is safe for concurrent use.
package capacity

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/norn-aiops/norn/internal/forecast"
)

// Trace is the score of one column of one trace, means over origins.
type Trace struct {
	Name         string  `json:"name"`
	Origins      int     `json:"origins"`
	MASE         float64 `json:"mase"`
	NaiveMASE    float64 `json:"naive_mase"`
	Pinball      float64 `json:"pinball"`
	NaivePinball float64 `json:"naive_pinball"`
}

// Report is what [Run] measured. Gains are shares by which the means over all
// traces are better than the seasonal naive forecast's.
type Report struct {
	Horizon      string  `json:"horizon"`
	MASE         float64 `json:"mase"`
	NaiveMASE    float64 `json:"naive_mase"`
	MASEGain     float64 `json:"mase_gain"`
	Pinball      float64 `json:"pinball"`
	NaivePinball float64 `json:"naive_pinball"`
	PinballGain  float64 `json:"pinball_gain"`
	Traces       []Trace `json:"traces"`

	Dates    Dates    `json:"dates"`
	Schedule Schedule `json:"schedule"`
	Skipped  []string `json:"skipped,omitempty"` // files and columns, at most 20
}

// Options of a run.
type Options struct {
	Seed     uint64
	Supplies int           // made up
	Step     time.Duration // that traces are averaged to; 0 means 5 min, or the traces' own when longer
	Horizon  time.Duration
	Progress func(done, of int) // may be nil
}

// levels of the pinball loss.
func levels() []float64 { return []float64{.025, .1, .5, .9, .975} }

// Run scores every CSV file below dir (dir "" means none), the made-up supplies
// and schedules.
func Run(ctx context.Context, dir string, o Options) (Report, error) {
	r := Report{Horizon: o.Horizon.String()}
	if dir != "" {
		if err := r.traces(ctx, dir, o); err != nil {
			return r, err
		}
	}
	var err error
	if r.Dates, err = dates(ctx, o); err != nil {
		return r, err
	}
	r.Schedule, err = schedules(ctx, o)
	return r, err
}

func (r *Report) traces(ctx context.Context, dir string, o Options) error {
	cols, skipped, err := read(dir, o.Step)
	r.Skipped = skipped
	if err != nil {
		return err
	}
	for i, c := range cols {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t, ok := c.score(o)
		if !ok {
			r.skip(c.name + ": shorter than three days and two horizons, or constant")
			continue
		}
		r.Traces = append(r.Traces, t)
		if o.Progress != nil {
			o.Progress(i+1, len(cols))
		}
	}
	n := float64(len(r.Traces))
	if n == 0 {
		return errors.New("capacity benchmark: no trace could be used")
	}
	for _, t := range r.Traces {
		r.MASE += t.MASE / n
		r.NaiveMASE += t.NaiveMASE / n
		r.Pinball += t.Pinball / n
		r.NaivePinball += t.NaivePinball / n
	}
	r.MASEGain, r.PinballGain = 1-r.MASE/r.NaiveMASE, 1-r.Pinball/r.NaivePinball
	return nil
}

func (r *Report) skip(why string) {
	if len(r.Skipped) < 20 {
		r.Skipped = append(r.Skipped, why)
	}
}

// column is one resource of one trace, equally spaced.
type column struct {
	name   string
	step   int64 // ms
	values []float64
}

const day = int64(86_400_000)

// score forecasts from up to six origins in the last part of the trace; the
// season is a day. The seasonal naive forecast has the usual normal intervals,
// of its own past errors, that grow with the root of the days ahead.
func (c *column) score(o Options) (Trace, bool) {
	p, h := int(day/c.step), int(o.Horizon.Milliseconds()/c.step)
	n := len(c.values)
	first := max(3*p, n/2)
	if n < first+h || slices.Max(c.values) == slices.Min(c.values) {
		return Trace{}, false
	}
	t := Trace{Name: c.name}
	stride := max((n-h-first)/5, 1)
	for at := first; at+h <= n && t.Origins < 6; at += stride {
		past, future := c.values[:at], c.values[at:at+h]
		f, err := forecast.Make(forecast.Input{Values: past, Step: c.step, Horizon: h})
		if err != nil {
			return t, false
		}
		scale, naive := 0.0, make([]float64, h)
		square := 0.0
		for i := p; i < at; i++ {
			square += (past[i] - past[i-p]) * (past[i] - past[i-p]) / float64(at-p)
			scale += math.Abs(past[i]-past[i-p]) / float64(at-p)
		}
		if scale == 0 {
			return t, false
		}
		for k := range naive {
			naive[k] = past[at-p+k%p]
		}
		t.Origins++
		for k, y := range future {
			w := 1 / scale / float64(h)
			t.MASE += w * math.Abs(y-f.Mean[k])
			t.NaiveMASE += w * math.Abs(y-naive[k])
			for _, q := range levels() {
				grow := math.Sqrt(float64(k/p + 1))
				w := w / float64(len(levels()))
				t.Pinball += w * pinball(y, quantile(&f, k, q), q)
				t.NaivePinball += w * pinball(y, naive[k]+grow*math.Sqrt(square)*distuv.UnitNormal.Quantile(q), q)
			}
		}
	}
	for _, x := range []*float64{&t.MASE, &t.NaiveMASE, &t.Pinball, &t.NaivePinball} {
		*x /= float64(t.Origins)
	}
	return t, true
}

func quantile(f *forecast.Forecast, k int, q float64) float64 {
	switch q {
	case .025:
		return f.Bands[1].Low[k]
	case .1:
		return f.Bands[0].Low[k]
	case .9:
		return f.Bands[0].High[k]
	case .975:
		return f.Bands[1].High[k]
	}
	return f.Mean[k]
}

func pinball(y, f, q float64) float64 { return max(q*(y-f), (q-1)*(y-f)) }

// read reads all CSV files below dir. The step comes from a column of times
// (s, ms or RFC 3339), else from the file's name ("..._300_seconds.csv").
func read(dir string, step time.Duration) (out []column, skipped []string, err error) {
	note := func(format string, args ...any) {
		if len(skipped) < 20 {
			skipped = append(skipped, fmt.Sprintf(format, args...))
		}
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(strings.ToLower(path), ".csv") {
			return err
		}
		name := filepath.Base(filepath.Dir(path))
		own, cols, err := table(path)
		if err != nil {
			note("%s: %v", e.Name(), err)
			return nil
		}
		want := max(step.Milliseconds(), own)
		if step == 0 {
			want = max(5*60_000, own)
		}
		for _, c := range cols {
			id := name + "/" + c.name
			c.name, c.step = id, own
			if want > own {
				c.thin(int(want / own))
			}
			if seen[id] { // the same trace at another step
				note("%s of %s: there already", c.name, e.Name())
				continue
			}
			seen[id] = true
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return nil, skipped, fmt.Errorf("cannot read the traces: %w", err)
	}
	return out, skipped, nil
}

func (c *column) thin(k int) {
	var out []float64
	for i := 0; i+k <= len(c.values); i += k {
		sum := 0.0
		for _, v := range c.values[i : i+k] {
			sum += v / float64(k)
		}
		out = append(out, sum)
	}
	c.values, c.step = out, c.step*int64(k)
}

func table(path string) (step int64, out []column, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, fmt.Errorf("cannot open: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return 0, nil, fmt.Errorf("no header: %w", err)
	}
	clock := -1
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		if clock < 0 && (strings.Contains(h, "time") || strings.Contains(h, "date")) {
			clock = i
		}
		out = append(out, column{name: h})
	}
	var times []int64
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, nil, fmt.Errorf("cannot read: %w", err)
		}
		for i, cell := range rec {
			if i == clock {
				if t, ok := moment(cell); ok {
					times = append(times, t)
				}
				continue
			}
			v, err := strconv.ParseFloat(strings.TrimSpace(cell), 64)
			if err != nil {
				v = math.NaN()
			}
			out[i].values = append(out[i].values, v)
		}
	}
	if clock >= 0 {
		out = slices.Delete(out, clock, clock+1)
	}
	if len(times) > 2 {
		slices.Sort(times)
		step = (times[len(times)-1] - times[0]) / int64(len(times)-1)
		step = (step + 500) / 1000 * 1000
	} else if step, err = named(path); err != nil {
		return 0, nil, err
	}
	if step < 1000 || step > day/4 {
		return 0, nil, fmt.Errorf("a step of %d ms cannot be used", step)
	}
	out = slices.DeleteFunc(out, func(c column) bool { return !c.repair() })
	return step, out, nil
}

// repair repeats the last value where there is none; false when there are many
// such places.
func (c *column) repair() bool {
	bad, last := 0, math.NaN()
	for i, v := range c.values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			c.values[i] = last
			bad++
			continue
		}
		last = v
	}
	for i := len(c.values) - 1; i > 0; i-- {
		if math.IsNaN(c.values[i-1]) {
			c.values[i-1] = c.values[i]
		}
	}
	return len(c.values) > 0 && bad*10 < len(c.values)
}

func moment(s string) (int64, bool) {
	if v, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
		if math.Abs(v) > 1e11 {
			return int64(v), true
		}
		return int64(v * 1000), true
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// named finds the step in a file's name.
func named(path string) (int64, error) {
	words := strings.FieldsFunc(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), func(r rune) bool { return r == '_' || r == '-' || r == '.' })
	for i := 1; i < len(words); i++ {
		v, err := strconv.ParseInt(words[i-1], 10, 64)
		unit := map[string]int64{"seconds": 1000, "second": 1000, "s": 1000, "minutes": 60_000, "minute": 60_000, "min": 60_000, "hours": 3600_000, "hour": 3600_000}[words[i]]
		if err == nil && unit > 0 {
			return v * unit, nil
		}
	}
	return 0, errors.New("it has no column of times, and its name no step such as 300_seconds")
}

// Print writes the tables.
func (r Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if len(r.Traces) > 0 {
		fmt.Fprintf(tw, "Traces, %s ahead\n\nTRACE\tORIGINS\tMASE\tSEASONAL NAIVE\tPINBALL\tSEASONAL NAIVE\n", r.Horizon)
		for _, t := range r.Traces {
			fmt.Fprintf(tw, "%s\t%d\t%.3f\t%.3f\t%.4f\t%.4f\n", t.Name, t.Origins, t.MASE, t.NaiveMASE, t.Pinball, t.NaivePinball)
		}
		fmt.Fprintf(tw, "all\t\t%.3f\t%.3f\t%.4f\t%.4f\nbetter by\t\t%.1f %%\t\t%.1f %%\t\n", r.MASE, r.NaiveMASE, r.Pinball, r.NaivePinball, 100*r.MASEGain, 100*r.PinballGain)
	}
	r.Dates.print(tw)
	r.Schedule.print(tw)
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("cannot print the table: %w", err)
	}
	for _, s := range r.Skipped {
		fmt.Fprintln(w, "left out:", s)
	}
	return nil
}
