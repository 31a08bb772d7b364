package falsealarms

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/demo/model"
	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/topology"
)

const (
	visitRate = 14.0 // requests of users a second and shop, mean of the day
	missShare = .12  // of cache reads
	windows   = 12   // samples of a measured series
)

// measurement writes down what a live run of the shop would have been seen to
// produce just before end, at mean demand: levels follow from the plan.
type measurement struct {
	plan *plan.Plan
	uses []plan.Use
	rnd  *rand.Rand
	end  time.Time
	out  []store.SeriesData
}

// measure lists the series of one shop.
func measure(p *plan.Plan, seed uint64, end time.Time) []store.SeriesData {
	m := &measurement{plan: p, uses: p.Uses(missShare), rnd: rand.New(rand.NewPCG(seed, 1)), end: end}
	for i := range p.Services {
		s := &p.Services[i]
		m.entity(s)
		m.instances(s)
	}
	for _, e := range p.Edges() {
		m.edge(e)
	}
	return m.out
}

// add writes samples around a level; spread is their relative deviation.
func (m *measurement) add(ls labels.Labels, level, spread float64) {
	m.put(ls, func(int) float64 { return level * math.Exp(spread*m.rnd.NormFloat64()) })
}

// count writes a counter that grows by rate a second.
func (m *measurement) count(ls labels.Labels, rate float64) {
	m.put(ls, func(i int) float64 { return math.Round(rate * 10 * float64(i+1)) })
}

func (m *measurement) put(ls labels.Labels, at func(i int) float64) {
	d := store.SeriesData{Labels: ls}
	for i := range windows {
		d.Samples = append(d.Samples, telemetry.Sample{T: m.end.Add(time.Duration(i-windows) * 10 * time.Second).UnixMilli(), V: at(i)})
	}
	m.out = append(m.out, d)
}

// rate is how often a second something is asked.
func (m *measurement) rate(match func(plan.Use) bool) float64 {
	n := 0.0
	for _, u := range m.uses {
		if match(u) {
			n += u.Each * visitRate
		}
	}
	return n
}

// storeTime is what a command to a cache, a database or a queue takes, in
// seconds.
const storeTime = .0012

// opTime is the median time of an op with all that it waits for.
func (m *measurement) opTime(service, route string, depth int) float64 {
	op, ok := m.plan.Op(service, route)
	if !ok || depth > 8 {
		return storeTime
	}
	t := op.Wait + op.CPU
	for _, st := range op.Steps {
		if st.Kind == plan.StepCall {
			t += st.Share * m.opTime(st.To, st.Route, depth+1)
		} else {
			t += st.Share * storeTime
		}
	}
	return t
}

// time is the mean over a service's ops of their times, by their rates.
func (m *measurement) time(service string) float64 {
	sum, n := 0.0, 0.0
	for _, u := range m.uses {
		if u.Service == service {
			sum, n = sum+u.Each*m.opTime(u.Service, u.Route, 0), n+u.Each
		}
	}
	if n == 0 {
		return storeTime
	}
	return sum / n
}

func entityOf(p *plan.Plan, name string) telemetry.Entity {
	kind := telemetry.KindService
	if s, ok := p.Service(name); ok {
		switch s.Role {
		case plan.RoleDB:
			kind = telemetry.KindDatabase
		case plan.RoleCache:
			kind = telemetry.KindCache
		case plan.RoleQueue:
			kind = telemetry.KindQueue
		}
	} else {
		kind = telemetry.KindQueue // the queue that a broker holds
	}
	return telemetry.Entity{Kind: kind, Name: name}
}

func (m *measurement) entity(s *plan.Service) {
	e := entityOf(m.plan, s.Name)
	rate := m.rate(func(u plan.Use) bool { return u.Service == s.Name })
	if rate == 0 {
		return
	}
	t := m.time(s.Name)
	m.add(topology.RequestRateLabels(e), rate, .05)
	m.add(topology.ErrorRatioLabels(e), 0, 0)
	m.add(topology.LatencyLabels(e, "0.5"), t, .05)
	m.add(topology.LatencyLabels(e, "0.95"), 2.4*t, .1)
	if len(s.Ops) == 0 {
		return
	}
	m.add(topology.SelfTimeLabels(e), .5*t, .05)
	logs := 0.0
	for i := range s.Ops {
		op := &s.Ops[i]
		each := m.rate(func(u plan.Use) bool { return u.Service == s.Name && u.Route == op.Route() })
		if op.Log != "" {
			logs += each
		}
		if each == 0 {
			continue
		}
		m.add(topology.OperationRequestRateLabels(e, op.Route()), each, .05)
		m.add(topology.OperationErrorRatioLabels(e, op.Route()), 0, 0)
		m.add(topology.OperationLatencyLabels(e, op.Route()), 2.2*m.opTime(s.Name, op.Route(), 0), .1)
	}
	if logs > 0 {
		m.add(logmine.Labels(e, telemetry.SeverityInfo), logs, .05)
	}
}

