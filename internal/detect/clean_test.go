package detect

import (
	"math"
	"math/rand/v2"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// cleanSeries is one kind of life without faults. next gives the value at t
// seconds; ok false means that no point comes then.
type cleanSeries struct {
	name   string
	signal telemetry.Signal
	unit   string
	dir    telemetry.Direction
	make   func(r *rand.Rand, step float64) func(t float64) (v float64, ok bool)
}

// day is a daily shape between 0 and 1, its low at 04:00.
func day(t float64) float64 { return .5 - .5*math.Cos(2*math.Pi*(t/86400-4./24)) }

func poisson(r *rand.Rand, mean float64) float64 {
	if mean > 50 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*r.NormFloat64()))
	}
	l, k, p := math.Exp(-mean), 0, 1.
	for {
		if p *= r.Float64(); p <= l {
			return float64(k)
		}
		k++
	}
}

func iid(f func(r *rand.Rand, t float64) float64) func(*rand.Rand, float64) func(float64) (float64, bool) {
	return func(r *rand.Rand, _ float64) func(float64) (float64, bool) {
		return func(t float64) (float64, bool) { return f(r, t), true }
	}
}

// cleanKinds are what production series look like when nothing is wrong.
func cleanKinds() []cleanSeries {
	lat, sat, traf, errs := telemetry.SignalLatency, telemetry.SignalSaturation, telemetry.SignalTraffic, telemetry.SignalErrors
	return []cleanSeries{
		{"gaussian", telemetry.SignalOther, "", 0, iid(func(r *rand.Rand, t float64) float64 { return 100 + 5*r.NormFloat64() })},
		{"daily traffic", traf, "{request}/s", 0, iid(func(r *rand.Rand, t float64) float64 { return poisson(r, 60*(2+8*day(t))) / 60 })},
		{"weekly traffic", traf, "{request}/s", 0, iid(func(r *rand.Rand, t float64) float64 {
			k := 1.
			if d := (int(t/86400) + 3) % 7; d >= 5 {
				k = .6
			}
			return poisson(r, 60*k*(2+8*day(t))) / 60
		})},
		{"lognormal latency", lat, "s", 1, iid(func(r *rand.Rand, t float64) float64 {
			return .1 * (1 + .5*day(t)) * math.Exp(.4*r.NormFloat64())
		})},
		{"p95 of few requests", lat, "s", 1, iid(func(r *rand.Rand, t float64) float64 {
			m := 0.
			for range 20 {
				m = math.Max(m, math.Exp(.8*r.NormFloat64()))
			}
			return .05 * m
		})},
		{"rare counts", telemetry.SignalLogs, "{line}/s", 1, iid(func(r *rand.Rand, t float64) float64 { return poisson(r, .3) / 60 })},
		{"very rare counts", telemetry.SignalLogs, "{line}/s", 1, iid(func(r *rand.Rand, t float64) float64 { return poisson(r, .003) / 60 })},
		{"counts", telemetry.SignalLogs, "{line}/s", 1, iid(func(r *rand.Rand, t float64) float64 { return poisson(r, 6) / 60 })},
		{"error ratio", errs, "1", 1, iid(func(r *rand.Rand, t float64) float64 {
			n := math.Max(1, poisson(r, 40*(.3+day(t))))
			return math.Min(n, poisson(r, n*.004)) / n
		})},
		{"error ratio, tiny traffic", errs, "1", 1, func(r *rand.Rand, _ float64) func(float64) (float64, bool) {
			return func(t float64) (float64, bool) {
				n := poisson(r, 2)
				return math.Min(n, poisson(r, n*.01)) / math.Max(n, 1), n > 0
			}
		}},
		{"bursts", traf, "{request}/s", 0, burst},
		{"autoregressive", sat, "1", 1, ar(.98, .02, .4)},
		{"wandering", telemetry.SignalOther, "By", 0, ar(.9995, 1e6, 1e9)},
		{"garbage collection", sat, "By", 1, func(r *rand.Rand, step float64) func(float64) (float64, bool) {
			v := 3e8
			return func(t float64) (float64, bool) {
				if v += 1e5 * step * (.5 + r.Float64()); v > 6e8*(1+.05*r.NormFloat64()) {
					v = 3e8 * (1 + .05*r.NormFloat64())
				}
				return v, true
			}
		}},
		{"cpu", sat, "1", 1, iid(func(r *rand.Rand, t float64) float64 {
			return math.Min(1, math.Max(0, .1+.4*day(t)+.05*r.NormFloat64()))
		})},
		{"nightly job", sat, "1", 1, iid(func(r *rand.Rand, t float64) float64 {
			v := .1 + .02*r.NormFloat64()
			if s := math.Mod(t, 86400); s > 10800 && s < 11400 {
				v += .6
			}
			return v
		})},
		{"constant", sat, "1", 1, iid(func(r *rand.Rand, t float64) float64 { return .25 })},
		{"no errors", errs, "1", 1, iid(func(r *rand.Rand, t float64) float64 { return 0 })},
		{"queue", sat, "{message}", 1, iid(func(r *rand.Rand, t float64) float64 { return math.Floor(r.ExpFloat64() * 3) })},
	}
}

func burst(r *rand.Rand, step float64) func(float64) (float64, bool) {
	on := false
	return func(t float64) (float64, bool) {
		if p := step / 3600; on {
			on = r.Float64() > step/300
		} else {
			on = r.Float64() < p
		}
		m := 5.
		if on {
			m = 15
		}
		return poisson(r, m*step) / step, true
	}
}

// ar is a first-order autoregression (coefficient a a minute, noise s a
// minute) around m.
func ar(a, s, m float64) func(*rand.Rand, float64) func(float64) (float64, bool) {
	return func(r *rand.Rand, step float64) func(float64) (float64, bool) {
		x, k := 0., math.Pow(a, step/60)
		noise := s * math.Sqrt(step/60)
		return func(t float64) (float64, bool) {
			x = k*x + noise*r.NormFloat64()
			return m + x, true
		}
	}
}
