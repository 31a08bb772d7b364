package forecast

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// daily is a day's wave with noise, hourly.
func daily(n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	y := make([]float64, n)
	for t := range y {
		y[t] = 100 + 30*math.Sin(2*math.Pi*float64(t)/24) + 3*r.NormFloat64()
	}
	return y
}

func mustMake(t *testing.T, in Input) Forecast {
	t.Helper()
	f, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Mean) != in.Horizon || len(f.Bands) != 2 || len(f.Bands[0].Low) != in.Horizon {
		t.Fatalf("lengths: %d steps, %d bands", len(f.Mean), len(f.Bands))
	}
	for k := range f.Mean {
		a, b := f.Bands[0], f.Bands[1]
		ok := b.Low[k] <= a.Low[k] && a.Low[k] <= f.Mean[k] && f.Mean[k] <= a.High[k] && a.High[k] <= b.High[k]
		if !ok || math.IsInf(b.High[k], 0) || math.IsInf(b.Low[k], 0) {
			t.Fatalf("step %d: %v in [%v %v] in [%v %v]", k, f.Mean[k], a.Low[k], a.High[k], b.Low[k], b.High[k])
		}
	}
	return f
}

func mae(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += math.Abs(a[i]-b[i]) / float64(len(a))
	}
	return s
}

func TestADaysWaveGoesOn(t *testing.T) {
	y := daily(24*21+48, 1)
	past, future := y[:24*21], y[24*21:]
	f := mustMake(t, Input{Values: past, Step: hour, Horizon: 48})
	if e := mae(f.Mean, future); e > 3.2 { // the noise alone makes 2.4
		t.Errorf("mean error %.2f", e)
	}
	in := 0
	for k, v := range future {
		if v >= f.Bands[0].Low[k] && v <= f.Bands[0].High[k] {
			in++
		}
	}
	if in < 30 || in > 47 {
		t.Errorf("%d of 48 values are in the 80 %% band", in)
	}
	if !slices.Contains(f.Seasons, 24) || f.Candidates[0].Weight <= 0 || f.Reason == "" {
		t.Errorf("seasons %v, first candidate %+v, reason %q", f.Seasons, f.Candidates[0], f.Reason)
	}
}

func TestAPeriodThatNobodyNamedIsFound(t *testing.T) {
	y := make([]float64, 17*30+17)
	r := rand.New(rand.NewPCG(3, 1))
	for i := range y {
		y[i] = 50 + 20*math.Abs(math.Sin(math.Pi*float64(i)/17)) + r.NormFloat64()
	}
	f := mustMake(t, Input{Values: y[:17*30], Horizon: 17})
	if !slices.Contains(f.Seasons, 17) {
		t.Errorf("seasons %v", f.Seasons)
	}
	if e := mae(f.Mean, y[17*30:]); e > 1.6 {
		t.Errorf("mean error %.2f", e)
	}
}

func TestNoiseHasNoPeriod(t *testing.T) {
	found := 0
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 9))
		y := make([]float64, 400)
		level := 0.0
		for i := range y {
			level += r.NormFloat64() * float64(seed%2)
			y[i] = level + 3*r.NormFloat64()
		}
		if repeats(y) > 0 {
			found++
		}
	}
	if found > 2 {
		t.Errorf("%d of 50 series of noise show a period", found)
	}
}

func TestAccidentsOfThePastDoNotBendTheForecast(t *testing.T) {
	clean := daily(24*21, 4)
	want := mustMake(t, Input{Values: clean, Step: hour, Horizon: 24}).Mean
	t.Run("wrong values", func(t *testing.T) {
		y := slices.Clone(clean)
		for _, i := range []int{100, 250, 480} {
			y[i] = 5000
		}
		f := mustMake(t, Input{Values: y, Step: hour, Horizon: 24})
		if f.Outliers != 3 || mae(f.Mean, want) > 2 {
			t.Errorf("%d repaired, %.2f off", f.Outliers, mae(f.Mean, want))
		}
	})
	t.Run("gaps", func(t *testing.T) {
		y := slices.Clone(clean)
		for i := 200; i < 206; i++ {
			y[i] = math.NaN()
		}
		y[len(y)-1] = math.Inf(1)
		f := mustMake(t, Input{Values: y, Step: hour, Horizon: 24})
		if f.Filled != 7 || mae(f.Mean, want) > 3 {
			t.Errorf("%d filled, %.2f off", f.Filled, mae(f.Mean, want))
		}
	})
	t.Run("a level shift", func(t *testing.T) {
		y := slices.Clone(clean)
		for i := 300; i < len(y); i++ {
			y[i] += 200
		}
		f := mustMake(t, Input{Values: y, Step: hour, Horizon: 24})
		for k := range want {
			want[k] += 200
		}
		if len(f.Shifts) == 0 || mae(f.Mean, want) > 5 {
			t.Errorf("shifts %+v, %.2f off", f.Shifts, mae(f.Mean, want))
		}
	})
}

