package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
)

// times are the flags for a range, and for one to compare it with.
type times struct{ from, to, againstFrom, againstTo string }

func (t *times) flags(c *cobra.Command, from string, against bool) {
	f := c.Flags()
	f.StringVar(&t.from, "from", from, "start: an age such as -1h, RFC 3339 or Unix milliseconds")
	f.StringVar(&t.to, "to", "", "end, in the same forms (default now)")
	if against {
		f.StringVar(&t.againstFrom, "against-from", "", "start of the range to compare with (default right before)")
		f.StringVar(&t.againstTo, "against-to", "", "end of the range to compare with")
	}
}

func (t *times) query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"from": t.from, "to": t.to, "against_from": t.againstFrom, "against_to": t.againstTo} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return q
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func logsCommand(a *asker) *cobra.Command {
	var t times
	var limit int
	var follow, oldest bool
	c := &cobra.Command{
		Use: "logs [QUERY]", Short: "Search and follow logs; compare their patterns", Args: cobra.MaximumNArgs(1),
		Long: "QUERY is LogsQL: words, field:=value, AND, OR, NOT, and pipes such as | stats by (service) count().",
		Example: "  norn logs 'error service:=cart' --from -15m\n  norn logs 'severity:=error' --follow\n" +
			"  norn logs patterns --from -10m --against-from -2h --against-to -1h",
		RunE: func(cmd *cobra.Command, args []string) error {
			if follow {
				return a.follow(cmd, first(args))
			}
			q := t.query()
			q.Set("query", first(args))
			q.Set("limit", strconv.Itoa(limit))
			if oldest {
				q.Set("order", "oldest")
			}
			var got api.LogList
			if err := a.client().get(cmd.Context(), "/api/v1/logs", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				for i := range got.Lines { // newest last, as in a file
					k := len(got.Lines) - 1 - i
					if oldest {
						k = i
					}
					logLine(w, &got.Lines[k])
				}
				if got.More {
					fmt.Fprintf(w, "There are more than these %d; use --limit, or norn logs export.\n", len(got.Lines))
				}
			})
		},
	}
	t.flags(c, "-1h", false)
	c.Flags().IntVar(&limit, "limit", 200, "at most this many lines (2000)")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "print matching lines as they arrive")
	c.Flags().BoolVar(&oldest, "oldest", false, "the first lines of the range instead of the last")
	c.AddCommand(logPatterns(a), logFacets(a), logContext(a), logExport(a))
	return c
}

// logLine prints one line for people.
func logLine(w io.Writer, l *api.LogLine) {
	if l.Time == "" { // a row of counts
		raw, err := json.Marshal(l.Fields)
		if err == nil {
			fmt.Fprintln(w, string(raw))
		}
		return
	}
	at := l.Time
	if t, err := time.Parse(time.RFC3339Nano, l.Time); err == nil {
		at = t.Local().Format("2006-01-02 15:04:05.000")
	}
	fmt.Fprintf(w, "%s %-5s %s: %s\n", at, l.Severity, dash(l.Service), strings.ReplaceAll(l.Message, "\t", " "))
}

// follow prints lines until the command is interrupted or the server ends it.
func (a *asker) follow(cmd *cobra.Command, query string) error {
	resp, err := a.client().open(cmd.Context(), "/api/v1/logs/tail", url.Values{"query": {query}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out := cmd.OutOrStdout()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, maxAnswer)
	for sc.Scan() {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		var b api.LogTail
		if !ok || json.Unmarshal([]byte(data), &b) != nil {
			continue
		}
		if b.Error != "" {
			return &Error{ExitUsage, fmt.Errorf("the server ended the stream: %s", b.Error)}
		}
		if b.Missed {
			fmt.Fprintln(cmd.ErrOrStderr(), "norn: more lines came than can be shown")
		}
		for i := range b.Lines {
			if a.output == "json" {
				if err := json.NewEncoder(out).Encode(&b.Lines[i]); err != nil {
					return err
				}
				continue
			}
			logLine(out, &b.Lines[i])
		}
	}
	if cmd.Context().Err() != nil { // interrupted: as it was meant
		return nil
	}
	if err := sc.Err(); err != nil {
		return &Error{ExitUnreachable, fmt.Errorf("the stream broke off: %w", err)}
	}
	return &Error{ExitUnreachable, fmt.Errorf("the server ended the stream")}
}

// open asks for an answer that is read while it comes.
func (c *client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, &Error{ExitUsage, fmt.Errorf("%q is not a server's address: %w", c.base, err)}
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return nil, &Error{ExitUnreachable, fmt.Errorf("no Norn answers at %s: %w", c.base, err)}
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what came of it says enough
		return nil, problem(resp.StatusCode, raw)
	}
	return resp, nil
}

