package joint

import (
	"math"
	"math/rand/v2"
)

// world is a small service as its metrics see it: one load drives most of
// them, with a daily wave, some lag, and noise of their own.
type world struct {
	r    *rand.Rand
	load float64
	t    int64
	row  []float64
}

const worldColumns = 8

func newWorld(seed uint64) *world {
	return &world{r: rand.New(rand.NewPCG(seed, 77)), row: make([]float64, worldColumns)}
}

func worldNames() []string {
	return []string{"requests", "cpu", "latency", "queue", "errors", "memory", "constant", "zero"}
}

// next gives the next minute. The slice is new.
func (w *world) next() (int64, []float64) {
	w.t += 60_000
	wave := 100 + 40*math.Sin(2*math.Pi*float64(w.t)/86400_000)
	before := w.load
	w.load += .2*(wave-w.load) + 3*w.r.NormFloat64()
	w.row[0] = w.load + w.r.NormFloat64()
	w.row[1] = .4*w.load + w.r.NormFloat64()
	w.row[2] = 20 + .1*before + .5*w.r.NormFloat64()
	w.row[3] = max(0, math.Round(.05*before+w.r.NormFloat64()))
	w.row[4] = 0
	if w.r.IntN(50) == 0 {
		w.row[4] = 1
	}
	w.row[5] += .01*w.r.NormFloat64() - .002*w.row[5]
	w.row[6], w.row[7] = 42, 0
	return w.t, append([]float64(nil), w.row...)
}

// teach lets a model watch the world for n minutes.
func (w *world) teach(m *Model, n int) {
	for range n {
		m.Observe(w.next())
	}
}
