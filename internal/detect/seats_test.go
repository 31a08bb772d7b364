package detect

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// troubled is a set of series that meet everything: spikes, steps, gaps,
// silences, jitter, points that come late or twice.
type troubled struct {
	rnd    *rand.Rand
	metas  []*telemetry.Series
	seats  []telemetry.Seat
	level  []float64
	silent []int // rounds left
	trend  []float64
	t      int64
}

func newTroubled(n int, seed uint64) *troubled {
	w := &troubled{
		rnd: rand.New(rand.NewPCG(seed, 9)), seats: make([]telemetry.Seat, n), level: make([]float64, n),
		silent: make([]int, n), trend: make([]float64, n), t: 1767571200000,
	}
	signals := []telemetry.Signal{
		telemetry.SignalTraffic, telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalOther,
		telemetry.SignalSaturation, telemetry.SignalUp, telemetry.SignalLogs,
	}
	for i := range n {
		w.metas = append(w.metas, &telemetry.Series{
			ID: telemetry.SeriesID(w.rnd.Uint64()), Name: strconv.Itoa(i), Signal: signals[i%len(signals)],
			Direction: telemetry.Direction(i%3 - 1),
		})
		w.level[i] = math.Pow(10, w.rnd.Float64()*12-3)
	}
	return w
}

func (w *troubled) next(out []telemetry.Point) []telemetry.Point {
	w.t += 10_000
	for i, m := range w.metas {
		switch w.rnd.IntN(4000) {
		case 0:
			w.silent[i] = w.rnd.IntN(100)
		case 1:
			w.level[i] *= 1 + w.rnd.Float64()
		case 2:
			w.trend[i] = w.rnd.NormFloat64() * .002
		case 3:
			w.trend[i] = 0
		case 4:
			m := *m // the same series, described anew
			w.metas[i] = &m
		}
		if w.silent[i] > 0 {
			w.silent[i]--
			continue
		}
		w.level[i] *= 1 + w.trend[i]
		p := telemetry.Point{Series: w.metas[i], T: w.t, V: w.level[i] * (1 + .05*w.rnd.NormFloat64()), Seat: &w.seats[i]}
		switch {
		case m.Signal == telemetry.SignalUp:
			p.V = 1
		case i%5 == 0: // smooth
			p.V = w.level[i] * (3 + math.Sin(float64(w.t)/3e6) + .001*w.rnd.NormFloat64())
		case i%5 == 1: // counts
			p.V = math.Floor(4 * w.rnd.Float64())
		}
		if i%3 == 1 {
			p.T += int64(w.rnd.IntN(60))
		}
		switch w.rnd.IntN(1500) {
		case 0:
			p.V *= 10
		case 1:
			p.V = 0
		case 2:
			p.V = math.NaN()
		case 3:
			p.T -= 30_000
		case 4:
			out = append(out, p)
		case 5:
			p.Seat = nil
		case 6:
			p.Seat = &w.seats[w.rnd.IntN(len(w.seats))] // a wrong one
		}
		out = append(out, p)
	}
	return out
}

