package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const notifyPath = "/api/v1/notify"

func notifyCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: "Try receivers, list what was sent, waits or was held back, see who is on call"}
	c.AddCommand(testReceiver(a), listReceivers(a), listDeliveries(a), onCall(a))
	return c
}

func testReceiver(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "test RECEIVER", Short: "Send a test message", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var got api.TestResult
			if err := a.client().post(cmd.Context(), notifyPath+"/receivers/"+url.PathEscape(args[0])+"/test", nil, &got); err != nil {
				return err
			}
			if !got.Sent {
				return fmt.Errorf("it could not be sent: %s", got.Error)
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { fmt.Fprintf(w, "Sent to %s.\n", got.Receiver) })
		},
	}
}

func listReceivers(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "receivers", Short: "List the receivers and how their channels fare", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.ReceiverList
			if err := a.client().get(cmd.Context(), notifyPath+"/receivers", nil, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "RECEIVER\tKIND\tWAITING\tSINCE\tLAST ERROR")
				for _, r := range got.Receivers {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", r.Name, r.Kind, r.Queued, clock(r.Oldest), r.Error)
				}
			})
		},
	}
}

func listDeliveries(a *asker) *cobra.Command {
	q := map[string]*string{"receiver": new(string), "incident": new(string), "state": new(string)}
	var limit int
	c := &cobra.Command{
		Use: "deliveries", Short: "List messages, newest first: sent, queued, failed, held back, in a digest", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := url.Values{"limit": {strconv.Itoa(limit)}}
			for k, s := range q {
				if *s != "" {
					v.Set(k, *s)
				}
			}
			var got api.DeliveryList
			if err := a.client().get(cmd.Context(), notifyPath+"/deliveries", v, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "CREATED\tRECEIVER\tSTATE\tCHANGE\tTRIES\tSENT\tTITLE\tWHY, ERROR")
				for i := range got.Deliveries {
					d := &got.Deliveries[i]
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", clock(d.Created), d.Receiver, d.State, d.Message.Change, d.Attempts, clock(d.Sent),
						d.Message.Title, strings.TrimSpace(d.Why+" "+d.Error))
				}
			})
		},
	}
	c.Flags().StringVar(q["receiver"], "receiver", "", "only this receiver's")
	c.Flags().StringVar(q["incident"], "incident", "", "only of this incident")
	c.Flags().StringVar(q["state"], "state", "", "queued, sent, failed, held, digest or told")
	c.Flags().IntVar(&limit, "limit", 50, "at most this many")
	return c
}

func onCall(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "oncall", Short: "Say who is on call now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.OnCallList
			if err := a.client().get(cmd.Context(), notifyPath+"/oncall", nil, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "SCHEDULE\tON CALL")
				for _, o := range got.OnCall {
					fmt.Fprintf(w, "%s\t%s\n", o.Schedule, o.Receiver)
				}
			})
		},
	}
}

// shownSilence is a silence as API v2 gives it.
type shownSilence struct {
	notify.Silence
	Status struct {
		State string `json:"state"`
	} `json:"status"`
}

func silencesCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "silences", Aliases: []string{"silence"}, Short: "List, add and expire silences: nobody is told of what matches"}
	list := &cobra.Command{
		Use: "list", Short: "List silences", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got []shownSilence
			if err := a.client().get(cmd.Context(), "/api/v2/silences", nil, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { silenceTable(w, got) })
		},
	}
	expire := &cobra.Command{
		Use: "expire ID", Short: "End a silence now", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.client().do(cmd.Context(), http.MethodDelete, "/api/v2/silence/"+url.PathEscape(args[0]), nil, nil)
		},
	}
	c.AddCommand(list, addSilence(a), expire)
	return c
}

func silenceTable(w io.Writer, list []shownSilence) {
	fmt.Fprintln(w, "ID\tSTATE\tENDS\tBY\tMATCHERS\tCOMMENT")
	for i := range list {
		s := &list[i]
		texts := make([]string, len(s.Matchers))
		for j, m := range s.Matchers {
			op := map[[2]bool]string{{false, true}: "=", {false, false}: "!=", {true, true}: "=~", {true, false}: "!~"}[[2]bool{m.IsRegex, m.IsEqual == nil || *m.IsEqual}]
			texts[j] = fmt.Sprintf("%s%s%q", m.Name, op, m.Value)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Status.State, clock(s.EndsAt.UnixMilli()), s.CreatedBy, strings.Join(texts, ", "), s.Comment)
	}
}

