package sequence

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var cart = telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}

// shop writes the lines of requests: begin, look up, then usually found, done.
type shop struct {
	m    *Model
	t    int64 // ms
	n    int
	seen []ops.Anomaly
}

func newShop(cfg Config) *shop { return &shop{m: New(cfg), t: 1_700_000_000_000} }

// request logs the given templates in one span, 20 ms apart.
func (s *shop) request(templates ...uint64) {
	s.n++
	for i, t := range templates {
		s.line(strconv.Itoa(s.n), s.t+int64(i)*20, t)
	}
}

func (s *shop) line(trace string, t int64, template uint64) {
	s.m.Add(&telemetry.LogRecord{Time: t * 1e6, Entity: cart, TraceID: trace, SpanID: "a", Body: "a line"}, template)
}

// second lets a second pass, with ticks every ten.
func (s *shop) second() {
	s.t += 1000
	if s.t%10_000 == 0 {
		s.seen = append(s.seen, s.m.Tick(s.t)...)
	}
}

// run serves n requests, one a second.
func (s *shop) run(n int, templates func(i int) []uint64) {
	for i := range n {
		s.request(templates(i)...)
		s.second()
	}
}

func usual(int) []uint64 { return []uint64{10, 11, 12} }

func TestALineThatVanishesIsNamedWithinAMinute(t *testing.T) {
	s := newShop(Config{Text: func(t uint64) string { return fmt.Sprintf("text %d", t) }})
	s.run(120, usual)
	if len(s.seen) != 0 {
		t.Fatalf("alarms in quiet time: %+v", s.seen)
	}
	began := s.t
	s.run(60, func(int) []uint64 { return []uint64{10, 13} })
	if len(s.seen) == 0 {
		t.Fatal("a broken order raised nothing")
	}
	a := s.seen[0]
	if a.Entity != cart || a.Kind != ops.AnomalySequence || a.Signal != telemetry.SignalLogs {
		t.Errorf("anomaly is %+v", a)
	}
	if a.Onset < began-20_000 || a.Onset > began+20_000 {
		t.Errorf("onset %d s from the change", (a.Onset-began)/1000)
	}
	if a.Severity < .5 || a.Severity > 1 || a.P > 1e-5 || a.Ended != 0 {
		t.Errorf("severity %g, p %g, ended %d", a.Severity, a.P, a.Ended)
	}
	if !strings.Contains(a.Text, "text 1") || !strings.Contains(a.Text, "times, usually") {
		t.Errorf("text %q names no line", a.Text)
	}
	last := s.seen[len(s.seen)-1]
	if last.ID != a.ID {
		t.Errorf("one trouble, two ids: %s and %s", a.ID, last.ID)
	}
}

func TestItEndsWhenTheOrderIsBackAndWhenNothingIsHeard(t *testing.T) {
	for name, after := range map[string]func(s *shop){
		"order is back": func(s *shop) { s.run(200, usual) },
		"nothing heard": func(s *shop) {
			for range 200 {
				s.second()
			}
		},
	} {
		s := newShop(Config{})
		s.run(300, usual)
		s.run(60, func(int) []uint64 { return []uint64{10} })
		after(s)
		if len(s.seen) == 0 {
			t.Fatalf("%s: never began", name)
		}
		last := s.seen[len(s.seen)-1]
		if last.Ended == 0 {
			t.Errorf("%s: still lasts: %+v", name, last)
		}
	}
}

func TestAFaultThatComesBackIsFoundAgain(t *testing.T) {
	s := newShop(Config{})
	s.run(300, usual)
	ids := map[string]bool{}
	for range 3 {
		s.run(60, func(int) []uint64 { return []uint64{10} })
		s.run(240, usual)
		for _, a := range s.seen {
			ids[a.ID] = true
		}
	}
	if len(ids) != 3 {
		t.Errorf("three faults, %d anomalies", len(ids))
	}
}

func TestALastingChangeBecomesNormal(t *testing.T) {
	s := newShop(Config{Accept: 5 * 60_000})
	s.run(300, usual)
	s.run(3600, func(int) []uint64 { return []uint64{10, 14} })
	if len(s.seen) == 0 {
		t.Fatal("the change was not seen")
	}
	last := s.seen[len(s.seen)-1]
	if last.Ended == 0 {
		t.Error("after an hour the new order is still an anomaly")
	}
}

func TestAMixOfRequestsThatDriftsIsQuiet(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	s := newShop(Config{})
	paths := [][]uint64{{10, 11, 12}, {20, 21}, {10, 15, 12}, {30, 31, 32, 33}}
	share := .5
	s.run(7200, func(int) []uint64 {
		share = min(max(share+.01*rng.NormFloat64(), .35), .65)
		switch r := rng.Float64(); {
		case r < share:
			return paths[0]
		case r < share+.2:
			return paths[1]
		case r < share+.3:
			return paths[2]
		}
		return paths[3]
	})
	if len(s.seen) != 0 {
		t.Errorf("%d alarms in two hours of drifting traffic, first %q", len(s.seen), s.seen[0].Text)
	}
}

func TestFewRequestsProveNothing(t *testing.T) {
	s := newShop(Config{})
	s.run(300, usual)
	s.request(10)
	s.request(10)
	s.run(60, usual)
	if len(s.seen) != 0 {
		t.Errorf("two odd requests of sixty raised %q", s.seen[0].Text)
	}
}

