package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/where"
)

func drilldownCommand(a *asker) *cobra.Command {
	var from, to, source, per, measure, against string
	var by []string
	c := &cobra.Command{
		Use: "drilldown QUERY", Short: "Find which labels, fields or attributes a deviation comes from", Args: cobra.ExactArgs(1),
		Long: `Searches all combinations of dimensions (region, version, endpoint...) for the
one that carries what changed between a window and the time compared with.
Failures and latencies are searched by numerator and denominator: of a counter
with a status the requests of any status are the denominator, of _sum the
_count; --per names another one, --per none takes none.

JSON: kind, dims[], leaves, observed, expected, excess, sentence,
elements[]{pairs[]{dim, value}, observed, expected, excess, of_excess, traffic, gain}.`,
		Example: `  norn drilldown 'http_requests_total{service="cart",code=~"5.."}' --from -15m
  norn drilldown 'http_request_duration_seconds_sum{service="cart"}' --against 1d
  norn drilldown --source logs 'severity:=error' --per '*'
  norn drilldown --source traces cart --measure latency`,
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"query": {args[0]}, "source": {source}, "measure": {measure}, "against": {against}}
			for k, v := range map[string]string{"from": from, "to": to, "per": per, "by": strings.Join(by, ",")} {
				if v != "" {
					q.Set(k, v)
				}
			}
			var got where.Answer
			if err := a.client().get(cmd.Context(), "/api/v1/drilldown", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { drilldownPage(w, &got) })
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "-15m", "start: RFC 3339, Unix ms or an age")
	f.StringVar(&to, "to", "", "end; now when empty")
	f.StringVar(&against, "against", "before", "before, or an age such as 1d by which the same window is moved back")
	f.StringVar(&source, "source", "metrics", "metrics, logs (QUERY is a LogsQL filter) or traces (QUERY is a service)")
	f.StringVar(&per, "per", "", "denominator, of the same form; none for none")
	f.StringVar(&measure, "measure", "errors", "of traces: errors or latency")
	f.StringSliceVar(&by, "by", nil, "only these dimensions")
	return c
}

func drilldownPage(w io.Writer, a *where.Answer) {
	fmt.Fprintf(w, "%s\n", a.Sentence)
	fmt.Fprintf(w, "%s", a.Counted)
	if a.Per != "" {
		fmt.Fprintf(w, " by %s", a.Per)
	}
	fmt.Fprintf(w, ": %.4g, expected %.4g; %d combinations of %s searched\n", a.Observed, a.Expected, a.Leaves, strings.Join(a.Dims, ", "))
	if len(a.Elements) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWHERE\tNOW\tEXPECTED\tOF THE CHANGE\tTRAFFIC\tEVIDENCE")
	for _, e := range a.Elements {
		fmt.Fprintf(w, "%s\t%.4g\t%.4g\t%s\t%s\t%.1f\n", where.Where(e), e.Observed, e.Expected, percent(e.Share), percent(e.Traffic), e.Gain)
	}
}
