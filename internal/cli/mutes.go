package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/rules"
)

const detectionPath = "/api/v1/detection"

func mutesCommand(a *asker) *cobra.Command {
	c := &cobra.Command{Use: "mutes", Aliases: []string{"mute"}, Short: "List, add and remove windows in which nothing is raised"}
	c.AddCommand(listMutes(a), addMute(a), removeMute(a), mutedAnomalies(a))
	return c
}

func (a *asker) detection(ctx context.Context) (s api.DetectionSettings, err error) {
	err = a.client().get(ctx, detectionPath, nil, &s)
	return s, err
}

// changeMutes reads what is stored, changes its mutes and writes it back. When
// somebody else was quicker, it begins anew.
func (a *asker) changeMutes(ctx context.Context, change func(*api.DetectionSettings) error) (s api.DetectionSettings, err error) {
	for range 5 {
		if s, err = a.detection(ctx); err != nil {
			return s, err
		}
		if err = change(&s); err != nil {
			return s, err
		}
		body := struct {
			Revision int64 `json:"revision"`
			rules.Config
		}{s.Revision, s.Stored}
		err = a.client().do(ctx, http.MethodPut, detectionPath, body, &s)
		if err == nil || !errors.Is(err, errConflict) {
			return s, err
		}
	}
	return s, err
}

func listMutes(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List mutes, and how many anomalies each kept back", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.detection(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), muteRows(&s), func(w io.Writer) { muteTable(w, &s) })
		},
	}
}

// muteRow is one line of the list, for scripts.
type muteRow struct {
	rules.Mute
	Open  bool   `json:"open"`
	Muted uint64 `json:"muted"`
	From  string `json:"from"` // file or api
}

func muteRows(s *api.DetectionSettings) []muteRow {
	states := map[string]api.MuteState{}
	for _, m := range s.State.Mutes {
		states[m.Name] = m
	}
	out := []muteRow{}
	add := func(from string, list []rules.Mute) {
		for _, m := range list {
			out = append(out, muteRow{m, states[m.Name].Open, states[m.Name].Muted, from})
		}
	}
	add("file", s.File.Mutes)
	add("api", s.Stored.Mutes)
	return out
}

func muteTable(w io.Writer, s *api.DetectionSettings) {
	rows := muteRows(s)
	if len(rows) == 0 {
		fmt.Fprintln(w, "No mutes.")
		return
	}
	fmt.Fprintln(w, "NAME\tNOW\tMUTED\tFROM\tWHEN\tMATCH\tCOMMENT")
	for _, r := range rows {
		now := "-"
		if r.Open {
			now = "mutes"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.Name, now, r.Muted, r.From, window(&r.Mute), r.Match, r.Comment)
	}
}

// window says when a mute is open.
func window(m *rules.Mute) string {
	var b strings.Builder
	if w := m.Weekly; w != nil {
		days := "every day"
		if len(w.Days) > 0 {
			days = strings.Join(w.Days, ",")
		}
		zone := w.TimeZone
		if zone == "" {
			zone = "UTC"
		}
		fmt.Fprintf(&b, "%s %s-%s %s", days, w.From, w.To, zone)
	}
	if m.Start != "" {
		b.WriteString(" from " + m.Start)
	}
	if m.End != "" {
		b.WriteString(" until " + m.End)
	}
	return strings.TrimSpace(b.String())
}

func addMute(a *asker) *cobra.Command {
	var m rules.Mute
	var w rules.Weekly
	var length time.Duration
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a mute", Args: cobra.ExactArgs(1),
		Example: `  norn mutes add deploy --match '{service_name="cart"}' --for 2h --comment "ticket 4711"
  norn mutes add move --match '{}' --start 2026-03-01T22:00:00Z --end 2026-03-02T02:00:00Z
  norn mutes add backup --match '{entity=~"database/.*"}' --days mon,tue --from 23:00 --to 01:30 --time-zone Europe/Berlin`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Name = args[0]
			if length != 0 {
				if length < 0 || m.End != "" {
					return &Error{ExitUsage, fmt.Errorf("--for must be longer than 0, and does not go with --end")}
				}
				start := time.Now()
				if m.Start != "" {
					var err error
					if start, err = time.Parse(time.RFC3339, m.Start); err != nil {
						return &Error{ExitUsage, fmt.Errorf("--start %q is not a time like 2026-03-01T22:00:00Z", m.Start)}
					}
				}
				m.Start, m.End = start.Format(time.RFC3339), start.Add(length).Format(time.RFC3339)
			}
			if len(w.Days) > 0 || w.From != "" || w.To != "" {
				m.Weekly = &w
			}
			s, err := a.changeMutes(cmd.Context(), func(s *api.DetectionSettings) error {
				s.Stored.Mutes = append(s.Stored.Mutes, m)
				return nil
			})
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), m, func(out io.Writer) { muteTable(out, &s) })
		},
	}
	f := c.Flags()
	f.StringVar(&m.Match, "match", "", "what is muted: a selector like {service_name=\"cart\"}; {} is everything")
	f.DurationVar(&length, "for", 0, "from now, or from --start, for this long: 90m, 2h")
	f.StringVar(&m.Start, "start", "", "RFC 3339")
	f.StringVar(&m.End, "end", "", "RFC 3339")
	f.StringSliceVar(&w.Days, "days", nil, "weekly: mon,tue,wed,thu,fri,sat,sun; none: every day")
	f.StringVar(&w.From, "from", "", "weekly: HH:MM")
	f.StringVar(&w.To, "to", "", "weekly: HH:MM; not after --from: over midnight")
	f.StringVar(&w.TimeZone, "time-zone", "", "weekly: IANA name, as Europe/Berlin; UTC when empty")
	f.StringVar(&m.Comment, "comment", "", "why")
	_ = c.MarkFlagRequired("match")
	return c
}

func removeMute(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Remove a mute", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			named := func(m rules.Mute) bool { return m.Name == args[0] }
			s, err := a.changeMutes(cmd.Context(), func(s *api.DetectionSettings) error {
				if slices.ContainsFunc(s.File.Mutes, named) {
					return &Error{ExitUsage, fmt.Errorf("mute %q is in the server's configuration file and is removed there", args[0])}
				}
				if !slices.ContainsFunc(s.Stored.Mutes, named) {
					return &Error{ExitNotFound, fmt.Errorf("there is no mute %q", args[0])}
				}
				s.Stored.Mutes = slices.DeleteFunc(s.Stored.Mutes, named)
				return nil
			})
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), muteRows(&s), func(w io.Writer) { muteTable(w, &s) })
		},
	}
}

func mutedAnomalies(a *asker) *cobra.Command {
	return &cobra.Command{
		Use: "anomalies", Short: "List the anomalies that were not raised, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var raw json.RawMessage
			if err := a.client().get(cmd.Context(), detectionPath+"/muted", nil, &raw); err != nil {
				return err
			}
			var got api.MutedList
			if err := json.Unmarshal(raw, &got); err != nil {
				return fmt.Errorf("cannot read the list: %w", err)
			}
			return a.print(cmd.OutOrStdout(), raw, func(w io.Writer) {
				if len(got.Muted) == 0 {
					fmt.Fprintln(w, "No anomalies were muted.")
					return
				}
				fmt.Fprintln(w, "MUTE\tSINCE\tENDED\tENTITY\tKIND\tSEVERITY\tSERIES")
				for _, m := range got.Muted {
					x := &m.Anomaly
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.2f\t%s\n", m.Mute, clock(x.Onset), clock(x.Ended), x.Entity, x.Kind, x.Severity, x.Series)
				}
			})
		},
	}
}
