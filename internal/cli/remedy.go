package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/ops"
)

func remediesOf(a *asker) *cobra.Command {
	var worked, failed, who, text string
	c := &cobra.Command{
		Use: "remedies ID", Short: "What could be done about an incident, and how it went in the past", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeIncidents,
		Long: `Lists ways out of an incident, the most promising first: why each applies here,
its steps with the incident's entities filled in, the expected effect, the risk,
how it is verified, and how often it worked in similar incidents (with a 90 %
credible interval). Nothing is done. Say what you did with --worked or --failed:
it is counted in the next similar incident.

JSON: remedies[]{id, title, score, fit, why[], steps[], missing[], effect, risk, verify, track{tried, worked, success_low, ...}, action, inputs, autonomy}, stopped.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/api/v1/incidents/" + url.PathEscape(args[0]) + "/remedies"
			var got api.RemedyList
			var err error
			switch book := worked + failed; {
			case worked != "" && failed != "":
				return &Error{ExitUsage, errors.New("--worked and --failed exclude each other")}
			case book != "":
				err = a.client().post(cmd.Context(), path+"/"+url.PathEscape(book), map[string]any{"who": who, "worked": worked != "", "text": text}, &got)
			default:
				err = a.client().get(cmd.Context(), path, nil, &got)
			}
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { remedyPage(w, got.Remedies) })
		},
	}
	c.Flags().StringVar(&worked, "worked", "", "runbook that was applied and worked")
	c.Flags().StringVar(&failed, "failed", "", "runbook that was applied and did not work")
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringVar(&text, "text", "", "a note for the ledger")
	return c
}

func remedyPage(w io.Writer, list []ops.Remedy) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No runbook fits: there is no root cause, or nothing is known about its kind of trouble.")
	}
	for i, r := range list {
		fmt.Fprintf(w, "%d. %s  [%s]\n", i+1, r.Title, r.ID)
		for _, y := range r.Why {
			fmt.Fprintf(w, "   because %s\n", y.Text)
		}
		fmt.Fprintf(w, "   score %.2f, risk %s: %s\n   past: %s\n", r.Score, r.Risk, r.Danger, trackText(r.Track))
		for n, s := range r.Steps {
			fmt.Fprintf(w, "   %d) %s\n", n+1, s)
		}
		fmt.Fprintf(w, "   effect: %s\n   verify: %s\n", r.Effect, r.Verify)
		if len(r.Missing) > 0 {
			fmt.Fprintf(w, "   not known, fill in: %s\n", strings.Join(r.Missing, ", "))
		}
		if r.Action != "" {
			fmt.Fprintf(w, "   Norn can do it (autonomy %s): norn remedy run INCIDENT %s%s\n", r.Level, r.Action, flags(r.Inputs))
		}
		fmt.Fprintln(w)
	}
}

func flags(inputs map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(inputs)) {
		fmt.Fprintf(&b, " --input %s=%s", k, strconv.Quote(inputs[k]))
	}
	return b.String()
}

func trackText(t ops.Track) string {
	if t.Tried == 0 {
		return "never tried in a similar incident"
	}
	s := fmt.Sprintf("worked %d of %d times in similar incidents, success rate %.0f to %.0f %%", t.Worked, t.Tried, 100*t.Low, 100*t.High)
	if t.Recover > 0 {
		s += ", usually after " + (time.Duration(t.Recover) * time.Millisecond).Round(time.Second).String()
	}
	return s
}

func remedyCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "remedy", Short: "Carry out, approve, stop and audit remedies"}
	c.AddCommand(runAction(a), approveRun(a), cancelRun(a), listRuns(a), showRun(a), listActions(a),
		remedySwitch(a, "stop", "Stop: nothing begins until it is resumed"), remedySwitch(a, "resume", "End the stop"), ledgerCommand(a))
	return c
}

func runAction(a *asker) *cobra.Command {
	var inputs []string
	var who, book string
	var dry bool
	c := &cobra.Command{
		Use: "run INCIDENT ACTION", Short: "Ask for an action to be carried out, or see what it would do", Args: cobra.ExactArgs(2),
		Example: "  norn remedy run INCIDENT block-host --input address=203.0.113.9 --input minutes=60 --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			values := map[string]string{}
			for _, kv := range inputs {
				k, v, ok := strings.Cut(kv, "=")
				if !ok {
					return &Error{ExitUsage, fmt.Errorf("--input %q is not NAME=VALUE", kv)}
				}
				values[k] = v
			}
			req := map[string]any{"action": args[1], "inputs": values, "who": who, "dry_run": dry, "runbook": book}
			return a.postRun(cmd, "/api/v1/incidents/"+url.PathEscape(args[0])+"/runs", req)
		},
	}
	c.Flags().StringArrayVar(&inputs, "input", nil, "NAME=VALUE, once for each input of the action")
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringVar(&book, "runbook", "", "the runbook that recommends it, for the record")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done, and to what it matters")
	return c
}

func (a *asker) postRun(cmd *cobra.Command, path string, req any) error {
	var r ops.Run
	if err := a.client().post(cmd.Context(), path, req, &r); err != nil {
		return err
	}
	return a.print(cmd.OutOrStdout(), r, func(w io.Writer) { runPage(w, &r) })
}

func approveRun(a *asker) *cobra.Command {
	var who, digest string
	c := &cobra.Command{
		Use: "approve RUN", Short: "Approve exactly what a run is to do", Args: cobra.ExactArgs(1),
		Long: `Approves a run. --digest is the digest that 'norn remedy show RUN' printed: the
approval counts for exactly that plan. Where approvers are configured, the
approver's own token is read from $NORN_APPROVER_TOKEN.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req := map[string]any{"who": who, "token": os.Getenv("NORN_APPROVER_TOKEN"), "digest": digest}
			return a.postRun(cmd, "/api/v1/remedy/runs/"+url.PathEscape(args[0])+"/approve", req)
		},
	}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringVar(&digest, "digest", "", "of the run, as it was shown")
	_ = c.MarkFlagRequired("digest") // it exists
	return c
}

