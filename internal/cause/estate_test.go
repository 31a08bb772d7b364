package cause

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// The estate of the stories: a shop of eight services, a database, a cache, a
// queue and two hosts. Latency and errors travel from callee to caller, as
// they do in life; a fault changes parameters from the onset on.
const (
	stepMs  = 10_000
	onsetMs = 1_700_000_000_000
	startMs = onsetMs - 3*3600_000
	nowMs   = onsetMs + 5*60_000
)

var calls = map[string][]string{
	"frontend":  {"cart", "catalogue", "orders", "user"},
	"cart":      {"cart-cache"},
	"catalogue": {"search"},
	"orders":    {"orders-db", "payment", "shipping"},
	"shipping":  {"mail-queue"},
}

var order = []string{"orders-db", "cart-cache", "mail-queue", "search", "payment", "user", "cart", "catalogue", "shipping", "orders", "frontend"}

var runsOn = map[string]string{"cart": "host-1", "orders": "host-1", "payment": "host-1", "frontend": "host-2", "catalogue": "host-2", "search": "host-2", "user": "host-2", "shipping": "host-2"}

func ent(name string) telemetry.Entity {
	switch name {
	case "orders-db":
		return telemetry.Entity{Kind: telemetry.KindDatabase, Name: name}
	case "cart-cache":
		return telemetry.Entity{Kind: telemetry.KindCache, Name: name}
	case "mail-queue":
		return telemetry.Entity{Kind: telemetry.KindQueue, Name: name}
	case "host-1", "host-2":
		return telemetry.Entity{Kind: telemetry.KindHost, Name: name}
	}
	return telemetry.Entity{Kind: telemetry.KindService, Name: name}
}

// health is what a fault may change about one entity.
type health struct {
	self, gap float64 // seconds
	fail      float64 // own failures, share
	cpu, mem  float64 // factor on usual
}

// estate makes the series of the whole shop.
type estate struct {
	rng    *rand.Rand
	fault  func(name string, h *health) // applied from the onset on
	surge  float64                      // factor on traffic from the onset on
	hidden map[string]bool              // entities without metrics
	dead   map[string]bool              // instances NAME-2 that stop at the onset
	host   map[string]float64           // host cpu from the onset on
	series map[uint64]*Series
	order  []uint64
}

func newEstate(seed uint64) *estate {
	return &estate{rng: rand.New(rand.NewPCG(seed, 1)), fault: func(string, *health) {}, surge: 1,
		hidden: map[string]bool{}, dead: map[string]bool{}, host: map[string]float64{}, series: map[uint64]*Series{}}
}

func (e *estate) put(t int64, v float64, sig telemetry.Signal, unit string, entity, peer, instance telemetry.Entity, name string, pairs ...string) {
	if e.hidden[entity.Name] || e.hidden[peer.Name] {
		return
	}
	ls := labels.FromStrings(append([]string{"__name__", name, "entity", entity.String(), "peer", peer.String(), "instance", instance.Name}, pairs...)...)
	h := ls.Hash()
	s := e.series[h]
	if s == nil {
		dir := telemetry.UpBad
		s = &Series{Meta: &telemetry.Series{ID: telemetry.SeriesID(h), Labels: ls, Name: name, Entity: entity, Peer: peer, Instance: instance, Signal: sig, Unit: unit, Direction: dir}}
		e.series[h] = s
		e.order = append(e.order, h)
	}
	p := telemetry.Sample{T: t, V: v}
	switch {
	case t < onsetMs-10*60_000:
		s.Baseline = append(s.Baseline, p)
	default:
		s.Window = append(s.Window, p)
	}
}

func (e *estate) noise(rel float64) float64 { return math.Exp(rel * e.rng.NormFloat64()) }

func (e *estate) run() {
	usual := map[string]health{}
	for _, n := range order {
		usual[n] = health{self: .010, gap: .001, fail: .001, cpu: 1, mem: 1}
	}
	usual["orders-db"] = health{self: .020, gap: 0, fail: .0005, cpu: 1, mem: 1}
	for t := int64(startMs); t <= nowMs; t += stepMs {
		e.tick(t, usual)
	}
}

