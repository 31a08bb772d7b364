package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Target is a server that takes logs.
type Target struct {
	OTLP, Syslog, Elastic string // addresses
	// Searchable says how many lines can be found.
	Searchable func(ctx context.Context) (int, error)
	// Close ends the server; it returns the bytes that the lines take on disk.
	Close func() (bytes int64, err error)
	// CPU is the processor time of this process, in seconds.
	CPU func() float64
}

// Options says how much work there is; 0 means the default in brackets.
type Options struct {
	Lines    int // a protocol; 300,000
	Batch    int // of OTLP and Elastic; 1,000
	Seed     uint64
	Progress func(done, total int)
}

// Row is one protocol's result.
type Row struct {
	Protocol          string  `json:"protocol"`
	Lines             int     `json:"lines"`
	LinesPerCPUSecond float64 `json:"lines_per_cpu_second"`
	LinesPerSecond    float64 `json:"lines_per_second"`
	BytesPerLine      float64 `json:"bytes_per_line"` // on disk, with indexes
	RawPerLine        float64 `json:"raw_bytes_per_line"`
}

// Report is the result; JSON names are stable.
type Report struct {
	Rows  []Row   `json:"protocols"`
	Least float64 `json:"lines_per_cpu_second"` // of the slowest protocol
	Bytes float64 `json:"bytes_per_line"`       // the most
}

// payload is what a sender writes at once, made before the time is taken.
type payload []byte

// Run measures each protocol against a server of its own.
func Run(ctx context.Context, o Options, open func(ctx context.Context, dir string) (Target, error)) (Report, error) {
	if o.Lines <= 0 {
		o.Lines = 300_000
	}
	if o.Batch <= 0 {
		o.Batch = 1000
	}
	var rep Report
	for i, protocol := range []string{"otlp", "syslog", "elastic"} {
		if o.Progress != nil {
			o.Progress(i, 3)
		}
		row, err := measure(ctx, o, protocol, open)
		if err != nil {
			return rep, fmt.Errorf("cannot measure %s: %w", protocol, err)
		}
		rep.Rows = append(rep.Rows, row)
		if rep.Least == 0 || row.LinesPerCPUSecond < rep.Least {
			rep.Least = row.LinesPerCPUSecond
		}
		rep.Bytes = max(rep.Bytes, row.BytesPerLine)
	}
	return rep, nil
}

