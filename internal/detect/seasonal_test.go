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

// repeating plays a series with a period of 5 h, a point every two minutes.
func repeating(e *Engine, m *telemetry.Series, r *rand.Rand, from, days float64, f func(v float64) float64) (got []ops.Anomaly, end float64) {
	for now := from; now < from+days*86400; now += 120 {
		v := 100 + 40*math.Sin(2*math.Pi*now/18000) + 3*r.NormFloat64()
		if a := e.Observe(telemetry.Point{Series: m, T: int64(1000 * now), V: f(v)}); a != nil {
			got = append(got, *a)
		}
	}
	return got, from + days*86400
}

func same(v float64) float64 { return v }

func TestAPeriodOfFiveHoursIsFollowedAndSaid(t *testing.T) {
	t.Logf("seed %d", storySeed)
	m := &telemetry.Series{ID: 5, Name: "job", Signal: telemetry.SignalSaturation, Unit: "1"}
	half := map[bool]int{}
	for _, with := range []bool{false, true} {
		e := New(Config{})
		if with {
			e = New(Config{Seasons: 10})
		}
		r := rand.New(rand.NewPCG(storySeed, 3))
		_, end := repeating(e, m, r, 1.75e9, 5, same)
		x, _ := e.Explain(m.ID)
		if with && (x.Baseline != "season" || !strings.Contains(x.Sentence, "period of 5 h, confirmed on") || e.Stats().Seasons != 1) {
			t.Errorf("said: %s (%s)", x.Sentence, x.Season.Text)
		}
		// a fault that only an expectation of the hour can see
		got, end := repeating(e, m, r, end, .02, func(float64) float64 { return 100 })
		half[with] = len(got)
		// quiet days raise nothing
		got, _ = repeating(e, m, r, end+3600, 5, same)
		for _, a := range got {
			if with && a.Severity >= .35 && a.Onset > int64(1000*end) { // not the fault itself
				t.Errorf("on a quiet day: %s, severity %.2f, %.3g expected %.3g", a.Kind, a.Severity, a.Observed, a.Expected)
			}
		}
	}
	t.Logf("reports of a fault inside of the level's band: %d without, %d with the season", half[false], half[true])
	if half[true] <= half[false] {
		t.Error("the season sees no more")
	}
}

// A shift is one anomaly, which ends when it has become normal.
func TestALevelShiftIsReportedOnceAndBecomesNormal(t *testing.T) {
	t.Logf("seed %d", storySeed)
	for _, seasons := range []int{0, 10} {
		e := New(Config{Seasons: seasons})
		r := rand.New(rand.NewPCG(storySeed, 4))
		m := &telemetry.Series{ID: 6, Name: "shift", Signal: telemetry.SignalSaturation, Unit: "1"}
		noise := func(float64) float64 { return 100 + 3*r.NormFloat64() }
		wave := same
		change := func(v float64) float64 { return v + 400 }
		if seasons == 0 {
			wave = noise
			change = func(v float64) float64 { return noise(v) + 100 }
		}
		_, end := repeating(e, m, r, 1.75e9, 5, wave)
		onset := end
		got, end := repeating(e, m, r, end, 2, change)
		ids := map[string]ops.Anomaly{}
		for _, a := range got {
			if a.Kind == ops.AnomalyLevel {
				ids[a.ID] = a
			}
		}
		if len(ids) != 1 {
			t.Errorf("seasons %d: one shift was told as %d anomalies", seasons, len(ids))
		}
		for _, a := range ids {
			if a.Ended == 0 || float64(a.Ended)/1000-onset > 7*3600 {
				t.Errorf("seasons %d: not normal after %.1f h", seasons, float64(a.Ended)/3.6e6-onset/3600)
			}
		}
		x, _ := e.Explain(m.ID)
		if seasons > 0 && x.Baseline != "season" {
			t.Errorf("the period is lost: %s", x.Sentence)
		}
		if got, _ = repeating(e, m, r, end, 2, change); len(got) > 0 {
			t.Errorf("seasons %d: %d reports at the new level", seasons, len(got))
		}
	}
}

