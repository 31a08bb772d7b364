// Package whatif measures how well what-if answers hold: it makes estates of
// simulated services whose true limits are known, lets package simulate see
// ordinary days only, and compares the predicted breaking load with the one at
// which the simulated service really breaks.
//
// The services are real queues, simulated request by request (first come,
// first served or processor sharing, one to eight servers, work with
// coefficients of variation from 0.3 to 1.5), not the formulas that the
// prediction fits. [Run] owns no goroutine; the main type is [Report].
package whatif

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"

	"github.com/norn-aiops/norn/internal/simulate"
	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options says how much is tried. Zero means the default in brackets.
type Options struct {
	Estates  int    // of four services each [20]
	Seed     uint64 // [1]
	Progress func(done, all int)
}

// Row is one kind of service.
type Row struct {
	Measured string  `json:"measured"` // what the past shows beside load and time
	Services int     `json:"services"`
	Refused  int     `json:"refused"`      // the past did not tell
	Median   float64 `json:"median_error"` // of the breaking load, share of the true one
	P90      float64 `json:"p90_error"`
	Within   float64 `json:"within_20_percent"` // share of those answered
	Covered  float64 `json:"coverage80"`        // true ones within P10 to P90
}

// Report is the outcome.
type Report struct {
	Seed       uint64  `json:"seed"`
	Estates    int     `json:"estates"`
	Rows       []Row   `json:"rows"`
	FirstRight float64 `json:"first_right"`        // share of estates whose first to break was named
	FirstError float64 `json:"first_median_error"` // of the traffic at which the estate breaks
	FirstP90   float64 `json:"first_p90_error"`
	Answered   int     `json:"answered"` // estates with a first
}

const (
	windows = 288 // of the past: two days of ten minutes
	window  = 30.0
	limit   = 3.0
)

// truth is one simulated service.
type truth struct {
	s        simulate.Service
	knee     float64
	usual    float64 // its load when the estate's is usual
	measured bool
}

// estate makes four services: frontend asks cart and catalog, catalog asks the
// store.
func estate(rng *rand.Rand) ([]truth, *simulate.Estate) {
	peak := 20 + 60*rng.Float64()
	rates := make([]float64, windows)
	for i := range rates {
		day := .55 - .4*math.Cos(4*math.Pi*float64(i)/windows)
		rates[i] = peak * day * math.Exp(.06*rng.NormFloat64())
	}
	asks := []struct {
		name, from string
		ratio      float64
	}{{"frontend", "", 1}, {"cart", "frontend", .3 + .5*rng.Float64()}, {"catalog", "frontend", .8 + .8*rng.Float64()}, {"store", "catalog", .3 + 1.5*rng.Float64()}}
	whole := map[string]float64{"": 1}
	e := &simulate.Estate{}
	var list []truth
	for _, a := range asks {
		whole[a.name] = whole[a.from] * a.ratio
		own := make([]float64, len(rates))
		for i, r := range rates {
			own[i] = r * whole[a.name]
		}
		t := service(a.name, own, peak*whole[a.name], rng)
		list = append(list, t)
		e.Services = append(e.Services, t.s)
		if a.from != "" {
			e.Calls = append(e.Calls, simulate.Call{From: entity(a.from), To: entity(a.name), Rate: t.s.Load})
		}
	}
	return list, e
}

func service(name string, rates []float64, peak float64, rng *rand.Rand) truth {
	srv := server{c: 1 << rng.IntN(4), shared: rng.IntN(2) == 0, cv: .3 + 1.2*rng.Float64()}
	srv.mean = float64(srv.c) / (peak * (1.2 + 2.3*rng.Float64())) // 29 to 83 % busy at the peak
	srv.fixed = srv.mean * rng.Float64()
	t := truth{measured: rng.IntN(2) == 0, s: simulate.Service{Entity: entity(name), Instances: srv.c}}
	for _, m := range srv.run(rates, window, rng) {
		t.s.Load, t.s.Latency = append(t.s.Load, m.load), append(t.s.Latency, m.time)
		if t.measured {
			t.s.Utilisation = append(t.s.Utilisation, math.Max(0, .02+.98*m.used+.01*rng.NormFloat64()))
		}
	}
	t.usual = stats.Quantile(t.s.Load, .95)
	t.knee = srv.knee(limit*stats.Median(t.s.Latency), rng)
	return t
}

