package logmine

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// novelty keeps what new-template anomalies need of a service.
type novelty struct {
	minute   int64 // log minute of the budget
	spent    int
	raised   uint64
	withheld uint64
	active   []*newMessage // at most as many as the budget gives while they last
}

// newMessage is an anomaly that lasts.
type newMessage struct {
	t       *template
	a       ops.Anomaly
	counted uint64 // lines when it was last sent
	seen    int64  // Unix ms of the tick that last saw a line
}

// maxActive bounds the anomalies of one service that last at a time.
const maxActive = 64

// failures are the words that make a message of any severity worth an
// anomaly. They are looked for anywhere in the line, in any case.
const failures = "error|fail|exception|refused|timeout|timed out|panic|fatal|denied|unreachable|unavailable|" +
	"crash|abort|corrupt|out of memory|deadlock|reset by peer|traceback|segfault|killed|no space left|invalid certificate"

// speaksOfFailure reports whether the line holds one of the failures.
func speaksOfFailure(line string) bool {
	low := strings.ToLower(line)
	for word := range strings.SplitSeq(failures, "|") {
		if strings.Contains(low, word) {
			return true
		}
	}
	return false
}

// learned reports whether the service is past its learning time at log time t
// (Unix ns): long enough, or enough lines that did not come in one burst.
func (s *service) learned(t int64) bool {
	age := time.Duration(t - s.firstNs)
	return age >= s.cfg.LearnFor || (s.lines > uint64(s.cfg.LearnLines) && age >= time.Minute)
}

// rareLines is how many lines a message may have given and still be rare.
const rareLines = 30

// rare reports whether a template that came seldom, last at before, is news at
// t (Unix ns): it was silent for [Config.RareAfter] and for three times as long
// as it usually is, or for a week when it came only once.
func (s *service) rare(t *template, before, now int64) bool {
	silent := now - before
	if silent < int64(s.cfg.RareAfter) {
		return false
	}
	if n := int64(t.count) - 1; n > 1 {
		return silent >= 3*((before-t.first)/(n-1))
	}
	return silent >= 7*int64(s.cfg.RareAfter)
}

// consider makes the anomaly of a template that rec is the first line of, or
// the first since before (Unix ns; 0 for none), or nil when the gates say no.
func (s *service) consider(t *template, rec *telemetry.LogRecord, now, before int64) *ops.Anomaly {
	if !s.learned(now) || len(s.novelty.active) >= maxActive {
		return nil
	}
	n := &s.novelty
	minute := now / int64(time.Minute)
	if minute > n.minute {
		n.minute, n.spent = minute, 0
	}
	if n.spent >= s.cfg.AnomaliesPerMinute {
		n.withheld++
		return nil
	}
	weight := gravity(rec.Severity)
	if weight == 0 {
		if !speaksOfFailure(rec.Body) {
			return nil
		}
		weight = 0.4
	}
	n.spent++
	n.raised++
	ms := now / int64(time.Millisecond)
	p := float64(n.raised) / float64(s.lines+1)
	a := ops.Anomaly{
		ID:     fmt.Sprintf("template-%x", t.id),
		Series: t.text(), Expr: fmt.Sprintf(`template:="%d"`, t.id),
		Entity: s.entity, Instance: rec.Instance,
		Signal: telemetry.SignalLogs, Unit: "{line}",
		Kind: ops.AnomalyNewTemplate, Direction: telemetry.UpBad,
		Onset: ms, LastSeen: ms,
		Severity: weight, P: p, Score: -math.Log10(p), Member: "new_template",
		Observed: 1, Text: t.line, Source: "norn",
		Severe: rec.Severity.String(),
		Usual:  s.usual(t), Query: fmt.Sprintf(`template:="%d"`, t.id),
	}
	if before != 0 {
		a.ID += fmt.Sprintf("-%d", ms)
		a.Kind, a.Member, a.Text = ops.AnomalyRare, "rare_template", clone(rec.Body)
		a.Severity *= .8
		a.P = float64(t.count) / float64(s.lines+1)
		a.Score = -math.Log10(a.P)
		a.Usual = fmt.Sprintf("%d lines since %s, the last one %s ago; %s", t.count-1, day(t.first), roughly(now-before), a.Usual)
	}
	n.active = append(n.active, &newMessage{t: t, a: a, counted: t.count})
	return &a
}

// usual says what the service says otherwise.
func (s *service) usual(but *template) string {
	var top *template
	for _, t := range s.templates {
		if t != nil && t.into == nil && t != but && (top == nil || t.count > top.count) {
			top = t
		}
	}
	if top == nil {
		return ""
	}
	text := top.text()
	if r := []rune(text); len(r) > 120 {
		text = string(r[:119]) + "…"
	}
	return fmt.Sprintf("%d other messages in %d lines since %s; the most frequent, %.0f %%: %s",
		s.live-1, s.lines, day(s.firstNs), 100*float64(top.count)/float64(max(s.lines, 1)), text)
}

func day(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02") }

// roughly writes a duration (ns) in the largest unit that fits.
func roughly(ns int64) string {
	if d := time.Duration(ns); d >= 48*time.Hour {
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
	return fmt.Sprintf("%.0f hours", time.Duration(ns).Hours())
}

// clone copies at most as much of a line as a template's example has.
func clone(line string) string { return strings.Clone(cut(line)) }

// gravity maps the severity of a record to that of an anomaly; 0 below warn.
func gravity(s telemetry.Severity) float64 {
	switch {
	case s >= telemetry.SeverityFatal:
		return 0.9
	case s >= telemetry.SeverityError:
		return 0.7
	case s >= telemetry.SeverityWarn:
		return 0.5
	}
	return 0
}

// resendEvery bounds how often an anomaly that grows is sent again, in Unix ms.
const resendEvery = 60_000

// Tick returns the anomalies of severity that began, grew or ended, and the
// new-template and rare-template anomalies that changed since they were last
// returned: more lines came (at most once a minute), or none for
// [Config.AnomalyQuiet] and they ended, or their template was merged into a
// known one. now is Unix ms of the clock that Flush uses. Safe for concurrent
// use.
func (m *Miner) Tick(now int64) []ops.Anomaly {
	var out []ops.Anomaly
	for _, s := range m.all() {
		s.mu.Lock()
		out = s.tick(out, now)
		if a := s.shift(); a != nil {
			out = append(out, *a)
		}
		s.mu.Unlock()
	}
	return out
}

func (s *service) tick(out []ops.Anomaly, now int64) []ops.Anomaly {
	kept := s.novelty.active[:0]
	for _, n := range s.novelty.active {
		switch grown := n.t.count - min(n.counted, n.t.count); {
		case n.seen == 0:
			n.seen = now // the clock of the first tick may differ from the log's
			kept = append(kept, n)
		case n.t.into != nil || n.t.slot == noSlot, grown == 0 && now-n.seen >= s.cfg.AnomalyQuiet.Milliseconds():
			n.a.Ended = max(n.a.LastSeen, n.a.Onset+1)
			out = append(out, n.a)
		case grown > 0 && now-n.seen >= resendEvery:
			n.counted, n.seen = n.t.count, now
			n.a.LastSeen = max(n.a.LastSeen, n.t.last/int64(time.Millisecond))
			n.a.Observed = float64(n.t.count)
			n.a.Series = n.t.text()
			out = append(out, n.a)
			kept = append(kept, n)
		default:
			kept = append(kept, n)
		}
	}
	clear(s.novelty.active[len(kept):])
	s.novelty.active = kept
	return out
}
