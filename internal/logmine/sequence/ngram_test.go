package sequence

import (
	"math"
	"math/rand/v2"
	"testing"
)

// request makes a normal sequence: a fixed way with two optional steps.
func request(rng *rand.Rand) []uint64 {
	seq := []uint64{1, 2, 3}
	if rng.IntN(2) == 0 {
		seq = append(seq, 4)
	}
	seq = append(seq, 5, 6)
	if rng.IntN(10) == 0 {
		seq = append(seq, 7)
	}
	return append(seq, 8)
}

func TestASequenceOutOfOrderIsSurprising(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var m NGram
	var normal [][]uint64
	for range 200 {
		seq := request(rng)
		normal = append(normal, seq)
		m.Learn(seq, 1)
	}
	limits := m.Calibrate(normal)
	alarms := 0
	for range 1000 {
		if limits.Score(m.Judge(request(rng))) > 1 {
			alarms++
		}
	}
	if alarms > 40 {
		t.Errorf("%d of 1000 normal sequences are unusual", alarms)
	}
	for name, seq := range map[string][]uint64{
		"swapped": {1, 3, 2, 5, 6, 8}, "cut off": {1, 2, 3}, "a new step": {1, 2, 3, 99, 5, 6, 8}, "repeated": {1, 2, 3, 5, 5, 5, 6, 8}, "empty": {},
	} {
		s := m.Judge(seq)
		if limits.Score(s) <= 1 {
			t.Errorf("%s passes: %+v, limits %+v", name, s, limits)
		}
	}
	if s := m.Judge([]uint64{1, 2, 3, 99, 5, 6, 8}); s.At != 3 && s.At != 4 {
		t.Errorf("the surprise is said to be at step %d", s.At)
	}
}

// What was learned and forgotten again leaves no trace, and probabilities add
// up to one over all steps that are known and one that is not.
func TestForgettingUndoesLearning(t *testing.T) {
	var a, b NGram
	for _, seq := range [][]uint64{{1, 2, 3}, {1, 3}, {1, 2, 3}} {
		a.Learn(seq, 1)
		b.Learn(seq, 1)
	}
	b.Learn([]uint64{3, 2, 1}, 1)
	b.Learn([]uint64{3, 2, 1}, -1)
	for _, seq := range [][]uint64{{1, 2, 3}, {3, 2, 1}, {4}, {}} {
		if x, y := a.Judge(seq), b.Judge(seq); math.Abs(x.Mean-y.Mean) > 1e-12 || x.Pairs != y.Pairs {
			t.Errorf("%v: %+v and %+v", seq, x, y)
		}
	}
	sum := a.p(order-1, 1, 2, 12345)
	for c := range a.known {
		sum += a.p(order-1, 1, 2, c)
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the probabilities add up to %g", sum)
	}
	var none NGram
	if s := none.Judge([]uint64{1}); s != (Surprise{}) {
		t.Errorf("a model that knows nothing says %+v", s)
	}
}
