package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const protocol = "file"

// Names of the attributes that say where a record stood.
const (
	attrID     = "log.file.id"
	attrName   = "log.file.path"
	attrOffset = "log.file.record_offset"
)

// Bounds of a batch.
const (
	batchRecords = 5_000
	batchBytes   = 4 << 20
)

// Place is the last record of a file that the store has.
type Place struct {
	Offset int64
	Time   int64 // Unix ns
	Found  bool
}

// Target takes history in. Methods are called by one goroutine.
type Target interface {
	// Send returns when the records are durable.
	Send(ctx context.Context, recs []telemetry.LogRecord) (ingest.Result, error)
	// Last finds the last record of the file with an id that was sent before.
	Last(ctx context.Context, id string) (Place, error)
}

// Options say what is imported, and how.
type Options struct {
	Paths    []string // as in [Expand]; "-" is Stdin
	Stdin    io.Reader
	Service  string // of all records; "" is found out
	Format   string // one of [logread.Formats]
	Zone     *time.Location
	Progress func(done, total int64, file string) // bytes of the files as they lie there; total is 0 when unknown
	Now      func() time.Time
}

// Report says what became of an import.
type Report struct {
	Files    []FileReport   `json:"files"`
	Records  int            `json:"records"`  // brought in by this run
	Known    int            `json:"known"`    // were there already
	Rejected map[string]int `json:"rejected"` // by reason
	Lines    int            `json:"lines"`
	Bytes    int64          `json:"bytes"` // of the files
	From     string         `json:"from,omitempty"`
	To       string         `json:"to,omitempty"`

	from, to int64
}

// FileReport is one file of a [Report].
type FileReport struct {
	Path    string `json:"path"`
	Format  string `json:"format"`
	Records int    `json:"records"`
	Known   int    `json:"known"`
	Skipped string `json:"skipped,omitempty"` // why it was not read
}

// Import brings files in, one after another. When it fails or ends early, the
// same call brings in what is left.
func Import(ctx context.Context, o Options, to Target) (Report, error) {
	rep := Report{Rejected: map[string]int{}, Files: []FileReport{}}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64, string) {}
	}
	if len(o.Paths) == 1 && o.Paths[0] == "-" {
		j := job{o: o, to: to, rep: &rep, path: "-", service: o.Service, written: o.Now().UnixNano()}
		if j.service == "" {
			j.service = "stdin"
		}
		err := j.text(ctx, o.Stdin)
		rep.finish()
		return rep, err
	}
	files, err := Expand(o.Paths)
	if err != nil {
		return rep, err
	}
	total := int64(0)
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			total += info.Size()
		}
	}
	for _, f := range files {
		j := job{o: o, to: to, rep: &rep, path: f, service: o.Service, total: total}
		if err := j.open(ctx); err != nil {
			rep.finish()
			return rep, fmt.Errorf("cannot import %s: %w", f, err)
		}
	}
	rep.finish()
	return rep, nil
}

func (r *Report) finish() {
	if r.to > 0 {
		r.From, r.To = time.Unix(0, r.from).UTC().Format(time.RFC3339), time.Unix(0, r.to).UTC().Format(time.RFC3339)
	}
}

// job imports one file.
type job struct {
	o       Options
	to      Target
	rep     *Report
	path    string
	service string
	written int64 // Unix ns: when the file was last written
	total   int64
	done    int64 // bytes of this file

	file    FileReport
	id      string
	known   Place
	batch   []telemetry.LogRecord
	bytes   int
	matched bool // the last record that the target has is in this file
	variant int  // files before that began with the same text
}

