package detect

import (
	"math"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestOneSeriesThatStopsIsSilentAndComesBack(t *testing.T) {
	e, f := New(Config{}), newFleet(30, 10)
	for range 200 {
		f.play(e, 1, nil)
		e.Tick(int64(f.now * 1000))
	}
	stop := f.now
	var opened []ops.Anomaly
	for range 30 {
		f.play(e, 1, func(i int, v float64) float64 {
			if i == 0 {
				return math.NaN()
			}
			return v
		})
		for _, a := range e.Tick(int64(f.now * 1000)) {
			if a.Kind == ops.AnomalySilence {
				opened = append(opened, a)
			}
		}
	}
	if len(opened) == 0 {
		t.Fatal("a series stopped and nothing was said")
	}
	a := opened[0]
	if a.SeriesID != f.metas[0].ID || a.Ended != 0 || math.Abs(float64(a.Onset)/1000-stop) > 11 {
		t.Errorf("%+v, want series 0 from %v", a, stop)
	}
	if delay := float64(a.LastSeen)/1000 - stop; delay > 45 {
		t.Errorf("told after %v s at a 10 s interval", delay)
	}
	for _, b := range opened {
		if b.ID != a.ID {
			t.Errorf("two silences: %s and %s", a.ID, b.ID)
		}
	}
	var end *ops.Anomaly
	for _, b := range f.play(e, 1, nil) {
		if b.ID == a.ID {
			end = &b
		}
	}
	if end == nil || end.Ended == 0 {
		t.Errorf("the series came back: %+v", end)
	}
}

func TestAFeedThatStopsIsNotAFlood(t *testing.T) {
	e, f := New(Config{}), newFleet(60, 10)
	f.play(e, 300, nil)
	tick := func(n int) (got int) {
		for range n {
			f.now += 10
			for _, a := range e.Tick(int64(f.now * 1000)) {
				if a.Kind == ops.AnomalySilence {
					got++
				}
			}
		}
		return got
	}
	if n := tick(100); n != 0 || !e.Stats().FeedStopped {
		t.Errorf("%d silences, feed stopped: %t", n, e.Stats().FeedStopped)
	}
	// it comes back, one fifth of the series a round
	got := 0
	for round := range 5 {
		f.play(e, 1, func(i int, v float64) float64 {
			if i%5 > round {
				return math.NaN()
			}
			return v
		})
		for _, a := range e.Tick(int64(f.now * 1000)) {
			if a.Kind == ops.AnomalySilence {
				got++
			}
		}
	}
	if got != 0 || e.Stats().FeedStopped {
		t.Errorf("coming back: %d silences, feed stopped: %t", got, e.Stats().FeedStopped)
	}
}

func TestAnIntermittentSeriesIsNotSilent(t *testing.T) {
	e := New(Config{})
	m := &telemetry.Series{ID: 3, Name: "job", Signal: telemetry.SignalTraffic}
	now, said := int64(0), 0
	for i := range 400 {
		gap := int64(10_000)
		if i%4 == 3 {
			gap = 60_000 * int64(1+i%7)
		}
		for end := now + gap; now < end; now += 10_000 {
			said += len(e.Tick(now))
		}
		e.Observe(telemetry.Point{Series: m, T: now, V: 5})
	}
	if said != 0 {
		t.Errorf("%d silences of a series that comes and goes", said)
	}
	if x, _ := e.Explain(3); !x.Intermittent {
		t.Errorf("not seen as intermittent: %s", x.Sentence)
	}
}

func TestASeriesThatIsGoneForLongIsForgotten(t *testing.T) {
	e, f := New(Config{Forget: 3600_000}), newFleet(20, 10)
	f.play(e, 50, nil)
	for range 500 {
		f.now += 10
		e.Tick(int64(f.now * 1000))
	}
	if s := e.Stats(); s.Watched != 0 || s.Active != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAnAnomalyOfASeriesThatStopsEnds(t *testing.T) {
	e, f := New(Config{}), newFleet(1, 60)
	f.play(e, 2000, nil)
	if got := f.play(e, 10, func(_ int, v float64) float64 { return v * 3 }); len(got) == 0 {
		t.Fatal("a threefold level raised nothing")
	}
	ended := false
	for range 40 {
		f.now += 60
		for _, a := range e.Tick(int64(f.now * 1000)) {
			ended = ended || (a.Kind == ops.AnomalyLevel && a.Ended != 0)
		}
	}
	if !ended {
		t.Error("an anomaly stayed open after its series was gone for 40 minutes")
	}
	for _, a := range e.Active() {
		if a.Kind != ops.AnomalySilence {
			t.Errorf("still active: %+v", a)
		}
	}
}
