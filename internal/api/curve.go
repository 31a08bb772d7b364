package api

import (
	"math"
	"slices"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// maxEvaluations bounds the steps of one PromQL range query.
const maxEvaluations = 8000

// steps are the distances of points that people can read off an axis.
var steps = [...]time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day,
}

// niceStep is the smallest step (ms) that covers span (ms) in at most points
// points.
func niceStep(span int64, points int) int64 {
	need := span / int64(max(points, 1))
	for _, s := range steps {
		if s.Milliseconds() >= need {
			return s.Milliseconds()
		}
	}
	d := day.Milliseconds()
	return (need + d - 1) / d * d
}

// fineStep is the step (ms) at which a derived series is evaluated before it
// is thinned: ten seconds or, for a long range, what the bound allows; five
// seconds or one for a short one.
func fineStep(span int64) int64 {
	const most = 10 * 1000
	return max(niceStep(span, maxEvaluations), min(most, niceStep(span, 600)))
}

func alignUp(t, step int64) int64 { return (t + step - 1) / step * step }

// thin keeps about points samples so that the drawn line looks the same: of
// each of points/2 equal spans of time it keeps the lowest and the highest, in
// their order. Samples must be oldest first; NaN and infinities are dropped.
func thin(in []telemetry.Sample, points int) []telemetry.Sample {
	in = slices.DeleteFunc(slices.Clone(in), func(s telemetry.Sample) bool { return math.IsNaN(s.V) || math.IsInf(s.V, 0) })
	if len(in) <= points {
		return in
	}
	buckets := int64(max(points/2, 1))
	first, span := in[0].T, in[len(in)-1].T-in[0].T+1
	out := make([]telemetry.Sample, 0, points+2)
	for i := 0; i < len(in); {
		b := (in[i].T - first) * buckets / span
		lo, hi := i, i
		j := i
		for ; j < len(in) && (in[j].T-first)*buckets/span == b; j++ {
			if in[j].V < in[lo].V {
				lo = j
			}
			if in[j].V > in[hi].V {
				hi = j
			}
		}
		out = append(out, in[min(lo, hi)])
		if lo != hi {
			out = append(out, in[max(lo, hi)])
		}
		i = j
	}
	return out
}

// breakGaps puts a NaN where the distance of two samples is more than four
// times the usual one (and 30 s), so that the line shows the silence.
func breakGaps(in []telemetry.Sample) []telemetry.Sample {
	if len(in) < 4 {
		return in
	}
	dist := make([]int64, len(in)-1)
	for i := range dist {
		dist[i] = in[i+1].T - in[i].T
	}
	slices.Sort(dist)
	limit := max(4*dist[len(dist)/2], 30_000)
	out := make([]telemetry.Sample, 0, len(in)+4)
	for i, s := range in {
		if i > 0 && s.T-in[i-1].T > limit {
			out = append(out, telemetry.Sample{T: in[i-1].T + 1, V: math.NaN()})
		}
		out = append(out, s)
	}
	return out
}

func toCurve(in []telemetry.Sample) Curve {
	c := Curve{T: make([]int64, len(in)), V: make([]*float64, len(in))}
	for i, s := range in {
		c.T[i], c.V[i] = s.T, finite(s.V)
	}
	return c
}

func toBand(in []ops.Band) BandCurve {
	n := len(in)
	c := BandCurve{T: make([]int64, n), Expected: make([]*float64, n), Low: make([]*float64, n), High: make([]*float64, n)}
	for i, b := range in {
		c.T[i], c.Expected[i], c.Low[i], c.High[i] = b.T, finite(b.Expected), finite(b.Low), finite(b.High)
	}
	return c
}
