package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ingest"
)

// Target is the pipeline as the driver sees it.
type Target interface {
	ingest.Sink
	// ObserveEdges adds topology that the recording states.
	ObserveEdges(edges []graph.Edge)
	// Quiet turns alarms off (true) while models learn, and on again.
	Quiet(on bool)
	// Tick does what is due at now (Unix ms, the data's clock).
	Tick(ctx context.Context, now int64) error
}

// DriveOptions says how a recording is driven.
type DriveOptions struct {
	Metrics  storage.AppendableV2
	Tick     int64                 // ms of the data's clock between ticks (10,000)
	Progress func(done float64)    // share of the data's time, 0..1; may be nil
	Refused  func(what error)      // a sample that the store refused; may be nil
	Observed func(now int64) error // called after each tick; may be nil
}

// longGap is the stretch without data (ms) inside which ticks are not needed
// any more: everything is silent and every window is closed.
const longGap = 30 * 60_000

// Drive pushes a whole recording through the pipeline on the data's own
// clock, as fast as it can. It ends with enough ticks after the last item for
// windows to close and incidents to be judged.
func Drive(ctx context.Context, rec *Recording, to Target, o DriveOptions) error {
	if o.Tick <= 0 {
		o.Tick = 10_000
	}
	d := driver{rec: rec, to: to, o: o, now: rec.Start}
	for {
		item, err := rec.Feed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("cannot read on in %s: %w", rec.Name, err)
		}
		if err := d.until(ctx, item.T-1); err != nil {
			return err
		}
		if err := d.push(ctx, &item); err != nil {
			return fmt.Errorf("cannot push %s at %d: %w", rec.Name, item.T, err)
		}
	}
	to.Quiet(false)
	return d.until(ctx, d.now+longGap)
}

type driver struct {
	rec *Recording
	to  Target
	o   DriveOptions
	now int64 // of the last tick
}

// until ticks up to time t.
func (d *driver) until(ctx context.Context, t int64) error {
	if t-d.now > longGap+d.o.Tick {
		// Close what was open, then jump over the gap.
		if err := d.until(ctx, d.now+longGap); err != nil {
			return err
		}
		d.now = t - d.o.Tick
	}
	for d.now+d.o.Tick <= t {
		d.now += d.o.Tick
		d.to.Quiet(d.warmup(d.now))
		if err := d.to.Tick(ctx, d.now); err != nil {
			return err
		}
		if d.o.Observed != nil {
			if err := d.o.Observed(d.now); err != nil {
				return err
			}
		}
		if d.o.Progress != nil && d.rec.End > d.rec.Start {
			d.o.Progress(min(1, float64(d.now-d.rec.Start)/float64(d.rec.End-d.rec.Start)))
		}
	}
	return ctx.Err()
}

func (d *driver) warmup(t int64) bool {
	for _, w := range d.rec.Warmups {
		if t >= w.From && t <= w.To {
			return true
		}
	}
	return false
}

func (d *driver) push(ctx context.Context, item *Item) error {
	d.to.ObserveEdges(item.Edges)
	if err := d.samples(ctx, item.Samples); err != nil {
		return err
	}
	var errs error
	if len(item.Changes) > 0 {
		_, err := d.to.Changes(ctx, item.Changes)
		errs = errors.Join(errs, err)
	}
	if len(item.Logs) > 0 {
		_, err := d.to.Logs(ctx, item.Logs)
		errs = errors.Join(errs, err)
	}
	if len(item.Spans) > 0 {
		_, err := d.to.Spans(ctx, item.Spans)
		errs = errors.Join(errs, err)
	}
	if len(item.Alerts) > 0 {
		_, err := d.to.Alerts(ctx, item.Alerts)
		errs = errors.Join(errs, err)
	}
	return errs
}

func (d *driver) samples(ctx context.Context, list []Sample) error {
	if len(list) == 0 {
		return nil
	}
	app := d.o.Metrics.AppenderV2(ctx)
	for i := range list {
		s := &list[i]
		var opts storage.AOptions
		opts.Metadata.Type, opts.Metadata.Unit = metricType(s.Type), s.Unit
		if _, err := app.Append(0, s.Labels, 0, s.T, s.V, nil, nil, opts); err != nil && d.o.Refused != nil {
			d.o.Refused(fmt.Errorf("%s at %d: %w", s.Labels, s.T, err))
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("cannot store %d samples: %w", len(list), err)
	}
	return nil
}

func metricType(s string) model.MetricType { return model.MetricType(s) }
