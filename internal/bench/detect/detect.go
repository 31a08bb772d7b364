// Package detect measures what one point costs the detector alone, and what
// one series costs it in memory: without a store, without derivation, on one
// core.
//
// Time is processor time of the one thread that judges. It asserts nothing. Run must not be called concurrently: it measures the whole
// process's allocations. The main type is [Report].
package detect

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options says how much work there is; 0 means the default in brackets.
type Options struct {
	Series int // 20,000: far more than fit into the processor's own caches
	Points int // a series and age that are measured; 64
	Warm   int // points of a warm series before the measurement; 600
	Seed   uint64
	// Progress is called with the share that is done, 0 to 1.
	Progress func(done float64)

	full    bool // measure the full tier
	counter bool // measure the counter tier
}

// Report is the result; JSON names are stable.
type Report struct {
	Series int   `json:"series"`
	Tiers  []Row `json:"tiers"`
}

// Row is the price of one tier for series of one age.
type Row struct {
	Tier           string  `json:"tier"`
	Age            string  `json:"age"`                    // young: from the first point on; warm: all members speak
	PointsBefore   int     `json:"points_before"`          // a series, before the measurement
	NsPerPoint     float64 `json:"ns_per_point"`           // of processor time, mean
	NsPerPointHot  float64 `json:"ns_per_point_hot"`       // the same when all state lies in the caches
	BytesPerSeries float64 `json:"bytes_per_series"`       // on the heap, afterwards
	StatePerSeries float64 `json:"state_bytes_per_series"` // by the detector's own count
	AllocsPerPoint float64 `json:"allocs_per_point"`
}

func (o Options) withDefaults() Options {
	for _, x := range []struct {
		v *int
		d int
	}{{&o.Series, 20_000}, {&o.Points, 64}, {&o.Warm, 600}} {
		if *x.v <= 0 {
			*x.v = x.d
		}
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
	return o
}

// Run measures the detector.
func Run(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r := Report{Series: o.Series}
	ages := []struct {
		name   string
		before int
	}{{"young", 0}, {"warm", o.Warm}}
	for i, tier := range []string{"basic", "full", "counter"} {
		o.full, o.counter = tier == "full", tier == "counter"
		for k, age := range ages {
			if o.counter && age.before == 0 {
				continue // it has no age
			}
			row := Row{Tier: tier, Age: age.name, PointsBefore: age.before}
			row.NsPerPointHot = measureHot(o, age.before)
			if err := measure(ctx, o, age.before, &row); err != nil {
				return r, err
			}
			r.Tiers = append(r.Tiers, row)
			o.Progress(float64(len(ages)*i+k+1) / float64(3*len(ages)))
		}
	}
	return r, nil
}

// measure plays one fleet and fills the row.
func measure(ctx context.Context, o Options, before int, row *Row) error {
	f := newFleet(o)
	start := memory()
	e := detect.New(o.config())
	for range before {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.round(e)
	}
	runtime.GC()
	var sum float64
	allocs := mallocs()
	for range o.Points {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum += f.round(e)
	}
	late := threadTime()
	e.Settle()
	sum += float64(threadTime()-late) / float64(o.Series)
	points := float64(o.Points) * float64(o.Series)
	row.AllocsPerPoint = float64(mallocs()-allocs) / points
	row.NsPerPoint = sum / float64(o.Points)
	row.BytesPerSeries = (memory() - start) / float64(o.Series)
	row.StatePerSeries = float64(e.StateBytes()) / float64(o.Series)
	runtime.KeepAlive(f)
	return nil
}

// config is the engine's. Without memory, all series but the first begin in
// the counter tier.
func (o Options) config() detect.Config {
	c := detect.Config{Hold: hold, Full: o.Series}
	if o.counter {
		c.Memory = 1
	}
	return c
}

// measureHot gives the nanoseconds a point of few series. They are played again
// and again from their first point, because young series soon are old.
func measureHot(o Options, before int) float64 {
	o.Series = min(hotSeries, o.Series)
	var times []float64
	for range 25 {
		f := newFleet(o)
		e := detect.New(o.config())
		for range before {
			f.round(e)
		}
		rounds := make([][]telemetry.Point, o.Points)
		for i := range rounds {
			f.advance()
			rounds[i] = slices.Clone(f.points)
		}
		start := threadTime()
		for _, pts := range rounds {
			e.ObserveBatch(pts, drop)
		}
		e.Settle()
		times = append(times, float64(threadTime()-start)/float64(o.Points*o.Series))
	}
	return median(times)
}

func drop(*ops.Anomaly) {}

// fleet is a set of series that all send at the same time: a third each are
// rates of a counter, noisy gauges, and gauges that hardly move.
type fleet struct {
	rnd    *rand.Rand
	points []telemetry.Point
	seats  []telemetry.Seat
	state  []float64
	t      int64 // Unix ms
}

const (
	hotSeries = 300
	hold      = 60_000 // ms that calm points may wait, as in production
	interval  = 10_000 // ms
	batch     = 1_000  // points handed over together
)

func newFleet(o Options) *fleet {
	f := &fleet{
		rnd:    rand.New(rand.NewPCG(o.Seed, 1)),
		points: make([]telemetry.Point, o.Series),
		state:  make([]float64, o.Series),
		seats:  make([]telemetry.Seat, o.Series),
		t:      time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli(),
	}
	signals := []telemetry.Signal{telemetry.SignalTraffic, telemetry.SignalSaturation, telemetry.SignalSaturation}
	if o.full { // which is for series whose signal is not known
		signals = []telemetry.Signal{telemetry.SignalOther, telemetry.SignalOther, telemetry.SignalOther}
	}
	for i := range f.points {
		f.points[i].Seat = &f.seats[i]
		f.points[i].Series = &telemetry.Series{
			ID: telemetry.SeriesID(f.rnd.Uint64()), Name: "series " + strconv.Itoa(i), Signal: signals[i%3],
			Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "s" + strconv.Itoa(i/30)},
		}
	}
	return f
}

// round gives every series one point and returns the nanoseconds of processor
// time that each took.
func (f *fleet) round(e *detect.Engine) float64 {
	f.advance()
	start := threadTime()
	for rest := f.points; len(rest) > 0; {
		part := rest[:min(batch, len(rest))]
		rest = rest[len(part):]
		e.ObserveBatch(part, drop)
	}
	return float64(threadTime()-start) / float64(len(f.points))
}

// advance moves every point to the next moment.
func (f *fleet) advance() {
	f.t += interval
	for i := range f.points {
		f.points[i].T, f.points[i].V = f.t, f.next(i)
	}
}

func (f *fleet) next(i int) float64 {
	switch i % 3 {
	case 0:
		return float64(f.rnd.IntN(20)) / 10
	case 1:
		return 100 + 10*f.rnd.NormFloat64()
	}
	if f.rnd.IntN(50) == 0 {
		f.state[i] = float64(f.rnd.IntN(3))
	}
	return 50 + f.state[i]
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	return x[len(x)/2]
}

func memory() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// Print writes the report as a table.
func (r Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "detector alone, one core, %d series\tns a point\tns in cache\tbytes a series\town count\tallocations a point\n", r.Series)
	for _, t := range r.Tiers {
		fmt.Fprintf(w, "%s, %s (after %d points)\t%.0f\t%.0f\t%.0f\t%.0f\t%.4f\n",
			t.Tier, t.Age, t.PointsBefore, t.NsPerPoint, t.NsPerPointHot, t.BytesPerSeries, t.StatePerSeries, t.AllocsPerPoint)
	}
	return w.Flush()
}
