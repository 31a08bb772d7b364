package backtest

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

const (
	printedGroups = 15
	printedPairs  = 40
)

// Print writes the report for people: sums on top, then what differs.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s to %s, models learnt from %s on, %d samples\n\n", stamp(r.From), stamp(r.To), stamp(r.WarmupFrom), r.Samples)
	fmt.Fprintln(t, "\tPRESENT\tPROPOSED")
	row := func(name, format string, a, b any) { fmt.Fprintf(t, "%s\t"+format+"\t"+format+"\n", name, a, b) }
	p, q := &r.Present, &r.Proposed
	row("alarms", "%d", p.Alarms, q.Alarms)
	row("muted", "%d", p.Muted, q.Muted)
	row("explained by load", "%d", p.Explained, q.Explained)
	row("series watched", "%d", p.Series, q.Series)
	row("with a driver", "%d", p.Driven, q.Driven)
	row("entities judged jointly", "%d", p.Jointly, q.Jointly)
	row("state, MiB", "%.1f", float64(p.StateBytes)/(1<<20), float64(q.StateBytes)/(1<<20))
	row("joint state, MiB", "%.1f", float64(p.JointBytes)/(1<<20), float64(q.JointBytes)/(1<<20))
	row("state, bytes a series", "%.0f", p.BytesPerSeries, q.BytesPerSeries)
	row("CPU, s", "%.2f", p.CPUSeconds, q.CPUSeconds)
	row("CPU, ns a point", "%.0f", p.NsPerPoint, q.NsPerPoint)
	s := &r.Sums
	fmt.Fprintf(t, "\nboth: %d (%d at the same time, %d earlier, %d later)   only before (missed): %d   only after (new): %d\n",
		s.Both, s.Same, s.Earlier, s.Later, s.OnlyBefore, s.OnlyAfter)
	r.printMarks(t)
	r.printGroups(t)
	r.printPairs(t)
	for _, n := range r.Notes {
		fmt.Fprintf(t, "\nNote: %s.", n)
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func (r *Report) printMarks(w io.Writer) {
	m := &r.Marks
	if m.Real+m.Noise+m.Beside == 0 {
		fmt.Fprintln(w, "No incident of the range is marked (norn incidents mark ID real|noise).")
		return
	}
	fmt.Fprintf(w, "marked real: %d, seen %d before and %d after, lost %d, gained %d\n", m.Real, m.RealBefore, m.RealAfter, m.RealLost, m.RealGained)
	fmt.Fprintf(w, "marked noise: %d, raised %d before and %d after, saved %d, added %d\n", m.Noise, m.NoiseBefore, m.NoiseAfter, m.NoiseSaved, m.NoiseAdded)
	if m.Beside > 0 {
		fmt.Fprintf(w, "marked, but not of metrics: %d\n", m.Beside)
	}
	for _, p := range m.Incidents {
		if p.Before != p.After {
			word := map[bool]string{true: "gone", false: "new"}[p.Before]
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", word, p.Mark, p.ID, p.Title)
		}
	}
}

func (r *Report) printGroups(w io.Writer) {
	for _, g := range []struct {
		name string
		list []Group
	}{{"ENTITY", r.Entities}, {"SERIES", r.Series}} {
		if len(g.list) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nBEFORE\tAFTER\tMISSED\tNEW\t%s\n", g.name)
		for i, x := range g.list {
			if i == printedGroups {
				fmt.Fprintf(w, "\t\t\t\t... and %d more\n", len(g.list)-i)
				break
			}
			name := x.Name
			if name == "" {
				name = "-"
			}
			fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%s\n", x.Before, x.After, x.OnlyBefore, x.OnlyAfter, name)
		}
	}
}

func (r *Report) printPairs(w io.Writer) {
	if len(r.Alarms) == 0 {
		return
	}
	fmt.Fprintln(w, "\nALARM\tBEFORE\tAFTER\tEARLIER BY\tKIND\tSERIES")
	for i := range r.Alarms {
		if i == printedPairs {
			fmt.Fprintf(w, "... and %d more; -o json has all\n", len(r.Alarms)+r.LeftOut-i)
			return
		}
		p := &r.Alarms[i]
		m := p.Before
		if m == nil {
			m = p.After
		}
		earlier := "-"
		if p.Outcome == Both {
			earlier = (time.Duration(p.Earlier) * time.Millisecond).String()
		}
		word := map[Outcome]string{Both: "both", OnlyBefore: "missed", OnlyAfter: "new"}[p.Outcome]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", word, p.Before.clock(), p.After.clock(), earlier, m.Kind, p.Series)
	}
}

func (m *Moment) clock() string {
	if m == nil {
		return "-"
	}
	return time.UnixMilli(m.Time).UTC().Format("01-02 15:04:05")
}
