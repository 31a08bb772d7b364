package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Summary is one incident in a list.
type Summary struct {
	ID         string            `json:"id"`
	State      ops.State         `json:"state" enum:"open,acknowledged,mitigating,resolved,muted"`
	Title      string            `json:"title"`
	Sentence   string            `json:"sentence"`
	Verdict    ops.Verdict       `json:"verdict" enum:"cause,local,unknown,no_incident"`
	Severity   float64           `json:"severity"`
	Level      ops.Level         `json:"severity_level" enum:"critical,major,minor,info"`
	Grounds    string            `json:"severity_text" doc:"Why it has this level."`
	Team       string            `json:"team" doc:"Whose it is; empty when nobody's."`
	Impact     float64           `json:"impact"`
	ImpactText string            `json:"impact_text"`
	Confidence float64           `json:"confidence"`
	Onset      int64             `json:"onset_unix_ms"`
	Opened     int64             `json:"opened_unix_ms"`
	Updated    int64             `json:"updated_unix_ms"`
	Resolved   int64             `json:"resolved_unix_ms"`
	MergedInto string            `json:"merged_into,omitempty"`
	Root       telemetry.Entity  `json:"root" doc:"The most probable root; empty name when none stands out."`
	Signal     telemetry.Signal  `json:"signal" doc:"Strongest kind of evidence at the root."`
	Affected   int               `json:"affected" doc:"Entities that deviate."`
	Anomalies  int               `json:"anomalies"`
	Alerts     int               `json:"alerts" doc:"Raw alerts and anomalies folded in."`
	Change     *telemetry.Change `json:"change,omitempty" doc:"The suspected change."`
	Mark       ops.Mark          `json:"mark,omitempty" enum:"real,noise"`
}

// summarise takes from an incident what a list shows.
func summarise(in *ops.Incident) Summary {
	s := Summary{
		ID: in.ID, State: in.State, Title: in.Title, Sentence: in.Sentence, Verdict: in.Verdict, Severity: in.Severity,
		Level: in.Level, Grounds: in.Grounds, Team: in.Team,
		Impact: in.Impact, ImpactText: in.ImpactText, Confidence: in.Confidence, Onset: in.Onset, Opened: in.Opened,
		Updated: in.Updated, Resolved: in.Resolved, MergedInto: in.MergedInto, Affected: len(in.Entities),
		Anomalies: len(in.Anomalies), Alerts: in.Alerts, Mark: in.Mark,
	}
	for i := range in.Causes {
		c := &in.Causes[i]
		if c.Role != ops.RoleRoot {
			continue
		}
		s.Root, s.Signal = c.Entity, c.Signal
		if len(c.Changes) > 0 {
			s.Change = &c.Changes[0]
		}
		break
	}
	return s
}

