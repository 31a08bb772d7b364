package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
)

func seriesCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "series", Short: "Find series and explain how they are judged"}
	c.AddCommand(listSeries(a), explainSeries(a))
	return c
}

func (a *asker) findSeries(cmd *cobra.Command, text string, limit int) (api.SeriesList, error) {
	var got api.SeriesList
	q := url.Values{"q": {text}, "limit": {strconv.Itoa(limit)}}
	err := a.client().get(cmd.Context(), "/api/v1/series", q, &got)
	return got, err
}

func listSeries(a *asker) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "list [TEXT]", Short: "List series whose name, labels or entity hold every word of TEXT", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := ""
			if len(args) == 1 {
				text = args[0]
			}
			got, err := a.findSeries(cmd, text, limit)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "ID\tENTITY\tSIGNAL\tTIER\tLAST\tNAME")
				for _, s := range got.Series {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Entity, s.Signal, s.Tier, value(s.Last), s.Name)
				}
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 50, "at most this many")
	return c
}

func explainSeries(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "explain NAME", Short: "Say what was chosen for a series and why, and what would be expected now", Args: cobra.ExactArgs(1),
		Long: "NAME is a series' id, or words that its name, labels and entity hold; the first match is explained.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			if _, err := strconv.ParseUint(id, 10, 64); err != nil {
				got, err := a.findSeries(cmd, args[0], 1)
				if err != nil {
					return err
				}
				if len(got.Series) == 0 {
					return &Error{ExitNotFound, fmt.Errorf("no watched series matches %q", args[0])}
				}
				id = got.Series[0].ID
			}
			var raw json.RawMessage
			if err := a.client().get(cmd.Context(), "/api/v1/series/"+id, nil, &raw); err != nil {
				return err
			}
			var s api.SeriesDetail
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("cannot read the explanation: %w", err)
			}
			return a.print(cmd.OutOrStdout(), raw, func(w io.Writer) { explanation(w, &s) })
		},
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

func value(v *float64) string {
	if v == nil {
		return "-"
	}
	return number(*v)
}

func explanation(w io.Writer, d *api.SeriesDetail) {
	s, e := &d.Series, &d.Explanation
	fmt.Fprintf(w, "%s of %s\n\n%s\n\n", s.Name, s.Entity, e.Sentence)
	fmt.Fprintf(w, "phase\t%s\n", e.Phase)
	fmt.Fprintf(w, "now\t%s\n", number(e.Last))
	fmt.Fprintf(w, "expected\t%s (%s to %s)\n", number(e.Expected), number(e.Low), number(e.High))
	fmt.Fprintf(w, "points\t%d, one every %g s\n", e.Points, float64(e.IntervalMS)/1000)
	for _, f := range e.Facts {
		fmt.Fprintf(w, "%s\t%s\n", f.Name, f.Text)
	}
	for _, m := range e.Members {
		fmt.Fprintf(w, "member %s\tscore %s, p %s\t%s\n", m.Name, number(m.Score), number(m.P), m.Text)
	}
}

func statusCommand(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say what Norn watches, what it refused and what it raised", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw json.RawMessage
			if err := a.client().get(cmd.Context(), "/api/v1/status", nil, &raw); err != nil {
				return err
			}
			var s api.Status
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("cannot read the status: %w", err)
			}
			return a.print(cmd.OutOrStdout(), raw, func(w io.Writer) { statusTable(w, &s) })
		},
	}
}

func statusTable(w io.Writer, s *api.Status) {
	fmt.Fprintf(w, "version\t%s, up since %s\n", s.Version, clock(s.Started))
	fmt.Fprintf(w, "feed\t%s, last received %s\n", s.Feed.State, clock(s.Feed.LastReceived))
	fmt.Fprintf(w, "watched\t%d series of %d entities; %d still learning, %d not watched\n",
		s.SeriesWatched, s.Entities, s.SeriesLearning, s.SeriesUnwatched)
	t := &s.Tiers
	fmt.Fprintf(w, "tiers\t%d full, %d basic, %d only counted\n", t.Full, t.Basic, t.Counter)
	if t.Reduced > 0 {
		fmt.Fprintf(w, "not fully watched\t%d series, because %s\n", t.Reduced, t.Short)
	}
	if t.NotWatched > 0 {
		fmt.Fprintf(w, "not watched\tabout %d series beyond detection.max_series\n", t.NotWatched)
	}
	fmt.Fprintf(w, "received\t%d samples, %d log records, %d spans, %d alerts of other tools\n", s.Points, s.Logs, s.Spans, s.ForeignAlerts)
	fmt.Fprintf(w, "refused\t%d items, %d secrets masked\n", s.Rejected, s.SecretsMasked)
	for _, r := range s.Rejects {
		fmt.Fprintf(w, "  %s\t%d\n", r.Name, r.Count)
	}
	fmt.Fprintf(w, "raised\t%d incidents and %d anomalies in 24 h; %d open\n", s.AlertsRaised, s.Anomalies24h, s.IncidentsOpen)
	for _, k := range s.Skews {
		fmt.Fprintf(w, "clock of %s\t%+d ms\n", k.Sender, k.OffsetMS)
	}
}
