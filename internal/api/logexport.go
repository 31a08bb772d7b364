package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/norn-aiops/norn/internal/store"
)

type exportInput struct {
	Range
	Query  string   `query:"query" maxLength:"10000" doc:"LogsQL; empty is everything."`
	Format string   `query:"format" enum:"ndjson,csv" default:"ndjson"`
	Fields []string `query:"fields" maxItems:"50" doc:"CSV: more columns, beside id, time, service, instance, severity, template, trace_id and message."`
	Limit  int      `query:"limit" minimum:"1" maximum:"1000000" default:"100000"`
}

// exportPage is how many lines are read at a time.
const exportPage = 5000

// exportFor is how long an export may take.
const exportFor = 10 * time.Minute

// exportLogs streams matching lines. What goes wrong after the first page
// breaks the connection off: a file that is cut is not taken for a whole one.
func (s *Server) exportLogs(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	page := exportPage
	if strings.Contains(in.Query, "|") { // what goes through pipes cannot be continued
		page = in.Limit
	}
	q := store.LogQuery{Query: in.Query, From: from * 1e6, To: to*1e6 + 999_999, Limit: min(page, in.Limit)}
	first, err := s.exportPage(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("export logs: %w", err)
	}
	kind, ending := "application/x-ndjson", "ndjson"
	if in.Format == "csv" {
		kind, ending = "text/csv; charset=utf-8", "csv"
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", kind)
		hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="logs-%s.%s"`, time.UnixMilli(from).UTC().Format("20060102T150405Z"), ending))
		ctx, done := context.WithTimeout(hc.Context(), exportFor)
		defer done()
		w := newLineWriter(hc.BodyWriter(), in)
		left := in.Limit
		for lines := first; ; {
			if err = w.write(lines); err != nil {
				break
			}
			left -= len(lines)
			if len(lines) < q.Limit || left <= 0 || lines[len(lines)-1].ID == "" {
				break
			}
			q.Beyond, q.Limit = lines[len(lines)-1].ID, min(page, left)
			if lines, err = s.exportPage(ctx, q); err != nil {
				break
			}
		}
		if err != nil {
			s.log.Warn("log export broken off", slog.Any("error", err))
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

func (s *Server) exportPage(ctx context.Context, q store.LogQuery) ([]LogLine, error) {
	ctx, done := limitTime(ctx)
	defer done()
	var lines []LogLine
	err := s.logs.SearchLogs(ctx, q, func(r store.Row) bool {
		lines = append(lines, toLine(r))
		return true
	})
	return lines, tooSlow(ctx, err)
}

// lineWriter writes lines in one of the formats.
type lineWriter struct {
	json   *json.Encoder
	csv    *csv.Writer
	fields []string
}

func newLineWriter(w io.Writer, in *exportInput) *lineWriter {
	if in.Format != "csv" {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return &lineWriter{json: e}
	}
	l := &lineWriter{csv: csv.NewWriter(w), fields: in.Fields}
	// Errors of a csv.Writer stay until they are asked for.
	_ = l.csv.Write(append([]string{"id", "time", "service", "instance", "severity", "template", "trace_id", "message"}, in.Fields...))
	return l
}

func (l *lineWriter) write(lines []LogLine) error {
	for i := range lines {
		x := &lines[i]
		if l.json != nil {
			if err := l.json.Encode(x); err != nil {
				return fmt.Errorf("write a line: %w", err)
			}
			continue
		}
		row := []string{x.ID, x.Time, x.Service, x.Fields["instance"], x.Severity, x.Template, x.TraceID, x.Message}
		for _, f := range l.fields {
			row = append(row, x.Fields[f])
		}
		_ = l.csv.Write(row) // see newLineWriter
	}
	if l.csv == nil {
		return nil
	}
	l.csv.Flush()
	return l.csv.Error()
}
