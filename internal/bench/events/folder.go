package events

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	OutOfOrder int      `json:"out_of_order"` // rows that were put in order
	Repeated   int      `json:"repeated"`     // rows at the time of the row before
	Examples   []string `json:"examples,omitempty"`
}

const maxExamples = 20

func (r *Refused) say(format string, args ...any) {
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

func (r *Refused) print(w io.Writer) {
	if r == nil || r.Rows+r.Cells+r.Labels+r.Files+r.OutOfOrder+r.Repeated == 0 {
		return
	}
	fmt.Fprintf(w, "left out: %d rows, %d cells, %d labels, %d files; put in order: %d rows; at the time of the row before: %d\n",
		r.Rows, r.Cells, r.Labels, r.Files, r.OutOfOrder, r.Repeated)
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
		case !d.IsDir() && p != labelPath && isTable(d.Name()) && !isLabelName(d.Name()):
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		return set, fmt.Errorf("read folder: %w", err)
	}
	byName := newNames(dir, paths)
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
}

// roles says what each column of a file is.
type roles struct {
	comma  string
	time   int
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
	ro = &roles{comma: ",", label: -1}
	for _, c := range []string{";", "\t"} {
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
		for i, c := range cells {
			if isTimeName(c) {
				ro.time = i
				break
			}
		}
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
		case i == ro.time:
		case header && isLabelColumn(name):
			if ro.label < 0 {
				ro.label = i
			}
		case name == "" || strings.EqualFold(name, "changepoint"):
		default:
			ro.values = append(ro.values, i)
			out.names = append(out.names, name)
		}
	}
	out.v = make([][]float64, len(ro.values))
	if ro.label >= 0 {
		out.label = []float64{}
	}
	return ro, header
}

// row reads one line; what is wrong with it is counted.
func (l *loose) row(ro *roles, text, path string, line int, r *Refused) {
	cells := split(text, ro.comma)
	bad := func(why string) {
		r.Rows++
		r.say("%s:%d: %s", path, line, why)
	}
	if ro.time >= len(cells) {
		bad("no time")
		return
	}
	t, err := parseTime(cells[ro.time], &ro.layout)
	if err != nil {
		bad(err.Error())
		return
	}
	seen, wrong, why := 0, 0, "no value"
	at := len(l.t)
	for i, c := range ro.values {
		v := math.NaN()
		if c < len(cells) {
			x, err := number(decimal(cells[c], ro.comma))
			if err != nil {
				wrong++
				why = err.Error()
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
	if wrong > 0 {
		if r.Cells == 0 {
			r.say("%s:%d: %s", path, line, why)
		}
		r.Cells += wrong
	}
	l.t = append(l.t, t)
	if ro.label >= 0 {
		mark := 0.
		if ro.label < len(cells) {
			if x, err := number(cells[ro.label]); err == nil {
				mark = x
			}
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

// rows turns the spans of a column into rows. A span between two rows is moved
// to the next row when that is not far.
func (l *loose) rows(name, column string, spans []span, r *Refused) [][2]int {
	var out [][2]int
	for _, s := range spans {
		if s.column != "" && s.column != column {
			continue
		}
		got := rowsOf(l.t, [][2]int64{{s.from, s.to}})
		if len(got) == 0 {
			if i, _ := slices.BinarySearch(l.t, s.from); i > 0 && i < len(l.t) && l.t[i]-s.to <= 2*(l.t[len(l.t)-1]-l.t[0])/int64(len(l.t)) {
				got = [][2]int{{i, i}}
			} else {
				r.Labels++
				r.say("%s: no row between %d and %d (Unix ms)", name, s.from, s.to)
			}
		}
		out = append(out, got...)
	}
	return out
}
