package api_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// The sample estate: a shop of thirteen things that call each other, three
// hours of their series, logs and spans, and up to eight incidents. It is
// deterministic for a given end time and number of incidents. The handlers'
// tests and the console's development server read it.

const (
	sampleSpan = 3 * 3600 * 1000 // ms of history
	sampleStep = 10 * 1000
	faultAge   = 14 * 60 * 1000 // the first incident began this long before the end
)

type thing struct {
	e        telemetry.Entity
	rate     float64 // usual requests a second
	p95      float64 // usual seconds
	callsTo  []string
	longName string
}

func things(long bool) []thing {
	svc, db, cache, queue := telemetry.KindService, telemetry.KindDatabase, telemetry.KindCache, telemetry.KindQueue
	list := []thing{
		{e: telemetry.Entity{Kind: svc, Name: "frontend"}, rate: 42, p95: 0.120, callsTo: []string{"gateway"}},
		{e: telemetry.Entity{Kind: svc, Name: "gateway"}, rate: 55, p95: 0.095, callsTo: []string{"catalog", "cart", "orders", "users", "search"}},
		{e: telemetry.Entity{Kind: svc, Name: "catalog"}, rate: 31, p95: 0.030, callsTo: []string{"catalog-cache"}},
		{e: telemetry.Entity{Kind: svc, Name: "cart"}, rate: 12, p95: 0.022, callsTo: []string{"catalog-cache", "users"}},
		{e: telemetry.Entity{Kind: svc, Name: "orders"}, rate: 4.2, p95: 0.085, callsTo: []string{"orders-db", "payments", "mail-queue"}},
		{e: telemetry.Entity{Kind: svc, Name: "payments"}, rate: 3.9, p95: 0.210, callsTo: []string{"bank-gateway"}},
		{e: telemetry.Entity{Kind: svc, Name: "users"}, rate: 18, p95: 0.018, callsTo: []string{"users-db"}},
		{e: telemetry.Entity{Kind: svc, Name: "search"}, rate: 9, p95: 0.060},
		{e: telemetry.Entity{Kind: svc, Name: "mailer"}, rate: 2.1, p95: 0.340, callsTo: []string{"mail-queue"}},
		{e: telemetry.Entity{Kind: db, Name: "orders-db"}, rate: 21, p95: 0.006},
		{e: telemetry.Entity{Kind: db, Name: "users-db"}, rate: 33, p95: 0.004},
		{e: telemetry.Entity{Kind: cache, Name: "catalog-cache"}, rate: 64, p95: 0.0011},
		{e: telemetry.Entity{Kind: queue, Name: "mail-queue"}, rate: 4, p95: 0.003},
		{e: telemetry.Entity{Kind: telemetry.KindExternal, Name: "bank-gateway"}, rate: 3.9, p95: 0.180},
	}
	if long {
		for i := range list {
			list[i].longName = "eu-central-1.production.checkout-platform." + list[i].e.Name + "-primary-read-write-endpoint"
		}
	}
	return list
}

// fault says which thing went wrong, when, and who suffers.
type fault struct {
	root, title, sentence, evidence string
	signal                          telemetry.Signal
	path                            []string // root first, then who suffers, users last
	age                             int64    // ms before the end
	impact, confidence              float64
	factor                          float64
	change                          string
}

