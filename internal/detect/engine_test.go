package detect

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// fleet is one series of every clean kind, or more, played side by side.
type fleet struct {
	metas []*telemetry.Series
	lives []func(float64) (float64, bool)
	now   float64
	step  float64
}

func newFleet(n int, step float64) *fleet {
	f := &fleet{now: 1.75e9, step: step}
	kinds := cleanKinds()
	for i := range n {
		k := kinds[i%len(kinds)]
		ls := labels.FromStrings("__name__", "m", "kind", k.name, "i", fmt.Sprint(i))
		f.metas = append(f.metas, &telemetry.Series{
			ID: telemetry.SeriesID(ls.Hash()), Labels: ls, Name: k.name, Signal: k.signal, Unit: k.unit, Direction: k.dir,
			Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "s" + fmt.Sprint(i%7)},
		})
		f.lives = append(f.lives, k.make(rand.New(rand.NewPCG(9, uint64(i))), step))
	}
	return f
}

// play sends n rounds and returns every anomaly reported. fault may change
// values; dropping a point is done by returning NaN.
func (f *fleet) play(e *Engine, n int, fault func(i int, v float64) float64) (out []ops.Anomaly) {
	for range n {
		for i, life := range f.lives {
			v, ok := life(f.now)
			if fault != nil {
				v = fault(i, v)
			}
			if !ok || math.IsNaN(v) {
				continue
			}
			if a := e.Observe(telemetry.Point{Series: f.metas[i], T: int64(f.now * 1000), V: v}); a != nil {
				out = append(out, *a)
			}
		}
		f.now += f.step
	}
	return out
}

// after a restart no warm-up begins again: the restored engine says the same,
// to the last bit, as the one that went on.
func TestARestoredEngineGoesOnIdentically(t *testing.T) {
	for _, rounds := range []int{1, 59, 200, 3000} {
		a, f := New(Config{}), newFleet(40, 60)
		f.play(a, rounds, nil)
		f.play(a, 5, func(i int, v float64) float64 { return v*3 + 1 }) // with open anomalies
		var buf bytes.Buffer
		if err := a.Snapshot(&buf); err != nil {
			t.Fatal(err)
		}
		b := New(Config{})
		if err := b.Restore(bytes.NewReader(buf.Bytes())); err != nil {
			t.Fatal(err)
		}
		g := newFleet(40, 60) // the same life again, from the same seeds
		g.play(New(Config{}), rounds, nil)
		g.play(New(Config{}), 5, nil)
		fault := func(i int, v float64) float64 {
			if i%3 == 0 {
				return v * 2
			}
			return v
		}
		x, y := f.play(a, 500, fault), g.play(b, 500, fault)
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("after %d rounds: %d anomalies from the one, %d from the other", rounds, len(x), len(y))
		}
		for _, m := range f.metas {
			p, _ := a.Explain(m.ID)
			q, _ := b.Explain(m.ID)
			if !reflect.DeepEqual(p, q) {
				t.Fatalf("after %d rounds:\n%+v\n%+v", rounds, p, q)
			}
		}
		if rounds >= 3000 && len(x) == 0 {
			t.Error("the fault raised nothing: the comparison proves little")
		}
	}
}

func TestADamagedSnapshotIsRefusedAndChangesNothing(t *testing.T) {
	a, f := New(Config{}), newFleet(6, 60)
	f.play(a, 400, nil)
	var buf bytes.Buffer
	if err := a.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	whole := buf.Bytes()
	b := New(Config{})
	f.play(b, 3, nil)
	for n := 0; n < len(whole); n += 1 + len(whole)/997 {
		if err := b.Restore(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d of %d bytes were accepted", n, len(whole))
		}
		bad := bytes.Clone(whole)
		bad[n] ^= 0x40
		if err := b.Restore(bytes.NewReader(bad)); err == nil {
			t.Fatalf("a flipped bit in byte %d was accepted", n)
		}
	}
	if s := b.Stats(); s.Watched != 6 {
		t.Errorf("after refused snapshots %d series are watched, want 6", s.Watched)
	}
}

func FuzzSeriesState(f *testing.F) {
	e, fl := New(Config{}), newFleet(4, 60)
	fl.play(e, 500, nil)
	for _, m := range fl.metas {
		c := codec{}
		e.find(m.ID).walk(&c)
		f.Add(c.buf)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := codec{buf: data, read: true}
		s := &series{}
		s.walk(&c)
		if c.err != nil {
			return
		}
		// whatever passes the checks must be safe to use
		e := New(Config{})
		s.det.opt = &e.options[classOf(s.meta)]
		if e.sit(s) {
			s.row.mu.Unlock()
		}
		for i := range int64(20) {
			e.Observe(telemetry.Point{Series: s.meta, T: s.det.t + 1 + i*9000_000, V: float64(i)})
			e.Tick(s.det.t)
		}
		e.Explain(s.meta.ID)
		e.Bands(s.meta.ID, 0, 1e6, 1e5)
	})
}

func TestBadPointsAreCountedAndTeachNothing(t *testing.T) {
	a, b := New(Config{}), New(Config{})
	f := newFleet(1, 60)
	m := f.metas[0]
	for i := range int64(300) {
		v, _ := f.lives[0](float64(i))
		p := telemetry.Point{Series: m, T: i * 60_000, V: v}
		a.Observe(p)
		b.Observe(p)
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			b.Observe(telemetry.Point{Series: m, T: i*60_000 + 1, V: bad})
		}
		b.Observe(telemetry.Point{Series: m, T: i * 60_000, V: v + 1e6})   // again
		b.Observe(telemetry.Point{Series: m, T: i*60_000 - 5, V: v - 1e6}) // late
	}
	b.Observe(telemetry.Point{V: 1})
	x, _ := a.Explain(m.ID)
	y, _ := b.Explain(m.ID)
	if !reflect.DeepEqual(x, y) {
		t.Errorf("bad points changed the model:\n%+v\n%+v", x, y)
	}
	if s := b.Stats(); s.Refused != 901 || s.Late != 600 || s.Points != 300 {
		t.Errorf("counted %+v", s)
	}
}

