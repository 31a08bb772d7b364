package app

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// requests logs one request a second, each in a trace of its own, and ticks
// every ten seconds.
func (f *feed) requests(length time.Duration, lines ...string) {
	f.t.Helper()
	for end := f.now + length.Milliseconds(); f.now < end; {
		f.now += 1000
		recs := make([]telemetry.LogRecord, 0, len(lines))
		for i, l := range lines {
			recs = append(recs, telemetry.LogRecord{Time: (f.now + int64(i)*20) * 1e6, Observed: f.now * 1e6, Body: l, TraceID: fmt.Sprintf("%032x", f.now), SpanID: "00000000000000aa",
				Resource: []telemetry.Attr{{Key: "service.name", Value: "cart"}}, SeverityText: "INFO", Source: "test"})
		}
		if got, err := f.o.Pipeline.Logs(f.t.Context(), recs); err != nil || got.Accepted != len(recs) {
			f.t.Fatalf("%d of %d lines accepted: %v", got.Accepted, len(recs), err)
		}
		if f.now%10_000 == 0 {
			f.tick()
		}
	}
}

func (f *feed) incidents() []ops.Incident {
	f.t.Helper()
	list, err := f.o.Stores.State.Incidents(f.t.Context(), store.IncidentFilter{Limit: 100})
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

const midday = int64(1_768_478_400_000)

// An exception makes the lines behind it vanish: no latency, no error and no
// metric says so. It is found after a restart as well.
func TestABrokenOrderOfLogLinesBecomesAnIncidentOfItsService(t *testing.T) {
	dir := t.TempDir()
	f := newFeed(t, dir, "", midday)
	whole := []string{"reserve begins for order", "price looked up in catalogue", "reserve is complete and confirmed"}
	f.requests(10*time.Minute, whole...)
	if got := f.incidents(); len(got) != 0 {
		t.Fatalf("quiet time opened %q", got[0].Title)
	}
	if err := f.o.Pipeline.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.close()
	after := newFeed(t, dir, "", f.now)
	defer after.close()
	after.requests(2*time.Minute, whole[0])
	for _, in := range after.incidents() {
		if len(in.Causes) > 0 && in.Causes[0].Entity.Name == "cart" && strings.Contains(in.Sentence, "the order of its log lines changed") &&
			strings.Contains(in.Sentence, "reserve begins") {
			return
		}
	}
	t.Errorf("no incident names cart and its lines: %+v", after.incidents())
}

// A surge at the usual cost of a request is news of the traffic and of nothing
// else.
func TestProcessorTimeThatFollowsASurgeIsHeldBack(t *testing.T) {
	f := newFeed(t, t.TempDir(), "", midday)
	defer f.close()
	rng := rand.New(rand.NewPCG(3, 3))
	values := func(surge, cost float64) func(int64) map[string]float64 {
		return func(at int64) map[string]float64 {
			rate := surge * (80 + 30*math.Sin(float64(at)/3600_000)) * math.Exp(.1*rng.NormFloat64())
			return map[string]float64{"http_requests_per_second": rate, "process_cpu_utilization_ratio": (.02 + .002*rate*cost) * math.Exp(.04*rng.NormFloat64())}
		}
	}
	f.run(10*time.Hour, values(1, 1))
	cpu := f.o.Pipeline.Engine().List(func(s *telemetry.Series) bool { return s.Name == "process_cpu_utilization_ratio" }, 1)
	if len(cpu) != 1 {
		t.Fatal("processor time is not watched")
	}
	d, ok := f.o.Pipeline.Driver(cpu[0].Series.ID)
	if !ok || d.Name != "http_requests_per_second" {
		t.Fatalf("driver %+v", d)
	}
	f.began = f.now
	f.run(20*time.Minute, values(2.2, 1))
	got := f.raised()
	if len(got["http_requests_per_second"]) == 0 {
		t.Error("the surge itself was not noticed")
	}
	if as := got["process_cpu_utilization_ratio"]; len(as) != 0 {
		t.Errorf("processor time was raised: %+v", as[0])
	}
	f.run(30*time.Minute, values(1, 1))
	f.began = f.now
	f.run(15*time.Minute, values(1, 2.5))
	if as := f.raised()["process_cpu_utilization_ratio"]; len(as) == 0 {
		t.Error("dear requests at the usual traffic were not raised")
	}
}
