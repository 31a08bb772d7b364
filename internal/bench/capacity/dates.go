package capacity

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/norn-aiops/norn/internal/forecast"
	"github.com/norn-aiops/norn/internal/stats"
)

// Dates is how well dates of exhaustion were told. The error is the absolute
// log of foretold over true days to the limit; calibration is the share of
// supplies that were used up by the date said (P10 should be .1), a tie
// counted half.
type Dates struct {
	Supplies    int     `json:"supplies"`
	Error       float64 `json:"error_median"`
	ErrorMean   float64 `json:"error_mean"`
	Within      float64 `json:"within"` // within 3 days or a quarter of the time
	LinearError float64 `json:"predict_linear_error_median"`
	LinearMean  float64 `json:"predict_linear_error_mean"`
	LinearIn    float64 `json:"predict_linear_within"`
	P10         float64 `json:"calibration_p10"`
	P50         float64 `json:"calibration_p50"`
	P90         float64 `json:"calibration_p90"`
	Never       int     `json:"never"` // no date was told, though there was one
	PerMS       float64 `json:"-"`
}

// supply is a made-up history of hourly values with the day, after its end, at
// which its peak reaches the limit.
type supply struct {
	values []float64
	limit  float64
	truth  float64 // days
}

const ahead = 180 // days at most to the end

// grow makes a supply: growth, a rhythm of days and weeks, noise that has a
// memory, a random walk, and often a shift of level or a change of growth in
// the past.
func grow(r *rand.Rand) (supply, bool) {
	days := 40 + r.IntN(100)
	n := 24 * (days + ahead)
	rate := math.Exp(r.NormFloat64()*.7) * .5
	daily, weekly := r.Float64()*6, r.Float64()*5
	noise, memory, walk := .3+r.Float64()*2, .8, r.Float64()*.5
	bend, shift, by := -1, -1, 0.0
	if r.Float64() < .3 {
		bend = int(float64(days) * (.3 + .4*r.Float64()))
	}
	if r.Float64() < .5 {
		shift, by = int(float64(days)*(.2+.6*r.Float64())), (r.Float64()-.4)*30
	}
	if bend >= 0 {
		rate *= .5 + r.Float64()
	}
	values := make([]float64, n)
	level, w, e := 100.0, 0.0, 0.0
	factor := .3 + 1.4*r.Float64()
	for i := range values {
		d := float64(i) / 24
		g := rate
		if bend >= 0 && d < float64(bend) {
			g *= factor
		}
		level += g / 24
		if shift >= 0 && i == shift*24 {
			level += by
		}
		w += walk * r.NormFloat64() / math.Sqrt(24)
		e = memory*e + noise*math.Sqrt(1-memory*memory)*r.NormFloat64()
		values[i] = level + w + e + daily*math.Sin(2*math.Pi*d) + weekly*math.Sin(2*math.Pi*d/7)
	}
	now := 24 * days
	peak := math.Inf(-1)
	for _, v := range values[now-14*24 : now] {
		peak = max(peak, v)
	}
	s := supply{values: values[:now], limit: peak + rate*(4+r.Float64()*60)}
	for i, v := range values[now:] {
		if v >= s.limit {
			s.truth = float64(i+1) / 24
			return s, s.truth > 1
		}
	}
	return s, false
}

func dates(ctx context.Context, o Options) (Dates, error) {
	r := rand.New(rand.NewPCG(o.Seed, 0xca9ac17))
	var d Dates
	var errs, linear []float64
	for d.Supplies < o.Supplies {
		if ctx.Err() != nil {
			return d, ctx.Err()
		}
		s, ok := grow(r)
		if !ok {
			continue
		}
		d.Supplies++
		e, err := forecast.Exhaust(forecast.Supply{Values: s.values, Step: day / 24, Limit: s.limit, Seed: o.Seed + uint64(d.Supplies)})
		if err != nil {
			return d, fmt.Errorf("made-up supply %d: %w", d.Supplies, err)
		}
		told := 730.0
		if e.P50 != nil {
			told = float64(*e.P50) / float64(day)
		} else {
			d.Never++
		}
		errs = append(errs, math.Abs(math.Log(max(told, .5)/s.truth)))
		if near(told, s.truth) {
			d.Within++
		}
		for q, to := range map[float64]*float64{.1: &d.P10, .5: &d.P50, .9: &d.P90} {
			at := math.Inf(1)
			if t := e.Quantile(q); t != nil {
				at = float64(*t) / float64(day)
			}
			switch {
			case math.Ceil(s.truth) < math.Ceil(at):
				*to++
			case math.Ceil(s.truth) == math.Ceil(at):
				*to += .5
			}
		}
		l := line(s)
		linear = append(linear, math.Abs(math.Log(max(l, .5)/s.truth)))
		if near(l, s.truth) {
			d.LinearIn++
		}
	}
	n := float64(max(d.Supplies, 1))
	for _, x := range []*float64{&d.Within, &d.LinearIn, &d.P10, &d.P50, &d.P90} {
		*x /= n
	}
	for i := range errs {
		d.ErrorMean += errs[i] / n
		d.LinearMean += linear[i] / n
	}
	if len(errs) > 0 {
		d.Error, d.LinearError = stats.Quantile(errs, .5), stats.Quantile(linear, .5)
	}
	return d, nil
}

func near(told, truth float64) bool { return math.Abs(told-truth) <= max(3, .25*truth) }

// line is Prometheus' predict_linear over the last four weeks: days until the
// least squares line meets the limit, at most 730.
func line(s supply) float64 {
	y := s.values[max(0, len(s.values)-28*24):]
	n := float64(len(y))
	mt, sy, sty := (n-1)/2, 0.0, 0.0
	for i, v := range y {
		sy += v
		sty += (float64(i) - mt) * v
	}
	slope := sty / (n * (n*n - 1) / 12)
	at := sy/n + slope*(n-1-mt)
	if slope <= 0 {
		return 730
	}
	return min(max((s.limit-at)/slope/24, 0), 730)
}

func (d *Dates) print(w io.Writer) {
	fmt.Fprintf(w, "\nDates of exhaustion, %d made-up supplies\n\nMETHOD\tLOG ERROR, MEDIAN\tMEAN\tWITHIN 3 DAYS OR 25 %%\tBY P10\tBY P50\tBY P90\n", d.Supplies)
	fmt.Fprintf(w, "norn\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n", d.Error, d.ErrorMean, d.Within, d.P10, d.P50, d.P90)
	fmt.Fprintf(w, "predict_linear, 28 days\t%.3f\t%.3f\t%.3f\t-\t-\t-\n", d.LinearError, d.LinearMean, d.LinearIn)
}
