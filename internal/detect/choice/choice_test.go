package choice

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// fresh makes a chooser with the shipped rules.
func fresh() *Chooser { return New(nil) }

// feed reads values that come a minute apart, without baseline and novelty.
func feed(c *Chooser, vs []float64) []Verdict {
	var out []Verdict
	for _, v := range vs {
		x, ok := c.Step(c.t+60_000, v, 0, 0)
		if !ok {
			panic("refused")
		}
		out = append(out, x)
	}
	return out
}

func noise(seed uint64, n int, f func(r *rand.Rand, i int) float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = f(r, i)
	}
	return out
}

func gaussian(seed uint64, n int) []float64 {
	return noise(seed, n, func(r *rand.Rand, _ int) float64 { return r.NormFloat64() })
}

func TestFiniteInFiniteOut(t *testing.T) {
	const seed = 21
	t.Logf("seed %d", seed)
	wild := []float64{0, 1, -1, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -1e-320, 1e300, 1e-300, 1e30, 5e-38}
	r := rand.New(rand.NewPCG(seed, seed))
	c := fresh()
	at := int64(math.MinInt64 / 4)
	for i := range 60_000 {
		v := wild[r.IntN(len(wild))]
		switch i / 2000 % 4 {
		case 1:
			v = r.NormFloat64() * math.Pow(10, float64(r.IntN(80)-40))
		case 2:
			v = float64(r.IntN(2))
		case 3:
			v = math.Exp(r.NormFloat64() * 20)
		}
		at += 1 + int64(r.ExpFloat64()*[]float64{1, 6e4, 1e12}[r.IntN(3)])
		out, ok := c.Step(at, v, math.Abs(wild[r.IntN(len(wild))])*r.Float64(), float32(r.IntN(3))*r.Float32())
		if !ok {
			t.Fatalf("point %d (%v) was refused", i, v)
		}
		for _, x := range append(out.Evidence[:], out.Score) {
			if !finite(float64(x)) || x < 0 {
				t.Fatalf("point %d (%v): %+v", i, v, out)
			}
		}
		if p := c.Profile(); !finite(float64(p.Tail)) || p.Even < 0 || p.Even > 1 || p.Smooth < 0 || p.Smooth > 1 || !finite(float64(p.Novel)) {
			t.Fatalf("point %d (%v): profile %+v", i, v, p)
		}
	}
	if !c.sound() {
		t.Errorf("unsound state %+v", c)
	}
}

func TestWhatIsNotFiniteIsRefusedAndTeachesNothing(t *testing.T) {
	c := fresh()
	feed(c, gaussian(1, 500))
	before := c.Append(nil)
	nan, inf := math.NaN(), math.Inf(1)
	for _, x := range []struct {
		at         int64
		v, lasting float64
		novelty    float32
	}{
		{c.t + 1, nan, 0, 0}, {c.t + 1, inf, 0, 0}, {c.t + 1, -inf, 0, 0}, {c.t + 1, 1, nan, 0}, {c.t + 1, 1, inf, 0},
		{c.t + 1, 1, -1, 0}, {c.t + 1, 1, 0, float32(nan)}, {c.t + 1, 1, 0, -1}, {c.t, 1, 0, 0}, {c.t - 1, 1, 0, 0},
	} {
		if _, ok := c.Step(x.at, x.v, x.lasting, x.novelty); ok {
			t.Errorf("%+v was taken", x)
		}
	}
	if !bytes.Equal(before, c.Append(nil)) {
		t.Error("a refused point changed the state")
	}
}

func TestAConstantSeriesIsSilentForever(t *testing.T) {
	for _, v := range []float64{0, 1, -3.7, 1e30, 1e-30, 1e12 + .1} {
		c := fresh()
		for i := range int64(20_000) {
			out, ok := c.Step(i, v, 0, 0)
			if !ok || out.Score != 0 || out.Evidence != [Members]float32{} {
				t.Fatalf("constant %v, point %d: %+v", v, i, out)
			}
		}
	}
}

// The same points give the same verdicts, whole or in parts, and what is said
// of a point does not depend on later ones.
func TestCausalAndDeterministicAcrossASnapshot(t *testing.T) {
	vs := noise(5, 4000, func(r *rand.Rand, i int) float64 {
		return math.Exp(r.NormFloat64()) + 10*math.Sin(float64(i)/50)
	})
	whole := fresh()
	part := fresh()
	want := feed(whole, vs)
	got := feed(part, vs[:1500])
	resumed := fresh()
	if err := resumed.Read(part.Append([]byte("x"))[1:]); err != nil {
		t.Fatal(err)
	}
	got = append(got, feed(resumed, vs[1500:])...)
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("point %d: %+v in one go, %+v in two", i, want[i], got[i])
		}
	}
}