func TestSeasonsRaiseNoMoreInNormalLife(t *testing.T) {
	all, paging := map[int]int{}, map[int]int{}
	for ki, k := range cleanKinds() {
		if k.name == "nightly job" {
			continue
		}
		for _, seasons := range []int{0, 1} {
			n, high := quietDaysOf(Config{Seasons: seasons}, k, uint64(ki), 4, 12, 2)
			all[seasons], paging[seasons] = all[seasons]+n, paging[seasons]+high
			t.Logf("%-26s seasons %d: %d anomalies, %d paging", k.name, seasons, n, high)
		}
	}
	t.Logf("without seasons %d anomalies, %d paging; with them %d, %d", all[0], paging[0], all[1], paging[1])
	if all[1] > all[0]+4 || paging[1] > paging[0]+2 {
		t.Errorf("without seasons %d anomalies, %d paging; with them %d, %d", all[0], paging[0], all[1], paging[1])
	}
}

func TestASeasonSurvivesARestartAndIsBounded(t *testing.T) {
	m := &telemetry.Series{ID: 5, Name: "job", Signal: telemetry.SignalSaturation, Unit: "1"}
	e := New(Config{Seasons: 1})
	r := rand.New(rand.NewPCG(1, 3))
	_, end := repeating(e, m, r, 1.75e9, 4, same)
	repeating(e, &telemetry.Series{ID: 7, Signal: telemetry.SignalSaturation}, r, 1.75e9, 4, same)
	if n := e.Stats().Seasons; n != 1 {
		t.Fatalf("%d seasons of one allowed", n)
	}
	if n := e.StateBytes() - 2*rowBytes; n > 1<<18 {
		t.Errorf("%d bytes", n)
	}
	var buf bytes.Buffer
	if err := e.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	back := New(Config{Seasons: 1})
	if err := back.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	repeating(e, m, rand.New(rand.NewPCG(9, 9)), end, 1, same)
	repeating(back, m, rand.New(rand.NewPCG(9, 9)), end, 1, same)
	x, _ := e.Explain(m.ID)
	y, _ := back.Explain(m.ID)
	if !reflect.DeepEqual(x, y) || x.Baseline != "season" {
		t.Errorf("\n%+v\n%+v", x, y)
	}
}

// Points that are held back find the same in a series whose expectation moves.
func TestHoldingBackGoesOnWithASeason(t *testing.T) {
	t.Logf("seed %d", storySeed)
	m := &telemetry.Series{ID: 8, Name: "held", Signal: telemetry.SignalSaturation, Unit: "1"}
	one, held := New(Config{Seasons: 1}), New(Config{Seasons: 1, Hold: 60_000})
	a, b := map[string]bool{}, map[string]bool{}
	r := rand.New(rand.NewPCG(storySeed, 5))
	var most uint8
	for i := range 5 * 8640 {
		now := 1.75e9 + 10*float64(i)
		v := 100 + 40*math.Sin(2*math.Pi*now/18000) + 3*r.NormFloat64()
		if i > 4*8640 && i%4000 < 60 {
			v = 220 - v
		}
		p := telemetry.Point{Series: m, T: int64(1000 * now), V: v}
		if x := one.Observe(p); x != nil {
			a[x.ID] = true
		}
		held.ObserveBatch([]telemetry.Point{p}, func(x *ops.Anomaly) { b[x.ID] = true })
		if i > 3*8640 {
			most = max(most, held.find(8).seat().n)
		}
	}
	held.Settle()
	x, _ := one.Explain(8)
	y, _ := held.Explain(8)
	if x.Baseline != "season" || y.Baseline != "season" || math.Abs(x.Expected-y.Expected) > 1 {
		t.Errorf("one by one:\n%s\nheld back:\n%s", x.Sentence, y.Sentence)
	}
	if most == 0 || most == waiting {
		t.Errorf("%d points were held at most", most)
	}
	if len(a) == 0 || !reflect.DeepEqual(a, b) {
		t.Errorf("%d anomalies one by one, %d held back", len(a), len(b))
	}
}
