package driver

import (
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func long(n int) int {
	if os.Getenv("NORN_LONG") != "" {
		return 10_000_000
	}
	return n
}

func run(n int, f func(i int, r *rand.Rand) (load, target float64)) (*Book, []ops.Anomaly) {
	b, r := New(Config{}), rand.New(rand.NewPCG(5, 5))
	load := &telemetry.Series{ID: 1, Name: "requests", Unit: "{request}/s", Signal: telemetry.SignalTraffic}
	target := &telemetry.Series{ID: 2, Name: "cpu", Signal: telemetry.SignalSaturation}
	var out []ops.Anomaly
	for i := range n {
		t := int64(i+1) * 60_000
		x, y := f(i, r)
		out = append(out, b.Step(t, []Group{{Targets: []Reading{{target, y, t}}, Candidates: []Reading{{load, x, t}}}})...)
	}
	return b, out
}

func usual(i int, r *rand.Rand) (load, target float64) {
	x := 100 + 60*math.Sin(float64(i)/230) + 5*r.NormFloat64()
	return x, .01*x + .02*r.NormFloat64()
}

func TestAConstantHasNoDriverAndSaysNothing(t *testing.T) {
	for _, v := range []float64{0, 1, 1e14, 1e-310} {
		b, out := run(3000, func(i int, r *rand.Rand) (float64, float64) { x, _ := usual(i, r); return x, v })
		if _, ok := b.Of(2); ok || len(out) > 0 {
			t.Errorf("constant %v: driven %v, %d anomalies", v, ok, len(out))
		}
	}
}

func TestUnitsOfLoadAndTargetDoNotMatter(t *testing.T) {
	dear := func(a, c float64) (float64, []int64) {
		b, out := run(6000, func(i int, r *rand.Rand) (float64, float64) {
			x, y := usual(i, r)
			if i > 5900 {
				y *= 2
			}
			return a * x, c * y
		})
		d, _ := b.Of(2)
		var onsets []int64
		for _, o := range out {
			onsets = append(onsets, o.Onset)
		}
		return d.Skill, onsets
	}
	skill, onsets := dear(1, 1)
	if len(onsets) == 0 || skill < .5 {
		t.Fatalf("skill %v, onsets %v", skill, onsets)
	}
	for _, c := range [][2]float64{{1024, 1}, {1, 1. / 512}, {1. / 64, 4096}} {
		if s, o := dear(c[0], c[1]); math.Abs(s-skill) > 1e-3 || !reflect.DeepEqual(o, onsets) {
			t.Errorf("load times %v, target times %v: skill %v, onsets %v; plain %v, %v", c[0], c[1], s, o, skill, onsets)
		}
	}
}

func TestTheSameReadingsGiveTheSameWords(t *testing.T) {
	a, x := run(4000, usual)
	b, y := run(4000, usual)
	da, _ := a.Of(2)
	db, _ := b.Of(2)
	if !reflect.DeepEqual(x, y) || da.Sentence != db.Sentence || da.Skill != db.Skill {
		t.Error("two runs differ")
	}
}

func TestABookDoesNotGrowWithReadings(t *testing.T) {
	b, _ := run(long(200_000), usual)
	if s := b.Stats(); s.Targets != 1 || len(b.targets[2].Curves) != 1 {
		t.Errorf("%+v, %d curves", s, len(b.targets[2].Curves))
	}
}
