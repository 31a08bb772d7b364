package normalize

import (
	"fmt"
	"math"
	"math/rand"
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestAReferenceThatMeansAnotherSeriesStartsAnew(t *testing.T) {
	d := NewDeriver()
	one := store.Committed{Ref: 5, Labels: labels.FromStrings("__name__", "a_total", "job", "a"), T: 10_000, V: 100}
	d.Derive([]store.Committed{one}, nil)
	two := store.Committed{Ref: 5, Labels: labels.FromStrings("__name__", "b_total", "job", "b"), T: 20_000, V: 7}
	if ps := d.Derive([]store.Committed{two}, nil); len(ps) != 0 {
		t.Errorf("the other series' past was used: %s", show(ps))
	}
	two.T, two.V = 30_000, 17
	if ps := d.Derive([]store.Committed{two}, nil); show(ps) != "rate(b_total)@30000=1" {
		t.Errorf("got %s", show(ps))
	}
	if st := d.Stats(); st.Watched != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestWildReferencesNeitherCollideNorEatMemory(t *testing.T) {
	d := NewDeriver()
	r := rand.New(rand.NewSource(3))
	refs := []uint64{0, 1, 1023, 1024, 1 << 22, 1 << 31, 1 << 32, 1<<63 + 5, math.MaxUint64}
	for range 500 {
		refs = append(refs, r.Uint64()>>uint(r.Intn(64)))
	}
	seen := map[uint64]bool{}
	for round := range 2 {
		for _, ref := range refs {
			if round == 0 && seen[ref] {
				continue
			}
			seen[ref] = true
			ls := labels.FromStrings("__name__", "g", "ref", fmt.Sprint(ref))
			ps := d.Derive([]store.Committed{{Ref: storage.SeriesRef(ref), Labels: ls, T: int64(ref%1000) + int64(round+1)*10_000, V: 1}}, nil)
			if round == 0 && (len(ps) != 1 || ps[0].Series.Labels.Get("ref") != fmt.Sprint(ref)) {
				t.Fatalf("ref %d: %s", ref, show(ps))
			}
		}
	}
	if n := d.Stats().Watched; n != int64(len(seen)) {
		t.Errorf("%d watched, want %d", n, len(seen))
	}
	if dir := d.refs.dir.Load(); len(*dir) > 1<<20 {
		t.Errorf("directory of %d pages for %d series", len(*dir), len(seen))
	}
	for ref := range seen {
		d.Forget(storage.SeriesRef(ref))
	}
	if st := d.Stats(); st.Watched != 0 || d.refs.pages != 0 || d.refs.nrest.Load() != 0 {
		t.Errorf("left: %+v, %d pages, %d others", st, d.refs.pages, d.refs.nrest.Load())
	}
}

func TestConcurrentCommitsLoseNothing(t *testing.T) {
	d := NewDeriver()
	const workers, series, steps = 8, 200, 20
	var wg sync.WaitGroup
	counts := make([]int, workers)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for s := range int64(steps) {
				var batch []store.Committed
				for i := range series {
					le := []string{"1", "2", "+Inf"}[i%3]
					batch = append(batch, store.Committed{
						Ref:    storage.SeriesRef(w*series + i + 1),
						Labels: labels.FromStrings("__name__", "x_bucket", "le", le, "s", fmt.Sprint(i/3), "w", fmt.Sprint(w)),
						T:      s*10_000 + 1, V: float64(s) * float64(i%3+1),
					})
				}
				counts[w] += len(d.Derive(batch, nil))
			}
			for i := range series / 2 {
				d.Forget(storage.SeriesRef(w*series + i + 1))
			}
		}()
	}
	wg.Wait()
	for w, n := range counts {
		if n < 66*2*(steps-2) {
			t.Errorf("worker %d: %d points", w, n)
		}
	}
	if st := d.Stats(); st.Watched != workers*series/2 {
		t.Errorf("stats %+v", st)
	}
}

func TestWarmDeriveDoesNotAllocate(t *testing.T) {
	batch := benchBatch(1000)
	d := NewDeriver()
	out := make([]telemetry.Point, 0, 4*len(batch))
	ts := int64(0)
	step := func() {
		ts += 10_000
		for i := range batch {
			batch[i].T, batch[i].V = ts, batch[i].V+float64(i%7)
		}
		out = d.Derive(batch, out[:0])
	}
	for range 4 {
		step()
	}
	if n := testing.AllocsPerRun(20, step); n != 0 {
		t.Errorf("%v allocations in a warm batch", n)
	}
	if len(out) < len(batch)/2 {
		t.Errorf("only %d points", len(out))
	}
}

func benchBatch(n int) []store.Committed {
	batch := make([]store.Committed, n)
	for i := range batch {
		var ls labels.Labels
		inst := fmt.Sprintf("10.0.%d.%d:9100", i/2560, i/10%256)
		switch i % 10 {
		case 0, 1, 2:
			ls = labels.FromStrings("__name__", "http_requests_total", "job", "shop/cart", "instance", inst, "code", "200", "path", fmt.Sprint("/", i))
		case 3, 4, 5:
			ls = labels.FromStrings("__name__", "process_resident_memory_bytes", "job", "shop/cart", "instance", inst, "k", fmt.Sprint(i))
		default:
			ls = labels.FromStrings("__name__", "http_request_duration_seconds_bucket", "job", "shop/cart", "instance", inst, "le", []string{"0.1", "0.5", "1", "+Inf"}[i%10-6])
		}
		batch[i] = store.Committed{Ref: storage.SeriesRef(i + 1), Labels: ls}
	}
	return batch
}

// deriveBench feeds one Deriver with a batch, timestamp after timestamp.
type deriveBench struct {
	d     *Deriver
	batch []store.Committed
	out   []telemetry.Point
	ts    int64
}

func newDeriveBench(series int) *deriveBench {
	return &deriveBench{d: NewDeriver(), batch: benchBatch(series), out: make([]telemetry.Point, 0, 2*series)}
}

func (b *deriveBench) step(part []store.Committed) {
	for i := range part {
		part[i].T, part[i].V = b.ts, part[i].V+float64(i%7)
	}
	b.out = b.d.Derive(part, b.out[:0])
}

func (b *deriveBench) all() {
	b.ts += 10_000
	b.step(b.batch)
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkDerive reports the time of one sample among 100,000 warm series (3
// counters, 3 gauges and 4 buckets in each ten) and the memory of one.
func BenchmarkDerive(b *testing.B) {
	const series = 100_000
	f := newDeriveBench(series)
	before := heapInUse()
	for range 3 {
		f.all()
	}
	held := heapInUse() - before
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += 1000 {
		from := n % series
		if from == 0 {
			f.ts += 10_000
		}
		f.step(f.batch[from : from+1000])
	}
	b.ReportMetric(float64(held)/series, "B/series")
}

// BenchmarkDeriveNewSeries reports what a series costs until it is warm, its
// first three samples included.
func BenchmarkDeriveNewSeries(b *testing.B) {
	const series = 10_000
	f := newDeriveBench(series)
	b.ReportAllocs()
	for n := 0; n < b.N; n += series {
		f.d = NewDeriver()
		for range 3 {
			f.all()
		}
	}
}