func cancelRun(a *asker) *cobra.Command {
	var who string
	c := &cobra.Command{Use: "cancel RUN", Short: "Cancel a run that has not begun", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.postRun(cmd, "/api/v1/remedy/runs/"+url.PathEscape(args[0])+"/cancel", map[string]any{"who": who})
		}}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	return c
}

func showRun(a *asker) *cobra.Command {
	return &cobra.Command{Use: "show RUN", Short: "Show a run: plan, blast radius, approvals, steps", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r ops.Run
			if err := a.client().get(cmd.Context(), "/api/v1/remedy/runs/"+url.PathEscape(args[0]), nil, &r); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), r, func(w io.Writer) { runPage(w, &r) })
		}}
}

func stamp(ms int64) string { return time.UnixMilli(ms).Format(time.RFC3339) }

func runPage(w io.Writer, r *ops.Run) {
	fmt.Fprintf(w, "%s  %s on %s: %s\n  %s\n", r.ID, r.Action, r.Scope, r.State, r.Text)
	for _, p := range r.Plan {
		fmt.Fprintf(w, "  plan: %s\n", p)
	}
	fmt.Fprintf(w, "  blast radius: %s\n  asked for by %s at %s, incident %s\n  digest %s\n", r.Blast.Sentence, r.Who, stamp(r.Created), r.Incident, r.Digest)
	for _, x := range r.Approvals {
		fmt.Fprintf(w, "  approved by %s at %s\n", x.Who, stamp(x.Time))
	}
	if r.State == ops.RunWaiting {
		fmt.Fprintf(w, "  waits for %d of %d approvals until %s\n", r.Need-len(r.Approvals), r.Need, stamp(r.Expires))
	}
	for _, s := range r.Steps {
		fmt.Fprintf(w, "  %s %s: %s\n", stamp(s.From), s.Name, dash(s.Text))
	}
}

func listRuns(a *asker) *cobra.Command {
	var in string
	c := &cobra.Command{Use: "runs", Short: "List runs of actions, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.RunList
			if err := a.client().get(cmd.Context(), "/api/v1/remedy/runs", url.Values{"incident": {in}}, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "RUN\tSTATE\tACTION\tON\tASKED\tBY\tTEXT")
				for _, r := range got.Runs {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State, r.Action, r.Scope, stamp(r.Created), r.Who, r.Text)
				}
			})
		}}
	c.Flags().StringVar(&in, "incident", "", "only this incident's")
	return c
}

func listActions(a *asker) *cobra.Command {
	return &cobra.Command{Use: "actions", Short: "List what Norn can do, and whether it is stopped", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.RemedyStatus
			if err := a.client().get(cmd.Context(), "/api/v1/remedy", nil, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { statusOfRemedies(w, &got) })
		}}
}

