// Package seed measures how long Norn needs until its models are ready, when
// weeks of samples are in its store and it has never run before.
//
// It exists because a monitor that learns for two weeks after it was installed
// watches nothing for two weeks. The history is made up: services whose series
// follow the day, counters, small whole numbers, zeros with a few bursts, and
// sparse ones with one point an hour or three a day. It is written through the
// importer; then the stores are opened as the server opens them, and the clock
// runs until that returns. It knows no engine: they are given as a [Target].
package seed

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/store"
)

// Options says how much history there is. Zero means the default in brackets.
type Options struct {
	Series   int     // [10,000]
	Days     float64 // [14]
	Step     int     // seconds between samples [300]
	Seed     uint64
	Progress func(share float64)
}

func (o Options) withDefaults() Options {
	if o.Series <= 0 {
		o.Series = 10_000
	}
	if o.Days <= 0 {
		o.Days = 14
	}
	if o.Step <= 0 {
		o.Step = 300
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
	return o
}

// Target is Norn with its stores below one directory.
type Target struct {
	// Store opens the metric store alone; history is written to it.
	Store func() (store.Import, io.Closer, error)
	// Open does what the server does before it serves.
	Open func(ctx context.Context) (Opened, error)
	// CPU is the processor time of this process.
	CPU func() time.Duration
}

// Opened is what can be asked of Norn when it is up.
type Opened interface {
	io.Closer
	// Models counts the models of single series.
	Models() Models
	// Together counts what is judged across series.
	Together() Together
}

// Models counts the detectors of single series.
type Models struct {
	Watched int // series
	Ready   int // of them judged
	Counted int // of these by a count model, because their points are few
	Bytes   int
}

// Together counts the joint models and what drives which series.
type Together struct {
	Entities int // with a joint model
	Ready    int // of them judged
	Driven   int // series with a driver
}

// Report is the outcome; its JSON names stay.
type Report struct {
	Series          int     `json:"series"`
	Days            float64 `json:"days"`
	Step            int     `json:"step_seconds"`
	Points          int     `json:"points"`
	ImportSeconds   float64 `json:"import_seconds"` // making the history included
	Seconds         float64 `json:"seconds"`        // until models are ready
	CPUSeconds      float64 `json:"cpu_seconds"`
	SeriesPerSecond float64 `json:"series_per_second"`
	PointsPerSecond float64 `json:"points_per_second"`
	NanosPerPoint   float64 `json:"cpu_ns_per_point"`
	Watched         int     `json:"watched"`
	ReadyShare      float64 `json:"ready_share"` // of the watched series
	Sparse          int     `json:"sparse_series"`
	CountModelShare float64 `json:"count_model_share"` // count models for each sparse series
	Joint           int     `json:"joint_entities"`
	JointReadyShare float64 `json:"joint_ready_share"`
	Driven          int     `json:"driven_series"`
	BytesPerSeries  int     `json:"bytes_per_series"`
}

// Run makes the history that ends at now (Unix ms) and measures.
func Run(ctx context.Context, o Options, now int64, to Target) (*Report, error) {
	o = o.withDefaults()
	r := &Report{Series: o.Series, Days: o.Days, Step: o.Step}
	began := time.Now()
	if err := r.write(ctx, o, now, to); err != nil {
		return nil, err
	}
	r.ImportSeconds = time.Since(began).Seconds()
	began, used := time.Now(), to.CPU()
	up, err := to.Open(ctx)
	if err != nil {
		return nil, err
	}
	r.Seconds, r.CPUSeconds = time.Since(began).Seconds(), (to.CPU() - used).Seconds()
	r.count(up)
	if err := up.Close(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Report) write(ctx context.Context, o Options, now int64, to Target) error {
	m, closer, err := to.Store()
	if err != nil {
		return err
	}
	defer closer.Close()
	all := fleet(o.Series, o.Seed)
	for _, x := range all {
		if x.shape == hourly || x.shape == thriceIn {
			r.Sparse++
		}
	}
	step := int64(o.Step) * 1000
	begin := now - int64(o.Days*dayMS)
	begin -= begin % step
	part := max(step, 6*hourMS/step*step) // whole steps
	var buf []store.ImportSample
	for t := begin; t < now; t += part {
		for _, x := range all {
			buf = x.samples(t, min(t+part, now), step, buf[:0])
			r.Points += len(buf)
			if err := m.Add(x.labels, buf); err != nil {
				return err
			}
		}
		if m.Full() {
			if err := m.Flush(ctx); err != nil {
				return err
			}
		}
		o.Progress(float64(t-begin) / float64(now-begin))
	}
	return m.Flush(ctx)
}

func (r *Report) count(up Opened) {
	m, t := up.Models(), up.Together()
	share := func(a, b int) float64 { return float64(a) / float64(max(1, b)) }
	r.Watched, r.ReadyShare, r.CountModelShare = m.Watched, share(m.Ready, m.Watched), share(m.Counted, r.Sparse)
	r.Joint, r.JointReadyShare, r.Driven = t.Entities, share(t.Ready, t.Entities), t.Driven
	r.BytesPerSeries = m.Bytes / max(1, m.Watched)
	r.SeriesPerSecond = float64(r.Series) / r.Seconds
	r.PointsPerSecond = float64(r.Points) / r.Seconds
	r.NanosPerPoint = r.CPUSeconds * 1e9 / float64(max(1, r.Points))
}

// Print writes the table.
func (r *Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "history\t%d series, %g days, a sample every %d s: %d samples\n", r.Series, r.Days, r.Step, r.Points)
	fmt.Fprintf(tw, "written\tin %.1f s, making it included\n", r.ImportSeconds)
	fmt.Fprintf(tw, "models ready\tafter %.1f s (%.1f s of processor time, %.0f ns a sample)\n", r.Seconds, r.CPUSeconds, r.NanosPerPoint)
	fmt.Fprintf(tw, "series\t%.0f a second, %.1f %% of %d ready, %d bytes each\n", r.SeriesPerSecond, 100*r.ReadyShare, r.Watched, r.BytesPerSeries)
	fmt.Fprintf(tw, "sparse series\t%d, %.1f %% with a count model\n", r.Sparse, 100*r.CountModelShare)
	fmt.Fprintf(tw, "entities judged jointly\t%d, %.1f %% ready\n", r.Joint, 100*r.JointReadyShare)
	fmt.Fprintf(tw, "series with a driver\t%d\n", r.Driven)
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	return nil
}
