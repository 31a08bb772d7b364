package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const start = int64(1_700_000_000_000)

// incidents makes n incidents over the days, at random; their repair takes
// repair(x) seconds, x going from 0 to 1 over the time.
func incidents(n int, days int64, rng *rand.Rand, when func() float64, repair func(x float64) float64) []ops.Incident {
	var out []ops.Incident
	for i := range n {
		x := when()
		at := start + int64(x*float64(days*day))
		e := telemetry.Entity{Kind: telemetry.KindDatabase, Name: fmt.Sprintf("db-%d", i%4)}
		opened := at + 60_000
		out = append(out, ops.Incident{ID: fmt.Sprint(i), State: ops.StateResolved, Onset: at, Opened: opened, Resolved: opened + int64(1000*repair(x)),
			Alerts: 5, Impact: .5, Team: "shop", Mark: ops.MarkReal,
			Causes:   []ops.Cause{{Entity: e, Role: ops.RoleRoot, Signal: telemetry.SignalLatency}},
			Timeline: []ops.Event{{Time: opened, Kind: "opened"}, {Time: opened + 30_000, Kind: "acknowledged"}}})
	}
	return out
}

func options(days int64, by string) Options {
	return Options{From: start, To: start + days*day, By: by, Seed: 1}
}

func make1(t *testing.T, list []ops.Incident, o Options) Report {
	t.Helper()
	r, err := Make(list, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func trendOf(r Report, figure string) Trend {
	for _, t := range r.Trends {
		if t.Figure == figure {
			return t
		}
	}
	return Trend{}
}

func TestTheFiguresAreTheHistorys(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	list := incidents(40, 90, rng, rng.Float64, func(float64) float64 { return 1800 })
	for i := range 10 { // ten are noise
		list[i].Mark = ops.MarkNoise
	}
	list = append(list, ops.Incident{ID: "merged", Opened: start + day, MergedInto: "1"}, ops.Incident{ID: "before", Onset: start - 5*day, Opened: start - 5*day})
	r := make1(t, list, options(90, "service"))
	m := r.Whole
	if m.Incidents != 30 || m.Detect.Mean != 60 || m.Acknowledge.Mean != 30 || math.Abs(m.Repair.Mean-1800) > 1e-9 || m.AlertsPerIncident != 5 {
		t.Errorf("%+v", m)
	}
	if want := 30 * 1860 / 3600.0; math.Abs(m.LostHours-want) > 1e-9 || math.Abs(m.ImpactHours-want/2) > 1e-9 {
		t.Errorf("lost %g h, want %g", m.LostHours, want)
	}
	if m.Noise.Value != .25 || m.Noise.Of != 40 || m.Noise.Low > .25 || m.Noise.High < .25 {
		t.Errorf("a quarter is noise: %+v", m.Noise)
	}
	if days := m.Between / 86400; days < 2.9 || days > 3 {
		t.Errorf("30 failures in 90 days: MTBF %.2f days", days)
	}
	if len(r.Groups) != 4 || r.Groups[3].Sum < .9999 || r.Groups[0].Share < r.Groups[3].Share {
		t.Errorf("the Pareto: %+v", r.Groups)
	}
}

// Overlapping incidents are down time once.
func TestOverlapsCountOnceBetweenFailures(t *testing.T) {
	if got := covered([][2]int64{{0, 10}, {5, 8}, {9, 20}, {30, 31}}); got != 21 {
		t.Errorf("covered %d, want 21", got)
	}
}

func TestAnOpenIncidentLosesTimeUntilNow(t *testing.T) {
	list := []ops.Incident{{ID: "1", Onset: start + day - 3600_000, Opened: start + day - 3600_000, State: ops.StateOpen}}
	r := make1(t, list, options(1, "cause"))
	if r.Whole.Open != 1 || r.Whole.Repair.N != 0 || math.Abs(r.Whole.LostHours-1) > 1e-9 || r.Groups[0].Name != "unknown" {
		t.Errorf("%+v", r.Whole)
	}
}

func TestRepeatsAreTheSameCauseWithinAMonth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	list := incidents(5, 1, rng, func() float64 { return 0 }, func(float64) float64 { return 60 })
	for i := range list { // db-0 at day 0, 10 and 60; another cause; noise
		at := start + []int64{0, 10, 60, 1, 2}[i]*day
		list[i].Onset, list[i].Opened, list[i].Resolved = at, at, at+60_000
		list[i].Causes[0].Entity.Name = []string{"a", "a", "a", "b", "a"}[i]
	}
	list[4].Mark = ops.MarkNoise
	r := make1(t, list, options(90, "cause"))
	if r.Whole.Repeats.Of != 4 || r.Whole.Repeats.Value != .25 {
		t.Errorf("only day 10 repeats: %+v", r.Whole.Repeats)
	}
}

func TestFewIncidentsAreTooFewToTell(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	r := make1(t, incidents(5, 90, rng, rng.Float64, func(x float64) float64 { return 10_000 * x }), options(90, "cause"))
	for _, tr := range r.Trends {
		if tr.Verdict != "too few to tell" || tr.P != 1 {
			t.Errorf("%+v", tr)
		}
	}
	if !strings.Contains(r.Sentence, "Too few to tell") {
		t.Error(r.Sentence)
	}
	if none := make1(t, nil, options(90, "cause")); none.Sentence != "No incidents: nothing to tell." {
		t.Error(none.Sentence)
	}
}

// A history that gets worse says so, with the slope that it was made with.
func TestATrueTrendIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	noise := func() float64 { return math.Exp(.5 * rng.NormFloat64()) }
	r := make1(t, incidents(80, 90, rng, rng.Float64, func(x float64) float64 { return (1200 + 3600*x) * noise() }), options(90, "team"))
	mttr := trendOf(r, "mttr")
	if mttr.Verdict != "rises" || mttr.Slope < 600 || mttr.Slope > 2000 || mttr.Low > 1200 || mttr.High < 1200 {
		t.Errorf("made with 1200 s in 30 days: %+v", mttr)
	}
	if v := trendOf(r, "mttd").Verdict; v != "no change shown" {
		t.Errorf("mttd never changed: %s", v)
	}
	late := make1(t, incidents(60, 90, rng, func() float64 { return math.Sqrt(rng.Float64()) }, func(float64) float64 { return 60 * noise() }), options(90, "team"))
	if n := trendOf(late, "incidents"); n.Verdict != "rises" || n.Low > 3 || n.High < 3 {
		t.Errorf("made with three times as many in the second half: %+v", n)
	}
}