func logPatterns(a *asker) *cobra.Command {
	var t times
	var entity string
	var limit int
	var byCount bool
	c := &cobra.Command{
		Use: "patterns", Short: "Log patterns, the surest changes between two ranges first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := t.query()
			q.Set("entity", entity)
			q.Set("limit", strconv.Itoa(limit))
			if byCount {
				q.Set("sort", "count")
			}
			var got api.PatternList
			if err := a.client().get(cmd.Context(), "/api/v1/logs/patterns", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintf(w, "%s to %s, against %s to %s: %d patterns, %d changed\n", clock(got.From), clock(got.To), clock(got.AgainstFrom), clock(got.AgainstTo), got.Total, got.Changed)
				fmt.Fprintln(w, "SERVICE\tSEVERITY\tLINES\tBEFORE\tCHANGE\tQ\tPATTERN")
				for i := range got.Patterns {
					p := &got.Patterns[i]
					fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%.2g\t%s\n", p.Entity.Name, p.Severity, p.Count, p.Before, factor(p), p.Q, shorten(p.Text, 140))
				}
			})
		},
	}
	t.flags(c, "-1h", true)
	c.Flags().StringVar(&entity, "entity", "", "only of this entity, kind/name")
	c.Flags().IntVar(&limit, "limit", 50, "at most this many")
	c.Flags().BoolVar(&byCount, "by-count", false, "the most frequent first")
	return c
}

func factor(p *api.Pattern) string {
	switch {
	case p.New:
		return "new"
	case p.Change == nil:
		return "back"
	case *p.Change == 0:
		return "gone"
	}
	return fmt.Sprintf("x%.2g", *p.Change)
}

func shorten(s string, n int) string {
	s = strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func logFacets(a *asker) *cobra.Command {
	var t times
	var field string
	var limit int
	c := &cobra.Command{
		Use: "facets [QUERY]", Short: "The most frequent values of fields, with counts", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := t.query()
			q.Set("query", first(args))
			q.Set("field", field)
			q.Set("limit", strconv.Itoa(limit))
			var got api.FacetList
			if err := a.client().get(cmd.Context(), "/api/v1/logs/facets", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "FIELD\tLINES\tVALUE")
				for _, f := range got.Facets {
					for _, v := range f.Values {
						fmt.Fprintf(w, "%s\t%d\t%s\n", f.Field, v.Count, dash(shorten(v.Value, 120)))
					}
				}
			})
		},
	}
	t.flags(c, "-1h", false)
	c.Flags().StringVar(&field, "field", "", "only this field, however many values it has")
	c.Flags().IntVar(&limit, "limit", 10, "values of each field")
	return c
}

func logContext(a *asker) *cobra.Command {
	var before, after int
	c := &cobra.Command{
		Use: "context ID", Short: "A line between its neighbours; ID is a line's id in -o json", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"id": {args[0]}, "before": {strconv.Itoa(before)}, "after": {strconv.Itoa(after)}}
			var got api.LogContext
			if err := a.client().get(cmd.Context(), "/api/v1/logs/context", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				for i := range got.Lines {
					mark := "  "
					if i == got.Index {
						mark = "> "
					}
					fmt.Fprint(w, mark)
					logLine(w, &got.Lines[i])
				}
			})
		},
	}
	c.Flags().IntVarP(&before, "before", "B", 10, "lines before it")
	c.Flags().IntVarP(&after, "after", "A", 10, "lines after it")
	return c
}

