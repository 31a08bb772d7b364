// Package ingest measures what Norn adds to the bare time series database:
// the same samples are appended once to the bare Prometheus TSDB and once
// through the whole pipeline (normalise, store, detect), alternately in one
// process, and the ratio of samples per CPU-second is printed.
//
// It asserts nothing and knows no engine: both sides are given as functions.
// Figures of a busy machine are noisy; the ratio of one run is what to read.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// Target is one side of the comparison.
type Target struct {
	Append storage.AppendableV2
	// Settle is called after the last commit, inside the measured time: it
	// waits for work that was put off.
	Settle func()
	Close  func() error
	// Detail reports the detector's own count of its state, in bytes; nil for
	// the bare side.
	StateBytes func() int
	Watched    func() int
}

// Options says how much work there is.
type Options struct {
	Series   int // 100,000
	Samples  int // a series; 60
	Batch    int // samples a commit; 1,000
	Rounds   int // pairs; 3
	Seed     uint64
	Progress func(done, total int)
}

// Report is the result; JSON names are stable.
type Report struct {
	Series              int     `json:"series"`
	SamplesPerSeries    int     `json:"samples_per_series"`
	Rounds              int     `json:"rounds"`
	BarePerCPUSecond    float64 `json:"bare_samples_per_cpu_second"`
	NornPerCPUSecond    float64 `json:"norn_samples_per_cpu_second"`
	Ratio               float64 `json:"ratio"`
	RatioMin            float64 `json:"ratio_min"`
	RatioMax            float64 `json:"ratio_max"`
	BareHeapPerSeries   float64 `json:"bare_heap_bytes_per_series"`
	NornHeapPerSeries   float64 `json:"norn_heap_bytes_per_series"`
	StateBytesPerSeries float64 `json:"state_bytes_per_series"`
	Watched             int     `json:"series_watched"`
}

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Series, 100_000)
	def(&o.Samples, 60)
	def(&o.Batch, 1_000)
	def(&o.Rounds, 3)
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

// Run measures both sides, each in a fresh directory per round.
func Run(ctx context.Context, o Options, bare, norn func(dir string) (Target, error)) (Report, error) {
	o = o.withDefaults()
	set := makeSeries(o)
	r := Report{Series: o.Series, SamplesPerSeries: o.Samples, Rounds: o.Rounds}
	var bares, norns, ratios []float64
	total := 2 * o.Rounds
	for round := range o.Rounds {
		b, err := measure(ctx, o, set, bare)
		if err != nil {
			return r, fmt.Errorf("cannot measure the bare TSDB: %w", err)
		}
		o.Progress(2*round+1, total)
		n, err := measure(ctx, o, set, norn)
		if err != nil {
			return r, fmt.Errorf("cannot measure the pipeline: %w", err)
		}
		o.Progress(2*round+2, total)
		bares, norns = append(bares, b.perCPU), append(norns, n.perCPU)
		ratios = append(ratios, n.perCPU/b.perCPU)
		r.BareHeapPerSeries, r.NornHeapPerSeries = b.heap, n.heap
		r.StateBytesPerSeries, r.Watched = n.state, n.watched
	}
	slices.Sort(bares)
	slices.Sort(norns)
	slices.Sort(ratios)
	mid := o.Rounds / 2
	r.BarePerCPUSecond, r.NornPerCPUSecond = bares[mid], norns[mid]
	r.Ratio, r.RatioMin, r.RatioMax = ratios[mid], ratios[0], ratios[len(ratios)-1]
	return r, nil
}

type outcome struct {
	perCPU, heap, state float64
	watched             int
}

func measure(ctx context.Context, o Options, set []labels.Labels, open func(string) (Target, error)) (out outcome, err error) {
	dir, err := os.MkdirTemp("", "norn-bench-ingest-")
	if err != nil {
		return out, fmt.Errorf("cannot make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	before := heap()
	t, err := open(dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	cpu := cpuSeconds()
	if err := pour(ctx, o, set, t.Append); err != nil {
		return out, err
	}
	if t.Settle != nil {
		t.Settle()
	}
	cpu = cpuSeconds() - cpu
	out.perCPU = float64(o.Series) * float64(o.Samples) / cpu
	out.heap = (heap() - before) / float64(o.Series)
	if t.StateBytes != nil {
		out.watched = t.Watched()
		out.state = float64(t.StateBytes()) / math.Max(1, float64(out.watched))
	}
	return out, nil
}

const interval = 10_000 // ms between the samples of a series

// pour appends sample by sample in time order, as scrapes do: references are
// kept, a commit holds one batch of series.
func pour(ctx context.Context, o Options, set []labels.Labels, to storage.AppendableV2) error {
	refs := make([]storage.SeriesRef, len(set))
	state := make([]float64, len(set))
	rnd := rand.New(rand.NewPCG(o.Seed, 1))
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()
	for k := range o.Samples {
		t := start + int64(k)*interval
		for lo := 0; lo < len(set); lo += o.Batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			app := to.AppenderV2(ctx)
			for i := lo; i < min(lo+o.Batch, len(set)); i++ {
				v := next(i, &state[i], rnd)
				ref, err := app.Append(refs[i], set[i], 0, t, v, nil, nil, storage.AOptions{})
				if err != nil {
					return fmt.Errorf("cannot append: %w", err)
				}
				refs[i] = ref
			}
			if err := app.Commit(); err != nil {
				return fmt.Errorf("cannot commit: %w", err)
			}
		}
	}
	return nil
}

// next gives the value of series i: a third each are counters, noisy gauges
// and gauges that hardly move.
func next(i int, state *float64, rnd *rand.Rand) float64 {
	switch i % 3 {
	case 0:
		*state += float64(rnd.IntN(20))
		return *state
	case 1:
		return 100 + 10*rnd.NormFloat64()
	}
	if rnd.IntN(50) == 0 {
		*state++
	}
	return *state
}

func makeSeries(o Options) []labels.Labels {
	names := []string{"http_requests_total", "process_cpu_usage_ratio", "queue_length"}
	out := make([]labels.Labels, o.Series)
	for i := range out {
		inst := i / 30
		out[i] = labels.FromStrings(labels.MetricName, names[i%3], "job", "shop/svc-"+strconv.Itoa(inst%200),
			"instance", "svc-"+strconv.Itoa(inst), "path", "/p"+strconv.Itoa(i%30))
	}
	return out
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return math.NaN()
	}
	return float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// Print writes the report as a table.
func (r Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%d series x %d samples, %d rounds\tsamples per CPU-second\theap bytes a series\n", r.Series, r.SamplesPerSeries, r.Rounds)
	fmt.Fprintf(w, "bare Prometheus TSDB\t%.0f\t%.0f\n", r.BarePerCPUSecond, r.BareHeapPerSeries)
	fmt.Fprintf(w, "Norn: normalise, store, detect\t%.0f\t%.0f\n", r.NornPerCPUSecond, r.NornHeapPerSeries)
	fmt.Fprintf(w, "ratio\t%.3f (%.3f to %.3f)\t\n", r.Ratio, r.RatioMin, r.RatioMax)
	fmt.Fprintf(w, "detector state\t%d series watched\t%.0f\n", r.Watched, r.StateBytesPerSeries)
	return w.Flush()
}
