package detect

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// unknown makes a series whose signal nobody knows.
func unknown(id int) *telemetry.Series {
	return &telemetry.Series{ID: telemetry.SeriesID(id), Name: "custom", Signal: telemetry.SignalOther}
}

func TestTheFullTierIsForUnknownSignalsAndBounded(t *testing.T) {
	e := New(Config{Full: 3, Forget: 3600_000})
	latency := &telemetry.Series{ID: 100, Name: "latency", Signal: telemetry.SignalLatency}
	up := &telemetry.Series{ID: 101, Name: "up", Signal: telemetry.SignalUp}
	for i := range 5 {
		e.Observe(telemetry.Point{Series: unknown(i + 1), T: 1000, V: 1})
	}
	e.Observe(telemetry.Point{Series: latency, T: 1000, V: 1})
	e.Observe(telemetry.Point{Series: up, T: 1000, V: 1})
	tier := func() (full string) {
		for _, id := range []telemetry.SeriesID{1, 2, 3, 4, 5, 6, 100, 101} {
			if x, ok := e.Explain(id); ok && x.Choice.Text != "" {
				full += string(rune('0' + id%10))
			}
		}
		return full
	}
	if got := tier(); got != "123" || e.Stats().Full != 3 {
		t.Errorf("in the full tier: %q, counted %d", got, e.Stats().Full)
	}
	// a series that is forgotten makes room
	for i := int64(2); i < 200; i++ {
		e.Observe(telemetry.Point{Series: unknown(2), T: i * 60_000, V: 1})
		e.Observe(telemetry.Point{Series: unknown(3), T: i * 60_000, V: 1})
		e.Tick(i * 60_000)
	}
	e.Observe(telemetry.Point{Series: unknown(6), T: 200 * 60_000, V: 1})
	if got := tier(); got != "236" || e.Stats().Full != 3 {
		t.Errorf("after one was forgotten: %q, counted %d", got, e.Stats().Full)
	}
	if e := New(Config{Full: -1}); e.Observe(telemetry.Point{Series: unknown(1), T: 1, V: 1}) != nil || e.Stats().Full != 0 {
		t.Error("the full tier cannot be switched off")
	}
}

// custom is a smooth wave of small numbers, as a metric of one's own.
func custom(r *rand.Rand, i int) float64 {
	return 5 + 2*math.Sin(float64(i)/200) + .01*r.NormFloat64()
}

// A single outlier far inside of the band is found by the choice alone, is
// called a spike, and the choice is explained in a sentence.
func TestTheChoiceFindsWhatTheBandCannotSee(t *testing.T) {
	for _, full := range []int{-1, 10} {
		e, r := New(Config{Full: full}), rand.New(rand.NewPCG(4, 4))
		s := unknown(7)
		var got []ops.Anomaly
		for i := range 8000 {
			v := custom(r, i)
			if i == 7900 {
				v = 5 // the wave is near its end: the middle is no usual place for one point
				v += .8 * math.Copysign(1, 5-custom(r, i))
			}
			if a := e.Observe(telemetry.Point{Series: s, T: int64(i) * 60_000, V: v}); a != nil && i >= 7900 {
				got = append(got, *a)
			}
		}
		x, _ := e.Explain(7)
		t.Logf("full %d: %d reports; %s", full, len(got), x.Sentence)
		if full < 0 {
			if x.Choice.Text != "" {
				t.Error("the basic tier explains a choice")
			}
			continue
		}
		if len(got) == 0 || (got[0].Kind != ops.AnomalySpike && got[0].Kind != ops.AnomalyDip) || got[0].Onset != 7900*60_000 || got[0].Severity >= .35 || got[0].P > .01 {
			t.Errorf("reports %+v", got)
		}
		if !strings.Contains(x.Sentence, "smoothly") || x.Choice.Weights.Size <= 1 || x.Choice.Limit <= 0 {
			t.Errorf("%+v: %s", x.Choice, x.Sentence)
		}
	}
}

func TestTheChoiceSurvivesARestart(t *testing.T) {
	play := func(e *Engine, from, to int) {
		for id := 1; id <= 4; id++ {
			r := rand.New(rand.NewPCG(uint64(id), uint64(from)))
			for i := from; i < to; i++ {
				e.Observe(telemetry.Point{Series: unknown(id), T: int64(i) * 60_000, V: custom(r, i)})
			}
		}
	}
	a := New(Config{Full: 4})
	play(a, 1, 3000)
	var snap bytes.Buffer
	if err := a.Snapshot(&snap); err != nil {
		t.Fatal(err)
	}
	b, less := New(Config{Full: 4}), New(Config{Full: 2})
	for _, e := range []*Engine{b, less} {
		if err := e.Restore(bytes.NewReader(snap.Bytes())); err != nil {
			t.Fatal(err)
		}
	}
	if b.Stats().Full != 4 || less.Stats().Full != 2 {
		t.Errorf("%d of 4 and %d of 2 series are in the full tier after the restart", b.Stats().Full, less.Stats().Full)
	}
	play(a, 3000, 4000)
	play(b, 3000, 4000)
	for id := telemetry.SeriesID(1); id <= 4; id++ {
		x, _ := a.Explain(id)
		y, _ := b.Explain(id)
		if !reflect.DeepEqual(x, y) || x.Choice.Profile.Points != 3999 {
			t.Errorf("series %d: %+v, after a restart %+v", id, x, y)
		}
	}
}

func TestTheFullTierFitsInEightKiBAndDoesNotAllocate(t *testing.T) {
	const n = 500
	e, r := New(Config{}), rand.New(rand.NewPCG(5, 5))
	metas := make([]*telemetry.Series, n)
	for i := range metas {
		metas[i] = unknown(i + 1)
	}
	now := int64(0)
	round := func() {
		now += 60_000
		for _, m := range metas {
			e.Observe(telemetry.Point{Series: m, T: now, V: custom(r, int(now/60_000))})
		}
	}
	for range 700 {
		round()
	}
	if per := e.StateBytes() / n; e.Stats().Full != n || per > 8192 || per < 2000 {
		t.Errorf("%d bytes a series, %d of %d in the full tier", per, e.Stats().Full, n)
	}
	if a := testing.AllocsPerRun(200, round); a > 1 { // a report now and then
		t.Errorf("%v allocations for %d points", a, n)
	}
}

// Sentences have numbers as people say them.
func TestNumbersOfSentencesCanBeRead(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		unit string
		want string
	}{{.0006734, "s", "673.4 µs"}, {.01628, "s", "16.28 ms"}, {-.25, "s", "-250 ms"}, {0, "s", "0 s"}, {90, "s", "90 s"}, {.5, "1", "0.5"}, {12, "By", "12 By"}} {
		if got := number(tc.v, tc.unit); got != tc.want {
			t.Errorf("%g %s is said as %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
	for gain, want := range map[float64]string{.004: "as much", -.004: "as much", .2: "only 20 % less", -.2: "20 % more"} {
		if got := lessMore(gain); got != want {
			t.Errorf("a gain of %g is said as %q, want %q", gain, got, want)
		}
	}
}
