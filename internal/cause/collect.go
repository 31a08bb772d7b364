package cause

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// isRequests tells request counts from other traffic (bytes, lines).
func isRequests(s *telemetry.Series) bool {
	if strings.Contains(s.Unit, "request") {
		return true
	}
	for _, w := range [...]string{"request", "workload", "calls", "operations", "queries"} {
		if strings.Contains(s.Name, w) {
			return true
		}
	}
	return false
}

// collect measures every series and hangs the evidence on nodes and links.
func (m *model) collect() {
	m.load()
	c := m.census()
	for i := range m.in.Series {
		m.collectOne(&m.in.Series[i], c)
	}
	pairs := m.pairLines()
	for i, n := range m.nodes {
		if ev := pairs[i]; ev != nil {
			m.name(ev)
			n.hang(ev, m.cfg.MinBaseline)
		}
	}
	m.fromLinks()
	m.fromAnomalies()
	m.networks()
	m.relateLogs()
	for _, n := range m.nodes {
		n.finish(m.cfg)
	}
}

// census counts the series of an entity where many of one kind come together,
// and finds its request rate.
type census struct {
	logs, saturations map[int]int
	requests          map[int]*Series
}

func (m *model) census() census {
	c := census{logs: map[int]int{}, saturations: map[int]int{}, requests: m.requestSeries()}
	for i := range m.in.Series {
		k, _ := kindOf(m.in.Series[i].Meta)
		switch n := m.add(m.in.Series[i].Meta.Entity); k {
		case kLog:
			c.logs[n]++
		case kRes:
			c.saturations[n]++
		}
	}
	return c
}

func (m *model) collectOne(s *Series, c census) {
	k, ok := kindOf(s.Meta)
	ni := m.add(s.Meta.Entity)
	if !ok || ni < 0 {
		return
	}
	n := m.nodes[ni]
	seconds := max(float64(m.w.to-m.w.from)/1000, 1)
	atMost := 3.0
	if m.amplified(n) >= amplifiedFrom {
		atMost = 20
	}
	ev, ok := m.cfg.measure(s, k, m.w, traffic{m.growth(n), n.req * seconds, n.reqBase, atMost})
	if r := c.requests[ni]; r != nil && k == kLog {
		ev, ok = m.perRequest(s, kLog, r)
	} else if r != nil && s.Meta.Name == "norn_edge_request_rate" {
		if calls, known := m.perRequest(s, kCalls, r); known {
			n.hang(calls, m.cfg.MinBaseline)
		}
	}
	if !ok {
		return
	}
	m.name(ev)
	if ofOperation(s.Meta) {
		n.all = append(n.all, ev)
		return
	}
	count := 0.0 // many series of one kind: the largest of m is large by chance
	switch k {
	case kLog:
		count = float64(c.logs[ni])
	case kRes:
		count = float64(c.saturations[ni]) / 4
	}
	if count > 1 {
		ev.z -= math.Sqrt(2 * math.Log(count))
		ev.a = m.cfg.logistic(ev.z)
	}
	ev.a *= m.calm(n, ev)
	if m.forAccounting(ni, ev) {
		return
	}
	if !s.Meta.Peer.IsZero() {
		m.hangLink(ni, m.add(s.Meta.Peer), ev)
		return
	}
	n.hang(ev, m.cfg.MinBaseline)
}

func (m *model) hangLink(i, j int, ev *evidence) {
	if i < 0 || j < 0 || i == j || ev.n < m.cfg.MinBaseline {
		return
	}
	l := m.link(i, j)
	if ev.kind == kLat {
		l.lats[ev.stat] = ev
	}
	if l.ev[ev.kind] == nil || better(ev, l.ev[ev.kind]) {
		l.ev[ev.kind] = ev
	}
}

// name finds the words of a log template.
func (m *model) name(ev *evidence) {
	if ev.kind == kLog && ev.meta != nil {
		ev.words = m.in.Templates[ev.meta.Labels.Get("template")]
	}
}

// hang keeps the strongest evidence of each kind; what is too young to judge
// is kept only as a sign that the dependency is new.
func (n *node) hang(ev *evidence, least int) {
	n.observed = true
	n.all = append(n.all, ev)
	if ev.n < least {
		return
	}
	if ev.kind == kLat && (n.lats[ev.stat] == nil || better(ev, n.lats[ev.stat])) {
		n.lats[ev.stat] = ev
	}
	if old := n.ev[ev.kind]; old == nil || better(ev, old) {
		n.ev[ev.kind] = ev
	}
}

