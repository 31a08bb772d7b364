package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func clock(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

func incidentTable(w io.Writer, list []api.Summary) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No incidents.")
		return
	}
	fmt.Fprintln(w, "ID\tSTATE\tSINCE\tSEVERITY\tTEAM\tROOT\tSURE\tALERTS\tTITLE")
	for i := range list {
		in := &list[i]
		root := in.Root.String()
		if root == "" {
			root = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
			in.ID, in.State, clock(in.Onset), dash(string(in.Level)), dash(in.Team), root, percent(in.Confidence), in.Alerts, in.Title)
	}
}

func suppressedPage(w io.Writer, got *api.SuppressedList) {
	b := &got.Budget
	switch {
	case b.PagesPerWeek == 0 && len(b.Teams) == 0:
		fmt.Fprintln(w, "There is no budget: nothing is held back.")
		return
	case b.PagesPerWeek == 0:
		fmt.Fprintf(w, "There is no budget but those of teams; %d candidates held back since start.\n", b.Suppressed)
	case b.PerService:
		fmt.Fprintf(w, "Budget: %g false pages a week for each service; %d candidates held back since start.\n", b.PagesPerWeek, b.Suppressed)
	default:
		fmt.Fprintf(w, "Budget: %g false pages a week, %.2f of them used; the next candidate may have p = %.2g; %d candidates held back since start.\n",
			b.PagesPerWeek, b.Spent, b.Level, b.Suppressed)
	}
	for _, t := range b.Teams {
		fmt.Fprintf(w, "Team %s: %g false pages a week, %.2f of them used; the next candidate may have p = %.2g.\n", t.Team, t.PagesPerWeek, t.Spent, t.Level)
	}
	for i := range got.Suppressed {
		s := &got.Suppressed[i]
		state := "may still open"
		if s.Ended != 0 {
			state = "came to nothing at " + clock(s.Ended)
		}
		whose := ""
		if s.Team != "" {
			whose = " (team " + s.Team + ")"
		}
		fmt.Fprintf(w, "\n%s%s, since %s, %s\n  %s\n", s.Title, whose, clock(s.Onset), state, s.Why)
		for _, v := range s.Verdicts {
			fmt.Fprintf(w, "  %s: p = %.2g by all of its tests (single series %.2g, together %.2g, given its load %.2g)\n", v.Entity, v.P, v.Single, v.Joint, v.Load)
		}
	}
}

func incidentPage(w io.Writer, in *ops.Incident) {
	fmt.Fprintf(w, "%s\n\n%s\n\n", in.Title, in.Sentence)
	fmt.Fprintf(w, "id\t%s\n", in.ID)
	fmt.Fprintf(w, "state\t%s\n", in.State)
	fmt.Fprintf(w, "since\t%s\n", clock(in.Onset))
	if in.Resolved != 0 {
		fmt.Fprintf(w, "resolved\t%s\n", clock(in.Resolved))
	}
	if in.Mark != "" {
		fmt.Fprintf(w, "marked\t%s\n", in.Mark)
	}
	fmt.Fprintf(w, "verdict\t%s, %s sure\n", in.Verdict, percent(in.Confidence))
	fmt.Fprintf(w, "severity\t%s: %s\n", dash(string(in.Level)), dash(in.Grounds))
	if in.Team != "" {
		fmt.Fprintf(w, "team\t%s\n", in.Team)
	}
	for _, h := range in.Harm.SLOs {
		fmt.Fprintf(w, "objective\t%s of %s: %s\n", h.SLO, h.Entity, h.Text)
	}
	fmt.Fprintf(w, "impact\t%s\n", in.ImpactText)
	fmt.Fprintf(w, "folded in\t%d alerts and anomalies\n\n", in.Alerts)
	fmt.Fprintln(w, "ROLE\tENTITY\tSCORE\tSINCE\tSIGNAL")
	for _, c := range in.Causes {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\t%s\n", c.Role, c.Entity, c.Score, clock(c.Onset), c.Signal)
	}
	changes(w, in.Changes)
	fmt.Fprintln(w, "\nTIMELINE")
	for _, e := range in.Timeline {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", clock(e.Time), e.Kind, e.Entity, e.Text)
	}
}

func changes(w io.Writer, list []telemetry.Change) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, "\nCHANGES JUST BEFORE")
	for _, ch := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s %s\n", clock(ch.Time), ch.Kind, ch.Entity, ch.Title, ch.Actor)
	}
}

// argument prints every role with its evidence and shares.
func argument(w io.Writer, in *ops.Incident) {
	fmt.Fprintf(w, "%s\n\n%s\n", in.Title, in.Sentence)
	for _, c := range in.Causes {
		inferred := ""
		if c.Inferred {
			inferred = " (inferred: it sends no telemetry)"
		}
		fmt.Fprintf(w, "\n%s: %s%s\n", strings.ToUpper(string(c.Role)), c.Entity, inferred)
		if c.Sentence != "" {
			fmt.Fprintf(w, "  %s\n", c.Sentence)
		}
		fmt.Fprintf(w, "  score %.2f, probability %s, unexplained by others %s, since %s\n", c.Score, percent(c.Probability), percent(c.Unexplained), clock(c.Onset))
		for _, x := range c.ExplainedBy {
			fmt.Fprintf(w, "  had %s stayed normal, its excess would fall by %s\n", x.By, percent(x.Share))
		}
		for _, e := range c.Evidence {
			fmt.Fprintf(w, "  evidence (weight %.2f, z %.1f): %s\n", e.Weight, e.Z, e.Text)
		}
		for _, ch := range c.Changes {
			fmt.Fprintf(w, "  change at %s: %s %s\n", clock(ch.Time), ch.Kind, ch.Title)
		}
	}
}
