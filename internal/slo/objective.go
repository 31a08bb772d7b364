package slo

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Objective is one objective of one entity, with what is known of its
// requests. Make one with [New]; hand it counts with [Objective.Add], tell it
// that time goes on with [Objective.Advance], and ask.
type Objective struct {
	Name      string
	Entity    telemetry.Entity
	Kind      string
	Target    float64       // share of requests that are to be good
	Threshold float64       // s, of latency
	Window    time.Duration // whole hours
	Inferred  bool

	h       history
	anomaly ops.Anomaly // the last one
	active  bool
}

// New makes an objective without history.
func New(name string, e telemetry.Entity, kind string, target, threshold float64, window time.Duration) *Objective {
	return &Objective{Name: name, Entity: e, Kind: kind, Target: target, Threshold: threshold, Window: window,
		h: newHistory(max(int(window/time.Hour), 72))}
}

// Add counts requests of a minute (Unix time in minutes).
func (o *Objective) Add(minute int64, c Counts) { o.h.add(minute, c) }

// Advance says that the minute is over.
func (o *Objective) Advance(minute int64) {
	if o.h.last != 0 {
		o.h.advance(minute)
	}
}

// Seen reports whether any request was ever counted.
func (o *Objective) Seen() bool { return o.h.last != 0 }

// budget says how much of the window's budget is left, and how much a bad
// request takes. What of the window was not seen is taken to carry as many
// requests as what was.
func (o *Objective) budget() (total Counts, covered int64, left, perBad float64) {
	minutes := int64(o.Window / time.Minute)
	total, covered = o.h.byHour(int64(o.Window/time.Hour)), o.h.covered(minutes)
	if covered == 0 || total.Total == 0 {
		return total, covered, 1, 0
	}
	whole := total.Total * float64(minutes) / float64(max(covered, hourMinutes))
	perBad = 1 / ((1 - o.Target) * max(whole, total.Total))
	return total, covered, 1 - total.Bad*perBad, perBad
}

// State says how the objective is kept.
func (o *Objective) State() ops.SLO {
	total, covered, left, _ := o.budget()
	s := ops.SLO{Name: o.Name, Entity: o.Entity, Kind: o.Kind, Inferred: o.Inferred, Objective: o.Target, Threshold: o.Threshold,
		Window: o.Window.Milliseconds(), Requests: math.Round(total.Total), Bad: math.Round(total.Bad*100) / 100, Covered: covered * 60_000, Left: left, Burns: o.burns()}
	if total.Total > 0 {
		sli := 1 - total.share()
		s.SLI = &sli
	}
	s.Exhausted = o.exhausted(left, s.Burns[0].LongRate)
	if o.active {
		s.AnomalyID = o.anomaly.ID
	}
	s.Sentence = o.sentence(&s)
	return s
}

// exhausted is in how many ms nothing is left at a burn rate; nil when it
// lasts for the window.
func (o *Objective) exhausted(left, burn float64) *int64 {
	ms := int64(0)
	if left > 0 {
		if burn <= 1 {
			return nil
		}
		ms = int64(left * float64(o.Window.Milliseconds()) / burn)
	}
	return &ms
}

func (o *Objective) sentence(s *ops.SLO) string {
	if s.SLI == nil {
		return fmt.Sprintf("%s: no requests were seen.", o.promise())
	}
	text := fmt.Sprintf("%s: %s were, %s of the budget is left", o.promise(), Percent(*s.SLI), Percent(s.Left))
	if s.Left < 0 {
		text = fmt.Sprintf("%s: %s were, the budget is overspent by %s", o.promise(), Percent(*s.SLI), Percent(-s.Left))
	}
	if s.Exhausted != nil && *s.Exhausted > 0 {
		text += fmt.Sprintf(" and goes within %s at the last hour's rate", span(*s.Exhausted))
	}
	return text + "."
}

// promise says what the objective is.
func (o *Objective) promise() string {
	what := "good"
	switch o.Kind {
	case Availability:
		what = "answered without failure"
	case Slow:
		what = fmt.Sprintf("answered within %g s", o.Threshold)
	}
	who := "declared"
	if o.Inferred {
		who = "inferred"
	}
	return fmt.Sprintf("%s of requests are to be %s in %s (%s)", Percent(o.Target), what, span(o.Window.Milliseconds()), who)
}

