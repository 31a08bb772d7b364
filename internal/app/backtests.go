package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/backtest"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
)

const (
	longestBacktest = 31 * 24 * time.Hour
	keptBacktests   = 10
)

var _ api.Backtester = (*backtests)(nil)

// backtests runs one backtest at a time beside the server and keeps the
// results of the last ones. It is safe for concurrent use.
type backtests struct {
	cfg     config.Config
	pipe    *pipeline.Pipeline
	history pipeline.History
	state   store.State
	ctx     context.Context // ends all jobs
	end     context.CancelFunc

	mu   sync.Mutex // guards what follows
	list []*api.Backtest
	stop context.CancelFunc // of the job that runs, nil when none does
	wg   sync.WaitGroup
	next int
}

func newBacktests(cfg config.Config, p *pipeline.Pipeline, h pipeline.History, st store.State) *backtests {
	b := &backtests{cfg: cfg, pipe: p, history: h, state: st}
	b.ctx, b.end = context.WithCancel(context.Background())
	return b
}

// run waits for the end of the server, ends the job that runs, and waits for
// it.
func (b *backtests) run(ctx context.Context) error {
	<-ctx.Done()
	b.end()
	b.wg.Wait()
	return nil
}

// StartBacktest begins one.
func (b *backtests) StartBacktest(from, to int64, change string, wished *rules.Config) (api.Backtest, error) {
	if from >= to {
		return api.Backtest{}, fmt.Errorf("%w: from is not before to", api.ErrInvalid)
	}
	if d := time.Duration(to-from) * time.Millisecond; d > longestBacktest {
		return api.Backtest{}, fmt.Errorf("%w: a range of %s is too long, at most %s", api.ErrInvalid, d, longestBacktest)
	}
	proposed, err := b.cfg, error(nil)
	if change != "" {
		proposed, err = config.Change(b.cfg, []byte(change))
	}
	if err != nil {
		return api.Backtest{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	_, stored, _ := b.pipe.Wishes()
	if wished == nil {
		wished = &stored
	}
	if err := checkChange(proposed, *wished); err != nil {
		return api.Backtest{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		return api.Backtest{}, fmt.Errorf("%w: a backtest runs already (%s); wait for it, or stop it", api.ErrConflict, b.list[len(b.list)-1].ID)
	}
	ctx, stop := context.WithCancel(b.ctx)
	b.stop = stop
	b.next++
	var shown *rules.Config
	if wished != &stored {
		shown = wished
	}
	x := &api.Backtest{ID: "bt-" + strconv.FormatInt(time.Now().Unix(), 36) + "-" + strconv.Itoa(b.next), State: api.BacktestRuns, From: from, To: to, Change: change, Stored: shown, Started: time.Now().UnixMilli()}
	b.list = append(b.list, x)
	if len(b.list) > keptBacktests {
		b.list = b.list[1:]
	}
	j := backtestJob{present: b.cfg, stored: stored, wished: *wished, proposed: proposed, from: from, to: to, fixed: true, graph: b.pipe.GraphAt(time.Now().UnixMilli()), progress: func(done float64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		x.Progress = done
	}}
	b.wg.Add(1)
	go func() { // ends with ctx; run waits for it
		defer b.wg.Done()
		r, err := j.run(ctx, b.history, b.state)
		stop()
		b.done(x, r, err)
	}()
	return *x, nil
}

func (b *backtests) done(x *api.Backtest, r *backtest.Report, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = nil
	x.Finished = time.Now().UnixMilli()
	switch {
	case errors.Is(err, context.Canceled):
		x.State = api.BacktestStopped
	case err != nil:
		x.State, x.Error = api.BacktestFailed, err.Error()
	default:
		x.State, x.Progress, x.Report = api.BacktestDone, 1, r
	}
}

// Backtest gives one.
func (b *backtests) Backtest(id string) (api.Backtest, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.list {
		if x.ID == id {
			return *x, nil
		}
	}
	return api.Backtest{}, fmt.Errorf("backtest %q: %w", id, store.ErrNotFound)
}

// Backtests lists those that are kept, the newest first, without reports.
func (b *backtests) Backtests() []api.Backtest {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]api.Backtest, 0, len(b.list))
	for i := len(b.list) - 1; i >= 0; i-- {
		x := *b.list[i]
		x.Report = nil
		out = append(out, x)
	}
	return out
}

// StopBacktest ends one that runs; one that has ended stays as it is.
func (b *backtests) StopBacktest(id string) (api.Backtest, error) {
	x, err := b.Backtest(id)
	if err != nil || x.State != api.BacktestRuns {
		return x, err
	}
	b.mu.Lock()
	if b.stop != nil && b.list[len(b.list)-1].ID == id {
		b.stop()
	}
	b.mu.Unlock()
	return x, nil
}
