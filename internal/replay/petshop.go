package replay

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// petshopStep is the interval of the data set.
const petshopStep = 300_000

// petshopIssue is one injected issue with its own few rows.
type petshopIssue struct {
	fault  Fault
	split  string // train or test
	target petshopTarget
	rows   *petshopTable
}

type petshopTarget struct {
	Target struct {
		Node      string  `json:"node"`
		Metric    string  `json:"metric"`
		Agg       string  `json:"agg"`
		Timestamp float64 `json:"timestamp"`
	} `json:"target"`
	RootCause struct {
		Node string `json:"node"`
	} `json:"root_cause"`
	Metadata struct {
		Reproducibility struct {
			Command string `json:"command"`
		} `json:"reproducibility"`
	} `json:"metadata"`
}

// petshopScenario is one traffic regime: normal operation, graph and issues.
type petshopScenario struct {
	name   string
	normal *petshopTable // nil when the folder has none
	edges  []graph.Edge
	issues []petshopIssue
}

// petshopTable is one metrics.csv: columns are (node, metric, statistic).
type petshopTable struct {
	times []int64
	cols  []petshopColumn
}

type petshopColumn struct {
	node, metric, stat string
	values             []float64 // NaN where empty
}

// openPetshop reads the PetShop data set (Hardt et al., CLeaR 2024): a folder
// per scenario with graph.csv, noissue/metrics.csv and train|test/issue_*/.
//
// The issues were recorded before the normal operation and days apart. Since a
// replay needs its past first, the normal rows are moved in time to end five
// minutes before the first issue; the issues keep their own times.
func openPetshop(dir string) ([]*Recording, error) {
	scs, err := petshopScenarios(dir)
	if err != nil {
		return nil, err
	}
	recs := make([]*Recording, 0, len(scs))
	for _, sc := range scs {
		recs = append(recs, sc.recording())
	}
	return recs, nil
}

func petshopScenarios(dir string) ([]*petshopScenario, error) {
	graphs, err := filepath.Glob(filepath.Join(dir, "*", "graph.csv"))
	if err != nil {
		return nil, err
	}
	if len(graphs) == 0 {
		return nil, fmt.Errorf("no scenario folder with a graph.csv: %w", ErrFormat)
	}
	slices.Sort(graphs)
	out := make([]*petshopScenario, 0, len(graphs))
	for _, g := range graphs {
		sc, err := readPetshopScenario(filepath.Dir(g))
		if err != nil {
			return nil, err
		}
		out = append(out, sc)
	}
	return out, nil
}