func (j *job) open(ctx context.Context) error {
	f, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	j.written = info.ModTime().UnixNano()
	if j.service == "" {
		j.service = serviceOf(j.path)
	}
	before := *j.rep
	rejected := maps.Clone(j.rep.Rejected)
	for {
		err := j.text(ctx, f)
		if !errors.Is(err, errAnother) || j.variant == maxVariants {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		*j.rep, j.rep.Rejected = before, maps.Clone(rejected)
		j.variant++
		j.done, j.batch, j.bytes, j.matched = 0, j.batch[:0], 0, false
	}
}

// maxVariants is how many files may begin with the same text.
const maxVariants = 64

// text imports what is in raw.
func (j *job) text(ctx context.Context, raw io.Reader) (err error) {
	j.file = FileReport{Path: j.path}
	defer func() { j.rep.Files = append(j.rep.Files, j.file) }()
	in, closer, err := unpacked(&counted{raw, j})
	if err != nil {
		return err
	}
	defer closer()
	text := bufio.NewReaderSize(in, 64<<10)
	head, err := text.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return err
	}
	if err := checkText(head); err != nil {
		j.file.Skipped = err.Error()
		return nil
	}
	if len(head) == 0 {
		j.file.Skipped = "empty"
		return nil
	}
	suffix := j.o.Service
	if j.variant > 0 {
		suffix += fmt.Sprintf("#%d", j.variant)
	}
	if err := j.resume(ctx, identity(head, suffix)); err != nil {
		return err
	}
	return j.records(ctx, text)
}

// resume asks the target how far the file was brought in.
func (j *job) resume(ctx context.Context, id string) (err error) {
	j.id = id
	j.known, err = j.to.Last(ctx, id)
	if err != nil {
		return fmt.Errorf("cannot find out what was imported before: %w", err)
	}
	return nil
}

// records reads the text to its end.
func (j *job) records(ctx context.Context, text io.Reader) error {
	var failed error
	cfg := streamConfig(j.o.Format, logread.Clock{Zone: j.o.Zone}, j.written)
	cfg.Untimed = j.written
	s := logread.New(cfg, func(it logread.Item) {
		if failed == nil {
			failed = j.take(ctx, it)
		}
	})
	lines := logread.NewLines(text, 0)
	for failed == nil {
		line, _, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) { // a compressed file that is cut off
			j.file.Skipped = "the end is missing: " + err.Error()
			break
		}
		if err != nil {
			return err
		}
		s.Add(line)
	}
	s.Flush()
	j.file.Format = s.Format()
	if failed == nil && j.known.Found && !j.matched {
		failed = errAnother
	}
	if failed == nil {
		failed = j.send(ctx)
	}
	j.rep.Bytes += j.done
	return failed
}

// take puts a record into the batch, unless the target has it.
func (j *job) take(ctx context.Context, it logread.Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.rep.Lines += it.Lines
	if j.known.Found && it.Begin <= j.known.Offset {
		if it.Begin == j.known.Offset {
			if it.Timed && it.Record.Time != j.known.Time {
				return errAnother
			}
			j.matched = true
		}
		j.file.Known++
		j.rep.Known++
		return nil
	}
	rec := it.Record
	j.label(&rec, it.Begin)
	if len(j.batch) >= batchRecords || j.bytes+len(rec.Body) > batchBytes {
		if err := j.send(ctx); err != nil {
			return err
		}
	}
	j.batch = append(j.batch, rec)
	j.bytes += len(rec.Body)
	return nil
}

// errAnother says that the target's records under a file's identity are of
// another file, which began with the same text and went on otherwise.
var errAnother = errors.New("the file begins like another that was imported")

// label says where a record came from.
func (j *job) label(rec *telemetry.LogRecord, at int64) {
	labelRecord(rec, j.id, j.path, at)
	setService(rec, j.service, j.o.Service != "")
	rec.History = true
	if rec.Time == 0 {
		rec.Time = j.written
	}
	if j.rep.from == 0 || rec.Time < j.rep.from {
		j.rep.from = rec.Time
	}
	j.rep.to = max(j.rep.to, rec.Time)
}

func (j *job) send(ctx context.Context) error {
	if len(j.batch) == 0 {
		return nil
	}
	res, err := j.to.Send(ctx, j.batch)
	if err != nil {
		return err
	}
	j.batch, j.bytes = j.batch[:0], 0
	j.file.Records += res.Accepted
	j.file.Known += res.Duplicates
	j.rep.Records += res.Accepted
	j.rep.Known += res.Duplicates
	for _, r := range res.Rejected {
		j.rep.Rejected[r.Reason]++
	}
	return nil
}

// counted counts the bytes that were read of a file and tells the progress.
type counted struct {
	r io.Reader
	j *job
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.j.done += int64(n)
	c.j.o.Progress(c.j.rep.Bytes+c.j.done, c.j.total, c.j.path)
	return n, err
}