func TestMoreSeriesThanAllowedAreCountedNotWatched(t *testing.T) {
	e, f := New(Config{MaxSeries: 10}), newFleet(25, 60)
	f.play(e, 3, func(_ int, v float64) float64 { return 1 })
	s := e.Stats()
	if s.Watched != 10 || s.NotWatched == 0 || s.Points+s.NotWatched+s.Late > 75 || s.Points < 25 {
		t.Errorf("%+v", s)
	}
	if got := len(e.List(nil, 0)); got != 10 {
		t.Errorf("list has %d series", got)
	}
	if got := len(e.List(func(s *telemetry.Series) bool { return strings.Contains(s.Name, "traffic") }, 1)); got != 1 {
		t.Errorf("limited list has %d series", got)
	}
}

func TestManyGoroutinesMayObserveAtOnce(t *testing.T) {
	e := New(Config{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			m := &telemetry.Series{ID: telemetry.SeriesID(w * 64), Name: "x"} // all in one shard
			for i := range int64(2000) {
				e.Observe(telemetry.Point{Series: m, T: i * 1000, V: float64(i % 7)})
				if i%100 == 0 {
					e.Tick(i * 1000)
					e.Active()
					e.Explain(m.ID)
				}
			}
		}()
	}
	wg.Wait()
	if s := e.Stats(); s.Points != 16000 || s.Watched != 8 {
		t.Errorf("%+v", s)
	}
}

func TestUpIsJudgedAtOnce(t *testing.T) {
	e := New(Config{})
	m := &telemetry.Series{ID: 5, Name: "up", Signal: telemetry.SignalUp, Direction: telemetry.DownBad}
	var got []*ops.Anomaly
	for i := range int64(40) {
		v := 1.
		if i >= 10 && i < 15 {
			v = 0
		}
		if a := e.Observe(telemetry.Point{Series: m, T: i * 15_000, V: v}); a != nil {
			got = append(got, a)
		}
	}
	if len(got) < 2 || got[0].Onset != 150_000 || got[0].Severity < .8 || got[0].Ended != 0 {
		t.Fatalf("going down: %+v", got)
	}
	if end := got[len(got)-1]; end.Ended != 15*15_000 || end.ID != got[0].ID {
		t.Errorf("coming back: %+v", end)
	}
}

func TestTheWarmPathDoesNotAllocate(t *testing.T) {
	e, f := New(Config{}), newFleet(1, 60)
	f.play(e, 2000, nil)
	m := f.metas[0]
	now := int64(f.now * 1000)
	r := rand.New(rand.NewPCG(1, 1))
	if n := testing.AllocsPerRun(2000, func() {
		now += 60_000
		e.Observe(telemetry.Point{Series: m, T: now, V: 100 + 3*r.Float64()})
	}); n != 0 {
		t.Errorf("%v allocations a point", n)
	}
}

// heapOf measures what an engine with n series really takes, after rounds
// points each, and what it says it takes; both in bytes a series.
func heapOf(n, rounds int) (heap, said float64) {
	f := newFleet(n, 60)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e := New(Config{Full: -1})
	f.play(e, rounds, nil)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(f)
	said = float64(e.StateBytes()) / float64(n)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n), said
}

func TestStateFitsInTwoKiB(t *testing.T) {
	for _, rounds := range []int{1, 50, 200, 299, 400} {
		heap, said := heapOf(4000, rounds)
		t.Logf("%d points: %.0f bytes a series on the heap, %.0f by its own count", rounds, heap, said)
		if heap > 2048 {
			t.Errorf("%.0f bytes a series after %d points", heap, rounds)
		}
		if said < .85*heap || said > 1.1*heap { // allocation classes round up
			t.Errorf("the engine says %.0f bytes, the heap has %.0f", said, heap)
		}
	}
}

// BenchmarkObserve judges lives of all clean kinds side by side; young has
// passed 65 points (the shape member still collects), warm 300.
func BenchmarkObserve(b *testing.B) {
	for _, c := range []struct {
		name         string
		series, warm int
	}{{"warm_1k", 1000, 300}, {"warm_20k", 20000, 300}, {"young_20k", 20000, 65}} {
		b.Run(c.name, func(b *testing.B) { benchObserve(b, c.series, c.warm) })
	}
}

func benchObserve(b *testing.B, n, warm int) {
	kinds := cleanKinds()
	vals := make([][2048]float64, len(kinds))
	for k := range kinds {
		life := kinds[k].make(rand.New(rand.NewPCG(1, uint64(k))), 60)
		for i := range vals[k] {
			vals[k][i], _ = life(60 * float64(i))
		}
	}
	e, f := New(Config{}), newFleet(n, 60)
	now := int64(1.75e12)
	round := func(r int) func(k int) {
		now += 60_000
		return func(k int) {
			e.Observe(telemetry.Point{Series: f.metas[k], T: now, V: vals[k%len(kinds)][r%2048]})
		}
	}
	for r := range warm {
		one := round(r)
		for k := range n {
			one(k)
		}
	}
	one, r := round(warm), warm
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := i % n
		if k == 0 && i > 0 {
			r++
			one = round(r)
		}
		one(k)
	}
}
