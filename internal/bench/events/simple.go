package events

import (
	"math"
	"slices"
)

// Detector is one row of the report: a threshold, and how to begin a series.
type Detector struct {
	Name      string
	Threshold float64
	// New begins a series whose warm-up has the given number of points. The
	// function that it gives reads one finite value at a time (Unix ms) and
	// returns a score >= 0, by what it has read until then.
	New func(warm int) func(t int64, v float64) float64
	// Rows, where it is set, begins a file of several columns as New begins a
	// series; the function reads one row at a time, NaN for a missing value.
	// Without it each column is read by itself and a row's score is the largest.
	Rows func(warm, columns int) func(t int64, row []float64) float64
	// given are scores of another program, by file; then nothing is begun.
	given map[*File][]float64
	// Variants are the same detector by other rules, among which the
	// leave-one-set-out row chooses; without them it chooses among thresholds.
	Variants []Detector
}

// Simple gives the detectors that Norn is compared with. Their thresholds are
// those that did best, as one common threshold, on the development sets.
func Simple(forest bool) []Detector {
	out := []Detector{
		{Name: "ewma_z", Threshold: 4, New: ewmaZ},
		{Name: "rolling_z", Threshold: 4.75, New: rollingZ},
		{Name: "spike_record", Threshold: 1.2, New: spikeRecord},
	}
	if forest {
		out = append(out, Detector{Name: "random_cut_forest", Threshold: forestThreshold, New: cutForest})
	}
	return out
}

// ewmaZ is the distance from an exponentially weighted mean in standard
// deviations, both with a half-life of 500 points.
func ewmaZ(int) func(int64, float64) float64 {
	least := 1 - math.Exp2(-1./500)
	var mean, variance float64
	n := 0
	return func(_ int64, v float64) float64 {
		d := v - mean
		if n == 0 {
			d, mean = 0, v
		}
		z := 0.
		if variance > 0 {
			z = math.Abs(d) / math.Sqrt(variance)
		}
		a := math.Max(1/float64(n+1), least)
		mean += a * d
		variance = (1 - a) * (variance + a*d*d)
		n++
		return clean(z)
	}
}

// rollingZ is the distance from the mean of the last 100 points in their
// standard deviations.
func rollingZ(int) func(int64, float64) float64 {
	var ring [100]float64
	n := 0
	return func(_ int64, v float64) float64 {
		k := min(n, len(ring))
		var mean, sum float64
		for _, x := range ring[:k] {
			mean += x / float64(k)
		}
		for _, x := range ring[:k] {
			sum += (x - mean) * (x - mean)
		}
		ring[n%len(ring)] = v
		n++
		if k < 2 || sum <= 0 {
			return 0
		}
		return clean(math.Abs(v-mean) / math.Sqrt(sum/float64(k)))
	}
}

// spikeRecord is how large the distance from the median of the last five
// points is against the largest of the last thousands.
func spikeRecord(int) func(int64, float64) float64 {
	var last [5]float64
	n := 0
	var mean, peak float64
	fade := math.Exp(-1. / 3000)
	return func(_ int64, v float64) float64 {
		med := v
		if k := min(n, 5); k > 0 {
			var buf [5]float64
			s := append(buf[:0], last[:k]...)
			slices.Sort(s)
			med = (s[(k-1)/2] + s[k/2]) / 2
		}
		last[n%5] = v
		r := math.Abs(v - med)
		q := math.Min(3, r/(peak+.001*mean+1e-12))
		mean += math.Max(1/float64(n+1), 1./2000) * (r - mean)
		peak = math.Max(peak*fade, r)
		n++
		return clean(q)
	}
}

// clean keeps overflow in the data's own arithmetic out of the scores.
func clean(s float64) float64 {
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return 0
	}
	return s
}
