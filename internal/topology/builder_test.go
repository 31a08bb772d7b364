package topology

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func svc(n string) telemetry.Entity { return telemetry.Entity{Kind: telemetry.KindService, Name: n} }

// shop is a simulated estate of eight services, a database, a cache and a
// queue, that keeps the truth about the traces that it makes.
type shop struct {
	r       *rand.Rand
	id      int
	spans   []telemetry.Span
	windows map[int64]*truth
	size    int64 // ns
}

type truth struct {
	latency map[telemetry.Entity][]float64
	errors  map[telemetry.Entity]int
	self    map[telemetry.Entity][]float64
	edge    map[[2]telemetry.Entity][]float64
	edgeErr map[[2]telemetry.Entity]int
	gap     map[[2]telemetry.Entity][]float64
}

func (s *shop) at(end int64) *truth {
	k := end / s.size * s.size
	if s.windows[k] == nil {
		s.windows[k] = &truth{
			latency: map[telemetry.Entity][]float64{}, errors: map[telemetry.Entity]int{}, self: map[telemetry.Entity][]float64{},
			edge: map[[2]telemetry.Entity][]float64{}, edgeErr: map[[2]telemetry.Entity]int{}, gap: map[[2]telemetry.Entity][]float64{},
		}
	}
	return s.windows[k]
}

var calls = map[string][]string{
	"frontend": {"cart", "catalog", "checkout"}, "checkout": {"cart", "payment", "shipping"}, "cart": {"cache/redis"},
	"catalog": {"search", "database/products"}, "shipping": {"queue/parcels"}, "payment": {"database/ledger"}, "search": {},
}

func (s *shop) next() string { s.id++; return fmt.Sprintf("%016x", s.id) }

// serve makes the spans of one request at service name that starts at start,
// and returns when it ends and whether it failed.
func (s *shop) serve(trace, parent, name string, start int64) (end int64, failed bool) {
	id := s.next()
	at := start + s.dur()
	busy := at - start
	inner := s.next() // an internal span, under which the calls are made
	for _, callee := range calls[name] {
		if s.r.Intn(4) == 0 {
			continue
		}
		cEnd, cFailed := s.call(trace, inner, name, callee, at)
		failed = failed || cFailed && s.r.Intn(2) == 0
		d := s.dur()
		at, busy = cEnd+d, busy+d
	}
	failed = failed || s.r.Intn(20) == 0
	s.spans = append(s.spans,
		telemetry.Span{TraceID: trace, SpanID: id, ParentID: parent, Name: "GET /" + name, Kind: telemetry.SpanServer, Entity: svc(name), Start: start, End: at, Error: failed},
		telemetry.Span{TraceID: trace, SpanID: inner, ParentID: id, Name: "work", Kind: telemetry.SpanInternal, Entity: svc(name), Start: start, End: at})
	t := s.at(at)
	t.latency[svc(name)] = append(t.latency[svc(name)], float64(at-start)/1e9)
	t.self[svc(name)] = append(t.self[svc(name)], float64(busy)/1e9)
	if failed {
		t.errors[svc(name)]++
	}
	return at, failed
}

func (s *shop) dur() int64 { return int64(1+s.r.Intn(20)) * 1e6 }

func (s *shop) call(trace, parent, from, to string, start int64) (end int64, failed bool) {
	id := s.next()
	sp := telemetry.Span{TraceID: trace, SpanID: id, ParentID: parent, Name: "call", Kind: telemetry.SpanClient, Entity: svc(from), Start: start}
	kind, name, remote := strings.Cut(to, "/")
	peer := svc(to)
	if remote {
		peer = telemetry.Entity{Kind: telemetry.EntityKind(kind), Name: name}
		sp.End, sp.Error = start+s.dur(), s.r.Intn(30) == 0
		switch kind {
		case "database":
			sp.Attributes = []telemetry.Attr{{Key: "db.namespace", Value: name}, {Key: "db.system.name", Value: "sqlite"}}
		case "cache":
			sp.Attributes = []telemetry.Attr{{Key: "db.namespace", Value: "0"}, {Key: "db.system.name", Value: name}, {Key: "server.address", Value: "127.0.0.1"}}
		case "queue":
			sp.Kind = telemetry.SpanProducer
			sp.Attributes = []telemetry.Attr{{Key: "messaging.destination.name", Value: name}, {Key: "messaging.system", Value: "kafka"}}
			s.consume(trace, id, peer, sp.End)
		}
		t := s.at(sp.End)
		t.latency[peer] = append(t.latency[peer], float64(sp.End-sp.Start)/1e9)
		if sp.Error {
			t.errors[peer]++
		}
	} else {
		sp.Attributes = []telemetry.Attr{{Key: "server.address", Value: to + ".shop.svc"}}
		there, back := s.dur(), s.dur()
		sEnd, sFailed := s.serve(trace, id, to, start+there)
		sp.End, sp.Error = sEnd+back, sFailed
		s.at(sp.End).gap[[2]telemetry.Entity{svc(from), peer}] = append(s.at(sp.End).gap[[2]telemetry.Entity{svc(from), peer}], float64(there+back)/1e9)
	}
	k := [2]telemetry.Entity{svc(from), peer}
	t := s.at(sp.End)
	t.edge[k] = append(t.edge[k], float64(sp.End-sp.Start)/1e9)
	if sp.Error {
		t.edgeErr[k]++
	}
	s.spans = append(s.spans, sp)
	return sp.End, sp.Error
}

