package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Store is a filled store behind the API.
type Store struct {
	// Add mines and stores records.
	Add func(ctx context.Context, recs []telemetry.LogRecord) error
	// Settle makes everything searchable.
	Settle func()
	API    http.Handler
	Close  func() error
}

// SearchOptions says how much there is to search; 0 means the default in
// brackets.
type SearchOptions struct {
	Lines    int // 10,000,000
	Rounds   int // of each question; 5
	Seed     uint64
	Dir      string // where the store is; "" is a temporary directory
	Progress func(done, total int)
}

// Latency is how long one question takes, in milliseconds.
type Latency struct {
	Name   string  `json:"name"`
	Path   string  `json:"path"`
	Median float64 `json:"median_ms"`
	Worst  float64 `json:"worst_ms"`
	First  float64 `json:"first_ms"`
}

// SearchReport is the result; JSON names are stable.
type SearchReport struct {
	Lines     int       `json:"lines"`
	FillS     float64   `json:"fill_seconds"`
	Questions []Latency `json:"questions"`
}

// spread is how long the lines took to come.
const spread = 24 * time.Hour

// RunSearch fills a store and asks it.
func RunSearch(ctx context.Context, o SearchOptions, open func(ctx context.Context, dir string, now time.Time) (Store, error)) (rep SearchReport, err error) {
	if o.Lines <= 0 {
		o.Lines = 10_000_000
	}
	if o.Rounds <= 0 {
		o.Rounds = 5
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "norn-bench-logsearch-"); err != nil {
			return rep, fmt.Errorf("cannot make a directory: %w", err)
		}
		defer os.RemoveAll(o.Dir)
	}
	now := time.Now()
	s, err := open(ctx, o.Dir, now)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	rep.Lines = o.Lines
	began := time.Now()
	if err := fill(ctx, &o, &s, now); err != nil {
		return rep, err
	}
	s.Settle()
	rep.FillS = time.Since(began).Seconds()
	for _, q := range questions() {
		l, err := ask(ctx, &o, s.API, q[0], q[1])
		if err != nil {
			return rep, err
		}
		rep.Questions = append(rep.Questions, l)
	}
	return rep, nil
}

func fill(ctx context.Context, o *SearchOptions, s *Store, now time.Time) error {
	const size = 10_000
	m := newMaker(o.Seed + 1)
	recs := make([]telemetry.LogRecord, 0, size)
	step := spread / time.Duration(o.Lines)
	for i := range o.Lines {
		l := m.next(now.Add(-spread + time.Duration(i)*step))
		e := telemetry.Entity{Kind: telemetry.KindService, Name: serviceName(l.service)}
		recs = append(recs, telemetry.LogRecord{Time: l.at.UnixNano(), Body: l.text, Severity: l.severity, Entity: e, Source: "bench",
			Instance: telemetry.Entity{Kind: telemetry.KindInstance, Name: e.Name + "-0"}})
		if len(recs) < size && i < o.Lines-1 {
			continue
		}
		if err := s.Add(ctx, recs); err != nil {
			return fmt.Errorf("cannot fill the store: %w", err)
		}
		recs = recs[:0]
		if o.Progress != nil {
			o.Progress(i+1, o.Lines)
		}
	}
	return nil
}

// questions are what the console asks: a name and a path of the API.
func questions() [][2]string {
	q := func(path, from, query string) string {
		return "/api/v1/logs" + path + "from=" + from + "&query=" + url.QueryEscape(query)
	}
	return [][2]string{
		{"search: all, newest 200", q("?", "-24h", "")},
		{"search: common word, newest 200", q("?", "-24h", "timed")},
		{"search: two words of one service", q("?", "-24h", "service:=shop-3 warehouse reserve")},
		{"search: a number, anywhere in 24 h", q("?", "-24h", "4711042")},
		{"facets: last hour", q("/facets?", "-1h", "")},
		{"facets: errors of 24 h", q("/facets?", "-24h", "severity:=error")},
		{"facets: one field, 24 h", q("/facets?field=service&", "-24h", "")},
		{"histogram: last hour", q("/histogram?", "-1h", "")},
		{"histogram: 24 h", q("/histogram?", "-24h", "")},
		{"patterns: last hour against the hour before", q("/patterns?", "-1h", "")},
		{"patterns: 12 h against 12 h", q("/patterns?", "-12h", "")},
	}
}

func ask(ctx context.Context, o *SearchOptions, h http.Handler, name, path string) (Latency, error) {
	l := Latency{Name: name, Path: path}
	var took []float64
	for range o.Rounds {
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, req)
		took = append(took, float64(time.Since(began).Microseconds())/1000)
		if w.Code != http.StatusOK {
			return l, fmt.Errorf("%s answers %d: %.300s", path, w.Code, w.Body.String())
		}
	}
	l.First = took[0]
	slices.Sort(took)
	l.Median, l.Worst = took[len(took)/2], took[len(took)-1]
	return l, nil
}

// Print writes the report as a table.
func (r SearchReport) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%d lines, filled in %.0f s\tmedian ms\tworst\tfirst\n", r.Lines, r.FillS)
	for _, q := range r.Questions {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\n", q.Name, q.Median, q.Worst, q.First)
	}
	return w.Flush()
}
