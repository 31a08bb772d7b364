package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/norn-aiops/norn/internal/store"
)

type logsInput struct {
	Range
	Query string `query:"query" maxLength:"10000" doc:"LogsQL; empty is everything." example:"error AND service:=cart"`
	Limit int    `query:"limit" minimum:"1" maximum:"2000" default:"200"`
	Order string `query:"order" enum:"newest,oldest" default:"newest"`
	After string `query:"after" maxLength:"50" doc:"Id of a line: only those behind it in this order, for the next page."`
	Fresh bool   `query:"fresh" doc:"Find everything that was acknowledged before, also what came in the last seconds; costs more."`
}

// LogLine is one record: what every line has, and the rest as fields.
type LogLine struct {
	ID       string            `json:"id" doc:"Names the line for good: for context, paging and links; empty for rows of a query that aggregates."`
	Time     string            `json:"time" doc:"RFC 3339 with nanoseconds; empty for rows of a stats query."`
	Service  string            `json:"service"`
	Severity string            `json:"severity"`
	Message  string            `json:"message"`
	Template string            `json:"template,omitempty"`
	TraceID  string            `json:"trace_id,omitempty"`
	Fields   map[string]string `json:"fields"`
}

// LogList is matching lines, newest first unless it was asked otherwise.
type LogList struct {
	Lines []LogLine `json:"lines" nullable:"false"`
	More  bool      `json:"more" doc:"The limit cut the result."`
	Next  string    `json:"next" doc:"What to give as after for the next page; empty when this was the last, or the query aggregates."`
	From  int64     `json:"from_unix_ms" doc:"The range that was searched: with the query and an id it makes a link that stays."`
	To    int64     `json:"to_unix_ms"`
}

func (s *Server) searchLogs(ctx context.Context, in *logsInput) (*body[LogList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	if in.Fresh {
		s.logs.FlushLogs()
	}
	ctx, done := limitTime(ctx)
	defer done()
	out := LogList{Lines: []LogLine{}, From: from, To: to}
	q := store.LogQuery{Query: in.Query, From: from * 1e6, To: to*1e6 + 999_999, Limit: in.Limit + 1, Oldest: in.Order == "oldest", Beyond: in.After}
	err = s.logs.SearchLogs(ctx, q, func(r store.Row) bool {
		if len(out.Lines) == in.Limit {
			out.More = true
			return false
		}
		out.Lines = append(out.Lines, toLine(r))
		return true
	})
	if err != nil {
		return nil, tooSlow(ctx, fmt.Errorf("search logs: %w", err))
	}
	if out.More {
		out.Next = out.Lines[len(out.Lines)-1].ID
	}
	return ok(out), nil
}

// askFor is how long a question about logs may take.
const askFor = 30 * time.Second

func limitTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, askFor)
}

// tooSlow says of an error whether it is because the time was up, in whatever
// words the engine has for that.
func tooSlow(ctx context.Context, err error) error {
	if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: the answer took more than %s: narrow the time or the query (%s)", context.DeadlineExceeded, askFor, err.Error())
}

func toLine(r store.Row) LogLine {
	l := LogLine{Fields: map[string]string{}}
	for k, v := range r {
		switch k {
		case store.RowID:
			l.ID = v
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
