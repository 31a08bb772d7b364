// Package redact measures how well secrets are hidden before logs are stored.
//
// It exists so that a change to the masker can be judged by two figures: how
// many secrets of a corpus are hidden ([Corpus], built in), and how many lines of
// ordinary logs, which the user has, are changed. It ships no logs. [Run] is used
// by one goroutine.
package redact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/normalize"
)

// maxExamples bounds the changed lines that a report shows.
const maxExamples = 20

// Report is the result of a run.
type Report struct {
	Secrets  int               `json:"secrets"` // of the corpus
	Hidden   int               `json:"hidden"`
	Kinds    map[string]int    `json:"kinds"`  // secrets of the corpus by kind
	Missed   []string          `json:"missed"` // lines of the corpus whose secret is seen
	Lines    int               `json:"lines"`  // of ordinary logs
	Changed  int               `json:"changed_lines"`
	Share    float64           `json:"changed_share"`
	ByKind   map[string]uint64 `json:"changed_by_kind"`
	Examples []string          `json:"examples"` // of changed lines, as they are stored
}

// Run masks the corpus and every line of the files named *.log below dir;
// an empty dir leaves the lines out.
func Run(ctx context.Context, dir string) (Report, error) {
	rep := Report{Kinds: map[string]int{}, ByKind: map[string]uint64{}, Missed: []string{}, Examples: []string{}}
	for _, s := range Corpus() {
		m, err := normalize.NewMasker(nil)
		if err != nil {
			return rep, err
		}
		rep.Secrets++
		if got, _ := m.Mask(s.Line); strings.Contains(got, s.Secret) || m.Counts()[s.Kind] == 0 {
			rep.Missed = append(rep.Missed, s.Line+" -> "+got)
			continue
		}
		rep.Hidden++
		rep.Kinds[s.Kind]++
	}
	if dir == "" {
		return rep, nil
	}
	m, err := normalize.NewMasker(nil)
	if err != nil {
		return rep, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".log" {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return rep.file(m, path)
	})
	if err != nil {
		return rep, fmt.Errorf("mask ordinary lines: %w", err)
	}
	for kind, n := range m.Counts() {
		if n > 0 {
			rep.ByKind[kind] = n
		}
	}
	rep.Share = float64(rep.Changed) / float64(max(rep.Lines, 1))
	return rep, nil
}

func (r *Report) file(m *normalize.Masker, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	lines := logread.NewLines(f, 0)
	for shown := 0; ; {
		line, _, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Lines++
		if got, changed := m.Mask(line.Text); changed {
			r.Changed++
			if shown++; shown <= 3 && len(r.Examples) < maxExamples {
				r.Examples = append(r.Examples, got)
			}
		}
	}
}

// Print writes the report as a table.
func (r Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "secrets of the corpus  %d, hidden %d (%.1f %%)\n", r.Secrets, r.Hidden, 100*float64(r.Hidden)/float64(max(r.Secrets, 1)))
	say := func(format string, args ...any) {
		_, more := fmt.Fprintf(w, format, args...)
		err = errors.Join(err, more)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		say("  %-20s %d\n", kind, r.Kinds[kind])
	}
	for _, line := range r.Missed {
		say("  missed: %s\n", line)
	}
	if r.Lines > 0 {
		say("ordinary lines         %d, changed %d (%.3f %%)\n", r.Lines, r.Changed, 100*r.Share)
		for _, kind := range slices.Sorted(maps.Keys(r.ByKind)) {
			say("  %-20s %d\n", kind, r.ByKind[kind])
		}
		for _, line := range r.Examples {
			say("  %.160s\n", line)
		}
	}
	return err
}