func (m *measurement) edge(x plan.Edge) {
	from, to := entityOf(m.plan, x.From), entityOf(m.plan, x.To)
	rate := m.rate(func(u plan.Use) bool { return u.Service == x.To && u.From == x.From })
	if rate == 0 {
		return
	}
	m.add(topology.EdgeRequestRateLabels(from, to), rate, .05)
	m.add(topology.EdgeErrorRatioLabels(from, to), 0, 0)
	m.add(topology.EdgeLatencyLabels(from, to), 2.3*m.time(x.To), .1)
	if to.Kind == telemetry.KindService {
		m.add(topology.EdgeGapLabels(from, to), .0007, .1)
	}
}

// bounds are the usual bucket bounds of request durations, in seconds.
func bounds() []float64 { return []float64{.005, .01, .025, .05, .1, .25, .5, 1} }

// instances writes what each process says of itself.
func (m *measurement) instances(s *plan.Service) {
	for _, instance := range s.InstanceNames() {
		of := func(name string, more ...string) labels.Labels {
			return labels.FromStrings(append([]string{labels.MetricName, name, "job", "shop/" + s.Name, "service_name", s.Name, "service_instance_id", instance}, more...)...)
		}
		share := 1 / float64(s.Instances)
		m.add(of("process_cpu_utilization_ratio"), .02+.05*m.rnd.Float64(), .08)
		m.add(of("process_memory_usage_bytes"), (20+60*m.rnd.Float64())*(1<<20), .02)
		m.put(of("go_goroutine_count"), func(i int) float64 { return float64(18 + i%4) })
		m.count(of("process_context_switches_total"), 100+200*m.rnd.Float64())
		for i := range s.Ops {
			op := &s.Ops[i]
			each := share * m.rate(func(u plan.Use) bool { return u.Service == s.Name && u.Route == op.Route() })
			if each > 0 && s.Role != plan.RoleWorker {
				m.histogram(of, op, each, m.opTime(s.Name, op.Route(), 0))
			}
		}
	}
}

// histogram writes a classic histogram of log-normal durations.
func (m *measurement) histogram(of func(string, ...string) labels.Labels, op *plan.Op, rate, median float64) {
	const name, sigma = "http_server_request_duration_seconds", .5
	route := []string{"http_route", op.Path, "http_request_method", op.Method, "http_response_status_code", "200"}
	for _, b := range bounds() {
		share := .5 * math.Erfc(-math.Log(b/median)/sigma/math.Sqrt2)
		m.count(of(name+"_bucket", append(route, "le", strconv.FormatFloat(b, 'g', -1, 64))...), rate*share)
	}
	m.count(of(name+"_bucket", append(route, "le", "+Inf")...), rate)
	m.count(of(name+"_count", route...), rate)
	m.count(of(name+"_sum", route...), rate*median*math.Exp(sigma*sigma/2))
}

// shop is one shop of the fleet: the plan's, with names of its own.
type shop struct {
	gen    *model.Generator
	number int // from 0; the first has the plan's own names
	first  int // number of its first series in the fleet
	labels []labels.Labels
}

func newShop(number, first int, o Options, from time.Time) (*shop, error) {
	p := plan.Shop()
	seed := o.Seed + uint64(number)*1_000_003
	gen, err := model.New(model.Config{Plan: p, Live: measure(p, seed, from), Demand: func(time.Time) float64 { return 1 }, Rate: visitRate,
		Seed: seed, From: from, Fine: o.fine(), Zone: time.UTC})
	if err != nil {
		return nil, fmt.Errorf("cannot make shop %d: %w", number+1, err)
	}
	return &shop{gen: gen, number: number, first: first, labels: make([]labels.Labels, gen.Len())}, nil
}

// adopt gives a sample the shop's own number and names.
func (s *shop) adopt(x model.Sample) model.Sample {
	if s.labels[x.Series].IsEmpty() {
		s.labels[x.Series] = rename(x.Labels, s.number)
	}
	x.Labels = s.labels[x.Series]
	x.Series += s.first
	return x
}

// rename puts the shop's number behind the names of things.
func rename(ls labels.Labels, number int) labels.Labels {
	if number == 0 {
		return ls
	}
	b := labels.NewBuilder(ls)
	suffix := "-" + strconv.Itoa(number+1)
	for _, name := range []string{"entity", "peer", "service_name", "job"} {
		if v := ls.Get(name); v != "" {
			b.Set(name, v+suffix)
		}
	}
	if v := ls.Get("service_instance_id"); v != "" {
		at := strings.LastIndex(v, "-")
		b.Set("service_instance_id", v[:max(at, 0)]+suffix+v[max(at, 0):])
	}
	return b.Labels()
}
