package detect

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// flatWorld plays series a minute at a time, ticks every minute, and gathers
// the flat lines that were told.
type flatWorld struct {
	e    *Engine
	now  int64
	told map[string]ops.Anomaly
}

func newFlatWorld() *flatWorld {
	return &flatWorld{e: New(Config{}), now: 1_750_032_000_000, told: map[string]ops.Anomaly{}}
}

func (w *flatWorld) play(minutes int, values map[*telemetry.Series]func(minute int) float64) {
	for range minutes {
		w.now += 60_000
		for m, f := range values {
			w.e.Observe(telemetry.Point{Series: m, T: w.now, V: f(int(w.now / 60_000))})
		}
		for _, a := range w.e.Tick(w.now) {
			if a.Kind == ops.AnomalyFlat {
				w.told[a.ID] = a
			}
		}
	}
}

func series1(id int, sig telemetry.Signal) *telemetry.Series {
	return &telemetry.Series{ID: telemetry.SeriesID(id), Name: "s", Signal: sig, Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "shop"}}
}

func wave(minute int) float64 { return math.Sin(2 * math.Pi * float64(minute) / 1440) }

func TestASensorThatIsStuckIsToldOnceAndEnds(t *testing.T) {
	w, r := newFlatWorld(), rand.New(rand.NewPCG(1, 1))
	m := series1(1, telemetry.SignalOther)
	live := func(i int) float64 { return 20 + 3*wave(i) + .3*r.NormFloat64() }
	w.play(3*1440, map[*telemetry.Series]func(int) float64{m: live})
	if len(w.told) != 0 {
		t.Fatalf("a sensor that moves: %+v", w.told)
	}
	stuck := w.now
	w.play(120, map[*telemetry.Series]func(int) float64{m: func(int) float64 { return 20.25 }})
	if len(w.told) != 1 {
		t.Fatalf("%d flat lines of a sensor that was stuck for two hours", len(w.told))
	}
	for _, a := range w.told {
		if a.Ended != 0 || a.P > .02/7 || a.Severity < .25 || a.Severity >= .35 || a.Observed != 20.25 || a.Onset < stuck || a.Onset > stuck+120_000 || a.Member != "flat" {
			t.Errorf("%+v", a)
		}
	}
	// it survives a restart, and ends with the first point that moves
	var snap bytes.Buffer
	if err := w.e.Snapshot(&snap); err != nil {
		t.Fatal(err)
	}
	w.e = New(Config{})
	if err := w.e.Restore(&snap); err != nil {
		t.Fatal(err)
	}
	w.play(5, map[*telemetry.Series]func(int) float64{m: live})
	for _, a := range w.told {
		if a.Ended == 0 {
			t.Errorf("it moves again, and the flat line goes on: %+v", a)
		}
	}
	if len(w.told) != 1 {
		t.Errorf("told %d times", len(w.told))
	}
}

// A counter that stands still says something only while its entity works.
func TestACounterThatStandsStillIsToldWhileItsEntityWorks(t *testing.T) {
	for _, busy := range []bool{true, false} {
		w, r := newFlatWorld(), rand.New(rand.NewPCG(2, 2))
		traffic, work := series1(1, telemetry.SignalTraffic), series1(2, telemetry.SignalOther)
		on := func(i int) float64 { return 50 + 20*wave(i) + 2*r.NormFloat64() }
		out := func(i int) float64 { return math.Max(.1, 5+2*wave(i)+.5*r.NormFloat64()) }
		w.play(3*1440, map[*telemetry.Series]func(int) float64{traffic: on, work: out})
		load := on
		if !busy {
			load = func(int) float64 { return r.Float64() }
		}
		// a level shift speaks first; once that is the new normal, the flat
		// line alone is left to be told
		w.play(5*60, map[*telemetry.Series]func(int) float64{traffic: load, work: func(int) float64 { return 0 }})
		n := 0
		for _, a := range w.told {
			if a.SeriesID == work.ID {
				n++
				if a.Severity < .35 {
					t.Errorf("a count that stands still under load has severity %.2f", a.Severity)
				}
			}
		}
		if busy && n != 1 || !busy && n != 0 {
			t.Errorf("busy %v: %d flat lines", busy, n)
		}
	}
}

// What repeats itself by nature is never called flat: quiet nights, sensors of
// few digits, constants, rare events, gauges that rest at their low end.
func TestWhatRepeatsByNatureIsNoFlatLine(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	night := func(i int) bool { return i%1440 < 360 }
	for name, life := range map[string]func(i int) float64{
		"quiet nights": func(i int) float64 {
			if night(i) && i/1440%7 > 2 { // not on the first days
				return 0
			}
			return 10 + r.NormFloat64()
		},
		"a processor that rests at night": func(i int) float64 {
			if night(i) {
				return .02
			}
			return .4 + .05*r.NormFloat64()
		},
		"quantised temperature": func(i int) float64 { return math.Round(2*(21+wave(i)+.2*r.NormFloat64())) / 2 },
		"fine temperature":      func(i int) float64 { return math.Round(50*(21+wave(i)+.2*r.NormFloat64())) / 50 },
		"constant":              func(int) float64 { return 7 },
		"two states":            func(i int) float64 { return float64(i / 97 % 2) },
		"rare events":           func(int) float64 { return math.Floor(-math.Log(r.Float64()) * .5) },
		"slow queue":            func(i int) float64 { return math.Floor(3 + 2*wave(i) + r.Float64()) },
		"a disk that fills":     func(i int) float64 { return float64(i/30) * 4096 },
		"a clock":               func(i int) float64 { return 1e12 + float64(i)*60 },
	} {
		w, m := newFlatWorld(), series1(1, telemetry.SignalOther)
		w.play(10*1440, map[*telemetry.Series]func(int) float64{m: life})
		if len(w.told) != 0 {
			t.Errorf("%s: %d flat lines: %+v", name, len(w.told), w.told)
		}
	}
	for _, k := range cleanKinds() {
		w, life := newFlatWorld(), k.make(rand.New(rand.NewPCG(5, 5)), 60)
		m := &telemetry.Series{ID: 1, Name: k.name, Signal: k.signal, Unit: k.unit, Direction: k.dir}
		last := 0.
		w.play(7*1440, map[*telemetry.Series]func(int) float64{m: func(i int) float64 {
			if v, ok := life(float64(i) * 60); ok {
				last = v
			} else {
				last += 1e-9
			}
			return last
		}})
		if len(w.told) != 0 {
			t.Errorf("%s: %d flat lines", k.name, len(w.told))
		}
	}
}