func TestAQuantityStaysInsideItsBounds(t *testing.T) {
	y := make([]float64, 100)
	for i := range y {
		y[i] = min(1, float64(i)/95)
	}
	low, high := 0.0, 1.0
	f := mustMake(t, Input{Values: y, Horizon: 200, Low: &low, High: &high})
	if maxOf(f.Bands[1].High) > 1 || minOf(f.Bands[1].Low) < 0 {
		t.Error("a share left 0 to 1")
	}
	falling := make([]float64, 60)
	for i := range falling {
		falling[i] = float64(100 - i)
	}
	if f := mustMake(t, Input{Values: falling, Horizon: 300}); minOf(f.Bands[1].Low) < 0 {
		t.Error("what never was negative became so")
	}
}

func TestNothingBreaksTheForecaster(t *testing.T) {
	nan := math.NaN()
	for name, y := range map[string][]float64{
		"constant": slices.Repeat([]float64{7}, 50), "zeros": make([]float64, 40), "three": {1, 2, 3}, "huge": {1e308, -1e308, 1e308, 1e308, -1e308, 1e308, 1e308},
		"tiny": {5e-324, 0, 5e-324, 0, 5e-324}, "gaps at both ends": {nan, nan, 1, 2, 3, 4, 5, nan}, "one spike": append(make([]float64, 99), 1e9), "two values": slices.Repeat([]float64{0, 1}, 100),
	} {
		for _, h := range []int{1, 2, 7, 100, 1000} {
			for _, step := range []int64{0, 1, hour, day, week, 30 * day, 365 * day} {
				f := mustMake(t, Input{Values: y, Step: step, Horizon: h})
				if !finite(f.Mean) {
					t.Errorf("%s, %d steps: %v", name, h, f.Mean[:1])
				}
			}
		}
	}
	for _, y := range [][]float64{nil, {}, {1}, {1, nan, nan, 2}} {
		if _, err := Make(Input{Values: y, Horizon: 3}); !errors.Is(err, ErrTooShort) {
			t.Errorf("%v: %v", y, err)
		}
	}
	for _, h := range []int{0, -1, maxHorizon + 1} {
		if _, err := Make(Input{Values: daily(50, 1), Horizon: h}); err == nil {
			t.Errorf("horizon %d was accepted", h)
		}
	}
}

func TestTheSameInputGivesTheSameForecastAndUnitsDoNotMatter(t *testing.T) {
	y := daily(24*14, 5)
	a, b := mustMake(t, Input{Values: y, Step: hour, Horizon: 24}), mustMake(t, Input{Values: y, Step: hour, Horizon: 24})
	big := make([]float64, len(y))
	for i, v := range y {
		big[i] = v * 1e9
	}
	c := mustMake(t, Input{Values: big, Step: hour, Horizon: 24})
	for k := range a.Mean {
		if a.Mean[k] != b.Mean[k] {
			t.Fatal("not deterministic")
		}
		if math.Abs(c.Mean[k]/1e9-a.Mean[k]) > 1e-6*math.Abs(a.Mean[k]) {
			t.Fatalf("in other units: %v and %v", a.Mean[k], c.Mean[k]/1e9)
		}
	}
	if y[0] != daily(24*14, 5)[0] {
		t.Error("the input was changed")
	}
}

func FuzzMake(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 5, int64(3_600_000))
	f.Add([]byte{0, 0, 255, 255, 0, 7}, 100, int64(0))
	f.Fuzz(func(t *testing.T, raw []byte, h int, step int64) {
		y := make([]float64, len(raw))
		for i, b := range raw {
			y[i] = math.Pow(-1, float64(b)) * math.Pow(10, float64(b)-128)
			if b == 255 {
				y[i] = math.NaN()
			}
		}
		if h > 300 || h < 1 {
			h = 10
		}
		got, err := Make(Input{Values: y, Step: step, Horizon: h})
		if err == nil && (!finite(got.Mean) || len(got.Mean) != h) {
			t.Errorf("%v", got.Mean)
		}
	})
}
