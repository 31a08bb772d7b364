package replay

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// openCSV reads a folder of CSV files with metrics, for data that has no other
// format. A file is long or wide by its header:
//
//	timestamp,metric,<label>...,value     one sample a row
//	timestamp,<series>,<series>...        one column a series: name or name{label="value"}
//
// Timestamps are Unix seconds or milliseconds, or RFC 3339. Empty and NaN cells
// are missing values. Beside them, all optional: faults.csv (id, onset, end,
// entity, kind) or faults.json (an array of the same), edges.csv (from, to,
// kind) with entities as kind/name or a service's name, changes.csv (time,
// entity, kind, title).
func openCSV(dir string) ([]*Recording, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	b := newBatch(10_000)
	n := 0
	for _, f := range files {
		switch filepath.Base(f) {
		case "faults.csv", "edges.csv", "changes.csv":
			continue
		}
		n++
		err := withFile(f, func(r io.Reader) error {
			return readMetricCSV(r, func(s Sample) { it := b.at(s.T); it.Samples = append(it.Samples, s) })
		})
		if err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("no CSV file with metrics: %w", ErrFormat)
	}
	return finishFolder(dir, b)
}

// finishFolder adds changes, edges and faults of a folder to its batch and
// makes the recording.
func finishFolder(dir string, b *batch) ([]*Recording, error) {
	rec := &Recording{Name: filepath.Base(dir)}
	var err error
	if rec.Faults, err = readFaults(dir); err != nil {
		return nil, err
	}
	err = optional(filepath.Join(dir, "changes.csv"), func(r io.Reader) error {
		return readChanges(r, func(c telemetry.Change) { it := b.at(c.Time); it.Changes = append(it.Changes, c) })
	})
	if err != nil {
		return nil, err
	}
	var edges []graph.Edge
	err = optional(filepath.Join(dir, "edges.csv"), func(r io.Reader) (err error) {
		edges, err = readEdges(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	f := b.feed()
	rec.Feed = f
	if len(f.items) == 0 {
		return nil, fmt.Errorf("no data: %w", ErrFormat)
	}
	rec.Start, rec.End = f.items[0].T, f.items[len(f.items)-1].T
	for i := range f.items {
		f.items[i].Edges = stamped(edges, f.items[i].T)
	}
	return []*Recording{rec}, nil
}

// optional reads a file if it exists.
func optional(path string, read func(io.Reader) error) error {
	err := withFile(path, read)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// readMetricCSV reads one file of either shape.
func readMetricCSV(r io.Reader, add func(Sample)) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.ReuseRecord = -1, true
	first, err := c.Read()
	if err != nil || len(first) < 2 {
		return fmt.Errorf("a header with at least two columns is needed: %w", ErrFormat)
	}
	head := slices.Clone(first)
	for i := range head {
		head[i] = strings.Clone(strings.TrimSpace(strings.TrimPrefix(head[i], "\ufeff")))
	}
	switch head[0] {
	case "timestamp", "time", "Time", "Timestamp":
	default:
		return fmt.Errorf("the first column is %q, not timestamp: %w", head[0], ErrFormat)
	}
	if len(head) >= 3 && head[1] == "metric" && head[len(head)-1] == "value" {
		return readLong(c, head, add)
	}
	return readWide(c, head, add)
}

func readLong(c *csv.Reader, head []string, add func(Sample)) error {
	known := map[string]labels.Labels{}
	return eachRow(c, func(line int, t int64, row []string) error {
		if len(row) != len(head) {
			return fmt.Errorf("line %d has %d columns, not %d: %w", line, len(row), len(head), ErrFormat)
		}
		v, ok := number(row[len(row)-1])
		if !ok {
			return nil
		}
		key := strings.Join(row[1:len(row)-1], "\x00")
		ls, seen := known[key]
		if !seen {
			lb := labels.NewBuilder(labels.EmptyLabels())
			lb.Set(labels.MetricName, strings.Clone(row[1]))
			for i := 2; i < len(row)-1; i++ {
				lb.Set(head[i], strings.Clone(row[i]))
			}
			if row[1] == "" {
				return fmt.Errorf("line %d has no metric name: %w", line, ErrFormat)
			}
			ls = lb.Labels()
			known[strings.Clone(key)] = ls
		}
		add(Sample{Labels: ls, T: t, V: v})
		return nil
	})
}

func readWide(c *csv.Reader, head []string, add func(Sample)) error {
	p := parser.NewParser(parser.Options{})
	series := make([]labels.Labels, len(head))
	for i := 1; i < len(head); i++ {
		ls, err := p.ParseMetric(head[i])
		if err != nil || ls.Get(labels.MetricName) == "" {
			return fmt.Errorf("column %d, %q, is not a series: %w", i+1, head[i], ErrFormat)
		}
		series[i] = ls
	}
	return eachRow(c, func(_ int, t int64, row []string) error {
		for i := 1; i < len(row) && i < len(head); i++ {
			if v, ok := number(row[i]); ok {
				add(Sample{Labels: series[i], T: t, V: v})
			}
		}
		return nil
	})
}

func eachRow(c *csv.Reader, do func(line int, t int64, row []string) error) error {
	for line := 2; ; line++ {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		t, err := anyTime(row[0])
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if err := do(line, t, row); err != nil {
			return err
		}
	}
}

func number(s string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// anyTime reads Unix seconds, Unix milliseconds or RFC 3339 as Unix ms.
func anyTime(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case v > 0 && v < 1e11:
			return int64(math.Round(v * 1000)), nil
		case v >= 1e11 && v < 1e15:
			return int64(v), nil
		}
		return 0, fmt.Errorf("time stamp %q is out of range: %w", s, ErrFormat)
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1970 && t.Year() < 2200 {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("time stamp %q is neither Unix time nor RFC 3339: %w", s, ErrFormat)
}

// columns reads a small CSV with a header and calls do with a getter per row.
func columns(r io.Reader, need []string, do func(line int, get func(string) string) error) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	col, err := nezhaHeader(c, need...)
	if err != nil {
		return err
	}
	for line := 2; ; line++ {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		err = do(line, func(n string) string {
			if i, ok := col[n]; ok && i < len(row) {
				return strings.TrimSpace(row[i])
			}
			return ""
		})
		if err != nil {
			return err
		}
	}
}

func readEdges(r io.Reader) ([]graph.Edge, error) {
	var out []graph.Edge
	err := columns(r, []string{"from", "to"}, func(line int, get func(string) string) error {
		e := graph.Edge{From: telemetry.ParseEntity(get("from")), To: telemetry.ParseEntity(get("to")), Kind: graph.Calls}
		if e.From.IsZero() || e.To.IsZero() {
			return fmt.Errorf("line %d: an edge needs both ends: %w", line, ErrFormat)
		}
		switch k := get("kind"); k {
		case "", "calls":
		case "runs_on", "part_of", "depends_on":
			e.Kind = graph.EdgeKind(k)
		default:
			return fmt.Errorf("line %d: unknown kind %q: %w", line, k, ErrFormat)
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

func readChanges(r io.Reader, add func(telemetry.Change)) error {
	return columns(r, []string{"time", "entity"}, func(line int, get func(string) string) error {
		t, err := anyTime(get("time"))
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		k := telemetry.ChangeKind(get("kind"))
		if k == "" {
			k = telemetry.ChangeDeploy
		}
		add(telemetry.Change{ID: fmt.Sprintf("change-%d-%d", t, line), Time: t, Kind: k, Entity: telemetry.ParseEntity(get("entity")), Title: get("title")})
		return nil
	})
}

// readFaults reads the truth of a folder, if it has one.
func readFaults(dir string) ([]Fault, error) {
	var out []Fault
	add := func(id, onset, end, entity, kind string, n int) error {
		from, err := anyTime(onset)
		if err != nil {
			return err
		}
		to := from + 600_000
		if end != "" {
			if to, err = anyTime(end); err != nil {
				return err
			}
		}
		if id == "" {
			id = strconv.Itoa(n)
		}
		out = append(out, Fault{ID: id, Onset: from, End: max(to, from), Entity: telemetry.ParseEntity(entity), Kind: kind})
		return nil
	}
	err := optional(filepath.Join(dir, "faults.csv"), func(r io.Reader) error {
		return columns(r, []string{"onset", "entity"}, func(line int, get func(string) string) error {
			return add(get("id"), get("onset"), get("end"), get("entity"), get("kind"), line-1)
		})
	})
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "faults.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	var list []struct {
		ID     string      `json:"id"`
		Onset  json.Number `json:"onset"`
		End    json.Number `json:"end"`
		Entity string      `json:"entity"`
		Kind   string      `json:"kind"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("faults.json: %w: %w", ErrFormat, err)
	}
	for i, f := range list {
		if err := add(f.ID, f.Onset.String(), f.End.String(), f.Entity, f.Kind, i+1); err != nil {
			return nil, fmt.Errorf("faults.json: fault %d: %w", i+1, err)
		}
	}
	return out, nil
}