func faults() []fault {
	return []fault{
		{root: "orders-db", title: "orders: slow queries on orders-db", signal: telemetry.SignalLatency,
			sentence: "Queries on orders-db take 38 times as long as usual since 14 minutes; orders, gateway and frontend wait for them. Deploy orders v2.14.0 came two minutes before.",
			evidence: "median query time 0.21 s, expected 0.004 to 0.008 s", path: []string{"orders-db", "orders", "gateway", "frontend"},
			age: faultAge, impact: 0.31, confidence: 0.86, factor: 38, change: "orders v2.14.0: order history without index"},
		{root: "bank-gateway", title: "payments: bank-gateway refuses connections", signal: telemetry.SignalErrors,
			sentence: "bank-gateway fails 43 % of calls; payments and orders pass the errors on.", evidence: "error ratio 43 %, expected under 0.4 %",
			path: []string{"bank-gateway", "payments", "orders", "gateway"}, age: 32 * 60000, impact: 0.12, confidence: 0.74, factor: 2},
		{root: "catalog-cache", title: "catalog: catalog-cache evicts everything", signal: telemetry.SignalSaturation,
			sentence: "The hit ratio of catalog-cache fell to 8 % after its memory limit was lowered.", evidence: "hit ratio 8 %, expected 91 to 97 %",
			path: []string{"catalog-cache", "catalog", "cart", "gateway", "frontend"}, age: 48 * 60000, impact: 0.22, confidence: 0.67, factor: 6,
			change: "catalog-cache memory limit 512 MiB to 64 MiB"},
		{root: "search", title: "search: memory leak", signal: telemetry.SignalSaturation, sentence: "Memory of search grows by 90 MB a minute and reaches its limit in 11 minutes.",
			evidence: "1.9 GB, expected 0.4 to 0.6 GB", path: []string{"search"}, age: 22 * 60000, impact: 0.03, confidence: 0.91, factor: 3},
		{root: "mail-queue", title: "mailer: mail-queue is full", signal: telemetry.SignalSaturation, sentence: "mail-queue holds 12,400 messages; mailer takes none since 9 minutes.",
			evidence: "12,400 messages, expected 0 to 40", path: []string{"mail-queue", "mailer", "orders"}, age: 9 * 60000, impact: 0.05, confidence: 0.58, factor: 4},
		{root: "users-db", title: "users: users-db waits for locks", signal: telemetry.SignalLatency, sentence: "users-db spends 92 % of its time in lock waits.",
			evidence: "lock wait 92 %, expected 0 to 3 %", path: []string{"users-db", "users", "cart", "gateway"}, age: 75 * 60000, impact: 0.17, confidence: 0.49, factor: 9},
		{root: "frontend", title: "frontend: errors after deploy", signal: telemetry.SignalErrors, sentence: "frontend answers 6 % of requests with 500 since deploy v8.0.1.",
			evidence: "error ratio 6 %, expected under 0.1 %", path: []string{"frontend"}, age: 5 * 60000, impact: 0.06, confidence: 0.95, factor: 1.4, change: "frontend v8.0.1"},
		{root: "", title: "gateway: latency without a clear cause", signal: telemetry.SignalLatency, sentence: "gateway is 3 times slower than usual; none of its dependencies explains it.",
			evidence: "p95 0.31 s, expected 0.08 to 0.12 s", path: []string{"gateway", "frontend"}, age: 18 * 60000, impact: 0.09, confidence: 0.22, factor: 3},
	}
}

// sample is the estate in stores, and the test's own pipeline over it.
type sample struct {
	metrics store.Metrics
	logs    store.Logs
	traces  store.Traces
	state   store.State
	live    *samplePipeline
	end     int64
	byName  map[string]thing
}

// fill writes the estate into the stores.
func (s *sample) fill(t testing.TB, incidents int, long bool) {
	t.Helper()
	ctx := context.Background()
	fs := faults()[:incidents]
	list := things(long)
	s.byName = map[string]thing{}
	for _, th := range list {
		key := th.e.Name
		if th.longName != "" {
			th.e.Name = th.longName
		}
		s.byName[key] = th
	}
	var edges []graph.Edge
	for name, th := range s.byName {
		for _, to := range th.callsTo {
			edges = append(edges, graph.Edge{From: s.byName[name].e, To: s.byName[to].e, Kind: graph.Calls,
				FirstSeen: s.end - sampleSpan, LastSeen: s.end, Weight: s.byName[to].rate})
		}
	}
	must(t, s.state.PutEdges(ctx, edges))
	s.live = newSamplePipeline(s, edges)
	rng := rand.New(rand.NewPCG(7, uint64(incidents)))
	app := s.metrics.AppenderV2(ctx)
	for _, th := range list {
		s.writeSeries(t, app, s.byName[th.e.Name], th.e.Name, fs, rng)
	}
	must(t, app.Commit())
	s.writeLogs(t, fs, rng)
	s.writeSpans(t)
	for i := range fs {
		s.writeIncident(t, i, fs[i])
	}
	if incidents == 0 { // a quiet house has a past too
		s.writeIncident(t, 99, faults()[3])
		in, err := s.state.Incident(ctx, "inc-099")
		must(t, err)
		in.State, in.Onset, in.Opened, in.Resolved = ops.StateResolved, s.end-26*3600000, s.end-26*3600000, s.end-25*3600000
		in.Updated = in.Resolved
		must(t, s.state.PutIncident(ctx, in))
	}
}