func readPetshopScenario(dir string) (*petshopScenario, error) {
	sc := &petshopScenario{name: filepath.Base(dir)}
	err := withFile(filepath.Join(dir, "graph.csv"), func(r io.Reader) (err error) {
		sc.edges, err = readPetshopGraph(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	normal := filepath.Join(dir, "noissue", "metrics.csv")
	if _, err := os.Stat(normal); err == nil {
		if sc.normal, err = openPetshopTable(normal); err != nil {
			return nil, err
		}
	}
	for _, split := range []string{"train", "test"} {
		found, err := filepath.Glob(filepath.Join(dir, split, "issue_*", "target.json"))
		if err != nil {
			return nil, err
		}
		slices.Sort(found)
		for _, f := range found {
			is, err := readPetshopIssue(filepath.Dir(f), sc.name+"/"+split)
			if err != nil {
				return nil, err
			}
			is.split = split
			sc.issues = append(sc.issues, is)
		}
	}
	slices.SortStableFunc(sc.issues, func(a, b petshopIssue) int { return int(a.fault.Onset/1000 - b.fault.Onset/1000) })
	return sc, nil
}

func readPetshopIssue(dir, prefix string) (petshopIssue, error) {
	var is petshopIssue
	raw, err := os.ReadFile(filepath.Join(dir, "target.json"))
	if err != nil {
		return is, err
	}
	if err := json.Unmarshal(raw, &is.target); err != nil {
		return is, fmt.Errorf("%s: %w: %w", filepath.Join(dir, "target.json"), ErrFormat, err)
	}
	t := is.target
	if t.Target.Node == "" || t.Target.Timestamp <= 0 {
		return is, fmt.Errorf("%s: no target: %w", dir, ErrFormat)
	}
	if is.rows, err = openPetshopTable(filepath.Join(dir, "metrics.csv")); err != nil {
		return is, err
	}
	onset := int64(t.Target.Timestamp * 1000)
	is.fault = Fault{ID: prefix + "/" + filepath.Base(dir), Onset: onset, End: onset + 2*petshopStep,
		Entity: service(t.RootCause.Node), Kind: t.Target.Metric, Detail: t.Metadata.Reproducibility.Command,
		Target: service(t.Target.Node), Signal: telemetry.SignalLatency}
	if t.Target.Metric == "availability" {
		is.fault.Signal = telemetry.SignalErrors
	}
	return is, nil
}

func openPetshopTable(path string) (t *petshopTable, err error) {
	err = withFile(path, func(r io.Reader) error {
		t, err = readPetshopTable(r)
		return err
	})
	return t, err
}

// readPetshopTable reads a file with three header rows (microservice, metric,
// statistic), the row "unix_timestamp" and then one row per five minutes.
func readPetshopTable(r io.Reader) (*petshopTable, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(rows) < 4 || len(rows[0]) < 2 || len(rows[1]) != len(rows[0]) || len(rows[2]) != len(rows[0]) {
		return nil, fmt.Errorf("three header rows of one length are needed: %w", ErrFormat)
	}
	t := &petshopTable{}
	for i := 1; i < len(rows[0]); i++ {
		t.cols = append(t.cols, petshopColumn{node: rows[0][i], metric: rows[1][i], stat: rows[2][i]})
	}
	for _, row := range rows[3:] {
		if len(row) == 0 || row[0] == "unix_timestamp" {
			continue
		}
		ts, err := strconv.ParseFloat(row[0], 64)
		if err != nil || !(ts > 0 && ts < 1e11) {
			return nil, fmt.Errorf("time stamp %q: %w", row[0], ErrFormat)
		}
		t.times = append(t.times, int64(ts*1000))
		for i := range t.cols {
			v := math.NaN()
			if i+1 < len(row) && row[i+1] != "" {
				if v, err = strconv.ParseFloat(row[i+1], 64); err != nil {
					return nil, fmt.Errorf("value %q of %s: %w", row[i+1], t.cols[i].node, ErrFormat)
				}
			}
			t.cols[i].values = append(t.cols[i].values, v)
		}
	}
	return t, nil
}

// readPetshopGraph reads an adjacency matrix: the row calls the column.
func readPetshopGraph(r io.Reader) ([]graph.Edge, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("graph: %w: %w", ErrFormat, err)
	}
	var out []graph.Edge
	for i := 1; i < len(rows); i++ {
		for j := 1; j < len(rows[i]) && j < len(rows[0]); j++ {
			if v, err := strconv.ParseFloat(rows[i][j], 64); err == nil && v > 0 && rows[i][0] != rows[0][j] {
				out = append(out, graph.Edge{From: service(rows[i][0]), To: service(rows[0][j]), Kind: graph.Calls})
			}
		}
	}
	return out, nil
}

// sample turns a cell into a Prometheus-style sample; ok is false for empty
// cells and unknown metrics. Latencies are seconds, availability (percent)
// becomes an error ratio, request sums become requests a second.
func (c *petshopColumn) sample(row int, t int64) (Sample, bool) {
	v := c.values[row]
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Sample{}, false
	}
	switch c.metric {
	case "latency":
		q := map[string]string{"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99"}[c.stat]
		if q == "" {
			return gauge("request_latency_seconds", "s", t, v, "service_name", c.node), true
		}
		return gauge("request_latency_seconds", "s", t, v, "service_name", c.node, "quantile", q), true
	case "availability":
		return gauge("request_error_ratio", "1", t, 1-v/100, "service_name", c.node), true
	case "requests":
		return gauge("requests_per_second", "{request}/s", t, v/(petshopStep/1000), "service_name", c.node), true
	}
	return Sample{}, false
}

func (t *petshopTable) addTo(b *batch, shift int64) {
	for row, ts := range t.times {
		for i := range t.cols {
			if s, ok := t.cols[i].sample(row, ts+shift); ok {
				it := b.at(s.T)
				it.Samples = append(it.Samples, s)
			}
		}
	}
}

// recording makes one time line of a scenario.
func (sc *petshopScenario) recording() *Recording {
	b := newBatch(petshopStep)
	rec := &Recording{Name: sc.name, Step: petshopStep}
	first := int64(math.MaxInt64)
	for _, is := range sc.issues {
		rec.Faults = append(rec.Faults, is.fault)
		if len(is.rows.times) > 0 {
			first = min(first, is.rows.times[0])
		}
		is.rows.addTo(b, 0)
	}
	if sc.normal != nil && len(sc.normal.times) > 0 {
		shift := int64(0)
		if len(sc.issues) > 0 {
			shift = first - petshopStep - sc.normal.times[len(sc.normal.times)-1]
			rec.Issues = append(rec.Issues, "normal operation was recorded after the issues and is replayed before them")
		}
		sc.normal.addTo(b, shift)
		half := sc.normal.times[0] + (sc.normal.times[len(sc.normal.times)-1]-sc.normal.times[0])/2
		rec.Warmups = []Interval{{From: sc.normal.times[0] + shift, To: half + shift}}
	}
	f := b.feed()
	rec.Feed = f
	if len(f.items) > 0 {
		rec.Start, rec.End = f.items[0].T, f.items[len(f.items)-1].T
		for i := range f.items { // the graph is static: say it again with every item, so that it does not expire
			f.items[i].Edges = stamped(sc.edges, f.items[i].T)
		}
	}
	return rec
}

// stamped gives edges as seen at time t.
func stamped(edges []graph.Edge, t int64) []graph.Edge {
	out := slices.Clone(edges)
	for i := range out {
		out[i].FirstSeen, out[i].LastSeen = t, t
	}
	return out
}

// withFile opens path, calls read and closes it; errors name the file.
func withFile(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
