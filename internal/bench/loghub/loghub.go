// Package loghub scores log template mining on labelled lines in the layout
// of the Loghub collection.
//
// It exists so that a change to the miner can be judged by figures that the
// literature uses. It ships no data: [Run] reads a directory that the user
// has. Every system is mined with the same settings, one pass, in the order of
// the file. Nothing here is safe for concurrent use beyond what is said.
//
// The four scores follow Jiang et al., "A Large-Scale Evaluation for Log
// Parsing Techniques: How Far Are We?" (ISSTA 2024):
//
//	GA   share of lines whose predicted group is exactly their true group
//	FGA  F1 over groups that are exactly right
//	PA   share of lines whose template text is right
//	FTA  F1 over groups that are exactly right and whose text is right
//
// Texts are compared after both went through [Normalize].
package loghub

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ErrNoData is returned (wrapped) when a directory holds no labelled lines.
var ErrNoData = errors.New("no *_structured.csv files")

// Scores are the four measures, 0 to 1.
type Scores struct {
	GA  float64 `json:"ga"`
	FGA float64 `json:"fga"`
	PA  float64 `json:"pa"`
	FTA float64 `json:"fta"`
}

// System is the result of one system.
type System struct {
	Name  string `json:"name"`
	Lines int    `json:"lines"`
	Truth int    `json:"true_templates"`
	Found int    `json:"found_templates"`
	Scores
	// Header is the share of lines whose header was cut off exactly where the
	// labels say, in a run on raw lines.
	Header float64 `json:"header_exact,omitempty"`
}

// Report is the result of a run. Mean weighs all systems alike.
type Report struct {
	Raw     bool     `json:"raw"` // whole lines were given, and no header
	Systems []System `json:"systems"`
	Mean    Scores   `json:"mean"`
	// LinesPerCPUSecond is of mining alone, each system from nothing.
	LinesPerCPUSecond float64 `json:"lines_per_cpu_second"`
	Others            []Other `json:"others,omitempty"` // other programs
}

// Line is one labelled line.
type Line struct {
	Content  string
	Raw      string // the whole line, where it was read
	EventID  string
	Template string
}

// Run scores every system below dir: each folder (or dir itself) with a file
// named *_structured.csv that has the columns Content, EventId and
// EventTemplate. Systems come by name. It stops between systems when ctx ends.
//
// With raw, the miner is given the lines of the log itself, which lies beside
// the labels under the same name without "_structured.csv", less the header
// that logread learns from the first 300 of them.
func Run(ctx context.Context, dir string, raw bool) (Report, error) {
	rep := Report{Raw: raw}
	files, err := find(dir)
	if err != nil {
		return rep, err
	}
	var all [][]Line
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return rep, fmt.Errorf("score log mining: %w", err)
		}
		lines, err := readFile(f)
		if err != nil {
			return rep, err
		}
		all = append(all, lines)
		name := systemName(f)
		if !raw {
			rep.Systems = append(rep.Systems, Score(name, lines))
			continue
		}
		sys, err := scoreRaw(name, strings.TrimSuffix(f, "_structured.csv"), lines)
		if err != nil {
			return rep, err
		}
		rep.Systems = append(rep.Systems, sys)
	}
	rep.Mean = meanOf(rep.Systems)
	rep.LinesPerCPUSecond = speed(all)
	return rep, nil
}

func systemName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), "_")
	return name
}

// meanOf weighs all systems alike.
func meanOf(systems []System) (mean Scores) {
	n := float64(len(systems))
	for _, s := range systems {
		mean.GA += s.GA / n
		mean.FGA += s.FGA / n
		mean.PA += s.PA / n
		mean.FTA += s.FTA / n
	}
	return mean
}

func find(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, "_structured.csv") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for labelled lines: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("look for labelled lines in %s: %w", dir, ErrNoData)
	}
	slices.Sort(files)
	return files, nil
}

func readFile(path string) ([]Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open labelled lines: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	lines, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("read labelled lines of %s: %w", path, err)
	}
	return lines, nil
}

