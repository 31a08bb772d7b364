package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/norn-aiops/norn/internal/store"
)

// registerLogs mounts what logs are explored with.
func (s *Server) registerLogs() {
	get(s, "search-logs", "logs", "Search logs", s.searchLogs)
	get(s, "log-patterns", "logs/patterns", "Log patterns by how their rate changed between two ranges", s.logPatterns)
	get(s, "log-facets", "logs/facets", "The most frequent values of fields, with counts", s.logFacets)
	get(s, "log-histogram", "logs/histogram", "How many lines came when, by severity or another field", s.logHistogram)
	get(s, "log-context", "logs/context", "A line between its neighbours in its stream", s.logContext)
	get(s, "export-logs", "logs/export", "All matching lines as NDJSON or CSV, newest first", s.exportLogs)
	sse.Register(s.api, huma.Operation{
		OperationID: "tail-logs", Method: http.MethodGet, Path: apiPrefix + "logs/tail", Tags: []string{"logs"},
		Summary: "Matching lines as they arrive (server-sent events), about once a second",
	}, map[string]any{"message": LogTail{}}, s.tailLogs)
}

type facetsInput struct {
	Range
	Query string `query:"query" maxLength:"10000" doc:"LogsQL filter; empty is everything."`
	Field string `query:"field" maxLength:"200" doc:"Only this field, whatever its number of values; empty is all fields with at most 1000 values."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"10" doc:"Values of each field."`
}

// Facet is one field's most frequent values.
type Facet struct {
	Field  string       `json:"field"`
	Values []FacetValue `json:"values" nullable:"false" doc:"Most frequent first."`
}

// FacetValue is how many lines have a value.
type FacetValue struct {
	Value string `json:"value" doc:"Empty for lines without the field (only when one field is asked for)."`
	Count uint64 `json:"count"`
}

// FacetList is the facets of a search, those that lines have most often first.
type FacetList struct {
	Facets []Facet `json:"facets" nullable:"false"`
}

func (s *Server) logFacets(ctx context.Context, in *facetsInput) (*body[FacetList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	ctx, done := limitTime(ctx)
	defer done()
	query := fmt.Sprintf("%s | facets %d max_values_per_field 1000 keep_const_fields", allIfEmpty(in.Query), in.Limit)
	if in.Field != "" {
		query = fmt.Sprintf("%s | stats by (%s) count() hits | sort by (hits desc) limit %d", allIfEmpty(in.Query), strconv.Quote(in.Field), in.Limit)
	}
	found := map[string]*Facet{}
	total := map[string]uint64{}
	err = s.logs.SearchLogs(ctx, store.LogQuery{Query: query, From: from * 1e6, To: to*1e6 + 999_999}, func(r store.Row) bool {
		name, value := r["field_name"], r["field_value"]
		if in.Field != "" {
			name, value = in.Field, r[in.Field]
		}
		n, err := strconv.ParseUint(r["hits"], 10, 64)
		if err != nil || n == 0 || noFacet(name) && in.Field == "" {
			return true
		}
		f := found[name]
		if f == nil {
			f = &Facet{Field: name, Values: []FacetValue{}}
			found[name] = f
		}
		f.Values = append(f.Values, FacetValue{value, n})
		total[name] += n
		return true
	})
	if err != nil {
		return nil, tooSlow(ctx, fmt.Errorf("count log fields: %w", err))
	}
	out := FacetList{Facets: []Facet{}}
	for _, f := range found {
		slices.SortStableFunc(f.Values, func(a, b FacetValue) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
		})
		out.Facets = append(out.Facets, *f)
	}
	slices.SortFunc(out.Facets, func(a, b Facet) int {
		return cmp.Or(cmp.Compare(facetRank(a.Field), facetRank(b.Field)), cmp.Compare(total[b.Field], total[a.Field]), strings.Compare(a.Field, b.Field))
	})
	return ok(out), nil
}

// noFacet says of a field that nobody narrows a search by it.
func noFacet(field string) bool {
	return field == "_msg" || field == "severity_number" || strings.HasPrefix(field, "_")
}

// facetRank puts what every line has first.
func facetRank(field string) int {
	if k := slices.Index([]string{"severity", "service", "instance", "template"}, field); k >= 0 {
		return k
	}
	return 9
}

func allIfEmpty(query string) string {
	if strings.TrimSpace(query) == "" {
		return "*"
	}
	return query
}

type histogramInput struct {
	Range
	Query  string `query:"query" maxLength:"10000" doc:"LogsQL filter; empty is everything."`
	By     string `query:"by" maxLength:"200" default:"severity" doc:"Field whose values are told apart."`
	Points int    `query:"points" minimum:"2" maximum:"500" default:"60" doc:"About how many columns."`
}

// LogHistogram is how many lines came when.
type LogHistogram struct {
	From   int64          `json:"from_unix_ms"`
	To     int64          `json:"to_unix_ms"`
	StepMS int64          `json:"step_ms"`
	T      []int64        `json:"t_unix_ms" nullable:"false" doc:"Begin of each column."`
	Groups []LogHistGroup `json:"groups" nullable:"false" doc:"By severity: worst first; else by count. At most 12, the rest together as other."`
	Total  uint64         `json:"total"`
}

// LogHistGroup is the lines of one value of the field.
type LogHistGroup struct {
	Value  string   `json:"value"`
	Counts []uint64 `json:"counts" nullable:"false" doc:"As long as t_unix_ms."`
	Total  uint64   `json:"total"`
}

const maxHistGroups = 12

