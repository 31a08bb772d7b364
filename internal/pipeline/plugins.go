package pipeline

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	// MaxPlugins is how many plugins there may be.
	MaxPlugins = 16

	maxPluginQueue = 1 << 16                // points that wait for one plugin
	pluginBatch    = 512                    // points that are handed over at once
	pluginEvery    = 500 * time.Millisecond // between two looks into the queue
	pluginCatchUp  = 10 * time.Second       // for all plugins to read history at the start
)

// Scorer is a detector of the user's own: it gives every point a score, NaN
// where it has no opinion. An error that is not the context's means that it
// gives none any more.
type Scorer interface {
	Score(ctx context.Context, points []telemetry.Point, scores []float64) error
}

// Plugin is a Scorer and how it is used.
type Plugin struct {
	Name      string // members in anomalies are called plugin:NAME
	Scorer    Scorer // nil: it could not be loaded, and is only shown
	Match     *rules.Matcher
	Threshold float64 // scores below it raise nothing
	Weight    float64 // factor on severity
}

// PluginStats counts what became of one plugin's points.
type PluginStats struct {
	Name    string
	Points  uint64 // handed to it
	Dropped uint64 // because it did not keep up
	Raised  uint64 // words on anomalies
}

// plugin is a Plugin at work.
type plugin struct {
	Plugin
	judge *detect.Foreign
	dead  atomic.Bool

	mu    sync.Mutex // guards what follows
	queue []telemetry.Point
	stats PluginStats

	work   sync.Mutex // one goroutine at a time asks the scorer, in order
	scores []float64
	spent  time.Duration // on history; guarded by work
}

// plugins are all of them. Series know by their policy which ones want them.
type plugins struct {
	list     []*plugin
	policies sync.Map // pluginPolicy -> *telemetry.Policy
}

type pluginPolicy struct {
	of      *telemetry.Policy
	plugins uint16
}

func (ps *plugins) init(list []Plugin, perWeek float64) error {
	if len(list) > MaxPlugins {
		return errors.New("there are more plugins than 16")
	}
	for _, c := range list {
		x := &plugin{Plugin: c, scores: make([]float64, pluginBatch), stats: PluginStats{Name: c.Name}, judge: detect.NewForeign(detect.ForeignConfig{
			Member: "plugin:" + c.Name, Threshold: c.Threshold, Weight: c.Weight, PerWeek: perWeek})}
		x.dead.Store(c.Scorer == nil)
		ps.list = append(ps.list, x)
	}
	return nil
}

// describe notes in a series' policy which plugins want it.
func (ps *plugins) describe(s *telemetry.Series) {
	var mask uint16
	for i, x := range ps.list {
		if x.Match.Matches(s) {
			mask |= 1 << i
		}
	}
	if mask == 0 {
		return
	}
	key := pluginPolicy{s.Policy, mask}
	if p, ok := ps.policies.Load(key); ok {
		s.Policy = p.(*telemetry.Policy)
		return
	}
	fresh := telemetry.Policy{Weight: 1, Low: math.Inf(-1), High: math.Inf(1)}
	if s.Policy != nil {
		fresh = *s.Policy
	}
	fresh.Plugins = mask
	p, _ := ps.policies.LoadOrStore(key, &fresh)
	s.Policy = p.(*telemetry.Policy)
}

// offer puts the points that plugins want into their queues. It never waits
// for a plugin, except while history is read.
func (p *Pipeline) offer(points []telemetry.Point, quiet bool) {
	ps := &p.plugins
	for i := range points {
		pol := points[i].Series.Policy
		if pol == nil || pol.Plugins == 0 {
			continue
		}
		for k, x := range ps.list {
			if pol.Plugins>>k&1 == 1 {
				x.put(points[i])
			}
		}
	}
	if quiet {
		p.catchUpPlugins(maxPluginQueue / 2)
	}
}

// catchUpPlugins has the plugins score now what waits for them, if more than
// least points do. It is called while history is read.
func (p *Pipeline) catchUpPlugins(least int) {
	for _, x := range p.plugins.list {
		if x.waiting() > least && x.mayCatchUp() {
			p.ask(context.Background(), x)
		}
	}
}

func (x *plugin) put(pt telemetry.Point) {
	if x.dead.Load() {
		return
	}
	pt.Seat = nil
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.queue) >= maxPluginQueue {
		x.stats.Dropped++
		return
	}
	x.queue = append(x.queue, pt)
}

func (x *plugin) waiting() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.queue)
}

func (x *plugin) mayCatchUp() bool {
	x.work.Lock()
	defer x.work.Unlock()
	return x.spent < pluginCatchUp
}

// take empties the queue.
func (x *plugin) take() []telemetry.Point {
	x.mu.Lock()
	defer x.mu.Unlock()
	q := x.queue
	x.queue = nil
	x.stats.Points += uint64(len(q))
	return q
}

// ask has a plugin score what waits for it; what it finds goes with the next
// tick.
func (p *Pipeline) ask(ctx context.Context, x *plugin) {
	x.work.Lock()
	defer x.work.Unlock()
	began := time.Now()
	for q := x.take(); len(q) > 0; q = q[min(len(q), pluginBatch):] {
		batch := q[:min(len(q), pluginBatch)]
		if x.dead.Load() {
			return
		}
		if err := x.Scorer.Score(ctx, batch, x.scores[:len(batch)]); err != nil {
			if ctx.Err() == nil {
				x.dead.Store(true)
				p.met.pluginsOff.WithLabelValues(x.Name).Set(1)
				p.log.Error("plugin is switched off", "plugin", x.Name, "err", err)
			}
			return
		}
		for i := range batch {
			a := x.judge.Observe(batch[i], x.scores[i])
			if a == nil || p.quiet.Load() {
				continue
			}
			x.mu.Lock()
			x.stats.Raised++
			x.mu.Unlock()
			p.queue.push(*a)
		}
	}
	if p.quiet.Load() {
		x.spent += time.Since(began)
	}
}

// runPlugins asks every plugin again and again until ctx ends. Plugins do not
// wait for each other.
func (p *Pipeline) runPlugins(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, x := range p.plugins.list {
		wg.Go(func() {
			t := time.NewTicker(pluginEvery)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					p.ask(ctx, x)
				}
			}
		})
	}
}

// tickPlugins ends what is stale. On the data's clock it also asks the
// plugins, so that a replay always gives the same.
func (p *Pipeline) tickPlugins(ctx context.Context, now int64, quiet bool) {
	for _, x := range p.plugins.list {
		if p.cfg.DataClock {
			p.ask(ctx, x)
		}
		for _, a := range x.judge.Tick(now) {
			if !quiet {
				p.queue.push(a)
			}
		}
	}
}

// PluginStats counts what became of the plugins' points.
func (p *Pipeline) PluginStats() []PluginStats {
	out := make([]PluginStats, 0, len(p.plugins.list))
	for _, x := range p.plugins.list {
		x.mu.Lock()
		out = append(out, x.stats)
		x.mu.Unlock()
	}
	return out
}
