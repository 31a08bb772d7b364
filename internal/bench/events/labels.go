package events

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// span is a labelled window in Unix ms, both ends inclusive; column is empty
// where it holds for all.
type span struct {
	from, to int64
	column   string
}

// mark is a span with the name of the file that it is for.
type mark struct {
	file string
	span
}

// findLabels reads the labels of a folder. Without a file of labels it gives
// none: then the files must mark their anomalies themselves.
func findLabels(dir, path string, r *Refused) (marks []mark, found string, err error) {
	if path == "" {
		for _, sub := range []string{"", "labels", "label", "ground_truth", "annotations"} {
			for _, base := range []string{"combined_windows", "labels", "label", "windows", "anomalies", "anomaly_windows", "label_windows", "ground_truth", "events", "combined_labels"} {
				for _, ext := range []string{".json", ".csv"} {
					p := filepath.Join(dir, sub, base+ext)
					if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
						return readLabels(p, "", r)
					}
				}
			}
		}
		return nil, "", nil
	}
	return readLabels(path, "", r)
}

// readLabels reads a file of labels. Windows that name no file are for stem.
func readLabels(path, stem string, r *Refused) ([]mark, string, error) {
	f, err := csvdata.Open(path)
	if err != nil {
		return nil, path, fmt.Errorf("open labels: %w", err)
	}
	defer f.Close()
	var marks []mark
	if strings.HasSuffix(strings.TrimSuffix(path, ".gz"), ".json") {
		marks, err = jsonLabels(f, path, r)
	} else {
		marks, err = csvLabels(f, path, r)
	}
	if err != nil {
		return nil, path, fmt.Errorf("read labels %s: %w", path, err)
	}
	for i := range marks {
		if marks[i].file == "" {
			marks[i].file = stem
		}
	}
	return marks, path, nil
}

// jsonLabels reads {"file": [[start, end], ...]}, where a window may also be a
// point in time or an object with start, end and column; or a list of such
// objects that name their file. A key like "windows" names no file.
func jsonLabels(in io.Reader, path string, r *Refused) ([]mark, error) {
	d := json.NewDecoder(in)
	d.UseNumber()
	var whole any
	if err := d.Decode(&whole); err != nil {
		return nil, err
	}
	var out []mark
	add := func(file string, w any) {
		m, err := jsonWindow(file, w)
		if err != nil {
			r.Labels++
			r.say("%s: window of %q: %v", path, file, err)
			return
		}
		out = append(out, m)
	}
	switch top := whole.(type) {
	case map[string]any:
		for _, file := range slices.Sorted(maps.Keys(top)) {
			list := top[file]
			if oneOf(file, labelNames) {
				file = ""
			}
			if o, ok := list.(map[string]any); ok {
				if inner, ok := field(o, "windows", "anomalies", "labels", "anomaly_windows", "events"); ok {
					list = inner
				}
			}
			windows, ok := list.([]any)
			if !ok {
				windows = []any{list}
			}
			for _, w := range windows {
				add(file, w)
			}
		}
	case []any:
		for _, w := range top {
			add("", w)
		}
	default:
		return nil, errors.New("need an object by file or a list of windows")
	}
	return out, nil
}

func field(o map[string]any, names ...string) (any, bool) {
	for _, n := range names {
		if v, ok := o[n]; ok {
			return v, true
		}
	}
	return nil, false
}

func jsonWindow(file string, w any) (mark, error) {
	m := mark{file: file}
	ends := []any{w, w}
	switch x := w.(type) {
	case []any:
		if len(x) == 0 || len(x) > 3 {
			return m, fmt.Errorf("%d fields, want [start, end]", len(x))
		}
		ends = []any{x[0], x[min(1, len(x)-1)]}
	case map[string]any:
		from, ok := field(x, "start", "begin", "from", "start_time", "time", "timestamp")
		if !ok {
			return m, errors.New("no start")
		}
		to, ok := field(x, "end", "stop", "to", "end_time")
		if !ok {
			to = from
		}
		ends = []any{from, to}
		if s, ok := field(x, "file", "series", "name"); ok {
			m.file = fmt.Sprint(s)
		}
		if s, ok := field(x, "column", "metric"); ok {
			m.column = fmt.Sprint(s)
		}
	}
	return m, m.between(fmt.Sprint(ends[0]), fmt.Sprint(ends[1]))
}

// between sets the ends of the span.
func (s *span) between(from, to string) error {
	layout := 0
	var err1, err2 error
	s.from, err1 = parseTime(from, &layout)
	s.to, err2 = parseTime(to, &layout)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if s.to < s.from {
		return fmt.Errorf("%s comes before %s", to, from)
	}
	return nil
}