func TestForeignBytesAreRefused(t *testing.T) {
	const seed = 8
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	c := fresh()
	feed(c, gaussian(2, 3000))
	good := c.Append(nil)
	for _, b := range [][]byte{nil, {}, good[:len(good)-1], append(bytes.Clone(good), 0), bytes.Repeat([]byte{255}, len(good))} {
		if err := c.Read(b); err == nil {
			t.Errorf("%d foreign bytes were read", len(b))
		}
	}
	for range 2000 { // damaged ones are refused, or at least do no harm
		b := bytes.Clone(good)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		d := fresh()
		if d.Read(b) != nil {
			continue
		}
		for i := range int64(300) {
			if out, ok := d.Step(d.t+1+i, r.NormFloat64(), 0, 0); ok && !finite(float64(out.Score)) {
				t.Fatalf("%+v", out)
			}
			if d.t > math.MaxInt64-1000 {
				break
			}
		}
	}
}

// Units do not matter: powers of two are exact.
func TestScaleDoesNotMatter(t *testing.T) {
	vs := noise(6, 5000, func(r *rand.Rand, i int) float64 {
		v := r.NormFloat64() + 3*math.Sin(float64(i)/30)
		if r.IntN(400) == 0 {
			v += 9
		}
		return v
	})
	for _, k := range []float64{1 << 20, 1. / (1 << 20), -1} {
		a := fresh()
		b := fresh()
		for i, v := range vs {
			x, _ := a.Step(int64(i)*60_000, v, 0, .1)
			y, _ := b.Step(int64(i)*60_000, v*k, 0, .1)
			if math.Abs(float64(x.Score-y.Score)) > 1e-2*float64(1+x.Score) {
				t.Fatalf("point %d: %+v, times %v: %+v", i, x, k, y)
			}
		}
	}
}

// Nor does the zero of the scale, as long as the numbers are exact.
func TestShiftDoesNotMatter(t *testing.T) {
	vs := noise(7, 5000, func(r *rand.Rand, _ int) float64 { return math.Round(64 * r.NormFloat64()) })
	a := fresh()
	b := fresh()
	for i, v := range vs {
		x, _ := a.Step(int64(i)*60_000, v, 0, 0)
		y, _ := b.Step(int64(i)*60_000, v+4096, 0, 0)
		if math.Abs(float64(x.Score-y.Score)) > 1e-2*float64(1+x.Score) {
			t.Fatalf("point %d: %+v and, moved, %+v", i, x, y)
		}
	}
}