func (s *Server) logHistogram(ctx context.Context, in *histogramInput) (*body[LogHistogram], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	ctx, done := limitTime(ctx)
	defer done()
	step := niceStep(to-from, in.Points)
	out := LogHistogram{From: from, To: to, StepMS: step, T: []int64{}, Groups: []LogHistGroup{}}
	first := from - from%step
	for t := first; t <= to; t += step {
		out.T = append(out.T, t)
	}
	groups := map[string]*LogHistGroup{}
	query := fmt.Sprintf("%s | stats by (_time:%dms, %s) count() n", allIfEmpty(in.Query), step, strconv.Quote(in.By))
	err = s.logs.SearchLogs(ctx, store.LogQuery{Query: query, From: from * 1e6, To: to*1e6 + 999_999}, func(r store.Row) bool {
		t, err1 := time.Parse(time.RFC3339Nano, r["_time"])
		n, err2 := strconv.ParseUint(r["n"], 10, 64)
		k := (t.UnixMilli() - first) / step
		if err1 != nil || err2 != nil || k < 0 || k >= int64(len(out.T)) {
			return true
		}
		g := groups[r[in.By]]
		if g == nil {
			g = &LogHistGroup{Value: r[in.By], Counts: make([]uint64, len(out.T))}
			groups[g.Value] = g
		}
		g.Counts[k] += n
		g.Total += n
		out.Total += n
		return true
	})
	if err != nil {
		return nil, tooSlow(ctx, fmt.Errorf("count log lines: %w", err))
	}
	for _, g := range groups {
		out.Groups = append(out.Groups, *g)
	}
	slices.SortFunc(out.Groups, func(a, b LogHistGroup) int {
		if in.By == "severity" {
			if c := cmp.Compare(severityRank(a.Value), severityRank(b.Value)); c != 0 {
				return c
			}
		}
		return cmp.Or(cmp.Compare(b.Total, a.Total), strings.Compare(a.Value, b.Value))
	})
	out.Groups = foldRest(out.Groups)
	return ok(out), nil
}

func severityRank(name string) int {
	if k := slices.Index([]string{"fatal", "error", "warn", "info", "debug", "trace"}, name); k >= 0 {
		return k
	}
	return 9
}

// foldRest adds up the groups beyond the limit.
func foldRest(gs []LogHistGroup) []LogHistGroup {
	if len(gs) <= maxHistGroups {
		return gs
	}
	rest := &gs[maxHistGroups-1]
	rest.Value = "other"
	for _, g := range gs[maxHistGroups:] {
		rest.Total += g.Total
		for i, n := range g.Counts {
			rest.Counts[i] += n
		}
	}
	return gs[:maxHistGroups]
}

type contextInput struct {
	ID     string `query:"id" required:"true" maxLength:"50" doc:"Of the line, as a search gave it."`
	Before int    `query:"before" minimum:"0" maximum:"500" default:"10"`
	After  int    `query:"after" minimum:"0" maximum:"500" default:"10"`
}

// LogContext is a line between its neighbours, oldest first.
type LogContext struct {
	Lines []LogLine `json:"lines" nullable:"false"`
	Index int       `json:"index" doc:"Place of the line itself."`
}

func (s *Server) logContext(ctx context.Context, in *contextInput) (*body[LogContext], error) {
	ctx, done := limitTime(ctx)
	defer done()
	rows, err := s.logs.LogContext(ctx, in.ID, in.Before, in.After)
	if err != nil {
		return nil, tooSlow(ctx, fmt.Errorf("read lines around: %w", err))
	}
	out := LogContext{Lines: []LogLine{}}
	for i, r := range rows {
		l := toLine(r)
		if l.ID == in.ID {
			out.Index = i
		}
		out.Lines = append(out.Lines, l)
	}
	return ok(out), nil
}

type tailInput struct {
	Query string `query:"query" maxLength:"10000" doc:"LogsQL filter without pipes; empty is everything."`
}

// LogTail is what came since the last event of a live tail.
type LogTail struct {
	Lines  []LogLine `json:"lines" nullable:"false" doc:"In the order of their arrival; none: the stream is alive."`
	Missed bool      `json:"missed" doc:"More came than are shown; at most 1000 a second are."`
	Time   int64     `json:"time_unix_ms"`
	Error  string    `json:"error,omitempty" doc:"Why the stream ends now."`
}

// tailLogs streams until the reader goes; the goroutine that asks the store
// ends with it.
func (s *Server) tailLogs(ctx context.Context, in *tailInput, send sse.Sender) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan LogTail)
	failed := make(chan error, 1)
	go func() {
		failed <- s.logs.TailLogs(ctx, in.Query, func(rows []store.Row, missed bool) error {
			b := LogTail{Lines: make([]LogLine, 0, len(rows)), Missed: missed}
			for _, r := range rows {
				b.Lines = append(b.Lines, toLine(r))
			}
			select {
			case batches <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	defer func() {
		cancel()
		_ = <-failed // the tail has ended
	}()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	put := func(b LogTail) error {
		b.Time, b.Lines = s.now().UnixMilli(), nonNil(b.Lines)
		return send.Data(b)
	}
	err := put(LogTail{})
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case b := <-batches:
			err = put(b)
		case <-tick.C:
			err = put(LogTail{})
		case cause := <-failed:
			failed <- nil // for the deferred wait
			if cause != nil && ctx.Err() == nil {
				_ = put(LogTail{Error: cause.Error()}) // a failed write means that the reader is gone
			}
			return
		}
	}
	s.log.Debug("log tail ended", slog.Any("error", err))
}