func entity(name string) telemetry.Entity {
	return telemetry.Entity{Kind: telemetry.KindService, Name: name}
}

// tally gathers the errors of one kind of service.
type tally struct {
	errors           []float64
	refused, covered int
}

func (t *tally) row(name string) Row {
	n := len(t.errors)
	r := Row{Measured: name, Services: n + t.refused, Refused: t.refused}
	if n == 0 {
		return r
	}
	r.Median, r.P90, r.Covered = stats.Median(t.errors), stats.Quantile(t.errors, .9), float64(t.covered)/float64(n)
	for _, e := range t.errors {
		if e <= .2 {
			r.Within += 1 / float64(n)
		}
	}
	return r
}

// Run measures. It ends early with the context's error.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Estates <= 0 {
		o.Estates = 20
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	r := Report{Seed: o.Seed, Estates: o.Estates}
	var used, timed tally
	var firsts []float64
	right := 0
	for k := range o.Estates {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if o.Progress != nil {
			o.Progress(k, o.Estates)
		}
		list, e := estate(rand.New(rand.NewPCG(o.Seed, uint64(k))))
		a, err := simulate.Ask(e, simulate.Question{Kind: simulate.Surge, Factor: 5, Limit: limit, Seed: o.Seed})
		if err != nil {
			return r, fmt.Errorf("bench whatif: %w", err)
		}
		first := slices.MinFunc(list, func(x, y truth) int {
			if x.knee/x.usual < y.knee/y.usual {
				return -1
			}
			return 1
		})
		for i := range list {
			if to := &timed; list[i].measured {
				used.add(&list[i], &a)
			} else {
				to.add(&list[i], &a)
			}
		}
		if a.First != nil {
			if a.First.Entity == first.s.Entity {
				right++
			}
			firsts = append(firsts, math.Abs(a.First.BreakingAt.P50*first.usual/first.knee-1))
		}
	}
	r.Rows = []Row{used.row("utilisation"), timed.row("time only")}
	if r.Answered = len(firsts); r.Answered > 0 {
		r.FirstRight = float64(right) / float64(len(firsts))
		r.FirstError, r.FirstP90 = stats.Median(firsts), stats.Quantile(firsts, .9)
	}
	return r, nil
}

func (t *tally) add(s *truth, a *simulate.Answer) {
	for i := range a.Effects {
		f := &a.Effects[i]
		if f.Entity != s.s.Entity {
			continue
		}
		t.errors = append(t.errors, math.Abs(f.BreakingLoad.P50/s.knee-1))
		if f.BreakingLoad.P10 <= s.knee && s.knee <= f.BreakingLoad.P90 {
			t.covered++
		}
		return
	}
	t.refused++
}

// Print writes the report as tables.
func (r Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "MEASURED\tSERVICES\tREFUSED\tMEDIAN ERROR\tP90\tWITHIN 20 %\tCOVERAGE OF 80 %")
	for _, x := range r.Rows {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%.1f %%\t%.1f %%\t%.0f %%\t%.0f %%\n", x.Measured, x.Services, x.Refused, 100*x.Median, 100*x.P90, 100*x.Within, 100*x.Covered)
	}
	fmt.Fprintf(tw, "\nfirst to break named in %.0f %% of %d estates; error of the traffic at which it breaks: median %.1f %%, P90 %.1f %% (seed %d)\n",
		100*r.FirstRight, r.Answered, 100*r.FirstError, 100*r.FirstP90, r.Seed)
	return tw.Flush()
}
