package replay

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// nezhaMetric says what a column of the metric files is called and how it is
// brought to base units. Of columns that say the same twice one is taken
// (CpuUsage(m), MemoryUsageRate(%) are left out). Outgoing latencies (PodClient...) are left out: they
// are the callees', which the spans show better.
type nezhaMetric struct {
	name, unit string
	factor     float64
	quantile   string
	invert     bool // 1 - value
}

var nezhaMetrics = map[string]nezhaMetric{
	"CpuUsageRate(%)":          {name: "container_cpu_usage_ratio", unit: "1", factor: .01},
	"MemoryUsage(Mi)":          {name: "container_memory_usage_bytes", unit: "By", factor: 1 << 20},
	"SyscallRead":              {name: "container_syscall_reads_per_minute", factor: 1},
	"SyscallWrite":             {name: "container_syscall_writes_per_minute", factor: 1},
	"NetworkReceiveBytes":      {name: "container_network_receive_rate", unit: "By/s", factor: 1},
	"NetworkTransmitBytes":     {name: "container_network_transmit_rate", unit: "By/s", factor: 1},
	"NetworkP90(ms)":           {name: "container_network_latency_seconds", unit: "s", factor: .001, quantile: "0.9"},
	"PodServerLatencyP90(s)":   {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.9"},
	"PodServerLatencyP95(s)":   {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.95"},
	"PodServerLatencyP99(s)":   {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.99"},
	"PodWorkload(Ops)":         {name: "requests_per_second", unit: "{request}/s", factor: 1},
	"PodSuccessRate(%)":        {name: "request_error_ratio", unit: "1", factor: .01, invert: true},
	"LatencyP50(s)":            {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.5"},
	"LatencyP90(s)":            {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.9"},
	"LatencyP95(s)":            {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.95"},
	"LatencyP99(s)":            {name: "request_latency_seconds", unit: "s", factor: 1, quantile: "0.99"},
	"SuccessRate(%)":           {name: "request_error_ratio", unit: "1", factor: .01, invert: true},
	"container_fs_reads_bytes": {name: "container_fs_read_rate", unit: "By/s", factor: 1},
}

// readNezhaMetrics adds one metric file to b, leaving out times in seen. A
// success rate that is 0 in every row was never measured and is left out.
func readNezhaMetrics(path string, b *batch, seen map[int64]bool) error {
	return withFile(path, func(r io.Reader) error { return nezhaMetricRows(r, b, seen) })
}

func nezhaMetricRows(r io.Reader, b *batch, seen map[int64]bool) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	head, err := c.Read()
	if err != nil {
		return fmt.Errorf("no header: %w", ErrFormat)
	}
	col := map[string]int{}
	for i, h := range head {
		col[strings.TrimSpace(h)] = i
	}
	who, isPod := col["PodName"]
	if !isPod {
		var ok bool
		if who, ok = col["ServiceName"]; !ok {
			return fmt.Errorf("neither PodName nor ServiceName: %w", ErrFormat)
		}
	}
	timeCol, ok := col["Time"]
	if !ok {
		return fmt.Errorf("no column Time: %w", ErrFormat)
	}
	rows, err := c.ReadAll()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	rates := map[string]bool{} // success columns with any value above 0
	for _, row := range rows {
		for h, i := range col {
			if m := nezhaMetrics[h]; m.invert && i < len(row) {
				v, err := strconv.ParseFloat(row[i], 64)
				rates[h] = rates[h] || err == nil && v > 0
			}
		}
	}
	for _, row := range rows {
		if timeCol >= len(row) || who >= len(row) || row[who] == "" {
			continue
		}
		t, err := nezhaTime(row[timeCol])
		if err != nil {
			return err
		}
		if seen[t] {
			continue
		}
		seen[t] = true
		addNezhaRow(b.at(t), head, row, row[who], isPod, t, rates)
	}
	return nil
}

func addNezhaRow(it *Item, head, row []string, who string, isPod bool, t int64, rates map[string]bool) {
	pairs := []string{"service_name", who}
	if isPod {
		pairs = []string{"service_name", nezhaService(who), "k8s_pod_name", who}
	}
	for i := range min(len(head), len(row)) {
		h := strings.TrimSpace(head[i])
		m, ok := nezhaMetrics[h]
		if !ok || m.invert && !rates[h] {
			continue
		}
		v, err := strconv.ParseFloat(row[i], 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			continue // NaN: no request in that minute
		}
		v *= m.factor
		if m.invert {
			v = 1 - v
		}
		p := pairs
		if m.quantile != "" {
			p = append(slices.Clone(pairs), "quantile", m.quantile)
		}
		it.Samples = append(it.Samples, gauge(m.name, m.unit, t, v, p...))
	}
}

// nezhaTime reads Go's own print of a time, "2023-01-29 08:41:09.04 +0000 UTC
// m=+0.1", or one without zone, as UTC.
func nezhaTime(s string) (int64, error) {
	head := s
	if i := strings.Index(s, " +0000"); i > 0 {
		head = s[:i]
	}
	t, err := time.Parse("2006-01-02 15:04:05.999999999", strings.TrimSpace(head))
	if err != nil {
		return 0, fmt.Errorf("time %q: %w", s, ErrFormat)
	}
	return t.UnixMilli(), nil
}

// nezhaFeed merges metrics with log and trace files that it opens one minute
// ahead of the clock.
type nezhaFeed struct {
	metrics []Item
	files   []nezhaFile
	logs    []telemetry.LogRecord
	spans   []telemetry.Span
	clock   int64            // T of the last item
	seen    map[uint64]int64 // hash of a record -> its time (ns): neighbouring files hold some records twice
}

// again reports whether the record was read before, and notes it.
func (f *nezhaFeed) again(t int64, parts ...string) bool {
	h := fnv.New64a()
	fmt.Fprint(h, t)
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	if f.seen == nil {
		f.seen = map[uint64]int64{}
	}
	key := h.Sum64()
	_, known := f.seen[key]
	f.seen[key] = t
	return known
}

// forget drops what is older than ten minutes before t (ns).
func (f *nezhaFeed) forget(t int64) {
	for k, at := range f.seen {
		if at < t-600e9 {
			delete(f.seen, k)
		}
	}
}

func (f *nezhaFeed) bounds() (from, to int64) {
	from, to = math.MaxInt64, math.MinInt64
	if n := len(f.metrics); n > 0 {
		from, to = f.metrics[0].T, f.metrics[n-1].T
	}
	if n := len(f.files); n > 0 {
		from, to = min(from, f.files[0].minute-180_000), max(to, f.files[n-1].minute+60_000)
	}
	return from, to
}

// Next returns the next ten seconds that hold anything.
func (f *nezhaFeed) Next() (Item, error) {
	for {
		next := int64(math.MaxInt64)
		if len(f.metrics) > 0 {
			next = f.metrics[0].T
		}
		if len(f.logs) > 0 {
			next = min(next, tenSeconds(f.logs[0].Time/1e6))
		}
		if len(f.spans) > 0 {
			next = min(next, tenSeconds(f.spans[0].End/1e6))
		}
		if len(f.files) > 0 && f.files[0].minute-180_000 <= next {
			if err := f.load(f.files[0]); err != nil {
				return Item{}, err
			}
			f.files = f.files[1:]
			continue
		}
		if next == math.MaxInt64 {
			return Item{}, io.EOF
		}
		if next <= f.clock { // a record that is older than what went out comes late
			next = f.clock + 10_000
		}
		f.clock = next
		return f.take(next), nil
	}
}

func tenSeconds(t int64) int64 { return floorDiv(t+9_999, 10_000) * 10_000 }

func (f *nezhaFeed) take(t int64) Item {
	it := Item{T: t}
	for len(f.metrics) > 0 && f.metrics[0].T <= t {
		it.Samples = append(it.Samples, f.metrics[0].Samples...)
		f.metrics = f.metrics[1:]
	}
	i := 0
	for i < len(f.logs) && tenSeconds(f.logs[i].Time/1e6) <= t {
		i++
	}
	it.Logs, f.logs = f.logs[:i:i], f.logs[i:]
	i = 0
	for i < len(f.spans) && tenSeconds(f.spans[i].End/1e6) <= t {
		i++
	}
	it.Spans, f.spans = f.spans[:i:i], f.spans[i:]
	return it
}

func (f *nezhaFeed) load(file nezhaFile) error {
	return withFile(file.path, func(r io.Reader) error {
		if strings.HasSuffix(file.path, ".gz") {
			z, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<16))
			if err != nil {
				return fmt.Errorf("%w: %w", ErrFormat, err)
			}
			defer z.Close()
			r = z
		}
		if file.trace {
			spans, err := readNezhaSpans(r)
			if err != nil {
				return err
			}
			for i := range spans {
				if s := &spans[i]; !f.again(s.Start, s.TraceID, s.SpanID, s.Instance.Name) {
					f.spans = append(f.spans, *s)
				}
			}
			slices.SortStableFunc(f.spans, func(a, b telemetry.Span) int { return cmpInt(a.End, b.End) })
			return nil
		}
		logs, err := readNezhaLogs(r)
		if err != nil {
			return err
		}
		for i := range logs {
			if l := &logs[i]; !f.again(l.Time, l.Instance.Name, l.SpanID, l.Body) {
				f.logs = append(f.logs, *l)
			}
		}
		f.forget(file.minute * 1e6)
		slices.SortStableFunc(f.logs, func(a, b telemetry.LogRecord) int { return cmpInt(a.Time, b.Time) })
		return nil
	})
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// nezhaHeader maps the header's names to columns and demands those given.
func nezhaHeader(c *csv.Reader, need ...string) (map[string]int, error) {
	head, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("no header: %w", ErrFormat)
	}
	col := map[string]int{}
	for i, h := range head {
		col[strings.TrimSpace(h)] = i
	}
	for _, n := range need {
		if _, ok := col[n]; !ok {
			return nil, fmt.Errorf("no column %s: %w", n, ErrFormat)
		}
	}
	return col, nil
}

// readNezhaLogs reads one minute of logs. The Log column is Docker's JSON
// ({"log","stream","time"}), inside it the text with the service's own clock
// (eight hours ahead), severity and class; TimeUnixNano is in the same other
// zone, so that Timestamp is used.
func readNezhaLogs(r io.Reader) ([]telemetry.LogRecord, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.LazyQuotes, c.ReuseRecord = -1, true, true
	col, err := nezhaHeader(c, "Timestamp", "PodName", "Log")
	if err != nil {
		return nil, err
	}
	var out []telemetry.LogRecord
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		get := func(name string) string {
			if i, ok := col[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		t, err := time.Parse(time.RFC3339Nano, get("Timestamp"))
		if err != nil || get("PodName") == "" {
			continue // the files hold a few torn lines
		}
		body := get("Log")
		var docker struct {
			Log string `json:"log"`
		}
		if json.Unmarshal([]byte(body), &docker) == nil && docker.Log != "" {
			body = docker.Log
		}
		svc, inst := entityOfPod(strings.Clone(get("PodName")))
		rec := telemetry.LogRecord{Time: t.UnixNano(), Observed: t.UnixNano(), Body: strings.TrimSpace(strings.Clone(body)),
			Entity: svc, Instance: inst, TraceID: strings.Clone(get("TraceID")), SpanID: strings.Clone(get("SpanID")), Source: "nezha", Sender: "nezha",
			Resource: podResource(svc.Name, inst.Name)}
		rec.SeverityText, rec.Severity = nezhaSeverity(rec.Body)
		out = append(out, rec)
	}
}

func podResource(svc, pod string) []telemetry.Attr {
	return []telemetry.Attr{{Key: "k8s.pod.name", Value: pod}, {Key: "service.instance.id", Value: pod}, {Key: "service.name", Value: svc}}
}

// nezhaSeverity finds the level word at the beginning of a log line.
func nezhaSeverity(body string) (string, telemetry.Severity) {
	for i, w := range strings.Fields(body[:min(len(body), 120)]) {
		if i > 5 {
			break
		}
		switch strings.Trim(w, "[]:,\"") {
		case "INFO", "info", "severity:info":
			return "INFO", telemetry.SeverityInfo
		case "WARN", "WARNING", "warn", "warning":
			return "WARN", telemetry.SeverityWarn
		case "ERROR", "error":
			return "ERROR", telemetry.SeverityError
		case "DEBUG", "debug":
			return "DEBUG", telemetry.SeverityDebug
		case "FATAL", "fatal":
			return "FATAL", telemetry.SeverityFatal
		}
	}
	return "", telemetry.SeverityUnknown
}

// readNezhaSpans reads one minute of spans and infers their kinds: a span whose
// parent is in another pod, or that has none, is a server span; one with a
// child in another pod is a client span.
func readNezhaSpans(r io.Reader) ([]telemetry.Span, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	col, err := nezhaHeader(c, "TraceID", "SpanID", "ParentID", "PodName", "OperationName", "StartTimeUnixNano", "EndTimeUnixNano")
	if err != nil {
		return nil, err
	}
	var out []telemetry.Span
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		get := func(name string) string {
			if i := col[name]; i < len(row) {
				return row[i]
			}
			return ""
		}
		start, err1 := strconv.ParseInt(get("StartTimeUnixNano"), 10, 64)
		end, err2 := strconv.ParseInt(get("EndTimeUnixNano"), 10, 64)
		if err1 != nil || err2 != nil || end < start || get("PodName") == "" || get("SpanID") == "" {
			continue
		}
		svc, inst := entityOfPod(get("PodName"))
		s := telemetry.Span{TraceID: get("TraceID"), SpanID: get("SpanID"), ParentID: get("ParentID"), Name: get("OperationName"),
			Kind: telemetry.SpanInternal, Start: start, End: end, Entity: svc, Instance: inst, Sender: "nezha", Resource: podResource(svc.Name, inst.Name)}
		if s.ParentID == "root" {
			s.ParentID = ""
		}
		s.Error = strings.Contains(s.Name, "BasicErrorController") || strings.Contains(strings.ToLower(s.Name), "exception")
		out = append(out, s)
	}
	inferKinds(out)
	return out, nil
}

func inferKinds(spans []telemetry.Span) {
	type key struct{ trace, span string }
	byID := make(map[key]int, len(spans))
	for i := range spans {
		byID[key{spans[i].TraceID, spans[i].SpanID}] = i
	}
	for i := range spans {
		s := &spans[i]
		p, ok := byID[key{s.TraceID, s.ParentID}]
		switch {
		case s.ParentID == "":
			s.Kind = telemetry.SpanServer
		case ok && spans[p].Instance != s.Instance:
			if s.Kind == telemetry.SpanInternal {
				s.Kind = telemetry.SpanServer
			}
			if spans[p].Kind == telemetry.SpanInternal {
				spans[p].Kind = telemetry.SpanClient
			}
		}
	}
	propagateErrors(spans, byID2(spans))
}

func byID2(spans []telemetry.Span) map[[2]string]int {
	out := make(map[[2]string]int, len(spans))
	for i := range spans {
		out[[2]string{spans[i].TraceID, spans[i].SpanID}] = i
	}
	return out
}

// propagateErrors marks the spans of the same pod above an error-handling span
// as failed: the data set has no status, but frameworks enter their error
// controller when a request fails.
func propagateErrors(spans []telemetry.Span, byID map[[2]string]int) {
	for i := range spans {
		if !spans[i].Error {
			continue
		}
		at := i
		for range 64 {
			p, ok := byID[[2]string{spans[at].TraceID, spans[at].ParentID}]
			if !ok || spans[p].Instance != spans[at].Instance {
				break
			}
			spans[p].Error = true
			at = p
		}
	}
}