// consume makes the worker take a message out of the queue.
func (s *shop) consume(trace, producer string, queue telemetry.Entity, sent int64) {
	wait := s.dur() * 10
	start := sent + wait
	end := start + s.dur()
	sp := telemetry.Span{
		TraceID: trace, SpanID: s.next(), ParentID: producer, Name: "process parcels", Kind: telemetry.SpanConsumer, Entity: svc("worker"),
		Start: start, End: end, Attributes: []telemetry.Attr{{Key: "messaging.destination.name", Value: queue.Name}},
	}
	s.spans = append(s.spans, sp)
	t, k := s.at(end), [2]telemetry.Entity{svc("worker"), queue}
	t.latency[svc("worker")] = append(t.latency[svc("worker")], float64(end-start)/1e9)
	t.self[svc("worker")] = append(t.self[svc("worker")], float64(end-start)/1e9)
	t.edge[k] = append(t.edge[k], float64(end-start)/1e9)
	t.gap[k] = append(t.gap[k], float64(wait)/1e9)
}

const epoch = int64(1_700_000_000_000_000_000)

func simulate(seed int64, requests int) *shop {
	s := &shop{r: rand.New(rand.NewSource(seed)), windows: map[int64]*truth{}, size: 10e9}
	for i := range requests {
		s.serve(fmt.Sprintf("%032x", i+1), "", "frontend", epoch+int64(i)*50e6)
	}
	return s
}

func q(vs []float64, p float64) float64 {
	vs = slices.Clone(vs)
	sort.Float64s(vs)
	pos := p * float64(len(vs)-1)
	i := int(pos)
	if i == len(vs)-1 {
		return vs[i]
	}
	return vs[i] + (pos-float64(i))*(vs[i+1]-vs[i])
}

// expected turns the truth into samples, silence left out.
func (s *shop) expected() map[string]float64 {
	out := map[string]float64{}
	for start, t := range s.windows {
		end := (start + s.size) / 1e6
		put := func(ls labels.Labels, v float64) { out[fmt.Sprint(ls, end)] = v }
		for e, lat := range t.latency {
			put(RequestRateLabels(e), float64(len(lat))/10)
			put(ErrorRatioLabels(e), float64(t.errors[e])/float64(len(lat)))
			put(LatencyLabels(e, "0.5"), q(lat, 0.5))
			put(LatencyLabels(e, "0.95"), q(lat, 0.95))
			put(MeanLatencyLabels(e), mean(lat))
		}
		for e, self := range t.self {
			put(SelfTimeLabels(e), q(self, 0.5))
			put(MeanSelfTimeLabels(e), mean(self))
		}
		for k, lat := range t.edge {
			put(EdgeRequestRateLabels(k[0], k[1]), float64(len(lat))/10)
			put(EdgeErrorRatioLabels(k[0], k[1]), float64(t.edgeErr[k])/float64(len(lat)))
			put(EdgeLatencyLabels(k[0], k[1]), q(lat, 0.95))
			put(EdgeMeanLatencyLabels(k[0], k[1]), mean(lat))
			if served := len(t.latency[k[0]]); served > 0 {
				put(EdgeCallRatioLabels(k[0], k[1]), float64(len(lat))/float64(served))
			}
		}
		for k, gap := range t.gap {
			put(EdgeGapLabels(k[0], k[1]), q(gap, 0.5))
		}
	}
	return out
}

