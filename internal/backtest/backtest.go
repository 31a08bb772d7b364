// Package backtest tries a change of detection's settings on stored history
// before it goes live.
//
// It exists so that an operator sees what a change would have done: history is
// judged twice, under the present settings and under the proposed ones, each time
// by all that judges metrics in production: every series by itself (seasons,
// counts, tiers), given its load, jointly with the others of its entity, and by
// plugins. The alarms of both are compared, with what each costs.
// Incidents that operators marked as real or as noise are the test set. History
// comes in as an iterator; the package opens no store, groups no anomalies into
// incidents and reads no logs. [Run] is the way in; several may run at once.
package backtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
)

// Setup is one set of settings.
type Setup struct {
	Detect  detect.Config
	Rules   []rules.Config    // of the configuration file, of the API
	Plugins []pipeline.Plugin // that nothing else asks; each side has its own
}

// Options says what to compare.
type Options struct {
	From, To          int64 // Unix ms; alarms are compared in [From, To]
	Present, Proposed Setup
	Marks             []Marked
	Notes             []string             // go into the report
	Graph             *graph.View          // who calls whom; nil when it is not known
	Tick              int64                // ms of the data's clock between two looks for silence; 0 means 30 s
	Parallel          bool                 // judge both at once, on two processors
	CPU               func() time.Duration // processor time of this thread; nil takes the clock's
	Progress          func(t int64)        // called with the data's time (Unix ms)
}

// History is stored samples in slices, each in order of time and none before
// the last of the slice before it. What lies before Options.From teaches the
// models and raises nothing.
type History = iter.Seq2[[]store.Committed, error]

// ErrRange is returned (wrapped) when there is nothing to compare.
var ErrRange = errors.New("nothing to compare")

// Run judges history under both setups. It holds one slice of history, the
// states of two engines and at most [MaxAlarms] alarms of each side. It ends
// with ctx, then with ctx's error.
func Run(ctx context.Context, history History, o Options) (*Report, error) {
	if o.From >= o.To {
		return nil, fmt.Errorf("%w: from (%s) is not before to (%s)", ErrRange, stamp(o.From), stamp(o.To))
	}
	if o.Tick <= 0 {
		o.Tick = 30_000
	}
	var sides [2]*side
	for i, s := range []Setup{o.Present, o.Proposed} {
		var err error
		if sides[i], err = newSide(ctx, s, &o); err != nil {
			return nil, fmt.Errorf("cannot use the %s settings: %w", []string{"present", "proposed"}[i], err)
		}
	}
	var samples uint64
	first := int64(0)
	for batch, err := range history {
		if err != nil {
			return nil, fmt.Errorf("cannot read history: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(batch) == 0 {
			continue
		}
		if samples == 0 {
			first = batch[0].T
		}
		samples += uint64(len(batch))
		both(sides, o.Parallel, func(s *side) { s.feed(batch) })
		if o.Progress != nil {
			o.Progress(batch[len(batch)-1].T)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if samples == 0 {
		return nil, fmt.Errorf("%w: no samples are stored up to %s", ErrRange, stamp(o.To))
	}
	both(sides, o.Parallel, (*side).finish)
	r := compare(sides[0], sides[1])
	r.From, r.To, r.WarmupFrom, r.Samples = o.From, o.To, first, samples
	r.Marks = judgeMarks(o.Marks, &o, sides[0], sides[1])
	r.Notes = slices.Concat(r.Notes, o.Notes)
	if first > o.From-minWarmup {
		r.Notes = append(r.Notes, fmt.Sprintf("only %s of history lie before the range: models were young, so alarms early in it say little",
			time.Duration(max(0, o.From-first)*1e6).Round(time.Minute)))
	}
	return r, nil
}

// minWarmup is the history (ms) without which the report warns.
const minWarmup = 24 * 3600_000

// both runs f for either side, with the processor time that it takes counted.
func both(sides [2]*side, parallel bool, f func(*side)) {
	run := func(s *side) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		began := s.now()
		f(s)
		s.cpu += s.now() - began
	}
	if !parallel {
		run(sides[0])
		run(sides[1])
		return
	}
	var g errgroup.Group
	for _, s := range sides {
		g.Go(func() error { run(s); return nil })
	}
	_ = g.Wait() // they return no errors
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
