package cause

import (
	"math"

	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// run finds the stretch of the series' window that deviates most: the two
// neighbouring samples with the largest smaller z, extended both ways while z
// stays above half of that. peak is that smaller z (the only z when the window
// holds one sample).
func (c Config) run(s *Series, k kind) (w span, peak float64, ok bool) {
	b := stats.Summarise(values(s.Baseline, always))
	if b.N < c.MinBaseline {
		return span{}, 0, false
	}
	sign := k.sign(s.Meta)
	sc := c.scaleOf(k, s.Meta, b, sign)
	z := make([]float64, 0, len(s.Window))
	t := make([]int64, 0, len(s.Window))
	for _, p := range s.Window {
		if !(math.Abs(p.V) < absurd) {
			continue
		}
		d := sign * (p.V - b.Median)
		if sign == 0 {
			d = math.Abs(p.V - b.Median)
		}
		z, t = append(z, d/sc), append(t, p.T)
	}
	switch len(z) {
	case 0:
		return span{}, 0, false
	case 1:
		return span{t[0], t[0]}, z[0], true
	}
	best := 0
	for i := 1; i+1 < len(z); i++ {
		if min(z[i], z[i+1]) > min(z[best], z[best+1]) {
			best = i
		}
	}
	peak = min(z[best], z[best+1])
	lo, hi := best, best+1
	for lo > 0 && z[lo-1] > peak/2 {
		lo--
	}
	for hi+1 < len(z) && z[hi+1] > peak/2 {
		hi++
	}
	return span{t[lo], t[hi]}, peak, true
}

// window chooses the stretch of time that all evidence is measured on: the run
// of the target's latency or errors when they deviate, else the strongest run
// among the series that detection flagged, else among all, else the incident.
func (c Config) window(in *Input, fold func(telemetry.Entity) telemetry.Entity) span {
	flagged := map[telemetry.SeriesID]bool{}
	for i := range in.Anomalies {
		flagged[in.Anomalies[i].SeriesID] = true
	}
	var best [3]span
	peak := [3]float64{c.Z0, c.Z0, c.Z0}
	for i := range in.Series {
		s := &in.Series[i]
		k, ok := kindOf(s.Meta)
		if !ok || k == kReq || k == kLog || k == kUp || !s.Meta.Peer.IsZero() {
			continue
		}
		w, p, ok := c.run(s, k)
		if !ok {
			continue
		}
		tier := 2
		if flagged[s.Meta.ID] {
			tier = 1
		}
		if !in.Target.IsZero() && fold(s.Meta.Entity) == fold(in.Target) && (k == kLat || k == kErr) {
			tier = 0
		}
		if p > peak[tier] {
			best[tier], peak[tier] = w, p
		}
	}
	for tier := range best {
		if peak[tier] > c.Z0 {
			return best[tier]
		}
	}
	return span{in.Onset, max(in.Now, in.Onset)}
}
