package model

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// series makes the values of one series, step by step; NaN is no value.
type series struct {
	labels labels.Labels
	next   func(w *world, dt float64) float64
	live   store.SeriesData

	counter bool
}

// calibrate decides what kind of series the live one is and fits its level.
func (g *Generator) calibrate(d store.SeriesData) *series {
	name := d.Labels.Get(labels.MetricName)
	s := &series{labels: d.Labels, live: d, counter: isCounter(name)}
	who, drv := g.about(d.Labels)
	vs := values(d.Samples)
	switch {
	case strings.HasSuffix(name, "_error_ratio") && strings.HasPrefix(name, "norn_"):
		s.next = func(w *world, _ float64) float64 {
			if w.now(drv) < 1 || w.total[who] == 0 {
				return math.NaN()
			}
			return ratio(w.errs[who], w.total[who])
		}
	case strings.HasSuffix(name, "_gap_seconds"):
		s.next = g.latency(d, drv, 0.3, func(*world) float64 { return 0 })
	case name == "norn_self_time_seconds":
		s.next = g.latency(d, drv, 0.4, func(w *world) float64 { return w.slow[who] })
	case strings.HasPrefix(name, "norn_") && strings.HasSuffix(name, "_seconds"):
		prior := 0.45
		if q := d.Labels.Get("quantile"); q == "0.95" || q == "0.99" {
			prior = 1.0
		}
		s.next = g.latency(d, drv, prior, func(w *world) float64 { return w.speed[who] })
	case strings.HasPrefix(name, "norn_") && strings.HasSuffix(name, "_rate"):
		s.next = g.rate(d, drv)
	case isCounter(name):
		s.next = g.counter(d, drv)
	case strings.HasPrefix(name, "process_cpu_utilization"), strings.HasPrefix(name, "db_server_connections_active"):
		s.next = g.processor(d, drv)
	case strings.HasPrefix(name, "process_memory"):
		s.next = memory(vs)
	case strings.HasPrefix(name, "cache_hit_ratio"):
		p := mean(vs)
		s.next = func(w *world, _ float64) float64 {
			n := math.Max(1, w.now(drv)*0.85)
			return ratio(w.binomial(math.Round(n), p), math.Round(n))
		}
	default:
		s.next = gauge(vs)
	}
	return s
}

// about finds the name and the requests that a series speaks of.
func (g *Generator) about(ls labels.Labels) (who int, d driver) {
	name, peer := telemetry.ParseEntity(ls.Get("entity")).Name, telemetry.ParseEntity(ls.Get("peer")).Name
	route := ls.Get("operation")
	if r := ls.Get("http_route"); r != "" {
		route = ls.Get("http_request_method") + " " + r
	}
	if name == "" {
		for _, l := range []string{"service_name", "db_namespace", "messaging_destination_name"} {
			if v := ls.Get(l); v != "" && g.known(v) {
				name = v
				break
			}
		}
	}
	if name == "" {
		_, name, _ = strings.Cut(ls.Get("job"), "/")
	}
	who = g.world.index[name]
	d = g.world.pick(func(u plan.Use) bool {
		if peer != "" {
			return u.Service == peer && u.From == name
		}
		return u.Service == name && (route == "" || u.Route == route)
	})
	if peer != "" {
		if k, ok := g.world.index[peer]; ok {
			who = k // an edge is as fast as its callee
		}
	}
	if len(d.uses) == 0 { // worker to queue, statements of a database: as the whole of what is named
		d = g.world.pick(func(u plan.Use) bool { return u.Service == name })
	}
	if s, ok := g.conf.Plan.Service(name); ok && ls.Get("service_instance_id") != "" {
		d.share = 1 / float64(s.Instances)
	}
	return who, d
}

// expect is the mean count of a window while the live samples were taken.
func (g *Generator) expect(d store.SeriesData, drv driver) float64 {
	var n float64
	for _, s := range d.Samples {
		n += g.world.mean(drv, g.demandAt(s.T))
	}
	return n / float64(len(d.Samples))
}

