// Package pipeline is the order of the stages: what arrives is normalised,
// made durable, turned into topology, templates and detection series, judged,
// grouped into incidents, and explained.
//
// It exists so that one file shows the way of the data. It knows the storage
// contracts but no engine, and no protocol. Everything that happens at a time
// of its own happens in [Pipeline.Tick], whose clock is an argument: the wall
// clock in production, the data's own clock in replay and benchmarks.
//
// [Pipeline] is safe for concurrent use. Receivers call it from many
// goroutines; Tick must not run twice at once and guards itself.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/capacity"
	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/logmine/sequence"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/slo"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/norn-aiops/norn/internal/topology"
)

// Config holds the settings of all stages. The zero value of a stage's part
// means that stage's defaults.
type Config struct {
	Normalize normalize.LogConfig
	Topology  topology.Config
	Logmine   logmine.Config
	Detect    detect.Config
	Incident  incident.Config
	Cause     cause.Config
	Rules     rules.Config      // what the configuration file says about detection
	Plugins   []Plugin          // detectors of the user's own
	Teams     []Team            // who looks after what; the first that matches an entity has it
	SLOs      []slo.Config      // that were declared
	Capacity  []capacity.Config // things with limits that were declared

	GraphExpiry      time.Duration // an edge not seen for this long is gone (1 h)
	SnapshotEvery    time.Duration // of Tick's clock; model state to the state store (1 min)
	EvidenceLookback time.Duration // baseline of cause analysis before the onset (2 h)
	MaxQueue         int           // anomalies waiting for the next tick (50,000); beyond it the newest are dropped and counted
	// TopologyGiven says that the edges come from the feed itself (replay of
	// data sets without spans), so that none expire.
	TopologyGiven bool
	// DataClock says that the receive time is the last Tick, not the wall clock.
	DataClock bool
}

// Stores are the engines that the pipeline writes to.
type Stores struct {
	Metrics store.Metrics
	Logs    store.Logs
	Traces  store.Traces
	State   store.State
}

// History reads back what a metric store holds, to bring detector state up to
// date after a restart.
type History interface {
	// SelectAll visits every float series with samples in [from, to] (Unix ms).
	SelectAll(ctx context.Context, from, to int64, visit func(ls labels.Labels, samples []telemetry.Sample)) error
	// Bounds returns the times (Unix ms) of the oldest and newest sample; ok is
	// false when the store is empty.
	Bounds() (oldest, newest int64, ok bool)
	// Metadata returns the type and unit that senders gave a metric.
	Metadata(name string) (typ, unit string)
}

// Archive is a History whose series can be read one by one and from several
// goroutines, each with a shelf of its own.
type Archive interface {
	History
	// Shelf opens the series with samples in [from, to] (Unix ms) for which keep
	// is true.
	Shelf(ctx context.Context, from, to int64, keep func(labels.Labels) bool) (store.Shelf, error)
	// Chunks is about how many chunks of 120 samples there are.
	Chunks() int
}

// Pipeline runs the stages in order.
type Pipeline struct {
	cfg Config
	log *slog.Logger
	met *meters

	st Stores

	logs     *normalize.LogNormalizer
	derive   *normalize.Deriver
	topo     *topology.Builder
	miner    *logmine.Miner
	order    *sequence.Model // of log lines within requests
	both     *Together
	places   places
	engine   *detect.Engine
	graph    *graph.Graph
	corr     *incident.Correlator
	queue    anomalyQueue
	subs     subscribers
	deploys  deployTimes
	quiet    atomic.Bool  // history is being read: learn, do not alarm
	clock    atomic.Int64 // Tick's latest now, Unix ms
	openNow  openIncidents
	received atomic.Int64 // Unix ms of the newest arrival
	started  time.Time
	wishes   wishes  // of operators
	muted    muteLog // what they did not want to hear
	custom   customMetrics
	plugins  plugins
	balance  balance
	owners   *owners
	slos     sloBook
	limits   limits

	logHistory logHistory

	tickMu       sync.Mutex
	lastSnapshot int64
	windows      incidentWindows
	points       sync.Pool
}