// Read reads labelled lines from CSV with a header that names at least
// Content, EventId and EventTemplate.
func Read(r io.Reader) ([]Line, error) {
	cr := csv.NewReader(r)
	cr.FieldsPerRecord = -1
	cr.LazyQuotes = true
	head, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	content, id, tpl := slices.Index(head, "Content"), slices.Index(head, "EventId"), slices.Index(head, "EventTemplate")
	if content < 0 || id < 0 || tpl < 0 {
		return nil, fmt.Errorf("header %q lacks Content, EventId or EventTemplate", strings.Join(head, ","))
	}
	var lines []Line
	for {
		rec, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		if len(rec) <= max(content, id, tpl) {
			return nil, fmt.Errorf("line %d has %d columns, the header %d", len(lines)+2, len(rec), len(head))
		}
		lines = append(lines, Line{Content: rec[content], EventID: rec[id], Template: rec[tpl]})
	}
}

// Score mines the lines with a fresh miner and compares.
func Score(name string, lines []Line) System {
	m := logmine.New(logmine.Config{})
	entity := telemetry.Entity{Kind: telemetry.KindService, Name: name}
	ids := make([]uint64, len(lines))
	for i := range lines {
		ids[i], _ = m.Add(&telemetry.LogRecord{Body: lines[i].Content, Entity: entity, Time: int64(i + 1)})
	}
	texts := make(map[uint64]string)
	for _, t := range m.Templates(entity) {
		texts[t.ID] = Normalize(t.Text)
	}
	found := make([]string, len(lines))
	truth := make([]string, len(lines))
	predicted := make([]string, len(lines))
	for i := range lines {
		id := m.Resolve(ids[i])
		found[i] = fmt.Sprint(id)
		predicted[i] = texts[id]
		truth[i] = Normalize(lines[i].Template)
	}
	return compare(name, lines, found, predicted, truth)
}

// compare computes the scores: found names the predicted group of each line,
// predicted its template's text, truth the true text.
func compare(name string, lines []Line, found, predicted, truth []string) System {
	byTruth, byFound := map[string][]int{}, map[string][]int{}
	textRight := 0
	for i := range lines {
		byTruth[lines[i].EventID] = append(byTruth[lines[i].EventID], i)
		byFound[found[i]] = append(byFound[found[i]], i)
		if predicted[i] == truth[i] {
			textRight++
		}
	}
	grouped, groups, templates := 0, 0, 0
	for _, members := range byTruth {
		g := byFound[found[members[0]]]
		if !slices.Equal(g, members) {
			continue
		}
		grouped += len(members)
		groups++
		if predicted[members[0]] == truth[members[0]] {
			templates++
		}
	}
	out := System{Name: name, Lines: len(lines), Truth: len(byTruth), Found: len(byFound)}
	if len(lines) == 0 {
		return out
	}
	out.GA = float64(grouped) / float64(len(lines))
	out.PA = float64(textRight) / float64(len(lines))
	out.FGA = f1(groups, len(byFound), len(byTruth))
	out.FTA = f1(templates, len(byFound), len(byTruth))
	return out
}

// f1 is the harmonic mean of right/found and right/truth.
func f1(right, found, truth int) float64 {
	if right == 0 {
		return 0
	}
	return 2 * float64(right) / float64(found+truth)
}

// Print writes the report as a table.
func (r Report) Print(w io.Writer) error {
	row := func(name string, lines, truth, found any, s Scores) error {
		_, err := fmt.Fprintf(w, "%-14s %7v %7v %7v  %.3f  %.3f  %.3f  %.3f\n", name, lines, truth, found, s.GA, s.FGA, s.PA, s.FTA)
		return err
	}
	if _, err := fmt.Fprintf(w, "%-14s %7s %7s %7s  %5s  %5s  %5s  %5s\n", "system", "lines", "true", "found", "GA", "FGA", "PA", "FTA"); err != nil {
		return fmt.Errorf("print scores: %w", err)
	}
	for _, s := range r.Systems {
		if err := row(s.Name, s.Lines, s.Truth, s.Found, s.Scores); err != nil {
			return fmt.Errorf("print scores: %w", err)
		}
	}
	if err := row("mean", "", "", "", r.Mean); err != nil {
		return fmt.Errorf("print scores: %w", err)
	}
	for _, o := range r.Others {
		if err := row(o.Name, "", "", "", o.Mean); err != nil {
			return fmt.Errorf("print scores: %w", err)
		}
	}
	if _, err := fmt.Fprintf(w, "\nlines a second of processor time, mining alone, each system from nothing: %.0f\n", r.LinesPerCPUSecond); err != nil {
		return fmt.Errorf("print scores: %w", err)
	}
	return nil
}
