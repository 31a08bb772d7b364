package forecast

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// grown is days of hourly values: a line, a day, a week, noise.
func grown(days int, start, perDay, daily, weekly, noise float64, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, 24*days)
	for i := range out {
		d := float64(i) / 24
		out[i] = start + perDay*d + daily*math.Sin(2*math.Pi*d) + weekly*math.Sin(2*math.Pi*d/7) + noise*r.NormFloat64()
	}
	return out
}

func days(t *testing.T, ms *int64) float64 {
	t.Helper()
	if ms == nil {
		t.Fatal("no date")
	}
	return float64(*ms) / float64(day)
}

func TestADiskThatGrowsIsFullOnTheDayThatItsGrowthSays(t *testing.T) {
	for seed := range uint64(5) {
		e, err := Exhaust(Supply{Values: grown(60, 100, 2, 0, 0, 1, seed), Step: hour, Limit: 280, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if p50 := days(t, e.P50); math.Abs(p50-29) > 4 {
			t.Errorf("seed %d: full in %.1f days, 29 are true", seed, p50)
		}
		if math.Abs(e.Growth-2) > .2 {
			t.Errorf("seed %d: grows by %.2f a day, 2 are true", seed, e.Growth)
		}
		if !(*e.P10 < *e.P50 && *e.P50 < *e.P90) {
			t.Errorf("seed %d: %d %d %d", seed, *e.P10, *e.P50, *e.P90)
		}
		if p := e.Probability(*e.P50); math.Abs(p-.5) > .02 {
			t.Errorf("seed %d: %.2f of the paths by the median", seed, p)
		}
	}
}

func TestFreeSpaceIsTheSameStoryTheOtherWay(t *testing.T) {
	up := grown(60, 100, 2, 5, 3, 1, 7)
	down := make([]float64, len(up))
	for i, v := range up {
		down[i] = 280 - v
	}
	a, err := Exhaust(Supply{Values: up, Step: hour, Limit: 280, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Exhaust(Supply{Values: down, Step: hour, Limit: 0, Falling: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(days(t, a.P50)-days(t, b.P50)) > 1 || math.Abs(a.Growth+b.Growth) > 1e-6 {
		t.Errorf("used: %.2f days, %.3f a day; free: %.2f days, %.3f a day", days(t, a.P50), a.Growth, days(t, b.P50), b.Growth)
	}
}

func TestThePeakOfTheDayCountsNotItsMean(t *testing.T) {
	// The mean reaches 280 after 90 days, the daily peaks after 65.
	e, err := Exhaust(Supply{Values: grown(60, 100, 2, 50, 0, 1, 3), Step: hour, Limit: 280, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if p50 := days(t, e.P50); p50 < 1 || p50 > 8 {
		t.Errorf("the peaks arrive in %.1f days, 4 or so are true", p50)
	}
}

func TestAStepUpIsTheNewLevelAndNoGrowth(t *testing.T) {
	v := grown(60, 100, 0, 3, 0, 1, 5)
	for i := range v[30*24:] {
		v[30*24+i] += 60
	}
	e, err := Exhaust(Supply{Values: v, Step: hour, Limit: 250, Ahead: 30 * day, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if e.P50 != nil {
		t.Errorf("full in %.1f days: the step was taken for growth (%s)", days(t, e.P50), e.Reason)
	}
}

func TestWhatDoesNotMoveNeverArrives(t *testing.T) {
	e, err := Exhaust(Supply{Values: grown(30, 40, 0, 0, 0, 0, 1), Step: hour, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if e.P10 != nil || e.Within != 0 || e.Growth != 0 {
		t.Errorf("%+v", e)
	}
}

func TestWhatIsFullIsSaidToBeFull(t *testing.T) {
	e, err := Exhaust(Supply{Values: grown(30, 100, 0, 0, 0, 1, 1), Step: hour, Limit: 90})
	if err != nil || !e.Reached || *e.P50 != 0 || e.Probability(0) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestACertificateThatCountsDownEndsOnItsDay(t *testing.T) {
	v := make([]float64, 40*24)
	for i := range v {
		v[i] = 90*86400 - float64(i)*3600
	}
	e, err := Exhaust(Supply{Values: v, Step: hour, Limit: 0, Falling: true})
	if err != nil {
		t.Fatal(err)
	}
	if p := days(t, e.P50); math.Abs(p-50) > 5 {
		t.Errorf("ends in %.1f days, 50 are true", p)
	}
}

func TestBadSuppliesAreRefusedOrCarried(t *testing.T) {
	nan := math.NaN()
	if _, err := Exhaust(Supply{Values: []float64{1, 2, 3}, Step: hour, Limit: 5}); !errors.Is(err, ErrTooShort) {
		t.Errorf("three values: %v", err)
	}
	if _, err := Exhaust(Supply{Values: grown(30, 1, 1, 0, 0, 0, 1), Limit: 5}); err == nil {
		t.Error("no step")
	}
	if _, err := Exhaust(Supply{Values: grown(30, 1, 1, 0, 0, 0, 1), Step: hour, Limit: nan}); err == nil {
		t.Error("no limit")
	}
	hard := grown(30, 1e300, 1e299, 0, 0, 0, 1)
	for i := range hard {
		if i%3 == 0 {
			hard[i] = nan
		}
	}
	hard[7], hard[50] = math.Inf(1), math.Inf(-1)
	e, err := Exhaust(Supply{Values: hard, Step: hour, Limit: 1e301})
	if err != nil || math.IsNaN(e.Growth) || math.IsInf(e.Growth, 0) {
		t.Errorf("%+v %v", e, err)
	}
	same := grown(40, 10, 1, 2, 1, 1, 9)
	a, _ := Exhaust(Supply{Values: same, Step: hour, Limit: 80, Seed: 4})
	b, _ := Exhaust(Supply{Values: same, Step: hour, Limit: 80, Seed: 4})
	if *a.P50 != *b.P50 || *a.P90 != *b.P90 {
		t.Error("one seed, two answers")
	}
}

func TestThePartThatGrowsIsNamedFirst(t *testing.T) {
	got := Drivers([]Part{
		{"logs", grown(40, 10, 3, 1, 0, 1, 1)},
		{"cache", grown(40, 50, 0, 5, 0, .1, 2)},
		{"uploads", grown(40, 10, 1, 1, 0, 1, 3)},
		{"shrinks", grown(40, 90, -2, 0, 0, .1, 4)},
		{"new", []float64{1, 2}},
	}, hour, false)
	if len(got) < 2 || got[0].Name != "logs" || math.Abs(got[0].Share-.75) > .05 || got[1].Name != "uploads" {
		t.Errorf("%+v", got)
	}
}
