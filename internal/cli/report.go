package cli

import (
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/report"
)

func reportCommand(a *asker) *cobra.Command {
	var from, to, by string
	c := &cobra.Command{
		Use: "report", Short: "Say how operations fare: times to detect, acknowledge and repair, repeats, trends, where effort pays", Args: cobra.NoArgs,
		Long: `Reports on the incidents of a time (default: the last 90 days), grouped by
service, team, kind (of evidence) or cause. Figures have 90 % intervals; a trend
is claimed only when chance is an unlikely reason, corrected for all trends of
the report. See docs/report.md.

JSON: whole{incidents, mttd, mtta, mttr, mtbf_seconds, alerts_per_incident,
noise, repeats, lost_hours, ...}, trends[]{figure, verdict, p_value, ...},
groups[]{name, measures, lost_share, lost_share_cumulative, trends}, effort[],
weeks[], sentence, notes[].`,
		Example: "  norn report --by team\n  norn report --from -30d -o html > report.html",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"by": {by}}
			for k, v := range map[string]string{"from": from, "to": to} {
				if v != "" {
					q.Set(k, v)
				}
			}
			var got report.Report
			if err := a.client().get(cmd.Context(), "/api/v1/report", q, &got); err != nil {
				return err
			}
			if a.output == "html" {
				return report.HTML(cmd.OutOrStdout(), &got)
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { reportPage(w, &got) })
		},
	}
	c.Flags().StringVar(&from, "from", "", "begin: an age such as -30d, RFC 3339 or Unix ms (default -90d)")
	c.Flags().StringVar(&to, "to", "", "end (default now)")
	c.Flags().StringVar(&by, "by", "cause", "service, team, kind or cause")
	return c
}

func reportPage(w io.Writer, r *report.Report) {
	fmt.Fprintln(w, r.Sentence)
	m := &r.Whole
	fmt.Fprintf(w, "\nMTTD\t%s\nMTTA\t%s\nMTTR\t%s\nMTBF\t%s\n", statCell(m.Detect), statCell(m.Acknowledge), statCell(m.Repair), durationCell(m.Between))
	fmt.Fprintf(w, "alerts an incident\t%.3g\nnoise (of the marked)\t%s\nrepeats in 30 days\t%s\nafter a change\t%s\nresolved unattended\t%s\n",
		m.AlertsPerIncident, shareCell(m.Noise), shareCell(m.Repeats), shareCell(m.AfterChange), shareCell(m.Unattended))
	fmt.Fprintln(w)
	for _, t := range r.Trends {
		fmt.Fprintln(w, t.Sentence)
	}
	if len(r.Groups) > 0 {
		fmt.Fprintf(w, "\nBY %s\tINCIDENTS\tMTTD\tMTTA\tMTTR\tLOST h\tSHARE\tTOGETHER\n", r.By)
	}
	for i := range r.Groups {
		g := &r.Groups[i]
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%.3g\t%.0f %%\t%.0f %%\n", g.Name, g.Measures.Incidents, meanCell(g.Measures.Detect), meanCell(g.Measures.Acknowledge),
			meanCell(g.Measures.Repair), g.Measures.LostHours, 100*g.Share, 100*g.Sum)
	}
	if len(r.Effort) > 0 {
		fmt.Fprintln(w, "\nWhere effort pays most:")
	}
	for i := range r.Effort {
		fmt.Fprintln(w, "  "+r.Effort[i].Sentence)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "Note: "+n+".")
	}
}

func statCell(s report.Stat) string {
	switch {
	case s.N == 0:
		return "-"
	case s.Low == s.High:
		return fmt.Sprintf("%s (of %d)", report.Duration(s.Mean), s.N)
	}
	return fmt.Sprintf("%s (90 %%: %s to %s, of %d)", report.Duration(s.Mean), report.Duration(s.Low), report.Duration(s.High), s.N)
}

func meanCell(s report.Stat) string {
	if s.N == 0 {
		return "-"
	}
	return report.Duration(s.Mean)
}

func durationCell(s float64) string {
	if s == 0 {
		return "-"
	}
	return report.Duration(s)
}

func shareCell(s report.Share) string {
	if s.Of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %% (90 %%: %.0f to %.0f, of %d)", 100*s.Value, 100*s.Low, 100*s.High, s.Of)
}