func collect(t *testing.T, got map[string]float64, samples []Sample) {
	t.Helper()
	for _, s := range samples {
		if strings.HasPrefix(s.Labels.Get("__name__"), "norn_operation") {
			continue
		}
		k := fmt.Sprint(s.Labels, s.T)
		if _, twice := got[k]; twice {
			t.Fatalf("%s came twice", k)
		}
		got[k] = s.V
	}
}

func compare(t *testing.T, got, want map[string]float64) {
	t.Helper()
	bad := 0
	for k, v := range want {
		if g, ok := got[k]; !ok || math.Abs(g-v) > 1e-9 {
			if bad++; bad < 10 {
				t.Errorf("%s: got %v (%v), want %v", k, g, ok, v)
			}
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok && !(v == 0 && strings.Contains(k, "request_rate")) {
			if bad++; bad < 10 {
				t.Errorf("%s: unexpected %v", k, v)
			}
		}
	}
	if bad > 0 {
		t.Errorf("%d differences of %d", bad, len(want))
	}
}

func TestSignalsEqualTheTruthWhateverTheOrderOfArrival(t *testing.T) {
	for seed := int64(1); seed <= 5; seed++ {
		t.Logf("seed %d", seed)
		s := simulate(seed, 1500)
		r := rand.New(rand.NewSource(seed + 100))
		// every span arrives up to 4 s after its end, some of them twice
		type arrival struct {
			at int64
			sp telemetry.Span
		}
		var as []arrival
		for _, sp := range s.spans {
			as = append(as, arrival{sp.End + r.Int63n(4e9), sp})
			if r.Intn(10) == 0 {
				as = append(as, arrival{sp.End + r.Int63n(4e9), sp})
			}
		}
		sort.SliceStable(as, func(i, j int) bool { return as[i].at < as[j].at })
		b, got := New(Config{}), map[string]float64{}
		last := int64(0)
		for i, a := range as {
			b.Spans([]telemetry.Span{a.sp})
			if i%97 == 0 {
				samples, _ := b.Flush(a.at / 1e6)
				collect(t, got, samples)
			}
			last = a.at
		}
		samples, edges := b.Flush(last/1e6 + 20_000)
		collect(t, got, samples)
		compare(t, got, s.expected())
		st := b.Stats()
		if st.Late != 0 || st.Unmatched != 0 || int(st.Spans-st.Duplicates) != len(s.spans) || st.Dropped != 0 {
			t.Errorf("stats %+v of %d spans", st, len(s.spans))
		}
		checkGraph(t, edges)
	}
}

func checkGraph(t *testing.T, edges []graph.Edge) {
	t.Helper()
	got := map[string]bool{}
	for _, e := range edges {
		if e.Kind != graph.Calls || e.Weight <= 0 || e.FirstSeen != e.LastSeen {
			t.Errorf("edge %+v", e)
		}
		got[e.From.Name+">"+e.To.String()] = true
	}
	want := map[string]bool{"worker>queue/parcels": true}
	for from, tos := range calls {
		for _, to := range tos {
			if !strings.Contains(to, "/") {
				to = "service/" + to
			}
			want[from+">"+to] = true
		}
	}
	for k := range got {
		if !want[k] {
			t.Errorf("edge %s does not exist", k)
		}
	}
}

func TestAllInOneGoGivesTheSameBytesTwice(t *testing.T) {
	s := simulate(9, 4000)
	run := func(shuffle int64) []Sample {
		spans := slices.Clone(s.spans)
		rand.New(rand.NewSource(shuffle)).Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
		b := New(Config{Seed: 4})
		b.Spans(spans)
		samples, edges := b.Flush(epoch/1e6 + 3600_000)
		if len(edges) == 0 {
			t.Fatal("no edges")
		}
		return samples
	}
	one, again, other := run(1), run(1), run(2)
	if len(one) != len(again) || len(one) != len(other) {
		t.Fatalf("%d, %d and %d samples", len(one), len(again), len(other))
	}
	for i := range one {
		if fmt.Sprint(one[i]) != fmt.Sprint(again[i]) || fmt.Sprint(one[i]) != fmt.Sprint(other[i]) {
			t.Fatalf("depends on chance or on the order of arrival: %v, %v, %v", one[i], again[i], other[i])
		}
	}
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
