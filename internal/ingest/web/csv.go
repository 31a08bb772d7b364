package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/ingest"
)

// Names of columns with a meaning of their own.
var (
	timeColumns  = []string{"time", "timestamp", "ts", "@timestamp"}
	nameColumns  = []string{"name", "metric", "__name__"}
	valueColumns = []string{"value"}
)

// table is what the header line says.
//
// The long form has one sample a line: a time column, a name column, "value",
// and labels: each further column is one, and a column "labels" may hold several
// as k=v;k2=v2.
//
// The wide form has one series a column: a time column, and for each series its
// name as in PromQL, e.g. requests_total{service="cart"} (with quotes around it
// where it has commas or quotes, as CSV wants). Empty cells are no sample.
type table struct {
	time, name, value, packed int // columns; -1 when there is none
	header                    []string
	series                    []labels.Labels // wide form, by column
}

// sample is one cell on its way to the store.
type sample struct {
	line int
	t    int64
	v    float64
	ls   labels.Labels
}

// ServeMetrics takes CSV in the long form (time,name,value,LABEL...) or the wide
// form (time,SERIES,SERIES...). Times are
// RFC 3339 or Unix seconds, milliseconds, microseconds or nanoseconds.
func (h *Handler) ServeMetrics(w http.ResponseWriter, r *http.Request) {
	body, err := ingest.ReadBody(r, h.limits.Bytes)
	if err != nil {
		h.refuse(w, protocolMetrics, err)
		return
	}
	var rep Report
	samples, err := h.samples(body, &rep)
	if err != nil {
		h.refuse(w, protocolMetrics, &ingest.RequestError{Status: http.StatusBadRequest, Reason: "bad_header", Err: err})
		return
	}
	if len(samples) > 0 {
		if err := h.append(r.Context(), samples, &rep); err != nil {
			h.tryAgain(w, protocolMetrics, len(samples), err)
			return
		}
	}
	finish(w, &rep)
}

// samples reads all good cells. The error is about the header.
func (h *Handler) samples(body []byte, rep *Report) ([]sample, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	first, body, _ := bytes.Cut(body, []byte{'\n'})
	header, err := splitRow(string(bytes.TrimRight(first, "\r")))
	if err != nil {
		return nil, fmt.Errorf("read the header line: %w", err)
	}
	tab, err := readHeader(header)
	if err != nil {
		return nil, err
	}
	var out []sample
	for line := 2; len(body) > 0; line++ {
		var text []byte
		text, body, _ = bytes.Cut(body, []byte{'\n'})
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		row, err := splitRow(string(text))
		if err == nil && len(row) != len(header) {
			err = fmt.Errorf("%d columns, the header has %d", len(row), len(header))
		}
		if err != nil {
			h.reject(rep, protocolMetrics, 1, Problem{Line: line, Reason: "bad_csv", Detail: err.Error()})
			continue
		}
		before := len(out)
		var p *Problem
		if out, p = tab.cells(row, line, out); p != nil {
			h.reject(rep, protocolMetrics, 1, *p)
		}
		if len(out) > h.limits.Batch {
			h.reject(rep, protocolMetrics, len(out)-before, Problem{Line: line, Reason: "batch_too_large",
				Detail: fmt.Sprintf("more than %d samples in one request", h.limits.Batch)})
			out = out[:before]
		}
	}
	return out, nil
}

// splitRow splits one line at its commas. A cell that begins with a quote ends
// with one, and a doubled quote in it is a quote, as in RFC 4180; but no cell
// goes on in the next line, so that a quote that was never closed costs one line
// and not all that follow.
func splitRow(line string) ([]string, error) {
	var out []string
	for {
		line = strings.TrimLeft(line, " \t")
		if !strings.HasPrefix(line, `"`) {
			cell, rest, more := strings.Cut(line, ",")
			if out = append(out, strings.TrimSpace(cell)); !more {
				return out, nil
			}
			line = rest
			continue
		}
		var cell strings.Builder
		for line = line[1:]; ; {
			part, rest, closed := strings.Cut(line, `"`)
			if !closed {
				return nil, errors.New("a quoted cell is not closed in its line")
			}
			cell.WriteString(part)
			if line = rest; !strings.HasPrefix(line, `"`) {
				break
			}
			cell.WriteByte('"')
			line = line[1:]
		}
		out = append(out, cell.String())
		if line = strings.TrimLeft(line, " \t"); line == "" {
			return out, nil
		}
		if line[0] != ',' {
			return nil, errors.New("something follows the closing quote of a cell")
		}
		line = line[1:]
	}
}