// what is held back is found all the same: holding changes when an anomaly is
// told, and nothing else, whenever somebody looks in between.
func TestHoldingBackFindsTheSame(t *testing.T) {
	for seed := range uint64(4) {
		w := newTroubled(120, seed)
		at, held := New(Config{}), New(Config{Hold: 600_000})
		var now, later map[string][]ops.Anomaly
		now, later = map[string][]ops.Anomaly{}, map[string][]ops.Anomaly{}
		note := func(m map[string][]ops.Anomaly) func(*ops.Anomaly) {
			return func(a *ops.Anomaly) { m[a.Series] = append(m[a.Series], *a) }
		}
		most, sum := 0, 0
		var pts []telemetry.Point
		for round := range 2500 {
			pts = w.next(pts[:0])
			own := make([]telemetry.Point, len(pts)) // seats belong to one engine
			copy(own, pts)
			for i := range own {
				own[i].Seat = nil
			}
			at.ObserveBatch(own, note(now))
			held.ObserveBatch(pts, note(later))
			for _, r := range held.allRows() {
				n := 0
				for i := range r.seats {
					n += int(r.seats[i].n)
				}
				most, sum = max(most, n), sum+n
			}
			if w.rnd.IntN(3) == 0 {
				for _, e := range []struct {
					e    *Engine
					note func(*ops.Anomaly)
				}{{at, note(now)}, {held, note(later)}} {
					for _, a := range e.e.Tick(w.t) {
						e.note(&a)
					}
				}
			}
			m := w.metas[w.rnd.IntN(len(w.metas))]
			switch x, y := m.ID, round%7; y {
			case 0:
				a, _ := at.Explain(x)
				b, _ := held.Explain(x)
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("seed %d, round %d:\n%+v\n%+v", seed, round, a, b)
				}
			case 1:
				if a, b := at.Bands(x, w.t, w.t+1e6, 1e5), held.Bands(x, w.t, w.t+1e6, 1e5); !reflect.DeepEqual(a, b) {
					t.Fatalf("seed %d, round %d:\n%+v\n%+v", seed, round, a, b)
				}
			case 2:
				a, _ := at.LastSeen(x)
				if b, _ := held.LastSeen(x); a != b {
					t.Fatalf("seed %d, round %d: last seen %d and %d", seed, round, a, b)
				}
			case 3:
				if a, b := at.Stats(), held.Stats(); a.Points != b.Points || a.Late != b.Late || a.Refused != b.Refused || a.Watched != b.Watched {
					t.Fatalf("seed %d, round %d:\n%+v\n%+v", seed, round, a, b)
				}
			}
		}
		compareEngines(t, seed, at, held)
		for _, a := range held.takeLater() {
			note(later)(&a)
		}
		total := 0
		for _, m := range w.metas {
			a, b := now[m.Name], later[m.Name]
			total += len(a)
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("seed %d, series %s (%s): %d told at once, %d with holding back\n%+v\n%+v", seed, m.Name, m.Signal, len(a), len(b), a, b)
			}
		}
		t.Logf("seed %d: %d reports, at most %d points held, %.0f on average", seed, total, most, float64(sum)/2500)
		if total < 500 || most < 300 {
			t.Errorf("seed %d: %d reports, at most %d points held: the comparison proves little", seed, total, most)
		}
	}
}

// compareEngines looks at every byte of both states.
func compareEngines(t *testing.T, seed uint64, x, y *Engine) {
	t.Helper()
	var a, b bytes.Buffer
	if x.Snapshot(&a) != nil || y.Snapshot(&b) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("seed %d: snapshots of %d and %d bytes differ", seed, a.Len(), b.Len())
	}
}

// many senders, some of them of the same series, may come while others look,
// forget and restore: nobody waits for ever, no point is lost.
func TestSeatsAreSafeInACrowd(t *testing.T) {
	const workers, rounds, each = 6, 400, 600
	e := New(Config{Hold: 600_000, Forget: 3600_000})
	var wg sync.WaitGroup
	start := int64(1767571200000)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(3, uint64(w)))
			pts, seats := make([]telemetry.Point, each), make([]telemetry.Seat, each)
			for i := range pts { // two workers share each series
				id := telemetry.SeriesID(w/2*each + i)
				pts[i] = telemetry.Point{Series: &telemetry.Series{ID: id, Name: strconv.Itoa(int(id))}, Seat: &seats[i]}
			}
			for r := range int64(rounds) {
				for i := range pts {
					pts[i].T, pts[i].V = start+r*10_000+int64(w%2), 50+rnd.NormFloat64()
				}
				e.ObserveBatch(pts, func(*ops.Anomaly) {})
				switch r % 50 {
				case 10:
					e.Tick(start + r*10_000)
				case 20:
					e.List(nil, 0)
				case 30:
					e.Explain(pts[rnd.IntN(each)].Series.ID)
				case 40:
					if err := e.Snapshot(io.Discard); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	s := e.Stats()
	if s.Points+s.Late != workers*rounds*each || s.Watched != workers/2*each {
		t.Errorf("%d points of %d, %d late, %d series of %d", s.Points, workers*rounds*each, s.Late, s.Watched, workers/2*each)
	}
	e.Tick(start + rounds*10_000 + 4*3600_000)
	e.Tick(start + rounds*10_000 + 8*3600_000)
	if n := e.Stats().Watched; n != 0 || len(e.vacant) != int(e.taken) {
		t.Errorf("%d series are still watched; %d of %d seats are free", n, len(e.vacant), e.taken)
	}
}