func statusOfRemedies(w io.Writer, s *api.RemedyStatus) {
	if s.Stopped {
		fmt.Fprintln(w, "Remedies are stopped: nothing begins (norn remedy resume).")
	}
	if len(s.Actions) == 0 {
		fmt.Fprintln(w, "No action is configured: Norn recommends only (remedy.actions in the configuration).")
		return
	}
	fmt.Fprintln(w, "ACTION\tRUNNER\tAUTONOMY\tAPPROVALS\tINPUTS\tWHEN")
	for _, x := range s.Actions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", x.Name, x.Runner, x.Level, x.Approvals, strings.Join(x.Inputs, ", "), dash(x.When))
	}
}

func remedySwitch(a *asker, verb, short string) *cobra.Command {
	var who, text string
	c := &cobra.Command{Use: verb, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got api.RemedyStatus
			if err := a.client().post(cmd.Context(), "/api/v1/remedy/"+verb, map[string]any{"who": who, "text": text}, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) { statusOfRemedies(w, &got) })
		}}
	c.Flags().StringVar(&who, "who", os.Getenv("USER"), "your name")
	c.Flags().StringVar(&text, "text", "", "why, for the ledger")
	return c
}

func ledgerCommand(a *asker) *cobra.Command {
	var verify, export bool
	var expect, kind, run, in, text string
	var limit int
	c := &cobra.Command{Use: "ledger", Short: "Search, export or verify the ledger of remedies", Args: cobra.NoArgs,
		Long: `Lists the ledger, newest first. --export writes all of it as JSON lines, oldest
first. --verify checks the chain of hashes (exit code 5 when it is broken); note
the printed head elsewhere and give it back with --expect to notice a ledger whose
end was cut off.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if verify || expect != "" {
				return a.verifyLedger(cmd, expect)
			}
			q := url.Values{"kind": {kind}, "run": {run}, "incident": {in}, "q": {text}, "limit": {strconv.Itoa(limit)}}
			if export {
				return a.exportLedger(cmd, q)
			}
			var got api.LedgerList
			if err := a.client().get(cmd.Context(), "/api/v1/remedy/ledger", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "NO\tTIME\tKIND\tWHO\tRUN\tINCIDENT\tWHAT\tTEXT")
				for _, e := range got.Entries {
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Seq, stamp(e.Time), e.Kind, dash(e.Who), dash(e.Run), dash(e.Incident), dash(e.Action+e.Runbook), e.Text)
				}
			})
		}}
	f := c.Flags()
	f.BoolVar(&verify, "verify", false, "check the chain of hashes")
	f.BoolVar(&export, "export", false, "all entries as JSON lines, oldest first")
	f.StringVar(&expect, "expect", "", "verify, and that an entry with this hash is there")
	f.StringVar(&kind, "kind", "", "only this kind: requested, refused, approved, begun, succeeded, rolled_back, failed, outcome, stopped...")
	f.StringVar(&run, "run", "", "only this run's")
	f.StringVar(&in, "incident", "", "only this incident's")
	f.StringVar(&text, "search", "", "only entries that hold this text")
	f.IntVar(&limit, "limit", 100, "at most this many")
	return c
}

func (a *asker) verifyLedger(cmd *cobra.Command, expect string) error {
	var got api.LedgerCheck
	if err := a.client().get(cmd.Context(), "/api/v1/remedy/ledger/verify", url.Values{"expect": {expect}}, &got); err != nil {
		return err
	}
	err := a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
		if got.OK {
			fmt.Fprintf(w, "The ledger is whole: %d entries, head %s\n", got.Entries, dash(got.Head))
		}
	})
	if err == nil && !got.OK {
		return &Error{ExitFinding, fmt.Errorf("the ledger is not whole: %s", got.Fault)}
	}
	return err
}

const ledgerPage = 1000

func (a *asker) exportLedger(cmd *cobra.Command, q url.Values) error {
	q.Set("oldest", "true")
	q.Set("limit", strconv.Itoa(ledgerPage))
	enc := json.NewEncoder(cmd.OutOrStdout())
	for {
		var got api.LedgerList
		if err := a.client().get(cmd.Context(), "/api/v1/remedy/ledger", q, &got); err != nil {
			return err
		}
		for i := range got.Entries {
			if err := enc.Encode(&got.Entries[i]); err != nil {
				return err
			}
		}
		if len(got.Entries) < ledgerPage {
			return nil
		}
		q.Set("after", strconv.FormatInt(got.Entries[len(got.Entries)-1].Seq, 10))
	}
}