func addSilence(a *asker) *cobra.Command {
	var length time.Duration
	var who, comment string
	c := &cobra.Command{
		Use: "add MATCHER...", Short: "Add a silence", Args: cobra.MinimumNArgs(1),
		Example: `  norn silences add 'team="shop"' 'severity=~"minor|info"' --for 2h --comment "moving the database"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s := notify.Silence{StartsAt: time.Now(), EndsAt: time.Now().Add(length), CreatedBy: who, Comment: comment}
			for _, text := range args {
				ms, err := parse.Matchers(text)
				if err != nil {
					return &Error{ExitUsage, fmt.Errorf("%q is not a matcher like team=\"shop\": %w", text, err)}
				}
				for _, m := range ms {
					equal := m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp
					s.Matchers = append(s.Matchers, notify.SilenceMatcher{Name: m.Name, Value: m.Value, IsEqual: &equal,
						IsRegex: m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp})
				}
			}
			var got struct {
				ID string `json:"silenceID"`
			}
			if err := a.client().post(cmd.Context(), "/api/v2/silences", s, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { fmt.Fprintln(w, got.ID) })
		},
	}
	c.Flags().DurationVar(&length, "for", time.Hour, "from now for this long: 90m, 2h")
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringVar(&comment, "comment", "", "why")
	return c
}

func maintenanceCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "maintenance", Short: "List, add and remove maintenance windows"}
	list := &cobra.Command{
		Use: "list", Short: "List maintenance windows", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.MaintenanceList
			if err := a.client().get(cmd.Context(), notifyPath+"/maintenance", nil, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "NAME\tFROM\tSTART\tEND\tRECURS\tMATCH\tCOMMENT")
				row := func(from string, ms []notify.Maintenance) {
					for _, m := range ms {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.Name, from, dash(m.Start), dash(m.End), len(m.Intervals), strings.Join(m.Match, ", "), m.Comment)
					}
				}
				row("file", got.File)
				row("api", got.Stored)
			})
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "End a maintenance window", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.client().do(cmd.Context(), http.MethodDelete, notifyPath+"/maintenance/"+url.PathEscape(args[0]), nil, nil)
		},
	}
	c.AddCommand(list, addMaintenance(a), remove)
	return c
}

func addMaintenance(a *asker) *cobra.Command {
	m := notify.Maintenance{}
	var length time.Duration
	var days []string
	var from, to, zone string
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a maintenance window", Args: cobra.ExactArgs(1),
		Example: `  norn maintenance add move --match 'service="orders"' --for 4h
  norn maintenance add backup --match 'entity=~"database/.*"' --days monday:friday --from 02:00 --to 03:30 --time-zone Europe/Berlin`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Name = args[0]
			if length > 0 {
				m.Start, m.End = time.Now().Format(time.RFC3339), time.Now().Add(length).Format(time.RFC3339)
			}
			span := map[string]any{}
			if from != "" || to != "" {
				span["times"] = []map[string]string{{"start_time": from, "end_time": to}}
			}
			if len(days) > 0 {
				span["weekdays"] = days
			}
			if len(span) > 0 {
				span["location"] = zone
				m.Intervals = []map[string]any{span}
			}
			var got notify.Maintenance
			if err := a.client().post(cmd.Context(), notifyPath+"/maintenance", m, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { fmt.Fprintf(w, "Added %s.\n", got.Name) })
		},
	}
	f := c.Flags()
	f.StringArrayVar(&m.Match, "match", []string{}, "matchers like team=\"shop\"; none is everything")
	f.DurationVar(&length, "for", 0, "from now for this long")
	f.StringVar(&m.Start, "start", "", "RFC 3339")
	f.StringVar(&m.End, "end", "", "RFC 3339")
	f.StringSliceVar(&days, "days", nil, "recurring: monday, saturday:sunday...")
	f.StringVar(&from, "from", "", "recurring: HH:MM")
	f.StringVar(&to, "to", "", "recurring: HH:MM, not over midnight")
	f.StringVar(&zone, "time-zone", "UTC", "recurring: IANA name")
	f.StringVar(&m.Comment, "comment", "", "why")
	return c
}

func mergeIncident(a *asker) *cobra.Command {
	var who string
	c := &cobra.Command{
		Use: "merge ID INTO", Short: "Merge an incident into another: they have one cause", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeIncidents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rearrange(cmd.Context(), cmd.OutOrStdout(), args[0], "merge", map[string]any{"who": who, "into": args[1]})
		},
	}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	return c
}

func splitIncident(a *asker) *cobra.Command {
	var who string
	var anomalies []string
	c := &cobra.Command{
		Use: "split ID", Short: "Split anomalies off an incident: they have another cause", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeIncidents,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rearrange(cmd.Context(), cmd.OutOrStdout(), args[0], "split", map[string]any{"who": who, "anomalies": anomalies})
		},
	}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringSliceVar(&anomalies, "anomaly", nil, "IDs of the anomalies that go (norn incidents show ID -o json)")
	_ = c.MarkFlagRequired("anomaly")
	return c
}

func (a *asker) rearrange(ctx context.Context, w io.Writer, id, verb string, body any) error {
	var got api.Rearranged
	if err := a.client().post(ctx, "/api/v1/incidents/"+url.PathEscape(id)+"/"+verb, body, &got); err != nil {
		return err
	}
	return a.print(w, got, func(w io.Writer) {
		list := make([]api.Summary, 0, len(got.Incidents))
		for i := range got.Incidents {
			in := &got.Incidents[i]
			list = append(list, api.Summary{ID: in.ID, State: in.State, Title: in.Title, Severity: in.Severity, Level: in.Level, Team: in.Team,
				Onset: in.Onset, Anomalies: len(in.Anomalies), Confidence: in.Confidence, Sentence: in.Sentence, Impact: in.Impact, ImpactText: in.ImpactText,
				Verdict: in.Verdict, Root: rootOf(in), MergedInto: in.MergedInto})
		}
		incidentTable(w, list)
	})
}

func rootOf(in *ops.Incident) (e telemetry.Entity) {
	for i := range in.Causes {
		if in.Causes[i].Role == ops.RoleRoot {
			return in.Causes[i].Entity
		}
	}
	return e
}