func measure(ctx context.Context, o Options, protocol string, open func(context.Context, string) (Target, error)) (row Row, err error) {
	row = Row{Protocol: protocol, Lines: o.Lines}
	dir, err := os.MkdirTemp("", "norn-bench-logs-")
	if err != nil {
		return row, fmt.Errorf("cannot make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	loads, raw, err := encode(o, protocol)
	if err != nil {
		return row, err
	}
	t, err := open(ctx, dir)
	if err != nil {
		return row, err
	}
	began, cpu := time.Now(), t.CPU()
	err = send(ctx, protocol, &t, loads)
	for n := 0; err == nil && n < o.Lines; {
		if n, err = t.Searchable(ctx); err == nil && n < o.Lines {
			if time.Since(began) > 10*time.Minute {
				err = fmt.Errorf("%d of %d lines can be searched after ten minutes", n, o.Lines)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	cpu = t.CPU() - cpu
	took := time.Since(began).Seconds()
	disk, closeErr := t.Close()
	if err = errors.Join(err, closeErr); err != nil {
		return row, err
	}
	n := float64(o.Lines)
	row.LinesPerCPUSecond, row.LinesPerSecond = n/cpu, n/took
	row.BytesPerLine, row.RawPerLine = float64(disk)/n, float64(raw)/n
	return row, nil
}

// encode makes what is sent, and counts the bytes of the messages.
func encode(o Options, protocol string) (loads []payload, raw int, err error) {
	m := newMaker(o.Seed + 1)
	base := time.Now().Add(-time.Minute)
	step := time.Minute / time.Duration(o.Lines)
	var b batch
	switch protocol {
	case "otlp":
		b = &otlpBatch{}
	case "syslog":
		b = &syslogBatch{}
	default:
		b = &elasticBatch{}
	}
	for i := range o.Lines {
		l := m.next(base.Add(time.Duration(i) * step))
		raw += len(l.text)
		b.add(&l)
		if (i+1)%o.Batch == 0 || i == o.Lines-1 {
			p, err := b.take()
			if err != nil {
				return nil, 0, err
			}
			loads = append(loads, p)
		}
	}
	return loads, raw, nil
}

type batch interface {
	add(l *line)
	take() (payload, error)
}

type otlpBatch struct {
	logs plog.Logs
	of   map[int]plog.LogRecordSlice
}

func (b *otlpBatch) add(l *line) {
	if b.of == nil {
		b.logs, b.of = plog.NewLogs(), map[int]plog.LogRecordSlice{}
	}
	recs, ok := b.of[l.service]
	if !ok {
		r := b.logs.ResourceLogs().AppendEmpty()
		r.Resource().Attributes().PutStr("service.name", serviceName(l.service))
		r.Resource().Attributes().PutStr("service.instance.id", serviceName(l.service)+"-0")
		recs = r.ScopeLogs().AppendEmpty().LogRecords()
		b.of[l.service] = recs
	}
	r := recs.AppendEmpty()
	r.SetTimestamp(pcommon.NewTimestampFromTime(l.at))
	r.SetSeverityNumber(plog.SeverityNumber(l.severity))
	r.Body().SetStr(l.text)
}

func (b *otlpBatch) take() (payload, error) {
	p, err := plogotlp.NewExportRequestFromLogs(b.logs).MarshalProto()
	b.of = nil
	if err != nil {
		return nil, fmt.Errorf("cannot encode OTLP: %w", err)
	}
	return p, nil
}

type syslogBatch struct{ buf []byte }

// add writes RFC 5424 with a newline behind each message (RFC 6587).
func (b *syslogBatch) add(l *line) {
	level := map[telemetry.Severity]int{telemetry.SeverityError: 3, telemetry.SeverityWarn: 4, telemetry.SeverityInfo: 6, telemetry.SeverityDebug: 7}[l.severity]
	b.buf = fmt.Appendf(b.buf, "<%d>1 %s host-%d %s 100 - - %s\n", 16*8+level, l.at.UTC().Format("2006-01-02T15:04:05.000000Z"), l.service%5, serviceName(l.service), l.text)
}

func (b *syslogBatch) take() (payload, error) {
	p := bytes.Clone(b.buf)
	b.buf = b.buf[:0]
	return p, nil
}

type elasticBatch struct{ buf []byte }

func (b *elasticBatch) add(l *line) {
	b.buf = append(b.buf, `{"create":{"_index":"logs"}}`+"\n"...)
	b.buf = fmt.Appendf(b.buf, `{"@timestamp":%q,"message":%q,"log.level":%q,"service.name":%q}`+"\n",
		l.at.UTC().Format("2006-01-02T15:04:05.000000Z"), l.text, l.severity.String(), serviceName(l.service))
}

func (b *elasticBatch) take() (payload, error) {
	p := bytes.Clone(b.buf)
	b.buf = b.buf[:0]
	return p, nil
}

func send(ctx context.Context, protocol string, t *Target, loads []payload) error {
	if protocol == "syslog" {
		return sendStream(ctx, t.Syslog, loads)
	}
	url, kind := "http://"+t.OTLP+"/v1/logs", "application/x-protobuf"
	if protocol == "elastic" {
		url, kind = "http://"+t.Elastic+"/_bulk", "application/x-ndjson"
	}
	for _, p := range loads {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(p))
		if err != nil {
			return fmt.Errorf("cannot make a request: %w", err)
		}
		req.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("cannot send: %w", err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return fmt.Errorf("cannot read the answer: %w", err)
		}
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("the server answers %s", resp.Status)
		}
	}
	return nil
}

func sendStream(ctx context.Context, addr string, loads []payload) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	w := bufio.NewWriterSize(conn, 64<<10)
	for _, p := range loads {
		if _, err := w.Write(p); err != nil {
			return errors.Join(fmt.Errorf("cannot send: %w", err), conn.Close())
		}
	}
	return errors.Join(w.Flush(), conn.Close())
}

// Print writes the report as a table.
func (r Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "protocol\tlines\tlines per CPU-second\tlines a second\tbytes on disk a line\traw bytes a line")
	for _, x := range r.Rows {
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.1f\t%.1f\n", x.Protocol, x.Lines, x.LinesPerCPUSecond, x.LinesPerSecond, x.BytesPerLine, x.RawPerLine)
	}
	return w.Flush()
}
