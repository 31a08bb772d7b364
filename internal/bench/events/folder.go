package events

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// Refused counts what could not be read of folders of CSV files. None of it
// stops a run.
type Refused struct {
	Rows       int      `json:"rows"`         // without a time or any value
	Cells      int      `json:"cells"`        // unreadable values in readable rows
	Labels     int      `json:"labels"`       // windows that name no file, hold no row, or cannot be read
	Files      int      `json:"files"`        // without a readable row
	Columns    int      `json:"columns"`      // without a readable value: words, or nothing
	OutOfOrder int      `json:"out_of_order"` // rows that were put in order
	Repeated   int      `json:"repeated"`     // rows at the time of the row before
	Examples   []string `json:"examples,omitempty"`
}

const (
	maxExamples = 20
	maxNamed    = 3 // rows of one file
)

func (r *Refused) say(format string, args ...any) {
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

func (r *Refused) print(w io.Writer) {
	if r == nil || r.Rows+r.Cells+r.Labels+r.Files+r.Columns+r.OutOfOrder+r.Repeated == 0 {
		return
	}
	fmt.Fprintf(w, "left out: %d rows, %d cells, %d columns, %d labels, %d files; put in order: %d rows; at the time of the row before: %d\n",
		r.Rows, r.Cells, r.Columns, r.Labels, r.Files, r.OutOfOrder, r.Repeated)
	for _, s := range r.Examples {
		fmt.Fprintf(w, "  %s\n", s)
	}
}

// LoadFolder reads every CSV file below dir (below its data/ where there is one
// and a file of labels), and the labelled windows from the
// file labels; when that is empty, from the first of the usual names that
// exists (labels.json, labels.csv, combined_windows.json, labels/...). Files
// may also mark their anomalies in a column called label, anomaly or the like.
// What cannot be read is counted in r and left out. It fails when dir cannot be
// read or nothing is left.
func LoadFolder(dir, labels string, r *Refused) (Set, error) {
	set := Set{Name: filepath.Base(filepath.Clean(dir))}
	marks, labelPath, err := findLabels(dir, labels, r)
	if err != nil {
		return set, err
	}
	own := map[string]string{} // labels of a single file, with its name
	var paths []string
	root := dir
	if data := filepath.Join(dir, "data"); labelPath != "" && isDir(data) {
		root = data // what lies beside data/ and labels/ is something else
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case !d.IsDir() && labelPath == "" && addOwn(own, dir, p):
		case !d.IsDir() && p != labelPath && isTable(d.Name()) && !isLabelName(d.Name()):
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		return set, fmt.Errorf("read folder: %w", err)
	}
	byName := newNames(dir, paths)
	for _, p := range slices.Sorted(maps.Keys(own)) {
		more, _, err := readLabels(p, own[p], r)
		if err != nil {
			r.Labels++
			r.say("%v", err)
		}
		marks = append(marks, more...)
	}
	spans := byName.assign(marks, r)
	marked := false
	for _, p := range paths {
		raw, err := readLoose(p, r)
		if err != nil {
			r.Files++
			r.say("%s: %v", p, err)
			continue
		}
		files := raw.files(byName.rel(p), spans[p], r)
		marked = marked || raw.label != nil || len(spans[p]) > 0
		set.Files = append(set.Files, files...)
	}
	if len(set.Files) == 0 {
		return set, fmt.Errorf("%s holds no CSV file with timestamp,value rows%s", dir, r.first())
	}
	if !marked {
		return set, fmt.Errorf("%s: no labels: neither a file of windows nor a column called label%s", dir, r.first())
	}
	return set, nil
}

// addOwn notes a file of labels that belongs to a single data file.
func addOwn(own map[string]string, dir, p string) bool {
	folder := filepath.Base(filepath.Dir(p))
	if filepath.Dir(p) == filepath.Clean(dir) || !oneOf(folder, labelFolders) {
		folder = ""
	}
	stem, ok := ownLabels(folder, filepath.Base(p))
	if !ok || folder == "" && !strings.HasSuffix(p, ".json") && !besideTable(filepath.Join(filepath.Dir(p), stem)) {
		return false // a table of that name alone, as login_events.csv, is data
	}
	own[p] = stem
	return true
}

// besideTable says whether there is a table of this path, less its suffix.
func besideTable(path string) bool {
	for _, suffix := range []string{".csv", ".csv.gz", ".tsv", ".tsv.gz"} {
		if st, err := os.Stat(path + suffix); err == nil && st.Mode().IsRegular() {
			return true
		}
	}
	return false
}

func (r *Refused) first() string {
	if len(r.Examples) == 0 {
		return ""
	}
	return " (" + r.Examples[0] + ")"
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func isTable(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".tsv")
}

// loose is one CSV file as it was found.
type loose struct {
	names []string
	t     []int64 // Unix ms
	v     [][]float64
	label []float64 // nil without a column of labels
	wrong []int     // unreadable cells by column
	why   []string  // the first of them, with its line
	bad   int       // rows that were left out
}

// roles says what each column of a file is.
type roles struct {
	comma  string
	time   int // -1: rows count as seconds
	clock  int // time of day, where the date has a column of its own; -1: none
	label  int // -1: none
	values []int
	layout int // of the last time that was read
}

// readLoose reads a file line by line; a bad line is counted and named.
func readLoose(path string, r *Refused) (*loose, error) {
	f, err := csvdata.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	out := &loose{}
	var ro *roles
	for line := 1; ; line++ {
		text, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			if len(out.t) == 0 {
				return nil, err
			}
			r.Rows++
			r.say("%s:%d: %v; the rest is left out", path, line, err)
			break
		}
		end := err != nil
		text = strings.TrimRight(text, "\r\n")
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if s := strings.TrimSpace(text); s != "" && s[0] != '#' {
			if ro == nil {
				var header bool
				if ro, header = readRoles(text, out); header {
					text = ""
				}
			}
			if text != "" {
				out.row(ro, text, path, line, r)
			}
		}
		if end {
			break
		}
	}
	if len(out.t) == 0 {
		return nil, errors.New("no row with a time and a value")
	}
	out.order(r)
	out.dropWords(path, r)
	return out, nil
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 1 << 20

// readLine reads one line; of one that is too long it gives the beginning.
func readLine(in *bufio.Reader) (string, error) {
	var b []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(b) < maxLine {
			b = append(b, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(b), err
		}
	}
}

// readRoles reads the first line: the delimiter, and what the columns are.
func readRoles(text string, out *loose) (ro *roles, header bool) {
	ro = &roles{comma: ",", label: -1, clock: -1}
	for _, c := range []string{";", "\t", "|"} {
		if strings.Count(text, c) > strings.Count(text, ro.comma) {
			ro.comma = c
		}
	}
	cells := split(text, ro.comma)
	layout := 0
	_, err := parseTime(cells[0], &layout)
	_, numErr := number(cells[0])
	header = err != nil && (numErr != nil || strings.TrimSpace(cells[0]) == "")
	if header {
		ro.findTime(cells)
	}
	for i, c := range cells {
		name := strings.TrimSpace(c)
		if !header {
			name = "value"
			if i > 1 {
				name = fmt.Sprintf("value%d", i)
			}
		}
		switch {
		case i == ro.time || i == ro.clock:
		case header && isLabelColumn(name):
			if ro.label < 0 {
				ro.label = i
			}
		case name == "" || strings.EqualFold(name, "changepoint") || header && isCounter(name) && len(cells) > 2:
		default:
			ro.values = append(ro.values, i)
			out.names = append(out.names, name)
		}
	}
	out.v = make([][]float64, len(ro.values))
	out.wrong, out.why = make([]int, len(ro.values)), make([]string, len(ro.values))
	if ro.label >= 0 {
		out.label = []float64{}
	}
	return ro, header
}

// findTime finds the column of times in a header: by its name, else the first.
// A single column besides labels holds values, and rows count as seconds.
func (ro *roles) findTime(cells []string) {
	rest := 0
	for i, c := range cells {
		if isTimeName(c) {
			ro.time = i
			for k, c := range cells {
				if oneOf(cells[i], "date") && oneOf(c, "time") {
					ro.clock = k
				}
			}
			return
		}
		if !isLabelColumn(c) {
			rest++
		}
	}
	if rest == 1 {
		ro.time = -1
	}
}

// at reads the time of a row.
func (ro *roles) at(cells []string, n int) (int64, error) {
	if ro.time < 0 {
		return int64(n) * 1000, nil
	}
	if ro.time >= len(cells) {
		return 0, errors.New("no time")
	}
	s := cells[ro.time]
	if ro.clock >= 0 && ro.clock < len(cells) {
		s = strings.TrimSpace(s) + " " + strings.TrimSpace(cells[ro.clock])
	}
	return parseTime(s, &ro.layout)
}

// row reads one line; what is wrong with it is counted.
func (l *loose) row(ro *roles, text, path string, line int, r *Refused) {
	cells := split(text, ro.comma)
	bad := func(why string) {
		r.Rows++
		if l.bad++; l.bad <= maxNamed {
			r.say("%s:%d: %s", path, line, why)
		}
	}
	t, err := ro.at(cells, len(l.t))
	if err != nil {
		bad(err.Error())
		return
	}
	seen, why := 0, "no value"
	at := len(l.t)
	for i, c := range ro.values {
		v := math.NaN()
		if c < len(cells) {
			x, err := number(decimal(cells[c], ro.comma))
			if err != nil {
				why = err.Error()
				if l.wrong[i]++; l.wrong[i] == 1 {
					l.why[i] = fmt.Sprintf("%s:%d: %s", path, line, why)
				}
			} else if v = x; !math.IsNaN(v) {
				seen++
			}
		}
		l.v[i] = append(l.v[i][:at], v)
	}
	if seen == 0 {
		bad(why)
		return
	}
	l.t = append(l.t, t)
	if ro.label >= 0 {
		mark := 0.
		if ro.label < len(cells) {
			mark = marked(cells[ro.label])
		}
		l.label = append(l.label, mark)
	}
}

// order sorts rows by time where they are not, and moves repeated times apart
// by a millisecond.
func (l *loose) order(r *Refused) {
	n := len(l.t)
	for i := range l.v {
		l.v[i] = l.v[i][:n]
	}
	late := 0
	for i := 1; i < n; i++ {
		if l.t[i] < l.t[i-1] {
			late++
		}
	}
	if late > 0 {
		r.OutOfOrder += late
		at := make([]int, n)
		for i := range at {
			at[i] = i
		}
		slices.SortStableFunc(at, func(a, b int) int {
			return int(min(1, max(-1, l.t[a]-l.t[b])))
		})
		l.t = pick(l.t, at)
		for i := range l.v {
			l.v[i] = pick(l.v[i], at)
		}
		if l.label != nil {
			l.label = pick(l.label, at)
		}
	}
	for i := 1; i < n; i++ {
		if l.t[i] <= l.t[i-1] {
			r.Repeated++
			l.t[i] = l.t[i-1] + 1
		}
	}
}

// dropWords leaves out columns without a value: names, states, nothing at all.
// Unreadable cells of the others are counted.
func (l *loose) dropWords(path string, r *Refused) {
	kept := 0
	for i, col := range l.v {
		if !slices.ContainsFunc(col, func(v float64) bool { return !math.IsNaN(v) }) {
			r.Columns++
			r.say("%s: the column %q holds no number and is left out", path, l.names[i])
			continue
		}
		if l.wrong[i] > 0 {
			r.Cells += l.wrong[i]
			r.say("%s (%d such cells)", l.why[i], l.wrong[i])
		}
		l.names[kept], l.v[kept] = l.names[i], col
		kept++
	}
	l.names, l.v = l.names[:kept], l.v[:kept]
}

func pick[T any](xs []T, at []int) []T {
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = xs[k]
	}
	return out
}

// files gives the file as it is scored: as a whole, or one a column when
// labels name columns.
func (l *loose) files(name string, spans []span, r *Refused) []File {
	byColumn := slices.ContainsFunc(spans, func(s span) bool { return s.column != "" })
	own := segments(l.label, 0)
	if !byColumn {
		return []File{{Name: name, T: l.t, Columns: l.names, V: l.v, Events: merge(append(own, l.rows(name, "", spans, r)...))}}
	}
	for _, s := range spans {
		if s.column != "" && !slices.Contains(l.names, s.column) {
			r.Labels++
			r.say("%s: a label names the column %q, which does not exist", name, s.column)
		}
	}
	var out []File
	for i, c := range l.names {
		e := append(slices.Clone(own), l.rows(name, c, spans, r)...)
		out = append(out, File{Name: name + ":" + c, T: l.t, Columns: l.names[i : i+1], V: l.v[i : i+1], Events: merge(e)})
	}
	return out
}
