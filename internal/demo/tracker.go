package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// grace is how long after a fault's end an incident still counts as about it.
const grace = 60 * time.Second

// episode is one injection and what Norn made of it.
type episode struct {
	act    Active
	byHand bool
	found  *finding
	more   int // further incidents
}

// finding is the first incident of an episode.
type finding struct {
	id    string
	after time.Duration
	title string
	roots []telemetry.Entity // first cause first
}

// tracker prints what was injected and what Norn says, and keeps the score.
// Safe for concurrent use.
type tracker struct {
	out io.Writer
	mu  sync.Mutex
	eps []*episode
	// known holds incidents already told, with the root that was told.
	known map[string]telemetry.Entity
	owner map[string]*episode
	false int // incidents while nothing was wrong
}

func newTracker(out io.Writer) *tracker {
	return &tracker{out: out, known: map[string]telemetry.Entity{}, owner: map[string]*episode{}}
}

func (tr *tracker) line(t time.Time, format string, args ...any) {
	_, _ = fmt.Fprintf(tr.out, "%s %s\n", t.Format("15:04:05"), fmt.Sprintf(format, args...)) // a closed terminal stops nobody
}

// Injected notes and prints an injection.
func (tr *tracker) Injected(a Active, byHand bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.eps = append(tr.eps, &episode{act: a, byHand: byHand})
	what := "a fault"
	if !a.Spec.IsFault() {
		what = "not a fault"
	}
	var parts []string
	for i := range a.Spec.Faults {
		parts = append(parts, a.Spec.Faults[i].Summary())
	}
	hand := ""
	if byHand {
		hand = " by hand"
	}
	tr.line(a.Start, "injected%s %s: %s (%s, lasts %s)", hand, a.Spec.Name, strings.Join(parts, "; "), what, a.Spec.Length().Round(time.Second))
}

// Ended prints that a spec is over.
func (tr *tracker) Ended(a Active, now time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.line(now, "%s is over", a.Spec.Name)
	for _, e := range tr.eps {
		if e.act.ID == a.ID {
			e.act.End = now
		}
	}
}

// Baseline marks what Norn says already, so that it is not told as new.
func (tr *tracker) Baseline(list []incident) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := range list {
		tr.known[list[i].ID] = list[i].first()
	}
}

// Saw compares Norn's incidents with what is known and prints what is new.
func (tr *tracker) Saw(list []incident, now time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b incident) int { return int(a.Opened - b.Opened) })
	for i := range list {
		in := &list[i]
		if in.Verdict == ops.VerdictNoIncident {
			continue
		}
		told, known := tr.known[in.ID]
		switch {
		case in.Merged != "":
			tr.merged(in)
		case !known:
			tr.fresh(in, now)
		case told != in.first() && !in.first().IsZero():
			tr.known[in.ID] = in.first()
			tr.changed(in, now)
		}
	}
}

// changed tells that an incident has another first cause now. When it was
// there before the fault and the fault has no finding yet, that is how it was
// found.
func (tr *tracker) changed(in *incident, now time.Time) {
	e := tr.owner[in.ID]
	if cur := tr.episodeAt(now); cur != nil && cur != e && cur.found == nil {
		tr.owner[in.ID] = cur
		cur.found = &finding{id: in.ID, after: now.Sub(cur.act.Start)}
		tr.settle(cur, in)
		tr.line(now, "Norn: an open incident now says: %s (found after %d s) %s", in.text(), int(cur.found.after.Seconds()), tr.judge(cur, in))
		return
	}
	if e != nil {
		tr.line(now, "Norn: now says: %s %s", in.text(), tr.judge(e, in))
		tr.settle(e, in)
	}
}

// merged follows an incident into the one that took it over, which then
// counts as the one that was found first.
func (tr *tracker) merged(in *incident) {
	e := tr.owner[in.ID]
	if e == nil {
		tr.known[in.ID] = in.first()
		return
	}
	delete(tr.owner, in.ID)
	other := tr.owner[in.Merged]
	switch {
	case other == e && e.found.id == in.ID:
		e.found.id = in.Merged
		e.found.roots = nil
		if r := tr.known[in.Merged]; !r.IsZero() {
			e.found.roots = append(e.found.roots, r)
		}
		e.more--
	case other == e:
		e.more--
	case other == nil && e.found.id == in.ID:
		e.found.id = in.Merged
		tr.owner[in.Merged] = e
		tr.known[in.Merged] = in.first() // if it says something else, that is news
	}
}