func TestTheOrderOfArrivalAndResentLinesDoNotMatter(t *testing.T) {
	s := newShop(Config{})
	for i := range 300 {
		trace := strconv.Itoa(i)
		s.line(trace, s.t+40, 12)
		s.line(trace, s.t, 10)
		s.line(trace, s.t+20, 11)
		if i%2 == 0 {
			s.line(trace, s.t+20, 11)
		}
		s.second()
	}
	s.run(60, usual)
	if len(s.seen) != 0 {
		t.Errorf("raised %q", s.seen[0].Text)
	}
}

func TestLinesWithoutTraceAreLeftAlone(t *testing.T) {
	m := New(Config{})
	m.Add(&telemetry.LogRecord{Time: 1e18, Entity: cart, Body: "x"}, 5)
	m.Add(&telemetry.LogRecord{Time: 1e18, TraceID: "a", Body: "x"}, 5)
	m.Tick(2e12)
	if got := m.Stats(); got != (Stats{}) {
		t.Errorf("it kept %+v", got)
	}
}

func TestMergedTemplatesDoNotLookLikeAChange(t *testing.T) {
	merged := map[uint64]uint64{}
	s := newShop(Config{Resolve: func(t uint64) uint64 {
		if r, ok := merged[t]; ok {
			return r
		}
		return t
	}})
	s.run(300, usual)
	merged[11] = 99
	s.run(300, func(int) []uint64 { return []uint64{10, 99, 12} })
	if len(s.seen) != 0 {
		t.Errorf("raised %q", s.seen[0].Text)
	}
}

func TestASnapshotGoesOnWhereItWas(t *testing.T) {
	a, b := newShop(Config{}), newShop(Config{})
	a.run(300, usual)
	for range 100 { // the watched minute is learned
		a.second()
	}
	var buf bytes.Buffer
	if err := a.m.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	saved := buf.String()
	if err := b.m.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	b.t, b.n = a.t, a.n
	for _, s := range []*shop{a, b} {
		s.run(60, func(int) []uint64 { return []uint64{10, 13} })
	}
	if len(a.seen) == 0 || fmt.Sprint(a.seen) != fmt.Sprint(b.seen) {
		t.Errorf("restored model says %d things, the other %d", len(b.seen), len(a.seen))
	}
	for _, broken := range []string{"", "{", `{"version":9}`, strings.Replace(saved, `"from":0`, `"from":-7`, 1), strings.Replace(saved, `"to":[2`, `"to":[77777`, 1)} {
		before := b.m.Stats()
		if err := b.m.Restore(strings.NewReader(broken)); err == nil {
			t.Errorf("damaged snapshot %.40q was taken", broken)
		}
		if b.m.Stats() != before {
			t.Errorf("damaged snapshot %.40q changed the model", broken)
		}
	}
}

func TestEverythingIsBounded(t *testing.T) {
	m := New(Config{MaxSpans: 100, MaxSteps: 50, MaxEntities: 10})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		e := telemetry.Entity{Kind: telemetry.KindService, Name: strconv.Itoa(i % 30)}
		m.Add(&telemetry.LogRecord{Time: int64(i) * 1e6, Entity: e, TraceID: strconv.Itoa(i / 3), Body: "x"}, 1+rng.Uint64N(500))
		if i%1000 == 0 {
			m.Tick(int64(i) + 20_000)
		}
	}
	m.Tick(1e9)
	s := m.Stats()
	if s.Entities > 10 || s.Open > 100 || s.Overflow == 0 {
		t.Errorf("bounds not kept: %+v", s)
	}
	for e, f := range m.entities {
		if len(f.steps) > 52 {
			t.Errorf("%s holds %d steps", e, len(f.steps))
		}
		for _, r := range f.past {
			if len(r.to) > maxFollowers {
				t.Errorf("%s holds %d followers", e, len(r.to))
			}
		}
	}
}

func TestPlacesInTheSource(t *testing.T) {
	for body, want := range map[string]string{
		"18:04:13.052 INFO  c.t.c.PaymentController#34 TraceID: 1": "c.t.c.PaymentController#34",
		"2024/01/02 10:00:00 main.go:123: started":                 "main.go:123",
		"ERROR [OrderService.java:77] failed":                      "OrderService.java:77",
		"12:30 connect db.example.org:5432 refused":                "",
		"took 10:30:11":    "",
		"issue #12 closed": "",
		"":                 "",
	} {
		if got := placeOf(&telemetry.LogRecord{Body: body}); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
	byAttr := telemetry.LogRecord{Body: "x", Attributes: []telemetry.Attr{{Key: "code.file.path", Value: "a.go"}, {Key: "code.line.number", Value: "9"}}}
	if got := placeOf(&byAttr); got != "a.go:9" {
		t.Errorf("by attributes: %q", got)
	}
}

func TestTailsAddUpToOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := 1 + rng.IntN(60)
		a, b := .01+50*rng.Float64(), .01+50*rng.Float64()
		k := rng.IntN(n)
		sum := betaBinomialTail(k, n, a, b, false) + betaBinomialTail(k+1, n, a, b, true)
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("tails of %d of %d with Beta(%g, %g) add up to %g", k, n, a, b, sum)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	m := New(Config{})
	rec := telemetry.LogRecord{Entity: cart, Body: "a line of usual length that names no place at all", SpanID: "0123456789abcdef"}
	traces := make([]string, 1000)
	for i := range traces {
		traces[i] = fmt.Sprintf("%032x", i)
	}
	for i := 0; b.Loop(); i++ {
		rec.Time = int64(i) * 1e6
		rec.TraceID = traces[i/5%len(traces)]
		m.Add(&rec, uint64(1+i%5))
		if i%10_000 == 0 {
			m.Tick(int64(i) + 1)
		}
	}
}