func better(a, b *evidence) bool { return a.a > b.a || a.a == b.a && a.z > b.z }

// finish decides whether the entity is a new dependency, and whether one of
// its instances stands out.
func (n *node) finish(cfg Config) {
	young, old := 0, 0
	for _, ev := range n.all {
		if ev.kind == kLat || ev.kind == kErr || ev.kind == kReq {
			if ev.n < cfg.MinBaseline {
				young++
			} else {
				old++
			}
		}
	}
	known := n.ev[kRes] != nil || n.ev[kUp] != nil
	n.newDep = young > 0 && old == 0 && !known
	for _, best := range n.ev {
		if best == nil || best.instance.IsZero() || best.meta == nil || best.a < .5 {
			continue
		}
		others, calm := 0, 0
		for _, ev := range n.all {
			if ev.meta != nil && ev.meta.Name == best.meta.Name && ev.instance != best.instance {
				others++
				if ev.a < .5 {
					calm++
				}
			}
		}
		best.alone = others > 0 && calm*2 > others
	}
	slices.SortStableFunc(n.all, func(a, b *evidence) int { return cmp.Compare(b.a, a.a) })
}

// fromLinks gives an entity that has no data of its own what its callers see
// of it: the strongest edge, so that databases, dead instances and things
// that nobody watches still have latency and errors.
func (m *model) fromLinks() {
	for _, key := range m.sortedLinks() {
		l, n := m.links[key], m.nodes[key[1]]
		for _, k := range []kind{kLat, kErr} {
			ev := l.ev[k]
			if ev == nil || n.own(k) && !m.unreachable(n, k, ev) {
				continue
			}
			seen := *ev
			seen.entity, seen.instance = n.e, telemetry.Entity{}
			if n.ev[k] == nil || better(&seen, n.ev[k]) {
				n.ev[k] = &seen
				n.all = append(n.all, &seen)
			}
			if k == kLat {
				for st, ev := range l.lats {
					if n.lats[st] == nil || better(ev, n.lats[st]) {
						n.lats[st] = ev
					}
				}
			}
			n.observed = true
		}
	}
}

// own reports whether n has a measured series of kind k itself.
func (n *node) own(k kind) bool {
	for _, ev := range n.all {
		if ev.kind == k && ev.meta != nil && ev.meta.Peer.IsZero() {
			return true
		}
	}
	return false
}

// fromAnomalies adds what no series of the input shows: silence, other tools'
// alerts, new log templates, and anomalies whose series were not fetched.
func (m *model) fromAnomalies() {
	have := map[telemetry.SeriesID]bool{}
	for i := range m.in.Series {
		have[m.in.Series[i].Meta.ID] = true
	}
	silent, alerted := map[int]float64{}, map[int]float64{}
	for i := range m.in.Anomalies {
		a := &m.in.Anomalies[i]
		ni := m.add(a.Entity)
		if ni < 0 || a.Ended != 0 && a.Ended < m.in.Onset {
			continue
		}
		ev := &evidence{entity: a.Entity, instance: a.Instance, n: m.cfg.MinBaseline, onset: a.Onset, anomaly: a.ID,
			text: a.Text, x: sane(a.Observed), med: sane(a.Expected), low: sane(a.Low), high: sane(a.High), scale: 1}
		ev.z = m.cfg.Z0 + math.Log(clip(a.Severity, .01, .99)/(1-clip(a.Severity, .01, .99)))
		switch {
		case a.Kind == ops.AnomalySilence:
			p, sure := silenceWeight(a)
			if sure { // each further series that says so makes it surer
				silent[ni] = 1 - (1-silent[ni])*(1-p)
			} else {
				silent[ni] = max(silent[ni], p)
			}
			ev.kind, ev.a = kUp, min(silent[ni], .97)
		case a.Kind == ops.AnomalyAlert:
			alerted[ni] = 1 - (1-alerted[ni])*(1-alertWeight(a)) // different alerts of one entity add up
			ev.kind, ev.a = kAlert, min(alerted[ni], .97)
			if ev.text == "" {
				ev.text = a.Series
			}
		case a.Kind == ops.AnomalySequence:
			ev.kind, ev.a = kSeq, clip(a.Severity, 0, .97)
		case a.Kind == ops.AnomalyJoint:
			ev.kind, ev.a = kOther, .8*clip(a.Severity, 0, 1)
		case a.Kind == ops.AnomalyNewTemplate:
			ev.kind, ev.a = kLog, clip(a.Severity, 0, .95)
			ev.text = a.Series
		case have[a.SeriesID]:
			m.label(ni, a)
			continue
		default:
			ev.kind, ev.a = anomalyKind(a), .8*clip(a.Severity, 0, 1)
			ev.d = math.Abs(ev.x - ev.med)
			ev.raw = ev.d
			ev.meta = &telemetry.Series{ID: a.SeriesID, Name: a.Series, Expr: a.Expr, Entity: a.Entity, Signal: a.Signal, Unit: a.Unit}
			if !a.Peer.IsZero() {
				ev.meta.Peer = a.Peer
				m.hangLink(ni, m.add(a.Peer), ev)
				continue
			}
		}
		m.nodes[ni].hang(ev, m.cfg.MinBaseline)
	}
}