// shape is the usual value at t: a daily wave.
func shape(base float64, t int64) float64 {
	return base * (1 + 0.25*math.Sin(float64(t)/(24*3600*1000)*2*math.Pi))
}

// sick says by how much the named thing's latency and errors are raised at t.
func sick(name string, fs []fault, t, end int64) (slow, errs float64) {
	slow = 1
	for _, f := range fs {
		for i, p := range f.path {
			if p != name || t < end-f.age+int64(i)*20000 {
				continue
			}
			k := f.factor / math.Pow(2.2, float64(i))
			if f.signal == telemetry.SignalErrors {
				errs += 0.4 / float64(i+1)
			}
			slow = max(slow, k, 1.3)
		}
	}
	return slow, errs
}

func (s *sample) writeSeries(t testing.TB, app storage.AppenderV2, th thing, key string, fs []fault, rng *rand.Rand) {
	t.Helper()
	ent := th.e.String()
	slow := func(at int64) float64 { k, _ := sick(key, fs, at, s.end); return k }
	failing := func(at int64) float64 { _, e := sick(key, fs, at, s.end); return e }
	defs := []struct {
		ls       labels.Labels
		signal   telemetry.Signal
		unit     string
		expected func(at int64) (expected, spread float64)
		value    func(at int64, expected float64) float64
	}{
		{labels.FromStrings("__name__", "norn_request_rate", "entity", ent), telemetry.SignalTraffic, "{request}/s",
			func(at int64) (float64, float64) { return shape(th.rate, at), 0.2 * shape(th.rate, at) },
			func(_ int64, e float64) float64 { return e * (1 + 0.05*rng.NormFloat64()) }},
		{labels.FromStrings("__name__", "norn_error_ratio", "entity", ent), telemetry.SignalErrors, "1",
			func(int64) (float64, float64) { return 0.001, 0.005 },
			func(at int64, _ float64) float64 {
				return min(1, max(0, 0.001*rng.ExpFloat64()+failing(at)*(1+0.1*rng.NormFloat64())))
			}},
		{labels.FromStrings("__name__", "norn_latency_seconds", "entity", ent, "quantile", "0.95"), telemetry.SignalLatency, "s",
			func(int64) (float64, float64) { return th.p95, th.p95 * 0.35 },
			func(at int64, e float64) float64 { return e * slow(at) * (1 + 0.08*rng.NormFloat64()) }},
		{labels.FromStrings("__name__", "process_resident_memory_bytes", "service_name", th.e.Name, "instance", "10.0.4.17:9090"), telemetry.SignalSaturation, "By",
			func(int64) (float64, float64) { return 4e8, 1e8 },
			func(_ int64, e float64) float64 { return e + 2e7*rng.NormFloat64() }},
	}
	for _, d := range defs {
		m := &telemetry.Series{ID: telemetry.SeriesID(d.ls.Hash()), Labels: d.ls, Expr: d.ls.String(), Name: d.ls.Get("__name__"),
			Entity: th.e, Signal: d.signal, Unit: d.unit, Direction: telemetry.UpBad}
		if q := d.ls.Get("quantile"); q != "" {
			m.Name += " p" + q[2:]
		}
		row := &sampleSeries{meta: m, expected: d.expected}
		var ref storage.SeriesRef
		for at := s.end - sampleSpan; at <= s.end; at += sampleStep {
			e, _ := d.expected(at)
			v := d.value(at, e)
			var err error
			ref, err = app.Append(ref, d.ls, 0, at, v, nil, nil, storage.AOptions{})
			must(t, err)
			row.last, row.lastT = v, at
		}
		s.live.series = append(s.live.series, row)
	}
}