func TestStateIsBoundedOverMillionsOfPoints(t *testing.T) {
	if size := unsafe.Sizeof(Chooser{}); size > 512 {
		t.Errorf("a chooser takes %d bytes", size)
	}
	r := rand.New(rand.NewPCG(3, 3))
	c := fresh()
	n := 10_000_000
	if testing.Short() {
		n = 1_000_000
	}
	loud := 0
	allocs := testing.AllocsPerRun(1, func() {
		for range n / 2 {
			out, _ := c.Step(c.t+10_000, r.NormFloat64(), math.Abs(r.NormFloat64()), 0)
			if out.Score >= 1 {
				loud++
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if !c.sound() || c.Profile().Even < .9 {
		t.Errorf("after %d points: %+v", n, c.Profile())
	}
	if per := float64(loud) / float64(n) * 10_000; per > 2 {
		t.Errorf("%.2f alarms in 10,000 points of even noise", per)
	}
	if len(c.Append(nil)) != stateBytes {
		t.Errorf("a state of %d bytes, want %d", len(c.Append(nil)), stateBytes)
	}
}

// The choice: the same single outlier is an alarm where noise is even or the
// series smooth, and none where such outliers are the habit.
func TestTheSameOutlierCountsWhereItIsForeign(t *testing.T) {
	for name, c := range map[string]struct {
		life  func(r *rand.Rand, i int) float64
		out   float64 // added to the last value
		alarm bool
	}{
		"even noise, ten sigma":             {func(r *rand.Rand, _ int) float64 { return r.NormFloat64() }, 10, true},
		"even noise, four sigma":            {func(r *rand.Rand, _ int) float64 { return r.NormFloat64() }, 3, false},
		"smooth wave":                       {func(r *rand.Rand, i int) float64 { return 10*math.Sin(float64(i)/100) + .01*r.NormFloat64() }, 3, true},
		"bursts, of their usual size":       {burst, 10, false},
		"bursts, ten times the largest":     {burst, 1000, true},
		"a flat line that moves":            {func(*rand.Rand, int) float64 { return 5 }, 1, true},
		"steps between two levels, as ever": {func(_ *rand.Rand, i int) float64 { return float64(i / 50 % 2) }, 1, false},
	} {
		vs := noise(9, 4001, c.life)
		vs[4000] = vs[3999] + c.out
		ch := fresh()
		got := feed(ch, vs)[4000]
		if (got.Score >= 1) != c.alarm {
			t.Errorf("%s: %+v, profile %+v", name, got, ch.Profile())
		}
	}
}

// burst is mostly quiet, with a spike of 5 to 50 in every twentieth point.
func burst(r *rand.Rand, _ int) float64 {
	if r.IntN(20) == 0 {
		return 5 + 45*r.Float64()
	}
	return r.Float64()
}

// An earlier giant does not hide what comes weeks later, and not for ever what
// comes soon.
func TestAGiantIsForgotten(t *testing.T) {
	vs := gaussian(10, 30_000)
	vs[4000] = 1e6
	vs[29_000] = 12
	c := fresh()
	got := feed(c, vs)
	if got[4000].Score < 1 {
		t.Errorf("the giant: %+v", got[4000])
	}
	if got[29_000].Score < 1 {
		t.Errorf("twelve sigma, seventeen days later: %+v", got[29_000])
	}
}

// When behaviour changes, the choice follows without a restart.
func TestTheChoiceFollowsTheSeries(t *testing.T) {
	c := fresh()
	feed(c, gaussian(11, 4000))
	if p := c.Profile(); p.Even < .9 || !strings.Contains(c.Sentence(), "even") {
		t.Errorf("even noise: %+v, %s", p, c.Sentence())
	}
	even := c.Weights().Size
	feed(c, noise(12, 12_000, burst))
	if p := c.Profile(); p.Even > .1 || c.Weights().Size >= even {
		t.Errorf("bursts: %+v", p)
	}
	if !strings.Contains(c.Sentence(), "bursts") {
		t.Errorf("%s", c.Sentence())
	}
	feed(c, gaussian(13, 12_000))
	if p := c.Profile(); p.Even < .5 {
		t.Errorf("even noise again: %+v", p)
	}
}

func TestSentences(t *testing.T) {
	for want, life := range map[string]func(r *rand.Rand, i int) float64{
		"even":     func(r *rand.Rand, _ int) float64 { return r.NormFloat64() },
		"smoothly": func(r *rand.Rand, i int) float64 { return math.Sin(float64(i)/300) + .001*math.Exp(2*r.NormFloat64()) },
		"repeats":  func(_ *rand.Rand, i int) float64 { return float64(i / 40 % 3) },
		"bursts":   burst,
	} {
		c := fresh()
		if !strings.Contains(c.Sentence(), "waits") {
			t.Errorf("of nothing: %s", c.Sentence())
		}
		feed(c, noise(14, 5000, life))
		if s := c.Sentence(); !strings.Contains(s, want) || !strings.HasSuffix(s, ".") {
			t.Errorf("%s: %s (%+v)", want, s, c.Profile())
		}
	}
}

func TestTheMedianOfFive(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 1))
	for range 20_000 {
		c := Chooser{n: uint32(1 + r.IntN(9))}
		k := min(int(c.n), 5)
		var s []float64
		for i := range k {
			c.ring[i] = float64(r.IntN(6))
			s = append(s, c.ring[i])
		}
		below, above := 0, 0
		m := c.median()
		for _, x := range s {
			if x < m {
				below++
			}
			if x > m {
				above++
			}
		}
		if 2*below > k || 2*above > k {
			t.Fatalf("the median of %v is not %v", s, m)
		}
	}
}

// The histogram's quantiles are those of the sample, to the width of a bin.
func TestTheTailIsTheSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 1))
	for name, c := range map[string]struct {
		draw   func() float64
		lo, hi float32
	}{
		"gaussian":      {func() float64 { return math.Abs(r.NormFloat64()) }, .38, .52},
		"exponential":   {func() float64 { return r.ExpFloat64() }, .62, .77},
		"pareto":        {func() float64 { return math.Pow(r.Float64(), -1) }, 1.8, 2.8},
		"tiny numbers":  {func() float64 { return 1e-30 * math.Abs(r.NormFloat64()) }, .38, .52},
		"large numbers": {func() float64 { return 1e30 * math.Abs(r.NormFloat64()) }, .38, .52},
	} {
		var h tail
		for range 20_000 {
			h.see(float32(c.draw()), 0, 0, .001)
		}
		if x := h.index(); x < c.lo || x > c.hi {
			t.Errorf("%s: index %v, want %v to %v", name, x, c.lo, c.hi)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	vs := gaussian(17, 1<<14)
	c := fresh()
	b.ReportAllocs()
	for i := range b.N {
		c.Step(int64(i)*60_000, vs[i&(1<<14-1)], 0, 0)
	}
}
