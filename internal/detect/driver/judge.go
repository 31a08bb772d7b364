package driver

import (
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// habit is how much a target's cost at its load usually varies: of the
// logarithm of observed over expected, smoothed over a few readings.
type habit struct {
	N      float64 // readings
	Smooth float64 // of the logarithm
	Mean   float64 // of Smooth
	Dev    float64 // mean absolute deviation of Smooth from Mean
}

// leastHabit is how many readings a habit needs before it is judged by.
const leastHabit = 60

// smoothing is the weight of a new reading: half-life three readings.
const smoothing = .2

// take returns how many deviations the smoothed logarithm is from the habit,
// and learns; far values are clipped so that a fault does not become habit.
func (h *habit) take(v float64) (z float64) {
	h.Smooth += smoothing * (v - h.Smooth)
	scale := max(h.Dev*1.25, .02) // 1.25: from mean absolute to standard deviation
	if h.N >= leastHabit {
		z = (h.Smooth - h.Mean) / scale
	}
	d := h.Smooth - h.Mean
	if h.N >= leastHabit {
		d = min(max(d, -3*scale), 3*scale)
	}
	w := max(1/(h.N+1), 1.0/1500)
	h.Mean += w * d
	h.Dev += w * (math.Abs(d) - h.Dev)
	h.N++
	return z
}

// judge compares the target with what its driver makes of it.
func (t *target) judge(cfg *Config, now int64, candidates []Reading) *ops.Anomaly {
	if t.Best < 0 {
		return t.end()
	}
	c := &t.Curves[t.Best]
	x, ok := find(candidates, c.Series.ID)
	if !ok {
		return nil
	}
	t.x = x
	g, _ := c.Curve.at(x)
	if !g.known || g.mean <= 0 || t.y < 0 { // where the driver never was, nothing says what is dear
		return nil
	}
	eps := .02 * max(c.Curve.MY, 1e-12)
	v := math.Log((t.y + eps) / (g.mean + eps))
	z := t.habit.take(v)
	ratio := math.Exp(t.habit.Smooth - t.habit.Mean)
	sign := 1.0
	if t.Meta.Direction == telemetry.DownBad {
		sign = -1
	}
	if sign < 0 {
		z, ratio = -z, 1/ratio
	}
	limit := t.limit(cfg)
	if z < limit || ratio < cfg.Ratio || math.Abs(t.y-g.mean) < g.dev {
		t.dear = 0
		if z < limit/2 || ratio < 1+(cfg.Ratio-1)/2 {
			return t.end()
		}
		return nil
	}
	if t.dear == 0 && t.active == nil {
		t.since = now
	}
	t.dear++
	if t.dear < cfg.Steps {
		return nil
	}
	return t.raise(now, z, &g)
}

// sensitive is by how much the limit changes for a twentieth, or twenty times,
// of the false alarms, where half the deviations count (see raise).
const sensitive = .3

// limit is the z from which the target is dear, by the operators' sensitivity.
func (t *target) limit(cfg *Config) float64 {
	if p := t.Meta.Policy; p != nil {
		return cfg.Z * (1 - sensitive*float64(p.Sensitivity))
	}
	return cfg.Z
}

func (t *target) raise(now int64, z float64, g *guess) *ops.Anomaly {
	c := &t.Curves[t.Best]
	if t.active == nil {
		t.active = &ops.Anomaly{ID: fmt.Sprintf("load-%d-%d", uint64(t.Meta.ID), t.since), SeriesID: t.Meta.ID, Series: t.Meta.Name, Expr: t.Meta.Expr,
			Entity: t.Meta.Entity, Peer: t.Meta.Peer, Instance: t.Meta.Instance, Signal: t.Meta.Signal, Unit: t.Meta.Unit,
			Kind: ops.AnomalyLevel, Direction: telemetry.UpBad, Onset: t.since, Member: "load", Source: "norn"}
		if t.Meta.Direction == telemetry.DownBad {
			t.active.Direction = telemetry.DownBad
		}
	}
	a := t.active
	f, w := g.mean, g.band()
	a.LastSeen, a.Observed, a.Expected, a.Low, a.High = now, t.y, f, max(0, f-w), f+w
	a.Score = max(a.Score, z)
	a.P = math.Erfc(a.Score / math.Sqrt2 / 2) // half the deviations: habits are not normal
	a.Severity = max(a.Severity, 1-math.Exp(-z/8))
	a.Text = fmt.Sprintf("%.3g instead of %.3g %s at %.3g %s", t.y, f, t.Meta.Unit, t.x, c.Series.Unit)
	out := *a
	return &out
}

func (t *target) end() *ops.Anomaly {
	a := t.active
	t.dear = 0
	if a == nil {
		return nil
	}
	t.active = nil
	a.Ended = max(a.LastSeen, a.Onset+1)
	return a
}
