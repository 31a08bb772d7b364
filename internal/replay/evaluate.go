package replay

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// EvalOptions says how incidents are matched to faults. Zero means the default
// in brackets; all are milliseconds of the data's clock.
type EvalOptions struct {
	Before  int64      // an incident's evidence may begin this long before the injection [60 s]
	Late    int64      // an incident that opens later than this after the fault's end is no detection [10 min]
	After   int64      // and this long after the fault's end [120 s]
	Ignore  []Interval // incidents opened here are not counted (learning)
	Targets bool       // count the fault's own target as an answer too
}

// Report is the end-to-end score: detection, correlation and cause together,
// nothing given.
type Report struct {
	Recording      string    `json:"recording"`
	Faults         int       `json:"faults"`
	Detected       int       `json:"detected"`        // faults in whose time an incident opened or gained evidence
	Top1           int       `json:"top1"`            // faults whose entity is the first cause
	Top3           int       `json:"top3"`            // or among the first three
	FalseIncidents int       `json:"false_incidents"` // opened in fault-free time
	Incidents      int       `json:"incidents"`       // all, merged ones left out
	Top1Share      float64   `json:"top1_share"`
	Top3Share      float64   `json:"top3_share"`
	MedianDelayS   float64   `json:"median_delay_s"` // from injection to the incident, of detected faults; -1 when none
	Outcomes       []Outcome `json:"outcomes"`
	False          []string  `json:"false_titles"`
}

// Outcome is what became of one fault.
type Outcome struct {
	Fault     string   `json:"fault"`
	Onset     int64    `json:"onset_unix_ms"`
	Kind      string   `json:"kind"`
	Truth     string   `json:"truth"`
	Detected  bool     `json:"detected"`
	DelayS    float64  `json:"delay_s"`
	Incidents int      `json:"incidents"` // opened for it
	Causes    []string `json:"causes"`    // first three of the incident that is surest
	Rank      int      `json:"rank"`      // of the truth among all its causes; 0 when absent
	Sentence  string   `json:"sentence"`
}

// Right reports whether the first cause is the truth.
func (o *Outcome) Right() bool { return o.Rank == 1 }

// Evaluate matches faults (in order of onset) and incidents (as they were at the end of a replay) with the
// truth. An incident belongs to a fault when evidence of it began in the
// fault's time; where several do, one that began in it gives the answer,
// else the one that gained most evidence in it; of equals the one that is surest
// of its cause.
func Evaluate(faults []Fault, incidents []ops.Incident, o EvalOptions) Report {
	if o.Before == 0 {
		o.Before = 60_000
	}
	if o.After == 0 {
		o.After = 120_000
	}
	if o.Late == 0 {
		o.Late = 600_000
	}
	rep := Report{Faults: len(faults), Outcomes: []Outcome{}, False: []string{}, MedianDelayS: -1}
	ins := make([]ops.Incident, 0, len(incidents))
	for _, in := range incidents {
		if in.MergedInto == "" && !inside(o.Ignore, in.Opened) {
			ins = append(ins, in)
		}
	}
	slices.SortFunc(ins, func(a, b ops.Incident) int { return cmp.Or(cmp.Compare(a.Opened, b.Opened), cmp.Compare(a.ID, b.ID)) })
	rep.Incidents = len(ins)
	used := map[string]bool{}
	var delays []float64
	for i, f := range faults {
		w := stretch{from: f.Onset - o.Before, until: f.End + o.After, deadline: f.End + o.Late}
		if i+1 < len(faults) { // what begins with the next fault belongs to that one, and what opens after it proves nothing of this one
			next := faults[i+1].Onset
			w.until, w.deadline = max(min(w.until, next-o.Before), f.Onset), max(min(w.deadline, next), f.Onset)
		}
		out := judgeFault(f, w, ins, o, used)
		rep.Outcomes = append(rep.Outcomes, out)
		if !out.Detected {
			continue
		}
		rep.Detected++
		delays = append(delays, out.DelayS)
		if out.Rank == 1 {
			rep.Top1++
		}
		if out.Rank >= 1 && out.Rank <= 3 {
			rep.Top3++
		}
	}
	for i := range ins {
		if !used[ins[i].ID] {
			rep.FalseIncidents++
			rep.False = append(rep.False, clockOf(ins[i].Onset)+" "+ins[i].Title)
		}
	}
	if len(faults) > 0 {
		rep.Top1Share, rep.Top3Share = float64(rep.Top1)/float64(len(faults)), float64(rep.Top3)/float64(len(faults))
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		rep.MedianDelayS = delays[len(delays)/2]
	}
	return rep
}

func inside(is []Interval, t int64) bool {
	return slices.ContainsFunc(is, func(i Interval) bool { return t >= i.From && t <= i.To })
}

// stretch is the time of one fault: evidence begins in [from, until], and the
// incident opens by deadline.
type stretch struct{ from, until, deadline int64 }