func readHeader(header []string) (*table, error) {
	find := func(names []string) int {
		return slices.IndexFunc(header, func(c string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(c))) })
	}
	tab := &table{time: find(timeColumns), name: find(nameColumns), value: find(valueColumns), packed: find([]string{"labels"}), header: slices.Clone(header)}
	if tab.time < 0 {
		return nil, fmt.Errorf("the header has no time column (%s)", strings.Join(timeColumns, ", "))
	}
	if len(header) < 2 {
		return nil, errors.New("the header has no column with values")
	}
	if (tab.name < 0) != (tab.value < 0) {
		return nil, errors.New("the long form needs both a name and a value column")
	}
	if tab.name >= 0 {
		for i, c := range tab.header {
			if c = strings.TrimSpace(c); !tab.special(i) && !model.LabelName(c).IsValid() { //nolint:staticcheck // UTF-8 names are fine
				return nil, fmt.Errorf("column %d: %.100q is no label name", i+1, c)
			}
			tab.header[i] = c
		}
		return tab, nil
	}
	tab.series = make([]labels.Labels, len(header))
	for i, c := range header {
		if i == tab.time {
			continue
		}
		var err error
		if tab.series[i], err = parseSeries(c); err != nil {
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return tab, nil
}

func (t *table) special(col int) bool {
	return col == t.time || col == t.name || col == t.value || col == t.packed
}

// cells appends the samples of one row. A row with one bad cell in the wide form
// keeps its others; the first bad one is reported.
func (t *table) cells(row []string, line int, out []sample) ([]sample, *Problem) {
	at, err := ingest.ParseTime(row[t.time])
	if err != nil {
		return out, &Problem{Line: line, Field: t.header[t.time], Reason: "bad_timestamp", Detail: err.Error()}
	}
	if t.series == nil {
		return t.long(row, line, at.UnixMilli(), out)
	}
	var bad *Problem
	for i, cell := range row {
		if cell = strings.TrimSpace(cell); i == t.time || cell == "" {
			continue
		}
		v, err := number(cell)
		if err != nil {
			if bad == nil {
				bad = &Problem{Line: line, Field: t.header[i], Reason: "bad_value", Detail: err.Error()}
			}
			continue
		}
		out = append(out, sample{line, at.UnixMilli(), v, t.series[i]})
	}
	return out, bad
}

func (t *table) long(row []string, line int, at int64, out []sample) ([]sample, *Problem) {
	v, err := number(strings.TrimSpace(row[t.value]))
	if err != nil {
		return out, &Problem{Line: line, Field: "value", Reason: "bad_value", Detail: err.Error()}
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	for i, cell := range row {
		if !t.special(i) && cell != "" {
			b.Set(t.header[i], ingest.Clean(cell))
		}
	}
	if t.packed >= 0 {
		for pair := range strings.SplitSeq(row[t.packed], ";") {
			if pair = strings.TrimSpace(pair); pair == "" {
				continue
			}
			k, val, ok := strings.Cut(pair, "=")
			if k = strings.TrimSpace(k); !ok || !model.LabelName(k).IsValid() { //nolint:staticcheck // UTF-8 names are fine
				return out, &Problem{Line: line, Field: "labels", Reason: "invalid_labels", Detail: fmt.Sprintf("%.100q is not of the form k=v", pair)}
			}
			b.Set(k, ingest.Clean(strings.Trim(strings.TrimSpace(val), `"`)))
		}
	}
	b.Set(labels.MetricName, ingest.Clean(strings.TrimSpace(row[t.name])))
	return append(out, sample{line, at, v, b.Labels()}), nil
}

func number(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return 0, fmt.Errorf("%.50q is not a number", s)
	}
	return v, nil
}

// parseSeries reads name{label="value",...}.
func parseSeries(s string) (labels.Labels, error) {
	s = strings.TrimSpace(s)
	bad := func(what string) (labels.Labels, error) {
		return labels.EmptyLabels(), fmt.Errorf("%s in series %.100q", what, s)
	}
	name, rest, braces := strings.Cut(s, "{")
	name = strings.TrimSpace(name)
	if name == "" || !model.UTF8Validation.IsValidMetricName(name) {
		return bad("no metric name")
	}
	b := labels.NewBuilder(labels.FromStrings(labels.MetricName, name))
	for braces {
		rest = strings.TrimLeft(rest, " ,")
		if rest == "}" {
			break
		}
		key, after, ok := strings.Cut(rest, "=")
		if key = strings.TrimSpace(key); !ok || key == labels.MetricName || !model.LabelName(key).IsValid() { //nolint:staticcheck // UTF-8 names are fine
			return bad("no label")
		}
		after = strings.TrimLeft(after, " ")
		quoted, err := strconv.QuotedPrefix(after)
		if err != nil {
			return bad("no quoted value")
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return bad("no quoted value")
		}
		b.Set(key, ingest.Clean(value))
		rest = strings.TrimLeft(after[len(quoted):], " ")
		if !strings.HasPrefix(rest, ",") && rest != "}" {
			return bad("no closing brace")
		}
	}
	return b.Labels(), nil
}

// append commits all samples in one transaction, oldest first, because a store
// drops what is out of order inside a transaction.
func (h *Handler) append(ctx context.Context, samples []sample, rep *Report) error {
	slices.SortStableFunc(samples, func(a, b sample) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		}
		return 0
	})
	guard := ingest.NewGuard(h.opts.Metrics, h.limits, h.opts.Now())
	app := guard.AppenderV2(ctx)
	var bad []Problem
	for i := range samples {
		s := &samples[i]
		_, err := app.Append(0, s.ls, 0, s.t, s.v, nil, nil, storage.AOptions{})
		if err == nil || errors.Is(err, (*storage.AppendPartialError)(nil)) {
			continue
		}
		reason, own := ingest.SampleReason(err)
		if !own {
			return errors.Join(err, app.Rollback())
		}
		bad = append(bad, Problem{Line: s.line, Reason: reason, Detail: fmt.Sprintf("%.200s: %v", s.ls, err)})
	}
	if err := app.Commit(); err != nil {
		return err
	}
	for _, p := range bad {
		h.reject(rep, protocolMetrics, 1, p)
	}
	rep.Accepted = len(samples) - len(bad)
	h.opts.Counters.Items(protocolMetrics, ingest.OutcomeAccepted, rep.Accepted)
	return nil
}