// csvLabels reads file,start,end[,column] lines with or without a header, and
// timestamp,label lines of which those with a label count. The file may be
// missing.
func csvLabels(in io.Reader, path string, r *Refused) ([]mark, error) {
	b := bufio.NewReader(in)
	var out []mark
	at := [5]int{0, 1, 2, 3, -1} // file, start, end, column, label
	comma := ","
	for line := 1; ; line++ {
		text, err := readLine(b)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return nil, err
		}
		text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
		switch {
		case text == "" || text[0] == '#':
		case line == 1 && headerOf(text, &comma, &at):
		case at[4] >= 0 && unmarked(split(text, comma), at[4]):
		default:
			m, err := csvMark(split(text, comma), at)
			if err != nil {
				r.Labels++
				r.say("%s:%d: %v", path, line, err)
				break
			}
			out = append(out, m)
		}
		if end {
			return out, nil
		}
	}
}

func unmarked(cells []string, at int) bool { return at >= len(cells) || marked(cells[at]) == 0 }

// headerOf finds the delimiter and, when the line is a header, the columns.
// Lines that begin with a time have no column for a file.
func headerOf(text string, comma *string, at *[5]int) bool {
	for _, c := range []string{";", "\t"} {
		if strings.Count(text, c) > strings.Count(text, *comma) {
			*comma = c
		}
	}
	cells := split(text, *comma)
	got := [5]int{-1, -1, -1, -1, -1}
	for i, c := range cells {
		for k, words := range [...]string{"file filename file_name series name path", "start begin from start_time start_timestamp window_start timestamp time datetime", "end stop to end_time end_timestamp window_end", "column metric sensor", "label anomaly is_anomaly value"} {
			if got[k] < 0 && oneOf(c, words) {
				got[k] = i
			}
		}
	}
	if got[1] < 0 {
		layout := 0
		if _, err := parseTime(cells[0], &layout); err == nil {
			*at = [5]int{-1, 0, 1, 2, -1}
		}
		return false
	}
	*at = got
	return true
}

func csvMark(cells []string, at [5]int) (mark, error) {
	cell := func(k int) string {
		if at[k] < 0 || at[k] >= len(cells) {
			return ""
		}
		return strings.TrimSpace(cells[at[k]])
	}
	m := mark{file: cell(0), span: span{column: cell(3)}}
	from, to := cell(1), cell(2)
	if to == "" {
		to = from
	}
	if m.file == "" && at[0] >= 0 || from == "" {
		return m, errors.New("need file,start,end")
	}
	return m, m.between(from, to)
}

// names finds files by what labels call them.
type names struct {
	dir  string
	only string              // the only file, where there is one: labels need not name it
	by   map[string][]string // short and long names to paths
}

func newNames(dir string, paths []string) *names {
	n := &names{dir: dir, by: map[string][]string{}}
	if len(paths) == 1 {
		n.only = paths[0]
	}
	for _, p := range paths {
		rel := n.rel(p)
		for _, k := range slices.Compact(slices.Sorted(slices.Values([]string{
			rel, bare(rel), strings.TrimPrefix(rel, "data/"), bare(strings.TrimPrefix(rel, "data/")), filepath.Base(rel), bare(filepath.Base(rel)),
		}))) {
			n.by[strings.ToLower(k)] = append(n.by[strings.ToLower(k)], p)
		}
	}
	return n
}

// rel is a file's path below the folder, with slashes.
func (n *names) rel(p string) string {
	rel, err := filepath.Rel(n.dir, p)
	if err != nil {
		return filepath.ToSlash(p)
	}
	return filepath.ToSlash(rel)
}

// bare takes the suffixes of a table away.
func bare(name string) string {
	name = strings.TrimSuffix(name, ".gz")
	return strings.TrimSuffix(strings.TrimSuffix(name, ".csv"), ".tsv")
}

// assign gives the spans by path. Marks that fit no file, or several, are
// counted.
func (n *names) assign(marks []mark, r *Refused) map[string][]span {
	out := map[string][]span{}
	for _, m := range marks {
		name := strings.TrimPrefix(filepath.ToSlash(m.file), "./")
		var got []string
		for _, k := range []string{name, strings.TrimPrefix(name, "data/"), bare(name), filepath.Base(name), bare(filepath.Base(name))} {
			if got = n.by[strings.ToLower(k)]; len(got) > 0 {
				break
			}
		}
		if m.file == "" && n.only != "" {
			got = []string{n.only}
		}
		if len(got) != 1 {
			r.Labels++
			r.say("labels name %s, which fits %d files", strconv.Quote(m.file), len(got))
			continue
		}
		out[got[0]] = append(out[got[0]], m.span)
	}
	return out
}