func (s *sample) writeLogs(t testing.TB, fs []fault, rng *rand.Rand) {
	t.Helper()
	type line struct {
		svc, text, template string
		sev                 telemetry.Severity
		id                  uint64
	}
	lines := []line{
		{"gateway", "GET /api/items/%d 200 in %d ms", "GET /api/items/<*> 200 in <*> ms", telemetry.SeverityInfo, 1},
		{"orders", "order %d placed, total %d.00 EUR", "order <*> placed, total <*> EUR", telemetry.SeverityInfo, 2},
		{"users", "session %d refreshed after %d s", "session <*> refreshed after <*> s", telemetry.SeverityDebug, 3},
		{"payments", "retry %d of charge %d", "retry <*> of charge <*>", telemetry.SeverityWarn, 4},
	}
	var recs []telemetry.LogRecord
	add := func(l line, at int64) {
		n, k := rng.IntN(90000)+1000, rng.IntN(80)+4
		e := s.byName[l.svc].e
		body := fmt.Sprintf(l.text, n, k)
		recs = append(recs, telemetry.LogRecord{Time: at * 1e6, Observed: at * 1e6, Severity: l.sev, SeverityText: l.sev.String(), Body: body,
			Entity: e, Source: "otlp", Template: l.id, Hash: rng.Uint64(), TraceID: fmt.Sprintf("%032x", n),
			Resource:   []telemetry.Attr{{Key: "service.name", Value: e.Name}, {Key: "service.version", Value: "2.13.4"}},
			Attributes: []telemetry.Attr{{Key: "http.route", Value: "/api/items/{id}"}}})
		s.live.see(e, l.id, l.template, body, l.sev, at)
	}
	for i := range 900 {
		add(lines[[]int{0, 0, 0, 1, 2, 2, 3}[i%7]], s.end-int64(900-i)*8000)
	}
	if len(fs) > 0 {
		slow := line{"orders", "statement timeout after %d ms on orders_by_customer (attempt %d)", "statement timeout after <*> ms on orders_by_customer (attempt <*>)", telemetry.SeverityError, 5}
		for i := range 120 {
			add(slow, s.end-faultAge+20000+int64(i)*6000)
		}
	}
	_, err := s.logs.AppendLogs(context.Background(), recs)
	must(t, err)
	s.logs.FlushLogs()
}

func (s *sample) writeSpans(t testing.TB) {
	t.Helper()
	var spans []telemetry.Span
	for i := range 40 {
		trace := fmt.Sprintf("%032x", 0xabc000+i)
		at, parent := (s.end-int64(i)*15000)*1e6, ""
		for j, name := range []string{"frontend", "gateway", "orders", "orders-db"} {
			th := s.byName[name]
			id := fmt.Sprintf("%016x", i*100+j+1)
			d := int64(th.p95 * 1e9)
			spans = append(spans, telemetry.Span{TraceID: trace, SpanID: id, ParentID: parent, Name: "POST /orders", Kind: telemetry.SpanServer,
				Start: at, End: at + d, Error: i%9 == 0, Entity: th.e, Attributes: []telemetry.Attr{{Key: "http.request.method", Value: "POST"}}})
			parent, at = id, at+d/10
		}
	}
	_, err := s.traces.AppendSpans(context.Background(), spans)
	must(t, err)
	s.traces.FlushSpans()
}