type listIncidentsInput struct {
	Range
	State string `query:"state" doc:"Comma-separated states; 'active' is open, acknowledged and mitigating." example:"active"`
	Sort  string `query:"sort" enum:"onset,rank" default:"onset" doc:"onset: newest first; rank: open first, then by impact times confidence."`
	Team  string `query:"team" maxLength:"200" doc:"Only this team's."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// IncidentList is a page of incidents.
type IncidentList struct {
	Incidents []Summary `json:"incidents" nullable:"false"`
}

func (s *Server) listIncidents(ctx context.Context, in *listIncidentsInput) (*body[IncidentList], error) {
	f := store.IncidentFilter{Limit: in.Limit}
	var err error
	if f.States, err = parseStates(in.State); err != nil {
		return nil, err
	}
	now := s.now()
	if in.From != "" {
		if f.From, err = ParseTime("from", in.From, now); err != nil {
			return nil, err
		}
	}
	if in.To != "" {
		if f.To, err = ParseTime("to", in.To, now); err != nil {
			return nil, err
		}
	}
	if in.Sort == "rank" || in.Team != "" {
		f.Limit = incidentCap // the worst must not be cut off because it is old
	}
	list, err := s.state.Incidents(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	out := make([]Summary, 0, len(list))
	for i := range list {
		if in.Team == "" || list[i].Team == in.Team {
			out = append(out, summarise(&list[i]))
		}
	}
	if in.Sort == "rank" {
		slices.SortStableFunc(out, compareRank)
	}
	return ok(IncidentList{Incidents: out[:min(len(out), in.Limit)]}), nil
}

type suppressedInput struct {
	Team  string `query:"team" maxLength:"200" doc:"Only this team's."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// SuppressedList is what the budget of false pages holds back, newest first.
type SuppressedList struct {
	Budget     ops.Budget       `json:"budget"`
	Suppressed []ops.Suppressed `json:"suppressed" nullable:"false"`
}

func (s *Server) listSuppressed(_ context.Context, in *suppressedInput) (*body[SuppressedList], error) {
	list, budget := s.live.Suppressed()
	budget.Teams = nonNil(budget.Teams)
	if in.Team != "" {
		list = slices.DeleteFunc(list, func(x ops.Suppressed) bool { return x.Team != in.Team })
	}
	return ok(SuppressedList{Budget: budget, Suppressed: nonNil(list[:min(len(list), in.Limit)])}), nil
}

// compareRank puts what needs a person first: open before closed, not yet
// acknowledged before acknowledged at equal worth, then by impact times
// confidence, then the newer.
func compareRank(a, b Summary) int {
	if ao, bo := isOpen(a.State), isOpen(b.State); ao != bo {
		if ao {
			return -1
		}
		return 1
	}
	wa, wb := worth(a), worth(b)
	switch {
	case wa > wb:
		return -1
	case wa < wb:
		return 1
	case a.State != b.State && a.State == ops.StateOpen:
		return -1
	case a.State != b.State && b.State == ops.StateOpen:
		return 1
	case a.Onset != b.Onset:
		if a.Onset > b.Onset {
			return -1
		}
		return 1
	}
	return strings.Compare(a.ID, b.ID)
}

// worth is impact times confidence, neither ever counted as nothing: an
// incident of unknown impact still outranks none.
func worth(s Summary) float64 { return max(s.Impact, 0.01) * max(s.Confidence, 0.05) }

func parseStates(text string) ([]ops.State, error) {
	var out []ops.State
	for word := range strings.SplitSeq(text, ",") {
		switch st := ops.State(strings.TrimSpace(word)); st {
		case "":
		case "active":
			out = append(out, openStates[:]...)
		case ops.StateOpen, ops.StateAcknowledged, ops.StateMitigating, ops.StateResolved, ops.StateMuted:
			out = append(out, st)
		default:
			return nil, fmt.Errorf("%w: state %q is not one of active, open, acknowledged, mitigating, resolved, muted", errBadRequest, word)
		}
	}
	return out, nil
}

type incidentInput struct {
	ID string `path:"id" maxLength:"200"`
}

func (s *Server) getIncident(ctx context.Context, in *incidentInput) (*body[ops.Incident], error) {
	inc, err := s.state.Incident(ctx, in.ID)
	if err != nil {
		return nil, fmt.Errorf("read incident %q: %w", in.ID, err)
	}
	return ok(*inc), nil
}

type whyInput struct {
	ID      string `path:"id" maxLength:"200"`
	Anomaly string `query:"anomaly" required:"true" maxLength:"200"`
}

func (s *Server) getWhy(ctx context.Context, in *whyInput) (*body[Why], error) {
	w, err := s.live.Why(ctx, in.ID, in.Anomaly)
	if err != nil {
		return nil, fmt.Errorf("explain anomaly %q of incident %q: %w", in.Anomaly, in.ID, err)
	}
	return ok(w), nil
}

type actInput struct {
	ID   string `path:"id" maxLength:"200"`
	Body struct {
		Who  string `json:"who,omitempty" maxLength:"200" doc:"The person; 'console' when empty."`
		Text string `json:"text,omitempty" maxLength:"10000"`
	}
}

type verb func(l Live, ctx context.Context, id, who, text string) (*ops.Incident, error)

// needText is for verbs that say nothing without a text.
func needText(v verb) verb {
	return func(l Live, ctx context.Context, id, who, text string) (*ops.Incident, error) {
		if text == "" {
			return nil, fmt.Errorf("%w: text is empty", errBadRequest)
		}
		return v(l, ctx, id, who, text)
	}
}

// act makes a handler of one of the operator's verbs.
func (s *Server) act(v verb) func(context.Context, *actInput) (*body[ops.Incident], error) {
	return func(ctx context.Context, in *actInput) (*body[ops.Incident], error) {
		who := strings.TrimSpace(in.Body.Who)
		if who == "" {
			who = "console"
		}
		inc, err := v(s.live, ctx, in.ID, who, strings.TrimSpace(in.Body.Text))
		if err != nil {
			return nil, fmt.Errorf("incident %q: %w", in.ID, err)
		}
		return ok(*inc), nil
	}
}

type markInput struct {
	ID   string `path:"id" maxLength:"200"`
	Body struct {
		Who  string `json:"who,omitempty" maxLength:"200" doc:"The person; 'console' when empty."`
		Mark string `json:"mark" enum:"real,noise,none" doc:"real: somebody had to know; noise: nobody had to; none takes a mark back."`
	}
}

// markIncident notes an operator's verdict, which backtests are tried on.
func (s *Server) markIncident(ctx context.Context, in *markInput) (*body[ops.Incident], error) {
	who := strings.TrimSpace(in.Body.Who)
	if who == "" {
		who = "console"
	}
	mark := ops.Mark(in.Body.Mark)
	if mark == "none" {
		mark = ""
	}
	inc, err := s.live.Mark(ctx, in.ID, who, mark)
	if err != nil {
		return nil, fmt.Errorf("incident %q: %w", in.ID, err)
	}
	return ok(*inc), nil
}

// ChangeList is the changes of a range, oldest first.
type ChangeList struct {
	Changes []telemetry.Change `json:"changes" nullable:"false"`
}

func (s *Server) listChanges(ctx context.Context, in *Range) (*body[ChangeList], error) {
	from, to, err := in.resolve(s.now(), day)
	if err != nil {
		return nil, err
	}
	list, err := s.state.Changes(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	return ok(ChangeList{Changes: nonNil(list)}), nil
}

type anomaliesInput struct {
	Range
	Entity string `query:"entity" doc:"kind/name"`
	Limit  int    `query:"limit" minimum:"1" maximum:"5000" default:"500"`
}

// AnomalyList is the anomalies that overlap a range, oldest onset first.
type AnomalyList struct {
	Anomalies []ops.Anomaly `json:"anomalies" nullable:"false"`
}

func (s *Server) listAnomalies(ctx context.Context, in *anomaliesInput) (*body[AnomalyList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	e := telemetry.ParseEntity(in.Entity)
	limit := in.Limit
	if !e.IsZero() {
		limit = anomalyCap
	}
	list, err := s.state.Anomalies(ctx, from, to, limit)
	if err != nil {
		return nil, fmt.Errorf("list anomalies: %w", err)
	}
	if !e.IsZero() {
		list = slices.DeleteFunc(list, func(a ops.Anomaly) bool { return a.Entity != e && a.Peer != e && a.Instance != e })
	}
	return ok(AnomalyList{Anomalies: nonNil(list[:min(len(list), in.Limit)])}), nil
}