// New makes a pipeline without stores; nothing may be handed to it before
// [Pipeline.Open], except that its [Pipeline.OnCommit] can be given to the
// metric store that is about to be opened.
//
// The error names a mask pattern or a rule that cannot be used.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Pipeline, error) {
	cfg = cfg.withDefaults()
	engine := detect.New(cfg.Detect)
	own, err := newOwners(cfg.Teams)
	if err != nil {
		return nil, err
	}
	cfg.Incident.Budget.Watched, cfg.Incident.Budget.Team, cfg.Incident.Budget.Teams = watched(engine, own), own.team, own.budgets()
	logs, err := normalize.NewLogs(cfg.Normalize)
	if err != nil {
		return nil, fmt.Errorf("cannot normalise logs: %w", err)
	}
	expiry := cfg.GraphExpiry.Milliseconds()
	if cfg.TopologyGiven {
		expiry = 1 << 60
	}
	p := &Pipeline{
		cfg: cfg, log: log, met: newMeters(reg),
		logs: logs, derive: normalize.NewDeriver(),
		topo: topology.New(cfg.Topology), miner: logmine.New(cfg.Logmine),
		engine: engine, graph: graph.New(expiry), corr: incident.New(cfg.Incident),
		queue: anomalyQueue{max: cfg.MaxQueue}, both: NewTogether(),
		started: time.Now(), owners: own,
	}
	if err := p.slos.init(cfg, reg, log); err != nil {
		return nil, err
	}
	p.limits.init(cfg.Capacity, reg, log)
	if err := p.wishes.init(cfg.Rules); err != nil {
		return nil, err
	}
	if err := p.plugins.init(cfg.Plugins, cfg.Detect.Sensitivity); err != nil {
		return nil, err
	}
	p.derive.SetDescribe(p.describe)
	refusedValues(reg, p.derive)
	maskedSecrets(reg, p.logs)
	p.order = sequence.New(sequence.Config{Resolve: p.miner.Resolve, Text: p.templateName})
	suppressed(reg, p.corr)
	p.points.New = func() any { s := make([]telemetry.Point, 0, 1024); return &s }
	return p, nil
}

func (c Config) withDefaults() Config {
	if c.GraphExpiry <= 0 {
		c.GraphExpiry = time.Hour
	}
	if c.SnapshotEvery <= 0 {
		c.SnapshotEvery = time.Minute
	}
	if c.EvidenceLookback <= 0 {
		c.EvidenceLookback = 2 * time.Hour
	}
	if c.MaxQueue <= 0 {
		c.MaxQueue = 50_000
	}
	return c
}

// Open attaches the stores, loads the state of the last run and lets the
// detectors catch up with what the metric store has received since. now is
// Unix ms.
func (p *Pipeline) Open(ctx context.Context, st Stores, now int64) error {
	p.st = st
	p.clock.Store(now)
	return p.restore(ctx, now)
}

// Run calls Tick on the wall clock every interval until ctx ends, then saves
// the state of all models.
func (p *Pipeline) Run(ctx context.Context, interval time.Duration) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	var beside sync.WaitGroup
	beside.Go(func() { p.runPlugins(ctx) })
	beside.Go(func() { p.runCapacity(ctx) })
	defer beside.Wait()
	for {
		select {
		case <-ctx.Done():
			save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			return p.Save(save)
		case now := <-t.C:
			if err := p.Tick(ctx, now.UnixMilli()); err != nil && !errors.Is(err, context.Canceled) {
				p.log.Error("tick failed", "err", err)
			}
		}
	}
}

// OnCommit is the tap of the metric store: samples that were committed become
// detection points, and points that deviate become anomalies waiting for the
// next tick. It keeps nothing of batch.
func (p *Pipeline) OnCommit(batch []store.Committed) { p.observe(p.derive, batch) }

func (p *Pipeline) observe(d *normalize.Deriver, batch []store.Committed) {
	buf := p.points.Get().(*[]telemetry.Point)
	pts := d.Derive(batch, (*buf)[:0])
	quiet := p.quiet.Load()
	p.timed(func() {
		p.engine.ObserveBatch(pts, func(a *ops.Anomaly) {
			if !quiet {
				p.queue.push(*a)
			}
		})
	})
	if len(p.plugins.list) > 0 {
		p.offer(pts, quiet)
	}
	p.met.samples.Add(float64(len(batch)))
	p.met.points.Add(float64(len(pts)))
	clear(pts)
	*buf = pts
	p.points.Put(buf)
}

