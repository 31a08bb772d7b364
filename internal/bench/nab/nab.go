// Package nab scores detection on the Numenta Anomaly Benchmark.
//
// It exists to prove the detector's worth by a public figure that anyone can
// check: first it scores the published results of three other detectors (so
// that the scorer itself is proved), then Norn's own members, run strictly
// causally by the code that production runs. It does not tune anything. The
// scoring follows Lavin and Ahmad, "Evaluating Real-time Anomaly Detection
// Algorithms - the Numenta Anomaly Benchmark" (ICMLA 2015). [Run] keeps no
// state and is safe for concurrent use; the main type is [Report].
package nab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
	"github.com/norn-aiops/norn/internal/detect"
)

// Options steer a run. The zero value is the full run.
type Options struct {
	Quick    bool                  // leave out the robust mean (six more runs)
	Progress func(done, total int) // called after every pass over the corpus, from the calling goroutine; may be nil
}

// Report is the outcome. RobustMean is the mean of the standard score over
// seven lengths of the warm-up; it is absent in a quick run.
type Report struct {
	Standard     float64            `json:"standard"`
	LowFP        float64            `json:"low_fp"`
	LowFN        float64            `json:"low_fn"`
	Threshold    float64            `json:"threshold"`
	RobustMean   float64            `json:"robust_mean,omitempty"`
	RobustMeanFP float64            `json:"robust_mean_low_fp,omitempty"`
	RobustMeanFN float64            `json:"robust_mean_low_fn,omitempty"`
	Factors      map[string]float64 `json:"by_warmup_factor,omitempty"` // standard score
	Published    Published          `json:"published"`
	Files        int                `json:"files"`
	Windows      int                `json:"windows"`
	Points       int                `json:"points"`
	NsPerPoint   float64            `json:"ns_per_point"`
}

// Published are the standard scores that the scorer gives to the published
// results of other detectors; known are 70.1, 54.6 and 39.6.
type Published struct {
	Numenta          float64 `json:"numenta"`
	RelativeEntropy  float64 `json:"relative_entropy"`
	WindowedGaussian float64 `json:"windowed_gaussian"`
}

// factors are the lengths of the warm-up, as shares of the probation, over
// which the robust mean is taken. The last is the benchmark's own.
var factors = [...]float64{.75, .8, .85, .9, .95, .97, 1}

// Run scores the corpus below dir (data/, labels/, and published/ where it
// exists). Each series is read by one new detector whose warm-up is the
// benchmark's probation; one threshold serves the whole corpus, as the
// benchmark prescribes.
func Run(ctx context.Context, dir string, o Options) (Report, error) {
	var rep Report
	c, err := load(dir)
	if err != nil {
		return rep, fmt.Errorf("load benchmark from %s: %w", dir, err)
	}
	use := factors[:]
	if o.Quick {
		use = factors[len(factors)-1:]
	}
	done := func(n int) {
		if o.Progress != nil {
			o.Progress(n, len(use)+1)
		}
	}
	if rep.Published, err = c.allPublished(dir); err != nil {
		return rep, err
	}
	done(1)
	for i, f := range use {
		if err := rep.pass(ctx, c, f, len(use)); err != nil {
			return rep, err
		}
		done(i + 2)
	}
	return rep, nil
}

// pass runs the whole corpus with one warm-up factor and adds to the report.
func (rep *Report) pass(ctx context.Context, c *corpus, factor float64, passes int) error {
	var shape []file
	points, windows := 0, 0
	start := time.Now()
	for _, name := range c.names {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := c.series[name]
		warm := int(factor * float64(probation(len(s.T))))
		shape = append(shape, file{name, s.T, c.windows[name], detectSeries(s, warm)})
		points += len(s.T)
		windows += len(c.windows[name])
	}
	took := time.Since(start)
	s := scoreCorpus(shape)
	if passes > 1 {
		if rep.Factors == nil {
			rep.Factors = map[string]float64{}
		}
		rep.Factors[fmt.Sprint(factor)] = s.Standard
		k := 1 / float64(passes)
		rep.RobustMean += k * s.Standard
		rep.RobustMeanFP += k * s.LowFP
		rep.RobustMeanFN += k * s.LowFN
	}
	if factor == 1 {
		rep.Standard, rep.LowFP, rep.LowFN, rep.Threshold = s.Standard, s.LowFP, s.LowFN, s.Threshold
		rep.Files, rep.Windows, rep.Points = len(c.names), windows, points
		rep.NsPerPoint = float64(took.Nanoseconds()) / float64(max(1, points))
	}
	return nil
}

// detectSeries reads a series with the production detector and returns the
// shape member's alarms, one score a row. Repeated or backward times, which
// civil time without a zone makes in autumn, are read one second after the row
// before.
func detectSeries(s csvdata.Series, warm int) []float64 {
	d := detect.NewDetector(detect.Options{Warmup: warm})
	alarms := make([]float64, len(s.T))
	last := int64(-1 << 62)
	for i, t := range s.T {
		t = max(t, last+1)
		last = t
		if sc, ok := d.Step(t*1000, s.V[i]); ok {
			alarms[i] = float64(sc.Alarm)
		}
	}
	return alarms
}

// allPublished scores the published results below dir. A folder without
// published results gives zeros.
func (c *corpus) allPublished(dir string) (Published, error) {
	var p Published
	for name, to := range map[string]*float64{
		"numenta": &p.Numenta, "relativeEntropy": &p.RelativeEntropy, "windowedGaussian": &p.WindowedGaussian,
	} {
		s, err := c.published(filepath.Join(dir, "published", name+".csv.gz"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return p, err
		}
		*to = s.Standard
	}
	return p, nil
}

// known are the scores that the benchmark's own scoreboard states.
var known = Published{Numenta: 70.1, RelativeEntropy: 54.6, WindowedGaussian: 39.6}

// JSON writes the report as one object.
func (rep Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rep)
}

// Print writes the report as tables for people.
func (rep Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "Numenta Anomaly Benchmark\t%d files, %d windows, %d points, %.0f ns a point\n\n", rep.Files, rep.Windows, rep.Points, rep.NsPerPoint)
	fmt.Fprintf(t, "scorer on published results\tstandard\tknown\n")
	fmt.Fprintf(t, "  Numenta HTM\t%.1f\t%.1f\n", rep.Published.Numenta, known.Numenta)
	fmt.Fprintf(t, "  relative entropy\t%.1f\t%.1f\n", rep.Published.RelativeEntropy, known.RelativeEntropy)
	fmt.Fprintf(t, "  windowed Gaussian\t%.1f\t%.1f\n\n", rep.Published.WindowedGaussian, known.WindowedGaussian)
	fmt.Fprintf(t, "Norn, basic tier, strictly causal\tstandard\tlow FP\tlow FN\n")
	fmt.Fprintf(t, "  shape member\t%.1f\t%.1f\t%.1f\n", rep.Standard, rep.LowFP, rep.LowFN)
	if rep.RobustMean != 0 {
		fmt.Fprintf(t, "  mean over seven warm-ups\t%.1f\t%.1f\t%.1f\n", rep.RobustMean, rep.RobustMeanFP, rep.RobustMeanFN)
	}
	return t.Flush()
}