// demandAt is the demand in the window that ended at t.
func (g *Generator) demandAt(t int64) float64 {
	at := time.UnixMilli(t).Add(-5 * time.Second).In(g.conf.Zone)
	if g.conf.Demand == nil {
		return plan.Load(at)
	}
	return g.conf.Demand(at)
}

// rate makes a series of events a second, counted in windows.
func (g *Generator) rate(d store.SeriesData, drv driver) func(*world, float64) float64 {
	m := mean(values(d.Samples))
	n := float64(len(d.Samples))
	per := perRequest(m*window*n, g.expect(d, drv)*n)
	if len(drv.uses) == 0 {
		per = 0
	}
	return func(w *world, _ float64) float64 {
		if len(drv.uses) == 0 {
			return w.poisson(m*window) / window
		}
		return w.events(per, w.now(drv)) / window
	}
}

// perRequest is how many events each request causes, by the events that were
// counted and the requests that the plan expects meanwhile. A count that is
// within three standard deviations of one for each request is taken as just
// that: a minute holds few requests of the rarer kinds.
func perRequest(events, requests float64) float64 {
	if requests <= 0 || events <= 0 {
		return 0
	}
	if math.Abs(events-requests) <= 3*math.Sqrt(requests) {
		return 1
	}
	return events / requests
}

// events draws how many events n requests cause at per each.
func (w *world) events(per, n float64) float64 {
	if per < 0.6 {
		return w.poisson(per * n)
	}
	return math.Max(0, math.Round(per*n))
}

// latency makes a quantile of durations. Its level is the live median; its
// noise shrinks with the square root of the number of requests, from what the
// live series shows and, as that is little, what is usual for the quantile.
func (g *Generator) latency(d store.SeriesData, drv driver, prior float64, shift func(*world) float64) func(*world, float64) float64 {
	vs := values(d.Samples)
	m := median(vs)
	if m <= 0 {
		return gauge(vs)
	}
	const weight = 6 // live samples that the usual value counts for
	sum := weight * prior * prior
	n := math.Max(1, g.expect(d, drv))
	for _, v := range vs {
		if v > 0 {
			l := math.Log(v / m)
			sum += l * l * n
		}
	}
	sigma := math.Sqrt(sum / float64(weight+len(vs)))
	mood := wander{sigma: 0.06, last: 900}
	return func(w *world, dt float64) float64 {
		slow := mood.next(w, dt)
		if len(drv.uses) > 0 && w.now(drv) < 1 {
			return math.NaN()
		}
		s := math.Min(0.6, math.Hypot(0.02, sigma/math.Sqrt(math.Max(1, w.now(drv)))))
		if w.rnd.Float64() < hiccups {
			s *= 2.5
		}
		return m*math.Exp(shift(w)+slow+s*clip(w.rnd.NormFloat64(), 3.5)) + jitter*math.Abs(w.rnd.NormFloat64())
	}
}

// hiccups is the share of windows in which a busy machine makes durations
// stray more than usual; jitter is the delay, in seconds, that its scheduler
// adds to all of them. A measurement of a minute cannot show either well.
const (
	hiccups = 0.03
	jitter  = 25e-6
)

// wander is a slow noise that remembers: normal with standard deviation sigma,
// forgotten over last seconds.
type wander struct {
	sigma, last, now float64
}

func (x *wander) next(w *world, dt float64) float64 {
	keep := math.Exp(-dt / x.last)
	x.now = x.now*keep + x.sigma*math.Sqrt(1-keep*keep)*w.rnd.NormFloat64()
	return x.now
}

// counter makes a cumulative count that moves with the requests.
func (g *Generator) counter(d store.SeriesData, drv driver) func(*world, float64) float64 {
	slope := slopeOf(d.Samples)
	windows := float64(d.Samples[len(d.Samples)-1].T-d.Samples[0].T) / 1000 / window
	per := perRequest(slope*window*windows, g.expect(d, drv)*windows)
	var v float64
	return func(w *world, dt float64) float64 {
		if len(drv.uses) == 0 {
			v += w.poisson(slope * dt)
			return v
		}
		v += math.Round(w.events(per, w.now(drv)) * dt / window)
		return v
	}
}

