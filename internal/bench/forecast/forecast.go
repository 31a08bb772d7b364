// Package forecast scores forecasts on M4-style folders, beside plain methods
// in the same run.
//
// It exists so that the forecaster is compared by the field's own measures. It
// forecasts nothing itself. [Run] is the entry; it reads files and is safe for
// concurrent use.
package forecast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/forecast"
)

// Row is one method's scores, means over all series: sMAPE in percent (0 to
// 200), MASE, MSIS and coverage as the M4 competition defines them
// (Makridakis, Spiliotis and Assimakopoulos 2020), OWA against Naive2.
type Row struct {
	Method     string   `json:"method"`
	SMAPE      float64  `json:"smape"`
	MASE       float64  `json:"mase"`
	OWA        float64  `json:"owa"`
	MSIS       *float64 `json:"msis,omitempty"`
	Coverage80 *float64 `json:"coverage80,omitempty"`
	Coverage95 *float64 `json:"coverage95,omitempty"`
}

// Report is what [Run] measured. The first row's figures stand beside it.
type Report struct {
	Set        string  `json:"set"`
	Series     int     `json:"series"`
	Horizon    int     `json:"horizon"`
	SMAPE      float64 `json:"smape"`
	MASE       float64 `json:"mase"`
	OWA        float64 `json:"owa"`
	MSIS       float64 `json:"msis"`
	Coverage80 float64 `json:"coverage80"`
	Coverage95 float64 `json:"coverage95"`
	// Milliseconds of processor time for 1,000 points of history, all included.
	MsPer1000 float64  `json:"ms_per_1000_points"`
	Rows      []Row    `json:"rows"`
	Refused   []string `json:"refused,omitempty"` // files' lines that could not be used, at most 20
}

// Options of a run.
type Options struct {
	Limit    int                                  // series at most, 0 for all
	CPU      func() time.Duration                 // processor time of the calling thread so far
	Progress func(done, of int)                   // may be nil
	Dump     func(id string, f, lo, hi []float64) // may be nil
}

// tally adds up one method's scores.
type tally struct {
	smape, mase, msis, in80, in95 float64
	points                        float64
	intervals                     bool
}

// Run forecasts every series of the set in dir (Train/NAME-train.csv and
// Test/NAME-test.csv).
func Run(ctx context.Context, dir, set string, o Options) (Report, error) {
	runtime.LockOSThread() // for the processor time
	defer runtime.UnlockOSThread()
	kind := kindOf(set)
	series, refused, err := read(dir, set)
	if err != nil {
		return Report{}, err
	}
	if o.Limit > 0 && len(series) > o.Limit {
		series = series[:o.Limit]
	}
	rep := Report{Set: set, Refused: refused}
	names := []string{"norn", "seasonal naive", "Naive2"}
	sums := make([]tally, len(names))
	history := 0
	var spent time.Duration
	for i, s := range series {
		if ctx.Err() != nil {
			return rep, ctx.Err()
		}
		rep.Horizon = max(rep.Horizon, len(s.future))
		began := o.CPU()
		f, err := forecast.Make(forecast.Input{Values: s.past, Step: kind.step, Horizon: len(s.future)})
		spent += o.CPU() - began
		if err != nil {
			rep.Refused = note(rep.Refused, fmt.Sprintf("%s: %v", s.id, err))
			continue
		}
		history += len(s.past)
		rep.Series++
		sums[0].add(s, kind.m, f.Mean)
		sums[0].interval(s, kind.m, f.Bands)
		sums[1].add(s, kind.m, seasonalNaive(s.past, kind.natural(len(s.past)), len(s.future)))
		sums[2].add(s, kind.m, naive2(s.past, kind.m, len(s.future)))
		if o.Dump != nil {
			o.Dump(s.id, f.Mean, f.Bands[1].Low, f.Bands[1].High)
		}
		if o.Progress != nil {
			o.Progress(i+1, len(series))
		}
	}
	if rep.Series == 0 {
		return rep, errors.New("forecast benchmark: no series could be read")
	}
	rep.finish(names, sums)
	rep.MsPer1000 = float64(spent.Milliseconds()) / float64(history) * 1000
	return rep, nil
}

func (r *Report) finish(names []string, sums []tally) {
	n := float64(r.Series)
	base := sums[len(sums)-1]
	for i, t := range sums {
		row := Row{Method: names[i], SMAPE: t.smape / n, MASE: t.mase / n}
		row.OWA = (t.smape/base.smape + t.mase/base.mase) / 2
		if t.intervals {
			msis, c80, c95 := t.msis/n, t.in80/t.points, t.in95/t.points
			row.MSIS, row.Coverage80, row.Coverage95 = &msis, &c80, &c95
		}
		r.Rows = append(r.Rows, row)
	}
	a := r.Rows[0]
	r.SMAPE, r.MASE, r.OWA = a.SMAPE, a.MASE, a.OWA
	if a.MSIS != nil {
		r.MSIS, r.Coverage80, r.Coverage95 = *a.MSIS, *a.Coverage80, *a.Coverage95
	}
}

// add scores point forecasts.
func (t *tally) add(s series, m int, f []float64) {
	e, d := 0.0, 0.0
	for i, y := range s.future {
		e += math.Abs(y - f[i])
		if both := math.Abs(y) + math.Abs(f[i]); both > 0 {
			d += 200 * math.Abs(y-f[i]) / both
		}
	}
	h := float64(len(s.future))
	t.smape += d / h
	if sc := s.scale(m); sc > 0 {
		t.mase += e / h / sc
	}
}

// interval scores interval forecasts; the second band is that of 95 %.
func (t *tally) interval(s series, m int, bands []forecast.Band) {
	t.intervals = true
	sum := 0.0
	for i, y := range s.future {
		lo, hi := bands[1].Low[i], bands[1].High[i]
		sum += hi - lo + 2/.05*(max(lo-y, 0)+max(y-hi, 0))
		t.points++
		if y >= lo && y <= hi {
			t.in95++
		}
		if y >= bands[0].Low[i] && y <= bands[0].High[i] {
			t.in80++
		}
	}
	if sc := s.scale(m); sc > 0 {
		t.msis += sum / float64(len(s.future)) / sc
	}
}

// Print writes the table.
func (r Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %d series, %d steps ahead, %.1f ms of processor time for 1,000 points of history\n\n", r.Set, r.Series, r.Horizon, r.MsPer1000)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "METHOD\tSMAPE\tMASE\tOWA\tMSIS\tIN 80 %\tIN 95 %")
	for _, x := range r.Rows {
		fmt.Fprintf(tw, "%s\t%.3f\t%.3f\t%.3f\t", x.Method, x.SMAPE, x.MASE, x.OWA)
		if x.MSIS == nil {
			fmt.Fprintln(tw, "-\t-\t-")
			continue
		}
		fmt.Fprintf(tw, "%.2f\t%.3f\t%.3f\n", *x.MSIS, *x.Coverage80, *x.Coverage95)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("cannot print the table: %w", err)
	}
	for _, l := range r.Refused {
		fmt.Fprintln(w, "left out:", l)
	}
	return nil
}
