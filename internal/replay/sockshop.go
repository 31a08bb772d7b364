package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/graph"
)

// sockshopCase is one run of one fault: a stretch of normal operation and one
// with the fault.
type sockshopCase struct {
	name               string
	service, fault     string
	normal, anomalous  []Sample
	normalEnd          int64
	faultStart, faultE int64
}

// sockshopCalls is the call graph of the Sock Shop demonstration as its
// documentation draws it; the data set has none.
var sockshopCalls = [...][2]string{
	{"front-end", "carts"}, {"front-end", "catalogue"}, {"front-end", "orders"}, {"front-end", "user"},
	{"carts", "carts-db"}, {"catalogue", "catalogue-db"}, {"user", "user-db"}, {"orders", "orders-db"},
	{"orders", "carts"}, {"orders", "user"}, {"orders", "payment"}, {"orders", "shipping"},
	{"shipping", "rabbitmq"}, {"queue-master", "rabbitmq"},
}

// openSockshop reads the fault injections of RCD (NeurIPS 2022): folders
// SERVICE-FAULT/RUN with normal.csv and anomalous.csv, columns time and
// SERVICE_METRIC. Each run is a recording of its own. The anomalous stretch,
// recorded hours or days later, is moved to follow the normal one.
func openSockshop(dir string) ([]*Recording, error) {
	cases, err := sockshopCases(dir)
	if err != nil {
		return nil, err
	}
	recs := make([]*Recording, 0, len(cases))
	for _, c := range cases {
		recs = append(recs, c.recording())
	}
	return recs, nil
}

func sockshopCases(dir string) ([]*sockshopCase, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*-*", "*", "anomalous.csv"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no SERVICE-FAULT/RUN/anomalous.csv: %w", ErrFormat)
	}
	slices.Sort(found)
	out := make([]*sockshopCase, 0, len(found))
	for _, f := range found {
		run := filepath.Dir(f)
		group := filepath.Base(filepath.Dir(run))
		cut := strings.LastIndexByte(group, '-')
		c := &sockshopCase{name: group + "/" + filepath.Base(run), service: group[:cut], fault: group[cut+1:]}
		for _, part := range []struct {
			file string
			into *[]Sample
		}{{"normal.csv", &c.normal}, {"anomalous.csv", &c.anomalous}} {
			err := withFile(filepath.Join(run, part.file), func(r io.Reader) (err error) {
				*part.into, err = readSockshop(r)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		c.join()
		out = append(out, c)
	}
	return out, nil
}

// readSockshop reads one file. Unknown columns are left out.
func readSockshop(r io.Reader) ([]Sample, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	head, err := c.Read()
	if err != nil || len(head) < 2 || head[0] != "time" {
		return nil, fmt.Errorf("the first column must be time: %w", ErrFormat)
	}
	var out []Sample
	for line := 2; ; line++ {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		sec, err := strconv.ParseFloat(row[0], 64)
		if err != nil || !(sec > 0 && sec < 1e11) {
			return nil, fmt.Errorf("line %d: time %q: %w", line, row[0], ErrFormat)
		}
		for i := 1; i < len(row) && i < len(head); i++ {
			v, err := strconv.ParseFloat(row[i], 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				continue // empty: the exporter had nothing
			}
			if s, ok := sockshopSample(head[i], int64(sec*1000), v); ok {
				out = append(out, s)
			}
		}
	}
}

// sockshopSample names a column: cpu is in percent of a core, mem in bytes,
// lod requests a second, lat_N a quantile in seconds.
func sockshopSample(col string, t int64, v float64) (Sample, bool) {
	svc, metric, ok := strings.Cut(col, "_")
	if !ok || svc == "" {
		return Sample{}, false
	}
	switch {
	case metric == "cpu":
		return gauge("container_cpu_usage_ratio", "1", t, v/100, "service_name", svc), true
	case metric == "mem":
		return gauge("container_memory_usage_bytes", "By", t, v, "service_name", svc), true
	case metric == "lod":
		return gauge("requests_per_second", "{request}/s", t, v, "service_name", svc), true
	case strings.HasPrefix(metric, "lat_"):
		q := "0." + strings.TrimSuffix(metric[4:], "0")
		return gauge("request_latency_seconds", "s", t, v, "service_name", svc, "quantile", q), true
	}
	return Sample{}, false
}

// join moves the anomalous stretch to follow the normal one after a second.
func (c *sockshopCase) join() {
	if len(c.normal) == 0 || len(c.anomalous) == 0 {
		return
	}
	c.normalEnd = c.normal[len(c.normal)-1].T
	shift := c.normalEnd + 1000 - c.anomalous[0].T
	for i := range c.anomalous {
		c.anomalous[i].T += shift
	}
	c.faultStart, c.faultE = c.anomalous[0].T, c.anomalous[len(c.anomalous)-1].T
}

func sockshopEdges(t int64) []graph.Edge {
	out := make([]graph.Edge, 0, len(sockshopCalls))
	for _, p := range sockshopCalls {
		out = append(out, graph.Edge{From: service(p[0]), To: service(p[1]), Kind: graph.Calls, FirstSeen: t, LastSeen: t})
	}
	return out
}

func (c *sockshopCase) recording() *Recording {
	b := newBatch(10_000)
	for _, part := range [][]Sample{c.normal, c.anomalous} {
		for _, s := range part {
			it := b.at(s.T)
			it.Samples = append(it.Samples, s)
		}
	}
	f := b.feed()
	rec := &Recording{Name: c.name, Feed: f, Step: 1000, Issues: []string{"the faulty stretch was recorded later and is replayed right after the normal one"},
		Faults: []Fault{{ID: c.name, Onset: c.faultStart, End: c.faultE, Entity: service(c.service), Kind: c.fault}}}
	for i := range f.items {
		f.items[i].Edges = sockshopEdges(f.items[i].T)
	}
	if len(f.items) > 0 {
		rec.Start, rec.End = f.items[0].T, f.items[len(f.items)-1].T
	}
	return rec
}