// sane keeps numbers from outside within what is taken for a measurement.
func sane(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return clip(v, -absurd, absurd)
}

// label writes the anomaly's id on the evidence of its series.
func (m *model) label(ni int, a *ops.Anomaly) {
	for _, ev := range m.nodes[ni].all {
		if ev.meta != nil && ev.meta.ID == a.SeriesID {
			ev.anomaly = a.ID
		}
	}
}

// silenceWeight: a process that stops reporting about itself is dead; a
// service whose traffic series end may only have no callers.
func silenceWeight(a *ops.Anomaly) (p float64, sure bool) {
	p, sure = .65, true
	switch a.Signal {
	case telemetry.SignalTraffic, telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalNetwork, telemetry.SignalLogs:
		p, sure = .2, false
	case telemetry.SignalUp:
		p = .9
	}
	return p * (.5 + .5*clip(a.Severity, 0, 1)), sure
}

func alertWeight(a *ops.Anomaly) float64 {
	switch strings.ToLower(a.Severe) {
	case "critical", "page", "emergency", "fatal":
		return .85
	case "warning", "error", "major":
		return .6
	case "info", "none", "minor":
		return .2
	}
	return clip(a.Severity, .2, .85)
}

func anomalyKind(a *ops.Anomaly) kind {
	k, ok := kindOf(&telemetry.Series{Signal: a.Signal, Name: a.Series})
	if !ok {
		return kOther
	}
	if k == kRes && a.Direction < 0 || k == kLat && a.Direction < 0 {
		return kOther // less of what is bad when more
	}
	return k
}

// networks scores the gap between client and server time: the node common to
// all slow edges wins over a node with one slow edge among many.
func (m *model) networks() {
	type acc struct {
		sum  float64
		n    int
		in   float64
		best *evidence
		d    float64
	}
	by := map[int]*acc{}
	for _, key := range m.sortedLinks() {
		ev := m.links[key].ev[kNet]
		if ev == nil {
			continue
		}
		for side, i := range key {
			a := by[i]
			if a == nil {
				a = &acc{}
				by[i] = a
			}
			a.sum += ev.a
			a.n++
			if side == 1 {
				a.in = .03 // of two ends that fit equally, the called one
			}
			a.d += max(0, ev.d) * max(m.links[key].rate, 1e-9)
			if a.best == nil || better(ev, a.best) {
				a.best = ev
			}
		}
	}
	for i, n := range m.nodes {
		a := by[i]
		if a == nil || a.best == nil {
			continue
		}
		ev := *a.best
		ev.entity = n.e
		ev.a = a.sum / float64(a.n) * (.97 - .15/float64(a.n*a.n) + a.in)
		if n.ev[kNet] == nil || n.ev[kNet].a < ev.a {
			n.ev[kNet] = &ev
			n.all = append(n.all, &ev)
		}
	}
}

// relateLogs weakens evidence from lines and calls that an entity's callees
// show as well: generic error lines travel up.
func (m *model) relateLogs() {
	for _, k := range []kind{kLog, kSeq, kCalls} {
		m.relate(k)
	}
}

func (m *model) relate(k kind) {
	keep := make([]float64, len(m.nodes))
	for i, n := range m.nodes {
		below := 0.0
		for _, j := range n.callees {
			if ev := m.nodes[j].ev[k]; ev != nil && j != i {
				below = max(below, ev.a)
			}
		}
		keep[i] = 1 - below
	}
	for i, n := range m.nodes {
		if ev := n.ev[k]; ev != nil && keep[i] < 1 {
			weak := *ev
			weak.a *= keep[i]
			n.ev[k] = &weak
		}
	}
}
