package file

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// growing reads a file that others write to. At its end it waits for more; it
// ends when the file's name has come to mean another file, or the file was
// truncated.
type growing struct {
	ctx  context.Context
	t    *Tail
	file *os.File
	name string
	pos  int64
	cut  bool // it was truncated
}

// Read implements [io.Reader].
func (g *growing) Read(p []byte) (int, error) {
	gone := 0
	for {
		n, err := g.file.Read(p)
		g.pos += int64(n)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if gone >= 3 { // nobody wrote to it for some time after the rotation
			return 0, io.EOF
		}
		select {
		case <-g.ctx.Done():
			return 0, g.ctx.Err()
		case <-time.After(g.t.o.Poll):
		}
		switch rotated, truncated := g.state(); {
		case truncated:
			g.cut = true
			return 0, io.EOF
		case rotated:
			gone++
		default:
			gone = 0
		}
	}
}

func (g *growing) state() (rotated, truncated bool) {
	mine, err := g.file.Stat()
	if err != nil {
		return true, false
	}
	if mine.Size() < g.pos {
		return false, true
	}
	now, err := os.Stat(g.name)
	return err != nil || !os.SameFile(mine, now), false
}

// reader turns the lines of one file into records and hands them over.
type reader struct {
	t    *Tail
	f    *Followed
	mark mark

	s     *logread.Stream
	batch []telemetry.LogRecord
	ends  int64 // where the last record of the batch ends
}

func (r *reader) stream(now time.Time) {
	cfg := streamConfig(r.f.Format, logread.Clock{Zone: r.f.Zone}, now.UnixNano())
	skip := r.mark.Offset
	r.s = logread.New(cfg, func(it logread.Item) {
		if it.Begin < skip {
			return
		}
		rec := it.Record
		labelRecord(&rec, r.mark.ID, r.mark.Path, it.Begin)
		service := r.f.Service
		if service == "" {
			service = serviceOf(r.mark.Path)
		}
		setService(&rec, service, r.f.Service != "")
		r.batch, r.ends = append(r.batch, rec), it.End
	})
}

// prime lets the stream learn from the file's first lines.
func (r *reader) prime(head []byte) {
	var lines []string
	scan := bufio.NewScanner(bytes.NewReader(head))
	for scan.Scan() {
		lines = append(lines, logread.Repair(scan.Text()))
	}
	if n := len(lines); n > 1 { // the last may be cut off
		lines = lines[:n-1]
	}
	r.s.Prime(lines)
}

// run reads lines until the text ends. An open record is given when nothing
// comes for a while.
func (r *reader) run(ctx context.Context, lines *logread.Lines) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	in := make(chan logread.Line, 256)
	failed := make(chan error, 1)
	go func() { // ends when the text does, or ctx
		defer close(in)
		for {
			line, _, err := lines.Next()
			if err != nil {
				failed <- err
				return
			}
			select {
			case in <- line:
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
	}()
	err := r.collect(ctx, in)
	stop()
	for range in { // until the other goroutine has ended
	}
	if end := <-failed; err == nil && !errors.Is(end, io.EOF) {
		err = end
	}
	return err
}

func (r *reader) collect(ctx context.Context, in <-chan logread.Line) error {
	quietAfter := quietPolls * r.t.o.Poll
	quiet := time.NewTimer(quietAfter)
	defer quiet.Stop()
	for {
		select {
		case line, ok := <-in:
			if !ok {
				if ctx.Err() != nil { // going down: the rest is read after the restart
					return ctx.Err()
				}
				r.s.Flush()
				return r.send(ctx)
			}
			r.s.Add(line)
			if len(r.batch) >= tailBatch || len(in) == 0 {
				if err := r.send(ctx); err != nil {
					return err
				}
			}
			quiet.Reset(quietAfter)
		case <-quiet.C:
			r.s.Flush()
			if err := r.send(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send hands the batch over, again and again until it is durable.
func (r *reader) send(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	now := r.t.o.Now().UnixNano()
	good := r.batch[:0]
	for i := range r.batch {
		rec := &r.batch[i]
		if ref := r.t.o.Limits.CheckRecord(rec); ref != nil {
			r.t.o.Counters.Reject(protocol, ref.Code, 1)
			continue
		}
		rec.History = rec.Time != 0 && now-rec.Time > int64(pastAfter)
		good = append(good, *rec)
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		res, err := r.t.o.Sink.Logs(ctx, append([]telemetry.LogRecord(nil), good...))
		if err == nil {
			r.t.o.Counters.Result(protocol, res)
			break
		}
		r.t.o.Counters.Items(protocol, ingest.OutcomeFailed, len(good))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	r.batch = r.batch[:0]
	r.mark.Offset = r.ends
	r.t.marks.set(r.mark)
	return nil
}