// Percent writes a share with as many digits as an objective needs.
func Percent(v float64) string {
	if math.Abs(v) >= .995 && v != 1 && math.Abs(v) < 1 {
		return fmt.Sprintf("%.4g %%", 100*v)
	}
	return fmt.Sprintf("%.3g %%", 100*v)
}

// span writes a length of time (ms) in its largest whole unit.
func span(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// Judge looks at the burn at now (Unix ms) and gives news of the anomaly of
// kind slo_burn: that it began, lasts, or ended. ok is false without news.
func (o *Objective) Judge(now int64) (a ops.Anomaly, ok bool) {
	bs := o.burns()
	for i, p := range pairs() {
		if !bs[i].Burning {
			continue
		}
		if !o.active {
			onset := o.began(bs[i].Limit) * 60_000
			o.anomaly = ops.Anomaly{ID: o.id(onset), Onset: onset}
			o.active = true
		}
		o.fill(now, p, bs[i])
		return o.anomaly, true
	}
	if !o.active {
		return ops.Anomaly{}, false
	}
	o.active = false
	o.anomaly.Ended, o.anomaly.LastSeen = now, now
	return o.anomaly, true
}

func (o *Objective) id(onset int64) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s|%s|%d", o.Name, o.Entity, onset)
	return fmt.Sprintf("slo-%016x", h.Sum64())
}

func (o *Objective) fill(now int64, p pair, b ops.Burn) {
	a, allowed := &o.anomaly, 1-o.Target
	long := o.over(p.long)
	a.Entity, a.Series, a.Signal, a.Unit, a.Kind, a.Direction = o.Entity, "slo: "+o.Name, o.Signal(), "1", ops.AnomalySLOBurn, telemetry.UpBad
	a.LastSeen, a.Severity = now, max(a.Severity, p.severity)
	a.P = max(1e-12, Tail(long.Bad, long.Total, min(1, b.Limit*allowed)))
	a.Score, a.Member, a.Source = max(a.Score, b.LongRate), "slo", "norn"
	a.Observed, a.Expected, a.Low, a.High = o.over(p.short).share(), allowed, 0, min(1, b.Limit*allowed)
	_, _, left, _ := o.budget()
	a.Text = fmt.Sprintf("%s: %s of %.0f requests in the last %s were not, %.3g times what lasts for the window; %s of the budget is left",
		o.promise(), Percent(long.share()), long.Total, span(b.Long), b.LongRate, Percent(left))
}

// Signal is what the objective speaks of.
func (o *Objective) Signal() telemetry.Signal {
	if o.Kind == Slow {
		return telemetry.SignalLatency
	}
	return telemetry.SignalErrors
}

// Harm is what happened to the objective since onset (Unix ms): the burn rate
// is the least that the requests since then prove, so that a few bad ones of a
// few prove nothing. ok is false when nothing is proved to burn.
func (o *Objective) Harm(onset int64) (h ops.SLOHarm, ok bool) {
	if o.h.last == 0 {
		return h, false
	}
	c := o.h.since(onset / 60_000)
	short := o.h.recent(max(5, min(hourMinutes, o.h.last-onset/60_000)))
	_, _, left, perBad := o.budget()
	h = ops.SLOHarm{SLO: o.Name, Entity: o.Entity, Inferred: o.Inferred, Objective: o.Target, Left: left, Spent: c.Bad * perBad}
	if short.Bad < leastBad {
		return h, false
	}
	h.Burn = LeastShare(short.Bad, short.Total) / (1 - o.Target)
	if h.Burn < 1 {
		return h, false
	}
	h.Exhausted = o.exhausted(left, short.share()/(1-o.Target))
	h.Text = fmt.Sprintf("%s: %s since it began were not; it uses the budget %.3g times too fast, took %s of it, %s is left",
		o.promise(), Percent(c.share()), h.Burn, Percent(h.Spent), Percent(left))
	return h, true
}

// Save gives what must be kept over a restart.
func (o *Objective) Save() Saved { return o.h.save() }

// Load takes what Save gave. After an error nothing is known of the past.
func (o *Objective) Load(s Saved) error { return o.h.load(s) }
