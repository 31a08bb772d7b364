package backtest

import (
	"context"
	"sort"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	// MaxAlarms is how many alarms of one side are kept; further ones are
	// counted only.
	MaxAlarms = 50_000
	// outage is the time (ms) without any sample after which Norn is taken to
	// have been off, so that nothing is called silent.
	outage    = 15 * 60_000
	warmTick  = 60_000     // ms between ticks before the range
	quietTail = 5 * 60_000 // ms at the end for which silence is still looked for

	balanceEvery = 30_000 // ms between two looks at tiers
)

// side judges history under one set of settings. It is used by one goroutine
// at a time.
type side struct {
	ctx    context.Context // of the run; plugins are asked under it
	o      *Options
	now    func() time.Duration
	cpu    time.Duration
	set    *rules.Set
	derive *normalize.Deriver
	engine *detect.Engine
	both   *pipeline.Together // drivers, and all metrics of an entity
	tools  []*tool
	points []telemetry.Point
	said   []word
	count  uint64

	next, last int64 // Unix ms of the next tick, of the newest sample
	alarms     []*alarm
	open       map[string]*alarm // by anomaly
	muted      map[string]bool   // anomalies that a mute holds back
	unheard    map[string]bool   // and that rules leave too little of
	mutes      int
	explained  int // by load
	balanced   int64
	named      map[string]bool // metrics that operators defined
	raised     int             // alarms, kept or not
}

// word is what was said of an anomaly, and when (Unix ms of the data).
type word struct {
	a ops.Anomaly
	t int64
}

// alarm is one anomaly that was raised.
type alarm struct {
	Moment
	id     telemetry.SeriesID
	series string
	entity telemetry.Entity
	signal telemetry.Signal
	unit   string
	mate   *alarm // the other side's alarm of the same trouble
}

func newSide(ctx context.Context, s Setup, o *Options) (*side, error) {
	set, err := rules.Compile(time.LoadLocation, s.Rules...)
	if err != nil {
		return nil, err
	}
	s.Detect.QuietBefore = o.From
	x := &side{ctx: ctx, o: o, now: o.CPU, set: set, derive: normalize.NewDeriver(), engine: detect.New(s.Detect),
		both: pipeline.NewTogether(), open: map[string]*alarm{}, muted: map[string]bool{}, unheard: map[string]bool{}, named: map[string]bool{}}
	for _, c := range set.Custom() {
		x.named[c.Name] = true
	}
	for _, p := range s.Plugins {
		x.tools = append(x.tools, newTool(p, s.Detect.Sensitivity))
		x.tools[len(x.tools)-1].of.SetQuietBefore(o.From)
	}
	x.derive.SetDescribe(set.Describe)
	if x.now == nil {
		began := time.Now()
		x.now = func() time.Duration { return time.Since(began) }
	}
	return x, nil
}

// feed judges samples in order of time, with ticks between them.
func (s *side) feed(batch []store.Committed) {
	if s.next == 0 {
		s.next = s.after(batch[0].T)
	}
	for len(batch) > 0 {
		n := sort.Search(len(batch), func(i int) bool { return batch[i].T >= s.next })
		s.observe(batch[:n])
		if batch = batch[n:]; len(batch) == 0 {
			return
		}
		s.tick(batch[0].T)
	}
}

func (s *side) observe(batch []store.Committed) {
	if len(batch) == 0 {
		return
	}
	s.last = batch[len(batch)-1].T
	s.points = s.derive.Derive(batch, s.points[:0])
	s.count += uint64(len(s.points))
	s.engine.ObserveBatch(s.points, func(a *ops.Anomaly) { s.said = append(s.said, word{*a, a.LastSeen}) })
	for _, x := range s.tools {
		s.said = x.judge(s.ctx, s.points, s.said)
	}
}

// tick looks for silence up to t, and judges together what belongs together;
// not in a time of which nothing is stored.
func (s *side) tick(t int64) {
	if t-s.last > outage {
		s.settle()
		s.next = s.after(t)
		return
	}
	for s.next <= t {
		now := s.next
		for _, a := range s.engine.Tick(now) {
			s.said = append(s.said, word{a, now})
		}
		for _, x := range s.tools {
			for _, a := range x.of.Tick(now) {
				s.said = append(s.said, word{a, now})
			}
		}
		for _, a := range s.both.Step(now, s.engine, s.o.Graph) {
			s.said = append(s.said, word{a, now})
		}
		s.settle()
		s.balance(now)
		s.next = s.after(now)
	}
}

