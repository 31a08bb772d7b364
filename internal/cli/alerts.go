package cli

import (
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
)

func alertsCommand(a *asker) *cobra.Command {
	var from, source string
	var unresolved, firing bool
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List other tools' alerts, newest first", Args: cobra.NoArgs,
		Long: `Lists the alerts that other tools sent and that were active since --from. Those
without an entity (--unresolved) name nothing that Norn knows: give them a label
service, host or entity.

JSON: alerts[]{name, source, severity, entity, labels, starts_at_unix_ms, ends_at_unix_ms}, total, unresolved.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"from": {from}, "limit": {strconv.Itoa(limit)}, "unresolved": {strconv.FormatBool(unresolved)}, "firing": {strconv.FormatBool(firing)}}
			if source != "" {
				q.Set("source", source)
			}
			var got api.AlertList
			if err := a.client().get(cmd.Context(), "/api/v1/alerts", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { alertTable(w, &got) })
		},
	}
	f := list.Flags()
	f.StringVar(&from, "from", "-24h", "RFC 3339, Unix ms or an age")
	f.StringVar(&source, "source", "", "only this tool's: alertmanager, grafana, pagerduty, zabbix, nagios")
	f.BoolVar(&unresolved, "unresolved", false, "only those that no entity was found for")
	f.BoolVar(&firing, "firing", false, "only those that have not ended")
	f.IntVar(&limit, "limit", 100, "at most this many")
	c := &cobra.Command{Use: "alerts", Short: "See what other tools raised"}
	c.AddCommand(list)
	return c
}

func alertTable(w io.Writer, l *api.AlertList) {
	fmt.Fprintln(w, "SINCE\tENDED\tSEVERITY\tSOURCE\tENTITY\tNAME")
	for i := range l.Alerts {
		x := &l.Alerts[i]
		entity, ended := x.Entity.String(), "-"
		if x.Entity.IsZero() {
			entity = "(unresolved)"
		}
		if x.EndsAt != 0 {
			ended = clock(x.EndsAt)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", clock(x.StartsAt), ended, x.Severity, x.Source, entity, x.Name)
	}
	fmt.Fprintf(w, "%d alerts, %d without an entity\n", l.Total, l.Unresolved)
}
