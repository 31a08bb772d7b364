package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
)

func sloCommand(a *asker) *cobra.Command {
	var entity string
	var declared bool
	c := &cobra.Command{
		Use: "slo", Aliases: []string{"slos"}, Short: "List service level objectives, and how fast their error budgets go", Args: cobra.NoArgs,
		Long: `Lists the objectives of the configuration (slos) and those that were inferred from
services' own pasts, with the share of requests that was good, burn rates over
1h/5m, 6h/30m and 3d/6h (long and short window; 1 uses the budget up exactly by
the end of the objective's window), what of the error budget is left, and when it
is gone at the last hour's rate. A rate with ! burns too fast.

JSON: slos[]{name, entity, objective, sli, burns[]{name, long_rate, short_rate, ...}, left, exhausted_in_ms, ...}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			if entity != "" {
				q.Set("entity", entity)
			}
			if declared {
				q.Set("inferred", "false")
			}
			var got api.SLOList
			if err := a.client().get(cmd.Context(), "/api/v1/slos", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { sloTable(w, got.SLOs) })
		},
	}
	c.Flags().StringVar(&entity, "entity", "", "only this entity's: a service's name or kind/name")
	c.Flags().BoolVar(&declared, "declared", false, "leave out what was inferred")
	return c
}

func sloTable(w io.Writer, list []ops.SLO) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No objectives: none is declared, and none is inferred before a service was seen for three days.")
		return
	}
	fmt.Fprintln(w, "SLO\tENTITY\tOBJECTIVE\tSLI\tBURN 1h/5m\t6h/30m\t3d/6h\tBUDGET LEFT\tGONE IN\tNOTE")
	for i := range list {
		s := &list[i]
		sli := "-"
		if s.SLI != nil {
			sli = fmt.Sprintf("%.4g %%", 100**s.SLI)
		}
		gone := "-"
		if s.Exhausted != nil {
			gone = (time.Duration(*s.Exhausted) * time.Millisecond).Round(time.Minute).String()
		}
		var notes []string
		if s.Inferred {
			notes = append(notes, "inferred")
		}
		if s.Note != "" {
			notes = append(notes, s.Note)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", s.Name, dash(s.Entity.String()), objective(s), sli)
		for k := range 3 {
			fmt.Fprintf(w, "\t%s", burnCell(s.Burns, k))
		}
		fmt.Fprintf(w, "\t%.0f %%\t%s\t%s\n", 100*s.Left, gone, strings.Join(notes, "; "))
	}
}

// objective says what is promised.
func objective(s *ops.SLO) string {
	text := fmt.Sprintf("%.4g %%", 100*s.Objective)
	if s.Threshold > 0 {
		text += fmt.Sprintf(" < %g s", s.Threshold)
	}
	return fmt.Sprintf("%s in %.0fd", text, float64(s.Window)/(24*3600_000))
}

func burnCell(list []ops.Burn, k int) string {
	if k >= len(list) {
		return "-"
	}
	b := &list[k]
	mark := ""
	if b.Burning {
		mark = " !"
	}
	return fmt.Sprintf("%.2g/%.2g%s", b.LongRate, b.ShortRate, mark)
}