// settle takes what was said since the last tick, less what load explains.
func (s *side) settle() {
	for i := range s.said {
		w := &s.said[i]
		kept := s.both.WithoutExplained([]ops.Anomaly{w.a}, func(*ops.Anomaly, string) {
			if w.t >= s.o.From && w.t <= s.o.To {
				s.explained++
			}
		})
		if len(kept) > 0 {
			s.take(&w.a, w.t)
		}
	}
	clear(s.said)
	s.said = s.said[:0]
}

// balance gives series the tiers that their importance asks for, as far as it is
// known from the past: open incidents and looks of people are not.
func (s *side) balance(now int64) {
	if now-s.balanced < balanceEvery {
		return
	}
	s.balanced = now
	s.engine.Balance(now, detect.Load{CPU: -1, Named: func(m *telemetry.Series) bool { return s.named[m.Labels.Get(labels.MetricName)] }})
}

// after gives the next moment to tick.
func (s *side) after(t int64) int64 {
	every := s.o.Tick
	if t < s.o.From {
		every = max(every, warmTick)
	}
	return t - t%every + every
}

func (s *side) finish() {
	s.engine.Settle()
	s.tick(min(s.last+quietTail, s.o.To))
	s.settle()
}

// take notes what was said of an anomaly at t (Unix ms).
func (s *side) take(a *ops.Anomaly, t int64) {
	if t < s.o.From || t > s.o.To {
		return
	}
	var meta *telemetry.Series
	if a.SeriesID != 0 {
		meta, _ = s.engine.Series(a.SeriesID)
	}
	heard := pipeline.Weigh(a, meta)
	if x := s.open[a.ID]; x != nil {
		x.Ended, x.Severity = a.Ended, max(x.Severity, a.Severity)
		if a.Ended != 0 {
			delete(s.open, a.ID)
		}
		return
	}
	switch {
	case !heard:
		s.unheard[a.ID] = true
		return
	case s.unheard[a.ID]:
		delete(s.unheard, a.ID)
		if a.Ended != 0 {
			return
		}
	}
	if _, is := s.set.Muted(a, meta, t); is || s.muted[a.ID] && a.Ended != 0 {
		if !s.muted[a.ID] {
			s.mutes++
			s.muted[a.ID] = true
		}
		if a.Ended != 0 {
			delete(s.muted, a.ID)
		}
		return
	}
	delete(s.muted, a.ID)
	s.raised++
	if len(s.alarms) == MaxAlarms {
		return
	}
	x := &alarm{id: a.SeriesID, series: a.Series, entity: a.Entity, signal: a.Signal, unit: a.Unit,
		Moment: Moment{Time: t, Onset: a.Onset, Ended: a.Ended, Kind: a.Kind, Severity: a.Severity, Observed: a.Observed, Expected: a.Expected}}
	if meta != nil {
		x.series = meta.Name
		if ls := labels.NewBuilder(meta.Labels).Del(labels.MetricName).Labels(); !ls.IsEmpty() {
			x.series += ls.String()
		}
	}
	if a.SeriesID == 0 { // of the whole entity
		x.series += " of " + a.Entity.String()
	}
	s.alarms = append(s.alarms, x)
	if a.Ended == 0 {
		s.open[a.ID] = x
	}
}

// cost says what the side took.
func (s *side) cost() Side {
	st := s.engine.Stats()
	together := s.both.Joint.Stats()
	c := Side{Alarms: s.raised, Muted: s.mutes, Explained: s.explained, Jointly: together.Entities, Driven: s.both.Drivers.Stats().Driven, JointBytes: together.Bytes, Series: st.Watched, NotWatched: st.NotWatched, Points: s.count,
		StateBytes: s.engine.StateBytes(), CPUSeconds: s.cpu.Seconds(), NotKept: s.raised - len(s.alarms)}
	if c.Points > 0 {
		c.NsPerPoint = float64(s.cpu.Nanoseconds()) / float64(c.Points)
	}
	if c.Series > 0 {
		c.BytesPerSeries = float64(c.StateBytes) / float64(c.Series)
	}
	for _, x := range s.tools {
		if x.err != nil {
			c.PluginsOff = append(c.PluginsOff, x.Name+": "+x.err.Error())
		}
	}
	return c
}