// judgeFault finds the incidents of one fault and marks them used.
func judgeFault(f Fault, w stretch, ins []ops.Incident, o EvalOptions, used map[string]bool) Outcome {
	out := Outcome{Fault: f.ID, Onset: f.Onset, Kind: f.Kind, Truth: f.Entity.Name, Causes: []string{}}
	var best *ops.Incident
	began := func(in *ops.Incident) bool { return in.Onset >= w.from && in.Onset <= w.until }
	surer := func(a, b *ops.Incident) bool {
		if began(a) != began(b) {
			return began(a)
		}
		if x, y := evidenceCount(a, w), evidenceCount(b, w); !began(a) && x != y {
			return x > y
		}
		return a.Confidence > b.Confidence || a.Confidence == b.Confidence && a.Severity > b.Severity
	}
	for i := range ins {
		in := &ins[i]
		first, ok := evidenceIn(in, w.from, w.until)
		if !ok {
			continue
		}
		used[in.ID] = true
		if in.Opened > w.deadline {
			continue
		}
		seen := in.Opened
		if in.Opened < w.from {
			seen = first
		} else {
			out.Incidents++
		}
		delay := max(0, float64(seen-f.Onset)/1000)
		if !out.Detected || delay < out.DelayS {
			out.DelayS = delay
		}
		out.Detected = true
		if best == nil || surer(in, best) {
			best = in
		}
	}
	if best == nil {
		return out
	}
	out.Sentence = best.Sentence
	n := 0
	for _, c := range ranked(best.Causes) {
		if c.Score < .05 || !o.Targets && c.Entity == f.Target && c.Entity != f.Entity {
			continue
		}
		n++
		if n <= 3 {
			out.Causes = append(out.Causes, c.Entity.Name)
		}
		if sameEntity(c.Entity, f.Entity) && out.Rank == 0 {
			out.Rank = n
		}
	}
	return out
}

// sameEntity compares by name: a data set's "service" may be Norn's database.
func sameEntity(a, b telemetry.Entity) bool { return a == b || strings.EqualFold(a.Name, b.Name) }

// evidenceCount is how many anomalies of in began in w.
func evidenceCount(in *ops.Incident, w stretch) int {
	n := 0
	for _, a := range in.Anomalies {
		if a.Onset >= w.from && a.Onset <= w.until {
			n++
		}
	}
	return n
}

// evidenceIn is the onset of the first anomaly of in that began in [from, to].
func evidenceIn(in *ops.Incident, from, to int64) (first int64, ok bool) {
	for _, a := range in.Anomalies {
		if a.Onset >= from && a.Onset <= to && (!ok || a.Onset < first) {
			first, ok = a.Onset, true
		}
	}
	if !ok && in.Onset >= from && in.Onset <= to {
		return in.Onset, true
	}
	return first, ok
}

func clockOf(ms int64) string { return time.UnixMilli(ms).UTC().Format("01-02 15:04:05") }

// Write prints the report as a table.
func (r *Report) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 2, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "FAULT\tINJECTED (UTC)\tKIND\tTRUTH\tDETECTED AFTER\tINCIDENTS\tFIRST THREE CAUSES\tVERDICT")
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		after, word := "missed", "missed"
		if o.Detected {
			after = fmt.Sprintf("%.0f s", o.DelayS)
			switch {
			case o.Right():
				word = "right"
			case o.Rank >= 1 && o.Rank <= 3:
				word = "in top 3"
			default:
				word = "wrong"
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", o.Fault, clockOf(o.Onset), o.Kind, o.Truth, after, o.Incidents, strings.Join(o.Causes, ", "), word)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	_, err := fmt.Fprintf(w, "\n%d faults, %d detected, first cause right %d (%.0f %%), in the first three %d (%.0f %%); %d incidents in all, %d false (in fault-free time)\n",
		r.Faults, r.Detected, r.Top1, 100*r.Top1Share, r.Top3, 100*r.Top3Share, r.Incidents, r.FalseIncidents)
	for _, f := range r.False {
		if err == nil {
			_, err = fmt.Fprintf(w, "  false: %s\n", f)
		}
	}
	return err
}

// Write prints the report of causes alone as a table.
func (r *DirectReport) Write(w io.Writer) error {
	fmt.Fprintf(w, "Causes alone (%s)\n", r.Protocol)
	tw := tabwriter.NewWriter(w, 2, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "GROUP\tCASES\tTOP-1\tTOP-3\tNORMAL WINDOWS\tSPECIFICITY")
	line := func(g DirectGroup) {
		spec := "-"
		if g.Specificity >= 0 {
			spec = fmt.Sprintf("%.3f", g.Specificity)
		}
		fmt.Fprintf(tw, "%s\t%d\t%.3f\t%.3f\t%d\t%s\n", g.Name, g.Cases, g.Top1Share, g.Top3Share, g.Normal, spec)
	}
	n := 0
	for _, g := range r.Groups {
		n += g.Normal
		line(g)
	}
	line(DirectGroup{Name: "ALL", Cases: r.Cases, Top1Share: r.Top1Share, Top3Share: r.Top3Share, Normal: n, Specificity: r.Specificity})
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
