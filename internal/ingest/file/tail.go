package file

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/logread"
)

const (
	defaultPoll = 250 * time.Millisecond
	quietPolls  = 4                // without a line, after which an open record is given
	pastAfter   = 10 * time.Minute // older lines are history
	tailBatch   = 2_000
	maxFollowed = 1_000
)

// Followed says which files are followed, and how they are read.
type Followed struct {
	Paths   []string // patterns of files; new ones are found
	Service string   // of all lines; "" is found out as [Import] does
	Format  string
	Zone    *time.Location // of times that name none; nil is UTC
	FromEnd bool           // files that are there when nothing is known of them yet are read from their end
}

// TailOptions say what a [Tail] follows.
type TailOptions struct {
	Files    []Followed
	Marks    string // file that keeps how far each was read
	Sink     ingest.Sink
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger  // nil discards
	Poll     time.Duration // how often files are looked at; 0 means a quarter of a second, after four of which without a line a record is taken to be complete
	Now      func() time.Time
}

// Tail follows files as they are written, over rotation (renamed or truncated)
// and over restarts. Make one with [NewTail].
type Tail struct {
	o     TailOptions
	marks *marks
	first bool // the first look: files that are there may be read from their end

	mu       sync.Mutex
	followed map[string]bool
	refused  map[string]bool // said once
	running  sync.WaitGroup
}

// NewTail makes a tail. The error says that the marks cannot be read or a
// pattern is malformed.
func NewTail(o TailOptions) (*Tail, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	o.Limits = o.Limits.WithDefaults()
	for _, f := range o.Files {
		for _, p := range f.Paths {
			if _, err := filepath.Match(p, ""); err != nil {
				return nil, fmt.Errorf("pattern %s: %w", p, err)
			}
		}
	}
	m, err := loadMarks(o.Marks)
	if err != nil {
		return nil, err
	}
	return &Tail{o: o, marks: m, first: true, followed: map[string]bool{}, refused: map[string]bool{}}, nil
}

// Run follows files until ctx ends.
func (t *Tail) Run(ctx context.Context) error {
	look := time.NewTicker(4 * t.o.Poll)
	defer look.Stop()
	for {
		t.look(ctx)
		t.first = false
		t.save()
		select {
		case <-ctx.Done():
			t.running.Wait()
			t.save()
			return ctx.Err()
		case <-look.C:
		}
	}
}

func (t *Tail) save() {
	if err := t.marks.save(); err != nil {
		t.o.Logger.Error("lines may be read again after a restart", "err", err)
	}
}

// look finds files that are not followed yet.
func (t *Tail) look(ctx context.Context) {
	for i := range t.o.Files {
		f := &t.o.Files[i]
		for _, pattern := range f.Paths {
			names, _ := filepath.Glob(pattern) // checked by NewTail
			for _, name := range names {
				info, err := os.Stat(name)
				if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || !t.claim(name) {
					continue
				}
				t.running.Add(1)
				fromEnd := f.FromEnd && t.first
				go func() {
					defer t.running.Done()
					defer t.release(name)
					if err := t.follow(ctx, f, name, fromEnd); err != nil && ctx.Err() == nil {
						t.complain(name, err)
					}
				}()
			}
		}
	}
}

// claim makes the caller the one that follows a file.
func (t *Tail) claim(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.followed[name] || t.refused[name] {
		return false
	}
	if len(t.followed) >= maxFollowed {
		t.refused[name] = true
		t.o.Counters.Reason(protocol, "too_many_files", 1)
		t.o.Logger.Warn("too many files are followed", "left_out", name, "limit", maxFollowed)
		return false
	}
	t.followed[name] = true
	return true
}

func (t *Tail) release(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.followed, name)
}

// complain says once what is wrong with a file, and leaves it.
func (t *Tail) complain(name string, err error) {
	t.mu.Lock()
	t.refused[name] = true
	t.mu.Unlock()
	t.o.Counters.Reason(protocol, "unreadable_file", 1)
	t.o.Logger.Error("a log file cannot be followed", "file", name, "err", err)
}

// follow reads one file until it is rotated away or ctx ends.
func (t *Tail) follow(ctx context.Context, f *Followed, name string, fromEnd bool) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	head, err := headOf(file, headBytes)
	if err != nil {
		return err
	}
	if err := checkText(head); err != nil {
		return err
	}
	known, ok := t.marks.get(name)
	if ok && !known.fits(head) {
		if !known.Done {
			t.catchUp(ctx, f, known)
		}
		ok, fromEnd = false, false
	}
	if !ok {
		known = mark{Path: name, ID: identity(head, f.Service+name+t.o.Now().String())}
		if info, err := file.Stat(); err == nil && fromEnd && logread.Plain(head) {
			known.Offset = info.Size()
		}
	}
	known.N = min(len(head), markBytes)
	known.Head = hashHead(head[:known.N])
	t.marks.set(known)
	t.save()
	r := &reader{t: t, f: f, mark: known}
	r.stream(t.o.Now())
	from := int64(0) // of UTF-16, read from its beginning, what is known is left out
	if logread.Plain(head) {
		from = known.Offset
	}
	if from > 0 {
		r.prime(head)
	}
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return err
	}
	g := &growing{ctx: ctx, t: t, file: file, name: name, pos: from}
	lines := logread.LinesFrom(g, t.o.Limits.Line, from)
	if !logread.Plain(head) {
		lines = logread.NewLines(g, t.o.Limits.Line)
	}
	if err := r.run(ctx, lines); err != nil {
		return err
	}
	r.mark.Done = !g.cut
	t.marks.set(r.mark)
	return nil
}

// catchUp reads what was written to a file between the last time it was read
// and its rotation: it lies beside the file under another name, perhaps
// compressed.
func (t *Tail) catchUp(ctx context.Context, f *Followed, known mark) {
	dir, base := filepath.Split(known.Path)
	stem := base
	if ext := filepath.Ext(base); ext != "" && len(ext) < len(base) {
		stem = base[:len(base)-len(ext)]
	}
	names, _ := filepath.Glob(filepath.Join(dir, globQuote(stem)+"*"))
	for _, name := range names {
		if name == known.Path {
			continue
		}
		if found, err := t.rest(ctx, f, name, known); err != nil {
			t.o.Logger.Warn("a rotated log cannot be read", "file", name, "err", err)
		} else if found {
			return
		}
	}
	t.o.Counters.Reason(protocol, "rotated_away", 1)
	t.o.Logger.Warn("a log was rotated while it was not read, and is not found; what was written last is lost", "file", known.Path)
}

// globQuote makes a name stand for itself in a pattern.
func globQuote(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch s[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, s[i])
	}
	return string(out)
}

// rest reads the end of a rotated file, if it is the marked one.
func (t *Tail) rest(ctx context.Context, f *Followed, name string, known mark) (found bool, err error) {
	file, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // only read
	in, closer, err := unpacked(file)
	if err != nil {
		return false, err
	}
	head, err := headOf(in, markBytes)
	closer()
	if err != nil || !known.fits(head) {
		return false, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	if in, closer, err = unpacked(file); err != nil {
		return false, err
	}
	defer closer()
	r := &reader{t: t, f: f, mark: known}
	r.stream(t.o.Now())
	return true, r.run(ctx, logread.NewLines(in, t.o.Limits.Line))
}
