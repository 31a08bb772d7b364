package cause

import (
	"math"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// kind says how a piece of evidence is weighed.
type kind int

const (
	kLat   kind = iota // seconds a request takes
	kErr               // failed share, or failures a second
	kRes               // cpu, memory, disk, queue length
	kReq               // traffic
	kNet               // client minus server time on an edge
	kLog               // lines of a log template, per request where requests are known
	kSeq               // the order of log lines within requests
	kCalls             // calls to a peer per request
	kSelf              // time in the entity itself
	kUp                // silence, or "up" at 0
	kAlert             // another tool's alert
	kOther             // an anomaly of a series that has no signal
	nKinds
)

// weight is the largest score that one kind of evidence can give alone. None
// gives certainty, so that kinds which agree win over a single loud one.
var weight = [nKinds]float64{kLat: .95, kErr: .95, kRes: .9, kReq: .3, kNet: .95, kLog: .7, kSeq: .93, kCalls: .5, kSelf: .95, kUp: .97, kAlert: .6, kOther: .3}

// evidence is how far one series is from its baseline in the bad direction.
type evidence struct {
	kind     kind
	meta     *telemetry.Series
	stat     string // "0.5", "0.95", "mean"... of latencies, so that like is compared with like
	n        int    // baseline samples
	med, s   float64
	low      float64
	high     float64
	x, d     float64 // mean in the window; deviation in the bad direction after local jump
	raw      float64 // deviation before local jump
	z, a     float64
	scale    float64 // load factor that was divided out (saturation only), 1 otherwise
	onset    int64
	anomaly  string
	text     string // for evidence without a series
	entity   telemetry.Entity
	instance telemetry.Entity
	alone    bool // one of several instances stands out

	perRequest bool   // x and med are per request
	words      string // of the log template
}

// span is a closed interval of time in Unix milliseconds.
type span struct{ from, to int64 }

func kindOf(s *telemetry.Series) (kind, bool) {
	switch s.Signal {
	case telemetry.SignalLatency:
		if strings.Contains(s.Name, "self_time") {
			return kSelf, true
		}
		return kLat, true
	case telemetry.SignalErrors:
		return kErr, true
	case telemetry.SignalSaturation:
		return kRes, true
	case telemetry.SignalTraffic:
		return kReq, true
	case telemetry.SignalNetwork:
		return kNet, true
	case telemetry.SignalLogs:
		return kLog, true
	case telemetry.SignalUp:
		return kUp, true
	}
	return kOther, false
}

// statOf names the statistic of a latency series.
func statOf(s *telemetry.Series) string {
	if q := s.Labels.Get("quantile"); q != "" {
		return q
	}
	for _, c := range [...]string{"p50", "p90", "p95", "p99", "0.5", "0.95", "0.99"} {
		if strings.Contains(s.Name, c) {
			return strings.TrimPrefix(strings.Replace(c, "p", "0.", 1), "0.0")
		}
	}
	return "mean"
}

// isRatio tells failed shares from failure counts.
func isRatio(s *telemetry.Series, sum stats.Summary) bool {
	return s.Unit == "1" || (s.Unit == "" && sum.Q975 <= 1)
}

// sign is +1 where up is bad, -1 where down is bad, 0 for both.
func (k kind) sign(s *telemetry.Series) float64 {
	switch k {
	case kReq, kLog:
		return 0
	case kUp:
		return -1
	}
	if s.Direction == telemetry.DownBad {
		return -1
	}
	return 1
}

// values returns the finite values of the samples in w, widened by slack on
// the right so that a slower series is not missed.
func values(ss []telemetry.Sample, w span) []float64 {
	out := make([]float64, 0, len(ss))
	for _, s := range ss {
		if s.T >= w.from && s.T <= w.to && math.Abs(s.V) < absurd {
			out = append(out, s.V)
		}
	}
	return out
}

// absurd bounds what is taken for a measurement; NaN and infinities are out too.
const absurd = 1e30

var always = span{math.MinInt64, math.MaxInt64}

func mean(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	t := 0.0
	for _, x := range v {
		t += x
	}
	return t / float64(len(v))
}

// step estimates a series' interval as the median distance of its samples.
func step(s *Series) int64 {
	for _, ss := range [][]telemetry.Sample{s.Window, s.Baseline} {
		if len(ss) < 2 {
			continue
		}
		d := make([]float64, 0, len(ss)-1)
		for i := 1; i < len(ss); i++ {
			d = append(d, float64(ss[i].T-ss[i-1].T))
		}
		return int64(stats.Summarise(d).Median)
	}
	return 0
}

// scaleOf is the error scale of a baseline: the largest of the quartile
// distance, the tail in the bad direction, and a floor of meaning.
func (c Config) scaleOf(k kind, m *telemetry.Series, b stats.Summary, sign float64) float64 {
	tail := b.Q975 - b.Median
	if sign < 0 {
		tail = b.Median - b.Q025
	} else if sign == 0 {
		tail = max(tail, b.Median-b.Q025)
	}
	floor := c.RelativeFloor * math.Abs(b.Median)
	switch k {
	case kErr:
		if isRatio(m, b) {
			floor = c.ErrorFloor
		} else {
			floor = max(floor, .01)
		}
	case kLat, kNet, kSelf:
		floor = max(floor, c.LatencyFloor)
	case kRes:
		if m.Unit == "1" {
			floor = max(floor, c.RatioFloor)
		}
	case kReq, kLog:
		floor = max(floor, .02)
	case kUp:
		floor = .2
	}
	return max(b.IQR()/1.349, math.Abs(tail)/1.96, floor, 1e-12)
}

// traffic is what is known of an entity's requests.
type traffic struct {
	growth   float64 // in the window over usual, 1 when unknown
	requests float64 // in the window, 0 when unknown
	usual    float64 // a second, 0 when unknown
	atMost   float64 // growth that may explain saturation
}

// measure turns a series into evidence over the window w. ok is false when the
// window holds no value.
func (c Config) measure(s *Series, k kind, w span, load traffic) (*evidence, bool) {
	base := values(s.Baseline, always)
	b := stats.Summarise(base)
	st := step(s)
	in := values(s.Window, span{w.from - st/2, w.to + st/2})
	x := mean(in)
	if len(in) >= 3 && (k == kLat || k == kSelf || k == kNet) { // one slow request of few is not a slow service
		x = min(x, 1.5*stats.Summarise(in).Median)
	}
	ev := &evidence{kind: k, meta: s.Meta, n: b.N, stat: statOf(s.Meta), scale: 1,
		entity: s.Meta.Entity, instance: s.Meta.Instance, x: x, med: b.Median}
	if math.IsNaN(x) {
		return ev, false
	}
	sign := k.sign(s.Meta)
	ev.s = c.scaleOf(k, s.Meta, b, sign)
	if k == kRes && sign > 0 {
		ev.scale = clip(load.growth, 1, load.atMost)
		ev.med *= ev.scale
	}
	if k == kErr && isRatio(s.Meta, b) && load.requests > 0 {
		p := max(b.Median, .002)
		ev.s = math.Hypot(ev.s, math.Sqrt(p*(1-p)/load.requests))
	}
	if k == kLog && load.requests > 0 { // Poisson error of a count
		seconds := max(float64(w.to-w.from)/1000, 1)
		ev.s = math.Hypot(ev.s, math.Sqrt(max(b.Median, 1/seconds)/seconds))
	}
	if (k == kLat || k == kSelf) && load.requests > 0 { // few requests say little
		ev.s *= math.Sqrt(1 + c.FewRequests/load.requests)
	}
	ev.low, ev.high = ev.med-1.96*ev.s, ev.med+1.96*ev.s
	if sign == 0 {
		ev.d = math.Abs(x - ev.med)
	} else {
		ev.d = sign * (x - ev.med)
	}
	ev.raw = ev.d
	c.localJump(s, ev, w, st, sign)
	ev.z = ev.d / ev.s
	if k == kErr && ev.d > 0 && isRatio(s.Meta, b) && load.requests > 0 {
		seen := float64(b.N) * float64(st) / 1000 * load.usual // requests that the baseline rests on
		p := clip(max(mean(base), .002)+.5/(seen+1), .002, .9)
		ev.z = min(ev.z, binomialZ(x*load.requests, load.requests, p))
	}
	if ev.d > 0 && (k == kLat || k == kSelf || k == kNet) && load.usual > 0 {
		ev.z = min(ev.z, slowZ(base, in, ev, w, st, load))
	}
	ev.a = c.logistic(ev.z)
	ev.onset = onsetOf(s, ev, w, sign)
	return ev, true
}

// slowZ is the normal quantile of seeing as many slow requests as the window
// must hold. A quantile over few requests is one request's time: whether that
// means anything depends on how often the past held such a request.
func slowZ(base, in []float64, ev *evidence, w span, st int64, load traffic) float64 {
	slow := ev.med + (ev.x-ev.med)/2
	perWindow := float64(st) / 1000
	share := slowShare(ev.stat)
	m := max(load.requests/max(float64(w.to-w.from)/1000, 1)*perWindow, 1)
	k, n := 0.0, 0.0
	for _, v := range in {
		n += m
		if v >= slow {
			k += max(1, share*m)
		}
	}
	over := .5
	for _, v := range base {
		if v >= slow {
			over++
		}
	}
	g := min(over/float64(len(base)+1), .95)
	usual := max(load.usual*perWindow, 1)
	p := 1 - math.Pow(1-g, 1/max(1, usual*min(1, 20*share))) // of one request; with many, only a share of them lifts the quantile
	return binomialZ(k, n, clip(p, 1e-6, .95))
}

// slowShare is the share of requests that must be slow for the statistic to
// show it.
func slowShare(stat string) float64 {
	q, err := strconv.ParseFloat(stat, 64)
	if err != nil || q <= 0 || q >= 1 {
		return .05
	}
	return 1 - q
}

// localJump weakens a deviation that was there already in the minutes before
// the window: what did not move did not start the incident. Saturation may
// creep (a leak), so that it keeps more.
func (c Config) localJump(s *Series, ev *evidence, w span, st int64, sign float64) {
	if ev.d <= 0 {
		return
	}
	before := span{w.from - max(3*st, 180_000) - st/2, w.from - st/2 - 1}
	p := append(values(s.Pre, before), values(s.Window, before)...)
	if len(p) == 0 {
		return
	}
	if len(p) > 3 && st >= 60_000 {
		p = p[len(p)-3:]
	}
	dl := ev.x - mean(p)
	if sign == 0 {
		dl = math.Abs(dl)
	} else {
		dl *= sign
	}
	least := .1
	if ev.kind == kRes {
		least = .4
	}
	ev.d *= clip(1.25*dl/ev.d, least, 1)
}

func (c Config) logistic(z float64) float64 {
	if z <= 0 || math.IsNaN(z) {
		return 0
	}
	return 1 / (1 + math.Exp(-(z-c.Z0)/c.ZScale))
}

// onsetOf is the time of the first sample of the run around the window whose
// deviation is at least half of the window's mean deviation.
func onsetOf(s *Series, ev *evidence, w span, sign float64) int64 {
	if ev.raw <= 0 {
		return w.from
	}
	all := append(append([]telemetry.Sample{}, s.Pre...), s.Window...)
	onset := int64(0)
	for _, p := range all {
		d := sign * (p.V - ev.med)
		if sign == 0 {
			d = math.Abs(p.V - ev.med)
		}
		switch {
		case p.T > w.to:
			return orElse(onset, w.from)
		case math.IsNaN(d):
		case d >= ev.raw/2:
			if onset == 0 {
				onset = p.T
			}
		case p.T <= w.from: // before the window a calm sample ends the run
			onset = 0
		}
	}
	return orElse(onset, w.from)
}

func orElse(a, b int64) int64 {
	if a != 0 {
		return a
	}
	return b
}

func clip(v, lo, hi float64) float64 {
	if math.IsNaN(v) {
		return lo
	}
	return min(max(v, lo), hi)
}
