package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type logsInput struct {
	Range
	Query string `query:"query" maxLength:"10000" doc:"LogsQL; empty is everything." example:"error AND service:=cart"`
	Limit int    `query:"limit" minimum:"1" maximum:"2000" default:"200"`
	Fresh bool   `query:"fresh" doc:"Find everything that was acknowledged before, also what came in the last seconds; costs more."`
}

// LogLine is one record: what every line has, and the rest as fields.
type LogLine struct {
	Time     string            `json:"time" doc:"RFC 3339 with nanoseconds; empty for rows of a stats query."`
	Service  string            `json:"service"`
	Severity string            `json:"severity"`
	Message  string            `json:"message"`
	Template string            `json:"template,omitempty"`
	TraceID  string            `json:"trace_id,omitempty"`
	Fields   map[string]string `json:"fields"`
}

// LogList is matching lines, newest first.
type LogList struct {
	Lines []LogLine `json:"lines" nullable:"false"`
	More  bool      `json:"more" doc:"The limit cut the result."`
}

func (s *Server) searchLogs(ctx context.Context, in *logsInput) (*body[LogList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	if in.Fresh {
		s.logs.FlushLogs()
	}
	out := LogList{Lines: []LogLine{}}
	q := store.LogQuery{Query: in.Query, From: from * 1e6, To: to*1e6 + 999_999, Limit: in.Limit + 1}
	err = s.logs.SearchLogs(ctx, q, func(r store.Row) bool {
		if len(out.Lines) == in.Limit {
			out.More = true
			return false
		}
		out.Lines = append(out.Lines, toLine(r))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("search logs: %w", err)
	}
	return ok(out), nil
}

func toLine(r store.Row) LogLine {
	l := LogLine{Fields: map[string]string{}}
	for k, v := range r {
		switch k {
		case "_time":
			l.Time = v
		case "_msg":
			l.Message = v
		case "service":
			l.Service = v
		case "severity":
			l.Severity = v
		case "template":
			if v != "0" {
				l.Template = v
			}
		case "trace_id":
			l.TraceID = v
		case "_stream", "_stream_id", "severity_number":
		default:
			if v != "" {
				l.Fields[k] = v
			}
		}
	}
	return l
}

type patternsInput struct {
	Range
	Entity string `query:"entity" doc:"kind/name; empty is all."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// Pattern is one log template with how often it came.
type Pattern struct {
	ID        string           `json:"id" doc:"Decimal."`
	Entity    telemetry.Entity `json:"entity"`
	Text      string           `json:"text" doc:"<*> stands for what varies."`
	Example   string           `json:"example"`
	Severity  string           `json:"severity"`
	Count     uint64           `json:"count" doc:"In the range."`
	Before    uint64           `json:"before" doc:"In the range of equal length before."`
	Change    *float64         `json:"change" doc:"count / before; null when there were none before."`
	FirstSeen int64            `json:"first_seen_unix_ms"`
	LastSeen  int64            `json:"last_seen_unix_ms"`
	New       bool             `json:"new" doc:"First seen within the range."`

	Parameters []TemplateParam   `json:"parameters" nullable:"false" doc:"The places of the text that vary, in order."`
	Versions   []TemplateVersion `json:"versions" nullable:"false" doc:"The texts that the pattern had, oldest first."`
}

// PatternList is the patterns of a range, those whose rate changed most first.
type PatternList struct {
	Patterns []Pattern `json:"patterns" nullable:"false"`
	Total    int       `json:"total"`
}

func (s *Server) logPatterns(ctx context.Context, in *patternsInput) (*body[PatternList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	e := telemetry.ParseEntity(in.Entity)
	counts, err := s.countTemplates(ctx, e, from, to)
	if err != nil {
		return nil, err
	}
	before, err := s.countTemplates(ctx, e, from-(to-from)-1, from-1)
	if err != nil {
		return nil, err
	}
	list := []Pattern{}
	for _, t := range s.live.Templates(e) {
		k := templateKey{service: t.Entity.Name, id: strconv.FormatUint(t.ID, 10)}
		p := Pattern{ID: k.id, Entity: t.Entity, Text: t.Text, Example: t.Example, Severity: t.Severity.String(), Count: counts[k],
			Before: before[k], FirstSeen: t.FirstSeen, LastSeen: t.LastSeen, New: t.FirstSeen >= from && t.FirstSeen <= to,
			Parameters: append([]TemplateParam{}, t.Params...), Versions: append([]TemplateVersion{}, t.Versions...)}
		if p.Count == 0 && p.Before == 0 {
			continue
		}
		if p.Before > 0 {
			c := float64(p.Count) / float64(p.Before)
			p.Change = &c
		}
		list = append(list, p)
	}
	slices.SortStableFunc(list, func(a, b Pattern) int {
		return cmp.Or(cmp.Compare(surprise(b), surprise(a)), cmp.Compare(b.Count, a.Count), strings.Compare(a.ID, b.ID))
	})
	return ok(PatternList{Patterns: list[:min(len(list), in.Limit)], Total: len(list)}), nil
}

// surprise is how far the two counts are apart in units of their own noise
// (difference over the square root of the sum, as for two Poisson counts).
func surprise(p Pattern) float64 {
	d := float64(p.Count) - float64(p.Before)
	return d * d / (float64(p.Count) + float64(p.Before) + 1)
}

type templateKey struct{ service, id string }

// countTemplates counts the lines of a range by service and template.
func (s *Server) countTemplates(ctx context.Context, e telemetry.Entity, from, to int64) (map[templateKey]uint64, error) {
	query := "template:*"
	if !e.IsZero() {
		query += " service:=" + strconv.Quote(e.Name)
	}
	query += " | stats by (service, template) count() n"
	out := map[templateKey]uint64{}
	err := s.logs.SearchLogs(ctx, store.LogQuery{Query: query, From: max(1, from) * 1e6, To: to*1e6 + 999_999}, func(r store.Row) bool {
		if n, err := strconv.ParseUint(r["n"], 10, 64); err == nil {
			out[templateKey{r["service"], r["template"]}] += n
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("count log patterns: %w", err)
	}
	return out, nil
}
