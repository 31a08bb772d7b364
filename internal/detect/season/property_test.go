package season

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"testing/quick"
)

func long(n int) int {
	if os.Getenv("NORN_LONG") != "" {
		return 10_000_000
	}
	return n
}

// Any bits that are a finite number give finite expectations; the others teach
// nothing.
func TestAnyBitsGiveFiniteExpectations(t *testing.T) {
	check := func(bits []uint32) bool {
		s := New(nil)
		for i := range 3000 {
			x := float32(i % 7)
			if len(bits) > 0 {
				x = math.Float32frombits(bits[i%len(bits)])
			}
			s.Step(int64(i+1)*60_000, x, 0, true)
			if e := s.Expect(int64(i+2) * 60_000); e-e != 0 {
				t.Logf("%v after %v", e, x)
				return false
			}
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 60}); err != nil {
		t.Error(err)
	}
}

func TestAConstantHasNoSeason(t *testing.T) {
	for _, v := range []float32{0, 5, -1e20, 1e-30} {
		s := New(nil)
		for i := range int64(9 * 1440) {
			s.Step((i+1)*60_000, v, v, true)
		}
		if s.InUse() {
			t.Errorf("a constant of %v has a season: %+v", v, s.Explain(10*86400_000))
		}
	}
}

// A period is the same in any unit and above any level.
func TestAPeriodIsTheSameInAnyUnit(t *testing.T) {
	find := func(scale, shift float32) (use bool, text string, e float32) {
		s, r := New(nil), rand.New(rand.NewPCG(1, 1))
		for i := range int64(6 * 1440) {
			x := shift + scale*float32(3*math.Sin(2*math.Pi*float64(i)/200)+.3*r.NormFloat64())
			s.Step((i+1)*60_000, x, shift, true)
		}
		return s.InUse(), s.Explain(6 * 86400_000).Text, (s.Expect(6*86400_000+50*60_000) - shift) / scale
	}
	use, text, e := find(1, 0)
	if !use || text == "" {
		t.Fatal("no period was found")
	}
	for _, c := range [][2]float32{{1024, 0}, {1. / 256, 0}, {-2, 0}, {1, 64}} {
		if u, x, f := find(c[0], c[1]); u != use || x != text || math.Abs(float64(f-e)) > .02 {
			t.Errorf("times %v plus %v: %v %q %v; plain %v %q %v", c[0], c[1], u, x, f, use, text, e)
		}
	}
}

func TestStateIsBoundedOverMillionsOfPoints(t *testing.T) {
	n := long(300_000)
	s, r, half := New(nil), rand.New(rand.NewPCG(4, 4)), 0
	for i := range n {
		s.Step(int64(i+1)*10_000, float32(math.Sin(float64(i)/500)+.2*r.NormFloat64()), 0, true)
		if i == n/2 {
			half = s.Bytes()
		}
	}
	if end := s.Bytes(); end > half*3/2 || end > 16<<10 {
		t.Errorf("%d bytes, half way %d", end, half)
	}
}