func (tr *tracker) fresh(in *incident, now time.Time) {
	tr.known[in.ID] = in.first()
	opened := time.UnixMilli(in.Opened)
	if in.Opened == 0 {
		opened = now
	}
	e := tr.episodeAt(opened)
	if e == nil {
		tr.false++
		tr.line(now, "Norn: %s (nothing was injected: a false alarm)", in.text())
		return
	}
	tr.owner[in.ID] = e
	if e.found != nil {
		e.more++
		tr.line(now, "Norn: %s (a further incident) %s", in.text(), tr.judge(e, in))
		return
	}
	e.found = &finding{id: in.ID, after: max(0, opened.Sub(e.act.Start)), title: in.text()}
	tr.settle(e, in)
	tr.line(now, "Norn: %s (found after %d s) %s", in.text(), int(e.found.after.Seconds()), tr.judge(e, in))
}

// settle keeps the latest word of the first incident.
func (tr *tracker) settle(e *episode, in *incident) {
	if e.found == nil || e.found.id != in.ID {
		return
	}
	e.found.title = in.text()
	e.found.roots = nil
	if f := in.first(); !f.IsZero() {
		e.found.roots = append(e.found.roots, f)
	}
}

// episodeAt is the latest injection that an incident of that time can be
// about.
func (tr *tracker) episodeAt(t time.Time) *episode {
	for i := len(tr.eps) - 1; i >= 0; i-- {
		e := tr.eps[i]
		if !t.Before(e.act.Start.Add(-2*time.Second)) && t.Before(e.act.End.Add(grace)) {
			return e
		}
	}
	return nil
}

// judge marks an answer: right cause, wrong cause, or an alarm over nothing.
func (tr *tracker) judge(e *episode, in *incident) string {
	if right(e, in.first()) {
		return "✓"
	}
	return "✗"
}

func right(e *episode, root telemetry.Entity) bool {
	for _, t := range e.act.Spec.Truths() {
		if t == root {
			return true
		}
	}
	return false
}

// Score is the outcome of the whole demo.
type Score struct {
	Injected, Faults   int // injections, and how many of them are faults
	Found, Right       int // of the faults: an incident came; its first cause is true
	Silent             int // injections that are no fault and raised nothing
	FalseAlarms, Extra int // incidents over nothing; further incidents of the same fault
}

// Score counts.
func (tr *tracker) Score() Score {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	s := Score{Injected: len(tr.eps), FalseAlarms: tr.false}
	for _, e := range tr.eps {
		s.Extra += e.more
		if !e.act.Spec.IsFault() {
			if e.found == nil {
				s.Silent++
			} else {
				s.FalseAlarms++
			}
			continue
		}
		s.Faults++
		if e.found != nil {
			s.Found++
			if len(e.found.roots) > 0 && right(e, e.found.roots[0]) {
				s.Right++
			}
		}
	}
	return s
}

// Table prints the score, one line for each injection.
func (tr *tracker) Table() {
	s := tr.Score()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.eps) == 0 {
		return
	}
	w := tabwriter.NewWriter(tr.out, 0, 4, 2, ' ', 0)
	put := func(cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }
	_, _ = fmt.Fprintln(tr.out)
	put("FAULT", "TRUE CAUSE", "FOUND AFTER", "FIRST CAUSE", "RIGHT")
	for _, e := range tr.eps {
		put(row(e)...)
	}
	_ = w.Flush()
	_, _ = fmt.Fprintf(tr.out, "\n%d of %d faults found, %d with the right first cause; %d false alarms, %d further incidents\n",
		s.Found, s.Faults, s.Right, s.FalseAlarms, s.Extra)
}

func row(e *episode) []string {
	var truth []string
	for _, t := range e.act.Spec.Truths() {
		truth = append(truth, t.String())
	}
	cells := []string{e.act.Spec.Name, strings.Join(truth, ", "), "not found", "-", "no"}
	if len(truth) == 0 {
		cells[1], cells[2], cells[4] = "(not a fault)", "silent", "yes"
	}
	if e.found == nil {
		return cells
	}
	cells[2] = fmt.Sprintf("%d s", int(e.found.after.Seconds()))
	cells[4] = "no"
	if len(e.found.roots) > 0 {
		cells[3] = e.found.roots[0].String()
		if right(e, e.found.roots[0]) {
			cells[4] = "yes"
		}
	}
	return cells
}
