package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// maxLine bounds one line of an OTLP JSON file (bytes).
const maxLine = 64 << 20

// openOTLP reads files as the OpenTelemetry Collector's file exporter writes
// them: one export request in OTLP JSON a line, metrics, logs or traces, in
// files *.json, *.jsonl or *.ndjson, gzipped or not. The truth and changes are
// as for prom-csv (faults.csv or faults.json, changes.csv); edges come from
// spans, edges.csv adds to them. A line that cannot be read is left out and
// counted in the recording's issues. Everything is held in memory.
func openOTLP(dir string) ([]*Recording, error) {
	var files []string
	for _, p := range []string{"*.json", "*.jsonl", "*.ndjson", "*.json.gz", "*.jsonl.gz"} {
		found, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	o := &otlpReader{b: newBatch(10_000), cum: normalize.NewCumulator(1_000_000)}
	n := 0
	for _, f := range files {
		if filepath.Base(f) == "faults.json" {
			continue
		}
		n++
		err := withFile(f, func(r io.Reader) error {
			if strings.HasSuffix(f, ".gz") {
				z, err := gzip.NewReader(r)
				if err != nil {
					return fmt.Errorf("%w: %w", ErrFormat, err)
				}
				defer z.Close()
				r = z
			}
			return o.read(r)
		})
		if err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("no .json, .jsonl or .ndjson file: %w", ErrFormat)
	}
	recs, err := finishFolder(dir, o.b)
	if err == nil && o.bad > 0 {
		recs[0].Issues = append(recs[0].Issues, fmt.Sprintf("%d lines could not be read; first: %v", o.bad, o.first))
	}
	return recs, err
}

type otlpReader struct {
	b     *batch
	cum   *normalize.Cumulator
	bad   int
	first error
}

func (o *otlpReader) read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := readLine(br)
		if len(bytes.TrimSpace(line)) > 0 {
			if e := o.line(line); e != nil {
				o.bad++
				if o.first == nil {
					o.first = e
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var errLongLine = errors.New("line longer than 64 MiB")

func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("%w: %w", errLongLine, ErrFormat)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (o *otlpReader) line(raw []byte) error {
	switch {
	case bytes.Contains(raw, []byte(`"resourceMetrics"`)):
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(raw)
		if err != nil {
			return err
		}
		o.cum.Apply(md)
		o.metrics(md)
	case bytes.Contains(raw, []byte(`"resourceLogs"`)):
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(raw)
		if err != nil {
			return err
		}
		o.logs(ld)
	case bytes.Contains(raw, []byte(`"resourceSpans"`)):
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(raw)
		if err != nil {
			return err
		}
		o.spans(td)
	default:
		return fmt.Errorf("neither resourceMetrics nor resourceLogs nor resourceSpans: %w", ErrFormat)
	}
	return nil
}

// attrsOf gives sorted attributes.
func attrsOf(m pcommon.Map) []telemetry.Attr {
	out := make([]telemetry.Attr, 0, m.Len())
	for k, v := range m.All() {
		out = append(out, telemetry.Attr{Key: k, Value: v.AsString()})
	}
	slices.SortFunc(out, func(a, b telemetry.Attr) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(out, func(a, b telemetry.Attr) bool { return a.Key == b.Key })
}

func (o *otlpReader) logs(ld plog.Logs) {
	for _, rl := range ld.ResourceLogs().All() {
		res := attrsOf(rl.Resource().Attributes())
		e, inst := normalize.EntityOf(res)
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				t := int64(lr.Timestamp())
				if t <= 0 {
					t = int64(lr.ObservedTimestamp())
				}
				if t <= 0 {
					continue
				}
				rec := telemetry.LogRecord{Time: t, Observed: t, Severity: severityOf(lr.SeverityNumber()), SeverityText: lr.SeverityText(),
					Body: lr.Body().AsString(), Entity: e, Instance: inst, Resource: res, Attributes: attrsOf(lr.Attributes()), Source: "otlp", Sender: "recording"}
				if id := lr.TraceID(); !id.IsEmpty() {
					rec.TraceID = hex.EncodeToString(id[:])
				}
				if id := lr.SpanID(); !id.IsEmpty() {
					rec.SpanID = hex.EncodeToString(id[:])
				}
				it := o.b.at(t / 1e6)
				it.Logs = append(it.Logs, rec)
			}
		}
	}
}

func severityOf(n plog.SeverityNumber) telemetry.Severity {
	if n < 0 || n > 24 {
		return telemetry.SeverityUnknown
	}
	return telemetry.Severity(n)
}

func (o *otlpReader) spans(td ptrace.Traces) {
	for _, rs := range td.ResourceSpans().All() {
		res := attrsOf(rs.Resource().Attributes())
		e, inst := normalize.EntityOf(res)
		for _, ss := range rs.ScopeSpans().All() {
			for _, sp := range ss.Spans().All() {
				start, end := int64(sp.StartTimestamp()), int64(sp.EndTimestamp())
				if start <= 0 || end < start {
					continue
				}
				tid, sid, pid := sp.TraceID(), sp.SpanID(), sp.ParentSpanID()
				s := telemetry.Span{TraceID: hex.EncodeToString(tid[:]), SpanID: hex.EncodeToString(sid[:]), Name: sp.Name(), Kind: spanKind(sp.Kind()),
					Start: start, End: end, Error: sp.Status().Code() == ptrace.StatusCodeError, StatusMessage: sp.Status().Message(),
					Entity: e, Instance: inst, Resource: res, Attributes: attrsOf(sp.Attributes()), Sender: "recording"}
				if !pid.IsEmpty() {
					s.ParentID = hex.EncodeToString(pid[:])
				}
				it := o.b.at(end / 1e6)
				it.Spans = append(it.Spans, s)
			}
		}
	}
}

func spanKind(k ptrace.SpanKind) telemetry.SpanKind {
	switch k {
	case ptrace.SpanKindServer:
		return telemetry.SpanServer
	case ptrace.SpanKindClient:
		return telemetry.SpanClient
	case ptrace.SpanKindProducer:
		return telemetry.SpanProducer
	case ptrace.SpanKindConsumer:
		return telemetry.SpanConsumer
	}
	return telemetry.SpanInternal
}