// Without any change, at most one report in twenty may claim one.
func TestChanceIsNotATrend(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	wrong := 0
	const reports = 200
	for range reports {
		r := make1(t, incidents(40, 90, rng, rng.Float64, func(float64) float64 { return 1800 * math.Exp(rng.NormFloat64()) }), options(90, "cause"))
		claims := 0
		for _, tr := range r.Trends {
			claims += one(tr.Verdict == "rises" || tr.Verdict == "falls")
		}
		for _, g := range r.Groups {
			for _, tr := range g.Trends {
				claims += one(tr.Verdict == "rises" || tr.Verdict == "falls")
			}
		}
		wrong += one(claims > 0)
	}
	t.Logf("seed 4: %d of %d reports claim a change", wrong, reports)
	if wrong > reports/20+6 {
		t.Errorf("%d of %d quiet histories claim a change", wrong, reports)
	}
}

func TestIntervalsHoldWhatTheySay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	held := 0
	for k := range 200 {
		v := make([]float64, 30)
		for i := range v {
			v[i] = rng.ExpFloat64()
		}
		s := statOf(v, uint64(k))
		held += one(s.Low <= 1 && 1 <= s.High)
	}
	if held < 160 {
		t.Errorf("the 90 %% interval held the true mean in %d of 200", held)
	}
}

func TestKnownTestStatistics(t *testing.T) {
	if p := mannKendall([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}); p > 1e-3 {
		t.Errorf("a straight line has p %g", p)
	}
	if p := mannKendall([]float64{3, 3, 3, 3}); p != 1 {
		t.Errorf("constants have p %g", p)
	}
	ratio, low, high, p := rateRatio(5, 15) // binom.test(15, 20): p = 0.04139
	if ratio != 3 || math.Abs(p-.04139) > 1e-4 || low > 1.3 || low < 1.1 || high < 6 || high > 10 {
		t.Errorf("5 to 15: %g (%g to %g), p %g", ratio, low, high, p)
	}
	if h := holm([]float64{.01, .04, .03}); math.Abs(h[0]-.03) > 1e-12 || math.Abs(h[1]-.06) > 1e-12 || math.Abs(h[2]-.06) > 1e-12 {
		t.Errorf("Holm: %v", h)
	}
}

func TestEffortGoesWhereTimeIsLost(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	list := incidents(40, 30, rng, rng.Float64, func(float64) float64 { return 60 })
	for i := range list {
		if i%4 == 2 {
			list[i].Onset -= 7200_000 // db-2 is noticed two hours late
		}
	}
	r := make1(t, list, options(30, "service"))
	e := r.Effort[0]
	if e.Cause != "database/db-2 latency" || e.Phase != "detect" || e.Low > e.Hours || e.High < e.Hours || e.Low <= 0 {
		t.Errorf("%+v", e)
	}
}

func TestWhatCannotBeReported(t *testing.T) {
	for _, o := range []Options{{From: start, To: start}, {From: start, To: start + day, By: "colour"}, {From: 0, To: start * 9}} {
		if _, err := Make(nil, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// The page is well-formed, holds no way to anywhere else, and lets no name in
// an incident become markup.
func TestThePageStandsAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	list := incidents(20, 90, rng, rng.Float64, func(float64) float64 { return 600 })
	list[0].Causes[0].Entity.Name = `<script>alert("x")</script>`
	r := make1(t, list, options(90, "service"))
	var b bytes.Buffer
	if err := HTML(&b, &r); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "http://", "https://", "src=", "NaN", "ZgotmplZ"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	d := xml.NewDecoder(&b)
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	rects := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, is := tok.(xml.StartElement); is && e.Name.Local == "rect" {
			rects++
		}
	}
	if want := len(r.Groups) + len(r.Weeks); rects != want {
		t.Errorf("%d bars, want %d", rects, want)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}