func logExport(a *asker) *cobra.Command {
	var t times
	var format string
	var fields []string
	var limit int
	c := &cobra.Command{
		Use: "export [QUERY]", Short: "Write all matching lines to standard output, newest first", Args: cobra.MaximumNArgs(1),
		Example: "  norn logs export 'severity:=error' --from -1d --format csv > errors.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			q := t.query()
			q.Set("query", first(args))
			q.Set("format", format)
			q.Set("limit", strconv.Itoa(limit))
			if len(fields) > 0 {
				q.Set("fields", strings.Join(fields, ","))
			}
			resp, err := a.client().open(cmd.Context(), "/api/v1/logs/export", q)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(cmd.OutOrStdout(), resp.Body); err != nil {
				return fmt.Errorf("the export is not whole: %w", err)
			}
			return nil
		},
	}
	t.flags(c, "-1h", false)
	c.Flags().StringVar(&format, "format", "ndjson", "ndjson or csv")
	c.Flags().StringSliceVar(&fields, "fields", nil, "csv: more columns")
	c.Flags().IntVar(&limit, "limit", 100_000, "at most this many lines (1,000,000)")
	return c
}

func changedCommand(a *asker) *cobra.Command {
	var t times
	var entity string
	var limit int
	c := &cobra.Command{
		Use: "changed", Short: "What is different within a window: metrics and log patterns, the surest first", Args: cobra.NoArgs,
		Example: "  norn changed --from -20m --to -10m",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := t.query()
			q.Set("entity", entity)
			q.Set("limit", strconv.Itoa(limit))
			var got api.Changed
			if err := a.client().get(cmd.Context(), "/api/v1/changed", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintf(w, "%s to %s, against %s to %s: %d of %d series and %d patterns examined\n",
					clock(got.From), clock(got.To), clock(got.AgainstFrom), clock(got.AgainstTo), got.Series, got.Series+got.Skipped, got.Patterns)
				for _, ch := range got.Changes {
					fmt.Fprintf(w, "%s: %s of %s at %s\n", ch.Kind, ch.Title, ch.Entity, clock(ch.Time))
				}
				if len(got.Findings) == 0 {
					fmt.Fprintln(w, "Nothing is different for certain.")
					return
				}
				fmt.Fprintln(w, "SURE\tENTITY\tWHAT\tNAME")
				for _, f := range got.Findings {
					fmt.Fprintf(w, "%.1f\t%s\t%s\t%s\n", f.Score, f.Entity, shorten(f.Sentence, 110), shorten(f.Title, 90))
				}
			})
		},
	}
	t.flags(c, "-15m", true)
	c.Flags().StringVar(&entity, "entity", "", "only of this entity, kind/name")
	c.Flags().IntVar(&limit, "limit", 30, "at most this many")
	return c
}

func operationsCommand(a *asker) *cobra.Command {
	var t times
	var entity, by string
	var limit int
	c := &cobra.Command{
		Use: "operations", Short: "Operations of services: slow, failing, busy", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := t.query()
			q.Set("entity", entity)
			q.Set("sort", by)
			q.Set("limit", strconv.Itoa(limit))
			var got api.OperationList
			if err := a.client().get(cmd.Context(), "/api/v1/operations", q, &got); err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), got, func(w io.Writer) {
				fmt.Fprintln(w, "ENTITY\tOPERATION\tREQUESTS/S\tERRORS\tP95 S\tBEFORE\tSELF S\tBUSY")
				for _, o := range got.Operations {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Entity, o.Name, number(o.Rate), value(o.ErrorRatio), value(o.P95), value(o.P95Before), value(o.SelfTime), value(o.BusyRatio))
				}
			})
		},
	}
	t.flags(c, "-15m", false)
	c.Flags().StringVar(&entity, "entity", "", "only of this entity, kind/name")
	c.Flags().StringVar(&by, "sort", "time", "time, latency, errors, rate or slower")
	c.Flags().IntVar(&limit, "limit", 30, "at most this many")
	return c
}
