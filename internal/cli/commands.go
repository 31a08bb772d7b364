package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
)

// asker is what all verbs share: which server, and how to print.
type asker struct {
	server, token, output string
}

func (a *asker) client() *client {
	token := a.token
	if token == "" {
		token = os.Getenv("NORN_TOKEN")
	}
	return newClient(a.server, token)
}

// print writes v as JSON, or calls table for people.
func (a *asker) print(w io.Writer, v any, table func(io.Writer)) error {
	switch a.output {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "table":
		tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		table(tw)
		return tw.Flush()
	}
	return &Error{ExitUsage, fmt.Errorf("-o %q is not one of table, json", a.output)}
}

// Commands returns the operator's verbs.
func Commands() []*cobra.Command {
	a := &asker{}
	verbs := []*cobra.Command{incidentsCommand(a), seriesCommand(a), mutesCommand(a), silencesCommand(a), maintenanceCommand(a), notifyCommand(a), sloCommand(a), remedyCommand(a), forecastCommand(a), capacityCommand(a), drilldownCommand(a), alertsCommand(a), statusCommand(a), logsCommand(a), changedCommand(a), operationsCommand(a), whatifCommand(a), reportCommand(a)}
	for _, v := range verbs {
		f := v.PersistentFlags()
		f.StringVar(&a.server, "server", envOr("NORN_SERVER", "127.0.0.1:7700"), "address of the running Norn (or $NORN_SERVER)")
		f.StringVar(&a.token, "token", "", "bearer token (or $NORN_TOKEN)")
		f.StringVarP(&a.output, "output", "o", "table", "table or json")
		_ = v.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	}
	return verbs
}

func envOr(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

func incidentsCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "incidents", Aliases: []string{"incident", "inc"}, Short: "List, show, explain and work on incidents"}
	c.AddCommand(listIncidents(a), listSuppressed(a), showIncident(a), explainIncident(a),
		actOnIncident(a, "acknowledge", "Say that somebody works on it"),
		actOnIncident(a, "mitigate", "Say that somebody undoes its harm"), mergeIncident(a), splitIncident(a),
		actOnIncident(a, "resolve", "Close an incident by hand"),
		actOnIncident(a, "comment", "Add a comment to the timeline"), markIncident(a), remediesOf(a))
	return c
}

func listIncidents(a *asker) *cobra.Command {
	var states []string
	var team string
	var limit int
	var exitCode bool
	c := &cobra.Command{
		Use: "list", Short: "List incidents, newest first", Args: cobra.NoArgs,
		Example: "  norn incidents list --state open\n  norn incidents list --state open --exit-code && echo all is well",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for _, s := range states {
				q.Add("state", s)
			}
			if team != "" {
				q.Set("team", team)
			}
			var got api.IncidentList
			if err := a.client().get(cmd.Context(), "/api/v1/incidents", q, &got); err != nil {
				return err
			}
			err := a.print(cmd.OutOrStdout(), got, func(w io.Writer) { incidentTable(w, got.Incidents) })
			if err == nil && exitCode && len(got.Incidents) > 0 {
				return &Error{ExitFinding, fmt.Errorf("%d incidents", len(got.Incidents))}
			}
			return err
		},
	}
	c.Flags().StringSliceVar(&states, "state", nil, "only these states: open, acknowledged, mitigating, resolved, muted")
	c.Flags().StringVar(&team, "team", "", "only this team's")
	c.Flags().IntVar(&limit, "limit", 50, "at most this many")
	c.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 when any incident is listed")
	return c
}

func listSuppressed(a *asker) *cobra.Command {
	var team string
	var limit int
	c := &cobra.Command{
		Use: "suppressed", Short: "List what the budget of false pages holds back, and why", Args: cobra.NoArgs,
		Long: `Lists the candidates that did not become incidents because their evidence may
well be chance and the budget of false pages (alerts.budget in the configuration,
or the team's own) does not allow them, newest first. They open when their evidence grows.

JSON: budget{false_pages_per_week, spent, level, ...}, suppressed[]{title, team, why, p_value, level, verdicts, ...}.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.SuppressedList
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if team != "" {
				q.Set("team", team)
			}
			if err := a.client().get(cmd.Context(), "/api/v1/suppressed", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { suppressedPage(w, &got) })
		},
	}
	c.Flags().StringVar(&team, "team", "", "only this team's")
	c.Flags().IntVar(&limit, "limit", 50, "at most this many")
	return c
}

func showIncident(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one incident", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeIncidents,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := a.incident(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), in, func(w io.Writer) { incidentPage(w, in) })
		},
	}
}

func explainIncident(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "Give the whole argument: roles, shares, evidence", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeIncidents,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := a.incident(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), in, func(w io.Writer) { argument(w, in) })
		},
	}
}

func actOnIncident(a *asker, verb, short string) *cobra.Command {
	var who, text string
	c := &cobra.Command{
		Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeIncidents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if verb == "comment" && text == "" {
				return &Error{ExitUsage, fmt.Errorf("a comment needs --text")}
			}
			var in ops.Incident
			path := "/api/v1/incidents/" + url.PathEscape(args[0]) + "/" + verb
			if err := a.client().post(cmd.Context(), path, map[string]string{"who": who, "text": text}, &in); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), in, func(w io.Writer) { incidentPage(w, &in) })
		},
	}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringVar(&text, "text", "", "what to add to the timeline")
	return c
}

func markIncident(a *asker) *cobra.Command {
	var who string
	c := &cobra.Command{
		Use: "mark ID real|noise|none", Short: "Say whether somebody had to know; backtests are tried on it",
		Long: `Marks an incident: real (somebody had to know), noise (nobody had to), or none
(takes a mark back). 'norn backtest' says how many incidents that are marked real
a change would lose, and how many that are marked noise it would save.`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{"real", "noise", "none"}, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeIncidents(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"real", "noise", "none"}, args[1]) {
				return &Error{ExitUsage, fmt.Errorf("%q is not one of real, noise, none", args[1])}
			}
			var in ops.Incident
			path := "/api/v1/incidents/" + url.PathEscape(args[0]) + "/mark"
			if err := a.client().post(cmd.Context(), path, map[string]string{"who": who, "mark": args[1]}, &in); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), in, func(w io.Writer) { incidentPage(w, &in) })
		},
	}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	return c
}

func (a *asker) incident(ctx context.Context, id string) (*ops.Incident, error) {
	var in ops.Incident
	if err := a.client().get(ctx, "/api/v1/incidents/"+url.PathEscape(id), nil, &in); err != nil {
		return nil, err
	}
	return &in, nil
}

func (a *asker) completeIncidents(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var got api.IncidentList
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	if err := a.client().get(ctx, "/api/v1/incidents", nil, &got); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, in := range got.Incidents {
		out = append(out, in.ID+"\t"+in.Title)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