func (e *estate) tick(t int64, usual map[string]health) {
	rate := 100.0 * e.noise(.03)
	if t >= onsetMs {
		rate *= e.surge
	}
	lat, fail, rates := map[string]float64{}, map[string]float64{}, map[string]float64{"frontend": rate}
	for i := len(order) - 1; i >= 0; i-- {
		for _, c := range calls[order[i]] {
			rates[c] += rates[order[i]] * map[bool]float64{true: .3, false: 1}[order[i] == "frontend"]
		}
	}
	for _, n := range order {
		h := usual[n]
		if t >= onsetMs {
			e.fault(n, &h)
		}
		busy := 1.0
		if t >= onsetMs && e.surge > 1 {
			busy = 1 + .2*(e.surge-1)
		}
		self := h.self * busy * e.noise(.05)
		lat[n], fail[n] = self, h.fail
		for _, c := range calls[n] {
			w := map[bool]float64{true: .3, false: 1}[n == "frontend"]
			hc := usual[c]
			if t >= onsetMs {
				e.fault(c, &hc)
			}
			gap := hc.gap * e.noise(.1)
			lat[n] += w * (lat[c] + gap)
			fail[n] += w * fail[c]
			e.edge(t, n, c, lat[c]+gap, gap, fail[c], rates[n]*w)
		}
		e.golden(t, n, lat[n], self, min(fail[n], 1), rates[n])
		e.resources(t, n, h, rates[n])
	}
	for _, h := range []string{"host-1", "host-2"} {
		v := .35
		if e.host[h] > 0 && t >= onsetMs {
			v = e.host[h]
		}
		e.put(t, v*e.noise(.05), telemetry.SignalSaturation, "1", ent(h), telemetry.Entity{}, telemetry.Entity{}, "system_cpu_utilization")
	}
}

func (e *estate) golden(t int64, n string, lat, self, fail, rate float64) {
	x := ent(n)
	no := telemetry.Entity{}
	count := rate * 10
	noisyFail := max(0, (fail*count+math.Sqrt(fail*count)*e.rng.NormFloat64())/count)
	e.put(t, rate, telemetry.SignalTraffic, "{request}/s", x, no, no, "norn_request_rate")
	e.put(t, noisyFail, telemetry.SignalErrors, "1", x, no, no, "norn_error_ratio")
	e.put(t, lat, telemetry.SignalLatency, "s", x, no, no, "norn_latency_seconds", "quantile", "0.5")
	e.put(t, lat*2*e.noise(.06), telemetry.SignalLatency, "s", x, no, no, "norn_latency_seconds", "quantile", "0.95")
	if x.Kind == telemetry.KindService {
		e.put(t, self, telemetry.SignalLatency, "s", x, no, no, "norn_self_time_seconds", "quantile", "0.5")
	}
}

func (e *estate) edge(t int64, from, to string, lat, gap, fail, rate float64) {
	a, b, no := ent(from), ent(to), telemetry.Entity{}
	e.put(t, rate, telemetry.SignalTraffic, "{request}/s", a, b, no, "norn_edge_request_rate")
	e.put(t, fail*e.noise(.1), telemetry.SignalErrors, "1", a, b, no, "norn_edge_error_ratio")
	e.put(t, lat*2, telemetry.SignalLatency, "s", a, b, no, "norn_edge_latency_seconds", "quantile", "0.95")
	if b.Kind == telemetry.KindService {
		e.put(t, gap, telemetry.SignalNetwork, "s", a, b, no, "norn_edge_gap_seconds")
	}
}

func (e *estate) resources(t int64, n string, h health, rate float64) {
	x := ent(n)
	if x.Kind != telemetry.KindService {
		return
	}
	for i, inst := range []string{n + "-1", n + "-2"} {
		if i == 1 && e.dead[inst] && t >= onsetMs {
			continue
		}
		p := telemetry.Entity{Kind: telemetry.KindInstance, Name: inst}
		e.put(t, .002*rate*h.cpu*e.noise(.05), telemetry.SignalSaturation, "1", x, telemetry.Entity{}, p, "process_cpu_usage_ratio")
		e.put(t, 200e6*h.mem*e.noise(.02), telemetry.SignalSaturation, "By", x, telemetry.Entity{}, p, "process_memory_usage_bytes")
	}
}

func (e *estate) view() *graph.View {
	var es []graph.Edge
	for from, tos := range calls {
		for _, to := range tos {
			es = append(es, graph.Edge{From: ent(from), To: ent(to), Kind: graph.Calls})
		}
	}
	for s, h := range runsOn {
		es = append(es, graph.Edge{From: ent(s), To: ent(h), Kind: graph.RunsOn})
	}
	return graph.NewView(es)
}

func (e *estate) input(target string) Input {
	e.run()
	in := Input{Onset: onsetMs, Now: nowMs, View: e.view()}
	if target != "" {
		in.Target = ent(target)
	}
	for _, h := range e.order {
		in.Series = append(in.Series, *e.series[h])
	}
	return in
}

func rootsOf(j ops.Judgement) []string {
	var out []string
	for _, c := range j.Causes {
		if c.Role == ops.RoleRoot {
			out = append(out, c.Entity.Name)
		}
	}
	return out
}

func roleOf(j ops.Judgement, name string) ops.Role {
	for _, c := range j.Causes {
		if c.Entity.Name == name {
			return c.Role
		}
	}
	return ops.RoleBystander
}

func show(t *testing.T, j ops.Judgement) {
	t.Helper()
	t.Logf("verdict %s confidence %.2f impact %.2f: %s | %s", j.Verdict, j.Confidence, j.Impact, j.Title, j.Sentence)
	for _, c := range j.Causes {
		t.Logf("  %-12s %-12s score %.2f p %.2f inferred %v: %s", c.Entity.Name, c.Role, c.Score, c.Probability, c.Inferred, c.Sentence)
	}
}
