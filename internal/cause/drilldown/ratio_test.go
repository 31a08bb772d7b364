package drilldown_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
)

// traffic is requests by region, version and endpoint, with very unequal
// shares; bad gives the failure share (or the seconds) of a leaf.
func traffic(seed uint64, kind drilldown.Kind, versions []string, bad func(region, version, endpoint string, now bool) float64) drilldown.Input {
	r := rand.New(rand.NewPCG(seed, 3))
	in := drilldown.Input{Kind: kind, Dims: []string{"region", "version", "endpoint"}}
	for i, region := range []string{"eu", "us", "ap", "sa"} {
		for j, version := range versions {
			for k, endpoint := range []string{"/", "/cart", "/pay", "/search", "/login"} {
				n := 8000 / float64((i+1)*(j+1)*(k+1))
				count := func(now bool) (num, den float64) {
					den = float64(int(n * (.95 + .1*r.Float64())))
					p := bad(region, version, endpoint, now)
					for range int(den) {
						if kind == drilldown.Mean {
							num += p * r.ExpFloat64()
						} else if r.Float64() < p {
							num++
						}
					}
					return num, den
				}
				before, beforeOf := count(false)
				now, nowOf := count(true)
				if version == "2.5" { // nobody ran it before
					before, beforeOf = 0, 0
				}
				in.Leaves = append(in.Leaves, []string{region, version, endpoint})
				in.Observed, in.Per = append(in.Observed, now), append(in.Per, nowOf)
				in.Expected, in.PerExpected = append(in.Expected, before), append(in.PerExpected, beforeOf)
			}
		}
	}
	return in
}

func expect(t *testing.T, seed uint64, in drilldown.Input, want ...string) drilldown.Result {
	t.Helper()
	res := find(t, in)
	if got := names(res); !slices.Equal(got, want) {
		t.Errorf("seed %d: found %v, want %v: %+v", seed, got, want, res.Elements)
	}
	return res
}

func TestFailuresAreFoundWhereTheShareRoseNotWhereTrafficIs(t *testing.T) {
	for seed := range uint64(8) {
		in := traffic(seed, drilldown.Share, []string{"2.3", "2.4"}, func(region, version, _ string, now bool) float64 {
			if now && region == "ap" && version == "2.4" {
				return .08
			}
			return .01
		})
		// Traffic in Europe triples meanwhile, and with it its failures.
		for i, l := range in.Leaves {
			if l[0] == "eu" {
				in.Observed[i], in.Per[i] = 3*in.Observed[i], 3*in.Per[i]
			}
		}
		res := expect(t, seed, in, "region=ap&version=2.4")
		if e := res.Elements[0]; e.Observed < .06 || e.Observed > .1 || e.Expected > .02 || e.Traffic > .2 {
			t.Errorf("seed %d: %+v", seed, e)
		}
	}
}

func TestVersionThatNobodyRanBeforeIsFound(t *testing.T) {
	for seed := range uint64(8) {
		in := traffic(seed, drilldown.Share, []string{"2.3", "2.4", "2.5"}, func(_, version, _ string, _ bool) float64 {
			if version == "2.5" {
				return .1
			}
			return .01
		})
		expect(t, seed, in, "version=2.5")
	}
}

func TestSlowEndpointIsFoundByItsMean(t *testing.T) {
	for seed := range uint64(8) {
		in := traffic(seed, drilldown.Mean, []string{"2.3", "2.4"}, func(_, _, endpoint string, now bool) float64 {
			seconds := map[string]float64{"/": .02, "/cart": .08, "/pay": .4, "/search": .2, "/login": .05}[endpoint]
			if now && endpoint == "/login" {
				return 3 * seconds
			}
			return seconds
		})
		expect(t, seed, in, "endpoint=/login")
	}
}

func TestNothingIsNamedWhenAllSufferAlike(t *testing.T) {
	for seed := range uint64(8) {
		quiet := traffic(seed, drilldown.Share, []string{"2.3", "2.4"}, func(_, _, _ string, _ bool) float64 { return .01 })
		if res := find(t, quiet); len(res.Elements) > 0 {
			t.Errorf("seed %d: %v in chance alone", seed, names(res))
		}
		all := traffic(seed, drilldown.Share, []string{"2.3", "2.4"}, func(_, _, _ string, now bool) float64 {
			if now {
				return .05
			}
			return .01
		})
		if res := find(t, all); len(res.Elements) > 0 {
			t.Errorf("seed %d: %v although all fail alike", seed, names(res))
		}
	}
}

func TestLostTrafficOfOneRegionIsFound(t *testing.T) {
	for seed := range uint64(8) {
		in := traffic(seed, drilldown.Counts, []string{"2.3", "2.4"}, func(_, _, _ string, _ bool) float64 { return 0 })
		in.Observed, in.Expected = in.Per, in.PerExpected
		in.Per, in.PerExpected = nil, nil
		for i, l := range in.Leaves {
			if l[0] == "us" && l[2] == "/pay" {
				in.Observed[i] = 0
			}
		}
		expect(t, seed, in, "region=us&endpoint=/pay")
	}
}