func (s *sample) writeIncident(t testing.TB, n int, f fault) {
	t.Helper()
	ctx := context.Background()
	onset := s.end - f.age
	in := ops.Incident{ID: fmt.Sprintf("inc-%03d", n), State: ops.StateOpen, Title: f.title, Sentence: f.sentence, Verdict: ops.VerdictCause,
		Severity: 0.7, Impact: f.impact, ImpactText: fmt.Sprintf("%.0f %% of requests suffer", f.impact*100), Confidence: f.confidence,
		Onset: onset, Opened: onset + 40000, Updated: s.end - 20000, Alerts: 3*len(f.path) + 2}
	if f.root == "" {
		in.Verdict = ops.VerdictUnknown
	}
	var changes []telemetry.Change
	if f.change != "" {
		ch := telemetry.Change{ID: "chg-" + in.ID, Time: onset - 120000, Kind: telemetry.ChangeDeploy, Entity: s.byName[f.path[min(1, len(f.path)-1)]].e,
			Title: f.change, Actor: "alice", Link: "https://ci.example.test/run/4211"}
		changes = append(changes, ch)
		must(t, s.state.PutChange(ctx, &ch))
	}
	in.Changes = changes
	in.Timeline = append(in.Timeline, ops.Event{Time: onset + 40000, Kind: "opened", Entity: s.byName[f.path[0]].e, Text: "Incident opened from 3 anomalies"})
	for i, name := range f.path {
		th := s.byName[name]
		role, signal := ops.RoleIntermediate, telemetry.SignalLatency
		switch {
		case i == 0 && f.root != "":
			role, signal = ops.RoleRoot, f.signal
		case i == len(f.path)-1:
			role = ops.RoleSymptom
		}
		if f.signal == telemetry.SignalErrors {
			signal = telemetry.SignalErrors
		}
		row := s.live.find(th.e, signal)
		a := ops.Anomaly{ID: fmt.Sprintf("%s-a%d", in.ID, i), SeriesID: row.meta.ID, Series: row.meta.Name, Expr: row.meta.Expr, Entity: th.e, Signal: row.meta.Signal,
			Unit: row.meta.Unit, Kind: ops.AnomalyLevel, Direction: 1, Onset: onset + int64(i)*20000, LastSeen: s.end - 10000, Severity: 0.9 - 0.15*float64(i), P: 1e-6,
			Score: 12, Member: "residual", Observed: row.last, Expected: th.p95, Low: th.p95 * 0.65, High: th.p95 * 1.35, Source: "norn"}
		if n == 99 {
			a.Onset, a.LastSeen, a.Ended = s.end-26*3600000, s.end-25*3600000, s.end-25*3600000
		} else {
			row.anomaly = a.ID
		}
		must(t, s.state.PutAnomaly(ctx, &a))
		in.Anomalies = append(in.Anomalies, a)
		in.Entities = append(in.Entities, th.e)
		c := ops.Cause{Entity: th.e, Role: role, Score: 0.9 - 0.2*float64(i), Probability: f.confidence / float64(1+4*i), Signal: signal, Onset: a.Onset,
			Sentence: fmt.Sprintf("%s deviates since %d s after the first sign.", th.e.Name, i*20), Unexplained: 0.08,
			Evidence: []ops.Evidence{{Entity: th.e, Signal: signal, Series: row.meta.Name, Expr: row.meta.Expr, Unit: row.meta.Unit, Onset: a.Onset,
				Observed: row.last, Expected: th.p95, Low: a.Low, High: a.High, Z: 14 - 3*float64(i), Weight: 0.97 - 0.2*float64(i), AnomalyID: a.ID, Text: th.e.Name + ": " + f.evidence}}}
		if i == 0 {
			c.Unexplained, c.Changes = 0.97, changes
		} else {
			c.ExplainedBy = []ops.Explained{{By: s.byName[f.path[i-1]].e, Share: 0.92 - 0.09*float64(i)}}
			in.Links = append(in.Links, ops.Link{From: th.e, To: s.byName[f.path[i-1]].e, Kind: "calls"})
		}
		in.Causes = append(in.Causes, c)
		in.Timeline = append(in.Timeline, ops.Event{Time: a.Onset, Kind: "anomaly", Entity: th.e, Text: row.meta.Name + " left its band"})
		s.live.hurt(th.e, in.ID, 0.2+0.2*float64(i))
	}
	for _, ch := range changes {
		in.Timeline = append(in.Timeline, ops.Event{Time: ch.Time, Kind: "change", Entity: ch.Entity, Text: ch.Title})
	}
	in.Timeline = append(in.Timeline, ops.Event{Time: onset + 65000, Kind: "cause", Entity: in.Causes[0].Entity, Text: "Cause found: " + f.title})
	must(t, s.state.PutIncident(ctx, &in))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