// OnDelete is called by the metric store when a series left its head.
func (p *Pipeline) OnDelete(ref storage.SeriesRef) { p.derive.Forget(ref) }

// Quiet turns alarms off while history is read in, and on again. Models learn
// all the same.
func (p *Pipeline) Quiet(on bool) {
	switch {
	case on:
		p.quiet.Store(true)
		p.setQuietBefore(math.MaxInt64)
	case p.quiet.Load():
		p.catchUpPlugins(0) // what waits for them is past too
		p.quiet.Store(false)
		p.setQuietBefore(p.clock.Load())
	}
}

func (p *Pipeline) setQuietBefore(t int64) {
	p.engine.SetQuietBefore(t)
	for _, x := range p.plugins.list {
		x.judge.SetQuietBefore(t)
	}
}

// Tick does what is due at now (Unix ms): closes windows of request and log
// rates, finds silence, groups anomalies, judges candidates, stores and
// publishes what changed.
func (p *Pipeline) Tick(ctx context.Context, now int64) error {
	p.tickMu.Lock()
	defer p.tickMu.Unlock()
	p.clock.Store(now)
	if err := p.flushWindows(ctx, now); err != nil {
		return err
	}
	if err := p.evaluate(ctx, now); err != nil {
		return err
	}
	quiet := p.quiet.Load()
	view := p.graph.AsOf(now)
	var silent []ops.Anomaly
	p.timed(func() { silent = p.engine.Tick(now) })
	for _, a := range slices.Concat(silent, p.miner.Tick(now), p.order.Tick(now), p.both.Step(now, p.engine, view)) {
		if !quiet {
			p.queue.push(a)
		}
	}
	for _, a := range p.burns(ctx, now) {
		if !quiet {
			p.queue.push(a)
		}
	}
	p.tickPlugins(ctx, now, quiet)
	anomalies, dropped := p.queue.drain()
	p.met.dropped.Add(float64(dropped))
	anomalies = p.both.WithoutExplained(anomalies, func(a *ops.Anomaly, why string) {
		p.met.explained.Inc()
		p.log.Debug("anomaly explained by load", "entity", a.Entity, "series", a.Series, "why", why)
	})
	anomalies = p.mute(anomalies, now)
	p.showLines(anomalies)
	for _, a := range anomalies {
		p.corr.Anomaly(a)
	}
	p.storeAnomalies(ctx, anomalies)
	if err := p.judge(ctx, now, view); err != nil {
		return err
	}
	p.rebalance(now)
	return p.housekeeping(ctx, now)
}

// judge asks for the cause of every candidate that has new evidence.
func (p *Pipeline) judge(ctx context.Context, now int64, view *graph.View) error {
	for _, c := range p.corr.Tick(now, view) {
		in, err := p.evidence(ctx, c, now)
		if err != nil {
			return fmt.Errorf("cannot gather the evidence of %s: %w", c.ID, err)
		}
		verdict := cause.Rank(in, p.cfg.Cause)
		p.locate(ctx, c.ID, &in, &verdict, now)
		verdict.Harm = p.slos.harm(in.Onset, &verdict, c.Entities)
		p.met.judged.WithLabelValues(string(verdict.Verdict)).Inc()
		if err := p.keep(ctx, p.corr.Apply(now, c.ID, verdict)); err != nil {
			return err
		}
	}
	return p.keep(ctx, p.corr.Resolve(now))
}

// keep stores incidents that changed and tells subscribers.
func (p *Pipeline) keep(ctx context.Context, changed []ops.Incident) error {
	for i := range changed {
		in := &changed[i]
		p.windows.note(in)
		p.openNow.note(in)
		if err := p.st.State.PutIncident(ctx, in); err != nil {
			return fmt.Errorf("cannot store incident %s: %w", in.ID, err)
		}
		p.subs.publish(Event{Kind: "incident", Incident: in})
	}
	return nil
}
