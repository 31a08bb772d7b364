package fdr

import (
	"math"
	"math/rand/v2"
	"testing"
)

const seed = 20170600

func source(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }

func control(t *testing.T, c Config) *Control {
	t.Helper()
	out, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// real draws the p-value of a real finding: most are tiny, some are not.
func real(r *rand.Rand) float64 { return math.Pow(r.Float64(), 12) }

// Without memory the control is LORD++: over many streams the mean share of
// false reports stays at or below the rate, for nothing but chance and for
// mixtures, and it does find most of what is real.
func TestLORDHoldsTheRate(t *testing.T) {
	t.Logf("seed %d", seed)
	const runs, length, rate = 400, 500, .1
	for i, share := range []float64{0, .02, .1, .5} {
		r := source(uint64(i))
		var fdp, power float64
		for range runs {
			c := control(t, Config{Allowance: rate / 2, Rate: rate, Share: .02})
			var wrong, right, all float64
			for at := range length {
				is, p := r.Float64() < share, r.Float64()
				if is {
					p = real(r)
					all++
				}
				if p > c.Test(float64(at+1)) {
					continue
				}
				c.Report(float64(at + 1))
				if is {
					right++
				} else {
					wrong++
				}
			}
			fdp += wrong / max(1, wrong+right) / runs
			power += right / max(1, all) / runs
		}
		limit := rate + 3*math.Sqrt(rate*(1-rate)/runs)
		if fdp > limit {
			t.Errorf("%g real: false discovery rate %.3f, above %.3f", share, fdp, limit)
		}
		if share == .5 && power < .5 {
			t.Errorf("%g real: only %.2f of them found", share, power)
		}
	}
}

// geometric is LORD++ written as in the paper, with the sum over all earlier
// reports: the control must give the same levels from its three numbers.
func TestLevelsAreThoseOfThePaper(t *testing.T) {
	const w0, alpha, share = .03, .1, .05
	r := source(7)
	c := control(t, Config{Allowance: w0, Rate: alpha, Share: share})
	gamma := func(j int) float64 { return share * math.Pow(1-share, float64(j-1)) }
	var reports []int
	for at := 1; at <= 600; at++ {
		want := w0 * gamma(at)
		for i, tau := range reports {
			if i == 0 {
				want += (alpha - w0) * gamma(at-tau)
			} else {
				want += alpha * gamma(at-tau)
			}
		}
		got := c.Test(float64(at))
		if math.Abs(got-want) > 1e-12 {
			t.Fatalf("test %d after %d reports: level %g, want %g", at, len(reports), got, want)
		}
		if p := r.Float64(); p <= got || r.Float64() < .05 {
			c.Report(float64(at))
			reports = append(reports, at)
		}
	}
	if len(reports) < 10 {
		t.Fatalf("only %d reports: nothing was compared", len(reports))
	}
}

// With memory an endless stream of chance gives at most the allowance per
// memory, whether it asks seldom or all the time; and the control does not
// die: as many are let through in the last tenth as in the first.
func TestAllowancePerWeekHoldsForEver(t *testing.T) {
	t.Logf("seed %d", seed)
	const allowance, weeks = 3.0, 600
	for i, perWeek := range []float64{1, 10, 300, 3000} {
		r := source(uint64(100 + i))
		c := control(t, Config{Allowance: allowance, Rate: .1, Share: .1, Memory: 1, Most: .5})
		early, late, all := 0.0, 0.0, 0.0
		for now := 1.0; now < 1+weeks; now += r.ExpFloat64() / perWeek {
			if r.Float64() > c.Test(now) {
				continue
			}
			c.Report(now)
			all++
			if now < 1+weeks/10 {
				early++
			} else if now > 1+.9*weeks {
				late++
			}
		}
		limit := allowance + 4*math.Sqrt(allowance/weeks)
		if got := all / weeks; got > limit {
			t.Errorf("%g tests a week: %.2f false reports a week, above %.2f", perWeek, got, limit)
		}
		if late < early/3 {
			t.Errorf("%g tests a week: %g reports in the first tenth, %g in the last", perWeek, early, late)
		}
	}
}

// What is real earns: the more was reported, the higher all later levels.
func TestLevelsRiseWithEveryReport(t *testing.T) {
	r := source(9)
	for range 300 {
		a := control(t, Config{Allowance: .5 + r.Float64()*5, Rate: r.Float64(), Share: .01 + .9*r.Float64()})
		b := *a
		now := 1.0
		for range 200 {
			now += r.ExpFloat64()
			la, lb := a.Test(now), b.Test(now)
			if lb < la-1e-12 || la < 0 || lb > 1 {
				t.Fatalf("with more reports the level fell from %g to %g", la, lb)
			}
			if r.Float64() < .3 {
				b.Report(now)
				if r.Float64() < .5 {
					a.Report(now)
				}
			}
		}
	}
}

// Over an endless mixture false reports within memory stay at the allowance
// while reports are few, and at the rate of all reports when they are many;
// what was spent never runs away from what was allowed.
func TestMixturesStayWithinAllowanceOrRate(t *testing.T) {
	t.Logf("seed %d", seed)
	const allowance, rate, weeks = 3.0, .1, 400
	for i, reals := range []float64{2, 40, 400} { // a week
		r := source(uint64(200 + i))
		c := control(t, Config{Allowance: allowance, Rate: rate, Share: .1, Memory: 1, Most: .5})
		wrong, right := 0.0, 0.0
		perWeek := reals + 50
		for now := 1.0; now < 1+weeks; now += r.ExpFloat64() / perWeek {
			is, p := r.Float64() < reals/perWeek, r.Float64()
			if is {
				p = real(r)
			}
			level := c.Test(now)
			if p <= level {
				c.Report(now)
				if is {
					right++
				} else {
					wrong++
				}
			}
			if s := c.State(now); s.Spent > max(allowance, rate*s.Reports)*1.5 {
				t.Fatalf("%g real: %g spent for %g reports", reals, s.Spent, s.Reports)
			}
		}
		if limit := max(allowance, rate*(right+wrong)/weeks) * 1.1; wrong/weeks > limit {
			t.Errorf("%g real a week: %.2f false reports, above %.2f", reals, wrong/weeks, limit)
		}
		if right/weeks < .4*reals {
			t.Errorf("%g real a week: only %.1f reported", reals, right/weeks)
		}
	}
}

// Merged p-values are valid under independence, under full dependence and
// under blocks: chance goes below u at most in a share u of cases.
func TestMergeIsValidUnderDependence(t *testing.T) {
	t.Logf("seed %d", seed)
	const n, runs = 50, 20_000
	for name, draw := range map[string]func(*rand.Rand) []float64{
		"independent": func(r *rand.Rand) []float64 {
			ps := make([]float64, n)
			for i := range ps {
				ps[i] = r.Float64()
			}
			return ps
		},
		"all the same": func(r *rand.Rand) []float64 {
			ps, p := make([]float64, n), r.Float64()
			for i := range ps {
				ps[i] = p
			}
			return ps
		},
		"blocks, half mirrored": func(r *rand.Rand) []float64 {
			ps := make([]float64, n)
			for i := 0; i < n; i += 10 {
				p := r.Float64()
				for j := range 10 {
					ps[i+j] = p
					if j >= 5 {
						ps[i+j] = 1 - p
					}
				}
			}
			return ps
		},
	} {
		r := source(uint64(len(name)))
		for _, u := range []float64{.01, .05, .2} {
			below := 0.0
			for range runs {
				p, err := Merge(draw(r), nil, n)
				if err != nil {
					t.Fatal(err)
				}
				if p <= u {
					below++
				}
			}
			if got := below / runs; got > u+3*math.Sqrt(u/runs) {
				t.Errorf("%s: %.4f of chance at or below %g", name, got, u)
			}
		}
	}
}

// Smaller p-values and more of them give a smaller one; more series watched a
// larger one; and no input within range gives anything but a p-value.
func TestMergeIsMonotoneAndFinite(t *testing.T) {
	r := source(11)
	for range 2000 {
		ps := make([]float64, 1+r.IntN(20))
		ws := make([]float64, len(ps))
		for i := range ps {
			ps[i], ws[i] = math.Pow(r.Float64(), 30), r.Float64()
			switch r.IntN(12) {
			case 0:
				ps[i] = 0
			case 1:
				ps[i] = 1
			case 2:
				ps[i] = math.SmallestNonzeroFloat64
			}
		}
		n := len(ps) + r.IntN(1000)
		p, err := Merge(ps, ws, n)
		if err != nil || !(p >= 0 && p <= 1) {
			t.Fatalf("%v of %d: %g, %v", ps, n, p, err)
		}
		if more, _ := Merge(ps, ws, 2*n); more < p {
			t.Fatalf("twice as many watched: %g, before %g", more, p)
		}
		i := r.IntN(len(ps))
		ps[i] *= r.Float64()
		if less, _ := Merge(ps, ws, n); less > p {
			t.Fatalf("a smaller p-value: %g, before %g", less, p)
		}
	}
}

func TestWhatIsNoNumberIsRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, ps := range [][]float64{{nan}, {.1, -1}, {1.1}, {inf}} {
		if p, err := Merge(ps, nil, 10); err == nil || p != 1 {
			t.Errorf("%v: %g, %v", ps, p, err)
		}
	}
	if _, err := Merge([]float64{.1}, []float64{nan}, 10); err == nil {
		t.Error("a weight that is no number was taken")
	}
	if _, err := Merge([]float64{.1, .2}, nil, 1); err == nil {
		t.Error("more p-values than hypotheses were taken")
	}
	good := Config{Allowance: 1, Rate: .1, Share: .1}
	for _, change := range []func(*Config){
		func(c *Config) { c.Allowance = nan }, func(c *Config) { c.Allowance = 0 }, func(c *Config) { c.Allowance = inf },
		func(c *Config) { c.Rate = nan }, func(c *Config) { c.Share = 1 }, func(c *Config) { c.Share = nan },
		func(c *Config) { c.Memory = -1 }, func(c *Config) { c.Memory = nan }, func(c *Config) { c.Most = 2 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	c := control(t, good)
	for _, s := range []State{{Spent: nan}, {Reports: -1}, {At: inf}} {
		if c.Restore(s) == nil {
			t.Errorf("state %+v was taken", s)
		}
	}
	c.Test(5)
	if before, after := c.Level(6), c.Level(nan); after != before {
		t.Errorf("a time that is no number moved the level from %g to %g", before, after)
	}
}

// Tests of one thing that see the same values: the combination stays within its
// level whatever their correlation, and one strong word is not outvoted by
// tests that are silent. Seeded.
func TestCauchyHoldsUnderDependence(t *testing.T) {
	const seed, rounds, level = 11, 200_000, .01
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, rho := range []float64{0, .5, .9, 1} {
		hits := 0
		for range rounds {
			common, ps := r.NormFloat64(), make([]float64, 3)
			for i := range ps {
				z := math.Sqrt(rho)*common + math.Sqrt(1-rho)*r.NormFloat64()
				ps[i] = .5 * math.Erfc(z/math.Sqrt2)
			}
			if p, err := Cauchy(ps, nil); err != nil || !(p >= 0 && p <= 1) {
				t.Fatal(p, err)
			} else if p <= level {
				hits++
			}
		}
		if share := float64(hits) / rounds; share > 1.15*level {
			t.Errorf("correlation %g: %g of chance is below %g", rho, share, level)
		}
	}
}

func TestCauchyOfFewValues(t *testing.T) {
	for _, tc := range []struct {
		ps, ws []float64
		want   float64
	}{
		{nil, nil, 1}, {[]float64{1e-6}, nil, 1e-6}, {[]float64{.03, .03}, nil, .03}, {[]float64{1e-6, 1, 1}, nil, 3e-6},
		{[]float64{1, .7}, nil, .7}, {[]float64{0}, nil, Floor}, {[]float64{1e-6, 1}, []float64{3, 1}, 4e-6 / 3}, {[]float64{1e-6}, []float64{0}, 1},
	} {
		got, err := Cauchy(tc.ps, tc.ws)
		if err != nil || math.Abs(got/tc.want-1) > 1e-3 {
			t.Errorf("%v %v: %g, want %g (%v)", tc.ps, tc.ws, got, tc.want, err)
		}
	}
	for _, bad := range [][2][]float64{{{math.NaN()}, nil}, {{1.1}, nil}, {{-.1}, nil}, {{.1}, {-1}}, {{.1}, {math.Inf(1)}}, {{.1}, {1, 1}}} {
		if p, err := Cauchy(bad[0], bad[1]); err == nil || p != 1 {
			t.Errorf("%v: %g, %v", bad, p, err)
		}
	}
}