// processor makes a share of time in use: an idle part and a part for each
// request, told apart by the live samples where demand varied enough.
func (g *Generator) processor(d store.SeriesData, drv driver) func(*world, float64) float64 {
	vs := values(d.Samples)
	m := median(vs)
	ns := make([]float64, len(vs))
	for i, s := range d.Samples {
		ns[i] = g.world.mean(drv, g.demandAt(s.T))
	}
	n := math.Max(mean(ns), 1e-9)
	var sxx, sxy float64
	for i := range ns {
		sxx += (ns[i] - n) * (ns[i] - n)
		sxy += (ns[i] - n) * (vs[i] - mean(vs))
	}
	each := 0.6 * m / n
	if len(vs) >= 4 && sxx > 0.02*n*n*float64(len(vs)) {
		each = math.Min(0.9*m/n, math.Max(0.3*m/n, sxy/sxx))
	}
	idle := m - each*n
	return func(w *world, _ float64) float64 {
		return math.Max(0, (idle+each*w.now(drv))*math.Exp(0.08*clip(w.rnd.NormFloat64(), 3.5)))
	}
}

// memory makes resident memory: a level that wanders by a few per cent over
// hours.
func memory(vs []float64) func(*world, float64) float64 {
	m, mood := median(vs), wander{sigma: 0.08, last: 3600}
	return func(w *world, dt float64) float64 {
		return math.Round(m * math.Exp(mood.next(w, dt)+0.01*clip(w.rnd.NormFloat64(), 3)))
	}
}

// gauge makes any other level: constants stay, small whole numbers are drawn
// from those that were seen, others go around their median with the spread
// that was seen and a slow wander of 7 %.
func gauge(vs []float64) func(*world, float64) float64 {
	m, sd, lo := median(vs), deviation(vs), slices.Min(vs)
	whole := true
	for _, v := range vs {
		whole = whole && v == math.Trunc(v)
	}
	switch {
	case sd == 0 && m < 12:
		return func(*world, float64) float64 { return m }
	case whole && m < 12:
		return func(w *world, _ float64) float64 { return vs[w.rnd.IntN(len(vs))] }
	}
	mood := wander{sigma: 0.07 * math.Abs(m), last: 1800}
	return func(w *world, dt float64) float64 {
		v := m + mood.next(w, dt) + sd*clip(w.rnd.NormFloat64(), 3.5)
		if lo >= 0 {
			v = math.Max(0, v)
		}
		if whole {
			v = math.Round(v)
		}
		return v
	}
}

func isCounter(name string) bool {
	for _, s := range []string{"_total", "_count", "_sum", "_bucket"} {
		if strings.HasSuffix(name, s) && name != "go_goroutine_count" {
			return true
		}
	}
	return false
}

// slopeOf is a counter's mean rise a second, resets left out; 0 for fewer
// than two samples.
func slopeOf(ss []telemetry.Sample) float64 {
	var rise, secs float64
	for i := 1; i < len(ss); i++ {
		if ss[i].V >= ss[i-1].V {
			rise += ss[i].V - ss[i-1].V
			secs += float64(ss[i].T-ss[i-1].T) / 1000
		}
	}
	return ratio(rise, secs)
}

func values(ss []telemetry.Sample) []float64 {
	out := make([]float64, len(ss))
	for i, s := range ss {
		out[i] = s.V
	}
	return out
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func clip(v, limit float64) float64 { return math.Max(-limit, math.Min(limit, v)) }

func mean(vs []float64) float64 {
	var s float64
	for _, v := range vs {
		s += v
	}
	return ratio(s, float64(len(vs)))
}

func median(vs []float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	s := slices.Clone(vs)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func deviation(vs []float64) float64 {
	m := mean(vs)
	var s float64
	for _, v := range vs {
		s += (v - m) * (v - m)
	}
	return math.Sqrt(ratio(s, float64(len(vs))))
}
