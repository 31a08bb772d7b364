package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/backtest"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/store/tsdb"
)

const (
	backtestWarmup = 30 * 24 * 3600_000 // ms of history before the range that are read, at most
	backtestSlice  = 30 * 60_000        // ms of history in memory at a time
	maxMarked      = 10_000
)

// backtestJob is what one backtest needs.
type backtestJob struct {
	present  config.Config
	stored   rules.Config // set through the API, in force under the present settings
	wished   rules.Config // the same under the proposed settings
	proposed config.Config
	from, to int64 // Unix ms
	parallel bool
	graph    *graph.View // who calls whom, today
	// fixed leaves out plugins whose modules the present settings do not name:
	// who sends a change to a server may not have it open files.
	fixed    bool
	progress func(done float64)
}

// run reads history and marks and compares.
func (j backtestJob) run(ctx context.Context, h pipeline.History, st store.State) (_ *backtest.Report, err error) {
	oldest, newest, ok := h.Bounds()
	if !ok || oldest > j.to {
		return nil, fmt.Errorf("%w: no samples are stored up to the end of the range", backtest.ErrRange)
	}
	if newest < j.from {
		return nil, fmt.Errorf("%w: the newest sample, of %s, is older than the range", backtest.ErrRange, time.UnixMilli(newest).UTC().Format(time.RFC3339))
	}
	var marks []backtest.Marked
	if st != nil {
		ins, err := st.Incidents(ctx, store.IncidentFilter{From: j.from, To: j.to, Limit: maxMarked})
		if err != nil {
			return nil, fmt.Errorf("cannot read marked incidents: %w", err)
		}
		marks = backtest.MarkedOf(ins)
	}
	present, left := j.plugins(ctx, j.present)
	defer func() { err = errors.Join(err, closePlugins(present)) }()
	proposed, more := j.plugins(ctx, j.proposed)
	defer func() { err = errors.Join(err, closePlugins(proposed)) }()
	asked, err := stagePlugins(present)
	if err != nil {
		return nil, err
	}
	wished, err := stagePlugins(proposed)
	if err != nil {
		return nil, err
	}
	begin, end := max(oldest, j.from-backtestWarmup), min(newest, j.to)
	o := backtest.Options{
		From: j.from, To: j.to, Marks: marks, Parallel: j.parallel, CPU: ThreadCPU,
		Present:  backtest.Setup{Detect: stageConfig(j.present).Detect, Rules: []rules.Config{j.present.Detect.Config, j.stored}, Plugins: asked},
		Proposed: backtest.Setup{Detect: stageConfig(j.proposed).Detect, Rules: []rules.Config{j.proposed.Detect.Config, j.wished}, Plugins: wished},
		Notes:    slices.Concat(j.notes(), left, more), Graph: j.graph,
		Progress: func(t int64) {
			if j.progress != nil && end > begin {
				j.progress(float64(t-begin) / float64(end-begin))
			}
		},
	}
	return backtest.Run(ctx, pipeline.ReadHistory(ctx, h, begin, end, backtestSlice), o)
}

// notes says what the comparison leaves out.
func (j backtestJob) notes() []string {
	out := []string{"not replayed: new log templates and unusual orders of log lines (their rates are series, and are), other tools' alerts, burning objectives, and grouping into incidents",
		"importance for tiers is that of signals and rules; who looked at a series, and which entity was in an incident, is not known of the past"}
	if j.graph == nil {
		out = append(out, "who calls whom is not known: only an entity's own load can explain its series")
	} else {
		out = append(out, "who calls whom is taken as it is today")
	}
	known := map[string]bool{}
	for _, m := range j.present.Detect.CustomMetrics {
		known[m.Name] = true
	}
	var fresh []string
	for _, m := range j.stored.CustomMetrics {
		known[m.Name] = true
	}
	for _, m := range slices.Concat(j.proposed.Detect.CustomMetrics, j.wished.CustomMetrics) {
		if !known[m.Name] {
			fresh = append(fresh, m.Name)
		}
	}
	if len(fresh) > 0 {
		out = append(out, "custom metrics that the change adds have no history and are not judged: "+strings.Join(fresh, ", "))
	}
	return out
}

// plugins loads the modules of one side, apart from those that are at work and
// from the other side's, and says which are left out.
func (j backtestJob) plugins(ctx context.Context, c config.Config) (list []loadedPlugin, notes []string) {
	wanted := c.Detect.Plugins
	if j.fixed {
		wanted = nil
		for _, x := range c.Detect.Plugins {
			if slices.ContainsFunc(j.present.Detect.Plugins, func(y config.Plugin) bool { return y.Path == x.Path }) {
				wanted = append(wanted, x)
				continue
			}
			notes = append(notes, "plugins whose module the configuration file does not name are not loaded through the API: "+x.Name)
		}
	}
	return loadPlugins(ctx, wanted, slog.New(slog.DiscardHandler)), notes
}

// knownGraph is what a state store knows of who calls whom; nil for nothing.
func knownGraph(ctx context.Context, st store.State) (*graph.View, error) {
	edges, err := st.Edges(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read who calls whom: %w", err)
	}
	if len(edges) == 0 {
		return nil, nil
	}
	return graph.NewView(edges), nil
}

// Backtest tries a change on the history in the data directory of cfg, which
// it only reads. change is a YAML fragment; from and to are Unix ms.
func Backtest(ctx context.Context, cfg config.Config, change []byte, from, to int64, progress func(done float64)) (_ *backtest.Report, err error) {
	proposed, err := config.Change(cfg, change)
	if err != nil {
		return nil, err
	}
	past, err := tsdb.OpenPast(filepath.Join(cfg.Storage.Dir, "metrics"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, past.Close()) }()
	j := backtestJob{present: cfg, proposed: proposed, from: from, to: to, parallel: true, progress: progress}
	st, err := pastState(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return j.run(ctx, past, nil)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if j.stored, err = pipeline.StoredWishes(ctx, st); err != nil {
		return nil, err
	}
	j.wished = j.stored
	if j.graph, err = knownGraph(ctx, st); err != nil {
		return nil, err
	}
	if err := checkChange(proposed, j.wished); err != nil {
		return nil, err
	}
	return j.run(ctx, past, st)
}

// pastState opens the state store to read; nil when there is none.
func pastState(ctx context.Context, cfg config.Config) (*state.DB, error) {
	url := stateURL(cfg.Storage)
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	st, err := state.OpenPast(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("cannot read the state store: %w", err)
	}
	return st, nil
}

// checkChange holds the proposed settings against what was set through the
// API: names must be unique over both.
func checkChange(proposed config.Config, stored rules.Config) error {
	if _, err := rules.Compile(time.LoadLocation, proposed.Detect.Config, stored); err != nil {
		return fmt.Errorf("%w: it does not fit what was set through the API: %w", config.ErrChange, err)
	}
	return nil
}
